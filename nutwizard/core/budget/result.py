"""What a budget says: its parts, its verdict, and what would change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nutwizard.core.facts import Role


class Basis(StrEnum):
    """Where a number comes from: it was measured here, a file or NUT sets it, or it is a limit or a guess."""

    MEASURED = "measured"
    CONFIGURED = "configured"
    ASSUMED = "assumed"


class Verdict(StrEnum):
    """Whether the battery lasts until the last machine is off."""

    FITS = "fits"
    TOO_LONG = "does not fit"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Part:
    """A stretch of the shutdown, one after the other.

    `key`: a word for programs; `what`: for a person; `seconds`: how long it is reckoned to take, `worst`: how
    long if everybody uses all the time that is allowed. `why`: where the number comes from. `after`: the
    machines are off by then, and it needs the battery alone.
    """

    key: str
    what: str
    seconds: float
    basis: Basis
    why: str
    worst: float = 0.0
    after: bool = False


@dataclass(frozen=True)
class Given:
    """The time that there is, from the moment the shutdown starts. `seconds`: None where it is not known, and
    `why` says why; `starts`: what starts it; `basis`: as that of a part.
    """

    seconds: float | None
    starts: str
    why: str
    basis: Basis = Basis.ASSUMED


@dataclass(frozen=True)
class Advice:
    """What would change the budget. `buys`: seconds, None where nobody can tell; `of`: of what they are.

    `step`, `values`: the answers that do it, by field; of a field with rows, the rows to add. `by_hand`: what
    is to be typed where no step does it.
    """

    what: str
    why: str
    buys: float | None = None
    of: str = "battery"
    step: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    by_hand: tuple[str, ...] = ()


@dataclass(frozen=True)
class Budget:
    """`parts` in their order; `has`: the time that there is. `needs`: seconds from the start of the shutdown
    until the last machine is off, `cut`: until the UPS has cut the power; None where a part is not known.
    """

    role: Role
    parts: tuple[Part, ...]
    has: Given
    needs: float | None
    worst: float | None
    cut: float | None
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()

    @property
    def spare(self) -> float | None:
        """Seconds to spare, less than 0 where they lack; None where either side is not known."""
        return None if self.needs is None or self.has.seconds is None else self.has.seconds - self.needs
