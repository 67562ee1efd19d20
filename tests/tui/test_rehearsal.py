"""The rehearsal on the screens: chosen, played line by line, judged, mended, left.

Recorded plays take the stage's place, so that neither root nor NUT is needed; the last test needs both.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from nutwizard.core import paths
from nutwizard.core.errors import Failed, UsageError
from nutwizard.core.rehearsal.form import Form, Staging
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.engine import carry
from nutwizard.engine.lastplay import last_plays
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.rehearsal import forms
from nutwizard.engine.rehearsals import Rehearsals
from tests.support.recorded_plays import Replay, recorded, spoil
from tests.tui.screens import SMALL, Person, open_session, shown

#: Seconds within which a key that leaves has to be obeyed, whatever plays.
AT_ONCE = 2.0


async def choose(person: Person, *keys: str) -> None:
    """From the overview to the choice, and further."""
    await person.press("n")
    await person.at("rehearsal")
    await person.press(*keys)


async def judged(person: Person) -> None:
    await person.until(lambda: "well" in person.title, "the verdict")
    await person.settled()


async def test_the_five_scenarios_are_told_cut_first(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    Replay("cut").take_over(monkeypatch)
    async with shown(open_session(done_host)) as person:
        await choose(person)
        assert [row.split()[0] for row in person.options] == [each.value for each in Scenario]
        assert person.chosen.startswith("cut ")
        assert "pve serves the UPS, followed by practice-vm." in person.prose
        assert "It has not been played yet." in person.prose
        await person.press("down")
        assert "Nobody may go down for it." in person.prose


async def test_what_happens_comes_line_by_line_and_then_the_verdict(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    Replay("cut").take_over(monkeypatch)
    async with shown(open_session(done_host)) as person:
        await choose(person, "enter")
        await judged(person)
        told = person.pane("#log")
        order = (
            "logged into UPS [apc]", "UPS          on battery", "runs upssched-cmd onbatt (as nut)",
            "sets FSD", "practice-vm  SHUTDOWNCMD: would go off now (as root)",
            "pve          SHUTDOWNCMD: would go off now (as root)", "tells the UPS to cut its output",
        )  # fmt: skip
        places = [told.index(text) for text in order]
        assert places == sorted(places)
        assert "Well, and in the right order: practice-vm, then pve." in person.text
        assert "offdelay begins" in person.text, "the newest is seen"
        await person.press("pageup", "pageup")
        assert "The mains fail, and the battery runs low." in person.text
        await person.press("escape")
        await person.at("rehearsal")
        assert "well (practice-vm, then pve)" in person.prose
        await person.press("escape")
        await person.at("overview")
        assert "n rehearses a power cut (on " in person.prose
        assert ": well)" in person.prose


async def test_a_finding_opens_the_step_that_mends_it(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    Replay("spoiled").take_over(monkeypatch)
    async with shown(open_session(done_host)) as person:
        spoil(done_host)  # by a hand, while the wizard runs
        await choose(person, "enter")
        await judged(person)
        assert person.title.endswith("not well")
        assert [row.split()[0] for row in person.options] == ["broken", "warning", "how"]
        assert "mend: nutwizard step monitor" in person.text
        await person.press("enter")
        await person.at("monitor")
        assert person.notice.startswith("upsmon.conf has no POWERDOWNFLAG")
        assert "+ POWERDOWNFLAG /etc/killpower" in person.text, "the step sees the file as it is now"


async def test_e_opens_the_step_of_the_chosen_finding_and_the_last_row_the_page(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    Replay("spoiled").take_over(monkeypatch)
    spoil(done_host)
    async with shown(open_session(done_host)) as person:
        await choose(person, "enter")
        await judged(person)
        await person.press("end")
        assert "Not played: the real UPS" in person.prose
        await person.press("enter")
        await person.at("The rehearsal")
        await person.press("escape", "home", "down")
        assert "mail-it: not found" in person.seen("#said")
        await person.press("e")
        await person.at("actions")


async def test_again_plays_it_again(done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Replay("cut").take_over(monkeypatch)
    async with shown(open_session(done_host)) as person:
        await choose(person, "enter")
        await judged(person)
        await person.press("a")
        await person.until(lambda: replay.ended == 2, "the second play")
        await judged(person)
        assert person.pane("#log").count("sets FSD") == 1


async def in_its_midst(person: Person) -> None:
    """Play the chosen one until the UPS is on battery."""
    await choose(person)
    person.app.post_message(person.key("enter"))
    await person.until(lambda: "sees the UPS on battery" in person.text, "its midst")


async def test_leaving_while_it_plays_ends_it_at_once_and_keeps_nothing(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = Replay("cut", stops=66).take_over(monkeypatch)
    async with shown(open_session(done_host)) as person:
        await in_its_midst(person)
        begun = time.monotonic()
        person.app.post_message(person.key("escape"))
        await person.until(lambda: person.place == "rehearsal", "the choice")
        assert time.monotonic() - begun < AT_ONCE
        await person.settled()
        assert replay.ended == 1
        assert "It has not been played yet." in person.prose
        assert last_plays(done_host) == ()


async def test_quitting_while_it_plays_ends_it(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = Replay("cut", stops=66).take_over(monkeypatch)
    async with shown(open_session(done_host)) as person:
        await in_its_midst(person)
        begun = time.monotonic()
        person.app.post_message(person.key("ctrl+c"))
        await person.over()
        assert time.monotonic() - begun < AT_ONCE
    assert replay.ended == 1


async def test_the_screen_hears_while_it_plays(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    Replay("cut", stops=75).take_over(monkeypatch)
    async with shown(open_session(done_host)) as person:
        await choose(person)
        person.app.post_message(person.key("enter"))
        await person.until(lambda: "sets FSD" in person.text, "its middle")
        for key in ("pageup", "pageup", "pageup"):
            person.app.post_message(person.key(key))
        await person.says("The mains fail, and the battery runs low.")
        person.app.post_message(person.key("f1"))
        await person.until(lambda: person.title.startswith("The rehearsal"), "its page")
        for place in ("playing", "rehearsal"):
            person.app.post_message(person.key("escape"))
            await person.until(lambda place=place: person.place == place, place)  # type: ignore[misc]
        await person.settled()


async def test_another_size_breaks_the_lines_anew(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    Replay("cut").take_over(monkeypatch)
    async with shown(open_session(done_host), size=SMALL) as person:
        await choose(person, "enter")
        await judged(person)
        narrow = person.pane("#log")
        await person.resize(118, 40)
        wide = person.pane("#log")
        assert max(map(len, narrow.split("\n"))) <= 76 < max(map(len, wide.split("\n")))
        assert "".join(narrow.split()) == "".join(wide.split())


async def test_a_host_that_is_not_set_up_says_that_first(
    host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    Replay("cut").take_over(monkeypatch)
    async with shown(open_session(host)) as person:
        await choose(person)
        assert "This machine is not set up yet" in person.prose
        assert [row.split()[1] for row in person.options] == ["MODE", "ups.conf", "upsmon.conf"]
        await person.press("down", "enter")
        await person.at("driver")


async def test_where_nothing_can_be_played_it_says_why_and_what_to_do(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise UsageError("NUT is not installed here.", "Install it: apt-get install nut-server")

    session = open_session(done_host)
    monkeypatch.setattr(carry, "require_nut", refuses)
    async with shown(session) as person:
        await choose(person)
        assert "No rehearsal can be played here: NUT is not installed here." in person.prose
        await person.press("enter", "escape")
        await person.at("overview")


async def test_a_model_plays_on_the_screens_too(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "staging", lambda role: Staging(Form.MODEL, "NUT is not installed"))
    async with shown(open_session(done_host)) as person:
        await choose(person)
        assert "A model of NUT plays a power cut with your files" in person.prose
        assert "NUT is not installed: a model of NUT 2.8.0 plays, not NUT." in person.prose
        person.app.post_message(person.key("enter"))
        await patiently(person, "well")
        assert "in the right order" in person.prose
        assert "practice-vm  would run upssched-cmd onbatt" in person.pane("#log")


async def test_what_fails_on_the_way_is_told(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise Failed("the rehearsal could not be set up: pve: no room", "Nothing was changed.")

    Replay("cut").take_over(monkeypatch)
    monkeypatch.setattr(Rehearsals, "rehearse", fails)
    async with shown(open_session(done_host)) as person:
        await choose(person, "enter")
        assert "It could not be played" in person.text
        assert "no room" in person.text
        assert "Nothing was changed." in person.text
        await person.press("escape")
        await person.at("rehearsal")


async def test_it_leads_back_to_where_the_person_came_from(
    alone_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    Replay("cut").take_over(monkeypatch)
    async with shown(open_session(alone_host)) as person:
        await person.press("c")
        await person.until(lambda: "proven" in person.title, "the proof")
        assert "n rehearses a power cut" in person.notice
        for key, way in (("escape", "check"), ("f", "finish"), ("n", "rehearsal"), ("escape", "finish")):
            if way == "check":
                await person.press("n")
                await person.at("rehearsal")
            await person.press(key)
            await person.at(way)


async def test_a_client_mends_its_own_half(done_vm: PracticeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is made up; what is found in the files of this machine is mended here."""
    monkeypatch.setattr(forms, "staging", lambda role: Staging(Form.MODEL, "NUT is not installed"))
    Path(done_vm.on_disk(paths.UPSSCHED_CONF)).unlink()
    async with shown(open_session(done_vm)) as person:
        await choose(person)
        assert len(person.options) == len(Scenario)
        assert "host serves the UPS, followed by practice-vm." in person.prose
        await person.press("enter")
        await judged(person)
        assert "practice-vm: Can't open /etc/nut/upssched.conf" in person.options[0]
        assert "mend: nutwizard step actions" in person.text
        await person.press("enter")
        await person.at("actions")


