"""The screens on real NUT, over ssh at 80x24: they make the files that a replay and `--plain` make."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.tmux import COLUMNS

from .guided import (
    CANARY,
    CLIENT_PASSWORD,
    COMMBAD,
    EVENTS,
    MONITOR_PASSWORD,
    ONLY_WILDCARD,
    SAVED,
    begun,
    plain,
    replay,
    start,
)
from .lab import HOST_ADDRESS, VM_ADDRESS, Lab
from .machine import Machine, wait_until
from .remote import cut, login, sshd
from .screens import OPENING, OVERVIEW, WRITE_LIMIT, Screens, View
from .wizard import check, clients, status, tree, wait_clients, wizard, writer_of

pytestmark = pytest.mark.lab

LOOPBACK = "127.0.0.1"
DESCRIPTION = "Rack 1"
DELAYS = {"offdelay": "45", "ondelay": "90"}
RESUME = "/var/lib/nutwizard/resume"
#: Where a run may leave something.
PLACES = "/etc /root /run /tmp /dev/shm /usr/sbin /var/lib/nutwizard /var/log"
MARK = "/run/start"


@dataclass(frozen=True)
class Made:
    """What the runs through the screens left: all that was seen, the review's headings, the exit codes."""

    lab: Lab
    host: Screens
    vm: Screens
    parts: list[str]
    codes: tuple[int, int]


def set_up_host(screens: Screens) -> list[str]:
    """Every step of the host, to the end of the writing; the review's headings."""
    screens.open_first()
    lists = {"driver": ("F4", "Escape"), "low battery": ("Space", "Escape")}
    screens.step("1 of 11  Mode")
    screens.step("2 of 11  UPS driver", {"description": DESCRIPTION, **DELAYS}, lists)
    screens.step("3 of 11  Listen address", {}, {"addresses": ("F4", *ONLY_WILDCARD, "Enter")})
    screens.step("4 of 11  Client user", {"password": CANARY})
    screens.at("5 of 11  Clients")
    screens.add_client("web", VM_ADDRESS)
    screens.step("5 of 11  Clients")
    screens.step("6 of 11  Monitor", {}, {"its password": ("C-g",)})
    screens.step("7 of 11  Actions", {}, {"events": ("F4", *COMMBAD, "Enter")})
    screens.step("8 of 11  Timing")
    screens.step("9 of 11  Firewall")
    screens.step("10 of 11  Outside")
    screens.step("11 of 11  Services")
    screens.at("Review")
    parts = screens.parts()
    screens.write()
    return parts


def set_up_vm(screens: Screens) -> None:
    """Every step of the client, to the end of the writing."""
    screens.open_first()
    screens.step("1 of 5  Mode")
    screens.step("2 of 5  Monitor", {"server": HOST_ADDRESS, "password": CANARY})
    screens.step("3 of 5  Actions", {}, {"events": ("F4", *COMMBAD, "Enter")})
    screens.step("4 of 5  Timing")
    screens.step("5 of 5  Services")
    screens.write()


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    """The host, then the VM, each over ssh."""
    with ExitStack() as stack:
        lab = begun(stack.enter_context(start()))
        stack.enter_context(sshd(lab, lab.host, LOOPBACK))
        stack.enter_context(sshd(lab, lab.vm, VM_ADDRESS))
        host = stack.enter_context(Screens(login(lab.host, LOOPBACK), "host"))
        parts = set_up_host(host)
        codes = [host.leave()]
        vm = stack.enter_context(Screens(login(lab.host, VM_ADDRESS), "vm"))
        set_up_vm(vm)
        codes.append(vm.leave())
        yield Made(lab, host, vm, parts, (codes[0], codes[1]))


def both_at_once(*jobs: Callable[[], None]) -> None:
    """Two labs wait most of their time."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def plain_lines(generated: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The same answers line by line, for the host and for the VM; "" keeps what is proposed."""
    events = "ONLINE ONBATT LOWBATT COMMBAD"
    actions = (events, "", "", "", "next")
    timing, rest = [""] * 6, ("next", "next", "write", "yes")
    delays = DELAYS.values()
    host = (
        "continue",
        "", "next",
        "", "", "", DESCRIPTION, *delays, "", "", "next",
        "0.0.0.0", "", "next",
        "", CANARY, "next",
        "add", "web", VM_ADDRESS, "done", "next",
        "", generated, "next",
    )  # fmt: skip
    vm = ("continue", "", "next", HOST_ADDRESS, "", "", "", CANARY, "next")
    not_now = [""] * 4  # the host's firewall: no; what is outside: unknown
    return (*host, *actions, *timing, *not_now, *rest), (*vm, *actions, *timing, *rest)


