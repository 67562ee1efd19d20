"""A session that is slow: the screens go on, and say what they wait for."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from nutwizard.core.errors import Exit
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.session import Session
from tests.tui.screens import Person, open_session, shown

SLOW = 0.6
TOLD = "Asking this machine and the NUT server; Ctrl+Q leaves."


def slow(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From now on this method of the session takes `SLOW` s longer."""
    real = getattr(Session, name)

    def late(self: Session, *given: Any, **named: Any) -> Any:
        time.sleep(SLOW)
        return real(self, *given, **named)

    monkeypatch.setattr(Session, name, late)


async def beats(person: Person, key: str) -> int:
    """How often a timer fires in the `SLOW` s after a key."""
    fired: list[float] = []
    timer = person.app.set_interval(0.02, lambda: fired.append(time.monotonic()))
    person.app.post_message(person.key(key))
    await asyncio.sleep(SLOW)
    timer.stop()
    return len(fired)


@pytest.mark.parametrize(
    ("begin", "name", "key"),
    [
        ((), "standing", "2"),
        (("2",), "answer", "x"),
        (("2",), "answer", "ctrl+n"),
        (("2", "tab"), "hints", "x"),
        ((), "plan", "t"),
        ((), "prove", "c"),
        (("4", "tab"), "draw", "ctrl+g"),
        (("t", "a"), "outage", "w"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
async def test_the_screens_go_on_while_the_session_works(
    session: Session, monkeypatch: pytest.MonkeyPatch, begin: tuple[str, ...], name: str, key: str
) -> None:
    """At least every 0.1 s, whatever the session is asked for."""
    async with shown(session) as person:
        await person.press(*begin)
        slow(monkeypatch, name)
        assert await beats(person, key) >= SLOW / 0.1
        monkeypatch.undo()


async def test_typing_goes_on_while_the_session_works(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shown(session) as person:
        await person.press("2")
        slow(monkeypatch, "answer")
        began = time.monotonic()
        person.send("rack")
        await person.until(lambda: person.fields["UPS name"].startswith("rack") or None, "the letters")
        assert time.monotonic() - began < SLOW
        monkeypatch.undo()
        await person.until(lambda: "+ [rack]" in person.pane("#diff"), "the diff")


@pytest.mark.parametrize(
    ("begin", "name", "key"),
    [((), "standing", "2"), (("2",), "answer", "ctrl+n"), ((), "plan", "t"), ((), "watch_links", "c")],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
async def test_what_is_waited_for_is_told_and_gone_afterwards(
    session: Session, monkeypatch: pytest.MonkeyPatch, begin: tuple[str, ...], name: str, key: str
) -> None:
    async with shown(session) as person:
        await person.press(*begin)
        before = person.place
        slow(monkeypatch, name)
        person.app.post_message(person.key(key))
        await person.until(lambda: person.notice == TOLD, "what it waits for")
        assert person.place == before
        await person.until(lambda: person.place != before, "the next screen")
        assert TOLD not in person.text
        monkeypatch.undo()


async def test_a_slow_session_can_be_left(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shown(session) as person:
        await person.press("2")
        slow(monkeypatch, "answer")
        person.app.post_message(person.key("ctrl+n"))
        await person.until(lambda: person.notice == TOLD, "what it waits for")
        person.app.post_message(person.key("ctrl+q"))
        ended = await person.over()
    assert ended.code is Exit.INTERRUPTED


async def test_a_check_shows_itself_before_anything_is_proven(
    alone_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shown(open_session(alone_host)) as person:
        slow(monkeypatch, "prove")
        person.app.post_message(person.key("c"))
        await person.until(lambda: person.title.endswith("0 of 6 asked"), "the check")
        assert all(row.startswith("...") for row in person.options)
        await person.until(lambda: person.title.endswith("6 proven"), "the proofs")
