"""Pictures of the screens, at 80x24 and at 120x40, compared with those that were looked at and accepted.

`./test tests/tui/test_snapshots.py --snapshot-update` accepts new ones; look at them first.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot

from nutwizard import opening
from nutwizard.core.facts import Role
from nutwizard.engine import lastplay
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.practice.host import READY_PASSWORD
from nutwizard.tui import playing, writing
from nutwizard.tui.app import Ended, WizardApp
from tests.support.recorded_plays import Replay, spoil
from tests.tui.screens import CLEAR, END, LARGE, SMALL, Person, open_session

Keys = tuple[str, ...]
_FREE = (40 << 30, 1 << 20)


@dataclass(frozen=True)
class Case:
    """A machine, the keys that lead to the screen ("@place" waits, "=text" types), and its name.

    `play`: the recorded rehearsal that is played there; `stops`: so many of its events come.
    """

    name: str
    machine: str
    keys: Keys
    play: str = ""
    stops: int | None = None


def _steps(machine: str, count: int) -> list[Case]:
    """Every step as it is when it is opened."""
    return [Case(f"{machine}-step-{n}", machine, ("escape", str(n % 10))) for n in range(1, count + 1)]


DELAYS = ("escape", "2", "tab", "tab", "tab", "tab", "tab")
CHECK = ("c", "@check", "@proven")
FORCED = ("d", "@The real test")
PLAYED = ("enter", "@playing", "@judged")
CASES = [
    Case("host-opening", "host", ()),
    Case("host-overview", "host", ("escape",)),
    Case("host-in-place", "done_host", ()),
    Case("client-opening", "vm", ()),
    Case("client-overview", "vm", ("escape",)),
    Case("client-in-place", "done_vm", ()),
    *_steps("host", 10),
    Case("host-step-11", "host", ("escape", "end", "enter")),
    *_steps("vm", 5),
    Case("driver-wrong", "host", (*DELAYS, f"={END}{CLEAR}50")),
    Case("driver-letters", "host", (*DELAYS, f"={END}{CLEAR}soon")),
    Case("driver-changed", "host", ("escape", "2", f"={END}{CLEAR}rack")),
    Case("driver-low-charge", "host", (*DELAYS, "tab", "right", "tab", f"={END}{CLEAR}30")),
    Case("driver-list", "host", ("escape", "2", "tab", "f4")),
    Case("driver-all-lines", "host", ("escape", "2", "f2")),
    Case("driver-page", "host", ("escape", "2", "tab", "f1")),
    Case("listen-list", "host", ("escape", "3", "f4")),
    Case("password-typed", "host", ("escape", "4", "tab", "=secret-77")),
    Case("clients-none", "host", ("escape", "5", "space", "d")),
    Case("clients-one-more", "host", ("escape", "5", "space", "a", "=web", "enter", "=192.168.1.20")),
    Case("clients-two", "host", ("escape", "5", "space", "a", "=web", "enter", "=192.168.1.20", "enter")),
    Case("firewall-clients", "host", ("escape", "9", "tab")),
    Case("firewall-row", "host", ("escape", "9", "tab", "space", "c")),
    Case("firewall-by-hand", "host", ("escape", "9", "f6")),
    Case("firewall-not-now", "host", ("escape", "9", "right")),
    Case("events-list", "host", ("escape", "7", "space")),
    Case("timer", "host", ("escape", "7", "tab", "space", "a")),
    Case("review", "host", ("escape", "t", "@review", "down")),
    Case("review-one-step", "host", ("escape", "1", "ctrl+n", "@review")),
    Case("review-nothing", "done_host", ("t", "@review")),
    Case("review-all-lines", "host", ("escape", "t", "@review", "d")),
    Case("write-now", "host", ("escape", "t", "@review", "a")),
    Case("written", "host", ("escape", "t", "@review", "a", "w", "@Writing", "@done")),
    Case("check-host", "alone_host", CHECK),
    Case("check-rule-off", "done_host", CHECK),
    Case("rule-question", "done_host", (*CHECK, "s")),
    Case("rule-switched", "done_host", (*CHECK, "s", "w", "@Writing", "@done")),
    Case("finish-rule-off", "done_host", (*CHECK, "f", "@finish")),
    Case("fsd", "done_host", FORCED),
    Case("fsd-alone", "alone_host", FORCED),
    Case("fsd-question", "done_host", (*FORCED, "down", "enter")),
    Case("fsd-loads", "done_host", (*FORCED, "down", "down", "down", "enter", "=a switch")),
    Case("fsd-not-yet", "done_host", (*FORCED, "n")),
    Case("fsd-sequence", "done_host", (*FORCED, "s")),
    Case("check-client", "done_vm", CHECK),
    Case("finish-client", "done_vm", (*CHECK, "f", "@finish")),
    Case("budget-too-long", "done_host", ("b", "@Budget")),
    Case("budget-taken", "done_host", ("b", "@Budget", "down", "enter")),
    Case("budget-by-hand", "done_host", ("b", "@Budget", "down", "down", "enter")),
    Case("budget-unknown", "host", ("escape", "b", "@Budget")),
    Case("budget-fits", "done_vm", ("b", "@Budget")),
    Case("rehearsal-choose", "done_host", ("n", "@rehearsal"), "cut"),
    Case("rehearsal-again", "done_host", ("n", "@rehearsal", *PLAYED, "escape", "@rehearsal"), "cut"),
    Case("rehearsal-playing", "done_host", ("n", "@rehearsal", "play", "@FSD"), "cut", 66),
    Case("rehearsal-well", "done_host", ("n", "@rehearsal", *PLAYED), "cut"),
    Case("rehearsal-blip", "done_host", ("n", "@rehearsal", "down", *PLAYED), "blip"),
    Case("rehearsal-not-well", "spoiled_host", ("n", "@rehearsal", *PLAYED), "spoiled"),
    Case("rehearsal-not-set-up", "host", ("escape", "n", "@rehearsal"), "cut"),
    Case("rehearsal-client", "done_vm", ("n", "@rehearsal"), "cut"),
    Case("pages", "host", ("escape", "p")),
    Case("leave", "host", ("escape", "ctrl+q")),
    Case("role", "host", ("escape", "r")),
    Case("client-needed", "vm", ("escape", "t", "@monitor")),
    Case("client-typed", "vm", ("escape", "2", "=192.168.1.107", *["tab"] * 4, f"={READY_PASSWORD}")),
]  # fmt: skip
SIZES = {"80x24": SMALL, "120x40": LARGE}


@pytest.fixture(autouse=True)
def pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What differs from machine to machine, and from moment to moment."""
    monkeypatch.setattr(PracticeHost, "free", lambda self, path: _FREE)
    monkeypatch.setattr("nutwizard.wording.host_end.few", lambda names, *_: "/FOLDER")
    monkeypatch.setattr("nutwizard.engine.carry.leave_next", lambda host, text: "")
    for module in (writing, playing):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(lastplay, "day", lambda seconds: "2026-03-01")


