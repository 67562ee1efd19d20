"""What keeps even root from changing a file: attributes of chattr(1), and file systems mounted read-only."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

#: linux/fs.h: _IOR('f', 1, long), though the kernel writes an int.
_GETFLAGS = 0x80006601 | struct.calcsize("l") << 16
_NAMES = {0x10: "immutable", 0x20: "append-only"}
#: Not every file system has them, and not every file may be opened.
_NONE = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ELOOP, errno.EACCES, errno.ENOENT)


def protections(where: str) -> tuple[str, ...]:
    """What chattr(1) calls them, "immutable" and "append-only", as far as they are set. Raises OSError."""
    try:
        fd = os.open(where, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NONE:
            return ()
        raise
    try:
        answer = fcntl.ioctl(fd, _GETFLAGS, bytes(struct.calcsize("l")))
    except OSError as error:
        if error.errno in _NONE:
            return ()
        raise
    finally:
        os.close(fd)
    (flags,) = struct.unpack("=I", answer[:4])
    return tuple(name for bit, name in _NAMES.items() if flags & bit)


def read_only(where: str) -> str:
    """The folder at which the file system of `where` is mounted read-only; "" when it may be written to."""
    found = ""
    while os.statvfs(where).f_flag & os.ST_RDONLY:
        found = where
        if where == "/":
            break
        where = os.path.dirname(where)
    return found
