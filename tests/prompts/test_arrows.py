"""The asker with arrow keys, on a real terminal of 80x24."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest

from nutwizard.core.fields import FieldKind
from nutwizard.prompts import arrows
from nutwizard.wording.contract import GuidedSession
from tests.prompts.fake import CANARY

ROOT = Path(__file__).parents[2]
LIMIT = 30.0
PROGRAM = """
import json, os, sys
from nutwizard.prompts.asker import make_asker
from nutwizard.prompts.guided import run
from tests.prompts.fake import FakeSession
session = FakeSession(practice=True)
code = run(session, make_asker(os.environ, sys.stdin, sys.stdout))
answers = {**session.answers.get("driver", {}), **session.answers.get("listen", {})}
secret = session.answers.get("client_user", {}).get("password")
print("RESULT " + json.dumps([code, session.applied, answers, bool(secret) and len(secret.reveal())]))
"""
DOWN, ESC, F1, CTRL_C, CTRL_D, CLEAR, ENTER = "\x1b[B", "\x1b", "\x1bOP", "\x03", "\x04", "\x15", "\r"


class Terminal:
    """A program in a pseudo-terminal: wait for a text, then press keys."""

    def __init__(self) -> None:
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environ = {
            **os.environ,
            "TERM": "xterm-256color",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "PYTHONPATH": str(ROOT),
        }
        for name in ("ACCESSIBLE", "COLUMNS", "LINES", "NO_COLOR"):
            environ.pop(name, None)
        self._child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=follower, stdout=follower, stderr=follower,
            env=environ, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        os.close(follower)
        self.seen, self._at = "", 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._child.kill()
        self._child.wait(LIMIT)
        os.close(self._leader)

    def until(self, text: str, keys: str = "") -> None:
        """Wait until this stands there after what was waited for before, then press keys."""
        stop = time.monotonic() + LIMIT
        while (found := self._plain().find(text, self._at)) < 0:
            ready, _, _ = select.select([self._leader], [], [], max(0.0, stop - time.monotonic()))
            assert ready, f"{text!r} did not come: {self._plain()[self._at :]!r}"
            try:
                self.seen += os.read(self._leader, 65536).decode(errors="replace")
            except OSError:
                pytest.fail(f"ended before {text!r}: {self._plain()[-2000:]!r}")
        self._at = found + len(text)
        os.write(self._leader, keys.encode())

    def result(self) -> list[object]:
        self.until("RESULT ")
        self.until("\n")
        line = self._plain()[: self._at].rpartition("RESULT ")[2]
        found: list[object] = json.loads(line)
        return found

    def _plain(self) -> str:
        """What was printed, without the terminal's sequences and line wraps."""
        text = re.sub(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78])", "", self.seen)
        return text.replace("\r", "")


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as made:
        yield made


def test_every_kind_has_a_row() -> None:
    assert set(arrows.ROWS) == set(FieldKind)


def test_a_whole_run(terminal: Terminal) -> None:
    terminal.until("PRACTICE")
    terminal.until("What now?", ENTER)
    terminal.until("UPS name", CLEAR + "home" + ENTER)
    terminal.until("dummy-ups", DOWN + ENTER)
    terminal.until("offdelay, 0 to 600 s", CLEAR + "700" + ENTER)
    terminal.until("700 is out of range", CLEAR + "30" + ENTER)
    terminal.until("ondelay, 0 to 600 s", F1)
    terminal.until("It must be greater than offdelay.")
    terminal.until("ondelay, 0 to 600 s", CLEAR + "20" + ENTER)
    terminal.until("must be greater than offdelay (30)")
    terminal.until("ondelay, 0 to 600 s", CLEAR + "40" + ENTER)
    terminal.until("What now?", ENTER)
    terminal.until("other: type it", DOWN + DOWN + " " + DOWN + " " + ENTER)
    terminal.until("other addresses", "fd00::1" + ENTER)
    terminal.until("192.168.1.107, fd00::1")
    terminal.until("user name", ENTER)
    terminal.until("password", CANARY + ENTER)
    terminal.until("events", ENTER)
    terminal.until("wall", ENTER)
    terminal.until("Review")
    terminal.until(
        "-- Enter for more", ENTER
    )  # with its menu, the review is longer than what is left of the screen
    terminal.until("What now?", ENTER)
    terminal.until("offdelay = 30")
    terminal.until("What now?", "w" + ENTER)
    terminal.until("Write this now?", "y")
    terminal.until("Result")
    terminal.until("-- Enter for more", ENTER)
    terminal.until("To put the files back: nutwizard --practice undo 7")
    answers = {"ups": "home", "driver": "dummy-ups", "offdelay": 30, "ondelay": 40,
               "addresses": ["192.168.1.107", "fd00::1"]}  # fmt: skip
    assert terminal.result() == [0, 1, answers, len(CANARY)]
    assert CANARY not in terminal.seen


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
def test_leaving_in_the_middle_writes_nothing(terminal: Terminal, key: str) -> None:
    terminal.until("What now?", ENTER)
    terminal.until("UPS name", CLEAR + key)
    terminal.until("Nothing was written.")
    assert terminal.result() == [130, 0, {}, False]


def test_escape_goes_back(terminal: Terminal) -> None:
    terminal.until("What now?", ENTER)
    terminal.until("UPS name", ENTER)
    terminal.until("dummy-ups", ESC)
    terminal.until("UPS name", ESC)
    terminal.until("What now?", "q" + ENTER)
    assert terminal.result() == [130, 0, {}, False]


def test_the_engines_session_is_what_the_dialogue_needs() -> None:
    """The type checker compares signatures; here, that no name is missing."""
    from nutwizard.engine.session import Session

    def fits(session: Session) -> GuidedSession:
        return session

    names = {name for name in vars(GuidedSession) if not name.startswith("_")}
    given_when_made = {"facts", "host", "role", "steps"}
    assert fits is not None
    assert names - given_when_made <= set(dir(Session))
