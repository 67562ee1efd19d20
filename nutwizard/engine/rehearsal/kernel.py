"""The calls of Linux that a stage needs and Python 3.11 does not have: namespaces, mounts, capabilities."""

from __future__ import annotations

import ctypes
import os
import struct

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
_MNT_DETACH = 2
NEW_MOUNTS, NEW_NAME, NEW_IPC = 0x20000, 0x4000000, 0x8000000
NEW_PIDS, NEW_NETWORK = 0x20000000, 0x40000000
_NEW_USER, _MS_MOVE = 0x10000000, 8192
#: mount_setattr(2), of Linux 5.12; its number is the same everywhere.
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID = 1, 2
_PR_CAPBSET_DROP, _PR_SET_PDEATHSIG = 24, 1
#: What NUT's daemons and an ordinary script of root's need (capability(7)): chown, dac_override, fowner,
#: kill, setgid, setuid, net_bind_service. Not: mounts, modules, raw devices, the clock, reboot(2), mknod(2).
KEPT = frozenset({0, 1, 3, 5, 6, 7, 10})
_MOST_CAPABILITIES = 64

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Move into new namespaces. Raises OSError."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Raises OSError with the target in its text."""
    words = [os.fsencode(word) if word else None for word in (source, target, kind)]
    data = os.fsencode(options) if options else None
    _checked(
        _libc.mount(*words, ctypes.c_ulong(flags), data), f"mount {kind or source or 'flags'} on {target}"
    )


def bind(source: str, target: str, *, read_only: bool = False) -> None:
    """Show a file or folder at another place too. Raises OSError."""
    mount(source, target, flags=MS_BIND)
    if not read_only:
        return
    try:
        mount("", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)
    except OSError:
        unmount(target)
        raise


def move(source: str, target: str) -> None:
    """Have a mount at another place. Raises OSError."""
    mount(source, target, flags=_MS_MOVE)


def make_read_only(path: str) -> None:
    """Every mount from there down can only be read from now on, and gives nobody rights. Raises OSError."""
    attributes = struct.pack("4Q", _ATTR_RDONLY | _ATTR_NOSUID, 0, 0, 0)
    call = (ctypes.c_long(_MOUNT_SETATTR), ctypes.c_int(_AT_FDCWD), os.fsencode(path))
    size = ctypes.c_size_t(len(attributes))
    _checked(_libc.syscall(*call, ctypes.c_uint(_AT_RECURSIVE), attributes, size), f"mount_setattr on {path}")


def become(user: int, group: int) -> None:
    """Be this user in a user namespace of its own, where no other is: without rights over what is outside.

    Called in a process that is the one user of a user namespace itself. Raises OSError.
    """
    uid, gid = os.geteuid(), os.getegid()
    unshare(_NEW_USER)
    for name, text in (
        *(("setgroups", "deny"), ("uid_map", f"{user} {uid} 1\n"), ("gid_map", f"{group} {gid} 1\n")),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
            stream.write(text)


def unmount(target: str) -> None:
    """Take a mount away, now or when its last user ends. Raises OSError."""
    _checked(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


def enter_root(root: str, old: str) -> None:
    """Make `root`, a mount, the file system's root; the old one is gone. `old`: an empty folder in it.

    Raises OSError.
    """
    os.chdir(root)
    _checked(_libc.pivot_root(b".", os.fsencode(old)), "pivot_root")
    os.chdir("/")
    unmount(f"/{old}")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; survives exec, not a change of user."""
    _libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)


def drop_capabilities() -> None:
    """What this process executes from now on has no more than KEPT, root or not."""
    for number in range(_MOST_CAPABILITIES):
        if number not in KEPT:
            _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)


def _checked(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
