"""Files of one machine below one root: paths resolved inside it, durable writes, owners by name."""

from __future__ import annotations

import errno
import os
import stat as st
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from nutwizard.core.facts import Owner
from nutwizard.engine import attributes, mounts
from nutwizard.engine.host import LARGEST_FILE, Stat

#: As in Linux's path walk (path_resolution(7)).
MOST_LINKS = 40
_KINDS = {
    st.S_IFREG: "file",
    st.S_IFDIR: "directory",
    st.S_IFLNK: "symlink",
    st.S_IFIFO: "fifo",
    st.S_IFSOCK: "socket",
}


class Owners(Protocol):
    """How owner names and numbers belong together, and how an owner is given to a file."""

    def read(self, path: str, found: os.stat_result) -> Owner: ...

    def give(self, path: str, fd: int, owner: Owner) -> None: ...

    def forget(self, path: str) -> None: ...

    def move(self, source: str, target: str) -> None: ...


class NumberedOwners:
    """Owners as the file system keeps them, named by two tables (passwd(5), group(5))."""

    def __init__(self, users: dict[str, int], groups: dict[str, int]) -> None:
        self._users, self._groups = users, groups
        self._user_names = {number: name for name, number in reversed(users.items())}
        self._group_names = {number: name for name, number in reversed(groups.items())}

    @classmethod
    def below(cls, root: str) -> NumberedOwners:
        """From ROOT/etc/passwd and ROOT/etc/group; a missing table leaves numbers."""
        return cls(_table(f"{root}/etc/passwd"), _table(f"{root}/etc/group"))

    def read(self, path: str, found: os.stat_result) -> Owner:
        user = self._user_names.get(found.st_uid, str(found.st_uid))
        group = self._group_names.get(found.st_gid, str(found.st_gid))
        return Owner(user, group, st.S_IMODE(found.st_mode))

    def give(self, path: str, fd: int, owner: Owner) -> None:
        found = os.fstat(fd)
        user, group = self._number(owner.user, self._users), self._number(owner.group, self._groups)
        if (found.st_uid, found.st_gid) != (user, group):
            os.fchown(fd, user, group)
        if st.S_IMODE(os.fstat(fd).st_mode) != owner.mode:
            os.fchmod(fd, owner.mode)

    def forget(self, path: str) -> None:
        """Nothing is kept apart."""

    def move(self, source: str, target: str) -> None:
        """Nothing is kept apart."""

    @staticmethod
    def _number(name: str, table: dict[str, int]) -> int:
        if name in table:
            return table[name]
        if name.isdigit():
            return int(name)
        raise OSError(errno.EINVAL, f"there is no user or group {name} on this machine")


