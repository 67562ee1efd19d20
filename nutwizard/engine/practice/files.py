"""The practice machine's folder: two roots made from the shipped files, their owners kept beside them."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat as st
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nutwizard.core.facts import Owner, Role

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

#: Folder of a role's machine.
FOLDERS = {Role.HOST: "host", Role.CLIENT: "vm"}
_MARK = "practice-machine"
_LOCK = ".lock"
#: Debian 12's merged /usr.
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}
_EMPTY = {
    "host": ("var/lib/nut", "run/nut", "etc/pve", "usr/lib/nut", "root"),
    "vm": ("var/lib/nut", "run/nut", "usr/lib/nut", "root"),
}
_PROGRAMS = {
    "vm": (
        "usr/sbin/upsmon",
        "usr/sbin/upssched",
        "usr/bin/upssched-cmd",
        "usr/bin/upsc",
        "usr/sbin/shutdown",
    ),
    "host": ("usr/sbin/upsd", "usr/sbin/upsdrvctl", "usr/lib/nut/upsd", "usr/bin/pveversion"),
}
_PLACEHOLDER = b"#!/bin/sh\n# stands for a program of the practice machine; nothing is run here\n"
_NUT_FOLDERS = {"/etc/nut": 0o755, "/var/lib/nut": 0o770, "/run/nut": 0o770}
_PATIENCE = 5.0


def default_folder() -> str:
    """Where the practice machine lives unless told otherwise (XDG base directory specification)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.expanduser("~/.local/state")
    return f"{state}/nutwizard/practice"


