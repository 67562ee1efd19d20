"""Errors that reach a person, each with the exit code of the command that ends with it."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Exit(IntEnum):
    """Exit codes of every command. README has the same table for people."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WOULD_CHANGE = 3
    BROKEN = 4
    NOT_WHOLE = 5
    UNFINISHED = 6
    LOCKED = 7
    NEEDS_ROOT = 8
    INTERRUPTED = 130


class Problem:
    """One thing that is wrong with an answer: where, what, and so what to do.

    `field` is `step.field` where one is at fault; `place` is `file:line:column` where a file was read.
    `other` is a second field that contradicts the first.
    No dataclass: its machinery would be half of what `--help` costs.
    """

    __slots__ = ("field", "other", "place", "text")

    def __init__(self, text: str, field: str = "", place: str = "", other: str = "") -> None:
        self.text, self.field, self.place, self.other = text, field, place, other

    def at(self, place: str, other: str = "") -> Problem:
        """The same problem, at this place; `other`: where the second field was given."""
        said = f" ({self.other}: {other})" if other else ""
        return Problem(f"{self.text}{said}", self.field, place)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.field, self.text) if part)

    def __repr__(self) -> str:
        return f"Problem({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class WizardError(Exception):
    """Ends a command: `text` says what is wrong and where, `hint` what to do next."""

    code: Exit = Exit.FAILED

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


class Failed(WizardError):
    """An act failed and everything was put back."""


class AnswersError(WizardError):
    """Command line or answers are wrong; nothing was touched. Carries every problem, not only the first."""

    code = Exit.USAGE

    def __init__(self, problems: Sequence[Problem], hint: str = "") -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint)
        self.problems = tuple(problems)


class UsageError(WizardError):
    """The command cannot be done as asked; nothing was touched."""

    code = Exit.USAGE


class NotWhole(WizardError):
    """An act failed and could not be put back entirely; `text` names what and where."""

    code = Exit.NOT_WHOLE


class Unfinished(WizardError):
    """An interrupted transaction is there and this command only reads."""

    code = Exit.UNFINISHED


class Locked(WizardError):
    """Another run holds the lock."""

    code = Exit.LOCKED


class NeedsRoot(WizardError):
    """The command has to read or write what only root may."""

    code = Exit.NEEDS_ROOT

    def __init__(self, text: str, hint: str = "Run it as root: sudo nutwizard ...") -> None:
        super().__init__(text, hint)
