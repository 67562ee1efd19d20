"""The rig itself: this computer is not reached from it, and nothing is left of it however it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.lab.dress import CHECKOUT
from tests.lab.machine import has_ended, wait_until

from .keeper import PREFIX, is_held
from .rig import Rig

pytestmark = pytest.mark.nspawn

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: Seconds until all is gone that a killed process has left.
TIDY_LIMIT = 30.0
#: Boots a machine, tells the processes of the rig, and is killed: itself (0) or the keeper.
KILLED = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
from tests.nspawn.rig import Rig
with Rig() as rig:
    rig.host.boot()
    print(json.dumps(rig.processes()), flush=True)
    sys.stdout.flush()
    os.kill(rig.processes()[0] if sys.argv[2] == "keeper" else os.getpid(), signal.SIGKILL)
"""


def traces() -> list[str]:
    """All that a rig could leave on this computer; another rig may run beside this one."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, check=True, timeout=10.0, text=True)
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    found = [line for line in links.stdout.splitlines() if "tap10" in line or "vmbr0" in line]
    found += [line for line in mounts.splitlines() if " - tmpfs rig " in line or " - overlay rig " in line]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{PREFIX}*") if not is_held(path)]
    for place, pattern in (
        (tempfile.gettempdir(), f"{PREFIX}*"),
        ("/run", "netns/*"),
        ("/run/systemd", "nspawn/**/*"),
    ):
        found += map(str, Path(place).glob(pattern))
    return found


@pytest.fixture(scope="module", autouse=True)
def untouched() -> object:
    before = BOOT_ID.read_text(encoding="ascii"), traces()
    yield
    wait_until(lambda: (BOOT_ID.read_text(encoding="ascii"), traces()) == before or None, TIDY_LIMIT)


def test_this_computer_is_out_of_reach(rig: Rig) -> None:
    machine = rig.host
    machine.boot()
    assert machine.read(str(BOOT_ID)).decode() != BOOT_ID.read_text(encoding="ascii")
    assert machine.run(["find", "/dev", "-type", "b"], check=True).stdout == ""
    for refused in (
        "mknod /root/disk b 254 0",
        "test -w /proc/sysrq-trigger",
        "touch /sys/made",
    ):
        assert machine.run(["sh", "-c", refused]).returncode != 0, refused
    for path in ("/usr/local/sbin/made-in-the-rig", f"{CHECKOUT}/made-in-the-rig"):
        machine.run(["touch", path])  # refused, or done in memory
        assert not Path(path).exists()
    interfaces = sorted(machine.run(["ls", "/sys/class/net"], check=True).stdout.split())
    assert interfaces == ["lo", "tap100i0", "tap101i0", "vmbr0"]


def test_only_the_machines_own_services_run(rig: Rig) -> None:
    for machine in (rig.host, rig.vm):
        if not machine.runs():
            machine.boot()
        enabled = machine.run(
            ["ls", "/etc/systemd/system/multi-user.target.wants"], check=True
        ).stdout.split()
        assert enabled == ["nut.target", "ssh.service"]
    server = ["systemctl", "is-enabled", "nut-server"]
    assert rig.host.run(server).stdout == "enabled\n"
    assert rig.vm.run(server).returncode != 0


def test_a_machine_keeps_its_disk_over_a_power_cut(rig: Rig) -> None:
    if not rig.vm.runs():
        rig.vm.boot()
    boots = len(rig.vm.boots())
    rig.vm.write("/root/kept", "kept\n")
    rig.vm.close()
    assert rig.vm.wait_off(10.0).code != 0
    rig.vm.boot()
    assert rig.vm.read("/root/kept") == b"kept\n"
    assert len(rig.vm.boots()) == boots + 1


@pytest.mark.parametrize("whom", ["tests", "keeper"])
def test_nothing_is_left_when_it_is_killed(whom: str) -> None:
    before = traces()
    argv = [sys.executable, "-I", "-c", KILLED, str(CHECKOUT), whom]
    done = subprocess.run(argv, capture_output=True, timeout=90.0)
    processes = json.loads(done.stdout)
    assert len(processes) > 5
    wait_until(lambda: all(map(has_ended, processes)) or None, TIDY_LIMIT)
    with Rig():  # removes the cgroup that a killed keeper has left
        pass
    wait_until(lambda: traces() == before or None, TIDY_LIMIT)
