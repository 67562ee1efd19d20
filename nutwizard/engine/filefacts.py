"""Managed files as facts: bytes, owner and mode; what is no file of NUT, or cannot be read, is told."""

from __future__ import annotations

from nutwizard.core.errors import NeedsRoot, UsageError
from nutwizard.core.facts import UNREADABLE, FileFact
from nutwizard.core.text import UNSEEN, FileText
from nutwizard.engine import pve
from nutwizard.engine.host import Host

#: Debian's largest NUT file has 25 kB in 700 lines; one much larger would take minutes to read and compare.
LARGEST_CONFIG, MOST_LINES = 64 << 10, 2000
#: The firewall of a whole cluster may be as large as pmxcfs allows.
_LARGEST_FIREWALL, _MOST_RULES = 1 << 20, 60_000


def seen_fact(host: Host, path: str) -> FileFact:
    """As `file_fact`; a file that this user may not read is there, and not seen."""
    try:
        return file_fact(host, path)
    except NeedsRoot:
        return FileFact(path, UNSEEN, path)


def file_fact(host: Host, path: str) -> FileFact:
    """One file with bytes, owner and mode; below /etc/pve "unreadable" where the file system is out of order.

    Raises NeedsRoot when it may not be read, UsageError when it is no file or cannot be read at all.
    """
    if pve.below(path):
        return _cluster_fact(host, path)
    try:
        found = host.stat(path)
        if found is None:
            return FileFact(path, actual=path)
        actual = host.real(path)
        if found.kind == "file" and found.size > LARGEST_CONFIG:
            raise _not_a_config(path, f"{found.size} bytes, more than {LARGEST_CONFIG >> 10} KiB")
        data = host.read(path, LARGEST_CONFIG) if found.kind == "file" else None
    except PermissionError as error:
        raise NeedsRoot(f"{path}: {error.strerror}") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "Nothing was changed.") from None
    if data is None:
        raise UsageError(f"{path} is a {found.kind}, not a file", "Nothing was changed.")
    if data.count(b"\n") > MOST_LINES:
        raise _not_a_config(path, f"{data.count(10)} lines, more than {MOST_LINES}")
    return FileFact(path, found.kind, actual, FileText(path, data), found.owner, found.changed, found.links)


def _cluster_fact(host: Host, path: str) -> FileFact:
    """One of the cluster's files; `actual` is where it lies, or would: a node's own come through a link."""
    try:
        actual, found = host.real(path), host.stat(path)
        if found is None:
            return FileFact(path, actual=actual)
        if found.kind == "file":
            data = host.read(path, _LARGEST_FIREWALL)
            if data.count(b"\n") <= _MOST_RULES:
                text = FileText(path, data)
                return FileFact(path, found.kind, actual, text, found.owner, found.changed, found.links)
    except PermissionError as error:
        raise NeedsRoot(f"{path}: {error.strerror}") from None
    except OSError:
        pass
    return FileFact(path, UNREADABLE, path)


def _not_a_config(path: str, has: str) -> UsageError:
    return UsageError(f"{path} has {has}: this is no configuration file of NUT", "Nothing was changed.")
