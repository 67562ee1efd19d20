"""The power is cut in the middle of a change: the next boot puts everything back before NUT starts."""

from __future__ import annotations

import pytest

from tests.lab.machine import LogLine, wait_until
from tests.lab.wizard import HOST_ANSWERS, PASSWORD, Running, apply_host, tree

from .forced import ANSWERS
from .rig import Rig

pytestmark = pytest.mark.nspawn

UNIT = "nutwizard-recover.service"
WRITE_LIMIT = 60.0


def test_the_next_boot_puts_an_interrupted_change_back(rig: Rig) -> None:
    host = rig.host
    host.boot()
    host.write(PASSWORD, "s3cret-of-the-VMs\n", mode=0o600)
    host.write(HOST_ANSWERS, ANSWERS, mode=0o600)
    before = tree(host)
    with Running(host, "apply", HOST_ANSWERS):
        # The last file that it writes; what follows is the proof, which takes seconds.
        wait_until(lambda: b"[apc]" in host.read("/etc/nut/ups.conf") or None, WRITE_LIMIT)
        host.close()
    assert host.wait_off(WRITE_LIMIT).code != 0
    host.boot()
    assert tree(host) == before
    assert when(host.log(), f"Finished {UNIT}") < when(host.log(), "Reached target nut.target")
    assert not host.exists(f"/etc/systemd/system/{UNIT}")  # it is there while a change is under way
    apply_host(host, ANSWERS)


def when(log: list[LogLine], text: str) -> float:
    return next(line.at for line in log if line.text.startswith(text))
