"""A small /etc/pve: a FUSE file system with pmxcfs's rules, spoken over /dev/fuse without a library.

The rules are those that the real pmxcfs was seen to have. What it has no handler for is answered with ENOSYS,
as libfuse does: the kernel makes of that success for fsync, ENOTSUP for extended attributes and O_TMPFILE.

    chmod 0640 ok, any other mode EPERM          chown to root:www-data ok, any other EPERM
    symlink ENOSYS, link EPERM                   more than 1 MiB EFBIG
    create, write, rename over, utime ok         fsync ok, and does nothing
    no quorum: modes 0440 and 0555, EACCES       its process ended: every call ENOTCONN
    `local` is a link to nodes/NODE              a folder in priv/lock is a lock: utime(0, 0) asks about it,
                                                 and once 120 s after the first time it is gone
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

WWW_DATA = 33
NODE = "pve1"
LARGEST = 1 << 20
_MNT_DETACH = 2
_IN, _OUT = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
_BUFFER = LARGEST + 4096
#: linux/fuse.h: bits of a setattr request.
_MODE, _UID, _GID, _SIZE, _MTIME = 1, 2, 4, 8, 32
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Node:
    """A file, a folder when it has entries, or a link. `asked`: when somebody first asked about this lock."""

    number: int
    data: bytearray = field(default_factory=bytearray)
    entries: dict[str, Node] | None = None
    leads_to: str = ""
    asked: float | None = None


class Refused(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Pmxcfs:
    """Mounted at `folder` until `close`. `quorum` may be taken away; `calls` counts requests by name.

    `lock_lives`: seconds of `clock` that a lock stays after somebody has asked about it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.quorum = folder, True
        self.lock_lives, self.clock = 120.0, time.monotonic
        self.calls: dict[str, int] = {}
        self._root = Node(1, entries={})
        self._nodes = {0: self._root, 1: self._root}  # 0: requests that are about no file
        self._new(self._new(self._root, "nodes", folder=True), NODE, folder=True)
        self._new(self._root, "priv", folder=True)
        self._new(self._root, "local").leads_to = f"nodes/{NODE}"
        self._fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._fd},rootmode=40755,user_id=0,group_id=0,default_permissions,allow_other"
        if _libc.mount(b"pve", bytes(folder), b"fuse", 0, options.encode()):
            code = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(code, os.strerror(code), str(folder))
        self._stop = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def disconnect(self) -> None:
        """As when the daemon is killed: the mount stays, every call ends with ENOTCONN."""
        os.write(self._stop[1], b"x")
        self._thread.join(5)

    def close(self) -> None:
        if self._thread.is_alive():
            self.disconnect()
        for end in self._stop:
            os.close(end)
        if _libc.umount2(bytes(self.folder), _MNT_DETACH):
            raise OSError(ctypes.get_errno(), "umount", str(self.folder))

    def _serve(self) -> None:
        try:
            while True:
                ready, _, _ = select.select([self._fd, self._stop[0]], [], [])
                if self._stop[0] in ready:
                    return
                with suppress(FileNotFoundError):  # a request that was interrupted
                    self._answer(os.read(self._fd, _BUFFER))
        except OSError as error:
            if error.errno != errno.ENODEV:  # unmounted
                raise
        finally:
            os.close(self._fd)

    def _answer(self, request: bytes) -> None:
        _, code, unique, number, *_ = _IN.unpack_from(request)
        name = _NAMES.get(code, str(code))
        self.calls[name] = self.calls.get(name, 0) + 1
        if name in ("forget", "batch_forget", "interrupt"):
            return
        handler: Callable[[Node, bytes], bytes] | None = getattr(self, f"_do_{name}", None)
        error, answer = errno.ENOSYS, b""
        if handler is not None:
            try:
                error, answer = 0, handler(self._nodes[number], request[_IN.size :])
            except Refused as refused:
                error = refused.number
        with suppress(FileNotFoundError):
            os.write(self._fd, _OUT.pack(_OUT.size + len(answer), -error, unique) + answer)

    def _do_init(self, node: Node, body: bytes) -> bytes:
        # Version 7.31: no feature asked for, writes of up to 128 KiB.
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, 65536, 0, 12, 9, 131072, 1, 32, 0, 0)

    def _do_lookup(self, node: Node, body: bytes) -> bytes:
        return self._entry(self._child(node, _text(body)))

    def _do_getattr(self, node: Node, body: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self._attributes(node)

    def _do_setattr(self, node: Node, body: bytes) -> bytes:
        valid, size = struct.unpack_from("<I12xQ", body)
        mode, uid, gid = struct.unpack_from("<I4xII", body, 68)
        if valid & _MODE and stat.S_IMODE(mode) != 0o640:
            raise Refused(errno.EPERM)
        if (valid & _UID and uid != 0) or (valid & _GID and gid != WWW_DATA):
            raise Refused(errno.EPERM)
        self._may_write()
        if valid & _MTIME and struct.unpack_from("<40xQ", body)[0] == 0:
            self._asked(node)
        if valid & _SIZE:
            _limit(size)
            node.data[size:] = b"" if size <= len(node.data) else bytes(size - len(node.data))
        return self._do_getattr(node, b"")

    def _asked(self, node: Node) -> None:
        """Whether a lock is dead: then it is gone."""
        locks = self._locks()
        for name, lock in list(locks.items()):
            if lock is node and node.asked is None:
                node.asked = self.clock()
            elif lock is node and node.asked is not None and self.clock() - node.asked > self.lock_lives:
                del locks[name]

    def _locks(self) -> dict[str, Node]:
        entries = self._root.entries or {}
        for name in ("priv", "lock"):
            entries = (entries[name].entries if name in entries else None) or {}
        return entries

    def _do_readlink(self, node: Node, body: bytes) -> bytes:
        return node.leads_to.encode()

    def _do_mkdir(self, node: Node, body: bytes) -> bytes:
        return self._entry(self._new(node, _text(body[8:]), folder=True))

    def _do_create(self, node: Node, body: bytes) -> bytes:
        return self._entry(self._new(node, _text(body[16:]))) + bytes(16)

    def _do_unlink(self, node: Node, body: bytes) -> bytes:
        self._may_write()
        if self._child(node, _text(body)).entries:
            raise Refused(errno.ENOTEMPTY)
        assert node.entries is not None
        del node.entries[_text(body)]
        return b""

    _do_rmdir = _do_unlink

    def _do_rename(self, node: Node, body: bytes) -> bytes:
        self._may_write()
        other = self._nodes[struct.unpack_from("<Q", body)[0]]
        old, new, _ = (part.decode() for part in body[8:].split(b"\0"))
        assert node.entries is not None
        assert other.entries is not None
        self._child(node, old)
        other.entries[new] = node.entries.pop(old)
        return b""

    def _do_link(self, node: Node, body: bytes) -> bytes:
        raise Refused(errno.EPERM)

    def _do_open(self, node: Node, body: bytes) -> bytes:
        if struct.unpack_from("<I", body)[0] & os.O_ACCMODE:
            self._may_write()
        return bytes(16)

    def _do_read(self, node: Node, body: bytes) -> bytes:
        offset, size = struct.unpack_from("<8xQI", body)
        return bytes(node.data[offset : offset + size])

    def _do_write(self, node: Node, body: bytes) -> bytes:
        self._may_write()
        offset, size = struct.unpack_from("<8xQI", body)
        _limit(offset + size)
        node.data[offset : offset + size] = body[40 : 40 + size]
        return struct.pack("<II", size, 0)

    def _do_opendir(self, node: Node, body: bytes) -> bytes:
        return bytes(16)

    def _do_readdir(self, node: Node, body: bytes) -> bytes:
        offset, size = struct.unpack_from("<8xQI", body)
        out = b""
        for index, (name, child) in enumerate([*(node.entries or {}).items()][offset:], offset + 1):
            kind = 10 if child.leads_to else 8 if child.entries is None else 4
            row = struct.pack("<QQII", child.number, index, len(name.encode()), kind) + name.encode()
            row += bytes(-len(row) % 8)
            if len(out) + len(row) > size:
                break
            out += row
        return out

    def _do_statfs(self, node: Node, body: bytes) -> bytes:
        return struct.pack("<QQQQQIII28x", 32768, 32700, 32700, 262144, 262000, 4096, 256, 4096)

    def _do_flush(self, node: Node, body: bytes) -> bytes:
        return b""

    _do_release = _do_releasedir = _do_flush

    def _may_write(self) -> None:
        if not self.quorum:
            raise Refused(errno.EACCES)

    def _child(self, node: Node, name: str) -> Node:
        child = (node.entries or {}).get(name)
        if child is None:
            raise Refused(errno.ENOENT)
        return child

    def _new(self, node: Node, name: str, *, folder: bool = False) -> Node:
        self._may_write()
        assert node.entries is not None
        if name in node.entries:
            raise Refused(errno.EEXIST)
        child = Node(max(self._nodes) + 1, entries={} if folder else None)
        self._nodes[child.number] = node.entries[name] = child
        return child

    def _entry(self, node: Node) -> bytes:
        return struct.pack("<QQQQII", node.number, 0, 0, 0, 0, 0) + self._attributes(node)

    def _attributes(self, node: Node) -> bytes:
        mode = stat.S_IFREG | 0o640 if node.entries is None else stat.S_IFDIR | 0o755
        if node.leads_to:
            mode = stat.S_IFLNK | 0o777
        links = 1 if node.entries is None else 2
        mode &= ~0 if self.quorum else ~0o222
        size = len(node.data)
        numbers = (mode, links, 0, WWW_DATA, 0, 4096, 0)
        return struct.pack("<6Q10I", node.number, size, -(-size // 512), 0, 0, 0, 0, 0, 0, *numbers)


def _text(body: bytes) -> str:
    return body.split(b"\0")[0].decode()


def _limit(size: int) -> None:
    if size > LARGEST:
        raise Refused(errno.EFBIG)


#: linux/fuse.h: the requests by number.
_NAMES = {
    int(number): name
    for name, number in (
        word.split("=")
        for word in "lookup=1 forget=2 getattr=3 setattr=4 readlink=5 symlink=6 mkdir=9 unlink=10 rmdir=11"
        " rename=12 link=13 open=14 read=15 write=16 statfs=17 release=18 fsync=20 setxattr=21 getxattr=22"
        " listxattr=23 flush=25 init=26 opendir=27 readdir=28 releasedir=29 fsyncdir=30 create=35"
        " interrupt=36 batch_forget=42 tmpfile=51".split()
    )
}


@contextmanager
def mounted(folder: Path) -> Iterator[Pmxcfs]:
    """A fresh one at `folder`; nothing is left of it afterwards. Raises OSError where FUSE is not allowed."""
    files = Pmxcfs(folder)
    try:
        yield files
    finally:
        files.close()
