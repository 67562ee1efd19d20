"""One step on its screen: what a person sees while typing, and where the keys lead."""

from __future__ import annotations

from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.session import Session
from nutwizard.tui.form import Form
from tests.tui.screens import Person, open_session, shown

DELAYS = ("tab",) * 4


async def driver(person: Person, *keys: str) -> None:
    """On the step of the driver, and some keys on."""
    await person.press("2")
    await person.at("driver")
    await person.press(*keys)


async def test_a_value_is_judged_while_it_is_typed(session: Session) -> None:
    async with shown(session) as person:
        await driver(person, *DELAYS)
        assert person.field == "offdelay 60 s the guide's value"
        assert person.message.startswith("offdelay, 0 to 7200 s, or none")
        await person.fill("60x")
        assert person.message == '! expected whole seconds, got "60x"'
        assert person.fields["offdelay"].endswith("! wrong")
        await person.press("backspace")
        assert "!" not in person.message
        assert "! wrong" not in person.text


async def test_what_cannot_be_read_keeps_one_on_the_field(session: Session) -> None:
    async with shown(session) as person:
        await driver(person, *DELAYS)
        await person.fill("9999")
        await person.press("enter")
        assert person.message == "! 9999 is out of range: 0 to 7200 s"
        assert person.field.startswith("offdelay")
        await person.press("tab", "ctrl+n")
        assert (person.place, person.message) == ("driver", "! 9999 is out of range: 0 to 7200 s")
        assert person.field.startswith("offdelay"), "what is wrong has the focus again"
        await person.fill("61")
        await person.press("enter")
        assert person.field.startswith("ondelay")


async def test_two_values_that_do_not_fit_together(session: Session) -> None:
    """Of two delays the one is changed, the other is told, and a change of either mends it."""
    async with shown(session) as person:
        await driver(person, *DELAYS)
        await person.fill("80")
        assert person.fields["ondelay"].endswith("! wrong")
        assert "told once the answers fit together" in person.text
        await person.press("tab")
        assert (
            person.message == "! ondelay (70 s) must be greater than offdelay (80 s), or the UPS may stay off"
        )
        await person.press("ctrl+n")
        assert (person.place, person.field.split()[0]) == ("driver", "ondelay")
        await person.fill("90")
        assert "!" not in person.seen("Form") + person.message
        assert "+     offdelay = 80" in person.pane("#diff")
        await person.fill("70")
        assert person.fields["ondelay"].endswith("! wrong")
        await person.press("shift+tab")
        await person.fill("60")
        assert "!" not in person.seen("Form") + person.message


async def test_an_empty_value_that_is_needed_is_told(session: Session) -> None:
    async with shown(session) as person:
        await driver(person)
        await person.fill("")
        assert person.message == "! It cannot be left empty."
        await person.press("enter", "ctrl+n")
        assert (person.place, person.field.split()[:2]) == ("driver", ["UPS", "name"])


async def test_what_it_would_change_follows_what_is_typed(session: Session) -> None:
    async with shown(session) as person:
        await driver(person)
        assert "-- Would change: 2 files --" in person.text  # nut.conf, too: no UPS stands beside MODE=none
        for part in ("rack", "rack2", "eaton"):
            await person.fill(part)
            assert f"+ [{part}]" in person.pane("#diff")
        await person.press("tab", "tab", "tab")
        await person.fill("In the cellar")
        assert '+     desc = "In the cellar"' in person.pane("#diff")


async def test_a_step_without_anything_to_change_says_so(done_host: PracticeHost) -> None:
    async with shown(open_session(done_host)) as person:
        await driver(person)
        assert "-- This step changes nothing --" in person.text
        assert person.title.endswith("in place")
        await person.press("f2")
        assert "This step changes nothing." in person.text


async def test_the_units_that_a_step_restarts_are_told(session: Session) -> None:
    async with shown(session) as person:
        await person.press("end", "enter")
        await person.at("services")
        assert "-- Would do --" in person.text
        assert "restart nut-driver-enumerator" in person.pane("#diff")
        await person.press("enter")
        await person.at("review")


