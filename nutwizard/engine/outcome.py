"""How an apply ended."""

from __future__ import annotations

from dataclasses import dataclass

from nutwizard.core.errors import Exit
from nutwizard.core.links import Finding


@dataclass(frozen=True)
class Outcome:
    """How an apply ended. `text`: for a person; `findings`: the last look at the links.

    `id`: the transaction, 0 when nothing was kept. `signals`: those that came meanwhile and were held back
    (a caller that was asked to end ends now). `earlier`: the transactions that came before it and stay,
    whatever became of this one.
    """

    code: Exit
    text: str
    findings: tuple[Finding, ...] = ()
    id: int = 0
    notes: tuple[str, ...] = ()
    signals: tuple[int, ...] = ()
    earlier: tuple[int, ...] = ()

    @property
    def in_force(self) -> tuple[int, ...]:
        """The transactions that have changed something, newest first: so they are undone."""
        last = (self.id,) if self.id and self.code in (Exit.DONE, Exit.BROKEN) else ()
        return (*last, *reversed(self.earlier))
