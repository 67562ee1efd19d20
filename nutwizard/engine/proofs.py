"""The side of a session that proves: the links, the UPS's values, and what is left for later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nutwizard.core.facts import Facts, Role
from nutwizard.engine import carry
from nutwizard.engine.host import Host

if TYPE_CHECKING:
    from nutwizard.core.links import Finding, Link
    from nutwizard.engine.detect import Sources
    from nutwizard.engine.doctor import Examination


class Proofs:
    """Asks the machine as it is at this moment."""

    host: Host
    facts: Facts
    role: Role
    _machine: Sources

    def examine(self, told: Callable[[Finding], None] | None = None) -> Examination:
        """Every link and every rule, on the machine as it is at this moment.

        `told` gets each finding as soon as it is known. Raises NeedsRoot and UsageError as `detect` does.
        """
        from nutwizard.engine.lastproof import examine_and_keep

        partly = not self.host.may_write()
        facts = carry.facts_for(self.host, self._machine, self.role, partly=partly)
        return examine_and_keep(self.host, facts, self.role, told or (lambda finding: None))

    def prove(
        self, *, quick: bool = False, told: Callable[[Finding], None] | None = None
    ) -> tuple[Finding, ...]:
        """The links of the chain, as `examine` does. `quick`: only who is logged in."""
        if quick:
            return carry.prove(self.host, self.facts, self.role, quick=True, told=told)
        return self.examine(told).findings

    def watch_links(self) -> tuple[Link, ...]:
        """The links that `prove` would tell of, in its order, from the files as they are now."""
        return carry.watched(self.host, self.facts, self.role)

    def values(self) -> tuple[str, Mapping[str, str]]:
        """(which UPS, its variables now, safe to show), or (why there are none, {}). Waits up to 4 s."""
        return carry.values_now(self.host, self.facts, self.role)

    def leave_next(self, text: str) -> str:
        """Write down what comes next, for later; the path, "" when it cannot be written."""
        return carry.leave_next(self.host, text)
