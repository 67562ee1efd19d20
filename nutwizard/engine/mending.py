"""What mends that which an examination found broken: steps to plan again, and acts that no step has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nutwizard.core.facts import Role
from nutwizard.core.links import ENABLE, DriverData, Finding, Listens, LoggedIn, Login, State
from nutwizard.core.plan import Act, ActKind, FileChange, Plan
from nutwizard.core.rules.rule import Severity, Trouble
from nutwizard.core.units import ALL_DRIVERS, MONITOR, SERVER, driver_unit
from nutwizard.engine.causes import CAUSES, OWN
from nutwizard.engine.doctor import Examination
from nutwizard.engine.nut_errors import AnswerTimeout, ConnectTimeout

#: Rules whose trouble goes with a restart or a left-over file, not with other contents of NUT's files.
_LATCHED, _LEFT_OVER, _NO_UPS = "NW06", "NW31", "NW48"
#: What is found of a server that takes a connection, or none, and says nothing.
_SILENT = (OWN[ConnectTimeout][0], CAUSES[AnswerTimeout][0])
#: Starts what is down and enables what would not come back.
_SERVICES = "services"
#: What a fix says where a step mends it; another fix is a person's work.
_BY_STEP = "nutwizard step"


def steps_for(found: Examination, known: tuple[str, ...]) -> tuple[str, ...]:
    """The steps that mend the broken links and troubles, in the guide's order; what only waits needs none."""
    wanted = {each.link.step for each in _broken(found) if _BY_STEP in each.fix}
    wanted |= {each.rule.step for each in _breaking(found) if _BY_STEP in each.fix}
    restarts = any(_hanging(found)) or any(_left_over(found))
    if wanted or restarts:
        wanted.add(_SERVICES)
    return tuple(step for step in known if step in wanted)


def is_fresh(found: Examination) -> bool:
    """Whether nobody has set NUT up as a server: a UPS is to be chosen by a person."""
    return any(each.rule.id == _NO_UPS for each in found.troubles)


def needs_password(role: Role, found: Examination) -> bool:
    """Whether a client's login is denied: only the server's administrator knows the right password."""
    denied = (each for each in found.findings if isinstance(each.link.target, Login))
    return role is Role.CLIENT and any(each.state is State.BROKEN for each in denied)


def switches_rule(found: Examination) -> bool:
    """Whether the firewall's rule is there, and off."""
    return any(each.fix == ENABLE and each.state is State.BROKEN for each in found.findings)


def released(role: Role, found: Examination) -> Plan | None:
    """What ends a forced shutdown that upsd still announces though power is back; None where there is none.

    It comes first and alone: an upsmon that starts before it shuts its machine down.
    """
    latched = any(each.rule.id == _LATCHED for each in _breaking(found))
    if not found.facts.unit(SERVER).present or not latched:
        return None
    why = "only that ends the forced shutdown that it still announces"
    return Plan(role, acts=(Act(ActKind.RESTART, SERVER, why, (_SERVICES,)),))


def mended(plan: Plan, found: Examination) -> Plan:
    """The plan of the steps, with what else mends: a left-over flag, a unit that hangs."""
    acts = {act.unit: act for act in plan.acts if act.kind in (ActKind.START, ActKind.RESTART)}
    later = [act for act in _hanging(found) if act.unit not in acts]
    removed = [
        change for change in _left_over(found) if change.path not in {each.path for each in plan.files}
    ]
    return replace(plan, files=(*plan.files, *removed), acts=(*plan.acts, *later))


def _broken(found: Examination) -> Iterable[Finding]:
    return (each for each in found.findings if each.state is State.BROKEN and each.fix != ENABLE)


def _breaking(found: Examination) -> Iterable[Trouble]:
    return (each for each in found.troubles if each.severity is Severity.BROKEN)


def _hanging(found: Examination) -> Iterable[Act]:
    """Units that run and do not do their work; behind an upsd that does not answer nothing else is told."""
    if any(isinstance(each.link.target, Listens) and _timed_out(each) for each in found.findings):
        if found.facts.unit(SERVER).running:
            yield Act(ActKind.RESTART, SERVER, "it runs and does not answer", (_SERVICES,))
        return
    for each in found.findings:
        target = each.link.target
        if each.state is not State.BROKEN:
            continue
        if isinstance(target, LoggedIn) and found.facts.unit(MONITOR).running:
            yield Act(ActKind.RESTART, MONITOR, "it runs and is not logged in", (_SERVICES,))
        elif isinstance(target, DriverData):
            unit = found.facts.unit(driver_unit(target.ups))
            unit = unit if unit.present else found.facts.unit(ALL_DRIVERS)
            if unit.running:
                yield Act(ActKind.RESTART, unit.name, "it runs and gives no fresh data", (_SERVICES,))


def _timed_out(finding: Finding) -> bool:
    return finding.state is State.BROKEN and finding.cause in _SILENT


def _left_over(found: Examination) -> Iterable[FileChange]:
    """The flag of a shutdown that is over: it goes, and an undo brings it back."""
    places = {each.spot.file for each in _breaking(found) if each.rule.id == _LEFT_OVER and each.spot.file}
    for path in sorted(places):
        program = found.facts.program(path)
        if program.kind == "file" and program.content is not None and program.owner is not None:
            why = "it is left of a shutdown that is over: the next one would cut the power"
            yield FileChange(path, path, program.content, None, program.owner, None, (_SERVICES,), (why,))