class Store:
    """A JSON object in a file of our own, replaced in one step; what others wrote is seen when it is read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._value: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """The object as the file has it now; empty when there is none. Change it only to write it back."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            self._seen, self._value = None, {}
            return self._value
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        if mark != self._seen:
            with open(self._path, encoding="utf-8") as file:
                value = json.load(file)
            self._seen, self._value = mark, value if isinstance(value, dict) else {}
        return self._value

    def write(self, value: dict[str, Any]) -> None:
        """Replace the file; it is never half written."""
        fd, name = tempfile.mkstemp(prefix=".new-", dir=os.path.dirname(self._path))
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(value, file)
                file.flush()
                os.fsync(fd)
            os.rename(name, self._path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(name)
            raise
        self._seen = None


class SidecarOwners:
    """Owners in a table beside the files, so that no root is needed; names are those of its passwd(5)."""

    def __init__(self, root: str, store: Store) -> None:
        self._root = os.path.realpath(root)
        self._store = store
        self._users, self._groups = _names(f"{root}/etc/passwd"), _names(f"{root}/etc/group")

    def read(self, path: str, found: os.stat_result) -> Owner:
        entry = self._store.read().get(self._key(path))
        if entry is not None:
            return Owner(entry[0], entry[1], int(entry[2], 8))
        if st.S_ISLNK(found.st_mode):
            return Owner("root", "root", 0o777)
        return Owner("root", "root", 0o755 if st.S_ISDIR(found.st_mode) else st.S_IMODE(found.st_mode))

    def give(self, path: str, fd: int, owner: Owner) -> None:
        for name, known in ((owner.user, self._users), (owner.group, self._groups)):
            if name not in known and not name.isdigit():
                raise OSError(errno.EINVAL, f"there is no user or group {name} on this machine")
        self._store.write({**self._store.read(), self._key(path): _entry(owner)})

    def forget(self, path: str) -> None:
        table = dict(self._store.read())
        if table.pop(self._key(path), None) is not None:
            self._store.write(table)

    def move(self, source: str, target: str) -> None:
        old, new = self._key(source), self._key(target)
        table = {key: entry for key, entry in self._store.read().items() if not _within(key, new)}
        moved = {new + key[len(old) :] if _within(key, old) else key: entry for key, entry in table.items()}
        self._store.write(moved)

    def _key(self, path: str) -> str:
        return path[len(self._root) :]


def _names(path: str) -> frozenset[str]:
    with open(path, encoding="utf-8") as file:
        return frozenset(line.partition(":")[0] for line in file)


def _entry(owner: Owner) -> list[str]:
    return [owner.user, owner.group, f"{owner.mode:04o}"]


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def prepare(folder: str, role: Role) -> bool:
    """Make the machine of that role from the shipped files unless it is there; True when it was made now.

    A client's machine brings a host that serves, unless there is a host already. Raises OSError, EEXIST when
    the folder holds something else.
    """
    _claim(folder)
    with _locked(folder):
        if role is Role.CLIENT and not os.path.isdir(f"{folder}/{FOLDERS[Role.HOST]}"):
            _make(folder, Role.HOST, ready=True)
        if os.path.isdir(f"{folder}/{FOLDERS[role]}"):
            return False
        _make(folder, role, ready=False)
        return True


def remove(folder: str) -> None:
    """Remove both machines, and nothing else that may lie in the folder."""
    _claim(folder)
    with _locked(folder):
        for name in FOLDERS.values():
            # The name goes in one step, so that no half of a machine is ever taken for one.
            if os.path.isdir(f"{folder}/{name}"):
                trash = tempfile.mkdtemp(prefix=".old-", dir=folder)
                os.rename(f"{folder}/{name}", f"{trash}/{name}")
                shutil.rmtree(trash)
            for part in ("owners", "units"):
                with suppress(FileNotFoundError):
                    os.unlink(f"{folder}/{name}.{part}.json")


def _claim(folder: str) -> None:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    mark = f"{folder}/{_MARK}"
    if not os.path.exists(mark):
        if os.listdir(folder):
            raise OSError(errno.EEXIST, "the folder for the practice machine holds other files", folder)
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    os.chmod(folder, 0o700)


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    import time

    fd = os.open(f"{folder}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        yield
    finally:
        os.close(fd)


def _make(folder: str, role: Role, *, ready: bool) -> None:
    from importlib.resources import files

    name = FOLDERS[role]
    shipped = files("nutwizard.assets") / "practice"
    scratch = tempfile.mkdtemp(prefix=".new-", dir=folder)
    try:
        _lay_out(scratch, name)
        for layer in ("common", name, *(["ready"] if ready else [])):
            _copy(shipped / layer, scratch)
        for above, folders, _ in os.walk(scratch):
            for inner in (f"{above}/{one}" for one in folders):
                if not os.path.islink(inner):
                    os.chmod(inner, 0o700)
        Store(f"{folder}/{name}.owners.json").write(_owners(scratch))
        Store(f"{folder}/{name}.units.json").write({"ready": True} if ready else {})
        os.rename(scratch, f"{folder}/{name}")
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _lay_out(root: str, name: str) -> None:
    for part in ("etc", "tmp", *_EMPTY[name]):
        os.makedirs(f"{root}/{part}", exist_ok=True)
    programs = [*_PROGRAMS["vm"]]
    if name == "host":
        programs += [*_PROGRAMS["host"], *(f"usr/lib/nut/{driver}" for driver in driver_table())]
    for path in programs:
        os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
        _write(f"{root}/{path}", _PLACEHOLDER)
    for link, target in _LINKS.items():
        os.symlink(target, f"{root}/{link}")


def _copy(source: Traversable, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    for item in source.iterdir():
        if item.is_dir():
            _copy(item, f"{target}/{item.name}")
        else:
            _write(f"{target}/{item.name}", item.read_bytes())


def _write(path: str, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)


def _owners(root: str) -> dict[str, Any]:
    """The owners that Debian 12's packages give."""
    table = {path: _entry(Owner("root", "nut", mode)) for path, mode in _NUT_FOLDERS.items()}
    for above, _, names in os.walk(root):
        for path in (f"{above[len(root) :]}/{name}" for name in names):
            if path.startswith("/etc/nut/"):
                table[path] = _entry(Owner("root", "nut", 0o640))
            elif path.startswith("/usr/"):
                table[path] = _entry(Owner("root", "root", 0o755))
            else:
                table[path] = _entry(Owner("root", "root", 0o644))
    return table


def driver_table() -> dict[str, frozenset[str]]:
    """The practice machine's drivers, and the variables and flags of its own that each takes."""
    from importlib.resources import files

    text = (files("nutwizard.assets") / "practice" / "drivers.txt").read_text(encoding="ascii")
    rows = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: frozenset(words.split()) for name, _, words in rows}
