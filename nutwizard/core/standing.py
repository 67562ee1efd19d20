"""How a step stands: whether this machine is as the step's answers say, and if not what is in the way."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: Lines of two versions of a file beyond which equal lines may be taken for noise: the rest is quadratic.
_MANY = 2000


class StepState(StrEnum):
    """What can be said of a step. A state equals its text."""

    IN_PLACE = "in place"
    TO_DO = "to do"
    DIFFERS = "differs from your answers"
    OTHER_ROLE = "not for this role"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class Standing:
    """The state of one step, and why in a few words that are safe to show ("ups.conf: 3 lines")."""

    state: StepState
    why: str = ""


def lines_changed(before: bytes, after: bytes) -> int:
    """How many lines a change touches; one that is replaced by another counts once."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    head = _same(old, new)
    old, new = old[head:], new[head:]
    tail = _same(old[::-1], new[::-1])
    old, new = old[: len(old) - tail], new[: len(new) - tail]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > _MANY)
    return sum(
        max(old_to - old_from, new_to - new_from)
        for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes()
        if tag != "equal"
    )


def _same(old: Sequence[bytes], new: Sequence[bytes]) -> int:
    """How many lines at the start are the same."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(old), len(new)))


def in_short(items: Sequence[str], width: int) -> str:
    """As many of the items as fit into `width` characters, the first in any case; the others are counted."""
    shown = 1
    while shown < len(items) and len(_joined(items, shown + 1)) <= width:
        shown += 1
    return _joined(items, shown) if items else ""


def _joined(items: Sequence[str], shown: int) -> str:
    left = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {left} more" if left else "")


def clipped(text: str, width: int) -> str:
    """The text, or its beginning and three dots."""
    return text if len(text) <= width else f"{text[: width - 3].rstrip()}..."
