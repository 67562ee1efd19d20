"""Lists over a step: one of several, several of many, rows of fields."""

from __future__ import annotations

from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.session import Session
from tests.tui.screens import Person, open_session, shown


async def step(person: Person, number: int, *keys: str) -> None:
    """On a step alone, and some keys on."""
    await person.press(str(number), *keys)


async def test_one_of_several_with_what_each_does(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 2, *["tab"] * 6, "space")
        assert person.seen("#question").strip() == "low battery"
        assert person.chosen == "driver   the UPS says when its battery is low, as in the guide"
        await person.press("down", "enter")
        assert person.field.startswith("low battery < charge >")
        await person.press("f4")
        assert person.chosen.startswith("charge")
        await person.press("down", "escape")
        assert person.field.startswith("low battery < charge >"), "Esc changes nothing"


async def test_a_long_list_is_searched_by_typing(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 2, "tab", "f4")
        assert len(person.options) > 11
        assert person.chosen == "usbhid-ups"
        await person.type("BLAZER")
        assert person.options == ["blazer_ser", "blazer_usb"]
        await person.press("down", "enter")
        assert person.field.startswith("driver blazer_usb")


async def test_a_search_that_finds_nothing_takes_nothing(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 2, "tab", "f4")
        await person.type("no such")
        assert person.options == []
        await person.press("enter", "down")
        assert person.seen("#search").strip() == "no such"
        await person.press("escape")
        assert person.field.startswith("driver usbhid-ups")


async def test_a_driver_that_no_list_has_is_typed(session: Session) -> None:
    """A list is an offer: the field takes any name that NUT could have."""
    async with shown(session) as person:
        await step(person, 2, "tab")
        await person.fill("my-own-ups")
        await person.press("f4", "escape")
        assert person.field.startswith("driver my-own-ups")


async def test_several_of_many_with_others_typed(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 3, "f4")
        marked = [row.split("  ")[0] for row in person.options if row.startswith("[x]")]
        assert marked == ["[x] 192.168.1.107", "[x] 127.0.0.1"]
        at = next(n for n, row in enumerate(person.options) if "127.0.0.1" in row)
        await person.press(*["down"] * at, "space")
        assert person.chosen.startswith("[ ] 127.0.0.1")
        await person.press("tab")
        await person.type("::1, 192.168.1.107")
        await person.press("enter")
        assert person.field.startswith("addresses 192.168.1.107, ::1")
        assert "+ LISTEN ::1 3493" in person.pane("#diff")
        await person.press("f4")
        assert "[x] ::1" in [row.partition("  ")[0] for row in person.options]


async def test_what_is_typed_beside_a_list_is_judged_there(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 3, "f4", "tab")
        await person.type("10.0.0.999")
        await person.press("enter")
        assert person.seen("#wrong").strip().startswith("! ")
        assert "10.0.0.999" in person.seen("#wrong")
        await person.press("escape")
        assert person.field.startswith("addresses 192.168.1.107, 127.0.0.1")


async def test_marks_of_a_list_that_takes_no_others(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 7)
        await person.press("space")
        assert not person.seen("#others")
        first = person.chosen
        assert first.startswith("[x] ONLINE")
        await person.press("space", "down", "enter")
        assert person.field.startswith("events ONBATT, ")
        await person.press("space", "space", "escape")
        assert person.field.startswith("events ONBATT, "), "Esc changes nothing"


async def test_all_taken_away_is_none(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 7, "space")
        for row in person.options:
            if row.startswith("[x]"):
                await person.press("space")
            await person.press("down")
        await person.press("enter")
        assert person.field.startswith("events none")


async def test_a_timer_is_added_changed_and_removed(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 7, "tab", "space")
        assert person.options == ["none yet: a adds one"]
        await person.press("a")
        assert "timers: one more" in person.text
        assert person.field.startswith("started by the event < ONLINE > the first of them")
        await person.press("o", "enter")
        await person.type("onbattwarn")
        await person.press("enter")
        await person.type("30")
        await person.press("enter", "right", "enter", "enter")
        assert person.options == ["onbattwarn: 30 s after ONBATT unless ONLINE comes first: run the script"]
        await person.press("c", "tab", "tab")
        await person.fill("45")
        await person.press("ctrl+n", "enter")
        assert person.field.startswith("timers onbattwarn: 45 s")
        assert "AT ONBATT" in person.pane("#diff")
        await person.press("space", "delete", "enter")
        assert person.field.startswith("timers none")


async def test_a_row_that_cannot_be_taken_says_why(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 7, "tab", "space", "a", "ctrl+n")
        assert person.message == "! It cannot be left empty."
        assert person.field.startswith("name, the word")
        await person.type("a b")
        assert person.message.startswith("! ")
        assert "empty" not in person.message
        await person.press("ctrl+n")
        assert "timers: one more" in person.text
        await person.fill("lamp")
        assert "!" not in person.message
        await person.press("escape")
        assert "Drop this row?" in person.text, "what was typed is not dropped without a question"
        await person.press("d")
        assert person.options == ["none yet: a adds one"]


async def test_esc_in_the_rows_loses_none(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 5, "space", "d", "a")
        await person.type("web")
        await person.press("enter")
        await person.type("192.168.1.20, 192.168.1.21")
        await person.press("enter")
        assert person.options == ["web (192.168.1.20, 192.168.1.21)"]
        await person.press("escape")
        assert person.field.startswith("clients web (192.168.1.20, 192")


async def test_a_client_gets_a_folder(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 4, "escape")
        await person.press(*["down"] * 4, "enter", "space", "d", "a")
        await person.type("web")
        await person.press("ctrl+n", "enter")
        assert person.field.startswith("clients web (address not known)")
        await person.press("f2")
        assert "/etc/nutwizard/clients/web/" in person.pane("#text")


async def test_two_rows_of_one_name_are_told_at_the_field(session: Session) -> None:
    async with shown(session) as person:
        await step(person, 5, "space")
        for _ in range(2):
            await person.press("a")
            await person.type("web")
            await person.press("ctrl+n")
        await person.press("enter")
        assert person.message.startswith("! ")
        assert "web" in person.message
        await person.press("ctrl+n")
        assert person.place == "clients"


async def test_a_list_from_the_server_that_a_client_follows(vm: PracticeHost) -> None:
    """The names of the UPSes are those that the server there serves."""
    async with shown(open_session(vm)) as person:
        await person.press("2")
        await person.at("monitor")
        await person.type("192.168.1.107")
        await person.press("tab", "tab", "f4")
        assert person.options[0].startswith("apc")
