"""Extended attributes of a managed file (xattr(7)): user.*, security.* and the POSIX access list.

They belong to the file and not to its contents, so a replaced file hands them on. `security.ima` and
`security.evm` are digests that the kernel makes of the contents: handing those on would lock the file.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import struct
from collections.abc import Mapping

ACL = "system.posix_acl_access"
_OURS = ("user.", "security.")
_OF_CONTENTS = ("security.ima", "security.evm")
#: A file system without such attributes is no error.
_UNKNOWN = (errno.ENOTSUP, errno.ENOSYS)

#: acl(5) as the kernel keeps it: a version, then entries of tag, permissions and id.
_HEAD, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_USER_OBJ, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x04, 0x10, 0x20

Attributes = Mapping[str, bytes]


def read(fd: int) -> dict[str, bytes]:
    """Those that are handed on; empty where the file system has none. Raises OSError."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno in _UNKNOWN:
            return {}
        raise
    found = {}
    for name in names:
        if name == ACL or (name.startswith(_OURS) and name not in _OF_CONTENTS):
            try:
                found[name] = os.getxattr(fd, name)
            except OSError as error:  # gone meanwhile, or not for our eyes
                if error.errno not in (errno.ENODATA, errno.EPERM, errno.EACCES):
                    raise
    return found


def write(fd: int, wanted: Attributes) -> bool:
    """Make the file have exactly these, whatever its folder has handed down; whether anything had to change.

    Raises OSError.
    """
    found = read(fd)
    for name in found.keys() - wanted.keys():
        os.removexattr(fd, name)
    changed = {name: value for name, value in wanted.items() if found.get(name) != value}
    for name, value in changed.items():
        os.setxattr(fd, name, value)
    return bool(changed or found.keys() - wanted.keys())


def for_mode(wanted: Attributes, mode: int) -> Attributes:
    """The same with an access list that agrees with the permission bits, as chmod(2) would make it."""
    if ACL not in wanted or (len(wanted[ACL]) - _HEAD.size) % _ENTRY.size:
        return wanted
    entries = list(_ENTRY.iter_unpack(wanted[ACL][_HEAD.size :]))
    group = _MASK if any(tag == _MASK for tag, _, _ in entries) else _GROUP_OBJ
    bits = {_USER_OBJ: mode >> 6 & 7, group: mode >> 3 & 7, _OTHER: mode & 7}
    rows = (_ENTRY.pack(tag, bits.get(tag, old), who) for tag, old, who in entries)
    return {**wanted, ACL: wanted[ACL][: _HEAD.size] + b"".join(rows)}


def to_json(kept: Attributes) -> bytes:
    """As they are kept beside the contents."""
    return json.dumps({name: base64.b64encode(value).decode() for name, value in kept.items()}).encode()


def from_json(data: bytes) -> dict[str, bytes]:
    """Raises ValueError for what is damaged."""
    value = json.loads(data)
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("no table of attributes")
    return {name: base64.b64decode(each, validate=True) for name, each in value.items()}
