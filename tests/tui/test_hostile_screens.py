"""Text from outside on every screen: shown as the letters that it is, never obeyed, never read as markup."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

from nutwizard import opening
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice
from nutwizard.core.links import Finding, State
from nutwizard.core.plan import Plan
from nutwizard.core.rules.catalogue import all_rules
from nutwizard.core.rules.rule import Severity, Spot, Trouble
from nutwizard.core.shown import safe_text
from nutwizard.engine import applying
from nutwizard.engine.doctor import Examination
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.session import Session
from nutwizard.engine.sources import MachineSources
from nutwizard.tui.choose import Ask, ChooseMany, ChooseOne
from nutwizard.tui.reader import Reader
from nutwizard.wording.layout import Line
from tests.hostile.rig import Bench, Terminal, machine
from tests.hostile.test_shown import BAD, FILES, FORBIDDEN
from tests.support.sessions import AS_ROOT
from tests.tui.screens import Person, open_session, shown

#: Markup of rich and of Textual, which has to be seen as it is written.
MARKUP = (
    "[bold]EVIL[/bold]",
    "[/]EVIL",
    "[link=http://EVIL]EVIL[/link]",
    "[@click=app.leave]EVIL[/]",
    r"\[EVIL]",
)
#: What a terminal obeys, hides or draws at another width.
STRINGS = (
    *MARKUP,
    "{EVIL}$EVIL%(EVIL)s",
    "EVIL\x1b[2J\x1b[1;1HEVIL",
    "EVIL\x1b]8;;http://EVIL\x1b\\EVIL\x1b]8;;\x1b\\",
    "EVIL\x1b]52;c;RVZJTA==\x07",
    "EVIL\x9b2J\x9d0;EVIL\x9cEVIL",
    "EVIL\r\b\b\bgood",
    "EVIL\u202egood\u2066good",
    "EVIL\u200b\u200d\ufeff\u00adEVIL",
    "EVIL" + "\u0301" * 200,
    "EVIL" * 500,
    "EVIL\x00EVIL\tEVIL\x0b\x0c\x07EVIL",
    "EVIL\nEVIL",
    "EVIL\uff25\uff36\U0001f4a3\u6f22",
)
WIDE = (250, 60)
#: What Textual sends for the shape of a mouse pointer.
POINTER = b"\x1b]22;default\x07"
_LOCAL = "[upsmon]\npassword = w2\nupsmon master\n"


def unsafe(person: Person) -> list[str]:
    """Rows that hold what a terminal would obey or hide."""
    return [repr(row) for row in person.rows if safe_text(row) != row]


async def looked(person: Person, *, markup: bool = False) -> str:
    """The screen as it is; nothing in it is obeyed, and with `markup` each of `MARKUP` is seen as written."""
    await person.settled()
    assert unsafe(person) == []
    text = person.text
    assert "EVIL" in text
    if markup:
        for written in MARKUP:
            assert written in text, written
    return text


async def test_lists_questions_and_pages(session: Session) -> None:
    """Every place where a screen shows a text that it was given."""
    choices = [Choice(text, text) for text in STRINGS]
    made: list[Screen[Any]] = [
        ChooseOne("EVIL", choices, STRINGS[0]),
        ChooseMany("EVIL", choices, (*STRINGS, "mine"), free=lambda words: words),
        Reader("EVIL", [Line(text) for text in STRINGS]),
    ]
    async with shown(session, size=WIDE) as person:
        for screen in made:
            await person.app.push_screen(screen)
            await looked(person, markup=True)
            await person.press("escape")
        for text in STRINGS:
            person.app.screen.notify_here(text)  # type: ignore[attr-defined]
            seen = await looked(person)
            assert text not in MARKUP or text in seen


@pytest.mark.parametrize("text", [*MARKUP, "".join(STRINGS)], ids=range(len(MARKUP) + 1))
async def test_titles(session: Session, text: str) -> None:
    async with shown(session, begin=False) as person:
        for screen in (Ask(text, [Choice(text), Choice("other", text)]), Reader(text, [Line(text)])):
            await person.app.push_screen(screen)
            seen = await looked(person)
            assert text not in MARKUP or text in seen
            await person.press("escape")


def everything(monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the session say hostile things wherever it can."""
    text = " ".join(STRINGS)
    examine, plan, page = Session.examine, Session.plan, Session.found

    def examined(self: Session, told: Any = None) -> Examination:
        found = []
        seen = examine(self)
        for each in seen.findings:
            link = replace(each.link, subject=text)
            finding = Finding(link, State.BROKEN, evidence=text, cause=text, fix=text, values={text: text})
            found.append(finding)
            if told is not None:
                told(finding)
        rule = replace(all_rules()[0], title=text, cause=text)
        trouble = Trouble(rule, Spot(text, text, 7, text, Severity.WARNING))
        return replace(seen, findings=tuple(found), troubles=(trouble,))

    def planned(self: Session) -> Plan:
        return replace(plan(self), notes=(text,))

    def found(self: Session) -> list[tuple[str, str, str]]:
        return [(safe_text(text), safe_text(text), safe_text(text)), *page(self)]

    def carried(*given: Any, report: Any, **named: Any) -> Outcome:
        report(text)
        return Outcome(0, text, (), 1, (text,))  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "examine", examined)
    monkeypatch.setattr(Session, "plan", planned)
    monkeypatch.setattr(Session, "found", found)
    monkeypatch.setattr(Session, "values", lambda self: (safe_text(text), {safe_text(text): safe_text(text)}))
    monkeypatch.setattr(applying, "carry_out", carried)
    return text