@pytest.fixture(scope="module")
def others(made: Made) -> Iterator[tuple[Lab, Lab]]:
    """The same starting point: the saved answers replayed, and the same answers given through `--plain`."""
    lines = plain_lines(made.lab.host.read(MONITOR_PASSWORD).decode().strip())

    def asked(lab: Lab) -> None:
        for machine, given in zip((lab.host, lab.vm), lines, strict=True):
            plain(machine, lines=given)

    with start() as replayed, start() as by_lines:
        both_at_once(lambda: replay(made.lab, begun(replayed)), lambda: asked(begun(by_lines)))
        yield replayed, by_lines


def test_both_runs_end_well_and_are_proven(made: Made) -> None:
    wait_clients(made.lab)
    assert made.codes == (0, 0)
    for machine in (made.lab.host, made.lab.vm):
        found = check(machine)
        assert (found.code, found.broken()) == (0, {})
    assert clients(made.lab.host) == {LOOPBACK, VM_ADDRESS}
    assert status(made.lab.vm, f"apc@{HOST_ADDRESS}") == "OL"


def test_what_was_chosen_is_in_the_files(made: Made) -> None:
    host, vm = made.lab.host, made.lab.vm
    section = host.read("/etc/nut/ups.conf").decode().rpartition("[apc]")[2]
    assert f'desc = "{DESCRIPTION}"' in section
    assert dict(re.findall(r"(offdelay|ondelay) = (\d+)", section)) == DELAYS
    assert re.findall(r"(?m)^LISTEN .*$", host.read("/etc/nut/upsd.conf").decode()) == ["LISTEN 0.0.0.0 3493"]
    assert re.fullmatch(r"[\w-]{24}\n", host.read(MONITOR_PASSWORD).decode())
    assert f"server: {HOST_ADDRESS}" in host.read("/etc/nutwizard/clients/web/answers.yaml").decode()
    for machine in (host, vm):
        assert f"events: {EVENTS}" in machine.read(SAVED).decode()
        assert machine.read(CLIENT_PASSWORD).decode() == f"{CANARY}\n"


def test_the_review_shows_every_part(made: Made) -> None:
    changed = {path for path in made.parts if path.startswith("/")}
    written = set(re.findall(r"s  writing (/\S+)", made.host.everything()))
    assert changed <= written
    assert {path for path in written - changed if not path.endswith((".orig", ".bkp"))} == set()
    assert {"/etc/nut/nut.conf", "/usr/sbin/upssched-cmd", SAVED} <= changed
    assert made.parts[-3:] == ["then", "kept as it is now", "the same again"]


@pytest.mark.parametrize("which", ["replayed", "plain"])
def test_the_same_answers_make_the_same_files(made: Made, others: tuple[Lab, Lab], which: str) -> None:
    other = others[which == "plain"]
    assert tree(other.host) == tree(made.lab.host)
    assert tree(other.vm) == tree(made.lab.vm)
    assert check(other.vm).code == 0


def test_a_replay_of_the_saved_answers_plans_nothing(made: Made) -> None:
    for machine in (made.lab.host, made.lab.vm):
        assert wizard(machine, "plan", SAVED).stdout == "Nothing to do: everything is in place.\n"


def test_no_password_is_shown_and_no_row_is_wider(made: Made) -> None:
    generated = made.lab.host.read(MONITOR_PASSWORD).decode().strip()
    for screens in (made.host, made.vm):
        seen = screens.everything()
        assert "*" * len(CANARY) in seen
        assert seen.isascii()
        assert [line for line in seen.splitlines() if len(line) > COLUMNS] == []
        for secret in (CANARY, generated):
            assert secret not in seen
            assert secret.encode() not in screens.raw()


@pytest.fixture(scope="module")
def lines() -> Iterator[Lab]:
    """A host at its starting point, to be reached over a line that gets lost."""
    with start() as lab, sshd(begun(lab), lab.host, LOOPBACK):
        lab.host.run(["touch", MARK], check=True)
        yield lab


