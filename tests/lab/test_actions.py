"""Timers, the script and what is the user's own, on real NUT: upsmon, upssched and its timers."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .lab import HOST_ADDRESS, Lab
from .machine import Machine, wait_until
from .startpoints import CLIENT_FILES, stock_files
from .terminal import Terminal
from .wizard import (
    CLIENT_ANSWERS,
    HOST_ANSWERS,
    PASSWORD,
    apply_host,
    client_answers,
    host_answers,
    quick,
    status,
    wait_clients,
    wizard,
)

pytestmark = pytest.mark.lab

SCRIPT, OWN, SAVED = "/usr/sbin/upssched-cmd", "/usr/local/sbin/upssched-own", "/etc/nutwizard/answers.yaml"
TIMERS = """  timers:
  - {event: ONBATT, name: soon, seconds: 2, cancel: ONLINE, then: script}
  - {event: ONBATT, name: dying, seconds: 9, cancel: ONLINE, then: fsd}
"""
OWN_TIMER = "  timers: [{event: ONBATT, name: soon, seconds: 2, cancel: ONLINE, then: script}]\n"
OWN_ACTIONS = '#!/bin/sh\nlogger -t own -- "$(id -un) $# <$1> <$2> <$3>"\n'
OWN_SCRIPT = '#!/bin/sh\nlogger -t mine -- "$1 $UPSNAME"\n'
#: The driver asks every 2 s, upsmon every second; upssched's daemon stays for 15 s after its last timer.
SEEN, DAEMON = 8.0, 40.0


@pytest.fixture(scope="module")
def timed() -> Iterator[Lab]:
    """The host with timers and own actions; the VM with a script of its user's own and a timer."""
    stock = quick(stock_files())
    with Lab(stock, {name: stock[name] for name in CLIENT_FILES}) as lab:
        lab.host.write(OWN, OWN_ACTIONS, mode=0o755)
        lab.vm.write(SCRIPT, OWN_SCRIPT, mode=0o755)
        apply_host(lab.host, host_answers() + TIMERS)
        lab.vm.write(PASSWORD, lab.host.read(PASSWORD), mode=0o600)
        lab.vm.write(CLIENT_ANSWERS, client_answers() + OWN_TIMER + "  script: ours\n", mode=0o600)
        wizard(lab.vm, "apply", CLIENT_ANSWERS)
        wait_clients(lab)
        yield lab


def outage(lab: Lab) -> float:
    """The power fails; seconds since 1970."""
    begin = time.time()
    lab.host.ups("OB DISCHRG", charge=70)
    return begin


def said(machine: Machine, since: float, text: str) -> list[str]:
    return [line.text for line in machine.log() if line.at >= since and text in line.text]


def test_a_second_plan_finds_nothing(timed: Lab) -> None:
    for machine, answers in ((timed.host, HOST_ANSWERS), (timed.vm, CLIENT_ANSWERS)):
        assert "Nothing to do: everything is in place." in wizard(machine, "plan", answers).stdout


def test_power_that_returns_cancels_the_shutdown(timed: Lab) -> None:
    host, begin = timed.host, outage(timed)
    host.wait_log("New timer: dying (9 seconds)", SEEN, begin)
    told = "apc@localhost, [OB DISCHRG]:70% - WARNING - On battery for 2 s."
    assert host.wait_log(told, SEEN, begin).tag == "upssched-cmd"
    for word, message in (
        ("onbatt", "Power failure. Now running on battery."),
        ("soon", "On battery for 2 s."),
    ):
        text = f"nut 3 <{word}> <apc@localhost> <apc@localhost, [OB DISCHRG]:70% - WARNING - {message}>"
        assert host.wait_log(text, SEEN, begin).tag == "own"
    host.ups("OL", charge=100)
    host.wait_log("Cancelling timer: dying", SEEN, begin)
    host.wait_log("INFO - Power supply is back online.", SEEN, begin)
    wait_until(lambda: host.run(["pgrep", "-x", "upssched"]).returncode or None, DAEMON, 0.5)
    assert said(host, begin, "Shutting down now") == []
    assert said(host, begin, "would run") == []


