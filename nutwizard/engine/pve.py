"""Files below /etc/pve: pmxcfs, the cluster's file system, has rules of its own and other writers.

It gives every file its owner and mode and refuses chmod, chown, links and extended attributes; creating,
writing and renaming work; fsync succeeds and does nothing. Without quorum all write bits are gone, and
writing ends with EACCES.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from nutwizard.core.facts import Door, Owner
from nutwizard.core.paths import CLUSTER_FW, PVE, PVE_LOCAL
from nutwizard.core.plan import Plan
from nutwizard.engine.host import Host

#: A fresh installation has no such folder; Proxmox VE makes it when it first writes into it.
FIREWALL = os.path.dirname(CLUSTER_FW)
#: Where pmxcfs keeps the files: an SQLite database, whose newest part is its write-ahead log.
DATABASE = "/var/lib/pve-cluster"
#: Stands for whatever owner the file system gives: no plan decides it, so it never differs.
_OWNER = Owner("root", "www-data", 0o640)
_DOWN = "pve-cluster is not running"
_NOT_MOUNTED = f"{_DOWN}: {PVE} is not mounted"
_NO_QUORUM = f"no quorum: {PVE} is read-only"
_WORDS = {errno.ENOTCONN: _DOWN, errno.EROFS: _NO_QUORUM, errno.EACCES: _NO_QUORUM}


def below(path: str) -> bool:
    """Whether pmxcfs keeps this file."""
    return path.startswith(f"{PVE}/")


def owner(path: str, found: Owner) -> Owner:
    """The owner as far as it may be compared: below /etc/pve it is always the same."""
    return _OWNER if below(path) else found


def mounted(host: Host) -> bool:
    """Whether the cluster's files are there; otherwise a write ends on the root disk. Raises OSError."""
    link = host.stat(PVE_LOCAL, follow=False)
    there = link is not None and link.kind == "symlink"
    return there and (host.door is not Door.LIVE or host.mounted(PVE))


def require(host: Host) -> None:
    """Raises OSError when the cluster's files are not there, or cannot be written."""
    with named(f"{PVE}/"):
        if not mounted(host):
            raise OSError(errno.ENODEV, _NOT_MOUNTED, PVE)
        place = host.stat(PVE)
        if place is not None and (not place.owner.mode & 0o200 or host.read_only(PVE)):
            raise OSError(errno.EACCES, _NO_QUORUM, PVE)


def reasons(host: Host, plan: Plan) -> list[str]:
    """What keeps the plan from being written below /etc/pve; empty when nothing does or nothing is to be."""
    ours = [path for change in plan.files if below(path := change.target)]
    others = [path for change in plan.files if not below(path := change.target)]
    if not ours:
        return []
    if others:
        return [f"{ours[0]} and {others[0]}: files below {PVE} are a transaction apart: split the plan"]
    try:
        require(host)
    except OSError as error:
        own = (_NOT_MOUNTED, *_WORDS.values())
        return [error.strerror if error.strerror in own else f"{PVE}: {error.strerror}"]
    return []


@contextmanager
def named(path: str) -> Iterator[None]:
    """What pmxcfs refuses gets its name: the same OSError with the cause as its text."""
    try:
        yield
    except OSError as error:
        if not below(path) or error.errno not in _WORDS:
            raise
        raise OSError(error.errno, _WORDS[error.errno], path) from error


def new_folders(host: Host, plan: Plan) -> tuple[str, ...]:
    """The folders that writing this plan makes below /etc/pve. Raises OSError."""
    wanted = any(c.after is not None and os.path.dirname(c.target) == FIREWALL for c in plan.files)
    return (FIREWALL,) if wanted and host.stat(FIREWALL) is None else ()


def make_folder_for(host: Host, path: str) -> None:
    """Make the folder of a firewall's file where it is missing. Raises OSError."""
    if os.path.dirname(path) == FIREWALL and host.stat(FIREWALL) is None:
        with suppress(FileExistsError):
            host.make_plain_folder(FIREWALL)


def tidy(host: Host, made: Iterable[str]) -> None:
    """Remove those of our folders in which nothing is left. One that stays does no harm."""
    for folder in made:
        with suppress(OSError):
            if host.stat(folder) is not None and not host.names(folder):
                host.remove(folder)


def settle(host: Host, plan: Plan) -> None:
    """Put what pmxcfs was given on the disk: it syncs its database lazily. Raises OSError."""
    if not any(below(change.target) for change in plan.files):
        return
    log = f"{DATABASE}/config.db-wal"
    if host.stat(log) is not None:
        host.sync_file(log)
    if host.stat(DATABASE) is not None:
        host.sync_folder(DATABASE)
