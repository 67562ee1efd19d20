"""The rehearsal in the plain front end, with recorded plays in place of the stage."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit
from nutwizard.core.facts import Role
from nutwizard.core.rehearsal.form import Form, Staging
from nutwizard.engine import health
from nutwizard.engine.lastplay import last_plays
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.practice import PracticeHost, daemons
from nutwizard.engine.rehearsal import forms
from nutwizard.engine.rehearsal.ready import Readiness
from nutwizard.engine.session import Session
from nutwizard.prompts import pages
from nutwizard.prompts.plain import PlainAsker
from nutwizard.prompts.rehearsing import offer
from tests.prompts.fake import FakeSession
from tests.support.recorded_plays import Replay, spoil
from tests.tui.screens import open_session

QUESTION = "Rehearse a power cut now?"
DONE = Outcome(Exit.DONE, "Everything is in place.")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeHost]:
    """A practice host that was set up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemons, "find_programs", lambda: None)
        patch.setattr(health, "STEADY", 0.2)
        found = PracticeHost.open(str(tmp_path_factory.mktemp("played") / "practice"), Role.HOST)
        assert open_session(found).apply(lambda text: None).code is Exit.DONE
        yield found
        found.close()


@pytest.fixture
def session(machine: PracticeHost) -> Session:
    return open_session(machine)


def asked(*lines: str) -> tuple[PlainAsker, io.StringIO]:
    out = io.StringIO()
    return PlainAsker(io.StringIO("".join(f"{line}\n" for line in lines)), out), out


def test_after_a_proven_set_up_one_is_offered(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    Replay("cut").take_over(monkeypatch)
    asker, out = asked("yes")
    offer(session, asker, DONE)
    told = out.getvalue()
    order = (
        QUESTION,
        "pve serves the UPS, followed by practice-vm",
        "sets FSD",
        "would go off now",
        "Well, and in the",
    )
    assert [told.index(text) for text in order] == sorted(told.index(text) for text in order)
    assert last_plays(session.host)[-1].well
    assert ("rehearsed", "cut") in [(what, how) for what, _, how in session.found()]


@pytest.mark.parametrize("lines", [(), ("",), ("no",)], ids=["no input", "Enter", "no"])
def test_only_a_yes_plays(lines: tuple[str, ...], session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Replay("cut").take_over(monkeypatch)
    asker, out = asked(*lines)
    offer(session, asker, DONE)
    assert (QUESTION in out.getvalue(), replay.ended) == (True, 0)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(Exit.FAILED, "Taken back."),
        Outcome(Exit.BROKEN, "Broken."),
        Outcome(Exit.DONE, "", signals=(15,)),
    ],
    ids=["failed", "broken", "asked to end"],
)
def test_it_is_offered_after_nothing_else(outcome: Outcome) -> None:
    asker, out = asked("yes")
    offer(FakeSession(ready=Readiness()), asker, outcome)
    assert out.getvalue() == ""


def test_it_is_not_offered_where_none_can_be_played() -> None:
    asker, out = asked("yes")
    offer(FakeSession(ready=Readiness("ip is missing: apt-get install iproute2")), asker, DONE)
    offer(FakeSession(ready=Readiness(), role=Role.CLIENT), asker, DONE)
    assert out.getvalue() == ""


def test_among_what_can_be_looked_at_it_is_chosen(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    Replay("blip").take_over(monkeypatch)
    asker, out = asked("blip", "back")
    pages.look("try", session, asker)
    told = out.getvalue()
    assert told.index("1  cut") < told.index("2  blip") < told.index("sees the mains back")
    assert "Well: nobody went down for a blip." in told


def test_what_mends_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Replay("spoiled").take_over(monkeypatch)
    monkeypatch.setattr(daemons, "find_programs", lambda: None)
    monkeypatch.setattr(health, "STEADY", 0.2)
    found = PracticeHost.open(str(tmp_path / "practice"), Role.HOST)
    try:
        session = open_session(found)
        session.apply(lambda text: None)
        spoil(found)
        asker, out = asked("cut", "back")
        pages.look("try", session, asker)
    finally:
        found.close()
    told = out.getvalue()
    assert "Not well: 1 thing would not have worked." in told
    assert told.index("- broken: pve: upsmon.conf has no POWERDOWNFLAG") < told.index(
        "mend: nutwizard step monitor"
    )


def test_a_model_says_that_it_is_one(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "staging", lambda role: Staging(Form.MODEL, "NUT is not installed"))
    asker, out = asked("cut", "back")
    pages.look("try", session, asker)
    told = " ".join(out.getvalue().split())
    assert "NUT is not installed: a model of NUT 2.8.0 plays, not NUT." in told
    assert "would run upssched-cmd onbatt" in told
    assert "NUT's daemons" not in told


def test_where_none_can_be_played_it_says_why() -> None:
    asker, out = asked()
    pages.look("try", FakeSession(ready=Readiness("ip is missing: apt-get install iproute2")), asker)
    assert "No rehearsal can be played here: ip is missing: apt-get install iproute2." in out.getvalue()


def test_ctrl_c_ends_the_play_and_not_the_run(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Replay("cut").take_over(monkeypatch)

    class Leaves(PlainAsker):
        def say(self, text: object) -> None:
            if "sees the UPS on battery" in str(text):
                raise KeyboardInterrupt
            super().say(text)  # type: ignore[arg-type]

    out, before = io.StringIO(), last_plays(session.host)
    pages.look("try", session, Leaves(io.StringIO("cut\nback\n"), out))
    assert "The rehearsal was ended; nothing of it is left." in out.getvalue()
    assert (replay.ended, last_plays(session.host)) == (1, before)