async def test_a_client_that_is_not_set_up_says_that_first(vm: PracticeHost) -> None:
    async with shown(open_session(vm)) as person:
        await choose(person)
        assert "This machine is not set up yet" in person.prose
        assert [row.split()[1] for row in person.options] == ["MODE", "upsmon.conf"]


def test_recordings_hold_no_password() -> None:
    for name in ("cut", "blip", "spoiled"):
        assert not [event for event in recorded(name) if "password" in str(event).lower()]


@pytest.mark.skipif(os.geteuid() != 0 or bool(forms.lacking()), reason="needs root, NUT and namespaces")
async def test_with_real_nut(done_host: PracticeHost) -> None:
    """A whole play, and one that is left in its midst, of which nothing remains."""
    before = stages()
    async with shown(open_session(done_host)) as person:
        await choose(person, "down")
        person.app.post_message(person.key("enter"))
        await patiently(person, "well")
        assert "Well: nobody went down for a blip." in person.text
        [kept] = last_plays(done_host)
        assert (kept.scenario, kept.well, kept.order) == (Scenario.BLIP, True, ())
        assert Path(done_host.on_disk(paths.REHEARSED)).stat().st_mode & 0o777 == 0o600
        person.app.post_message(person.key("a"))
        await person.until(lambda: person.title.endswith("playing"), "the second play")
        await patiently(person, "logged into")
        assert len(stages()) == len(before) + 1
        person.app.post_message(person.key("escape"))
        begun = time.monotonic()
        await person.until(lambda: person.place == "rehearsal", "the choice")
        assert time.monotonic() - begun < AT_ONCE
        assert stages() == before


async def patiently(person: Person, text: str) -> None:
    """As `until`, for what a real play takes."""
    for _ in range(3):
        try:
            await person.until(lambda: text in person.title or text in person.text, text)
            return
        except AssertionError:
            continue
    raise AssertionError(f"{text} did not come; it shows:\n{person.text}")


def stages() -> set[int]:
    """The stages that this process has started and that still run."""
    found = set()
    for thread in threading.enumerate():
        children = Path(f"/proc/{os.getpid()}/task/{thread.native_id}/children")
        for number in children.read_text().split() if children.exists() else ():
            if b"rehearsal.stage" in Path(f"/proc/{number}/cmdline").read_bytes():
                found.add(int(number))
    return found
