"""A session that is slow: the screens go on, and say what they wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nutwizard.core.errors import Exit
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.session import Session
from tests.tui.screens import LIMIT, LINKS, Person, open_session, shown

TOLD = "Asking this machine and the NUT server; Ctrl+Q leaves."


class Held:
    """From now on this method of the session waits until it is let go (or, where nobody does, `LIMIT` s)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.begun, self._free = threading.Event(), threading.Event()
        real = getattr(Session, name)

        def late(session: Session, *given: Any, **named: Any) -> Any:
            self.begun.set()
            self._free.wait(LIMIT)
            self._free.set()
            return real(session, *given, **named)

        monkeypatch.setattr(Session, name, late)

    @property
    def holds(self) -> bool:
        """Whether the session works at this moment."""
        return self.begun.is_set() and not self._free.is_set()

    def go(self) -> None:
        self._free.set()


Hold = Callable[[str], Held]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    """Makes methods wait; lets all of them go in the end."""
    made: list[Held] = []

    def hold(name: str) -> Held:
        made.append(Held(monkeypatch, name))
        return made[-1]

    yield hold
    for each in made:
        each.go()


async def beats(person: Person, key: str, session: Held) -> None:
    """A timer goes on firing while the session works on what a key asked for."""
    fired: list[bool] = []
    timer = person.app.set_interval(0.02, lambda: fired.append(session.holds))
    person.app.post_message(person.key(key))
    await person.until(lambda: fired.count(True) >= 6 or None, "a timer that fires meanwhile")
    timer.stop()


@pytest.mark.parametrize(
    ("begin", "name", "key"),
    [
        ((), "standing", "2"),
        (("2",), "answer", "x"),
        (("2",), "answer", "ctrl+n"),
        (("2", "tab"), "hints", "x"),
        ((), "plan", "t"),
        ((), "examine", "c"),
        (("4", "tab"), "draw", "ctrl+g"),
        (("t", "a"), "outage", "w"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
async def test_the_screens_go_on_while_the_session_works(
    session: Session, held: Hold, begin: tuple[str, ...], name: str, key: str
) -> None:
    """Whatever the session is asked for."""
    async with shown(session) as person:
        await person.press(*begin)
        work = held(name)
        await beats(person, key, work)
        work.go()


async def test_typing_goes_on_while_the_session_works(session: Session, held: Hold) -> None:
    async with shown(session) as person:
        await person.press("2")
        work = held("answer")
        person.send("rack")
        await person.until(lambda: person.fields["UPS name"].startswith("rack") or None, "the letters")
        await person.until(lambda: work.holds or None, "the session at work")
        work.go()
        await person.until(lambda: "+ [rack]" in person.pane("#diff"), "the diff")


@pytest.mark.parametrize(
    ("begin", "name", "key"),
    [((), "standing", "2"), (("2",), "answer", "ctrl+n"), ((), "plan", "t"), ((), "watch_links", "c")],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
async def test_what_is_waited_for_is_told_and_gone_afterwards(
    session: Session, held: Hold, begin: tuple[str, ...], name: str, key: str
) -> None:
    async with shown(session) as person:
        await person.press(*begin)
        before = person.place
        work = held(name)
        person.app.post_message(person.key(key))
        await person.until(lambda: person.notice == TOLD, "what it waits for")
        assert person.place == before
        work.go()
        await person.until(lambda: person.place != before, "the next screen")
        assert TOLD not in person.text


async def test_a_slow_session_can_be_left(session: Session, held: Hold) -> None:
    async with shown(session) as person:
        await person.press("2")
        work = held("answer")
        person.app.post_message(person.key("ctrl+n"))
        await person.until(lambda: person.notice == TOLD, "what it waits for")
        person.app.post_message(person.key("ctrl+q"))
        ended = await person.over()
        assert work.holds
        work.go()
    assert ended.code is Exit.INTERRUPTED


async def test_a_check_shows_itself_before_anything_is_proven(alone_host: PracticeHost, held: Hold) -> None:
    async with shown(open_session(alone_host)) as person:
        work = held("examine")
        person.app.post_message(person.key("c"))
        await person.until(lambda: person.title.endswith(f"0 of {LINKS} asked"), "the check")
        assert all(row.startswith("...") for row in person.options)
        work.go()
        await person.until(lambda: person.title.endswith(f"{LINKS} proven"), "the proofs")
