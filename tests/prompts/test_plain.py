"""The plain asker: every kind, limits, help, secrets, screens."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.fields import Choice, Field, FieldKind, Spec
from nutwizard.core.secret import Secret
from nutwizard.prompts import plain
from nutwizard.prompts.asker import Back, make_asker, wants_plain
from nutwizard.prompts.plain import PlainAsker
from tests.prompts.fake import CANARY, not_empty


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def asked(
    spec: Spec, proposal: Proposed | None, *lines: str, hints: tuple[Choice, ...] = ()
) -> tuple[Any, str]:
    out = io.StringIO()
    asker = PlainAsker(io.StringIO("".join(f"{line}\n" for line in lines)), out)
    return asker.ask(Field("it", spec), proposal, "The **help**.", hints), out.getvalue()


DELAY = Spec(FieldKind.INTEGER, "offdelay", unit="s", low=0, high=600, optional=True)
EVENTS = Spec(FieldKind.CHOICES, "events", choices=(Choice("ONLINE"), Choice("ONBATT"), Choice("LOWBATT")))
MANY = Spec(FieldKind.CHOICE, "driver", choices=tuple(Choice(f"driver-{n}") for n in range(50)))
PASSWORD = Spec(FieldKind.SECRET, "password", check=not_empty)
KEPT = Proposed(Secret(CANARY), Origin.CURRENT, "from upsd.users")


def test_every_kind_has_a_row() -> None:
    assert set(plain.ROWS) == set(FieldKind)


@pytest.mark.parametrize(
    ("spec", "proposal", "line", "value"),
    [
        (DELAY, Proposed(60, Origin.GUIDE), "", 60),
        (DELAY, Proposed(60, Origin.GUIDE), "none", None),
        (DELAY, Proposed(None, Origin.GUIDE), "", None),
        (Spec(FieldKind.TEXT, "UPS name"), None, " apc ", "apc"),
        (Spec(FieldKind.BOOLEAN, "wall"), Proposed(True, Origin.GUIDE), "", True),
        (Spec(FieldKind.BOOLEAN, "wall"), Proposed(True, Origin.GUIDE), "n", False),
        (EVENTS, Proposed(("ONLINE", "ONBATT"), Origin.GUIDE), "", ("ONLINE", "ONBATT")),
        (EVENTS, Proposed(("ONLINE",), Origin.GUIDE), "3, ONBATT", ("LOWBATT", "ONBATT")),
        (EVENTS, Proposed(("ONLINE",), Origin.GUIDE), "none", ()),
        (MANY, None, "driver-7", "driver-7"),
        (Spec(FieldKind.CHOICE, "script", choices=(Choice("ours"), Choice("keep"))), None, "2", "keep"),
        (PASSWORD, KEPT, "", Secret(CANARY)),
        (PASSWORD, KEPT, " two words", Secret(" two words")),
    ],
)
def test_values(spec: Spec, proposal: Proposed | None, line: str, value: object) -> None:
    assert asked(spec, proposal, line)[0] == value


def test_suggestions_are_numbered_and_other_texts_are_taken() -> None:
    hints = (Choice("0.0.0.0", "as the guide does"), Choice("10.0.0.1", "vmbr0"))
    value, text = asked(Spec(FieldKind.TEXTS, "addresses"), None, "2 fd00::1", hints=hints)
    assert value == ("10.0.0.1", "fd00::1")
    assert "2  10.0.0.1  vmbr0" in text


def test_what_is_wrong_is_said_and_asked_again() -> None:
    value, text = asked(DELAY, Proposed(60, Origin.GUIDE), "601", "soon", "600")
    assert value == 600
    assert "601 is out of range: 0 to 600 s" in text
    assert 'expected whole seconds, got "soon"' in text


def test_a_proposal_that_does_not_fit_is_not_kept() -> None:
    value, text = asked(DELAY, Proposed(9999, Origin.CURRENT, "from ups.conf"), "", "5")
    assert (value, "9999 is out of range" in text) == (5, True)


def test_help_and_back() -> None:
    value, text = asked(PASSWORD, KEPT, "?", "")
    assert (value, "The help." in text) == (Secret(CANARY), True)
    assert CANARY not in text
    assert "kept as it is, from upsd.users" in text
    with pytest.raises(Back):
        asked(DELAY, None, "<")


def test_a_note_without_a_value_is_shown() -> None:
    _, text = asked(
        Spec(FieldKind.TEXT, "server", check=not_empty), Proposed(None, Origin.GUIDE, "the host's"), "a"
    )
    assert text == "server (the host's): \n"


def test_the_input_ends() -> None:
    with pytest.raises(KeyboardInterrupt):
        asked(DELAY, Proposed(9999, Origin.CURRENT), "")


def test_bytes_that_are_no_text_are_asked_again() -> None:
    raw = io.TextIOWrapper(_Lines(b"\xff\xfe\n7\n"), encoding="utf-8")
    out = io.StringIO()
    assert PlainAsker(raw, out).ask(Field("it", DELAY), None, "", ()) == 7
    assert "not UTF-8" in out.getvalue()


class _Lines(io.BytesIO):
    """Gives a line at a time, as a terminal does."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.readline()


