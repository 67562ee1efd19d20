"""Units that a way back during an outage has left alone: remembered, told, and seen to when it is over."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from nutwizard.core.facts import Door
from nutwizard.core.plan import Act, Plan
from nutwizard.engine import units
from nutwizard.engine.host import Host
from nutwizard.engine.journal import Journal, Mark
from nutwizard.engine.store import Record, Store

_STAT = "/proc/stat"


def leading_back(acts: Sequence[Act], journal: Journal) -> tuple[Act, ...]:
    """What leads back from those acts of a plan that were begun; the journal's PUT_OFF counts in it."""
    begun = journal.begun(Mark.ACT)
    return units.backwards(act for index, act in enumerate(acts) if index in begun)


def waiting(host: Host, store: Store) -> tuple[Record, tuple[Act, ...]] | None:
    """The transaction whose way back has left units as they were, and what was put off; None without one.

    Only the newest transaction that touched units counts: a later one has restarted what it needed. Nothing
    waits after a boot, since every unit has started on the files as they are. Raises as `Store.records`.
    """
    if host.door is Door.OFFLINE:
        return None
    for record in store.newest_first():
        journal = store.journal(record.id)
        if journal.put_off and not _booted_since(host, store, record.id):
            acts = leading_back(record.acts, journal)
            return record, tuple(act for number, act in enumerate(acts) if number in journal.put_off)
        if any(map(units.dangerous, record.acts)):
            return None
    return None


def reminder(host: Host, store: Store) -> str:
    """What a command that only reads says of it; "" when nothing waits."""
    found = waiting(host, store)
    if found is None:
        return ""
    from nutwizard.core.outage import put_off_hint, put_off_text

    return f"{put_off_text(found[1])}\n{put_off_hint(found[1])}"


def catch_up(host: Host, store: Store, report: Callable[[str], None], *, insist: bool) -> str:
    """Do what was put off unless there still is an outage; what became of it, "" when nothing waits.

    Under the lock only. Raises as `Store.records`, and OSError when the journal cannot be written.
    """
    found = waiting(host, store)
    if found is None:
        return ""
    from nutwizard.core.outage import put_off_hint, put_off_text
    from nutwizard.engine.outage import Guard

    record, acts = found
    plan = Plan(record.role) if record.forgotten else store.load(record.id).plan
    guard = Guard(host, plan, insist=insist)
    complaints = []
    for act in acts:
        outage = guard.look()
        if outage is not None:
            return f"{outage.text}\n{put_off_text(acts)}\n{put_off_hint(acts)}"
        report(str(act))
        complaints.append(units.complaint(act, units.perform(host, act)))
    store.journal(record.id).note(Mark.CAUGHT_UP)
    told = ", ".join(map(str, acts))
    done = f"Transaction {record.id} had put off because of an outage, and now it is done: {told}."
    look = "To prove that all is well: nutwizard check"
    return " ".join([done, *(f"{complaint}." for complaint in filter(None, complaints)), look])


def _booted_since(host: Host, store: Store, number: int) -> bool:
    """Whether the machine came up after the journal's last line."""
    stat = host.stat(f"{store.folder(number)}/journal")
    try:
        found = re.search(rb"^btime (\d+)$", host.read(_STAT), re.MULTILINE)
    except OSError:
        return False  # a practice machine has none
    return stat is not None and found is not None and int(found[1]) > stat.changed
