"""One path of the list as data, and the look at it: owner, copies beside it, what is wrong for NUT."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum

from nutwizard.core.facts import Owner
from nutwizard.engine.host import Host, Stat


class Group(StrEnum):
    """Under which heading a path is told."""

    CONFIG = "configuration"
    PROGRAMS = "programs"
    RUN = "run time"
    SHUTDOWN = "shutdown"
    UNITS = "units"
    FIREWALL = "firewall"
    OWN = "nutwizard"
    LOG = "log"


class PathKind(StrEnum):
    """What a path is, or is to be."""

    FOLDER = "folder"
    FILE = "file"
    SOCKET = "socket"
    LOCK = "lock"
    LOG = "log"
    UNIT = "unit"


class There(StrEnum):
    """Whether something stands at the path; `UNSEEN`: this user may not look."""

    THERE = "there"
    MISSING = "missing"
    UNSEEN = "not seen"


class Need(Enum):
    """What NUT, or the secrecy of a password, needs of a path."""

    NUT_READS = "nut reads"
    NUT_RUNS = "nut runs"
    NUT_RUNS_SCRIPT = "nut runs a script"
    NUT_ENTERS = "nut enters"
    NUT_WRITES = "nut makes files in it"
    ROOT_RUNS = "root runs"
    SECRET = "passwords"
    PRIVATE = "root alone"


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy beside a file. `changed`: seconds since the epoch; `wrong`: who may read it and should not."""

    path: str
    owner: Owner
    changed: float
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class PathRow:
    """One path. Nothing of a file's contents is in here.

    `absent`: why it may well be missing, "" where it should be there. `leads_to`: where symlinks on the way
    lead. `wrong`: owner, mode, kind, or its being there, as sentences. `note`: what else is to be known.
    """

    group: Group
    kind: PathKind
    path: str
    purpose: str
    there: There
    owner: Owner | None = None
    leads_to: str = ""
    backups: tuple[Backup, ...] = ()
    wrong: tuple[str, ...] = ()
    absent: str = ""
    note: str = ""

    @property
    def owner_text(self) -> str:
        """Such as "root:nut 0640", "missing" or "not seen"."""
        return str(self.owner) if self.owner else self.there.value

    @property
    def lacking(self) -> bool:
        """Whether it is missing without a good reason."""
        return self.there is There.MISSING and not self.absent


#: What stat(2) may find for each kind. The journal is a folder, syslog a file.
_FITTING = {
    PathKind.FOLDER: ("directory",),
    PathKind.SOCKET: ("socket",),
    PathKind.LOG: ("file", "directory"),
    PathKind.UNIT: ("file", "device"),
}
_KIND_WORDS = {"directory": "folder"}
_WHERE = {"directory": PathKind.FOLDER, "socket": PathKind.SOCKET}
#: More foreign names than this in one folder are only counted.
MOST_OTHERS = 60


