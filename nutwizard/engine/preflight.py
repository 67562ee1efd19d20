"""What would stop a plan from being written, found before the first write: all of it, by name and number."""

from __future__ import annotations

import os
from collections.abc import Iterator

from nutwizard.core.errors import Failed, NeedsRoot
from nutwizard.core.paths import STATE
from nutwizard.core.plan import FileChange, Plan
from nutwizard.engine import files, pve
from nutwizard.engine.host import LARGEST_FILE, Host

#: Owners of files that are ours to change: Debian gives NUT's files to root, some set-ups to the user nut.
_OUR_USERS = ("root", "nut")
#: plan.json, journal, folders, and what block sizes round up.
_SPARE_BYTES = 256 * 1024
_SPARE_INODES = 8
_BLOCK = 4096


def check(host: Host, plan: Plan) -> None:
    """Raises NeedsRoot, or Failed with every reason. Nothing is written."""
    if not host.may_write():
        raise NeedsRoot("writing the machine's files needs root")
    cluster = pve.reasons(host, plan)
    reasons = [*_twice(plan), *cluster]
    for change in () if cluster else plan.files:
        try:
            reasons += _file_reasons(host, change)
        except OSError as error:
            reasons.append(f"{change.path}: {error.strerror}")
    if plan.files:
        reasons += _held(host, _there(host, STATE), "backups cannot be kept there")
    reasons = list(dict.fromkeys(reasons))
    if plan.files and not reasons:
        reasons += _space(host, plan)
    if reasons:
        raise Failed("\n".join(reasons), "nothing was changed")


def changed_since(host: Host, plan: Plan) -> list[str]:
    """The files whose bytes, owner or place are no longer those that the plan was made from."""
    return [reason for change in plan.files if (reason := changed(host, change))]


def changed(host: Host, change: FileChange) -> str:
    """What is no longer as planned for one file; "" when all is. What cannot be read is a reason, too."""
    target = change.target
    try:
        if host.real(change.path) != host.real(target):
            return f"{change.path} leads to {host.real(change.path)} now, no longer to {target}"
        if files.found(host, target) == files.before(change):
            return ""
    except OSError as error:
        return f"{change.path} cannot be read: {error.strerror}"
    return f"{change.path} changed since the plan was shown"


def _file_reasons(host: Host, change: FileChange) -> Iterator[str]:
    target = change.target
    folder = os.path.dirname(target)
    place = host.stat(folder)
    own = files.own_folders(target)
    if place is None and not own and folder != pve.FIREWALL:
        yield f"{change.path}: the folder {folder} is missing"
    if place is not None and place.kind != "directory":
        yield f"{change.path}: {folder} is a {place.kind}, not a folder"
        return
    yield from _held(host, _there(host, folder), "nothing in it can be replaced")
    yield from _exchangeable(host, own)
    if target != change.path:
        yield from _link_reasons(host, change, target)
    if change.after is not None and len(change.after.data) > LARGEST_FILE:
        yield f"{change.path}: its new contents have {len(change.after.data)} bytes, more than 1 MiB"
    stat = host.stat(target, follow=False)
    if stat is None:
        return
    if stat.kind != "file":
        yield f"{target} is a {stat.kind}: only a regular file is changed"
        return
    yield from _protected(host, target, "it cannot be replaced")
    if stat.links > 1:
        yield f"{target} has {stat.links} hard links: the others would keep the old contents"
    if stat.size > LARGEST_FILE:
        yield f"{target} has {stat.size} bytes, more than 1 MiB: this is no configuration file of NUT"
    mended = change.owner_after is not None and change.owner_after.user != stat.owner.user
    if stat.owner.user not in _OUR_USERS and not mended:
        yield f"{target} belongs to {stat.owner.user}, neither to root nor to nut: it is left to its owner"


def _exchangeable(host: Host, folders: tuple[str, ...]) -> Iterator[str]:
    """Folders of ours that are there, and in which somebody else could put other files."""
    for folder in folders:
        found = host.stat(folder, follow=False)
        if found is None:
            continue
        if found.kind != "directory":
            yield f"{folder} is a {found.kind}, not a folder: nutwizard keeps passwords in it"
        elif found.owner.user != "root" or found.owner.mode & 0o022:
            yield (
                f"{folder} ({found.owner}) is not root's alone: another user could exchange what is in it."
                f" To mend it: chown root {folder}; chmod go-w {folder}"
            )


def _held(host: Host, folder: str, so: str) -> Iterator[str]:
    """A mount or an attribute that stops even root from making, renaming and removing files in a folder."""
    place = host.read_only(folder)
    if place:
        yield f"{folder}: the file system is mounted read-only at {place}: {so}"
    yield from _protected(host, folder, so)


def _protected(host: Host, path: str, so: str) -> Iterator[str]:
    for name in host.protections(path):
        letter = {"immutable": "i", "append-only": "a"}[name]
        yield f"{path} has the attribute {name}: {so} (lsattr -d shows it, chattr -{letter} takes it away)"


def _there(host: Host, folder: str) -> str:
    """The folder, or the nearest one above it that is there."""
    while host.stat(folder) is None and folder != "/":
        folder = os.path.dirname(folder)
    return host.real(folder)


def _link_reasons(host: Host, change: FileChange, target: str) -> Iterator[str]:
    """A symlink is followed where only root can have made it and only root can move what it leads to."""
    for folder in dict.fromkeys((os.path.dirname(change.path), os.path.dirname(target))):
        place = host.stat(folder)
        if place is not None and (place.owner.user != "root" or place.owner.mode & 0o022):
            yield f"{change.path} is a symlink to {target}, and {folder} ({place.owner}) is not root's alone"


def _twice(plan: Plan) -> Iterator[str]:
    seen: dict[str, str] = {}
    for change in plan.files:
        target = change.target
        if target in seen:
            yield f"{change.path} and {seen[target]} are the same file"
        seen[target] = change.path


def _space(host: Host, plan: Plan) -> Iterator[str]:
    """Room for backups and staged contents in our own folder, and for the temporaries beside the targets."""
    sizes = [
        _blocks(content[0]) for c in plan.files for content in (files.before(c), files.after(c)) if content
    ]
    sizes += [_BLOCK] * len(plan.files)  # extended attributes
    kept = sum(sizes) + _SPARE_BYTES
    yield from _room(host, STATE, kept, len(sizes) + _SPARE_INODES)
    folders: dict[str, int] = {}
    for change in plan.files:
        largest = max((_blocks(c[0]) for c in (files.before(change), files.after(change)) if c), default=0)
        folder = os.path.dirname(change.target)
        folders[folder] = folders.get(folder, 0) + largest
    for folder, size in folders.items():
        # The folder may lie on the file system of our own: then both have to fit.
        yield from _room(host, folder, size + kept, len(sizes) + len(plan.files) + _SPARE_INODES)


def _room(host: Host, folder: str, size: int, count: int) -> Iterator[str]:
    free, inodes = host.free(_there(host, folder))
    if free < size:
        yield f"{folder}: {size} bytes are needed, {free} are free"
    if inodes < count:
        yield f"{folder}: {count} new files are needed, the file system has room for {inodes}"


def _blocks(data: bytes) -> int:
    return (len(data) + _BLOCK - 1) // _BLOCK * _BLOCK