async def test_the_help_follows_the_focus(session: Session) -> None:
    async with shown(session) as person:
        await driver(person)
        assert person.seen("#page").startswith(" ups.conf has one section for each UPS."), "first the page"
        await person.press(*DELAYS)
        assert person.seen("#page").startswith(" offdelay")
        await person.press("tab", "tab")
        assert person.seen("#page").startswith(" low battery")
        await person.press("shift+tab")
        assert person.seen("#page").startswith(" ondelay")
        await person.press("pagedown")
        assert not person.seen("#page").startswith(" ondelay")


async def test_f1_is_the_whole_page_at_the_field(session: Session) -> None:
    async with shown(session) as person:
        await driver(person)
        await person.press("f1")
        assert person.title.startswith("2 of 11  UPS driver")
        assert person.title.endswith("about it")
        assert person.pane("#text").startswith("ups.conf has one section for each UPS.")
        await person.press("escape", *DELAYS, "f1")
        assert person.seen("#text").startswith(" offdelay")
        await person.press("home")
        assert person.seen("#text").startswith(" ups.conf has one section for each UPS.")
        await person.press("f1", "escape")
        assert person.field.startswith("offdelay")


async def test_f2_shows_every_line(session: Session) -> None:
    async with shown(session) as person:
        await driver(person)
        await person.press("f2")
        assert person.title.endswith("what would change")
        for line in ("/etc/nut/ups.conf  8 lines", "+ [apc]", "+     lowbatt = 80"):
            assert line in person.pane("#text")
        await person.press("escape")
        assert person.place == "driver"


async def test_a_field_that_depends_on_another_comes_and_goes(session: Session) -> None:
    async with shown(session) as person:
        await driver(person, *DELAYS, "tab", "tab")
        assert "lowbatt" in person.fields
        await person.press("right")
        assert person.field.startswith("low battery < charge >")
        assert "lowbatt" not in person.fields
        assert person.fields["low charge"].split()[0] == "30"
        await person.press("right")
        assert "low charge" not in person.fields
        assert person.fields["low runtime"].split()[0] == "300"
        assert "override.battery.runtime.low = 300" in person.pane("#diff")
        await person.press("enter")
        assert person.field.startswith("low runtime")
        await person.press("shift+tab", "left", "left")
        assert "lowbatt" in person.fields


async def test_a_word_of_several_is_turned_to_or_begun(session: Session) -> None:
    async with shown(session) as person:
        await driver(person, *DELAYS, "tab", "tab")
        assert person.message == "low battery - the UPS says when its battery is low, as in the guide"
        await person.press("left")
        assert person.field.startswith("low battery < runtime >")
        await person.press("d")
        assert person.field.startswith("low battery < driver >")
        await person.press("z")
        assert person.field.startswith("low battery < driver >"), "no word begins with it"


async def test_a_changed_value_says_where_it_is_from(session: Session) -> None:
    async with shown(session) as person:
        await driver(person, *DELAYS)
        await person.fill("50")
        assert person.fields["offdelay"].split()[0] == "50"
        assert person.fields["offdelay"].endswith("as you gave it")
        assert person.fields["ondelay"].endswith("the guide's value")


async def test_what_was_not_touched_goes_on_following_the_others(session: Session) -> None:
    """A blazer driver has other delays in the guide: they are proposed as soon as it is typed."""
    async with shown(session) as person:
        await driver(person, "tab")
        before = person.fields["ondelay"]
        await person.fill("blazer_usb")
        assert person.fields["ondelay"] != before
        await person.fill("usbhid-ups")
        assert person.fields["ondelay"] == before


async def test_every_field_stands_there_when_it_has_the_focus(session: Session) -> None:
    async with shown(session) as person:
        await person.press("enter")
        for step in session.steps:
            assert person.place == step
            for field in session.fields(step):
                if field.name in person.app.screen.query_one(Form).shown:
                    assert person.field.startswith(field.spec.label[:18])
                    await person.press("tab")
            await person.press("ctrl+n")
