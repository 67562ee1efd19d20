"""The test of a forced shutdown on the screens: nothing fires but the host's name, once all is settled."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from nutwizard.core.facts import Role
from nutwizard.core.fsd.ready import Ready
from nutwizard.core.fsd.record import Record
from nutwizard.core.paths import FSD
from nutwizard.engine.practice import PracticeHost
from nutwizard.tui import forced
from nutwizard.tui.forced import Forced
from tests.core.test_fsd_ready import CASES, ready_of
from tests.tui.screens import Person, open_session, shown

RECORD = Record(1, 0.0, "", Role.HOST, "pve")


class Act:
    """Stands in for the act: with what it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[frozenset[str], str]] = []

    def fire(self, host: object, ready: Ready, keys: frozenset[str], typed: str, tell: Any) -> Record:
        self.calls.append((keys, typed))
        tell("FSD is set in upsd, 0.1 s after the command.")
        return RECORD


@pytest.fixture(autouse=True)
def act(monkeypatch: pytest.MonkeyPatch) -> Act:
    stand_in = Act()
    monkeypatch.setattr(forced, "fire", stand_in.fire)
    monkeypatch.setattr(forced, "watch", lambda *words: words[-1]("  2.0 s  web has logged out"))
    return stand_in


def live(case: int = 0, **known: Any) -> Ready:
    """A sound host named pve, as if the screens were on it."""
    return replace(ready_of(CASES[case]), **known)


async def put(person: Person, ready: Ready) -> None:
    """The screen anew, over whatever stands there."""
    while len(person.app.screen_stack) > 2:
        person.app.pop_screen()
    await person.app.switch_screen(Forced(ready, practice=False, notice=""))
    await person.settled()


async def test_it_is_reached_from_the_overview_and_the_check(done_host: PracticeHost, act: Act) -> None:
    async with shown(open_session(done_host)) as person:
        await person.press("d")
        await person.at("The real test of a forced shutdown")
        assert "1 in the way" in person.title
        await person.press("escape")
        await person.at("overview")
        await person.press("c")
        await person.until(lambda: "proven" in person.title)
        await person.press("d")
        await person.at("The real test of a forced shutdown")
    assert act.calls == []


async def test_a_client_has_no_key_for_it(done_vm: PracticeHost, act: Act) -> None:
    async with shown(open_session(done_vm)) as person:
        await person.press("d")
        assert person.place == "overview"
        assert "FSD test" not in person.text
    assert act.calls == []


async def test_on_a_practice_machine_all_is_asked_and_nothing_fired(
    done_host: PracticeHost, act: Act
) -> None:
    async with shown(open_session(done_host)) as person:
        await person.press("d")
        await person.at("The real test of a forced shutdown")
        await person.press("n")
        await person.says("Not acknowledged yet: client practice-vm (192.168.1.10).")
        await person.press("down")
        for _ in range(10):
            if "to acknowledge" not in person.text:
                break
            await person.press("enter")
            if "What else does?" in person.text:
                await person.type("the switch")
                await person.press("enter")
                continue
            if "I know, and go on" in person.text:
                await person.press("a")
            await person.press("down")
        await person.press("n")
        await person.says("Nothing can be fired on a practice machine")
        assert done_host.read(f"{FSD}/loads") == b"the switch\n"
        assert done_host.names(FSD) == ["loads"]
    assert act.calls == []


async def test_what_is_in_the_way_keeps_the_name_away(done_host: PracticeHost, act: Act) -> None:
    latched = next(n for n, case in enumerate(CASES) if case["name"] == "FSD is latched")
    async with shown(open_session(done_host)) as person:
        await put(person, live(latched))
        await person.press("n")
        await person.says("In the way: mains at apc: ups.status: FSD OL")
        await put(person, live(loads="a switch"))
        await person.press("n", "p", "v", "e", "enter")
        await person.says("Not acknowledged yet: what else hangs on the UPS.")
        await person.press("escape", "escape")
    assert act.calls == []


async def test_the_acknowledged_and_the_name_fire_once(done_host: PracticeHost, act: Act) -> None:
    async with shown(open_session(done_host)) as person:
        await put(person, live(loads="a switch"))
        await person.press("enter", "enter")  # the question's first row leaves it as it is
        await person.press("n")
        await person.says("Not acknowledged yet")
        await person.press("enter", "a", "n")
        await person.says("To fire it, type the name of this host: pve.")
        await person.type("pv")
        await person.press("enter")
        await person.says("That is not the name of this host. Nothing was fired.")
        assert act.calls == []
        await person.type("e")
        await person.press("enter", "enter", "enter")
        await person.says("FSD is set in upsd", "web has logged out", "This host still runs.")
        assert act.calls == [(frozenset({"loads"}), "pve")]
        await person.press("escape")
        ended = await person.over()
        assert ended.text == "The shutdown goes on; this was only the view of it."
    assert len(act.calls) == 1


async def test_no_three_keys_fire(done_host: PracticeHost, act: Act) -> None:
    """From the screen on which nothing is open any more; the way to it takes keys of its own."""
    async with shown(open_session(done_host)) as person:
        await put(person, live())
        for keys in itertools.product(("n", "enter", "p", "e"), repeat=3):
            await person.app.switch_screen(Forced(live(), practice=False, notice=""))
            for key in keys:
                person.app.post_message(person.key(key))
            await person.heard()
            while len(person.app.screen_stack) > 2:
                person.app.pop_screen()
        assert act.calls == []
        await put(person, live())
        await person.press("n", "p", "v", "e", "enter")
        assert act.calls == [(frozenset(), "pve")]
