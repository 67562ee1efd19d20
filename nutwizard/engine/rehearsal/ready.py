"""Whether a rehearsal can be played on this machine, and who would take part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nutwizard.core import paths
from nutwizard.core.errors import WizardError
from nutwizard.core.facts import Facts, Role
from nutwizard.core.rehearsal.cast import Item
from nutwizard.core.rehearsal.form import Staging
from nutwizard.core.rehearsal.moments import Moment
from nutwizard.core.rules.rule import Severity
from nutwizard.core.upsmon import monitors
from nutwizard.engine import carry
from nutwizard.engine.host import Host
from nutwizard.engine.lastplay import LastPlay, last_plays, played_files, remember
from nutwizard.engine.rehearsal import forms, run
from nutwizard.engine.rehearsal.casting import Caster, Wanted
from nutwizard.engine.rehearsal.company import Company, company_of
from nutwizard.engine.rehearsal.run import Rehearsed
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile
from nutwizard.formats.shellfile import ShellFile

#: What nut.conf says where upsd runs.
_SERVES = ("netserver", "standalone")
_BEST = Staging()


@dataclass(frozen=True)
class Prepared:
    """A play that can begin. `facts`: of the machine with whose files it is played."""

    wanted: Wanted
    facts: Facts
    company: Company
    caster: Caster
    staging: Staging

    def play(
        self, host: Host, told: Callable[[Moment], None], left: Callable[[], bool] = lambda: False
    ) -> Rehearsed:
        """As `run.rehearse`, and what it showed is kept."""
        done = run.rehearse(self.caster, told, self.staging.form, left)
        remember(host, self.facts, done)
        return done


@dataclass(frozen=True)
class Readiness:
    """`why`: why nothing can be played here, "" when it can; `lacks`: what the files lack, each with what
    mends it; `company`: who would take part, `staging`: in which form; `last`: the last plays, `files`: how
    the files stand now.
    """

    why: str = ""
    lacks: tuple[Item, ...] = ()
    company: Company | None = None
    staging: Staging = _BEST
    last: tuple[LastPlay, ...] = ()
    files: str = ""


def prepare(host: Host, facts: Facts, role: Role, wanted: Wanted, clients: Sequence[str] = ()) -> Prepared:
    """Everything that a play needs. `clients`: as of `company_of`. Raises what that raises."""
    company = company_of(host, facts, role, clients)
    staging = forms.staging(role)
    hook = forms.hook(staging.form)
    caster = Caster(wanted, facts, company.sets, company.values, hook, forms.driver())
    return Prepared(wanted, facts, company, caster, staging)


def readiness(host: Host, facts: Facts, role: Role) -> Readiness:
    """What there is to know before a rehearsal is begun. Raises PermissionError."""
    last, files = last_plays(host), played_files(facts)
    if lacks := tuple(lacking_in(facts, role)):
        return Readiness(lacks=lacks, last=last, files=files)
    try:
        carry.require_nut(host.label, facts, role)
        company = company_of(host, facts, role, ())
    except WizardError as error:
        return Readiness(" ".join(filter(None, (error.text, error.hint))), last=last, files=files)
    return Readiness(company=company, staging=forms.staging(role), last=last, files=files)


def lacking_in(facts: Facts, role: Role) -> Iterator[Item]:
    """What the files lack for a play to show anything."""
    mode = ShellFile.parse(facts.file(paths.NUT_CONF).data).get("MODE") or ""
    named = f"MODE is {mode} in nut.conf" if mode else "nut.conf has no MODE"
    if role is Role.CLIENT:
        if mode not in (*_SERVES, "netclient"):
            yield _lack(f"{named}: no upsmon runs", "mode")
        if not monitors(NutFile.parse(facts.file(paths.UPSMON_CONF).data)):
            yield _lack("upsmon.conf has no MONITOR line for the UPS that this machine follows", "monitor")
        return
    if mode not in _SERVES:
        yield _lack(f"{named}: no upsd runs", "mode")
    if not SectionFile.parse(facts.file(paths.UPS_CONF).data).names():
        yield _lack("ups.conf has no UPS", "driver")
    if not any(each.local for each in monitors(NutFile.parse(facts.file(paths.UPSMON_CONF).data))):
        yield _lack("upsmon.conf has no MONITOR line for the UPS of this host", "monitor")


def _lack(text: str, step: str) -> Item:
    return Item(Severity.BROKEN, "", text, f"nutwizard step {step}")
