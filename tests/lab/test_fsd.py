"""The test of a forced shutdown on real NUT: typed at a terminal, seen in both machines, read afterwards.

SHUTDOWNCMD reaches a stand-in for shutdown, which says so in the log; a reboot is another boot id.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nutwizard.core.measured import How
from nutwizard.engine.fsd.records import BOOT_ID

from .guided import CANARY
from .lab import VM_ADDRESS, Lab
from .machine import Machine, wait_until
from .terminal import Terminal
from .test_doctor import said
from .wizard import Running, check, pair, status, tree, wait_clients, wizard

pytestmark = pytest.mark.lab

FIRST, SECOND = "0" * 31 + "1", "0" * 31 + "2"
KEPT, FLAG = "/var/lib/nutwizard/fsd", "/etc/killpower"
#: Where the lab's journalctl looks whether a boot is over.
ENDED = "/run/lab-boots"
#: Seconds: POLLFREQ 1, HOSTSYNC 3 and FINALDELAY 1 on both sides.
LIMIT = 20.0
OFF = "would run: shutdown -h +0"
BLOCKED = 4


@pytest.fixture(scope="module")
def well() -> Iterator[Lab]:
    with pair(CANARY) as lab:
        for machine in (lab.host, lab.vm):
            boot(machine, FIRST)
        yield lab


def boot(machine: Machine, name: str) -> None:
    """Give the machine another boot id, as a reboot does."""
    path = f"/run/boot-{name}"
    machine.write(path, f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}\n")
    machine.run(["mount", "--bind", path, BOOT_ID], check=True)


def reboot(lab: Lab, machine: Machine) -> None:
    """The log of the boot is over; then its units start, upsd before upsmon."""
    machine.run(["logger", "-t", "systemd-journald[7]", "Journal stopped"], check=True)
    machine.wait_log("Journal stopped")
    machine.run(["mkdir", "-p", ENDED], check=True)
    machine.run(["touch", f"{ENDED}/{FIRST}"], check=True)
    boot(machine, SECOND)
    if machine is lab.host:
        machine.systemctl("restart", "nut-server")
        wait_until(lambda: status(machine, "apc") == "OL" or None, LIMIT)
    machine.systemctl("restart", "nut-monitor")


def type_in(terminal: Terminal, text: str) -> None:
    """Type into the field that is asked, and Enter."""
    terminal.send(text)
    terminal.wait(lambda: terminal.screen().rstrip().endswith(text) or None, LIMIT)
    terminal.press("Enter")


def acknowledge(terminal: Terminal) -> list[str]:
    """Acknowledge everything, up to the name; what was asked."""
    titles: list[str] = []
    while not (question := terminal.question()).startswith("name of this host"):
        assert len(titles) < 10, terminal.screen()
        if question.startswith("what else hangs"):
            type_in(terminal, "the switch")
            continue
        titles += [line[8:].strip() for line in terminal.screen().splitlines() if " of " in line[:8]][-1:]
        terminal.press("a", "Enter")
    return titles


def kept(machine: Machine, name: str) -> Any:
    return json.loads(machine.read(f"{KEPT}/000001/{name}"))


def test_a_look_fires_nothing_and_keeps_nothing(well: Lab) -> None:
    host, begin = well.host, time.time()
    before = tree(host)
    shown = wizard(host, "fsd", "--show").stdout
    for line in (
        "met             client debiantpl (192.168.1.10): logged in from 192.168.1.10",
        "met             mains at apc: ups.status: OL",
        "HOSTSYNC (3 s) may end before the clients have left: nutwizard step timing",
    ):
        assert line in shown.splitlines()
    assert "debiantpl first, this one last" in shown
    assert not host.exists(KEPT)
    assert (tree(host), said(host, begin, "REHEARSAL"), status(host, "apc")) == (before, [], "OL")


def test_without_a_terminal_nothing_is_fired(well: Lab) -> None:
    host, begin = well.host, time.time()
    for words in (("fsd",), ("fsd", "--plain"), ("--on-battery", "fsd")):
        done = wizard(host, *words, code=2, stdin="a\na\na\nthe switch\na\npve\n")
        assert "only fired by a person at a terminal" in done.stderr
    for words in (("fsd",), ("fsd", "--show"), ("fsd", "report")):
        assert "Only root may" in wizard(host, *words, code=8, user="daemon").stderr
    assert "unrecognized arguments: --yes" in wizard(host, "fsd", "--yes", code=2).stderr
    assert "No forced shutdown was tested here yet" in wizard(host, "fsd", "report", code=2).stderr
    assert (host.exists(KEPT), said(host, begin, "REHEARSAL")) == (False, [])


def test_who_leaves_before_the_name_fires_nothing(well: Lab) -> None:
    host, begin = well.host, time.time()
    with Terminal(host, "fsd") as terminal:
        assert "this machine afterwards" in acknowledge(terminal)
        terminal.press("C-c")
        assert terminal.end() == 130
        assert "Nothing was fired." in terminal.screen()
    assert host.read(f"{KEPT}/loads") == b"the switch\n"
    assert host.run(["ls", KEPT]).stdout.split() == ["loads"]
    assert (said(host, begin, "REHEARSAL"), status(host, "apc")) == ([], "OL")


def test_the_name_fires_and_both_machines_go_the_client_first(well: Lab) -> None:
    host, vm, begin = well.host, well.vm, time.time()
    with Running(vm, "fsd") as follower, Terminal(host, "fsd") as terminal:
        assert "what else hangs on the UPS" in acknowledge(terminal)
        type_in(terminal, "pve")
        last = host.wait_log(OFF, since=begin, timeout=LIMIT).at
        terminal.wait(lambda: "is written; SHUTDOWNCMD is called now" in terminal.screen() or None, LIMIT)
        seen = terminal.screen()
        for text in ("FSD is set in upsd", "debiantpl (192.168.1.10) has logged out"):
            assert text in seen
        pid = host.run(["pgrep", "-nf", "nutwizard fsd"], check=True).stdout.strip()
        host.run(["kill", "-INT", pid], check=True)
        assert terminal.end() == 130
        assert follower.process.poll() is None
    first = vm.wait_log(OFF, since=begin).at
    assert first < last
    calls = [[text for text in said(each, begin, "REHEARSAL") if "wall" not in text] for each in (host, vm)]
    assert calls == [[OFF], [OFF]]
    assert "FSD" in status(host, "apc")
    assert host.exists(FLAG)
    record = kept(host, "record.json")
    assert (record["boot"], record["host"], record["nut"]) == (FIRST, "pve", nut(host))
    assert (record["logged_in"], record["at"] > begin) == ([VM_ADDRESS], True)
    assert any("the switch" in text for text in record["acknowledged"])
    assert kept(vm, "record.json")["role"] == "client"
    for machine in (host, vm):
        stored = machine.run(["cat", *machine.run(["find", KEPT, "-type", "f"]).stdout.split()]).stdout
        assert CANARY not in stored


def nut(machine: Machine) -> str:
    words = ["dpkg-query", "-W", "-f", "${Version}", "nut-client"]
    return machine.run(words, check=True).stdout.partition("-")[0]


def test_a_machine_that_stayed_is_told_so_with_the_way_back(well: Lab) -> None:
    host = well.host
    told = wizard(host, "fsd", "report", code=4).stdout
    for line in (
        "NOT WELL This host did not go down: it still runs the boot in which the test was fired",
        "NOT WELL FSD is still set in upsd for apc: an upsmon that starts now shuts its machine down",
        f"NOT WELL {FLAG} is still there: the next plain shutdown would cut the power",
        "    systemctl restart nut-server",
    ):
        assert line.strip() in " ".join(told.split())
    shown = wizard(host, "fsd", "--show", code=BLOCKED)
    assert "A forced shutdown is under way." in shown.stderr
    said_so = " ".join(shown.stdout.split())
    assert "in the way a past shutdown: upsd still holds the order to shut down (FSD)" in said_so
    with Terminal(host, "fsd") as terminal:
        assert terminal.end() == BLOCKED
        assert "What is in the way has to go first." in terminal.screen()
    assert host.run(["ls", KEPT]).stdout.split() == ["000001", "loads"]


def test_after_the_reboot_the_report_tells_what_happened(well: Lab) -> None:
    host, vm = well.host, well.vm
    for machine in (host, vm):
        reboot(well, machine)
    wait_clients(well)
    assert "How it ended: nutwizard fsd report" in wizard(host, "check", code=None).stderr
    vms = wizard(vm, "fsd", "report", "--json").stdout
    assert json.loads(vms)["outcome"] == "ended well"
    host.write("/root/vm.json", vms)
    told = wizard(host, "fsd", "report", "--client", "/root/vm.json").stdout
    assert told.splitlines()[0].endswith(": ended well")
    for line in (
        "well     FSD was set in upsd",
        "well     Before this host went on every client had logged out: debiantpl",
        "well     SHUTDOWNCMD was called",
        "well     This host went down, and is up again",
        "well     FSD is gone from upsd",
        "well     The flag for the hook is gone",
        "well     debiantpl is logged in again",
    ):
        assert line in told.splitlines()
    order = [line.split()[2:] for line in told.splitlines() if line[:1] == " " and "SHUTDOWN" in line]
    assert [words[-1] for words in order if words[-1] == "SHUTDOWNCMD"] == ["SHUTDOWNCMD"] * 2
    again = wizard(host, "fsd", "report").stdout  # what was handed over is kept
    assert again == told
    found = json.loads(wizard(host, "fsd", "report", "--json").stdout)
    assert found["durations"].keys() >= {"clients", "final", "host"}
    assert 0.5 < found["durations"]["final"] < 3
    kept_times = json.loads(host.read("/var/lib/nutwizard/measured.json"))
    assert {row["how"] for row in kept_times} == {How.FSD.value}
    assert {row["what"] for row in kept_times} >= {"notice", "clients", "final", "host"}
    assert check(host).code == 0
    assert "Forced shutdown tested on " in wizard(host, "status").stdout
    assert json.loads(wizard(host, "status", "--json").stdout)["forced"]["outcome"] == "ended well"
    assert "forced shutdown" not in wizard(host, "check").stderr
