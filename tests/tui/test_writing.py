"""From the review to the end: the question, the writing, what failed, the proofs, the last page."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nutwizard.core import paths
from nutwizard.core.errors import Exit, Failed
from nutwizard.core.links import Finding, State
from nutwizard.engine import health
from nutwizard.engine.carry import carry_out as real
from nutwizard.engine.doctor import Examination
from nutwizard.engine.host import Completed
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.practice.host import READY_PASSWORD
from nutwizard.engine.session import Session
from nutwizard.tui import check
from tests.tui.screens import LIMIT, LINKS, Person, for_nobody_else, open_session, shown


class Gate:
    """Lets what passes it wait until it is opened; it is never closed for ever."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.reached = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self._open.wait(LIMIT)

    def open(self) -> None:
        self._open.set()


async def write(person: Person) -> None:
    """From the overview: take everything, and say yes."""
    await person.press("t")
    await person.at("review")
    await person.press("a", "w")


async def written(person: Person, words: str = "Done. Enter goes on") -> None:
    await person.until(lambda: words in person.text, words)


async def proven(person: Person) -> None:
    await person.until(
        lambda: person.title.startswith("Check  ") and "asked" not in person.title, "the proofs"
    )
    await person.settled()


def before_apply(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something first, at the desk, when a plan is applied."""

    def carry_out(*given: Any, **named: Any) -> Any:
        act()
        return real(*given, **named)

    monkeypatch.setattr("nutwizard.engine.applying.carry_out", carry_out)


async def test_nothing_is_written_without_a_clear_yes(session: Session) -> None:
    async with shown(session) as person:
        await person.press("t", "a")
        assert "Write this now?" in person.text
        assert person.chosen.startswith("back")
        await person.press("enter", "a", "escape", "a", "b", "a", "x")
        assert "Write this now?" in person.text, "a letter of no answer is none"
        await person.press("escape")
        assert person.place == "review"
    assert session.host.read("/etc/nut/nut.conf").endswith(b"MODE=none\n")


async def test_from_the_first_key_to_the_last_page(host: PracticeHost) -> None:
    session = open_session(host)
    for_nobody_else(session)
    async with shown(session) as person:
        await write(person)
        await written(person)
        assert "waiting for the links to be proven" in person.pane("#log")
        await person.press("enter")
        await proven(person)
        assert person.title.endswith(f"{LINKS} proven")
        assert all(row.startswith("proven") for row in person.options)
        await person.until(lambda: "ups.status" in person.pane("#values"), "the UPS's values")
        assert "ups.status" in person.pane("#values")
        await person.press("enter")
        await person.at("finish")
        last = person.pane("#text")
        assert "nutwizard --practice undo 1" in last
        file = Path(host.on_disk(paths.NEXT))
        await person.resize(200, 40)
        assert f"The same in {file}" in person.text
        await person.press("enter")
        ended = await person.over()
    assert ended.code is Exit.DONE
    assert "nutwizard --practice undo 1" in ended.text
    assert file.read_text().strip() == ended.text.strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not open_session(host).resumed


async def test_the_end_of_a_client(vm: PracticeHost) -> None:
    async with shown(open_session(vm)) as person:
        await person.press("2")
        await person.type("192.168.1.107")
        await person.press("tab", "tab", "tab", "tab")
        await person.type(READY_PASSWORD)
        await person.press("escape")
        await write(person)
        await written(person)
        await person.press("enter")
        await proven(person)
        await person.press("f")
        await person.at("finish")
        assert READY_PASSWORD not in person.pane("#text")
        await person.press("q")
        ended = await person.over()
    assert ended.code is Exit.DONE
    assert READY_PASSWORD not in ended.text


async def test_the_last_page_can_be_copied(done_host: PracticeHost) -> None:
    async with shown(open_session(done_host)) as person:
        await person.press("c")
        await proven(person)
        await person.press("f")
        await person.at("finish")
        await person.press("y")
        assert "handed to the terminal to copy" in person.notice
        await person.press("v")
        await person.says("This terminal cannot be left for a moment")
        await person.press("escape")
        await person.at("check")


async def test_while_it_is_written_no_key_leads_away(
    host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    before_apply(monkeypatch, gate)
    async with shown(open_session(host)) as person:
        await person.press("t")
        await person.at("review")
        await person.press("a")
        person.send("w")
        await person.until(gate.reached.is_set, "the writing")
        await person.until(lambda: person.title.startswith("Writing"), "the writing")
        for key in ("ctrl+q", "ctrl+c", "escape", "enter", "f1"):
            person.app.post_message(person.key(key))
        await person.until(lambda: person.title.startswith("Writing"))
        assert not person.ended
        gate.open()
        await written(person)
        assert not person.ended
    assert host.read("/etc/nut/nut.conf").endswith(b"MODE=netserver\n")


async def test_what_fails_is_taken_back_and_told(host: PracticeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    real = PracticeHost.rename

    def rename(self: PracticeHost, source: str, target: str) -> None:
        if target == paths.UPSMON_CONF:
            raise OSError(28, "No space left on device", target)
        real(self, source, target)

    monkeypatch.setattr(PracticeHost, "rename", rename)
    session = open_session(host)
    async with shown(session) as person:
        await person.press("2")
        await person.fill("rack")
        await person.press("escape")
        await write(person)
        await written(person, "Enter goes on")
        assert "Taken back. Enter goes on" in person.text
        log = " ".join(person.pane("#log").split())
        assert "It did not work, and was taken back." in log
        assert "No space left on device" in log
        await person.press("enter")
        await person.at("review")
        monkeypatch.setattr(PracticeHost, "rename", real)
        await person.press("a", "w")
        await written(person)
    assert "[rack]" in host.read(paths.UPS_CONF).decode()


async def test_a_unit_that_does_not_start_is_taken_back(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What worked before and does not start any more works again afterwards."""
    real = PracticeHost.run

    def run(self: PracticeHost, argv: Sequence[str], **named: Any) -> Completed:
        new = b"cellar" in self.read(paths.UPS_CONF)
        if new and argv[1:2] in (["restart"], ["start"]) and "nut-server.service" in argv:
            real(self, [argv[0], "stop", "nut-server.service"], **named)
            return Completed(1, err="Job for nut-server.service failed.")
        return real(self, argv, **named)

    monkeypatch.setattr(PracticeHost, "run", run)
    monkeypatch.setattr(health, "STILL", 0.5)
    monkeypatch.setattr(health, "PATIENCE", 0.5)
    async with shown(open_session(done_host)) as person:
        await person.press("2", "tab", "tab", "tab")
        await person.fill("In the cellar")
        await person.press("ctrl+n")
        await person.at("review")
        await person.press("a", "w")
        await written(person, "Enter goes on")
        assert "Taken back" in person.text
        assert "nut-server" in person.pane("#log")
        await person.press("enter")
        await person.at("review")
        assert any(row.startswith("/etc/nut/ups.conf") for row in person.options)
    assert b"cellar" not in done_host.read(paths.UPS_CONF)


async def test_an_outage_writes_nothing(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    outages = ["Not during an outage: UPS apc runs on battery.", ""]
    monkeypatch.setattr(Session, "outage", lambda self: outages.pop(0))
    async with shown(session) as person:
        await write(person)
        await person.says("UPS apc runs on battery. Nothing was written yet.")
        assert person.place == "review"
        await person.press("a", "w")
        await written(person)


async def test_an_outage_that_comes_at_the_last_moment(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise Failed("UPS apc runs on battery.", "Wait until the mains are back.")

    before_apply(monkeypatch, refuse)
    async with shown(session) as person:
        await write(person)
        await written(person, "Enter goes on")
        log = " ".join(person.pane("#log").split())
        assert "UPS apc runs on battery. Wait until the mains are back." in log
        await person.press("enter")
        await person.at("review")


async def test_impatient_keys_write_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the server is asked about an outage, the same keys again start no second writing."""
    gate, applied = Gate(), []

    def outage(self: Session) -> str:
        gate()
        return ""

    monkeypatch.setattr(Session, "outage", outage)
    before_apply(monkeypatch, lambda: applied.append(1))
    async with shown(session) as person:
        await write_now(person, gate)
        for key in "aw":
            person.send(key)
            await person.heard()
        gate.open()
        await written(person)
        await person.press("enter")
        await proven(person)
    assert len(applied) == 1


async def write_now(person: Person, gate: Gate) -> None:
    await person.press("t")
    await person.at("review")
    await person.press("a")
    person.send("w")
    await person.until(gate.reached.is_set, "the question about an outage")
    await person.says("Asking the NUT server whether there is an outage")


async def test_the_proofs_come_one_by_one(alone_host: PracticeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row turns from three dots to what was found, while the others still wait."""
    gates = [Gate() for _ in range(LINKS)]
    real = Session.examine

    def examine(self: Session, told: Any = None) -> Examination:
        left = iter(gates)

        def tell(finding: Finding) -> None:
            next(left)()
            told(finding)

        return real(self, tell)

    monkeypatch.setattr(Session, "examine", examine)
    async with shown(open_session(alone_host)) as person:
        person.send("c")
        for asked, gate in enumerate(gates):
            await person.until(gate.reached.is_set, "the next proof")
            await person.until(lambda asked=asked: f"{asked} of {LINKS} asked" in person.title)  # type: ignore[misc]
            states = [row.split()[0] for row in person.options]
            assert (states.count("proven"), states.count("...")) == (asked, LINKS - asked)
            gate.open()
        await proven(person)


async def test_a_check_can_be_left_before_its_end(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    real = Session.examine

    def examine(self: Session, told: Any = None) -> Examination:
        def tell(finding: Finding) -> None:
            gate()
            told(finding)

        return real(self, tell)

    monkeypatch.setattr(Session, "examine", examine)
    async with shown(open_session(done_host)) as person:
        person.send("c")
        await person.until(gate.reached.is_set, "the first proof")
        person.app.post_message(person.key("escape"))
        await person.until(lambda: person.app._on_the_way)
        gate.open()
        await person.at("overview")
        await person.settled()


async def test_what_is_broken_comes_first_and_opens_its_step(alone_host: PracticeHost) -> None:
    alone_host.run(["/usr/bin/systemctl", "stop", "nut-monitor.service"], timeout=30)
    async with shown(open_session(alone_host)) as person:
        await person.press("c")
        await proven(person)
        assert "1 broken" in person.title
        assert person.chosen.startswith("broken")
        assert person.notice == "Something is broken: Enter or e on it opens the step that mends it."
        assert "cause" in person.pane("#detail")
        await person.press("e")
        await person.until(lambda: "this step alone" in person.title, "its step")
        assert person.notice


async def test_a_link_that_is_proven_opens_no_step_with_enter(alone_host: PracticeHost) -> None:
    async with shown(open_session(alone_host)) as person:
        await person.press("c")
        await proven(person)
        await person.press("down", "enter")
        await person.at("finish")


async def test_the_check_asks_again(alone_host: PracticeHost) -> None:
    async with shown(open_session(alone_host)) as person:
        await person.press("c")
        await proven(person)
        alone_host.run(["/usr/bin/systemctl", "stop", "nut-monitor.service"], timeout=30)
        await person.press("a")
        await person.until(lambda: "1 broken" in person.title, "the broken link")


async def test_the_values_are_read_again_and_again(
    done_vm: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "AGAIN", 0.1)
    charge = iter(range(100, 0, -1))
    monkeypatch.setattr(Session, "values", lambda self: ("apc", {"battery.charge": str(next(charge))}))
    async with shown(open_session(done_vm)) as person:
        person.send("c")
        await person.until(lambda: "battery.charge  95" in person.text, "a newer value")


async def test_a_check_without_anything_set_up(session: Session) -> None:
    async with shown(session) as person:
        await person.press("c")
        await person.until(lambda: "asked" not in person.title or person.options, "the check")
        await person.press("down", "e", "enter", "a", "escape")
        await person.until(lambda: person.place in ("overview", "finish"), "a way out")


async def test_waiting_links_are_told_on_the_last_page(
    alone_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Session.examine

    def examine(self: Session, told: Any = None) -> Examination:
        found = real(self, told)
        last = Finding(found.findings[-1].link, State.WAITING, cause="it has not come yet")
        return replace(found, findings=(*found.findings[:-1], last))

    monkeypatch.setattr(Session, "examine", examine)
    async with shown(open_session(alone_host)) as person:
        await person.press("c")
        await proven(person)
        assert "1 waiting" in person.title
        assert person.options[0].startswith("waiting")
        await person.press("f")
        await person.at("finish")
        assert "Waits for: " in person.pane("#text")
