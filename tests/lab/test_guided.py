"""The guided run on real NUT, key by key at 80x24: it makes the files that a replay of its answers makes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.tmux import COLUMNS

from .guided import (
    CANARY,
    CLIENT_PASSWORD,
    COMMBAD,
    EVENTS,
    ONLY_WILDCARD,
    SAVED,
    begun,
    plain,
    replay,
    start,
)
from .lab import HOST_ADDRESS, VM_ADDRESS, Lab
from .terminal import Terminal
from .wizard import check, clients, status, tree, wait_clients, wizard

pytestmark = pytest.mark.lab

DESCRIPTION = "UPS of the rack, left"
DELAYS = {"offdelay": "45", "ondelay": "90", "lowbatt": "50"}


@dataclass(frozen=True)
class Made:
    """What the guided runs left: everything that was seen on each machine, with its exit code."""

    lab: Lab
    host: tuple[int, Terminal]
    vm: tuple[int, Terminal]


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    """The guided run on the host, then in the VM."""
    with start() as lab:
        begun(lab)
        with Terminal(lab.host) as at_host:
            typed = {"description": DESCRIPTION, **DELAYS, "password": CANARY}
            at_host.answer(typed, {"addresses": ONLY_WILDCARD, "events": COMMBAD})
            at_host.press("y")
            host = at_host.end(), at_host
            with Terminal(lab.vm) as at_vm:
                at_vm.answer({"server": HOST_ADDRESS, "password": CANARY}, {"events": COMMBAD})
                at_vm.press("y")
                yield Made(lab, host, (at_vm.end(), at_vm))


@pytest.fixture(scope="module")
def replayed(made: Made) -> Iterator[Lab]:
    """The same starting point, with the saved answers and passwords carried over and applied."""
    with start() as lab:
        begun(lab)
        replay(made.lab, lab)
        yield lab


def test_both_runs_end_well_and_are_proven(made: Made) -> None:
    wait_clients(made.lab)
    for machine, (code, terminal) in ((made.lab.host, made.host), (made.lab.vm, made.vm)):
        assert code == 0, terminal.screen()
        found = check(machine)
        assert (found.code, found.broken()) == (0, {})
    assert clients(made.lab.host) == {"127.0.0.1", VM_ADDRESS}
    assert status(made.lab.vm, f"apc@{HOST_ADDRESS}") == "OL"


def test_what_was_chosen_is_in_the_files(made: Made) -> None:
    host, vm = made.lab.host, made.lab.vm
    section = host.read("/etc/nut/ups.conf").decode().rpartition("[apc]")[2]
    assert f'desc = "{DESCRIPTION}"' in section
    assert dict(re.findall(r"(offdelay|ondelay|lowbatt) = (\d+)", section)) == DELAYS
    assert re.findall(r"(?m)^LISTEN .*$", host.read("/etc/nut/upsd.conf").decode()) == ["LISTEN 0.0.0.0 3493"]
    for machine in (host, vm):
        upsmon, upssched, answers = (
            machine.read(path).decode() for path in ("/etc/nut/upsmon.conf", "/etc/nut/upssched.conf", SAVED)
        )
        assert re.search(r"(?m)^NOTIFYFLAG COMMBAD \S*EXEC", upsmon)
        assert re.search(r"(?m)^AT COMMBAD \S+ EXECUTE commbad$", upssched)
        assert f"events: {EVENTS}" in answers
        assert machine.read(CLIENT_PASSWORD).decode() == f"{CANARY}\n"


def test_the_replay_makes_the_same_files(made: Made, replayed: Lab) -> None:
    for guided, again in ((made.lab.host, replayed.host), (made.lab.vm, replayed.vm)):
        assert tree(guided) == tree(again)
        assert check(again).code == 0


def test_a_replay_of_the_saved_answers_plans_nothing(made: Made) -> None:
    for machine in (made.lab.host, made.lab.vm):
        assert wizard(machine, "plan", SAVED).stdout == "Nothing to do: everything is in place.\n"


def test_the_password_is_on_no_screen_and_nothing_is_wider(made: Made) -> None:
    for _, terminal in (made.host, made.vm):
        seen = terminal.everything()
        assert "Write this now?" in seen
        assert "*" * len(CANARY) in seen
        assert CANARY not in seen
        wide = [line for line in seen.splitlines() if len(line) > COLUMNS]
        assert wide == []


def test_every_screen_tells_where_one_is(made: Made) -> None:
    for count, (_, terminal) in ((11, made.host), (5, made.vm)):
        seen = terminal.everything()
        places = [*(f"{n} of {count}  " for n in range(1, count + 1)), "Review  ", "Writing", "Result  "]
        found = [seen.find(f"\n{place}") for place in places]
        assert -1 not in found
        assert found == sorted(found)


def test_the_overview_of_a_finished_machine_writes_nothing(made: Made) -> None:
    before = tree(made.lab.host)
    with Terminal(made.lab.host) as terminal:
        assert terminal.question().startswith("What now?")
        assert "Everything is in place. To see that it works: prove, below." in terminal.screen()
        terminal.press("Enter")
        assert terminal.end() == 0
    assert tree(made.lab.host) == before


@pytest.mark.parametrize("keys", [(), ("Enter", "Enter")])
def test_ctrl_c_writes_nothing(made: Made, keys: tuple[str, ...]) -> None:
    before = tree(made.lab.vm)
    with Terminal(made.lab.vm, "step", "monitor") as terminal:
        for key in keys:
            terminal.question()
            terminal.press(key)
        terminal.question()
        terminal.press("C-c")
        assert terminal.end() == 130
        assert "Nothing was written." in terminal.screen()
    assert tree(made.lab.vm) == before


#: The same answers line by line; "" keeps what is proposed. A step's fields, then its menu.
LINES = (
    "continue",
    "", "next",
    "", "", "", DESCRIPTION, DELAYS["offdelay"], DELAYS["ondelay"], "", DELAYS["lowbatt"], "next",
    "0.0.0.0", "", "next",
    "", CANARY, "next",
    "", "next",  # no clients
    "", "", "next",
    "ONLINE ONBATT LOWBATT COMMBAD", "", "", "", "next",
    *[""] * 6,  # timing changes nothing
    "",  # no rules in Proxmox VE's firewall
    *[""] * 3,  # what is outside is not known yet
    "next",
    "write", "yes",
)  # fmt: skip


def test_plain_lines_over_a_pipe_make_the_same_files(made: Made) -> None:
    with start() as lab:
        seen = plain(begun(lab).host, lines=LINES)
        assert tree(lab.host) == tree(made.lab.host)
    assert CANARY not in seen
    assert "\x1b" not in seen


def changed(before: list[str], after: list[str]) -> set[str]:
    """The paths whose owner, mode or content is another."""
    lines = set(before) ^ set(after)
    return {path for line in lines for path in re.findall(r"/(?:etc|usr)/\S+", line)}


def test_one_step_of_a_new_set_up_writes_what_it_showed() -> None:
    """Secrets that are still to be made belong to steps that are not asked."""
    with start() as lab:
        host, before = begun(lab).host, tree(lab.host)
        seen = plain(host, "step", "driver", lines=(*[""] * 8, "next", "write", "yes"))
        after = changed(before, tree(host))
    shown, written = (
        set(re.findall(r"(?m)^(?:  |writing )(/\S+)", part)) for part in seen.split("\nWriting\n")
    )
    assert written == shown
    assert after == {*written, "/etc/nutwizard"}
    assert "/etc/nut/ups.conf" in written


def test_one_step_changes_what_belongs_to_it_alone(replayed: Lab) -> None:
    host, before = replayed.host, tree(replayed.host)
    seen = plain(host, "step", "driver", lines=("", "", "", "", "50", "95", "", "", "next", "write", "yes"))
    assert changed(before, tree(host)) == {"/etc/nut/ups.conf", SAVED}
    assert "2 of 11  UPS driver" in seen
    assert "Listen address" not in seen
    assert check(host).code == 0


def test_a_replay_asks_the_steps_that_it_is_told_to(replayed: Lab) -> None:
    host, before = replayed.host, tree(replayed.host)
    lines = ("", "", "", "another one", "", "", "", "", "next", "write", "yes")
    seen = plain(host, "apply", SAVED, "--ask", "driver", lines=lines)
    assert changed(before, tree(host)) == {"/etc/nut/ups.conf"}
    assert b'desc = "another one"' in host.read("/etc/nut/ups.conf")
    assert "Client user" not in seen


def test_a_step_names_the_steps_that_it_affects(replayed: Lab) -> None:
    host, before = replayed.host, tree(replayed.host)
    seen = plain(host, "step", "driver", lines=("rack", *[""] * 7, "next", "quit"), code=130)
    review = seen.rpartition("Review")[2]
    assert re.search(r"/etc/nut/ups\.conf +\d+ lines? +driver", review)
    assert re.search(r"/etc/nut/upsmon\.conf +\d+ lines? +monitor", review)
    assert re.search(r"/etc/nut/upssched\.conf +\d+ lines? +actions", review)
    assert "restart nut-monitor.service" in review
    assert "upsd.users" not in review
    assert tree(host) == before