def test_the_users_own_script_gets_every_word(timed: Lab) -> None:
    vm, begin = timed.vm, outage(timed)
    for word in ("onbatt", "soon"):
        assert vm.wait_log(f"{word} apc@{HOST_ADDRESS}", SEEN, begin).tag == "mine"
    timed.host.ups("OL", charge=100)
    vm.wait_log(f"online apc@{HOST_ADDRESS}", SEEN, begin)


def test_the_users_own_script_is_kept_in_every_run(timed: Lab) -> None:
    """Applied, asked again, and replayed from what was saved: answers files that say `ours` do not count."""
    vm = timed.vm
    begin = time.time()
    assert vm.read(SCRIPT).decode() == OWN_SCRIPT
    assert (
        "actions.script: ours of the answers file is not followed"
        in wizard(vm, "plan", CLIENT_ANSWERS).stdout
    )
    with Terminal(vm, "step", "actions") as terminal:
        terminal.answer({}, {})
        terminal.press("y")
        assert terminal.end() == 0
        seen = terminal.everything()
    assert "so it would be replaced by ours; keep leaves it as it is" in seen
    assert '- logger -t mine -- "$1 $UPSNAME"' in seen
    assert vm.read(SCRIPT).decode() == OWN_SCRIPT
    saved = vm.read(SAVED).decode()
    assert "script: keep" in saved
    vm.write(SAVED, saved.replace("script: keep", "script: ours"), mode=0o600)
    wizard(vm, "apply", SAVED)
    assert vm.read(SCRIPT).decode() == OWN_SCRIPT
    assert not vm.exists(f"{SCRIPT}.orig")
    assert said(vm, begin, "would run") == []


def test_ours_takes_its_place_when_a_person_says_so(timed: Lab) -> None:
    vm = timed.vm
    with Terminal(vm, "step", "actions") as terminal:
        terminal.answer({}, {"script": ("Up",)})
        terminal.press("y")
        assert terminal.end() == 0
    assert vm.read(f"{SCRIPT}.orig").decode() == OWN_SCRIPT
    assert b"written by nutwizard; checksum" in vm.read(SCRIPT)
    assert "    'soon') text='WARNING - On battery for 2 s.' ;;" in vm.read(SCRIPT).decode().splitlines()
    assert wizard(vm, "plan", SAVED).stdout == "Nothing to do: everything is in place.\n"


def test_a_timer_of_a_client_shuts_down_the_client_alone(timed: Lab) -> None:
    vm = timed.vm
    answers = client_answers() + OWN_TIMER.replace("then: script", "then: fsd")
    vm.write(CLIENT_ANSWERS, answers, mode=0o600)
    assert "the timer soon shuts down this machine alone" in wizard(vm, "plan", CLIENT_ANSWERS, code=3).stdout
    wizard(vm, "apply", CLIENT_ANSWERS)
    wait_clients(timed)
    begin = outage(timed)
    vm.wait_log("On battery for 2 s. Shutting down now.", SEEN, begin)
    vm.wait_log("would run: shutdown -h +0", SEEN, begin)
    timed.host.ups("OL", charge=100)
    timed.host.wait_log("Cancelling timer: dying", SEEN, begin)
    assert said(timed.host, begin, "would run") == []
    wait_until(lambda: status(timed.host, "apc@localhost") == "OL" or None, 5.0)
    vm.write(CLIENT_ANSWERS, client_answers() + OWN_TIMER, mode=0o600)
    wizard(vm, "apply", CLIENT_ANSWERS)
    assert vm.systemctl("restart", "nut-monitor").returncode == 0


def test_a_timer_shuts_everything_down_early(timed: Lab) -> None:
    wait_clients(timed)
    begin = outage(timed)
    started = timed.host.wait_log("New timer: dying (9 seconds)", SEEN, begin)
    told = "apc@localhost, [OB DISCHRG]:70% - WARNING - On battery for 9 s. Shutting down now."
    ended = timed.host.wait_log(told, 20.0, begin)
    assert 8 <= ended.at - started.at < 13  # upssched counts whole seconds
    client, server = (
        machine.wait_log("would run: shutdown -h +0", 20.0, begin) for machine in (timed.vm, timed.host)
    )
    assert ended.at < client.at < server.at
    assert timed.host.exists("/etc/killpower")
    assert said(timed.host, begin, "ERROR") == []
