"""A terminal of 80x24: keys are pressed in it, every screen is kept. It is tmux, on a socket of its own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from tempfile import TemporaryDirectory
from types import TracebackType

from .dress import CHECKOUT
from .machine import Machine, wait_until
from .wizard import COMMAND

COLUMNS, ROWS = 80, 24
#: Seconds until a key shows, and until a change is written and proven.
KEY_LIMIT, WRITE_LIMIT = 15.0, 60.0
MORE = "-- Enter for more, s to skip"
ENDED = "== ended with "
#: More questions, or full screens, than any run has.
MOST = 80
#: Seconds after which an ended terminal goes by itself, should nobody close it.
LIFE = 600
_BEFORE_A_FIELD = re.compile(r"> [^(\[]*(?:\([^)]*\)|\[[^\]]*\])?(?: Tab lists)? ?")


class Terminal:
    """A command of nutwizard that asks with arrow keys, seen through tmux; it ends with the `with` block."""

    def __init__(self, machine: Machine, *words: str) -> None:
        self._folder = TemporaryDirectory(prefix="nutwizard-tmux-")
        self._machine = machine.name
        self.screens: list[str] = []
        inside = machine.command([*COMMAND, *words, "--plain"], cwd=CHECKOUT, env={"TERM": "screen-256color"})
        # The screen stays, and the code stands on it: tmux itself does not always learn it.
        line = f"{shlex.join(inside)}; echo '{ENDED}'$?; exec sleep {LIFE}"
        self._tmux("new", "-d", "-x", str(COLUMNS), "-y", str(ROWS), line)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._tmux("kill-server")
        self._folder.cleanup()

    def question(self, limit: float = KEY_LIMIT) -> str:
        """What is asked, once it stands there, or "" once the command has ended; full screens are read on.

        Raises TimeoutError with the screen.
        """
        for _ in range(MOST):
            found = self._wait(self._asked, limit)
            if found != MORE:
                return found
            self.press("Enter")
        raise AssertionError(f"too many full screens:\n{self.screen()}")

    def press(self, *keys: str) -> None:
        """Press keys, each when the one before it has shown. Raises TimeoutError with the screen."""
        for key in keys:
            before = self.screen()
            self._tmux("send-keys", key)
            self._wait(self._other_than(before), KEY_LIMIT)

    def fill(self, text: str, *, hidden: bool = False) -> None:
        """Replace what stands in the field that is asked."""
        if self._field():
            self.press("C-u")
        self._tmux("send-keys", "-l", "--", text)
        typed = "*" * len(text) if hidden else text
        self._wait(lambda: typed if self._field() == typed else None, KEY_LIMIT)

    def answer(self, typed: Mapping[str, str], pressed: Mapping[str, tuple[str, ...]]) -> list[str]:
        """Accept every question but for texts to type and keys to press, both by the question's beginning.

        The questions as they came. Ends before the yes that writes, or with the command. Raises
        AssertionError for what was never asked.
        """
        asked: list[str] = []
        for _ in range(MOST):
            question = self.question()
            asked.append(question)
            if not question or question.startswith("Write this now?"):
                missed = [t for t in (*typed, *pressed) if not any(q.startswith(t) for q in asked)]
                assert not missed, f"never asked: {missed}"
                return asked
            for title, text in typed.items():
                if question.startswith(title):
                    self.fill(text, hidden="password" in title)
            for title, keys in pressed.items():
                if question.startswith(title):
                    self.press(*keys)
            self.press(*(("w", "Enter") if " w) write" in self.screen() else ("Enter",)))
        raise AssertionError(f"too many questions:\n{self.screen()}")

    def end(self, limit: float = WRITE_LIMIT) -> int:
        """The exit code, once the command has ended; full screens are read on. Raises TimeoutError."""
        assert self.question(limit) == "", self.screen()
        return int(self.screen().rpartition(ENDED)[2])

    def screen(self) -> str:
        """What stands there; it is kept."""
        text = self._tmux("capture-pane", "-p").rstrip("\n")
        if self.screens[-1:] != [text]:
            self.screens.append(text)
        return text

    def everything(self) -> str:
        """All that was ever seen."""
        return "\n".join((*self.screens, self._tmux("capture-pane", "-p", "-S", "-")))

    def _asked(self) -> str | None:
        """The open question, `MORE` when there is more to read, "" after the end, None while it works."""
        lines = [line.rstrip() for line in self.screen().split("\n")]
        cursor = self._tmux("display", "-p", "#{cursor_y}")
        if lines[-1].startswith(ENDED):
            return ""
        if lines[-1].startswith(MORE):
            return MORE
        last = max((n for n, line in enumerate(lines) if line.startswith("> ")), default=-1)
        if last < 0:
            return None
        menu = any(line.startswith(" > ") for line in lines[last + 1 :])
        # The cursor has left a field that was answered; a long value goes on in the rows below (the last cell
        # of a row may be a blank, which the screen does not tell).
        here = int(cursor)
        inside = here >= last and all(len(line) >= COLUMNS - 1 for line in lines[last:here])
        return lines[last].removeprefix("> ") if menu or inside else None

    def _field(self) -> str:
        """What stands in the field, after its title and what is said about it."""
        lines = [line for line in self.screen().split("\n") if line.startswith("> ")]
        return _BEFORE_A_FIELD.sub("", lines[-1], count=1).rstrip() if lines else ""

    def _other_than(self, before: str) -> Callable[[], str | None]:
        def look() -> str | None:
            now = self.screen()
            return now if now != before else None

        return look

    def _wait(self, look: Callable[[], str | None], limit: float) -> str:
        try:
            return wait_until(look, limit, 0.03)
        except TimeoutError:
            raise TimeoutError(f"{self._machine}: not within {limit} s; it shows:\n{self.screen()}") from None

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", "guided", "-f", "/dev/null", *words]
        environ = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "TMUX_TMPDIR": self._folder.name,
        }
        done = subprocess.run(command, capture_output=True, text=True, timeout=KEY_LIMIT, env=environ)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout
