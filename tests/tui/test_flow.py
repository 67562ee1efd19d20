"""The way through the screens: forth, back, away and here again."""

from __future__ import annotations

import pytest

from nutwizard.core.errors import Exit
from nutwizard.core.facts import Role
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.session import Session
from tests.tui.screens import ENTER, LARGE, NEXT, SMALL, TAB, Person, open_session, shown


async def test_before_a_first_run_it_says_what_will_be_done(session: Session) -> None:
    async with shown(session, begin=False) as person:
        assert person.title.startswith("What will be done")
        await person.press("space", "enter")
        assert person.title.startswith("nutwizard")
        assert person.chosen.split()[:2] == ["1", "Mode"]


async def test_where_everything_is_in_place_it_says_so(done_host: PracticeHost) -> None:
    async with shown(open_session(done_host), begin=False) as person:
        assert person.title.startswith("nutwizard")
        assert "Everything is in place. c proves that it works." in person.prose


async def test_enter_leads_through_every_field_of_every_step(session: Session) -> None:
    async with shown(session) as person:
        seen = []
        await person.press("enter")
        while person.place != "review":
            seen += [person.place] * (person.place not in seen)
            await person.press("enter")
        assert tuple(seen) == session.steps
        assert "nothing is written yet" in person.title


async def test_esc_leads_back_and_nothing_is_lost(session: Session) -> None:
    async with shown(session) as person:
        await person.press("enter")
        await person.go("driver")
        await person.fill("rack")
        await person.go("listen", "client_user")
        await person.fill("watchers")
        await person.press("escape")
        await person.at("listen")
        await person.press("escape")
        assert person.field.startswith("UPS name rack")
        await person.go("listen", "client_user")
        assert person.field.startswith("user name watchers")
        await person.press(*["escape"] * 4)
        await person.at("overview")


async def test_all_suggestions_are_taken_at_once(session: Session) -> None:
    async with shown(session) as person:
        await person.press("t")
        await person.at("review")
        assert any(row.startswith("/etc/nut/ups.conf") for row in person.options)
        await person.press("escape")
        await person.at("overview")


async def test_the_answer_that_only_the_person_has_is_asked_for(vm: PracticeHost) -> None:
    async with shown(open_session(vm)) as person:
        await person.press("t")
        await person.at("monitor")
        assert person.notice.startswith("One answer is yours to give: ")
        assert person.field.startswith("server")


async def test_one_step_alone_holds_its_edits_and_names_the_others(done_host: PracticeHost) -> None:
    async with shown(open_session(done_host)) as person:
        await person.press("2", "tab", "tab", "tab")
        assert "this step alone" in person.title
        await person.fill("In the cellar")
        await person.press("escape")
        await person.at("overview")
        await person.press("8")
        await person.fill("20")
        await person.press("ctrl+n")
        await person.at("review")
        files = [row.split()[0] for row in person.options if row.startswith("/etc/nut/")]
        assert files == ["/etc/nut/upsmon.conf"]
        await choose(person, "other steps")
        assert "UPS driver" in person.pane("#detail")
        await person.press("escape", "escape")
        await person.at("overview")
        await person.press("t")
        await person.at("review")
        files = [row.split()[0] for row in person.options if row.startswith("/etc/nut/")]
        assert files == ["/etc/nut/upsmon.conf", "/etc/nut/ups.conf"], "all of them again"


async def choose(person: Person, row: str) -> None:
    """Go down to the row that begins so."""
    at = next(n for n, each in enumerate(person.options) if each.startswith(row))
    await person.press(*["down"] * at)
    assert person.chosen.startswith(row)


async def test_a_number_without_a_step_is_no_key(vm: PracticeHost) -> None:
    async with shown(open_session(vm)) as person:
        await person.press("9")
        assert person.place == "overview"


