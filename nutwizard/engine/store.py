"""Where transactions are kept: /var/lib/nutwizard, root's alone. A folder for each, numbered by counting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from nutwizard.core.errors import Failed, Locked, NeedsRoot
from nutwizard.core.facts import Owner, Role
from nutwizard.core.paths import STATE
from nutwizard.core.plan import Act
from nutwizard.engine import attributes, files, stored
from nutwizard.engine.files import PRIVATE
from nutwizard.engine.host import Host, Lock
from nutwizard.engine.journal import Journal, Mark
from nutwizard.engine.stored import Kept

_ALL = f"{STATE}/transactions"
_LOCK = f"{STATE}/lock"
_FOLDER = Owner("root", "root", 0o700)

COMMITTED = "committed"
ROLLED_BACK = "rolled back"
UNDONE = "undone"
UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Record:
    """One transaction. `started`: seconds since the epoch; `size`: bytes on the disk.

    `state`: "committed", "rolled back", "undone" (a later transaction took it back) or "unfinished".
    `undoes`: the transaction that this one undid, else None; `takes_back`: all that it undid.
    `forgotten`: the contents that it kept were removed; what it did stays in force.
    """

    id: int
    started: int
    state: str
    role: Role
    command: str
    paths: tuple[str, ...]
    acts: tuple[Act, ...]
    size: int = 0
    undoes: int | None = None
    takes_back: tuple[int, ...] = ()
    forgotten: bool = False


class Store:
    """The transactions of one machine. Reading makes nothing; what may not be read raises NeedsRoot."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def prepare(self) -> None:
        """Make the folders, closed to others. Raises OSError."""
        for folder in (STATE, _ALL):
            self._host.make_folder(folder, _FOLDER)
            stat = self._host.stat(folder)
            if stat is None or stat.kind != "directory":
                raise Failed(f"{folder} is not a folder: nothing can be kept there")
            if stat.owner != _FOLDER:
                self._host.own(self._host.real(folder), _FOLDER)

    def lock(self) -> Lock:
        """One run at a time; the lock frees itself when its holder dies. Raises Locked with its pid."""
        lock = self._host.lock(_LOCK)
        if lock is not None:
            return lock
        pid = self._host.read(_LOCK).decode(errors="replace").strip()
        holder = f"process {pid}" if pid.isdigit() else "another process"
        raise Locked(
            f"another run of nutwizard is at work ({holder})", "wait until it has ended, then try again"
        )

    def records(self) -> list[Record]:
        """All transactions, oldest first. Raises NeedsRoot, Failed when a plan.json is damaged."""
        return [replace(record, size=self._size(record.id)) for record in self._records()]

    def _records(self) -> list[Record]:
        taken_back: set[int] = set()
        found = []
        for number, journal in reversed(list(self._ready())):
            record = self._record(number, journal, number in taken_back)
            if record.state == COMMITTED:
                taken_back |= set(record.takes_back)
            found.append(record)
        return found[::-1]

    def unfinished(self) -> Record | None:
        """The transaction that was interrupted. Raises as `records`."""
        for number, journal in self._ready():
            if not journal.finished:
                return self._record(number, journal, undone=False)
        return None

    def newest_first(self) -> Iterator[Record]:
        """The transactions, each read when asked for, without whether it was undone. Raises as `records`."""
        for number, journal in reversed(list(self._ready())):
            yield self._record(number, journal, undone=False)

    def touched(self) -> frozenset[str]:
        """Paths that transactions in force have changed: these files are no longer as we first found them."""
        in_force = (r for r in self._records() if r.state in (COMMITTED, UNFINISHED) and r.undoes is None)
        return frozenset(path for record in in_force for path in record.paths)

    def folder(self, number: int) -> str:
        """Where a transaction lies."""
        return f"{_ALL}/{number:06d}"

    def journal(self, number: int) -> Journal:
        return Journal(self._host, f"{self.folder(number)}/journal")

    def load(self, number: int) -> Kept:
        """A transaction with the contents that it kept. Raises Failed when they are damaged."""
        kept = self._kept(number)
        try:
            whole = kept.with_contents(lambda name: self._host.read(f"{self.folder(number)}/{name}"))
            return replace(whole, attributes=self._attributes(number, whole))
        except (OSError, ValueError) as error:
            raise _damaged(self.folder(number), error) from error

    def _attributes(self, number: int, kept: Kept) -> dict[int, attributes.Attributes]:
        """Those of the files that were there. A file without any has none kept."""
        folder = f"{self.folder(number)}/before"
        there = set(self._host.names(folder))
        return {
            index: attributes.from_json(self._host.read(f"{folder}/{name}")) if name in there else {}
            for index, change in enumerate(kept.plan.files)
            if change.before is not None and (name := f"{index}.attributes")
        }

    def begin(self, kept: Kept) -> tuple[int, Journal]:
        """Keep plan and contents durably under the next number; then files may be touched. Raises OSError."""
        number = max(self._numbers(), default=0) + 1
        folder = self.folder(number)
        for name in (folder, f"{folder}/before", f"{folder}/after"):
            self._host.make_folder(name, _FOLDER)
        for index, change in enumerate(kept.plan.files):
            for name, content in (("before", files.before(change)), ("after", files.after(change))):
                if content is not None:
                    self._host.create(f"{folder}/{name}/{index}", content[0], PRIVATE)
            if change.before is not None and (extra := kept.attributes.get(index)):
                self._host.create(f"{folder}/before/{index}.attributes", attributes.to_json(extra), PRIVATE)
        self._host.create(f"{folder}/plan.json", stored.to_json(kept), PRIVATE)
        for name in (f"{folder}/before", f"{folder}/after", folder):
            self._host.sync_folder(name)
        journal = self.journal(number)
        try:
            journal.note(Mark.READY)
        except OSError:
            # The line may be there all the same, and nothing was touched.
            with suppress(OSError):
                self._drop(number)
            raise
        return number, journal

    def litter(self) -> list[int]:
        """What runs left that died while preparing: no file of the machine had been touched."""
        return [number for number in self._numbers() if not self.journal(number).ready]

    def half_forgotten(self) -> list[int]:
        """The forgotten transactions of which contents are still there."""
        return [number for number, journal in self._ready() if journal.forgotten and self.contents(number)]

    def contents(self, number: int) -> list[str]:
        """The files that keep a transaction's contents."""
        folders = [f"{self.folder(number)}/{name}" for name in ("before", "after")]
        return [f"{folder}/{name}" for folder in folders for name in self._host.names(folder)]

    def forget(self, number: int) -> None:
        """Remove a transaction's contents, first noting that they are given up. Under the lock only.

        Raises OSError; `clean` then goes on with it.
        """
        journal = self.journal(number)
        if not journal.forgotten:
            journal.note(Mark.FORGOTTEN)
        for path in self.contents(number):
            self._host.remove(path)

    def clean(self) -> bool:
        """Remove `litter`, and what `forget` has left; whether there was litter. Under the lock only."""
        for number in self.half_forgotten():
            self.forget(number)
        left = self.litter()
        for number in left:
            self._drop(number)
        return bool(left)

    def _drop(self, number: int) -> None:
        """Remove a transaction that has touched nothing: its journal first, what has none is litter."""
        folder = self.folder(number)
        if self._host.stat(f"{folder}/journal", follow=False) is not None:
            self._host.remove(f"{folder}/journal")
        for inner in (f"{folder}/before", f"{folder}/after", folder):
            for name in self._host.names(inner):
                self._host.remove(f"{inner}/{name}")
        self._host.remove(folder)

    def _numbers(self) -> list[int]:
        try:
            names = self._host.names(_ALL)
        except PermissionError as error:
            raise NeedsRoot(f"{STATE} may be read by root only") from error
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def _ready(self) -> Iterator[tuple[int, Journal]]:
        """The transactions whose preparation was complete, oldest first."""
        for number in self._numbers():
            journal = self.journal(number)
            if journal.ready:
                yield number, journal

    def _kept(self, number: int) -> Kept:
        try:
            return stored.from_json(self._host.read(f"{self.folder(number)}/plan.json"))
        except (OSError, ValueError) as error:
            raise _damaged(self.folder(number), error) from error

    def _record(self, number: int, journal: Journal, undone: bool) -> Record:
        kept = self._kept(number)
        state = UNFINISHED
        if journal.finished:
            state = COMMITTED if journal.decision is Mark.COMMITTED else ROLLED_BACK
        if state == COMMITTED and undone:
            state = UNDONE
        return Record(
            id=number,
            started=kept.started,
            state=state,
            role=kept.plan.role,
            command=kept.command,
            paths=tuple(change.path for change in kept.plan.files),
            acts=kept.plan.acts,
            undoes=kept.undoes,
            takes_back=kept.takes_back,
            forgotten=journal.forgotten,
        )

    def _size(self, number: int) -> int:
        folder = self.folder(number)
        places = [
            f"{inner}/{name}"
            for inner in (folder, f"{folder}/before", f"{folder}/after")
            for name in self._host.names(inner)
        ]
        stats = [self._host.stat(place) for place in places]
        return sum(stat.size for stat in stats if stat is not None and stat.kind == "file")


def _damaged(folder: str, error: Exception) -> Failed:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Failed(
        f"what is kept in {folder} cannot be read: {reason}",
        "look at it, then move that folder elsewhere: nutwizard goes on, but cannot undo that change",
    )
