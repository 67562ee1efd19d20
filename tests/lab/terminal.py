"""The prompts of `--plain` at 80x24: questions are answered key by key."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nutwizard.wording.rehearsing import QUESTION
from tests.support.tmux import COLUMNS, KEY_LIMIT, Tmux

from .dress import CHECKOUT
from .machine import Machine
from .wizard import COMMAND

#: Seconds until a change is written and proven.
WRITE_LIMIT = 60.0
OFFER = QUESTION
MORE = "-- Enter for more, s to skip"
#: More questions, or full screens, than any run has.
MOST = 80
_BEFORE_A_FIELD = re.compile(r"> [^(\[]*(?:\([^)]*\)|\[[^\]]*\])?(?: Tab lists)? ?")


class Terminal(Tmux):
    """A command of nutwizard that asks with arrow keys."""

    def __init__(self, machine: Machine, *words: str) -> None:
        argv = [*COMMAND, *words, "--plain"]
        super().__init__(machine.command(argv, cwd=CHECKOUT, env={"TERM": "screen-256color"}), machine.name)

    def question(self, limit: float = KEY_LIMIT) -> str:
        """What is asked, once it stands there, or "" once the command has ended; full screens are read on.

        Raises TimeoutError with the screen.
        """
        for _ in range(MOST):
            found = self.wait(self._asked, limit)
            if found != MORE:
                return found
            self.press("Enter")
        raise AssertionError(f"too many full screens:\n{self.screen()}")

    def fill(self, text: str, *, hidden: bool = False) -> None:
        """Replace what stands in the field that is asked."""
        if self._field():
            self.press("C-u")
        self.send(text)
        typed = "*" * len(text) if hidden else text
        self.wait(lambda: typed if self._field() == typed else None, KEY_LIMIT)

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
        question = self.question(limit)
        if question.startswith(OFFER):  # of a rehearsal; Enter means no
            self.press("Enter")
            question = self.question(limit)
        assert question == "", self.screen()
        code = self.ended()
        assert code is not None
        return code

    def _asked(self) -> str | None:
        """The open question, `MORE` when there is more to read, "" after the end, None while it works."""
        lines = [line.rstrip() for line in self.screen().split("\n")]
        cursor = self._tmux("display", "-p", "#{cursor_y}")
        if self.ended() is not None:
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
