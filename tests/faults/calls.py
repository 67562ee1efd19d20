"""The system calls that change a disk: their numbers, and which path a call touches."""

from __future__ import annotations

import ctypes
import os

FD, PATH, AT, PATHS, AT2, NONE = range(6)
#: Name -> what its arguments are (for the path that is touched), number on x86_64 and aarch64 (-1: none).
CALLS: dict[str, tuple[int, int, int]] = {
    "write": (FD, 1, 64),
    "pwrite64": (FD, 18, 68),
    "writev": (FD, 20, 66),
    "pwritev": (FD, 296, 70),
    "pwritev2": (FD, 328, 287),
    "sendfile": (FD, 40, 71),
    "copy_file_range": (NONE, 326, 285),
    "fallocate": (FD, 285, 47),
    "ftruncate": (FD, 77, 46),
    "truncate": (PATH, 76, 45),
    "fsync": (FD, 74, 82),
    "fdatasync": (FD, 75, 83),
    "syncfs": (FD, 306, 267),
    "sync": (NONE, 162, 81),
    "flock": (FD, 73, 32),
    "open": (PATH, 2, -1),
    "openat": (AT, 257, 56),
    "openat2": (AT, 437, 437),
    "creat": (PATH, 85, -1),
    "mknod": (PATH, 133, -1),
    "mknodat": (AT, 259, 33),
    "mkdir": (PATH, 83, -1),
    "mkdirat": (AT, 258, 34),
    "rmdir": (PATH, 84, -1),
    "unlink": (PATH, 87, -1),
    "unlinkat": (AT, 263, 35),
    "rename": (PATHS, 82, -1),
    "renameat": (AT2, 264, 38),
    "renameat2": (AT2, 316, 276),
    "link": (PATHS, 86, -1),
    "linkat": (AT2, 265, 37),
    "symlink": (PATHS, 88, -1),
    "symlinkat": (NONE, 266, 36),
    "chmod": (PATH, 90, -1),
    "fchmod": (FD, 91, 52),
    "fchmodat": (AT, 268, 53),
    "fchmodat2": (AT, 452, 452),
    "chown": (PATH, 92, -1),
    "lchown": (PATH, 94, -1),
    "fchown": (FD, 93, 55),
    "fchownat": (AT, 260, 54),
    "utimensat": (AT, 280, 88),
    "setxattr": (PATH, 188, 5),
    "lsetxattr": (PATH, 189, 6),
    "fsetxattr": (FD, 190, 7),
    "removexattr": (PATH, 197, 14),
    "lremovexattr": (PATH, 198, 15),
    "fremovexattr": (FD, 199, 16),
}
#: Column above, AUDIT_ARCH of linux/audit.h, number of seccomp(2).
MACHINES = {
    "x86_64": (0, 0xC000003E, 317),
    "aarch64": (1, 0xC00000B7, 277),
}
#: Where the flags of open stand: these calls change the disk only with O_CREAT or O_TRUNC.
FLAGS = {"open": 1, "openat": 2}
_AT_FDCWD = -100


def touched(pid: int, kind: int, args: list[int]) -> str | None:
    """The path that a call touches (of two: the new one); None where it cannot be told."""
    if kind == NONE:
        return None
    if kind == FD:
        return _link(f"/proc/{pid}/fd/{_signed(args[0])}")
    folder, pointer = {
        PATH: (_AT_FDCWD, args[0]),
        PATHS: (_AT_FDCWD, args[1]),
        AT: (_signed(args[0]), args[1]),
        AT2: (_signed(args[2]), args[3]),
    }[kind]
    text = os.fsdecode(_string(pid, pointer))
    base = _link(f"/proc/{pid}/cwd" if folder == _AT_FDCWD else f"/proc/{pid}/fd/{folder}") or ""
    return os.path.normpath(os.path.join(base, text))


def _signed(value: int) -> int:
    return ctypes.c_int(value & 0xFFFFFFFF).value


def _link(path: str) -> str | None:
    try:
        return os.readlink(path).removesuffix(" (deleted)")
    except OSError:
        return None


def _string(pid: int, address: int) -> bytes:
    """A C string of at most PATH_MAX bytes in another process."""
    found = b""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        while b"\0" not in found and len(found) < 4096:
            memory.seek(address + len(found))
            part = memory.read(256 - (address + len(found)) % 256)
            if not part:
                break
            found += part
    return found.split(b"\0")[0]
