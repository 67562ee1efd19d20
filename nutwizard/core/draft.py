"""An in-memory copy of the managed files. Steps edit it through documents; nothing touches the disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from nutwizard.core import paths
from nutwizard.core.facts import Facts, FileFact, Owner, Role
from nutwizard.core.plan import Act, ActKind, FileChange, Plan
from nutwizard.core.text import FileText
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile
from nutwizard.formats.shellfile import ShellFile

#: Order of writing: nut.conf first, ups.conf last of NUT's; at no moment stands MODE=none beside a filled
#: ups.conf. A rule of host.fw names a group of cluster.fw, which therefore comes before it.
RANKS = {
    paths.NUT_CONF: 10,
    paths.UPSD_USERS: 20,
    paths.UPSD_CONF: 30,
    paths.UPSMON_CONF: 40,
    paths.UPSSCHED_CMD: 50,
    paths.UPSSCHED_CONF: 60,
    paths.UPS_CONF: 90,
    paths.CLUSTER_FW: 100,
    paths.HOST_FW: 110,
}
COPY_RANK = 0
OWN_RANK = 80

#: For what NUT's daemons read as user nut: Debian's own owner and mode (nut-client's postinst).
NUT_OWNER = Owner("root", "nut", 0o640)
#: For passwords and what belongs to them.
PRIVATE = Owner("root", "root", 0o600)
#: What the cluster's file system gives every file, whatever is asked for.
CLUSTER_OWNER = Owner("root", "www-data", 0o640)

#: Bytes before and after; None where there is no file.
Part = tuple[bytes | None, bytes | None]


class Document(Protocol):
    """A parsed file that can be written back."""

    def to_bytes(self) -> bytes: ...


@dataclass
class _Entry:
    """One file of the draft: its document, the wanted owner, and which steps changed it and why.

    `parts`: by step the bytes before and after its own edit.
    """

    fact: FileFact
    document: Document | None = None
    bytes_seen: bytes | None = None
    owner: Owner | None = None
    why: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)
    removed: bool = False

    @property
    def after(self) -> bytes | None:
        if self.removed:
            return None
        if self.document is not None:
            return self.document.to_bytes()
        return self.fact.data if self.fact.exists else None


class _Raw:
    """A file whose whole text is ours."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def to_bytes(self) -> bytes:
        return self.data


