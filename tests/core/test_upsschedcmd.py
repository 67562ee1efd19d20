"""The script that upssched calls, as text: made, and told from what somebody edited."""

from __future__ import annotations

import re

import pytest

from nutwizard.core.events import SINCE
from nutwizard.core.upssched import Timer, timer_name
from nutwizard.core.upsschedcmd import LASTING, is_unmodified, script_text, tells_users, timers_of
from nutwizard.engine import registry

EVENTS = [event for events in SINCE.values() for event in events]
TIMERS = (
    Timer("ONBATT", "onbatt_long", 120, "ONLINE", "script"),
    Timer("COMMBAD", "esac", 60, None, "fsd"),
)


def made(*timers: Timer, system: str = "apc@localhost", wall: bool = False) -> bytes:
    return script_text(registry.asset("upssched-cmd.sh"), system, wall, timers)


def test_every_event_has_words_and_the_level_of_its_own_message() -> None:
    levels = dict(re.findall(r"(?m)^    ([a-z_]+)\) text='(INFO|WARNING) - ", made().decode()))
    assert set(LASTING) == set(EVENTS)
    assert {event.lower(): level for event, (level, _) in LASTING.items()} == levels
    assert [words for _, words in LASTING.values() if not re.fullmatch(r"[A-Za-z ]+", words)] == []


def test_no_placeholder_is_left() -> None:
    assert re.findall(rb"@[A-Z]+@", made(*TIMERS)) == []
    # A diff of it is read on a terminal of 80 columns.
    assert [line for line in made(*TIMERS).splitlines() if len(line) > 84] == []


@pytest.mark.parametrize("timers", [(), TIMERS])
@pytest.mark.parametrize("wall", [False, True])
def test_what_was_put_in_is_read_back(timers: tuple[Timer, ...], wall: bool) -> None:
    script = made(*timers, system="ups_2.a-b@[fe80::1%vmbr0]:3494", wall=wall)
    assert timers_of(script) == {timer.name: timer.then for timer in timers}
    assert tells_users(script) is wall
    assert is_unmodified(script)


def test_every_edit_of_one_byte_is_seen() -> None:
    script = made(*TIMERS)
    edited = [script[:at] + bytes([script[at] ^ 1]) + script[at + 1 :] for at in range(len(script))]
    assert [at for at, text in enumerate(edited) if is_unmodified(text)] == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda script: script + b"\n",
        lambda script: script[:-1],
        lambda script: script.replace(b"\n", b"\r\n"),
        lambda script: script.replace(b"online) ", b"online)"),
        lambda script: b"\n" + script,
        lambda script: script.replace(b"nutwizard; checksum", b"me; checksum"),
        lambda script: b"",
    ],
)
def test_other_edits_are_seen(edit: object) -> None:
    assert not is_unmodified(edit(made(*TIMERS)))  # type: ignore[operator]


@pytest.mark.parametrize("system", ["", "a b", "a'b@localhost", "a\n", "-a", "a$(id)", "a;b", "x" * 256])
def test_a_ups_that_is_no_word_is_refused(system: str) -> None:
    with pytest.raises(ValueError, match="the name of the UPS"):
        made(system=system)


@pytest.mark.parametrize("name", ["x", "onbatt_long", "0", "esac", "a" * 40, "_"])
def test_names_of_timers(name: str) -> None:
    assert timer_name(name) is None


@pytest.mark.parametrize("name", ["", "a" * 41, "A", "a-b", "a b", "a;b", "a\n", "é", "*", "a'b"])
def test_names_that_no_timer_may_have(name: str) -> None:
    assert "up to 40 small letters" in (timer_name(name) or "")


@pytest.mark.parametrize("event", EVENTS)
def test_the_word_of_an_event_is_no_name(event: str) -> None:
    assert "is the word of the event" in (timer_name(event.lower()) or "")