async def test_what_a_session_says(host: PracticeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings, values, notes, progress and results from the overview to the last page."""
    text = everything(monkeypatch)
    outages = [text, ""]
    monkeypatch.setattr(Session, "outage", lambda self: outages.pop(0))
    async with shown(open_session(host), size=WIDE) as person:
        await looked(person, markup=True)
        await person.press("t")
        await looked(person, markup=True)
        await person.press("a", "w")
        await looked(person)
        await person.press("a", "w")
        await person.until(lambda: "Enter goes on" in person.text, "the end")
        await looked(person, markup=True)
        await person.press("enter")
        await person.until(lambda: "broken" in person.title, "the check")
        await looked(person, markup=True)
        await person.press("f")
        await person.at("finish")
        assert unsafe(person) == []


@AS_ROOT
@pytest.mark.parametrize("part", range(2))
async def test_every_screen_over_hostile_files(tmp_path: Path, part: int) -> None:
    """In names, descriptions, users, comments and values of a machine's own files."""
    strings = [text.replace("\n", " ").replace("\x00", "") for text in STRINGS[part::2]]
    text = " ".join(strings)
    quoted = json.dumps(text, ensure_ascii=False)
    files = {
        **FILES,
        "ups.conf": f"# {text}\n[apc]\ndriver = usbhid-ups\nport = auto\ndesc = {quoted}\n".encode(),
        "upsd.conf": f"# {text}\nLISTEN 127.0.0.1 3493 # {text}\n".encode(),
        "upsd.users": f"# {text}\n[{strings[0]}]\npassword = w1\nupsmon slave\n{_LOCAL}".encode(),
        "upsmon.conf": f"# {text}\nMONITOR apc@localhost 1 upsmon w2 master\nSHUTDOWNCMD {quoted}\n".encode(),
        "upssched.conf": f"# {text}\nCMDSCRIPT {quoted}\nAT ONLINE * EXECUTE {quoted}\n".encode(),
    }
    root = machine(tmp_path / "root", "host", files)
    (root / "etc/hostname").write_text(f"{text}\n")
    (root / "etc/os-release").write_text(f"PRETTY_NAME={quoted}\n")
    host = OfflineHost(str(root))
    session = opening.open_session(host, MachineSources(host), Role.HOST, save=True)
    async with shown(session) as person:
        await looked(person)
        for number, step in enumerate(session.steps, 1):
            await person.press(*((str(number % 10),) if number <= 10 else ("end", "enter")))
            assert person.place == step
            assert unsafe(person) == []
            await person.press("f2")
            assert unsafe(person) == []
            await person.press("escape", "ctrl+o")
        await person.press("t", "d")
        assert unsafe(person) == []
        await person.press("escape", "escape", "ctrl+q", "escape")


@pytest.mark.parametrize("part", range(2))
async def test_what_is_typed_and_here_again(host: PracticeHost, part: int) -> None:
    """A paste is text too; it is refused or shown, and so it is at the next start."""
    text = "".join(STRINGS[part::2])
    async with shown(open_session(host), size=WIDE) as person:
        await person.press("2", "tab", "tab", "tab")
        for _ in range(2):
            await paste(person, text)
            assert "EVIL" in person.text
            assert unsafe(person) == []
            await person.press("tab")
        await person.press("ctrl+n", "f2")
        assert unsafe(person) == []
    async with shown(open_session(host), size=WIDE) as person:
        assert unsafe(person) == []


async def test_a_paste_into_a_list(session: Session) -> None:
    async with shown(session, size=WIDE) as person:
        await person.press("3", "f4", "tab")
        await paste(person, "".join(STRINGS))
        assert unsafe(person) == []
        await person.press("enter")
        assert unsafe(person) == []
        await person.press("escape", "escape")
        await person.at("overview")
        await person.press("2", "tab", "f4")
        await paste(person, "".join(STRINGS))
        assert unsafe(person) == []


async def paste(person: Person, text: str) -> None:
    """As a terminal does that takes nothing out of what it pastes."""
    from textual.events import Paste

    person.app.post_message(Paste(text))
    await person.settled()


@AS_ROOT
def test_no_byte_of_theirs_reaches_the_terminal(tmp_path: Path) -> None:
    root = machine(tmp_path / "root", "host", FILES)
    (root / "etc/hostname").write_text(f"{BAD}\n")
    (root / "etc/os-release").write_text(f'PRETTY_NAME="{BAD}"\n')
    with Terminal(Bench(tmp_path / "bench"), "--root", str(root), "--role", "host") as terminal:
        terminal.until("What will be done", keys="\r")
        terminal.until("Found here")
        for number, key in enumerate([*"1234567890", "\x1b[F\r"], 1):  # the last one has no digit
            terminal.press(key)
            terminal.until(f"{number} of 11")
            terminal.press("\t\x1bOQ")
            terminal.until("what would change", keys="\r")
            terminal.until(f"{number} of 11", keys="\x0f")
            terminal.until("Found here")
        terminal.press("\x03")
        terminal.end()
        assert b"EVIL" in terminal.raw
        assert rb"\x1b]0;EVIL\x07" in terminal.raw, "it was shown, and visibly so"
        assert FORBIDDEN.findall(terminal.raw.decode()) == []
        assert b"\x1b]0;EVIL" not in terminal.raw
        assert b"\x07" not in terminal.raw.replace(POINTER, b"")