class Look:
    """Collects rows in order; a place that is there under two names comes once, under the first."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.rows: list[PathRow] = []
        #: Folders that this user may not list.
        self.closed: list[str] = []
        self._known: set[str] = set()

    def add(
        self,
        group: Group,
        kind: PathKind,
        path: str,
        purpose: str,
        *needs: Need,
        absent: str = "",
        note: str = "",
        trouble: str = "",
        copies: bool = False,
        alias: bool = False,
    ) -> None:
        """Look at a path. `copies`: list those beside it; `alias`: also when listed by another name.

        `trouble`: what the caller knows to be wrong.
        """
        place = self.place(path)
        if place in self._known and not alias:
            return
        self._known.add(place)
        there, stat, unclear = self._stat(path)
        wrong = [text for text in (trouble, unclear) if text]
        if stat is not None:
            wrong += self._complaints(path, kind, stat, needs)
        self.rows.append(
            PathRow(
                group,
                kind,
                path,
                purpose,
                there,
                stat.owner if stat else None,
                self._leads(path),
                self._backups(path, Need.SECRET in needs) if copies else (),
                tuple(wrong),
                absent,
                note,
            )
        )

    def known(self, path: str) -> bool:
        """Whether the path, or a copy beside a listed file, is in the list already."""
        copies = {backup.path for row in self.rows for backup in row.backups}
        return self.place(path) in self._known or path in copies

    def exists(self, path: str) -> bool:
        """Whether something is there, as far as this user may see."""
        return self._stat(path)[0] is There.THERE

    def names(self, folder: str) -> list[str]:
        """Names in a folder; none, and `closed` knows it, where this user may not list them."""
        try:
            return self.host.names(folder)
        except OSError:
            if folder not in self.closed:
                self.closed.append(folder)
            return []

    def kind(self, path: str) -> PathKind:
        """What stands there, as a kind of row; a file where nothing does."""
        _, stat, _ = self._stat(path)
        return _WHERE.get(stat.kind, PathKind.FILE) if stat else PathKind.FILE

    def others(self, group: Group, folder: str, purpose: str) -> None:
        """What lies in a folder beside what is listed already; very many names are only counted."""
        others = [path for name in self.names(folder) if not self.known(path := f"{folder}/{name}")]
        for path in others[:MOST_OTHERS]:
            self.add(group, self.kind(path), path, purpose)
        if (left := len(others) - MOST_OTHERS) > 0:
            self.add(group, PathKind.FOLDER, folder, f"{left} more names, not listed", alias=True)

    def place(self, path: str) -> str:
        """The path with the symlinks of its folders followed; its last part is not."""
        folder, name = os.path.split(path)
        try:
            return os.path.join(self.host.real(folder), name)
        except OSError:
            return path

    def _stat(self, path: str) -> tuple[There, Stat | None, str]:
        try:
            stat = self.host.stat(path)
            link = stat is None and self.host.stat(path, follow=False) is not None
        except PermissionError:
            return There.UNSEEN, None, ""
        except OSError as error:
            return There.UNSEEN, None, f"it cannot be looked at: {error.strerror}"
        if stat is None:
            return There.MISSING, None, "it is a link that leads nowhere" if link else ""
        return There.THERE, stat, ""

    def _leads(self, path: str) -> str:
        try:
            real = self.host.real(path)
        except OSError:
            return ""
        return real if real != path else ""

    def _backups(self, path: str, secret: bool) -> tuple[Backup, ...]:
        """Every file beside `path` whose name begins with its name: .orig, .bkp, .dpkg-old, ~ and others."""
        folder, name = os.path.split(path)
        found = []
        for other in self.names(folder):
            if not other.startswith((f"{name}.", f"{name}~")):
                continue
            there, stat, _ = self._stat(f"{folder}/{other}")
            if there is There.THERE and stat is not None and stat.kind == "file":
                wide = secret and stat.owner.mode & 0o004
                wrong = "every user of this machine can read the passwords in it" if wide else ""
                found.append(Backup(f"{folder}/{other}", stat.owner, stat.changed, wrong))
        return tuple(found)

    def _complaints(self, path: str, kind: PathKind, stat: Stat, needs: Iterable[Need]) -> list[str]:
        if stat.kind not in _FITTING.get(kind, ("file",)):
            is_now, wanted = _KIND_WORDS.get(stat.kind, stat.kind), "folder" if kind == "folder" else "file"
            return [f"it is a {is_now}, not a {'socket' if kind is PathKind.SOCKET else wanted}"]
        found = [text for need in needs if (text := complaint(need, stat.owner))]
        if stat.owner.mode & 0o002 and stat.kind in ("file", "directory"):
            found.append("every user of this machine may change it")
        if any(need.value.startswith("nut ") for need in needs) and (folder := self._barrier(path)):
            found.append(f"user nut cannot enter {folder}")
        return found

    def _barrier(self, path: str) -> str:
        """The outermost folder on the way that is closed to user nut; "" when there is none."""
        folder = ""
        for part in self._leads(path).split("/")[1:-1] or path.split("/")[1:-1]:
            folder += f"/{part}"
            _, stat, _ = self._stat(folder)
            if stat is not None and not nut_may(stat.owner, 0o1):
                return folder
        return ""


def complaint(need: Need, owner: Owner) -> str:
    """What is wrong with this owner and mode for that need; "" when nothing is."""
    lacks = {
        Need.NUT_READS: (0o4, "user nut cannot read it"),
        Need.NUT_RUNS: (0o1, "user nut cannot run it"),
        Need.NUT_RUNS_SCRIPT: (0o5, "user nut cannot read and run it"),
        Need.NUT_ENTERS: (0o1, "user nut cannot enter it"),
        Need.NUT_WRITES: (0o3, "user nut cannot make files in it"),
    }
    if need in lacks:
        bits, text = lacks[need]
        return "" if nut_may(owner, bits) else text
    if need is Need.SECRET:
        return "every user of this machine can read the passwords in it" if owner.mode & 0o004 else ""
    if need is Need.PRIVATE:
        return "others than root may read it" if owner.mode & 0o044 or owner.user != "root" else ""
    if not owner.mode & 0o111:
        return "it is not executable"
    shared = owner.mode & 0o020 and owner.group != "root"
    who = owner.user if owner.user != "root" else f"group {owner.group}" if shared else ""
    return f"{who} may change what root runs" if who else ""


def nut_may(owner: Owner, bits: int) -> bool:
    """Whether user nut, whose group is nut, has all these of the bits r (4), w (2), x (1)."""
    shift = 6 if owner.user == "nut" else 3 if owner.group == "nut" else 0
    return (owner.mode >> shift) & bits == bits