def lose(host: Machine, screens: Screens) -> None:
    """Kill the ssh client; the wizard itself ends with its terminal."""
    wizards = ["pgrep", "-f", "--", "-m nutwizard$"]  # a worker has another command line
    assert host.run(wizards).returncode == 0
    cut(host)
    assert screens.end() == 128 + 9
    wait_until(lambda: host.run(wizards).returncode or None, 10.0)


def holding(host: Machine, text: str) -> set[str]:
    """The files that hold a text, of those that came since the start."""
    find = f"find {PLACES} -xdev -newer {MARK} -type f -exec grep -lF -- {shlex.quote(text)} {{}} +"
    return set(host.run(["sh", "-c", find]).stdout.split())


def test_a_line_lost_in_a_step_loses_no_answer(lines: Lab) -> None:
    host, kept = lines.host, f"{RESUME}/client_user.password"
    with Screens(login(host, LOOPBACK), "host") as screens:
        screens.open_first()
        screens.press("C-n")
        screens.step("2 of 11", {"description": DESCRIPTION, **DELAYS})
        screens.at("3 of 11")
        screens.press("C-n")
        screens.at("4 of 11")
        screens.on("user name")
        screens.accept()
        screens.send(CANARY)
        screens.shows("password", "*" * len(CANARY))
        wait_until(lambda: (host.exists(kept) and host.read(kept).decode() == f"{CANARY}\n") or None, 15.0)
        lose(host, screens)
    assert holding(host, CANARY) == {kept}
    listed = host.run(["find", RESUME, "-printf", "%P %u:%g %m\n"], check=True).stdout
    names = ("answers.yaml", "client_user.password", "place")
    assert set(listed.splitlines()) == {" root:root 700", *(f"{name} root:root 600" for name in names)}
    with Screens(login(host, LOOPBACK), "host") as screens:
        screens.at("4 of 11  Client user")
        screens.says("are here again")
        assert "generated" not in View(screens.still()).fields["password"]
        for place in ("3 of 11", "2 of 11", "1 of 11", OVERVIEW):
            screens.press("Escape")
            screens.at(place)
            if place == "2 of 11":
                fields = View(screens.still()).fields
                given = {label: fields[label].split("  ")[0] for label in ("description", *DELAYS)}
                assert given == {"description": DESCRIPTION, **DELAYS}
        screens.press("t")
        screens.write()
        assert screens.leave() == 0
    assert host.read(CLIENT_PASSWORD).decode() == f"{CANARY}\n"
    assert f'desc = "{DESCRIPTION}"' in host.read("/etc/nut/ups.conf").decode()
    assert not host.exists(kept)
    assert not host.exists(f"{RESUME}/answers.yaml")
    assert (check(host).code, wizard(host, "plan", SAVED).returncode) == (0, 0)


def test_a_line_lost_during_the_writing_stops_nothing(lines: Lab) -> None:
    host = lines.host
    with Screens(login(host, LOOPBACK), "host") as screens:
        if screens.until(lambda view: view.title.startswith((OPENING, OVERVIEW))).title.startswith(OPENING):
            screens.press("Enter")
        screens.at(OVERVIEW)
        screens.press("2")
        screens.step("2 of 11  UPS driver  (this step alone)", {"description": "Another one"})
        screens.begin_writing()
        screens.says("restart nut-driver")
        worker = writer_of(host)
        lose(host, screens)
    assert host.exists(f"/proc/{worker}")
    wait_until(lambda: None if host.exists(f"/proc/{worker}") else True, WRITE_LIMIT)
    assert 'desc = "Another one"' in host.read("/etc/nut/ups.conf").decode()
    with Screens(login(host, LOOPBACK), "host") as screens:
        screens.at("Before this start")
        said = " ".join(screens.says("The last run ended when nobody was listening any more.").text.split())
        told = re.search(r"Transaction (\d+): \d+ files? changed\.", said)
        screens.press("Enter")
        screens.at(OVERVIEW)
        screens.press("q")
        screens.says("Leave nutwizard?")
        screens.press("l")
        assert screens.end() == 130
    history = wizard(host, "history")
    assert told is not None
    assert re.search(rf"(?m)^ *{told[1]}  .*  committed  ", history.stdout)
    assert history.stderr == ""
    assert check(host).code == 0
