"""The side of a session that reckons the budget of a shutdown, and takes its advice as answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nutwizard.core.answers import Given, Proposed
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Role
from nutwizard.core.fields import Field, FieldKind
from nutwizard.engine import carry
from nutwizard.engine.host import Host

if TYPE_CHECKING:
    from nutwizard.core.budget.result import Advice, Budget
    from nutwizard.engine.detect import Sources


class Budgets:
    """Looks at the machine as it is at this moment."""

    host: Host
    role: Role
    _machine: Sources

    def fields(self, step: str) -> tuple[Field, ...]:
        """As `Session.fields`."""
        raise NotImplementedError

    def proposals(self, step: str, given: Mapping[str, Any] | None = None) -> Mapping[str, Proposed]:
        """As `Session.proposals`."""
        raise NotImplementedError

    def answer(self, step: str, values: Mapping[str, Any]) -> tuple[Problem, ...]:
        """As `Session.answer`."""
        raise NotImplementedError

    def typed(self, step: str) -> Mapping[str, Given]:
        """As `Session.typed`."""
        raise NotImplementedError

    def budget(self) -> Budget:
        """What a shutdown needs and what the battery gives, by the files as they are. Waits, bounded.

        Raises NeedsRoot and UsageError as `detect` does.
        """
        from nutwizard.engine.budget import budget

        partly = not self.host.may_write()
        facts = carry.facts_for(self.host, self._machine, self.role, partly=partly)
        return budget(self.host, facts, self.role)

    def take(self, advice: Advice) -> tuple[Problem, ...]:
        """Make advice the answers of its step, beside what was typed there; a problem: it is not taken."""
        step, fields = advice.step, {each.name: each for each in self.fields(advice.step)}
        now: dict[str, Any] = {name: found.value for name, found in self.proposals(step).items()}
        wanted = dict(advice.values)
        for name, value in wanted.items():
            if fields[name].spec.kind is FieldKind.ROWS:
                new = {row.name for row in value}
                wanted[name] = (*(row for row in now[name] or () if row.name not in new), *value)
        before = {name: each.value for name, each in self.typed(step).items()}
        given, whole = before | wanted, now | before | wanted
        problems = self.answer(step, {name: v for name, v in given.items() if fields[name].applies(whole)})
        if problems:  # nobody has typed it: it leaves no trace
            self.answer(step, before)
        return problems