class Draft:
    """The files as they would be, and the acts.

    `step`: the step that is editing, to be credited; `editing`: the file whose document it asked for last,
    for the message when that fails.
    """

    def __init__(self, facts: Facts, role: Role) -> None:
        self.facts = facts
        self.role = role
        self.step = ""
        self.editing = ""
        self._entries: dict[str, _Entry] = {}
        self._acts: list[Act] = []
        self._notes: dict[str, str] = {}
        self._kept: set[str] = set()

    def nut(self, path: str) -> NutFile:
        """The document of upsd.conf, upsmon.conf or upssched.conf, to be edited."""
        found: NutFile = self._document(path, NutFile, NutFile.parse)
        return found

    def sections(self, path: str, *, users: bool = False) -> SectionFile:
        """The document of ups.conf, or with `users` of upsd.users, to be edited."""
        found: SectionFile = self._document(
            path, SectionFile, lambda data: SectionFile.parse(data, users=users)
        )
        return found

    def shell(self, path: str) -> ShellFile:
        """The document of nut.conf, to be edited."""
        found: ShellFile = self._document(path, ShellFile, ShellFile.parse)
        return found

    def replace(self, path: str, data: bytes) -> None:
        """Make the whole file these bytes."""
        if self.bytes(path) != data:
            entry = self._entry(path)
            entry.document, entry.removed = _Raw(data), False

    def remove(self, path: str) -> None:
        """Take the file away, where there is one."""
        self._entry(path).removed = True

    def bytes(self, path: str) -> bytes | None:
        """The file as it would be; None when it would not be there."""
        return self._entry(path).after

    def own(self, path: str, owner: Owner, why: str = "") -> None:
        """Give the file this owner, group and mode. The plan tells `why` where the file is there already."""
        entry = self._entry(path)
        if (entry.owner or entry.fact.owner) != owner:
            entry.owner = owner
            if why and entry.fact.exists:
                entry.why.append(why)
            self._credit(entry)

    def readable_by_nut(self, path: str) -> None:
        """Mend owner and mode only where user nut cannot read the file, or others can."""
        fact = self._entry(path).fact
        if fact.owner is None:
            self.own(path, NUT_OWNER)
        elif not nut_reads(fact.owner):
            self.own(path, NUT_OWNER, f"{fact.owner} cannot be read by user nut")
        elif fact.owner.mode & 0o007:
            self.own(path, NUT_OWNER, f"{fact.owner} can be read by every user of this machine")

    @property
    def acts(self) -> tuple[Act, ...]:
        """The acts planned so far."""
        return tuple(self._acts)

    def act(self, kind: ActKind, unit: str, why: str) -> None:
        """Plan an act on a unit, once."""
        if not any((act.kind, act.unit) == (kind, unit) for act in self._acts):
            self._acts.append(Act(kind, unit, why, (self.step,)))

    def explain(self, path: str, why: str) -> None:
        """Say in the plan why a file changes."""
        entry = self._entry(path)
        if why not in entry.why:
            entry.why.append(why)

    def keep_copy(self, path: str) -> None:
        """Keep a copy beside the file, wherever it lies and whoever changed it last."""
        self._kept.add(path)

    def note(self, text: str) -> None:
        """Tell the person something that belongs beside the diff."""
        self._notes.setdefault(text, self.step)

    def notes_of(self, step: str) -> tuple[str, ...]:
        """What this step told."""
        return tuple(text for text, teller in self._notes.items() if teller == step)

    def changed(self, path: str) -> bool:
        """Whether the file's bytes, owner or mode would change."""
        entry = self._entries.get(path)
        return entry is not None and _change(path, entry) is not None

    def part(self, path: str, step: str) -> Part:
        """The bytes of a file before and after this step's own edit (None: no file); equal without one."""
        entry = self._entries.get(path)
        return entry.parts.get(step, (None, None)) if entry is not None else (None, None)

    def settle(self) -> None:
        """Credit the step that just edited with the files that it changed."""
        for entry in self._entries.values():
            now = entry.after
            if now != entry.bytes_seen:
                first, _ = entry.parts.get(self.step, (entry.bytes_seen, now))
                entry.parts[self.step] = (first, now)
                entry.bytes_seen = now
                self._credit(entry)

    def plan(self) -> Plan:
        """The draft minus the facts, in writing order; each file is copied before our first change of it."""
        self.settle()
        changes = [change for path, entry in self._entries.items() if (change := _change(path, entry))]
        copies = [copy for change in changes if (copy := self._copy(change))]
        files = sorted(copies + changes, key=lambda change: (change.rank, change.path))
        plan = Plan(self.role, tuple(files), tuple(self._acts), tuple(self._notes))
        return plan.hiding(self.facts.texts)

    def _copy(self, change: FileChange) -> FileChange | None:
        """The copy under the guide's names, unless we changed the file before or both names are taken.

        One that is to be kept in any case lacks it only where both names are taken.
        """
        first = change.path.startswith(paths.NUT + "/") and change.path not in self.facts.touched
        if change.before is None or not (first or change.path in self._kept):
            return None
        for ending in paths.COPIES:
            name = change.path + ending
            if not self.facts.file(name).exists:
                return FileChange(
                    name, name, None, change.before, None, change.owner_before,
                    change.steps, (), COPY_RANK, copy_of=change.path,
                )  # fmt: skip
        return None

    def _entry(self, path: str) -> _Entry:
        if path not in self._entries:
            fact = self.facts.file(path)
            self._entries[path] = _Entry(fact, bytes_seen=fact.data if fact.exists else None)
        return self._entries[path]

    def _document(self, path: str, kind: type[Any], parse: Any) -> Any:
        self.editing = path
        entry = self._entry(path)
        if not isinstance(entry.document, kind):
            entry.document = parse(entry.after or b"")
        return entry.document

    def _credit(self, entry: _Entry) -> None:
        if self.step and self.step not in entry.steps:
            entry.steps.append(self.step)


def nut_reads(owner: Owner) -> bool:
    """Whether user nut, whose group is nut, can read a file with this owner, group and mode."""
    if owner.user == "nut":
        return bool(owner.mode & 0o400)
    if owner.group == "nut":
        return bool(owner.mode & 0o040)
    return bool(owner.mode & 0o004)


def _change(path: str, entry: _Entry) -> FileChange | None:
    fact, after = entry.fact, entry.after
    owner = None if entry.removed else entry.owner or fact.owner
    if not fact.exists and not after and (entry.owner is None or entry.removed):
        return None
    before = fact.content if fact.exists else None
    if (before.data if before else None) == after and owner == fact.owner:
        return None
    rank = RANKS.get(path, OWN_RANK)
    text = FileText(path, after) if after is not None else None
    return FileChange(
        path, fact.actual or path, before, text, fact.owner, owner, tuple(entry.steps), tuple(entry.why), rank
    )
