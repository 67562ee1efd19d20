"""The way back: from a transaction that failed, and from one that a kill or a power cut has interrupted."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from nutwizard.core.errors import NotWhole
from nutwizard.core.facts import Door
from nutwizard.core.outage import Outage, put_off_hint, put_off_text
from nutwizard.core.paths import STATE
from nutwizard.core.plan import Act, ActKind, FileChange, Plan
from nutwizard.engine import boot, files, putoff, pve, pvelocks, units
from nutwizard.engine.attributes import Attributes
from nutwizard.engine.host import Host
from nutwizard.engine.journal import Journal, Mark
from nutwizard.engine.outage import Guard
from nutwizard.engine.putoff import leading_back
from nutwizard.engine.signals import Held
from nutwizard.engine.store import Record, Store
from nutwizard.engine.stored import Kept

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Back:
    """What a roll-back did. `acts`: units that were told something; `complaints`: what they answered.

    `outage`: why the acts in `put_off` were left for later; they are remembered (`putoff`).
    `stuck`: files that could not be put back: the transaction stays open and may be tried again.
    `foreign`: files that another hand has changed since we wrote them: they are left alone.
    """

    stuck: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    outage: Outage | None = None
    put_off: tuple[Act, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.stuck and not self.foreign


def in_order(plan: Plan) -> list[int]:
    """The numbers of the plan's files in the order of writing."""
    return sorted(range(len(plan.files)), key=lambda number: (plan.files[number].rank, number))


def roll_back(
    host: Host,
    number: int,
    kept: Kept,
    journal: Journal,
    report: Report,
    *,
    guard: Guard,
    booting: bool = False,
) -> Back:
    """Files first, then the units that were touched. It may be killed at any point and repeated.

    `booting`: nothing is started, stopped or waited for, since NUT's units wait for this to end. From the
    moment at which `guard` tells of an outage no unit is started, stopped or restarted any more.
    Raises nothing for what the machine refuses: `Back` tells. A journal that cannot be written leaves the
    transaction open, so that the next start repeats this.
    """
    unsaid = _note(journal, Mark.ROLLING_BACK)
    if unsaid and journal.commit_in_doubt:
        # Old files under a commit that is on the disk after all would never be looked at again.
        return Back(tuple(unsaid))
    acts = _acts(host, kept.plan, journal, booting=booting)
    held = tuple(act for act in acts if act.kind is ActKind.HOLD)
    complaints = [units.complaint(act, units.perform(host, act)) for act in held]
    stuck, foreign = _files_back(host, number, kept, journal, report)
    if stuck:
        # Daemons that run are better than daemons restarted on half of one set and half of another.
        return Back(tuple(stuck), tuple(foreign), tuple(filter(None, complaints)))
    back = _units_back(host, acts, journal, report, guard=guard, first=len(held))
    stuck = list(back.stuck) or _note(journal, Mark.ROLLED_BACK)
    complaints += [*back.complaints, *([] if stuck else disarmed(host))]
    return replace(
        back, stuck=tuple(stuck), foreign=tuple(foreign), complaints=tuple(filter(None, complaints))
    )


def _files_back(
    host: Host, number: int, kept: Kept, journal: Journal, report: Report
) -> tuple[list[str], list[str]]:
    """The files that are stuck, and those of another hand."""
    stuck: list[str] = []
    foreign: list[str] = []
    begun = journal.begun(Mark.FILE)
    try:
        with _locks(host, kept.plan, journal, report):
            for index in reversed(in_order(kept.plan)):
                change, extra = kept.plan.files[index], kept.attributes.get(index)
                report(f"putting back {change.path}")
                try:
                    foreign += _put_back(host, change, number, extra, begun=index in begun)
                except OSError as error:
                    stuck.append(f"{change.target}: {error.strerror}")
            pve.tidy(host, kept.folders)
    except OSError as error:  # a lock: what nobody has written needs none
        stuck += [f"{kept.plan.files[index].target}: {error.strerror}" for index in sorted(begun)]
    return stuck, foreign


def _locks(host: Host, plan: Plan, journal: Journal, report: Report) -> AbstractContextManager[None]:
    """The cluster's locks, where files were written under them or a killed run may have left them."""
    if not journal.begun(Mark.FILE) and not journal.locked:
        return nullcontext()

    def note(mark: Mark, number: int) -> None:
        _note(journal, mark, number)

    return pvelocks.taken(host, plan, note, report, pvelocks.WAY_BACK)


def _units_back(
    host: Host, acts: tuple[Act, ...], journal: Journal, report: Report, *, guard: Guard, first: int
) -> Back:
    """The acts from number `first` on; what an outage puts off is in the journal."""
    told, later, outage = [], [], None
    complaints, stuck = [], []
    for index, act in enumerate(acts[first:], start=first):
        outage = outage or (guard.look() if units.dangerous(act) else None)
        if outage is not None and units.dangerous(act):
            later.append(act)
            stuck += _note(journal, Mark.PUT_OFF, index)
            continue
        report(str(act))
        complaints.append(units.complaint(act, units.perform(host, act)))
        told.append(str(act))
    return Back(tuple(stuck), (), tuple(complaints), tuple(told), outage, tuple(later))


