"""Which units have to start, and which run on an older configuration than the files hold."""

from __future__ import annotations

from dataclasses import dataclass

from nutwizard.core import paths
from nutwizard.core.draft import Draft
from nutwizard.core.facts import Facts, Role, UnitFact
from nutwizard.core.plan import ActKind
from nutwizard.core.step import Step, View
from nutwizard.core.units import (
    ALL_DRIVERS,
    ENUMERATOR,
    ENUMERATOR_PATH,
    MONITOR,
    SERVER,
    TARGET,
    driver_unit,
)

#: A change of these is read at the unit's start only (LISTEN, SHUTDOWNCMD), or most safely then.
READS = {
    SERVER: (paths.NUT_CONF, paths.UPS_CONF, paths.UPSD_CONF, paths.UPSD_USERS),
    MONITOR: (paths.NUT_CONF, paths.UPSMON_CONF),
}


@dataclass(frozen=True, slots=True)
class Answers:
    """Nothing is asked: what has to restart follows from what changes."""


class Services(Step[Answers]):
    """The acts that follow from what the other steps change."""

    name = "services"
    title = "Services"
    after = ("timing", "firewall", "outside")

    def paths(self, role: Role) -> tuple[str, ...]:
        return (paths.UPS_CONF, *READS[SERVER], *READS[MONITOR]) if role is Role.HOST else READS[MONITOR]

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        if not view.facts.runs:
            return
        if view.site.role is Role.HOST:
            _drivers(draft, view)
            _daemon(draft, view, SERVER)
        _daemon(draft, view, MONITOR)
        _at_boot(draft, view.facts.unit(TARGET))
        held = any(act.kind is ActKind.HOLD for act in draft.acts)
        if held:
            draft.act(ActKind.RELEASE, ENUMERATOR_PATH, "it watches ups.conf again")


def _drivers(draft: Draft, view: View) -> None:
    """The drivers' units, which the enumerator makes from ups.conf; its path unit is held meanwhile."""
    facts = view.facts
    made = facts.unit(ENUMERATOR).present
    unit = facts.unit(driver_unit(view.site.ups))
    if not made and not unit.present:
        unit = facts.unit(ALL_DRIVERS)
    if unit.load == "masked":
        draft.note(_masked(unit))
        return
    why = _why_again(draft, view, unit)
    if not why or not (made or unit.present):
        return
    if made:
        _enumerate(draft, facts)
    if view.site.renamed and facts.unit(driver_unit(view.site.renamed)).running:
        draft.act(ActKind.STOP, driver_unit(view.site.renamed), f"its UPS is called {view.site.ups} now")
    draft.act(_begin(unit), unit.name, why)


def _why_again(draft: Draft, view: View, unit: UnitFact) -> str:
    """Why a driver has to start; "" when it runs on the file as it is."""
    if draft.changed(paths.UPS_CONF) or _older(unit, view, (paths.UPS_CONF,)):
        return "the driver reads ups.conf only when it starts"
    return "" if unit.running else "it does not run"


def _enumerate(draft: Draft, facts: Facts) -> None:
    if facts.unit(ENUMERATOR_PATH).running:
        draft.act(
            ActKind.HOLD, ENUMERATOR_PATH, "it would restart the driver while files are still being written"
        )
    draft.act(ActKind.RESTART, ENUMERATOR, "it makes a unit for each UPS of ups.conf")


def _daemon(draft: Draft, view: View, name: str) -> None:
    unit = view.facts.unit(name)
    if not unit.present:
        draft.note(_masked(unit) if unit.load == "masked" else f"{name} is {unit.load}: it cannot be started")
        return
    if unit.enabled == "disabled":
        draft.act(ActKind.ENABLE, name, "it has to come back after a reboot")
    reasons = [path.rsplit("/", 1)[1] for path in READS[name] if draft.changed(path)]
    if reasons:
        draft.act(_begin(unit), name, f"{', '.join(reasons)} changed")
    elif not unit.running:
        draft.act(_begin(unit), name, "it does not run")
    elif _older(unit, view, READS[name]):
        draft.act(ActKind.RESTART, name, "its files are newer than its last start")


def _at_boot(draft: Draft, target: UnitFact) -> None:
    """Services that are enabled do not come back by themselves: the target that wants them has to."""
    if target.load == "masked":
        draft.note(_masked(target))
    elif target.present and target.enabled == "disabled":
        draft.act(ActKind.ENABLE, TARGET, "it starts NUT's units at boot")


def _masked(unit: UnitFact) -> str:
    return f"{unit.name} is masked: it cannot be started. To allow it: systemctl unmask {unit.name}"


def _begin(unit: UnitFact) -> ActKind:
    """What is down is started, so that the way back stops it again; anything else is restarted.

    One that dies again and again is restarted, too: a start would wait for the end of its pause.
    """
    return ActKind.START if unit.active in ("inactive", "failed") else ActKind.RESTART


def _older(unit: UnitFact, view: View, files: tuple[str, ...]) -> bool:
    """Whether the unit started before one of its files was last written."""
    return any(unit.older_than(view.facts.file(path).changed) for path in files)


STEP = Services()
