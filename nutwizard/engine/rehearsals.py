"""The side of a session that rehearses a power cut with the files as they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nutwizard.core.facts import Facts, Role
from nutwizard.engine import carry
from nutwizard.engine.host import Host

if TYPE_CHECKING:
    from nutwizard.core.rehearsal.moments import Moment
    from nutwizard.core.rehearsal.scenario import Scenario
    from nutwizard.engine.detect import Sources
    from nutwizard.engine.rehearsal.ready import Prepared, Readiness
    from nutwizard.engine.rehearsal.run import Rehearsed


class Rehearsals:
    """Plays on copies; nothing of the machine is touched."""

    host: Host
    facts: Facts
    role: Role
    _machine: Sources

    def renew(self) -> None:
        """As `Session.renew`."""
        raise NotImplementedError

    def readiness(self) -> Readiness:
        """Whether a rehearsal can be played here, who would take part, and what the last ones showed."""
        from nutwizard.engine.rehearsal.ready import readiness

        return readiness(self.host, self._as_it_is(), self.role)

    def rehearse(
        self,
        scenario: Scenario,
        *,
        begins: Callable[[Prepared], None],
        told: Callable[[Moment], None],
        left: Callable[[], bool] = lambda: False,
    ) -> Rehearsed:
        """Play it, and keep what it showed. `begins` is told who plays, then `told` of each moment.

        `left` is asked again and again whether the person has left. Raises Left then, Failed where it cannot
        be set up, and as `readiness` and `company_of` do.
        """
        from nutwizard.engine.rehearsal.casting import Wanted
        from nutwizard.engine.rehearsal.ready import prepare

        prepared = prepare(self.host, self._as_it_is(), self.role, Wanted(scenario))
        begins(prepared)
        return prepared.play(self.host, told, left)

    def _as_it_is(self) -> Facts:
        """The machine at this moment. What was changed beside this session counts in it from now on."""
        from nutwizard.engine.lastproof import fingerprint

        facts = carry.facts_for(self.host, self._machine, self.role)
        if fingerprint(facts.files.values()) != fingerprint(self.facts.files.values()):
            self.renew()
        return facts
