"""The lab does what the tests that stand on it take for granted."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .dress import CHECKOUT, PVE_VERSION
from .lab import HOST_ADDRESS, VM_ADDRESS, Lab
from .machine import Machine, has_ended, wait_until
from .startpoints import standalone_files, stock_files

pytestmark = pytest.mark.lab

CLIENT = "upsmonclient"
PASSWORD = "cl13nt_p4sSw0rD"
UPS = f"apc@{HOST_ADDRESS}"
FAST = "POLLFREQ 1\nPOLLFREQALERT 1\nHOSTSYNC 3\nFINALDELAY 1\n"
NOTIFY = (
    'NOTIFYCMD /usr/local/bin/notify\nNOTIFYFLAG ONBATT SYSLOG+EXEC\nSHUTDOWNCMD "/sbin/shutdown -h +0"\n'
)
SCRIPT = '#!/bin/sh\nlogger -t notify "$NOTIFYTYPE for $(id -un)"\n'


def connect(lab: Lab) -> None:
    """Make the VM a client of the host by hand, as short as it can be done, and start everything."""
    host, vm = lab.host, lab.vm
    host.write("/etc/nut/nut.conf", "MODE=netserver\n", group="nut", mode=0o640)
    listen = f"LISTEN {HOST_ADDRESS} 3493\nLISTEN 127.0.0.1 3493\n"
    host.write("/etc/nut/upsd.conf", listen, group="nut", mode=0o640)
    users = host.read("/etc/nut/upsd.users") + f"[{CLIENT}]\npassword = {PASSWORD}\nupsmon slave\n".encode()
    host.write("/etc/nut/upsd.users", users, group="nut", mode=0o640)
    monitor = host.read("/etc/nut/upsmon.conf") + (FAST + NOTIFY).encode()
    host.write("/etc/nut/upsmon.conf", monitor, group="nut", mode=0o640)
    vm.write("/etc/nut/nut.conf", "MODE=netclient\n", group="nut", mode=0o640)
    client = f"MONITOR {UPS} 1 {CLIENT} {PASSWORD} slave\n"
    monitor = stock_files()["upsmon.conf"] + (client + FAST + NOTIFY).encode()
    vm.write("/etc/nut/upsmon.conf", monitor, group="nut", mode=0o640)
    for machine in (host, vm):
        machine.write("/usr/local/bin/notify", SCRIPT, mode=0o755)
    assert host.systemctl("start", "nut.target").returncode == 0
    wait_until(lambda: status(host, "apc@localhost") == "OL" or None, 10.0)
    # After a failed first poll upsmon sleeps 5 s whatever POLLFREQ says, and its first start came too early.
    assert host.systemctl("restart", "nut-monitor").returncode == 0
    assert vm.systemctl("start", "nut-client").returncode == 0
    wait_until(lambda: clients(host) >= {"127.0.0.1", VM_ADDRESS} or None, 10.0)


def status(machine: Machine, ups: str) -> str:
    return machine.run(["upsc", ups, "ups.status"]).stdout.strip()


def clients(machine: Machine) -> set[str]:
    return set(machine.run(["upsc", "-c", "apc"]).stdout.split())


@pytest.fixture(scope="module")
def connected() -> Iterator[Lab]:
    with Lab(standalone_files(stock_files())) as machines:
        connect(machines)
        yield machines


def test_boots_quickly_and_looks_like_a_host_and_its_guest() -> None:
    begin = time.monotonic()
    with Lab() as lab:
        assert time.monotonic() - begin < 3.0
        look = "hostname; systemd-detect-virt; pveversion 2>/dev/null; dpkg -l 'nut-*' pve-manager | grep ^ii"
        host, vm = (machine.run(["sh", "-c", look]).stdout for machine in (lab.host, lab.vm))
        assert re.match(rf"pve\nnone\n{re.escape(PVE_VERSION)}\nii  nut-client ", host)
        assert re.search(r"(?m)^ii  nut-server ", host)
        assert re.search(r"(?m)^ii  pve-manager +8\.4\.1 ", host)
        assert vm.startswith("debiantpl\nkvm\nii  nut-client ")
        assert "nut-server" not in vm
        assert "/etc/pve" in lab.host.read("/proc/mounts").decode()
        assert lab.host.run(["test", "-d", "/sys/class/net/vmbr0/bridge"]).returncode == 0
        assert lab.vm.run(["test", "-e", "/sbin/upsd"]).returncode == 1
        assert lab.vm.read("/sys/class/dmi/id/sys_vendor") == b"QEMU\n"


def test_files_of_nut_are_debians_with_debians_owners(lab: Lab) -> None:
    stock = stock_files()
    for name, data in stock.items():
        assert lab.host.read(f"/etc/nut/{name}") == data
        assert lab.host.stat(f"/etc/nut/{name}")[:3] == ("root", "nut", 0o640)
    assert sorted(lab.vm.snapshot("/etc/nut")) == [
        f"/etc/nut/{n}.conf" for n in ("nut", "upsmon", "upssched")
    ]


def test_a_machine_writes_into_memory_and_runs_the_checkout(lab: Lab) -> None:
    lab.host.write("/etc/nut/here", b"\xffbytes", "nut", "nut", 0o600)
    assert (lab.host.read("/etc/nut/here"), lab.host.stat("/etc/nut/here")) == (
        b"\xffbytes",
        ("nut", "nut", 0o600, 6),
    )
    assert not Path("/etc/nut/here").exists()
    with pytest.raises(FileNotFoundError):
        lab.vm.read("/etc/nut/here")
    program = (
        "import nutwizard, os; print(nutwizard.__file__, os.environ['MARK'], os.geteuid() == 0, input())"
    )
    done = lab.vm.run(
        [sys.executable, "-c", program], input="in", env={"MARK": "1"}, user="nut", cwd=CHECKOUT
    )
    assert done.stdout == f"{CHECKOUT}/nutwizard/__init__.py 1 False in\n"


def test_a_program_that_hangs_is_ended_with_all_its_children(lab: Lab) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        lab.host.run(["sh", "-c", "sleep 123; :"], timeout=0.3)
    assert "sleep 123" not in lab.host.run(["ps", "-eo", "args"]).stdout


def test_switching_off_is_rehearsed_and_logged(lab: Lab) -> None:
    begin = time.time()
    lab.vm.run(["/sbin/shutdown", "-h", "+0"], check=True)
    line = lab.vm.wait_log("would run: shutdown -h +0")
    assert line.tag == "REHEARSAL"
    assert begin - 0.1 <= line.at <= time.time()


def test_the_client_sees_the_ups_and_both_are_logged_in(connected: Lab) -> None:
    assert status(connected.vm, UPS) == "OL"
    assert {"127.0.0.1", VM_ADDRESS} <= clients(connected.host)


def test_on_battery_reaches_a_script_as_user_nut_on_both(connected: Lab) -> None:
    begin = time.time()
    connected.host.ups("OB DISCHRG", charge=57)
    for machine in (connected.host, connected.vm):
        assert machine.wait_log("ONBATT for nut", since=begin).tag == "notify"
    assert connected.vm.run(["upsc", UPS, "battery.charge"]).stdout == "57\n"
    connected.host.ups("OL", charge=100)
    wait_until(lambda: status(connected.vm, UPS) == "OL" or None, 10.0)


def test_a_dropped_port_times_out_and_opens_again(connected: Lab) -> None:
    connected.drop_port()
    try:
        begin = time.monotonic()
        assert "timed out" in connected.vm.run(["upsc", UPS]).stderr
        assert 1.0 < time.monotonic() - begin < 10.0
        assert status(connected.host, "apc@localhost") == "OL"
    finally:
        connected.open_port()
    assert status(connected.vm, UPS) == "OL"


def test_a_forced_shutdown_runs_both_commands_the_clients_first() -> None:
    with Lab(standalone_files(stock_files())) as lab:
        connect(lab)
        lab.host.run(["upsmon", "-c", "fsd"], check=True)
        client, server = (machine.wait_log("would run: shutdown") for machine in (lab.vm, lab.host))
        assert client.at < server.at
        assert lab.host.exists("/etc/killpower")


def test_the_driver_publishes_what_it_was_given(lab: Lab) -> None:
    options = "offdelay = 60\nondelay = 70\nlowbatt = 80\npollinterval = 1\n"
    section = f"[apc]\ndriver = usbhid-ups\nport = auto\n{options}"
    lab.host.write("/etc/nut/ups.conf", section, group="nut", mode=0o640)
    lab.host.write("/etc/nut/nut.conf", "MODE=standalone\n", group="nut", mode=0o640)
    lab.host.systemctl("start", "nut-driver@apc", "nut-server")
    wait_until(lambda: status(lab.host, "apc") == "OL" or None, 10.0)
    rows = lab.host.run(["upsc", "apc"]).stdout.splitlines()
    assert {
        "driver.name: usbhid-ups",
        "driver.parameter.lowbatt: 80",
        "driver.parameter.offdelay: 60",
        "driver.parameter.ondelay: 70",
        "driver.parameter.port: auto",
        "battery.charge.low: 80",
    } <= set(rows)


def test_the_driver_refuses_a_variable_as_the_real_one_does_and_lists_its_own(lab: Lab) -> None:
    section = "[apc]\ndriver = usbhid-ups\nport = auto\nstayoff = 1\n"
    lab.host.write("/etc/nut/ups.conf", section, group="nut", mode=0o640)
    done = lab.host.run(["/lib/nut/usbhid-ups", "-a", "apc"])
    assert done.returncode == 0
    assert "'stayoff' is not a valid variable name for this driver" in done.stdout + done.stderr
    listing = subprocess.run(["/lib/nut/usbhid-ups", "-L"], capture_output=True, text=True, timeout=10)
    assert lab.host.run(["/lib/nut/usbhid-ups", "-L"]).stdout == listing.stdout


def test_a_write_of_ups_conf_makes_the_enumerator_run(standalone_lab: Lab) -> None:
    host = standalone_lab.host
    host.systemctl("start", "nut.target")
    wait_until(lambda: status(host, "apc") == "OL" or None, 10.0)
    text = host.read("/etc/nut/ups.conf")
    host.write("/etc/nut/ups.conf", text + b"    offdelay = 60\n", group="nut", mode=0o640)
    wait_until(lambda: "60" in host.run(["upsc", "apc", "driver.parameter.offdelay"]).stdout or None, 20.0)
    assert "'apc'" in host.run(["journalctl", "-u", "nut-driver-enumerator", "-o", "cat"]).stdout

    host.systemctl("stop", "nut-driver-enumerator.path")
    before = started(host)
    host.write("/etc/nut/ups.conf", text, group="nut", mode=0o640)
    time.sleep(1.0)
    assert started(host) == before
    host.systemctl("restart", "nut-driver-enumerator.service")
    wait_until(lambda: started(host) > before or None, 10.0)  # the enumerator itself does not wait


def started(machine: Machine) -> int:
    return int(machine.properties("nut-driver@apc")["ActiveEnterTimestampMonotonic"])


def test_the_standalone_set_up_is_the_earlier_guides(standalone_lab: Lab) -> None:
    stock, host = stock_files(), standalone_lab.host
    for name in ("nut.conf", "ups.conf", "upsd.conf", "upsd.users"):
        assert host.read(f"/etc/nut/{name}.orig") == stock[name]
    assert host.read("/etc/nut/upsmon.conf.bkp") == stock["upsmon.conf"]
    assert b"\nLISTEN 127.0.0.1 3493\n" in host.read("/etc/nut/upsd.conf")
    monitor = host.read("/etc/nut/upsmon.conf").decode()
    assert re.findall(r"(?m)^(?:RBWARNTIME|SHUTDOWNCMD) \S+", monitor) == [
        'SHUTDOWNCMD "logger',
        "RBWARNTIME 7200",
    ]
    assert len(re.findall(r"(?m)^NOTIFYFLAG \w+ SYSLOG$", monitor)) == 10


def test_what_systemd_run_starts_outlives_it(lab: Lab) -> None:
    program = "echo $PWD $MARK $HOME; cat; sleep 0.5; touch /tmp/done"
    words = ["systemd-run", "--pipe", "--collect", "-q", "-E", "MARK=1", "sh", "-c", program]
    done = lab.host.run(words, input="in", check=True)
    assert done.stdout == "/ 1\nin"
    assert lab.host.exists("/tmp/done")

    killed = "systemd-run --pipe sh -c 'sleep 1; touch /tmp/later' & sleep 0.4; kill -9 $!"
    lab.host.run(["sh", "-c", killed], check=True)
    wait_until(lambda: lab.host.exists("/tmp/later") or None, 5.0)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    mounts = own_mounts()
    with Lab() as lab:
        pids = lab.host.pid, lab.vm.pid
        spaces = {os.readlink(f"/proc/{pid}/ns/{kind}") for pid in pids for kind in NAMESPACES}
        lab.host.run(["sh", "-c", "setsid --fork sleep 321 >/dev/null 2>&1"], check=True)
        assert len(spaces) == 2 * len(NAMESPACES)
        assert spaces <= used_namespaces()
    assert all(map(has_ended, pids))
    assert not spaces & used_namespaces()
    assert own_mounts() == mounts
    assert not list(tmp_path.iterdir())


NAMESPACES = ("mnt", "net", "uts", "ipc", "pid")


def own_mounts() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if re.search(r" - \S+ lab ", line)]


def used_namespaces() -> set[str]:
    found = set()
    for kind in NAMESPACES:
        for link in Path("/proc").glob(f"[0-9]*/ns/{kind}"):
            with contextlib.suppress(OSError):  # the process has ended meanwhile
                found.add(os.readlink(link))
    return found


def test_the_machines_end_with_a_parent_that_is_killed() -> None:
    code = "import time\nfrom tests.lab.lab import Lab\n"
    code += "with Lab() as lab:\n print(lab.host.pid, lab.vm.pid, flush=True)\n time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = parent.stdout.readline().split()
        parent.send_signal(signal.SIGKILL)
        parent.wait(10.0)
    assert len(pids) == 2
    wait_until(lambda: all(has_ended(int(pid)) for pid in pids) or None, 5.0)
