"""A forced shutdown that is one: files that nutwizard wrote, real systemd, both off, the client first."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.lab.lab import HOST_ADDRESS, VM_ADDRESS
from tests.lab.wizard import check, status, wizard

from .forced import KILLPOWER, OFF_DELAY, ON_DELAY, Cut, LoggedIn, fire, power_back, set_up
from .nspawned import Nspawned
from .rig import Rig

pytestmark = pytest.mark.nspawn

#: upsmon's defaults, which nutwizard leaves: FINALDELAY, HOSTSYNC, POLLFREQ in seconds.
FINAL_DELAY, HOST_SYNC, POLL = 5.0, 15.0, 5.0
#: Seconds that anything may take here more than it has to.
SLACK = 5.0
VM_REPORT = "/root/vm.json"
SCREEN_LIMIT = 30.0
#: Seconds by which a report may differ from the journal: it has tenths, and its own look at the clock.
ALIKE = 0.2
SHUTDOWN_LINE = "SHUTDOWNCMD calling /sbin/shutdown to shut down system"
#: The guide's lines as NUT 2.8.0 writes them, and what systemd says around them, in their order.
HOST_LINES = [
    "Signal 10: User requested FSD",
    "Client upsmon@127.0.0.1 set FSD on UPS [apc]",
    "Executing automatic power-fail shutdown",
    "Auto logout and shutdown proceeding.",
    SHUTDOWN_LINE,
    "System is powering down.",
    "Stopped nut-monitor.service",
    "Stopped nut-server.service",
    "Stopped nut-driver@apc.service",
    "Reached target poweroff.target",
    "Journal stopped",
]
VM_LINES = [
    f"UPS apc@{HOST_ADDRESS}: Forced shutdown in progress.",
    "Executing automatic power-fail shutdown",
    "Auto logout and shutdown proceeding.",
    SHUTDOWN_LINE,
    "System is powering down.",
    "Stopped nut-monitor.service",
    "Reached target poweroff.target",
    "Journal stopped",
]


@pytest.fixture(scope="module")
def served(rig: Rig) -> Rig:
    set_up(rig)
    return rig


@pytest.fixture(scope="module")
def cut(served: Rig) -> Cut:
    return fire(served)


@pytest.fixture(scope="module")
def back(served: Rig, cut: Cut) -> Rig:
    power_back(served, cut)
    return served


def proven(machine: Nspawned) -> None:
    """Every link of the chain is proven but for what no program can see."""
    found = check(machine)
    unproven = {
        link["subject"] for link in found.links if link["status"] != "proven" and link["step"] != "outside"
    }
    assert (found.code, unproven, found.rules()) == (0, set(), set())


def test_the_check_proves_both(served: Rig) -> None:
    proven(served.host)
    proven(served.vm)


def test_both_are_off_and_the_client_first(cut: Cut) -> None:
    assert (cut.host.off.code, cut.vm.off.code) == (0, 0)
    assert cut.asked < cut.vm.off.at < cut.host.off.at


def test_the_lines_of_the_guide_stand_in_both_journals(cut: Cut) -> None:
    host, vm = cut.host.times(HOST_LINES), cut.vm.times(VM_LINES)
    executing, proceeding = HOST_LINES[2:4]
    seen = vm[VM_LINES[0]]
    assert cut.asked - 1 < host[HOST_LINES[0]] <= seen < cut.asked + POLL + SLACK
    for times in (host, vm):
        assert FINAL_DELAY - 0.5 < times[SHUTDOWN_LINE] - times[proceeding] < FINAL_DELAY + SLACK
    # The host waits until its client has left, which it does when its shutdown begins.
    assert vm[SHUTDOWN_LINE] - 0.5 < host[executing] < vm[SHUTDOWN_LINE] + SLACK
    assert host[executing] - host[HOST_LINES[0]] < HOST_SYNC
    assert vm[SHUTDOWN_LINE] < host[SHUTDOWN_LINE]
    assert "Forced shutdown in progress" not in "\n".join(line.text for line in cut.host.log)


def test_the_ups_is_told_last_of_all(cut: Cut) -> None:
    (told,) = cut.told
    assert (told["ups"], told["offdelay"], told["ondelay"]) == ("apc", str(OFF_DELAY), str(ON_DELAY))
    assert max(cut.vm.off.at, cut.host.log[-1].at) < told["at"] < cut.host.off.at
    # What it waits before it cuts is enough for what is left to do.
    assert cut.host.off.at < told["at"] + float(told["offdelay"])


def test_the_flag_is_on_both_disks(cut: Cut) -> None:
    assert (cut.host.flag, cut.vm.flag) == ("upsmon-shutdown-file", "upsmon-shutdown-file")


def test_only_the_name_of_the_host_fires_it(cut: Cut) -> None:
    assert cut.questions == ["what else hangs on the UPS", "this machine afterwards"]
    assert "Type pve to fire, Ctrl-C to leave." in cut.refused
    assert cut.status == "OL"


def test_the_terminals_show_it_and_lose_their_lines_the_client_first(cut: Cut) -> None:
    assert "FSD is set in upsd" in cut.host.screen
    assert f"debiantpl ({VM_ADDRESS}) has logged out" in cut.host.screen
    assert "FSD is set on the server: this machine shuts down." in cut.vm.screen
    assert cut.host_line
    for fell, address in ((cut.host, HOST_ADDRESS), (cut.vm, VM_ADDRESS)):
        assert f"Connection to {address} closed by remote host." in fell.screen


def test_nothing_is_left_of_it_after_the_next_boot(back: Rig) -> None:
    assert status(back.host, "apc") == "OL"
    for machine in (back.host, back.vm):
        assert not machine.exists(KILLPOWER)
        assert len(machine.boots()) == 2
        assert not any(SHUTDOWN_LINE in line.text for line in machine.log())
        proven(machine)


def test_the_first_screen_tells_of_the_test(back: Rig) -> None:
    with LoggedIn(back, back.host) as terminal:
        text = "A forced shutdown was tested. How it ended: nutwizard fsd report"
        terminal.wait(lambda: text in terminal.screen() or None, SCREEN_LIMIT)


def test_the_host_alone_does_not_know_when_its_client_was_down(back: Rig) -> None:
    shown = wizard(back.host, "fsd", "report", code=4).stdout
    assert shown.splitlines()[0].endswith("not known how it ended")
    assert "open     When debiantpl was down is not told here\n" in shown


def reported(machine: Nspawned, *words: str) -> dict[str, Any]:
    """What `fsd report --json` says of a test that has ended well."""
    made: dict[str, Any] = json.loads(wizard(machine, "fsd", "report", *words, "--json").stdout)
    bad = [point for point in made["points"] if point["good"] is False]
    assert (made["outcome"], bad, {row["fit"] for row in made["rows"]}) == ("ended well", [], {"as expected"})
    return made


def rows(made: dict[str, Any], who: str) -> dict[str, float]:
    """When a report has what, in seconds since 1970."""
    return {row["what"]: made["begin"] + row["at"] for row in made["rows"] if row["who"] == who}


def test_the_report_says_what_the_journals_say(back: Rig, cut: Cut) -> None:
    host, vm = cut.host.times(HOST_LINES), cut.vm.times(VM_LINES)
    asked, was_set, executing = HOST_LINES[:3]
    own = reported(back.vm)
    told = rows(own, "debiantpl")
    assert 0 <= booted(back.vm) - told.pop("it is up again") < SLACK
    assert told == pytest.approx(
        {
            "sees FSD": vm[VM_LINES[0]],
            "SHUTDOWN": vm[executing],
            "SHUTDOWNCMD": vm[SHUTDOWN_LINE],
            "its log ends": cut.vm.log[-1].at,
        },
        abs=ALIKE,
    )
    back.host.write(VM_REPORT, json.dumps(own))
    made = reported(back.host, "--client", VM_REPORT)
    told = rows(made, "pve")
    assert 0 <= booted(back.host) - told.pop("it is up again") < SLACK
    assert told == pytest.approx(
        {
            "upsmon is told to force the shutdown": host[asked],
            "FSD is set in upsd": host[was_set],
            "SHUTDOWN: its own part begins": host[executing],
            "SHUTDOWNCMD": host[SHUTDOWN_LINE],
            "its log ends": cut.host.log[-1].at,
        },
        abs=ALIKE,
    )
    seen = rows(made, "debiantpl")
    left = seen.pop("is gone from upsd's list by now")
    assert vm[SHUTDOWN_LINE] - ALIKE < left < host[executing] + 1
    assert seen == pytest.approx(
        {
            "sees FSD": vm[VM_LINES[0]],
            "SHUTDOWNCMD": vm[SHUTDOWN_LINE],
            "its log ends": cut.vm.log[-1].at,
        },
        abs=ALIKE,
    )
    assert made["durations"]["final"] == pytest.approx(host[SHUTDOWN_LINE] - host[executing], abs=ALIKE)


def booted(machine: Nspawned) -> float:
    """When the first line of the boot under way was written."""
    return machine.boots()[-1][0].at


def test_the_report_is_for_reading_too(back: Rig) -> None:
    shown = wizard(back.host, "fsd", "report").stdout
    assert "Forced shutdown on this host (pve)" in shown.splitlines()[0]
    assert shown.splitlines()[0].endswith("ended well")
    assert "well     debiantpl is logged in again\n" in shown
    assert "NOT WELL" not in shown
    assert "what else hangs on the UPS: loses its power for some seconds: the switch" in shown
    told = wizard(back.host, "status").stdout
    assert re.search(r"Forced shutdown tested on [0-9-]{10}: ended well$", told.rstrip())