async def test_a_row_of_the_review_opens_its_step(session: Session) -> None:
    async with shown(session) as person:
        await person.press("t")
        await person.at("review")
        await choose(person, "/etc/nut/upsd.conf")
        assert "+ LISTEN" in person.pane("#detail")
        await person.press("enter")
        await person.at("listen")


async def test_every_line_of_the_review(session: Session) -> None:
    async with shown(session) as person:
        await person.press("t", "d")
        assert person.title.startswith("Review: every line")
        for text in ("+ LISTEN 192.168.1.107 3493", "+ MODE=netserver", "/etc/nut/ups.conf"):
            assert text in person.pane("#text")
        await person.press("escape")
        assert person.place == "review"


async def test_the_other_role(session: Session) -> None:
    async with shown(session) as person:
        await person.press("r", "enter")
        assert person.place == "overview", "the first answer changes nothing"
        await person.press("r", "c")
        ended = await person.over()
    assert ended.role is Role.CLIENT


async def test_pages_can_be_read_from_the_overview(session: Session) -> None:
    async with shown(session) as person:
        await person.press("p")
        assert person.title == "Pages to read"
        assert len(person.options) >= 6
        await person.press("down", "enter")
        await person.press("escape")
        assert person.title == "Pages to read"
        await person.press("f1", "escape", "f1")
        assert person.title.startswith("What will be done")
        await person.press("escape")
        assert person.place == "overview"


async def test_what_was_given_is_here_again(host: PracticeHost) -> None:
    async with shown(open_session(host)) as person:
        await person.press("enter")
        await person.go("driver")
        await person.fill("rack")
        await person.go("listen")
    session = open_session(host)
    async with shown(session) as person:
        assert person.place == "listen"
        assert person.notice.startswith("Your 1 answer of 20")
        assert person.notice.endswith("are here again. In the overview: x starts over.")
        await person.press("escape")
        assert person.field.startswith("UPS name rack")
        await person.press("escape", "escape", "x", "enter")
        assert session.typed("driver"), "the first answer forgets nothing"
        await person.press("x", "f")
        await person.at("overview")
        assert not session.typed("driver")
        assert "start over" not in person.keys
    assert not open_session(host).resumed


async def test_leaving_is_asked(session: Session) -> None:
    async with shown(session) as person:
        await person.press("2", "ctrl+q")
        assert "Leave nutwizard?" in person.text
        await person.press("enter")
        assert person.place == "driver"
        await person.press("ctrl+q", "escape", "ctrl+q", "ctrl+q", "l")
        ended = await person.over()
    assert ended.code is Exit.INTERRUPTED
    assert ended.text == "Nothing was written. Your answers are kept."


@pytest.mark.parametrize(
    "keys", [(), ("2",), ("t",), ("p",), ("2", "f1"), ("2", "tab", "f4"), ("r",)], ids=str
)
async def test_ctrl_c_ends_from_everywhere(session: Session, keys: tuple[str, ...]) -> None:
    async with shown(session) as person:
        await person.press(*keys)
        await person.press("ctrl+c")
        ended = await person.over()
    assert (ended.code, ended.text) == (Exit.INTERRUPTED, "Nothing was written. Your answers are kept.")


async def test_a_password_never_falls_into_the_field_before_it(session: Session) -> None:
    async with shown(session) as person:
        await person.press("4")
        for _ in range(5):
            person.send(f"{TAB}canary-77{TAB}")
            await person.settled()
            assert "canary" not in person.text


async def test_the_same_key_twice_goes_one_way(session: Session) -> None:
    async with shown(session) as person:
        person.send("tt")
        await person.at("review")
        person.send("\x1b[B")
        await person.settled()
        assert person.place == "review"


async def test_too_small_a_terminal_can_be_left(session: Session) -> None:
    async with shown(session, size=(40, 10)) as person:
        assert "too small" in person.text
        await person.press("ctrl+c")
        assert (await person.over()).code is Exit.INTERRUPTED