def _acts(host: Host, plan: Plan, journal: Journal, *, booting: bool) -> tuple[Act, ...]:
    """What leads back from the acts that were begun."""
    if host.door is Door.OFFLINE:
        return ()
    acts = leading_back(plan.acts, journal)
    return tuple(act for act in acts if not booting or act.kind in (ActKind.ENABLE, ActKind.DISABLE))


def disarmed(host: Host) -> list[str]:
    """Remove the unit for the next boot, once the end of a transaction is noted; what went wrong with it."""
    try:
        boot.disarm(host)
    except OSError as error:
        return [f"{boot.UNIT} cannot be removed: {error.strerror}; it does nothing at the next boot"]
    return []


def _put_back(
    host: Host, change: FileChange, number: int, attributes: Attributes | None, *, begun: bool
) -> list[str]:
    target, wanted = change.target, files.before(change)
    files.clear(host, target, number)
    if not begun:
        return []
    now = files.found(host, target)
    if now == wanted:
        files.tidy(host, target)
        return []
    ours = [content[0] for content in (wanted, files.after(change)) if content is not None]
    if now is not None and now[0] not in ours:
        return [f"{target} was changed by another hand since: it is left as it is"]

    def look() -> None:
        if files.found(host, target) != now:
            raise OSError(errno.EBUSY, "another hand is changing it at this moment", target)

    files.put(host, target, wanted, number, attributes, look=look)
    return []


def _note(journal: Journal, mark: Mark, number: int | None = None) -> list[str]:
    """Write a line; the way back does not stop because the journal's disk is full."""
    try:
        journal.note(mark, number)
    except OSError as error:
        return [f"the journal: {error.strerror}"]
    return []


def recover(
    host: Host,
    store: Store,
    report: Report = lambda text: None,
    *,
    booting: bool = False,
    insist: bool = False,
) -> str | None:
    """Undo what an interrupted run left, and say so in a sentence; None when there was nothing.

    A transaction whose commit is in the journal is done and stays. `booting`: files alone. During an outage
    units are left for later, and told again and again until it is over; `insist`: not so. Raises Locked,
    NeedsRoot, Failed when what was kept is damaged, NotWhole naming each file that is not back.
    """
    if host.stat(STATE) is None or not (
        store.unfinished() or _left(host, store) or putoff.waiting(host, store)
    ):
        return None
    lock = store.lock()
    try:
        with Held() as held:
            said = []
            if store.half_forgotten():
                said.append("What a forgotten transaction had kept is removed now, too.")
            if store.clean():
                said.append("A run had been interrupted before its first change: nothing was changed.")
            if store.unfinished() is None and not booting:
                said += filter(None, [putoff.catch_up(host, store, report, insist=insist)])
            while (record := store.unfinished()) is not None:
                said.append(_undo_interrupted(host, store, record, report, booting=booting, insist=insist))
            said += [f"{complaint}." for complaint in disarmed(host)]
    finally:
        lock.release()
    held.deliver()
    return " ".join(said) or None


def _left(host: Host, store: Store) -> bool:
    """What a run that died before its first or after its last act has left."""
    return bool(store.litter() or store.half_forgotten() or boot.left(host))


def _undo_interrupted(
    host: Host, store: Store, record: Record, report: Report, *, booting: bool, insist: bool
) -> str:
    kept = store.load(record.id)
    plan, journal = kept.plan, store.journal(record.id)
    guard = Guard(host, plan, insist=insist or kept.on_battery)
    back = roll_back(host, record.id, kept, journal, report, guard=guard, booting=booting)
    name = f"transaction {record.id} ({record.command}) had been interrupted"
    if not back.whole:
        raise not_whole(store, record.id, name, back)
    said = [f"{name[0].upper()}{name[1:]}: its {len(plan.files)} files are as they were before."]
    if back.acts:
        said.append(f"Then: {', '.join(back.acts)}.")
    elif booting:
        said.append("Units start on them.")
    elif host.door is Door.OFFLINE and plan.acts:
        said.append("Units were not touched.")
    told = " ".join([*said, *(f"{complaint}." for complaint in back.complaints)])
    return "\n".join([told, *later_lines(back)])


def later_lines(back: Back) -> list[str]:
    """What was put off, why, and how it is done later; empty when nothing was."""
    if back.outage is None or not back.put_off:
        return []
    return [back.outage.text, put_off_text(back.put_off), put_off_hint(back.put_off)]


def not_whole(store: Store, number: int, what: str, back: Back) -> NotWhole:
    """The error that names every file that is not as before, and where its contents are kept."""
    hint = f"the contents from before are in {store.folder(number)}/before"
    if back.stuck:
        hint += "; remove the cause, then run: nutwizard recover"
    lines = [f"{what}, and not everything is back:", *back.stuck, *back.foreign, *later_lines(back)]
    return NotWhole("\n".join(lines), hint)