def test_menus_take_numbers_words_and_first_letters() -> None:
    choices = (Choice("next"), Choice("back"), Choice("quit"))
    asker = PlainAsker(io.StringIO("2\nq\nnext\n\nz\n0\n<\n"), io.StringIO())
    assert [asker.choose("What now?", choices, "next") for _ in range(5)] == [
        "back",
        "quit",
        "next",
        "next",
        "back",
    ]


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
def test_nothing_leaves_the_screen_unseen(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    monkeypatch.setenv("COLUMNS", str(size[0]))
    monkeypatch.setenv("LINES", str(size[1]))
    out = Terminal()
    asker = PlainAsker(Terminal("\n" * 99), out)
    asker.page("\n".join(f"line {n} " + "word " * (n % 30) for n in range(60)))
    asker.confirm("Go on?", True)
    # Enter after "-- Enter for more" is echoed by a terminal: each such prompt ends a screen.
    screens = out.getvalue().split("-- Enter for more, s to skip: ")
    assert len(screens) > 2
    assert all(screen.count("\n") <= size[1] - 1 for screen in screens)
    assert max(len(line) for screen in screens for line in screen.split("\n")) <= size[0]
    assert "line 59" in screens[-1] or "line 59" in screens[-2]


def test_skipping_leaves_the_rest_out() -> None:
    out = Terminal()
    PlainAsker(Terminal("s\n"), out).page("\n".join(f"line {n}" for n in range(60)))
    assert "line 30" not in out.getvalue()


def test_saying_never_waits() -> None:
    out = Terminal()
    PlainAsker(Terminal(""), out).say("\n".join(f"line {n}" for n in range(60)))
    assert "line 59" in out.getvalue()


@pytest.mark.parametrize(
    ("environ", "make", "plainly"),
    [
        ({"TERM": "xterm"}, Terminal, False),
        ({"TERM": "xterm", "ACCESSIBLE": "0"}, Terminal, False),
        ({"TERM": "xterm", "ACCESSIBLE": "1"}, Terminal, True),
        ({"TERM": "dumb"}, Terminal, True),
        ({}, Terminal, True),
        ({"TERM": "xterm"}, io.StringIO, True),
    ],
)
def test_which_terminals_get_plain_lines(
    environ: dict[str, str], make: Callable[[], io.StringIO], plainly: bool
) -> None:
    assert wants_plain(environ, make(), make()) is plainly
    assert isinstance(make_asker(environ, make(), make()), PlainAsker) is plainly


def test_a_password_is_not_echoed_and_nothing_is_escaped() -> None:
    """On a real terminal, whose echo is on."""
    program = (
        "import sys\n"
        "from nutwizard.core.fields import Field, FieldKind, Spec\n"
        "from nutwizard.prompts.asker import make_asker\n"
        "asker = make_asker({}, sys.stdin, sys.stdout)\n"
        "value = asker.ask(Field('p', Spec(FieldKind.SECRET, 'password')), None, '', ())\n"
        "print(len(value.reveal()), 'questionary' in sys.modules, 'prompt_toolkit' in sys.modules)\n"
    )
    leader, follower = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", program], stdin=follower, stdout=follower, stderr=follower,
                          start_new_session=True) as child:  # fmt: skip
        os.close(follower)
        seen = os.read(leader, 4096)
        while b": " not in seen:
            seen += os.read(leader, 4096)
        os.write(leader, f"{CANARY}\n".encode())
        assert child.wait(20) == 0
    try:
        while more := os.read(leader, 4096):
            seen += more
    except OSError:  # the other end is closed
        pass
    os.close(leader)
    assert f"{len(CANARY)} False False".encode() in seen
    assert CANARY.encode() not in seen
    assert b"\x1b" not in seen