def _table(path: str) -> dict[str, int]:
    """Name -> number of a passwd(5) or group(5) file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            rows = [line.split(":") for line in file]
    except FileNotFoundError:
        return {"root": 0}
    return {row[0]: int(row[2]) for row in rows if len(row) > 2 and row[2].isdigit()}


class Tree:
    """The files below `root`. Paths are the machine's own ("/etc/nut"); none leads out of the root."""

    def __init__(self, root: str, owners: Owners) -> None:
        self.root = "" if root == "/" else os.path.realpath(root)
        self._owners = owners

    def real(self, path: str) -> str:
        """The machine's path with every symlink followed inside the root. Raises OSError(ELOOP)."""
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done[-1:] = []
                continue
            here = "/".join([self.root, *done, part])
            if not os.path.islink(here):
                done.append(part)
                continue
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            leads = os.readlink(here)
            if leads.startswith("/"):
                done = []
            todo.extend(part for part in reversed(leads.split("/")) if part not in ("", "."))
        return "/" + "/".join(done)

    def on_disk(self, path: str) -> str:
        """Where the file really lies; the last part is not followed."""
        folder, name = os.path.split(path)
        return self.root + os.path.join(self.real(folder), name)

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        where = self.on_disk(self.real(path) if follow else path)
        try:
            found = os.lstat(where)
        except (FileNotFoundError, NotADirectoryError):
            return None
        kind = _KINDS.get(st.S_IFMT(found.st_mode), "device")
        return Stat(kind, self._owners.read(where, found), found.st_size, found.st_mtime, found.st_nlink)

    def read(self, path: str, limit: int = LARGEST_FILE) -> bytes:
        with self._reading(path) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return data

    def read_end(self, path: str, limit: int) -> tuple[bytes, bool]:
        with self._reading(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return file.read(limit), size <= limit

    @contextmanager
    def _reading(self, path: str) -> Iterator[BinaryIO]:
        """A regular file for reading; what stands in its place neither blocks nor leads elsewhere."""
        fd = os.open(
            self.on_disk(self.real(path)), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
        with os.fdopen(fd, "rb") as file:
            if not st.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            yield file

    def names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(self.on_disk(self.real(path))))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def create(self, path: str, data: bytes, owner: Owner) -> None:
        self._make(path, data, owner)

    def create_plain(self, path: str, data: bytes) -> None:
        self._make(path, data, None)

    def _make(self, path: str, data: bytes, owner: Owner | None) -> None:
        where = self.on_disk(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        # Without an owner the file system gives one; where it does not, the mode is that of pmxcfs.
        fd = os.open(where, flags, 0o600 if owner is not None else 0o640)
        try:
            _write_all(fd, data)
            if owner is not None:
                self._owners.give(where, fd, owner)
            os.fsync(fd)
        except BaseException:
            os.unlink(where)
            raise
        finally:
            os.close(fd)

    def append(self, path: str, data: bytes) -> None:
        where = self.on_disk(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        new = not os.path.lexists(where)
        fd = os.open(where, flags, 0o600)
        try:
            _write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        if new:
            self._sync_folder(where)

    def rename(self, source: str, target: str) -> None:
        old, new = self.on_disk(source), self.on_disk(target)
        os.rename(old, new)
        self._owners.move(old, new)
        self._sync_folder(new)

    def own(self, path: str, owner: Owner) -> None:
        with self._opened(path) as fd:
            self._owners.give(self.on_disk(path), fd, owner)
            os.fsync(fd)

    def attributes(self, path: str) -> dict[str, bytes]:
        with self._opened(path) as fd:
            return attributes.read(fd)

    def set_attributes(self, path: str, wanted: Mapping[str, bytes], owner: Owner) -> None:
        with self._opened(path) as fd:
            if attributes.write(fd, attributes.for_mode(wanted, owner.mode)) or attributes.ACL in wanted:
                self._owners.give(self.on_disk(path), fd, owner)
                os.fsync(fd)

    def symlink(self, leads_to: str, path: str) -> None:
        where = self.on_disk(path)
        os.symlink(leads_to, where)
        self._sync_folder(where)

    def sync_file(self, path: str) -> None:
        with self._opened(path) as fd:
            os.fsync(fd)

    def protections(self, path: str) -> tuple[str, ...]:
        return mounts.protections(self.on_disk(path))

    def read_only(self, path: str) -> str:
        return mounts.read_only(self.on_disk(path))

    def mounted(self, path: str) -> bool:
        return os.path.ismount(self.on_disk(path))

    @contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        """A file that is there, its last part not followed."""
        fd = os.open(self.on_disk(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def remove(self, path: str) -> None:
        where = self.on_disk(path)
        if st.S_ISDIR(os.lstat(where).st_mode):
            os.rmdir(where)
        else:
            os.unlink(where)
        self._owners.forget(where)
        self._sync_folder(where)

    def make_folder(self, path: str, owner: Owner) -> None:
        if self.stat(path) is not None:
            return
        self.make_folder(os.path.dirname(path), Owner("root", "root", 0o755))
        where = self.on_disk(path)
        try:
            os.mkdir(where, 0o700)
        except FileExistsError:
            return  # another run was faster
        fd = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._owners.give(where, fd, owner)
        finally:
            os.close(fd)
        self._sync_folder(where)

    def make_plain_folder(self, path: str) -> None:
        os.mkdir(self.on_disk(path))

    def set_times(self, path: str, seconds: float) -> None:
        os.utime(self.on_disk(path), (seconds, seconds))

    def free(self, path: str) -> tuple[int, int]:
        found = os.statvfs(self.on_disk(self.real(path)))
        # btrfs and some FUSE file systems have no number of inodes, ramfs none of blocks: the counts are 0.
        size = found.f_bavail * found.f_frsize if found.f_blocks else sys.maxsize
        return size, found.f_favail if found.f_files else sys.maxsize

    def sync_folder(self, path: str) -> None:
        self._sync_folder(self.on_disk(self.real(path)) + "/")

    def _sync_folder(self, where: str) -> None:
        fd = os.open(os.path.dirname(where), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    """Write it all: a write may be short (a limit, a full disk) before it fails."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
