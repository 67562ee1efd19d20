"""Passwords on the screens: typed unseen, drawn, shown for a while, and in no picture of a screen."""

from __future__ import annotations

import html
import time

import pytest

from nutwizard.core.secret import Secret
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.practice.host import READY_PASSWORD
from nutwizard.engine.session import Session
from nutwizard.tui import entries
from tests.tui.screens import Person, open_session, shown

CANARY = "canary-5e1f"


async def password(person: Person) -> None:
    """On the password of the clients' user."""
    await person.press("4", "tab")
    assert person.field.startswith("password")


def picture(person: Person) -> str:
    """The whole screen as a picture holds it."""
    return html.unescape(person.app.export_screenshot()).replace("\xa0", " ")


def typed(session: Session) -> str:
    """The password that counts."""
    value = session.proposals("client_user")["password"].value
    assert isinstance(value, Secret)
    return value.reveal()


async def test_a_password_is_typed_unseen(session: Session) -> None:
    async with shown(session) as person:
        await password(person)
        assert person.field == "password (generated at apply)"
        for end in range(1, len(CANARY) + 1):
            await person.type(CANARY[end - 1])
            assert person.field.split()[1] == "*" * end
            assert end < 5 or CANARY[:end] not in picture(person)
        assert "password = ********" in person.pane("#diff")
        await person.press("f2")
        assert CANARY not in picture(person)
    assert typed(session) == CANARY


async def test_the_name_of_a_changed_diff_never_has_the_password(done_host: PracticeHost) -> None:
    """What is in the files already is not shown either: it stays, unless something is typed."""
    session = open_session(done_host)
    before = typed(session)
    async with shown(session) as person:
        await password(person)
        assert person.field == "password kept as it is from upsd.users"
        await person.type(CANARY)
        for seen in (picture(person), person.pane("#diff")):
            assert CANARY not in seen
            assert before not in seen
        assert "password = ********" in person.pane("#diff")


async def test_a_password_is_shown_for_a_while(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "SHOWN_FOR", 0.3)
    async with shown(session) as person:
        await password(person)
        await person.type(CANARY)
        person.send("\x14")
        await person.until(lambda: CANARY in picture(person), "the password")
        await person.until(lambda: CANARY not in picture(person), "the stars again")
        assert person.field.split()[1] == "*" * len(CANARY)


async def test_the_key_hides_it_again(session: Session) -> None:
    async with shown(session) as person:
        await password(person)
        await person.type(CANARY)
        await person.press("ctrl+t")
        assert person.field.split()[1] == CANARY
        await person.press("ctrl+t")
        assert CANARY not in picture(person)


async def test_a_second_look_has_its_whole_time(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of a look that was ended by the key does not end the next one."""
    monkeypatch.setattr(entries, "SHOWN_FOR", 1.0)
    async with shown(session) as person:
        await password(person)
        await person.type(CANARY)
        began = time.monotonic()
        await person.press("ctrl+t")
        await person.until(lambda: time.monotonic() > began + 0.6)
        await person.press("ctrl+t", "ctrl+t")
        again = time.monotonic()
        await person.until(lambda: CANARY not in picture(person), "the stars again")
        assert time.monotonic() - again > 0.8


async def test_leaving_the_field_hides_it(session: Session) -> None:
    async with shown(session) as person:
        await password(person)
        await person.type(CANARY)
        await person.press("ctrl+t", "shift+tab")
        assert CANARY not in picture(person)
        await person.press("tab")
        assert CANARY not in picture(person)


@pytest.mark.parametrize("keys", [("f1",), ("ctrl+q",), ("ctrl+n",), ("escape",), ("f2",)], ids="-".join)
async def test_leaving_the_screen_hides_it(session: Session, keys: tuple[str, ...]) -> None:
    async with shown(session) as person:
        await password(person)
        await person.type(CANARY)
        await person.press("ctrl+t")
        assert CANARY in picture(person)
        await person.press(*keys)
        assert CANARY not in picture(person)


async def test_a_password_is_drawn(session: Session) -> None:
    async with shown(session) as person:
        await password(person)
        await person.press("ctrl+g")
        first = typed(session)
        assert person.field.split()[1] == "*" * len(first)
        assert len(first) >= 16
        assert first not in picture(person)
        await person.press("ctrl+t")
        assert first in picture(person)
        await person.press("ctrl+g")
        assert typed(session) != first


async def test_an_emptied_password_is_as_if_none_had_been_typed(session: Session) -> None:
    async with shown(session) as person:
        await password(person)
        await person.type("abc")
        await person.press("backspace", "backspace", "backspace")
        assert person.field == "password (generated at apply)"
        assert session.proposals("client_user")["password"].value.pending
    assert not session.typed("client_user")


async def test_a_password_that_nut_cannot_take_is_told_without_it(session: Session) -> None:
    async with shown(session) as person:
        await password(person)
        await person.type('canary"')
        assert person.message.startswith("! ")
        assert "canary" not in person.text
        await person.press("enter")
        assert person.place == "client_user"


async def test_the_keys_of_a_password_are_shown_on_it_alone(session: Session) -> None:
    async with shown(session) as person:
        await person.press("4")
        assert "Ctrl+T" not in person.keys
        await person.press("tab")
        assert "Ctrl+G generate" in person.keys
        assert "Ctrl+T show" in person.keys
        await person.press("shift+tab", "ctrl+t", "ctrl+g")
        assert person.field.startswith("user name upsmonclient")


async def test_a_typed_password_is_kept_unseen(host: PracticeHost) -> None:
    async with shown(open_session(host)) as person:
        await password(person)
        await person.type(CANARY)
    session = open_session(host)
    async with shown(session) as person:
        await person.at("client_user")
        assert person.fields["password"].startswith("kept as it is")
        assert CANARY not in picture(person)
    assert typed(session) == CANARY


async def test_the_password_of_a_client(vm: PracticeHost) -> None:
    session = open_session(vm)
    async with shown(session) as person:
        await person.press("2")
        await person.type("192.168.1.107")
        await person.press("ctrl+n")
        assert person.field.startswith("password")
        assert person.message.startswith("! ")
        assert person.place == "monitor"
        await person.type(READY_PASSWORD)
        assert "!" not in person.message
        assert READY_PASSWORD not in picture(person).replace(session.facts.hostname, "")
        await person.press("ctrl+n")
        await person.at("review")
        await person.press("d")
        assert READY_PASSWORD not in picture(person)
        assert READY_PASSWORD not in person.pane("#text")