@pytest.mark.parametrize(
    "keys",
    [("2",), ("2", "tab", "f4"), ("7", "tab", "space", "a"), ("t",), ("p", "enter"), ("ctrl+q",)],
    ids=str,
)
async def test_another_size_at_any_moment(session: Session, keys: tuple[str, ...]) -> None:
    async with shown(session) as person:
        await person.press(*keys)
        before = person.text
        for size in ((60, 20), LARGE, (20, 5), (110, 20), (1, 1), SMALL):
            await person.resize(*size)
            assert len(person.rows) == size[1]
        assert person.text == before


async def test_another_size_while_keys_come(session: Session) -> None:
    async with shown(session) as person:
        for size in (LARGE, (60, 20), SMALL, LARGE, SMALL):
            person.send(f"{NEXT}" if person.place != "overview" else ENTER)
            await person.resize(*size)
        assert person.place in session.steps


async def test_a_session_for_some_steps_has_no_overview(host: PracticeHost) -> None:
    from nutwizard import opening

    session = opening.open_session(host, host, host.role, save=True, only=("listen",))
    async with shown(session, only=("listen",)) as person:
        assert person.place == "listen"
        await person.press("escape")
        assert "Leave nutwizard?" in person.text
        await person.press("escape", "ctrl+n")
        await person.at("review")
        await person.press("escape")
        await person.at("listen")


async def test_too_small_a_terminal(session: Session) -> None:
    async with shown(session) as person:
        await person.press("2")
        await person.resize(59, 24)
        assert "This terminal is too small: nutwizard needs 60 columns and 20 rows." in person.prose
        assert "UPS name" not in person.text
        await person.press("x", "tab", "escape", "f1", "ctrl+n", "enter")
        await person.paste("pasted")
        await person.resize(80, 19)
        assert "This terminal is too small" in person.text
        await person.press("x")
        await person.resize(60, 20)
        assert person.place == "driver"
        assert person.field.startswith("UPS name apc")
        await person.resize(*SMALL)
        assert person.field.startswith("UPS name apc")


async def test_esc_on_a_step_with_something_wrong_keeps_it(session: Session) -> None:
    """What was refused stands there again, with the reason."""
    async with shown(session) as person:
        await person.press("enter")
        await person.go("driver")
        await person.press(*["tab"] * 4)
        await person.fill("80")
        await person.press("escape")
        await person.at("mode")
        await person.go("driver")
        assert person.fields["offdelay"].startswith("80")
        assert person.field.startswith("ondelay")
        assert person.message.startswith("! ondelay (70 s) must be greater")


async def test_what_was_wrong_is_here_again_with_its_reason(host: PracticeHost) -> None:
    async with shown(open_session(host)) as person:
        await person.press("2", *["tab"] * 4)
        await person.fill("80")
    async with shown(open_session(host)) as person:
        assert person.place == "driver"
        assert person.field.startswith("ondelay")
        assert person.message.startswith("! ondelay (70 s) must be greater")


async def test_keys_pressed_on_the_way_arrive_in_the_next_screen(session: Session) -> None:
    async with shown(session) as person:
        person.send(f"{ENTER}{NEXT}rack{NEXT}{TAB}3494{NEXT}watchers{TAB}secret-1")
        await person.at("client_user")
        await person.until(lambda: person.fields["password"].startswith("********"), "the password")
        assert person.fields["user name"].startswith("watchers")
        await person.press("escape")
        assert person.fields["port"].startswith("3494")
        await person.press("escape")
        assert person.field.startswith("UPS name rack")


async def test_a_burst_after_the_key_of_a_step_is_for_that_step(session: Session) -> None:
    """Number, Tab and a password in one go: it lands where it is not shown."""
    async with shown(session) as person:
        person.send(f"4{TAB}canary-77")
        await person.at("client_user")
        await person.until(lambda: person.fields["password"].startswith("*" * 9), "the password")
        assert "canary" not in person.text
