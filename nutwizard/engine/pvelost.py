"""A change below /etc/pve that was committed and is not there: pmxcfs puts on the disk later than it says."""

from __future__ import annotations

from itertools import islice

from nutwizard.core.errors import Failed
from nutwizard.engine import files, pve
from nutwizard.engine.host import Host
from nutwizard.engine.journal import Mark
from nutwizard.engine.store import COMMITTED, Record, Store

#: How far back the newest transaction of the cluster's files is looked for.
_NEWEST = 10


def lost(host: Host, store: Store) -> str:
    """A sentence when a file of the newest change stands as it was before it, once; "" else.

    Raises NeedsRoot.
    """
    try:
        if not pve.mounted(host):
            return ""
        record = _newest(store)
        if record is None or record.forgotten or not _as_before(host, store, record.id):
            return ""
        journal = store.journal(record.id)
        if journal.lost:
            return ""
        journal.note(Mark.LOST)
    except (OSError, Failed):
        return ""  # the cluster's file system is away, or what was kept is damaged: nothing can be said
    return (
        f"The firewall's change of transaction {record.id} ({record.command}) is not there: a power cut may"
        " have lost it, or someone put it back. Look at: nutwizard plan, or: nutwizard step firewall"
    )


def _newest(store: Store) -> Record | None:
    """The newest committed transaction of files below /etc/pve, an undo as well."""
    for record in islice(store.newest_first(), _NEWEST):
        if record.state == COMMITTED and any(map(pve.below, record.paths)):
            return record
    return None


def _as_before(host: Host, store: Store, number: int) -> bool:
    changed = [c for c in store.load(number).plan.files if files.before(c) != files.after(c)]
    return any(files.found(host, change.target) == files.before(change) for change in changed)
