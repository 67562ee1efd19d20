"""Giving up what a transaction keeps: the contents of its files before and after, passwords among them."""

from __future__ import annotations

from nutwizard.core.errors import Failed, UsageError
from nutwizard.core.paths import COPIES
from nutwizard.engine.host import Host
from nutwizard.engine.signals import Held
from nutwizard.engine.store import UNFINISHED, Record, Store
from nutwizard.engine.undo import newest


def forget(host: Host, store: Store, number: int, *, sure: bool = False) -> str:
    """Remove the contents that transaction `number` keeps, and say what that means.

    Its number, its paths and its state stay in the history: numbers are never used twice, and the other
    transactions need to know what it did. Forgetting again is no error. `sure`: also the newest that can be
    undone. Raises UsageError when it must not be forgotten, Locked, and Failed when the disk refuses; the
    next `recover` or `forget` then removes the rest.
    """
    store.prepare()
    lock = store.lock()
    try:
        with Held() as held:
            records = store.records()
            record = _chosen(records, number, sure)
            count = len(store.contents(number))
            size = record.size
            try:
                store.forget(number)
            except OSError as error:
                raise Failed(
                    f"{error.filename or store.folder(number)}: {error.strerror}",
                    f"transaction {number} is given up, but not all of it is removed; run the command again",
                ) from error
            left = next(each.size for each in store.records() if each.id == number)
    finally:
        lock.release()
    held.deliver()
    return _told(host, records, record, count, size - left)


def _chosen(records: list[Record], number: int, sure: bool) -> Record:
    record = next((each for each in records if each.id == number), None)
    if record is None:
        raise UsageError(f"there is no transaction {number}", "nutwizard history lists them")
    if record.state == UNFINISHED:
        raise UsageError(
            f"transaction {number} is unfinished: what it keeps is needed to put the files back",
            "run: nutwizard recover",
        )
    last = newest(records)
    if last is not None and last.id == number and not sure:
        raise UsageError(
            f"transaction {number} is the newest that can be undone: forgotten, nobody can undo it",
            f"if that is what you want: nutwizard forget {number} --yes",
        )
    return record


def _told(host: Host, records: list[Record], record: Record, count: int, size: int) -> str:
    if not count:
        return f"Transaction {record.id} was forgotten before: there was nothing left to remove."
    lines = [
        f"Transaction {record.id} is forgotten: {count} kept files ({size} bytes) are removed; it can no"
        " longer be undone.",
        "They are removed, not overwritten: until it is used again, their place on the disk holds the old"
        " bytes, and so do snapshots and backups of it.",
    ]
    paths = set(record.paths)
    others = [str(r.id) for r in records if r.id != record.id and not r.forgotten and paths & set(r.paths)]
    if others:
        lines.append(f"Other transactions keep contents of the same files: {', '.join(others)}.")
    names = {f"{path}{ending}" for path in paths for ending in COPIES} | paths
    copies = sorted(name for name in names if name.endswith(COPIES) and host.stat(name) is not None)
    if copies:
        lines.append(f"Copies from before the first change stay: {', '.join(copies)}.")
    return "\n".join(lines)
