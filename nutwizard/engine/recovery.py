"""The way back: from a transaction that failed, and from one that a kill or a power cut has interrupted."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass

from nutwizard.core.errors import NotWhole
from nutwizard.core.facts import Door
from nutwizard.core.paths import STATE
from nutwizard.core.plan import Act, ActKind, FileChange, Plan
from nutwizard.engine import boot, files, units
from nutwizard.engine.attributes import Attributes
from nutwizard.engine.host import Host
from nutwizard.engine.journal import Journal, Mark
from nutwizard.engine.signals import Held
from nutwizard.engine.store import Record, Store
from nutwizard.engine.stored import Kept

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Back:
    """What a roll-back did. `acts`: units that were told something; `complaints`: what they answered.

    `stuck`: files that could not be put back: the transaction stays open and may be tried again.
    `foreign`: files that another hand has changed since we wrote them: they are left alone.
    """

    stuck: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.stuck and not self.foreign


def in_order(plan: Plan) -> list[int]:
    """The numbers of the plan's files in the order of writing."""
    return sorted(range(len(plan.files)), key=lambda number: (plan.files[number].rank, number))


def roll_back(
    host: Host, number: int, kept: Kept, journal: Journal, report: Report, *, booting: bool = False
) -> Back:
    """Files first, then the units that were touched. It may be killed at any point and repeated.

    `booting`: nothing is started, stopped or waited for, since NUT's units wait for this to end.
    Raises nothing for what the machine refuses: `Back` tells. A journal that cannot be written leaves the
    transaction open, so that the next start repeats this.
    """
    plan = kept.plan
    unsaid = _note(journal, Mark.ROLLING_BACK)
    if unsaid and journal.commit_in_doubt:
        # Old files under a commit that is on the disk after all would never be looked at again.
        return Back(tuple(unsaid))
    acts = _acts(host, plan, journal, booting=booting)
    held = tuple(act for act in acts if act.kind is ActKind.HOLD)
    complaints = [units.complaint(act, units.perform(host, act)) for act in held]
    stuck: list[str] = []
    foreign: list[str] = []
    for index in reversed(in_order(plan)):
        change = plan.files[index]
        report(f"putting back {change.path}")
        try:
            extra = kept.attributes.get(index)
            said = _put_back(host, change, number, extra, begun=index in journal.begun(Mark.FILE))
        except OSError as error:
            stuck.append(f"{change.target}: {error.strerror}")
        else:
            foreign += said
    if stuck:
        # Daemons that run are better than daemons restarted on half of one set and half of another.
        return Back(tuple(stuck), tuple(foreign), tuple(filter(None, complaints)))
    for act in acts[len(held) :]:
        report(str(act))
        complaints.append(units.complaint(act, units.perform(host, act)))
    stuck = _note(journal, Mark.ROLLED_BACK)
    complaints += [] if stuck else disarmed(host)
    told = tuple(str(act) for act in acts[len(held) :])
    return Back(tuple(stuck), tuple(foreign), tuple(filter(None, complaints)), told)


def _acts(host: Host, plan: Plan, journal: Journal, *, booting: bool) -> tuple[Act, ...]:
    """What leads back from the acts that were begun."""
    if host.door is Door.OFFLINE:
        return ()
    begun = journal.begun(Mark.ACT)
    acts = units.backwards(act for index, act in enumerate(plan.acts) if index in begun)
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


def _note(journal: Journal, mark: Mark) -> list[str]:
    """Write a line; the way back does not stop because the journal's disk is full."""
    try:
        journal.note(mark)
    except OSError as error:
        return [f"the journal: {error.strerror}"]
    return []


def recover(
    host: Host, store: Store, report: Report = lambda text: None, *, booting: bool = False
) -> str | None:
    """Undo what an interrupted run left, and say so in a sentence; None when there was nothing.

    A transaction whose commit is in the journal is done and stays. `booting`: files alone. Raises Locked,
    NeedsRoot, Failed when what was kept is damaged, NotWhole naming each file that is not back.
    """
    if host.stat(STATE) is None or not (store.unfinished() or _left(host, store)):
        return None
    lock = store.lock()
    try:
        with Held() as held:
            said = []
            if store.half_forgotten():
                said.append("What a forgotten transaction had kept is removed now, too.")
            if store.clean():
                said.append("A run had been interrupted before its first change: nothing was changed.")
            while (record := store.unfinished()) is not None:
                said.append(_undo_interrupted(host, store, record, report, booting=booting))
            said += [f"{complaint}." for complaint in disarmed(host)]
    finally:
        lock.release()
    held.deliver()
    return " ".join(said) or None


def _left(host: Host, store: Store) -> bool:
    """What a run that died before its first or after its last act has left."""
    return bool(store.litter() or store.half_forgotten() or boot.left(host))


def _undo_interrupted(host: Host, store: Store, record: Record, report: Report, *, booting: bool) -> str:
    kept = store.load(record.id)
    back = roll_back(host, record.id, kept, store.journal(record.id), report, booting=booting)
    plan = kept.plan
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
    return " ".join([*said, *(f"{complaint}." for complaint in back.complaints)])


def not_whole(store: Store, number: int, what: str, back: Back) -> NotWhole:
    """The error that names every file that is not as before, and where its contents are kept."""
    hint = f"the contents from before are in {store.folder(number)}/before"
    if back.stuck:
        hint += "; remove the cause, then run: nutwizard recover"
    return NotWhole("\n".join([f"{what}, and not everything is back:", *back.stuck, *back.foreign]), hint)
