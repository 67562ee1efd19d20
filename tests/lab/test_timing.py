"""Times and a shutdown command of one's own, on real upsmons: kept over runs, obeyed at a shutdown."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .lab import Lab
from .machine import Machine
from .startpoints import CLIENT_FILES, standalone_files, stock_files
from .wizard import (
    CLIENT_ANSWERS,
    HOST_ANSWERS,
    apply_client,
    apply_host,
    client_answers,
    host_answers,
    journal,
    quick,
    tree,
    wait_clients,
    wizard,
)

pytestmark = pytest.mark.lab

OWN = "/usr/local/sbin/stop-all"
SCRIPT = """#!/bin/sh
# Stops what hangs together in its order, then the machine.
logger -t stop-all "run as $(id -un): $*"
sleep 1
logger -t stop-all "all stopped"
exec /sbin/shutdown -h +0
"""
#: Seconds. The quick files have 1, 1, 3 and 1.
POLLFREQ, HOSTSYNC, FINALDELAY = 3, 7, 4
TIMES = f"""timing:
  hostsync: {HOSTSYNC}
  finaldelay: {FINALDELAY}
  pollfreq: {POLLFREQ}
  pollfreqalert: {POLLFREQ}
  shutdown_command: {OWN} --all "in order"
"""
#: What a loaded machine may need beside the times that are asked for.
SLACK = 4.0


@pytest.fixture(scope="module")
def served() -> Iterator[Lab]:
    stock = quick(stock_files())
    with Lab(standalone_files(stock), {name: stock[name] for name in CLIENT_FILES}) as lab:
        assert lab.host.systemctl("start", "nut.target").returncode == 0
        for machine in (lab.host, lab.vm):
            machine.write(OWN, SCRIPT, mode=0o755)
        apply_host(lab.host, host_answers())
        yield lab


def test_a_command_that_is_missing_open_or_idle_is_refused(served: Lab) -> None:
    host, answers = served.host, host_answers() + TIMES
    before = tree(host)
    for mode, script, words in (
        (0o644, SCRIPT, f"{OWN} is not executable"),
        (0o777, SCRIPT, f"{OWN} would run as root, and others than root may change it (root:root 0777)"),
        (0o755, "#!/bin/sh\nlogger bye\n", "nothing in it shuts this machine down"),
    ):
        host.write(OWN, script, mode=mode)
        done = apply_host(host, answers, code=2)
        assert f"timing.shutdown_command: {words}" in done.stderr
    host.run(["rm", OWN], check=True)
    assert f"there is no {OWN}" in apply_host(host, answers, code=2).stderr
    host.write(OWN, SCRIPT, mode=0o755)
    assert tree(host) == before


def test_the_values_are_written_and_upsmon_polls_by_them(served: Lab) -> None:
    host = served.host
    often = polls(host)
    done = apply_host(host, host_answers() + TIMES)
    seldom = polls(host)
    assert "nut-monitor" in done.stdout
    assert often >= 2 * seldom > 0
    text = host.read("/etc/nut/upsmon.conf").decode()
    for line in (
        f"HOSTSYNC {HOSTSYNC}",
        f"FINALDELAY {FINALDELAY}",
        f'SHUTDOWNCMD "{OWN} --all \\"in order\\""',
    ):
        assert text.count(f"\n{line}\n") == 1
    assert "\nDEADTIME 15\n" in text


def polls(machine: Machine, seconds: float = 7.0) -> int:
    """How often upsmon asks upsd in that time: it writes once for each value that it asks for."""
    command = "cat /proc/$(pgrep -u nut -x upsmon)/io"

    def written() -> int:
        rows = machine.run(["sh", "-c", command], check=True).stdout.splitlines()
        return int(next(row for row in rows if row.startswith("syscw")).split()[1])

    first = written()
    time.sleep(seconds)
    return written() - first


def test_the_command_is_kept_by_runs_that_do_not_name_it(served: Lab) -> None:
    host = served.host
    before = tree(host)
    for _ in range(2):
        assert apply_host(host, host_answers()).stdout == "Nothing to do: everything is in place.\n"
        wizard(host, "plan", HOST_ANSWERS)
    assert tree(host) == before
    # A client's file without a MONITOR line, which gets the whole block of the guide.
    vm = served.vm
    text = vm.read("/etc/nut/upsmon.conf").decode()
    assert "\nMONITOR " not in text
    vm.write("/etc/nut/upsmon.conf", f"{text}SHUTDOWNCMD {OWN}\n", group="nut", mode=0o640)
    apply_client(served, client_answers())
    lines = vm.read("/etc/nut/upsmon.conf").decode().splitlines()
    assert [line for line in lines if line.startswith("SHUTDOWNCMD")] == [f"SHUTDOWNCMD {OWN}"]
    wizard(vm, "plan", CLIENT_ANSWERS)
    wait_clients(served)


def test_the_command_is_run_as_root_when_the_times_are_over(served: Lab) -> None:
    """The VM's upsmon hangs: the host waits HOSTSYNC for it, then FINALDELAY, then calls the script."""
    host, vm = served.host, served.vm
    hung = int(vm.run(["pgrep", "-u", "nut", "-x", "upsmon"], check=True).stdout)
    vm.run(["kill", "-STOP", str(hung)], check=True)
    try:
        begin = time.time()
        host.run(["upsmon", "-c", "fsd"], check=True)
        called = host.wait_log("run as root: --all in order", since=begin, timeout=30.0)
        off = host.wait_log("would run: shutdown -h +0", since=begin)
    finally:
        vm.run(["kill", "-CONT", str(hung)], check=True)
    assert any("Host sync timer expired" in line for line in journal(host, "nut-monitor"))
    assert 0.0 <= called.at - begin - HOSTSYNC - FINALDELAY < POLLFREQ + SLACK
    assert off.at - called.at >= 1.0
    # The hung VM goes on: its own script, too, is called.
    vm.wait_log("run as root:", timeout=30.0)
