"""MONITOR lines of upsmon.conf as NUT reads them, and the guide's block around a new one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from nutwizard.core.events import GUIDE_MESSAGES
from nutwizard.core.server import LOOPBACK, is_primary
from nutwizard.core.site import split_system
from nutwizard.formats.nutfile import Entry, NutFile
from nutwizard.formats.words import encode_words

#: The guide's SHUTDOWNCMD: it leaves a line in the log before the machine goes down.
SHUTDOWNCMD = (
    'logger -t upsmon.conf "SHUTDOWNCMD calling /sbin/shutdown to shut down system" ; /sbin/shutdown -h +0'
)
RBWARNTIME = 7200
#: Where upssched lies with a merged /usr.
UPSSCHED = "/usr/sbin/upssched"


@dataclass(frozen=True)
class Monitor:
    """One MONITOR line: `system` word taken apart, power value, user, password, type word, and its entry."""

    system: str
    ups: str
    server: str
    port: int
    user: str
    password: str = field(repr=False)
    word: str
    entry: Entry = field(repr=False)

    @property
    def local(self) -> bool:
        return self.server.lower() in LOOPBACK or self.server.startswith("127.")


def monitors(document: NutFile) -> list[Monitor]:
    """The MONITOR lines that upsmon takes: five words after the name, a port in range."""
    found = []
    for entry in document.monitors():
        if len(entry.args) < 5:
            continue
        system, _, user, password, word = entry.args[:5]
        try:
            ups, server, port = split_system(system)
        except ValueError:
            continue
        found.append(Monitor(system, ups, server, port, user, password, word, entry))
    return found


def local_primary(found: Iterable[Monitor], version: tuple[int, ...]) -> Monitor | None:
    """The line with which this machine watches its own upsd: primary before others."""
    own = [monitor for monitor in found if monitor.local]
    return next((m for m in own if is_primary(m.word, version)), own[0] if own else None)


def append_block(document: NutFile, monitor: tuple[str, ...], upssched: str) -> None:
    """The guide's customized block; the stock lines that it replaces become comments in their place."""
    for name in ("RBWARNTIME", "SHUTDOWNCMD"):
        for entry in document.entries(name):
            document.comment_out(entry)
    lines = [
        "",
        "# --------------------------------------------------------------------------",
        "# Customized settings",
        "",
        encode_words(monitor),
        encode_words(("SHUTDOWNCMD", SHUTDOWNCMD)),
        encode_words(("NOTIFYCMD", upssched or UPSSCHED)),
        "",
        *(f'NOTIFYMSG {event} "{text}"' for event, text in GUIDE_MESSAGES.items()),
        "",
        *(f"NOTIFYFLAG {event} SYSLOG" for event in GUIDE_MESSAGES),
        "",
        "# 2 hours",
        f"RBWARNTIME {RBWARNTIME}",
    ]
    document.append_text("".join(f"{line}\n" for line in lines))
