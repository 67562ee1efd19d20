"""A plan being applied: kept, written, proven, committed - or all of it put back."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from nutwizard.core.errors import Exit, Failed, NotWhole, Unfinished
from nutwizard.core.facts import Door
from nutwizard.core.links import Finding, LinkId, State
from nutwizard.core.outage import put_off_hint, put_off_text
from nutwizard.core.paths import PVE
from nutwizard.core.plan import ActKind, FileChange, Plan
from nutwizard.engine import boot, files, health, outage, preflight, pve, pvelint, pvelocks, units
from nutwizard.engine.beginning import can_be_kept, carried, folders
from nutwizard.engine.health import Prove, Verdict
from nutwizard.engine.host import Host
from nutwizard.engine.journal import Journal, Mark
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.quiet import Quiet
from nutwizard.engine.recovery import disarmed, in_order, not_whole, roll_back
from nutwizard.engine.signals import Held
from nutwizard.engine.store import Store
from nutwizard.engine.stored import Kept
from nutwizard.engine.undo import chain

_BACK = "Every file is as it was before."
#: What a note says of a link that was down before, too.
STILL_DOWN = "still down"
_CLUSTER_BACK = f"Every file below {PVE} is as it was before."


def apply(
    host: Host,
    plan: Plan,
    *,
    prove: Prove,
    report: Callable[[str], None] = lambda text: None,
    command: str = "apply",
    undoes: int | None = None,
    wait: float = health.WAIT,
    on_battery: bool = False,
) -> Outcome:
    """Make the machine as planned, or leave it as it was. `wait`: seconds for what was proven to be so again.

    Not during an outage, unless `on_battery` insists. `prove` looks at the links; it is asked before and
    after, never on a host where nothing runs. `report` is told each act; it may fail. `undoes`: the
    transaction that this plan takes back. Raises NeedsRoot, Locked, Unfinished, Failed when it
    cannot begin (nothing was written), NotWhole when not all could be put back.
    """
    preflight.check(host, plan)
    if plan.empty and undoes is None:
        return Outcome(Exit.DONE, "There is nothing to do.")
    guard = outage.refuse(host, plan, insist=on_battery)
    job = _Job(host, plan, prove, Quiet(report), command, undoes, wait, guard)
    store = Store(host)
    try:
        store.prepare()
        lock = store.lock()
    except OSError as error:
        raise _cannot_keep(error) from error
    try:
        return _locked(job, store)
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class _Job:
    """What was asked of `apply`. `guard`: asked about an outage before each unit."""

    host: Host
    plan: Plan
    prove: Prove
    say: Quiet
    command: str
    undoes: int | None
    wait: float
    guard: outage.Guard

    @property
    def runs(self) -> bool:
        """Whether units and links can be asked."""
        return self.host.door is not Door.OFFLINE

    @property
    def cluster(self) -> bool:
        """Whether the files are the cluster's; NUT's own are not touched then."""
        return any(pve.below(change.target) for change in self.plan.files)

    @property
    def waits(self) -> bool:
        """Whether links are waited for: what a machine sends to itself passes its firewall anyway."""
        return self.runs and not self.cluster


def _locked(job: _Job, store: Store) -> Outcome:
    """Under the lock: the last comparison with what was shown, and the look at the links before."""
    open_one = store.unfinished()
    if open_one is not None:
        raise Unfinished(f"transaction {open_one.id} was interrupted", "run: nutwizard recover")
    takes_back = (
        () if job.undoes is None else tuple(record.id for record in chain(store.records(), job.undoes))
    )
    reasons = preflight.changed_since(job.host, job.plan)
    if reasons:
        raise Failed("\n".join(reasons), "nothing was changed; look at a new plan")
    proven = health.proven(job.prove()) if job.waits else None
    before = (proven or frozenset()) & can_be_kept(store, takes_back)
    failed = frozenset(units.told(job.host, job.plan.acts).failed) if job.waits else frozenset()
    now = int(job.host.now())
    kept = Kept(job.plan, job.command, now, job.undoes, takes_back, proven, on_battery=job.guard.insist)
    lint = pvelint.Lint(job.host, job.plan)
    with Held() as held:
        try:
            store.clean()
            extra = carried(job.host, job.plan, store, takes_back)
            kept = replace(kept, attributes=extra, folders=folders(job.host, job.plan, store, takes_back))
            number, journal = store.begin(kept)
        except OSError as error:
            with suppress(OSError):
                store.clean()
            raise _cannot_keep(error) from error
        outcome = _Run(job, store, kept, number, journal, before, failed, lint).go()
    names = ", ".join(dict.fromkeys(signal.Signals(number).name for number in held.came))
    notes = (f"{names} came meanwhile and had to wait until this was done",) if names else ()
    return replace(outcome, notes=(*outcome.notes, *notes), signals=tuple(held.came))


class _Changed(Exception):
    """Another hand was in a file between the check and the writing."""


class _Stopped(Exception):
    """It must not go on: an outage has begun, a lock cannot be had, Proxmox VE complains."""


def _unchanged(host: Host, change: FileChange) -> None:
    """Raises _Changed when a file is no longer as planned."""
    reason = preflight.changed(host, change)
    if reason:
        raise _Changed(reason)


@dataclass(frozen=True, slots=True)
class _Run:
    """One transaction under way: everything is kept, the journal is ready, signals are held.

    `before`: the links that were proven; `failed`: units that had failed before this plan.
    """

    job: _Job
    store: Store
    kept: Kept
    number: int
    journal: Journal
    before: frozenset[LinkId]
    failed: frozenset[str]
    lint: pvelint.Lint

    def go(self) -> Outcome:
        notes: list[str] = []
        try:
            boot.arm(self.job.host, self.job.plan, f"{self.store.folder(self.number)}/journal")
            self._acts(notes, holds=True)
            self._files()
            self._lint(notes)
            self._acts(notes, holds=False)
            verdict = self._settle()
            if not verdict.lost:
                pve.settle(self.job.host, self.job.plan)
                self.journal.note(Mark.COMMITTED)
                return self._committed(verdict, [*notes, *disarmed(self.job.host)])
            reason = self._lost(verdict, notes)
        except _Changed as error:
            return self._back(f"{error}: another hand was faster.")
        except _Stopped as error:
            return self._back(str(error))
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            return self._back(f"Applying failed: {place}{error.strerror}.")
        except BaseException as error:
            # Whatever it was, the machine comes first; then the caller hears of it.
            self._back(f"{type(error).__name__} while applying.")
            raise
        return self._back(reason, verdict.findings)

    def _acts(self, notes: list[str], *, holds: bool) -> None:
        if not self.job.runs:
            return
        for index, act in enumerate(self.job.plan.acts):
            if (act.kind is ActKind.HOLD) is not holds:
                continue
            found = self.job.guard.look() if units.dangerous(act) else None
            if found is not None:
                raise _Stopped(f"Stopped before {act}: {found.told}.\n{found.danger}")
            self.job.say(str(act))
            self.journal.note(Mark.ACT, index)
            said = units.complaint(act, units.perform(self.job.host, act))
            notes += [said] if said else []

    def _files(self) -> None:
        job = self.job
        try:
            with pvelocks.taken(job.host, job.plan, self.journal.note, job.say, pvelocks.PATIENCE):
                for index in in_order(job.plan):
                    self._file(index, job.plan.files[index])
                pve.tidy(job.host, self.kept.folders)
        except pvelocks.Busy as error:
            raise _Stopped(f"{error.text[0].upper()}{error.text[1:]}.") from error

    def _file(self, index: int, change: FileChange) -> None:
        host, target = self.job.host, change.target
        self.job.say(f"{'writing' if change.after else 'removing'} {change.path}")
        _unchanged(host, change)
        self.journal.note(Mark.FILE, index)
        look = partial(_unchanged, host, change)
        try:
            files.put(
                host, target, files.after(change), self.number, self.kept.attributes.get(index), look=look
            )
        except _Changed:
            self.journal.note(Mark.UNTOUCHED, index)
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, target) from error

    def _lint(self, notes: list[str]) -> None:
        """What Proxmox VE says of the firewall's files, and whether it runs on them."""
        if said := self.lint.complaints():
            raise _Stopped(f"Proxmox VE does not take the firewall's files as they would be:\n{said}")
        notes += self.lint.notes(self.job.say)

    def _settle(self) -> Verdict:
        job = self.job
        if not job.waits or not job.plan.disturbs:
            return Verdict(job.prove() if job.runs else ())
        job.say("waiting for the links to be proven")

        def told() -> units.Told:
            return units.told(job.host, job.plan.acts, self.failed)

        return health.settle(job.host, job.prove, self.before, told, job.wait)

    def _committed(self, verdict: Verdict, notes: list[str]) -> Outcome:
        if not self.job.runs and self.job.plan.acts:
            notes.append("units were not touched")
        for finding in verdict.findings:
            about = f"{finding.link.id}: {finding.link.subject}"
            if finding.link.awaited:
                continue  # it comes when it comes: `check` tells
            if finding.state is State.BROKEN:
                notes.append(f"{about}: {STILL_DOWN}, because {_cause(finding)}")
            elif finding.state in (State.WAITING, State.UNKNOWN) and finding.link.id in self.before:
                notes.append(f"{about}: {finding.state} since the change")
        count = len(self.job.plan.files)
        text = f"Transaction {self.number}: {count} file{'s' * (count != 1)} changed."
        return Outcome(Exit.DONE, text, verdict.findings, self.number, tuple(notes))

    def _lost(self, verdict: Verdict, notes: list[str]) -> str:
        """Why it is taken back: cause, what units complained of, and the journal before it is overtaken."""
        broken = [f for f in verdict.findings if f.state is State.BROKEN and f.link.id in verdict.lost]
        said = [f"{f.link.id}: {f.link.subject}: proven before, broken now: {_cause(f)}" for f in broken]
        return "\n".join(
            filter(None, [*said, *notes, units.last_words(self.job.host, self.job.plan.acts, self.failed)])
        )

    def _back(self, reason: str, findings: tuple[Finding, ...] = ()) -> Outcome:
        self.job.say("putting everything back")
        job = self.job
        back = roll_back(job.host, self.number, self.kept, self.journal, job.say, guard=job.guard)
        if not back.whole:
            raise not_whole(self.store, self.number, reason, back)
        text = f"{reason}\n{_CLUSTER_BACK if job.cluster else _BACK}"
        if back.put_off:
            # Half of the units may run on either configuration: there is nothing to wait for.
            raise NotWhole(f"{text}\n{put_off_text(back.put_off)}", put_off_hint(back.put_off))
        if job.runs and not any(units.dangerous(job.plan.acts[n]) for n in self.journal.begun(Mark.ACT)):
            text += " No unit had been restarted."
        elif back.acts:
            verdict = self._settle()
            if verdict.lost:
                still = f"But {', '.join(verdict.lost)} is still broken."
                raise NotWhole(f"{text}\n{still}", "run: nutwizard check")
            text += " The old configuration runs again."
        return Outcome(Exit.FAILED, text, findings, self.number, back.complaints)


def _cause(finding: Finding) -> str:
    return finding.cause or finding.evidence or "no cause is known"


def _cannot_keep(error: OSError) -> Failed:
    return Failed(
        f"the backups cannot be kept: {error.filename or 'journal'}: {error.strerror}", "nothing was changed"
    )
