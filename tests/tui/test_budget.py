"""The screen of the budget: where its keys lead, and that advice becomes an answer only when it is taken."""

from __future__ import annotations

from nutwizard.core import paths
from nutwizard.core.facts import Owner
from nutwizard.engine.practice import PracticeHost
from tests.tui.screens import open_session, shown


async def test_taken_advice_is_seen_in_the_review_and_nothing_is_written(done_host: PracticeHost) -> None:
    before = done_host.read(paths.UPS_CONF)
    session = open_session(done_host)
    async with shown(session) as person:
        await person.press("b")
        await person.at("Budget")
        assert "IT DOES NOT FIT: 172 s lack." in person.text
        await person.press("r")  # nothing was taken: there is nothing to review
        assert person.place == "budget"
        assert not session.typed("driver")
        await person.press("enter")
        await person.says("Taken as an answer of the step UPS driver; nothing is written.")
        assert session.typed("driver")["low_runtime"].value == 390
        await person.press("r")
        await person.at("review")
        assert paths.UPS_CONF in person.text
        assert done_host.read(paths.UPS_CONF) == before


async def test_the_step_of_an_advice_opens_with_its_values_free_to_choose(done_host: PracticeHost) -> None:
    session = open_session(done_host)
    async with shown(session) as person:
        await person.press("b")
        await person.at("Budget")
        await person.press("e")
        await person.at("driver")
        assert not session.typed("driver")


async def test_back_leads_to_where_one_came_from(done_host: PracticeHost) -> None:
    async with shown(open_session(done_host)) as person:
        await person.press("b")
        await person.at("Budget")
        await person.press("a")
        await person.at("Budget")
        await person.press("escape")
        await person.at("overview")
        await person.press("c")
        await person.at("check")
        await person.press("b")
        await person.at("Budget")
        await person.press("a")
        await person.at("Budget")
        await person.press("f1")
        await person.at("The budget")
        await person.press("escape", "escape")
        await person.at("check")


async def test_what_is_done_by_hand_is_shown_to_copy(done_host: PracticeHost) -> None:
    session = open_session(done_host)
    async with shown(session) as person:
        await person.press("b")
        await person.at("Budget")
        await person.press("down", "down", "enter")
        await person.at("By hand")
        assert "qm set 101 --startup down=60" in person.text
        await person.press("escape")
        await person.at("Budget")
        assert not any(session.typed(step) for step in session.steps)


async def test_advice_that_its_step_refuses_is_not_taken(done_host: PracticeHost) -> None:
    done_host.remove(paths.UPSSCHED_CMD)
    done_host.create(paths.UPSSCHED_CMD, b"#!/bin/sh\n", Owner("root", "root", 0o755))
    session = open_session(done_host)
    async with shown(session) as person:
        await person.press("b")
        await person.at("Budget")
        await person.press("down", "enter")
        await person.says("Not taken:", "your own script")
        assert not session.typed("actions")
