"""Who else is logged in on this machine: as logind says, else as utmp has it (utmp(5))."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress

from nutwizard.core.fsd.ready import Person
from nutwizard.engine.host import Host
from nutwizard.formats.safe import safe_text

LOGINCTL, UTMP = "/usr/bin/loginctl", "/run/utmp"
LIMIT = 3.0
#: The kernel's number of this login session, which logind takes for its own.
_SESSION = "/proc/self/sessionid"
#: glibc's struct utmp: type, process, line, id, user, host, and what is not needed.
_ENTRY = struct.Struct("=hxxi32s4s32s256s52x")
_USER_PROCESS = 7
_MOST, _LONGEST = 50, 60


def people(host: Host, terminal: str = "") -> tuple[Person, ...] | None:
    """Everybody but this session, whose terminal is `terminal`; None where nothing tells."""
    found = _by_logind(host, terminal)
    return found if found is not None else _by_utmp(host, terminal)


def own_terminal() -> str:
    """The terminal of this process, as logind and utmp name it; "" without one."""
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            return os.ttyname(descriptor).removeprefix("/dev/")
    return ""


def _by_logind(host: Host, terminal: str) -> tuple[Person, ...] | None:
    if host.stat(LOGINCTL) is None:
        return None
    listed = host.run([LOGINCTL, "--no-legend", "--no-pager", "list-sessions"], timeout=LIMIT)
    if listed.code != 0:
        return None
    ids = [line.split()[0] for line in listed.out.splitlines() if line.strip()][:_MOST]
    if not ids:
        return ()
    wanted = [word for name in ("Id", "Name", "TTY", "RemoteHost", "Class", "State") for word in ("-p", name)]
    shown = host.run([LOGINCTL, "--no-pager", "show-session", *wanted, *ids], timeout=LIMIT)
    if shown.code != 0:
        return None
    return tuple(_logged_in(shown.out, terminal, _own_session(host)))


def _logged_in(text: str, terminal: str, own: str) -> Iterator[Person]:
    for block in text.split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        mine = values.get("Id", "") == own or (terminal and values.get("TTY", "") == terminal)
        if values.get("Class") == "user" and values.get("State") != "closing" and not mine:
            yield _person(values.get("Name", ""), values.get("TTY", ""), values.get("RemoteHost", ""))


def _own_session(host: Host) -> str:
    try:
        return host.read(_SESSION).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _by_utmp(host: Host, terminal: str) -> tuple[Person, ...] | None:
    try:
        data = host.read(UTMP)
    except OSError:
        return None
    found = []
    for entry in _ENTRY.iter_unpack(data[: len(data) // _ENTRY.size * _ENTRY.size]):
        kind, _, line, _, user, origin = entry
        name, where, here = (_word(each) for each in (user, origin, line))
        if kind == _USER_PROCESS and name and here != terminal:
            found.append(_person(name, here, where))
    return tuple(found[:_MOST])


def _word(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "replace")


def _person(name: str, terminal: str, origin: str) -> Person:
    return Person(*(safe_text(each[:_LONGEST]) for each in (name, terminal, origin)))
