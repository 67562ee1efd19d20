"""One managed file: what stands there, and putting other contents in its place in one step."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace

from nutwizard.core import paths
from nutwizard.core.facts import Owner
from nutwizard.core.plan import FileChange
from nutwizard.engine import pve
from nutwizard.engine.attributes import ACL, Attributes
from nutwizard.engine.host import Host

#: Of files that nobody but root may read: what we keep, and passwords.
PRIVATE = Owner("root", "root", 0o600)
#: Bytes and owner; None where no file stands.
Content = tuple[bytes, Owner] | None


def before(change: FileChange) -> Content:
    """What the plan found."""
    return _content(change, change.before.data if change.before else None, change.owner_before)


def after(change: FileChange) -> Content:
    """What the plan wants."""
    return _content(change, change.after.data if change.after else None, change.owner_after)


def _content(change: FileChange, data: bytes | None, owner: Owner | None) -> Content:
    if data is None:
        return None
    if owner is None:
        raise ValueError("a file that is there has an owner")
    return data, pve.owner(change.target, owner)


def found(host: Host, path: str) -> Content:
    """What stands at `path` now, no symlink followed. Raises OSError, also for what is no regular file."""
    with pve.named(path):
        stat = host.stat(path, follow=False)
        if stat is None:
            return None
        if stat.kind != "file":
            raise OSError(errno.EINVAL, f"is a {stat.kind} now", path)
        return host.read(path), pve.owner(path, stat.owner)


def temporary(path: str, transaction: int) -> str:
    """The name beside `path` under which its next contents are written; foreseeable, so recovery finds it."""
    folder, name = os.path.split(path)
    return f"{folder}/.{name}.nutwizard-{transaction}"


def put(
    host: Host,
    path: str,
    content: Content,
    transaction: int,
    attributes: Attributes | None = None,
    *,
    look: Callable[[], None] = lambda: None,
) -> None:
    """Make `path` hold `content`, durably and in one step: at no moment is it torn, empty or wider readable.

    `attributes`: the extended attributes that it is to have, None: those that the folder hands down. `look`
    is called when all is ready, right before the file is touched; what it raises leaves the file as it is.
    Raises OSError; the file is then as before or as wanted. A left-over temporary of this transaction goes.
    """
    clear(host, path, transaction)
    with pve.named(path):
        if content is None:
            look()
            if host.stat(path, follow=False) is not None:
                host.remove(path)
            tidy(host, path)
            return
        for folder in own_folders(path):
            host.make_folder(folder, Owner("root", "root", 0o700))
        pve.make_folder_for(host, path)
        _create(host, temporary(path, transaction), content, attributes)
        look()
        host.rename(temporary(path, transaction), path)


def _create(host: Host, path: str, content: tuple[bytes, Owner], attributes: Attributes | None) -> None:
    """The temporary. An access list may narrow what the mode alone would allow: the mode comes with it."""
    data, owner = content
    if pve.below(path):
        host.create_plain(path, data)
        return
    listed = attributes is not None and ACL in attributes
    host.create(path, data, replace(owner, mode=owner.mode & 0o700) if listed else owner)
    if attributes is not None:
        host.set_attributes(path, attributes, owner)


def clear(host: Host, path: str, transaction: int) -> None:
    """Remove the temporary of `path`, if an interrupted run has left it."""
    left = temporary(path, transaction)
    with pve.named(path):
        if host.stat(left, follow=False) is not None:
            host.remove(left)


def own_folders(path: str) -> tuple[str, ...]:
    """Our own folders above a file, the outermost first: they come and go with what is in them."""
    folder = os.path.dirname(path)
    if folder == paths.OWN:
        return (paths.OWN,)
    return (paths.OWN, paths.CLIENTS, folder) if os.path.dirname(folder) == paths.CLIENTS else ()


def tidy(host: Host, path: str) -> None:
    """Our own folders go with the last file in them."""
    for folder in reversed(own_folders(path)):
        if host.names(folder):
            return
        if host.stat(folder, follow=False) is not None:
            host.remove(folder)
