"""A plan: what would change. Pure data: shown as a diff, applied, exported, compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from nutwizard.core import paths
from nutwizard.core.facts import Owner, Role
from nutwizard.core.text import FileText


@dataclass(frozen=True)
class FileChange:
    """One file: before and after, contents and owner (None: the file is not there).

    `rank` orders the writing, small first; undo goes the other way. `copy_of` names the file whose state
    before our first change this one keeps. `actual` is where a symlink leads. `beside`: texts whose secrets
    are not to be shown in this one either.
    """

    path: str
    actual: str
    before: FileText | None
    after: FileText | None
    owner_before: Owner | None
    owner_after: Owner | None
    steps: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    rank: int = 50
    copy_of: str = ""
    beside: tuple[FileText, ...] = field(default=(), compare=False, repr=False)

    @property
    def target(self) -> str:
        """The file that is written: where a symlink leads, else the path itself."""
        return self.actual or self.path

    @property
    def clustered(self) -> bool:
        """Whether the cluster's file system keeps it."""
        return self.target.startswith(f"{paths.PVE}/")


class ActKind(StrEnum):
    """What can be done to a unit. `hold` and `release` stop and start a path unit around the writing."""

    ENABLE = "enable"
    DISABLE = "disable"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    HOLD = "hold"
    RELEASE = "release"


@dataclass(frozen=True)
class Act:
    """One act on a unit and why. Acts run in the order of the plan; only `hold` comes before the files."""

    kind: ActKind
    unit: str
    why: str
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind.value} {self.unit}"


#: What an empty plan says.
NOTHING = "Nothing to do: everything is in place."


@dataclass(frozen=True)
class Plan:
    """Everything that would change on this machine, and what the person should know about it (`notes`)."""

    role: Role
    files: tuple[FileChange, ...] = ()
    acts: tuple[Act, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def disturbs(self) -> bool:
        """Whether what runs may notice: there is more than files that nutwizard alone reads."""
        return bool(self.acts) or any(not file.path.startswith(f"{paths.OWN}/") for file in self.files)

    @property
    def empty(self) -> bool:
        return not self.files and not self.acts

    @property
    def parts(self) -> tuple[Plan, ...]:
        """The transactions in which it is applied, in this order; the plan itself where one is enough.

        The cluster's files come last and apart: they have other writers and may turn read-only, so nobody can
        promise all or nothing across both.
        """
        clustered = tuple(change for change in self.files if change.clustered)
        others = tuple(change for change in self.files if not change.clustered)
        if not clustered or not (others or self.acts):
            return (self,)
        return replace(self, files=others), Plan(self.role, clustered)

    def hiding(self, texts: Iterable[FileText]) -> Plan:
        """The same, with what is secret in any of these texts or in those of the plan shown in none."""
        own = (text for change in self.files for text in (change.before, change.after) if text is not None)
        beside = (*texts, *own)
        return replace(self, files=tuple(replace(change, beside=beside) for change in self.files))
