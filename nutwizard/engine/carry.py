"""What every command does with a machine: read its facts, prove its links, carry out a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from nutwizard.core.facts import Door, Facts, Role
from nutwizard.core.links import Expected, LoggedIn
from nutwizard.core.plan import Plan
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.engine import registry
from nutwizard.engine.detect import Sources, detect, file_fact
from nutwizard.engine.host import Host
from nutwizard.engine.store import Store

if TYPE_CHECKING:
    from nutwizard.core.links import Finding
    from nutwizard.engine.outcome import Outcome

#: What is proven by asking who is logged in, without a login of one's own.
_QUIET = (Expected, LoggedIn)


def _managed(role: Role) -> frozenset[str]:
    return frozenset(path for step in registry.steps_of(role) for path in step.paths(role))


def facts_for(host: Host, sources: Sources, role: Role) -> Facts:
    """The facts that the steps of this role look at. Raises NeedsRoot and UsageError as `detect` does."""
    return detect(host, sources, role, _managed(role), Store(host).touched())


def prove(host: Host, facts: Facts, role: Role, *, quick: bool = False) -> tuple[Finding, ...]:
    """What proves the files of this role as they are at this moment, made by nutwizard or by hand.

    `quick`: only who is logged in, which leaves no trace in any log.
    """
    from nutwizard.engine.probe import Prover

    now = replace(facts, files={path: file_fact(host, path) for path in facts.files})
    view = View(now, Site(role), registry.asset)
    links = (link for step in registry.steps_of(role) for link in step.links(view))
    return Prover(host).prove(link for link in links if not quick or isinstance(link.target, _QUIET))


def carry_out(
    host: Host,
    facts: Facts,
    plan: Plan,
    *,
    report: Callable[[str], None],
    command: str,
    undoes: int | None = None,
    on_battery: bool = False,
) -> Outcome:
    """Apply a plan: in a worker of its own, but on a practice machine, whose daemons are this process's.

    Raises what `transaction.apply` raises.
    """
    if host.door is Door.PRACTICE:
        from nutwizard.engine.transaction import apply

        return apply(
            host,
            plan,
            prove=lambda: prove(host, facts, plan.role),
            report=report,
            command=command,
            undoes=undoes,
            on_battery=on_battery,
        )
    from nutwizard.engine.apart import apply_apart

    return apply_apart(host, plan, report=report, command=command, undoes=undoes, on_battery=on_battery)
