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
from typing import Any

from nutwizard.core.facts import Owner, Role
from nutwizard.core.paths import PVE
from nutwizard.core.units import SERVER
from nutwizard.engine.practice.shipped import entry_of, lay_out, lay_out_pve, owners_of

#: Folder of a role's machine.
FOLDERS = {Role.HOST: "host", Role.CLIENT: "vm"}
_MARK = "practice-machine"
_LOCK = ".lock"
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
    """Owners in a table beside the files, so that no root is needed; names are those of its passwd(5).

    Below /etc/pve each is what pmxcfs gives, and none is ever another.
    """

    def __init__(self, root: str, store: Store) -> None:
        self._root = os.path.realpath(root)
        self._store = store
        self._users, self._groups = _names(f"{root}/etc/passwd"), _names(f"{root}/etc/group")

    def read(self, path: str, found: os.stat_result) -> Owner:
        key = self._key(path)
        if _within(key, PVE):
            return _pve_owner(key, found)
        entry = self._store.read().get(key)
        if entry is not None:
            return Owner(entry[0], entry[1], int(entry[2], 8))
        if st.S_ISLNK(found.st_mode):
            return Owner("root", "root", 0o777)
        return Owner("root", "root", 0o755 if st.S_ISDIR(found.st_mode) else st.S_IMODE(found.st_mode))

    def give(self, path: str, fd: int, owner: Owner) -> None:
        for name, known in ((owner.user, self._users), (owner.group, self._groups)):
            if name not in known and not name.isdigit():
                raise OSError(errno.EINVAL, f"there is no user or group {name} on this machine")
        if not _within(key := self._key(path), PVE):
            self._store.write({**self._store.read(), key: entry_of(owner)})

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


def _pve_owner(path: str, found: os.stat_result) -> Owner:
    mode = 0o755 if st.S_ISDIR(found.st_mode) or st.S_ISLNK(found.st_mode) else 0o640
    return Owner("root", "www-data", mode & 0o700 if _within(path, f"{PVE}/priv") else mode)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def prepare(folder: str, role: Role) -> bool:
    """Make the machine of that role from the shipped files unless it is there; True when it was made now.

    A client's machine brings a host that serves and lets it in, unless there is a host already. A host of an
    older version is brought up to date. Raises OSError, EEXIST when the folder holds something else.
    """
    _claim(folder)
    host = FOLDERS[Role.HOST]
    with _locked(folder):
        if os.path.isdir(f"{folder}/{host}"):
            _bring_up_to_date(folder, host)
        elif role is Role.CLIENT:
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
    name = FOLDERS[role]
    scratch = tempfile.mkdtemp(prefix=".new-", dir=folder)
    try:
        lay_out(scratch, name, ready=ready)
        Store(f"{folder}/{name}.owners.json").write(owners_of(scratch))
        Store(f"{folder}/{name}.units.json").write({"ready": True} if ready else {})
        os.rename(scratch, f"{folder}/{name}")
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _bring_up_to_date(folder: str, name: str) -> None:
    """Give a host that an older version has made its /etc/pve, unless something lies there.

    One that serves goes on letting its VM in, as it did before there was a firewall.
    """
    place = f"{folder}/{name}{PVE}"
    if os.path.isdir(place) and os.listdir(place):
        return
    table = Store(f"{folder}/{name}.units.json").read()
    serves = table.get("units", {}).get(SERVER, {}).get("active") == "active"
    scratch = tempfile.mkdtemp(prefix=".new-", dir=folder)
    try:
        lay_out_pve(scratch, lets_in=serves or bool(table.get("ready")))
        os.rename(scratch, place)  # an empty folder may be replaced
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
