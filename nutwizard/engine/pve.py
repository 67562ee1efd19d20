"""Files below /etc/pve: pmxcfs, the cluster's file system, has rules of its own and other writers.

It gives every file its owner and mode and refuses chmod, chown, links and extended attributes; creating,
writing and renaming work; fsync succeeds and does nothing. Without quorum all write bits are gone, and
writing ends with EACCES.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from nutwizard.core.facts import Door, Owner
from nutwizard.core.plan import Plan
from nutwizard.engine.host import Host

ROOT = "/etc/pve"
#: Where pmxcfs keeps the files: an SQLite database, whose newest part is its write-ahead log.
DATABASE = "/var/lib/pve-cluster"
#: Stands for whatever owner the file system gives: no plan decides it, so it never differs.
_OWNER = Owner("root", "www-data", 0o640)
_DOWN = "pve-cluster is not running"
_NO_QUORUM = f"no quorum: {ROOT} is read-only"
_WORDS = {errno.ENOTCONN: _DOWN, errno.EROFS: _NO_QUORUM, errno.EACCES: _NO_QUORUM}


def below(path: str) -> bool:
    """Whether pmxcfs keeps this file."""
    return path.startswith(f"{ROOT}/")


def owner(path: str, found: Owner) -> Owner:
    """The owner as far as it may be compared: below /etc/pve it is always the same."""
    return _OWNER if below(path) else found


def reasons(host: Host, plan: Plan) -> list[str]:
    """What keeps the plan from being written below /etc/pve; empty when nothing does or nothing is to be."""
    ours = [path for change in plan.files if below(path := change.target)]
    others = [path for change in plan.files if not below(path := change.target)]
    if not ours:
        return []
    if others:
        return [f"{ours[0]} and {others[0]}: files below {ROOT} are a transaction apart: split the plan"]
    try:
        place = host.stat(ROOT)
        if host.door is Door.LIVE and not host.mounted(ROOT):
            return [f"{_DOWN}: {ROOT} is not mounted"]
        if place is not None and (not place.owner.mode & 0o200 or host.read_only(ROOT)):
            return [_NO_QUORUM]
    except OSError as error:
        return [_WORDS.get(error.errno or 0, f"{ROOT}: {error.strerror}")]
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


def settle(host: Host, plan: Plan) -> None:
    """Put what pmxcfs was given on the disk: it syncs its database lazily. Raises OSError."""
    if not any(below(change.target) for change in plan.files):
        return
    log = f"{DATABASE}/config.db-wal"
    if host.stat(log) is not None:
        host.sync_file(log)
    if host.stat(DATABASE) is not None:
        host.sync_folder(DATABASE)
