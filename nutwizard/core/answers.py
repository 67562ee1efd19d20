"""Answers: what was decided, and where each value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nutwizard.core.facts import Role


class Origin(StrEnum):
    """Where a value comes from. Of several sources the first in this order wins.

    RESUMED was typed in a run before this one that did not come to its end. YOURS is proposed for what a
    person wrote: no answers file overwrites it, only who is asked gives it up.
    """

    TYPED = "typed"
    RESUMED = "kept from before"
    YOURS = "a file of your own"
    NAMED = "answers file"
    CURRENT = "current configuration"
    SAVED = "saved answers"
    DETECTED = "detected"
    GUIDE = "the guide"
    GENERATED = "generated"

    @property
    def rank(self) -> int:
        return list(Origin).index(self)


@dataclass(frozen=True)
class Proposed:
    """A value that a step suggests, its origin, and a note that says more ("from ups.conf")."""

    value: Any
    origin: Origin
    note: str = ""


@dataclass(frozen=True)
class Given:
    """A typed value from an answers file or a front end; `place` is file:line:column where it was read."""

    value: Any
    origin: Origin
    place: str = ""


#: step name -> field name -> value that was given
Section = Mapping[str, Given]


@dataclass(frozen=True)
class AnswersSet:
    """The typed values of one answers file, or of one dialogue (`path` is "" then), by step."""

    role: Role | None = None
    path: str = ""
    sections: Mapping[str, Section] = field(default_factory=dict)

    def get(self, step: str, name: str) -> Given | None:
        return self.sections.get(step, {}).get(name)


def choose(proposed: Proposed, candidates: list[Given]) -> Proposed:
    """The value that wins by origin: typed, named file, current files, saved answers, detected, the guide."""
    best = proposed
    for given in candidates:
        if given.origin.rank < best.origin.rank:
            best = Proposed(given.value, given.origin, given.place)
    return best
