"""A machine that lost its power in the middle of an apply: it boots, and NUT starts on the old files."""

from __future__ import annotations

import pytest

from nutwizard.engine import boot

from .machine import Machine
from .test_broken_applies import host, serves
from .wizard import HOST_ANSWERS, PASSWORD, Running, host_answers, journal, tree, wizard, writer_of

__all__ = ["host"]  # a fixture

pytestmark = pytest.mark.lab

RUNNING = (
    "nut-driver-enumerator.path",
    "nut-monitor.service",
    "nut-server.service",
    "nut-driver@apc.service",
)


def test_it_recovers_before_nut_starts(host: Machine) -> None:
    before = tree(host)
    host.write(HOST_ANSWERS, host_answers(), mode=0o600)
    with Running(host, "apply", HOST_ANSWERS) as run:
        run.wait_said("restart nut-monitor.service")
        host.run(["kill", "-KILL", writer_of(host)], check=True)
        assert run.process.wait(10.0) == 6
    assert tree(host) != before
    assert host.systemctl("is-enabled", boot.UNIT).stdout == "enabled\n"
    for unit in RUNNING:
        host.systemctl("stop", unit)
    host.systemctl("stop", "nut.target")
    host.systemctl("stop", "nut-driver.target")
    assert host.systemctl("start", "multi-user.target").returncode == 0
    assert tree(host) == before
    assert [line for line in journal(host, boot.UNIT) if "(apply) had been interrupted" in line]
    assert not host.exists(boot.FILE)
    assert not host.exists(boot.LINK)
    host.systemctl("start", "nut-driver-enumerator.path")
    serves(host)
    assert wizard(host, "recover").stdout.startswith("There is nothing to recover")
    host.run(["rm", "-f", PASSWORD], check=True)
