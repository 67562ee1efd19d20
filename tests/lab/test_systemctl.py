"""The stand-in for systemctl says what systemd 252 said on Debian 12 with NUT 2.8.0."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from .lab import Lab
from .machine import Machine
from .replay import replay

pytestmark = [
    pytest.mark.lab,
    pytest.mark.may_skip("what was recorded belongs to one release of Debian"),
    # Another release has other unit files, and says some things in other words.
    pytest.mark.skipif(
        platform.freedesktop_os_release().get("VERSION_ID") != "12", reason="recorded on Debian 12"
    ),
]

RECORDED = Path(__file__).parent / "recorded"


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.txt")))
def test_says_what_systemd_said(lab: Lab, name: str) -> None:
    host = lab.host
    assert host.systemctl("start", "nut.target").returncode == 0
    recorded = (RECORDED / f"{name}.txt").read_text(encoding="utf-8")
    assert replay(recorded, lambda command: _run(host, command)) == recorded


def _run(machine: Machine, command: str) -> tuple[int, str, str]:
    done = machine.run(["sh", "-c", command], timeout=60.0)
    return done.returncode, done.stdout, done.stderr
