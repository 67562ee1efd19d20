"""The plan that takes a transaction back: the same engine, backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nutwizard.core.errors import Failed, UsageError
from nutwizard.core.plan import Act, ActKind, FileChange, Plan
from nutwizard.engine import files, units
from nutwizard.engine.host import Host
from nutwizard.engine.store import COMMITTED, Record, Store

_MATTERS = {ActKind.ENABLE: "boot", ActKind.DISABLE: "boot", ActKind.HOLD: "hold"}


def chain(records: Sequence[Record], number: int | None) -> list[Record]:
    """What has to be taken back, newest first: the transaction, and newer ones on the same files.

    None: the newest that is no undo itself. Raises UsageError when there is none or it is not in force.
    """
    chosen = _chosen(records, number)
    paths = set(chosen.paths)
    found = [chosen]
    for record in records:
        in_force = record.state == COMMITTED and record.undoes is None
        if record.id > chosen.id and in_force and paths & set(record.paths):
            paths |= set(record.paths)
            found.append(record)
    gone = [record.id for record in found if record.forgotten]
    if gone:
        raise UsageError(f"transaction {gone[0]} on the same files was forgotten: nobody can undo it")
    return found[::-1]


def newest(records: Sequence[Record]) -> Record | None:
    """What `undo` without a number takes back."""
    able = [r for r in records if r.state == COMMITTED and r.undoes is None and not r.forgotten]
    return able[-1] if able else None


def _chosen(records: Sequence[Record], number: int | None) -> Record:
    if number is None:
        record = newest(records)
        if record is None:
            raise UsageError("there is nothing to undo")
        return record
    for record in records:
        if record.id == number:
            if record.state != COMMITTED:
                raise UsageError(f"transaction {number} is {record.state}: there is nothing to undo in it")
            if record.forgotten:
                raise UsageError(f"transaction {number} was forgotten: what it had replaced is gone")
            return record
    raise UsageError(f"there is no transaction {number}", "nutwizard history lists them")


def undo_plan(host: Host, store: Store, id: int | None = None) -> Plan:
    """What takes transaction `id` back (None: the newest); to be applied with `undoes=target_of(store, id)`.

    A copy of ours (`.orig`) that was changed since stays, and a note says so. Raises UsageError when there is
    nothing to undo, Failed with a masked diff when another file was changed since, and as `Store.records`.
    """
    records = chain(store.records(), id)
    merged: dict[str, FileChange] = {}
    for record in records:
        for change in store.load(record.id).plan.files:
            merged[change.path] = _earlier(merged.get(change.path), change)
    kept, notes, refused = [], [], []
    for change in merged.values():
        if files.before(change) == files.after(change):
            continue
        now = _now(host, change)
        if now == files.before(change):
            kept.append(change)
        elif change.copy_of:
            notes.append(f"{change.path} was changed since: it stays")
        else:
            refused.append((change, now))
    if refused:
        raise _refusal(refused, Plan(records[-1].role, tuple(merged.values())))
    if len(records) > 1:
        notes.append(f"this undoes transactions {', '.join(str(record.id) for record in records)}")
    return Plan(records[-1].role, tuple(kept), _merged_acts(records), tuple(notes))


def target_of(store: Store, id: int | None = None) -> int:
    """The transaction that `undo_plan(id)` takes back. Raises UsageError."""
    return chain(store.records(), id)[-1].id


def _earlier(newer: FileChange | None, change: FileChange) -> FileChange:
    """The change backwards, after those of newer transactions on the same file."""
    return replace(
        change,
        before=newer.before if newer else change.after,
        owner_before=newer.owner_before if newer else change.owner_after,
        after=change.before,
        owner_after=change.owner_before,
        rank=-change.rank,
    )


def _merged_acts(records: Sequence[Record]) -> tuple[Act, ...]:
    """One act per unit and matter: of several transactions the oldest decides."""
    forward: dict[tuple[str, str], Act] = {}
    for record in records:
        for act in record.acts:
            if act.kind is not ActKind.RELEASE:
                forward[act.unit, _MATTERS.get(act.kind, "run")] = act
    return units.backwards(forward.values())


def _now(host: Host, change: FileChange) -> files.Content | OSError:
    """What stands there, or why that cannot be said (a folder, a FIFO)."""
    try:
        return files.found(host, change.target)
    except OSError as error:
        return error


def _refusal(changes: Sequence[tuple[FileChange, files.Content | OSError]], plan: Plan) -> Failed:
    """`plan`: all that was to be undone; the secrets of its files are hidden in each."""
    from nutwizard.formats.redact import diff, diff_text, secrets_of

    texts = [text for change in plan.files for text in (change.before, change.after) if text is not None]
    secrets = {secret for text in texts for secret in secrets_of(text.path, text.data)}
    parts = []
    for change, now in changes:
        if isinstance(now, OSError):
            parts.append(f"{change.path} {now.strerror}")
            continue
        wrote = files.before(change)
        parts.append(f"{change.path} was changed since:")
        data, owner = now or (None, None)
        lines = diff(change.path, wrote[0] if wrote else None, data, also=secrets)
        parts.append(
            diff_text(lines, change.path).rstrip() or f"  {change.owner_before} is {owner or 'gone'} now"
        )
    return Failed("\n".join(parts), "nothing was changed; take those changes back by hand, then undo again")