@pytest.fixture
def machines(
    tmp_path: Path, made: dict[Role, Path], made_alone: Path
) -> Iterator[Callable[[str], PracticeHost]]:
    """Opens a practice machine by its name in the table."""
    opened: list[PracticeHost] = []

    def machine(name: str) -> PracticeHost:
        role = Role.CLIENT if name.endswith("vm") else Role.HOST
        folder = tmp_path / "practice"
        if name.partition("_")[0] in ("alone", "done", "spoiled"):
            shutil.copytree(made_alone if name == "alone_host" else made[role], folder, symlinks=True)
        opened.append(PracticeHost.open(str(folder), role))
        if name == "spoiled_host":
            spoil(opened[-1])
        return opened[-1]

    yield machine
    for each in opened:
        each.close()


async def walk(person: Person, keys: Keys) -> None:
    """Press, type and wait, as the table says."""
    await person.settled()
    for key in keys:
        if key == "@proven":
            await person.until(lambda: "proven" in person.title and "ups.status" in person.text, key)
        elif key == "@done":
            await person.until(lambda: "Enter goes on" in person.text, key)
        elif key == "@judged":
            await person.until(lambda: "well" in person.title, key)
        elif key == "play":  # the desk plays on: nothing settles before its end
            person.app.post_message(person.key("enter"))
        elif key == "@FSD":
            await person.until(lambda: "sets FSD" in person.text, key)
            await person.heard()
            return
        elif key.startswith("@"):
            await person.at(key[1:])
        elif key.startswith("="):
            await person.type(key[1:])
        else:
            await person.press(key)
    await person.settled()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_picture(
    case: Case,
    size: str,
    machines: Callable[[str], PracticeHost],
    monkeypatch: pytest.MonkeyPatch,
    snap_compare: Any,
) -> None:
    if case.play:
        Replay(case.play, case.stops).take_over(monkeypatch)
    machine = machines(case.machine)
    app = WizardApp(open_session(machine), hint=opening.hint(machine))

    async def before(pilot: Pilot[Ended]) -> None:
        await walk(Person(app, pilot), case.keys)

    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)


def test_there_are_enough() -> None:
    assert len({case.name for case in CASES}) * len(SIZES) >= 60
