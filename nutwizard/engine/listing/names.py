"""The paths that NUT's configuration names: pipe, lock, flag, programs. Nothing else of a file is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from nutwizard.core import paths
from nutwizard.engine.filefacts import LARGEST_CONFIG
from nutwizard.engine.host import Host
from nutwizard.engine.listing.rows import Group, Look, Need, PathKind
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile
from nutwizard.formats.shellwords import ShellReader

T = TypeVar("T")

#: Section and driver names that may stand in a path.
NAME = re.compile(r"[\w.:+-]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
PIPE, LOCK = f"{paths.RUN_NUT}/upssched.pipe", f"{paths.RUN_NUT}/upssched.lock"


@dataclass(frozen=True, slots=True)
class Setting:
    """A path that a directive names. `note` says why it is only the usual one; "" when it is in force."""

    path: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """A path in a command. `program`: it is what runs; else an argument, told only where it exists."""

    path: str
    program: bool


@dataclass(frozen=True, slots=True)
class Named:
    """What the files in force name. `ups`: (section, driver) of ups.conf.

    `tagged`: SHUTDOWNCMD logs as the guide's does. `folder`: upsd's STATEPATH, where the drivers' sockets
    are. `unread`: files that are there and could not be read, as (path, reason).
    """

    pipe: Setting
    lock: Setting
    flag: Setting
    script: tuple[Used, ...]
    notify: tuple[Used, ...]
    shutdown: tuple[Used, ...]
    tagged: bool
    ups: tuple[tuple[str, str], ...]
    folder: str
    certificates: tuple[tuple[str, str], ...]
    unread: tuple[tuple[str, str], ...]


class _Reader:
    """Reads the files; one that is missing, or may not be read, is an empty one."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.unread: dict[str, str] = {}

    def parsed(self, path: str, parse: Callable[[bytes], T]) -> T:
        data = b""
        try:
            if self._host.stat(path) is not None:
                data = self._host.read(path, LARGEST_CONFIG)
        except OSError as error:
            self.unread[path] = (
                "this user may not read it" if isinstance(error, PermissionError) else error.strerror
            ) or "it cannot be read"
        return parse(data)

    def setting(self, found: str, path: str, name: str, usual: str) -> Setting:
        file = path.rpartition("/")[2]
        if path in self.unread:
            return Setting(usual, f"the usual name: {file} could not be read")
        if not found:
            return Setting(usual, f"the usual name: {file} has no {name}")
        if not found.startswith("/"):
            return Setting(usual, f"the usual name: what {file} gives as {name} is no absolute path")
        return Setting(found)


def named(host: Host) -> Named:
    """What the configuration of this machine names. Never fails; passwords and texts are not kept."""
    reader = _Reader(host)
    upsmon = reader.parsed(paths.UPSMON_CONF, NutFile.parse)
    upssched = reader.parsed(paths.UPSSCHED_CONF, NutFile.parse)
    upsd = reader.parsed(paths.UPSD_CONF, NutFile.parse)
    ups = reader.parsed(paths.UPS_CONF, SectionFile.parse)
    shutdown = _value(upsmon, "SHUTDOWNCMD")
    state = _value(upsd, "STATEPATH")
    return Named(
        pipe=reader.setting(_head(upssched, "PIPEFN"), paths.UPSSCHED_CONF, "PIPEFN", PIPE),
        lock=reader.setting(_head(upssched, "LOCKFN"), paths.UPSSCHED_CONF, "LOCKFN", LOCK),
        flag=reader.setting(
            _value(upsmon, "POWERDOWNFLAG"), paths.UPSMON_CONF, "POWERDOWNFLAG", paths.KILLPOWER
        ),
        script=used(_head(upssched, "CMDSCRIPT")),
        notify=used(_value(upsmon, "NOTIFYCMD")),
        shutdown=used(shutdown),
        tagged="logger -t upsmon.conf " in shutdown,
        ups=tuple((name, ups.get(name, "driver") or "") for name in ups.names()),
        folder=state if state.startswith("/") else paths.RUN_NUT,
        certificates=tuple(
            (value, f"{name} of {file}")
            for document, file in ((upsd, "upsd.conf"), (upsmon, "upsmon.conf"))
            for name in ("CERTFILE", "CERTPATH")
            if (value := _value(document, name)).startswith("/")
        ),
        unread=tuple(reader.unread.items()),
    )


def _value(document: NutFile, name: str) -> str:
    entry = document.get(name)
    return entry.args[0] if entry else ""


def _head(document: NutFile, name: str) -> str:
    """The value in force in upssched.conf: what stands below the first AT comes too late (measured)."""
    events = document.entries("AT")
    found = [e.args[0] for e in document.entries(name) if e.args and (not events or e.line < events[0].line)]
    return found[-1] if found else ""


def used(command: str) -> tuple[Used, ...]:
    """The absolute paths in a shell command; what it redirects to counts as an argument.

    Other words are dropped: they may hold a password.
    """
    found: dict[str, Used] = {}
    for part in ShellReader(command).commands:
        redirected = command[: part.start].rstrip().endswith((">", "<"))
        first = next((word for word in part.words if not _ASSIGNMENT.match(word.value)), None)
        for word in part.words:
            if word.value.startswith("/") and not word.computed:
                program = word is first and not redirected
                if program or word.value not in found:
                    found[word.value] = Used(word.value, program)
    return tuple(found.values())


def used_rows(look: Look, group: Group, commands: Iterable[Used], purpose: str, need: Need) -> None:
    """Rows for the programs of a command, and for its arguments as far as such files exist."""
    for use in commands:
        if use.program:
            look.add(group, PathKind.FILE, use.path, purpose, need, copies=True)
        elif look.exists(use.path):
            look.add(group, look.kind(use.path), use.path, f"an argument in {purpose}", copies=True)
