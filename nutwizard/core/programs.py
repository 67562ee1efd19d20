"""A program that root would run, as found on the machine, and who may change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nutwizard.core.text import FileText

if TYPE_CHECKING:
    from nutwizard.core.facts import Owner

#: What cannot be said about a program: its folder may not be read, or nobody looked.
UNKNOWN = "unknown"
_STICKY = 0o1000
#: By Debian's policy the members of staff may change /usr/local, which root's PATH has: they are trusted.
_TRUSTED = ("root", "staff")


@dataclass(frozen=True)
class ProgramFact:
    """A program by its absolute path.

    `kind`: as that of a managed file, or UNKNOWN. `folders`: those on the way to it, of a symlink those
    on both ways, with their owners. `content`: its text; None for a binary, for one over 64 KiB and for
    one that may not be read.
    """

    path: str
    kind: str = UNKNOWN
    owner: Owner | None = None
    folders: Mapping[str, Owner] = field(default_factory=dict)
    content: FileText | None = None

    @property
    def runnable(self) -> bool:
        """Whether the kernel starts it for root: one x bit is enough."""
        return self.owner is not None and bool(self.owner.mode & 0o111)

    @property
    def exposed(self) -> str:
        """The program, or the folder on its way, that another user than root may change; "" when none."""
        if self.owner is not None and _others_change(self.owner):
            return self.path
        for folder, owner in self.folders.items():
            if _others_change(owner) and not (owner.user == "root" and owner.mode & _STICKY):
                return folder
        return ""


def _others_change(owner: Owner) -> bool:
    by_group = owner.group not in _TRUSTED and owner.mode & 0o020
    return owner.user != "root" or bool(by_group or owner.mode & 0o002)
