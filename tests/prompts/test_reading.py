"""The pages in the guided run: the opening page of a first run, and the choice that lists them all."""

from __future__ import annotations

import io

import pytest

from nutwizard.core.errors import Exit
from nutwizard.core.facts import Role
from nutwizard.engine import registry
from nutwizard.prompts.guided import run
from nutwizard.prompts.plain import PlainAsker
from nutwizard.wording.layout import Line, Tone
from nutwizard.wording.reading import text_of
from tests.prompts.fake import FakeSession


def play(session: FakeSession, *lines: str, only: tuple[str, ...] = ()) -> tuple[Exit, str]:
    out = io.StringIO()
    code = run(session, PlainAsker(io.StringIO("".join(f"{line}\n" for line in lines)), out), only=only)
    return code, out.getvalue()


@pytest.mark.parametrize("role", Role)
def test_a_first_run_begins_with_the_overview(role: Role) -> None:
    title = registry.topics(role)["overview"]
    _, text = play(FakeSession(first=True, role=role), "quit")
    assert text.count(title) == 1
    assert "about 30" in text[: text.index("Found here")]
    _, text = play(FakeSession(role=role), "quit")
    assert title not in text


def test_the_opening_page_comes_once_and_not_for_one_step() -> None:
    title = registry.topics(Role.HOST)["overview"]
    _, text = play(FakeSession(first=True), "", "<", "quit")
    assert (text.count(title), text.count("Found here")) == (1, 2)
    _, text = play(FakeSession(first=True), "<", "quit", only=("driver",))
    assert title not in text


def test_read_shows_pages_and_comes_back() -> None:
    session = FakeSession()
    code, text = play(session, "read", "users", "webconsole", "", "quit")
    assert (code, session.applied) == (Exit.INTERRUPTED, 0)
    for wanted in ("The three NUT users", "A VM never gets the administrator", "18 is the limit", "vmbr0"):
        assert wanted in " ".join(text.split())
    assert text.count("What now?") == 2
    assert [name for name in registry.topics(Role.HOST) if f"  {name}  " not in text] == []


def test_text_for_a_terminal_and_for_a_pipe() -> None:
    lines = [Line("word " * 40), Line("    " + "x" * 200, Tone.PLAIN)]
    assert max(map(len, text_of(lines, 60).splitlines())) <= 60
    piped = text_of(lines, None).splitlines()
    assert max(map(len, piped[:-1])) <= 80
    assert piped[-1] == "    " + "x" * 200
