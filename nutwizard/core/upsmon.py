"""MONITOR lines of upsmon.conf as NUT reads them, and the guide's block around a new one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
#: Debian's active lines that the guide's block replaces (2.7.4 to 2.8.1). Another value is the user's own.
STOCK = {"RBWARNTIME": ("43200",), "SHUTDOWNCMD": ("/sbin/shutdown -h +0",)}
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


def beside(document: NutFile, system: str) -> list[str]:
    """What to know about the UPSes that this machine watches beside that of `system`, a sentence for each.

    upsmon shuts down when the power values of the UPSes that are not critical add up to less than
    MINSUPPLIES (upsmon.conf(5)).
    """
    others = {m.system: _number(m.entry.args[1]) for m in monitors(document) if m.system != system}
    minimum = document.get("MINSUPPLIES")
    least = _number(minimum.args[0]) if minimum is not None else 1
    enough = sum(others.values()) >= least
    alone = f"{system} alone does not shut this machine down" if enough else f"{system} alone shuts it down"
    return [
        f"upsmon.conf also watches {other} (power value {value}), and this machine shuts down when less than"
        f" {least} is left (MINSUPPLIES): {alone}"
        for other, value in others.items()
    ]


def _number(word: str) -> int:
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else 0


def notify_messages(document: NutFile) -> dict[str, str]:
    """NOTIFYMSG by event type."""
    lines = (entry.args for entry in document.entries("NOTIFYMSG"))
    return {args[0].upper(): args[1] for args in lines if len(args) > 1}


def own_line(document: NutFile, name: str) -> Entry | None:
    """The line that counts for one of STOCK, where its value is not Debian's.

    One whose quote is never closed has swallowed the lines behind it: that is nobody's value.
    """
    entry = document.get(name)
    if entry is None or entry.args == STOCK[name]:
        return None
    line = entry.node.line
    return entry if line.ended or b"\n" not in line.raw else None


def append_block(document: NutFile, monitor: tuple[str, ...], upssched: str) -> None:
    """The guide's customized block; the stock lines that it replaces become comments in their place.

    A SHUTDOWNCMD or RBWARNTIME of the user's own counts on, and the block has none; so do texts and flags
    of events: a second line would take the place of what somebody chose.
    """
    own = [name for name in STOCK if own_line(document, name) is not None]
    for name, value in STOCK.items():
        for entry in document.entries(name):
            if entry.args == value or name not in own:
                document.comment_out(entry)
    shutdown = [] if "SHUTDOWNCMD" in own else [encode_words(("SHUTDOWNCMD", SHUTDOWNCMD))]
    reminder = [] if "RBWARNTIME" in own else ["", "# 2 hours", f"RBWARNTIME {RBWARNTIME}"]
    lines = [
        "",
        "# --------------------------------------------------------------------------",
        "# Customized settings",
        "",
        encode_words(monitor),
        *shutdown,
        encode_words(("NOTIFYCMD", upssched or UPSSCHED)),
        *_for_events(document, "NOTIFYMSG", {event: f'"{text}"' for event, text in GUIDE_MESSAGES.items()}),
        *_for_events(document, "NOTIFYFLAG", dict.fromkeys(GUIDE_MESSAGES, "SYSLOG")),
        *reminder,
    ]
    document.append_text("".join(f"{line}\n" for line in lines))


def _for_events(document: NutFile, name: str, values: Mapping[str, str]) -> list[str]:
    """A line for each event that has none, behind an empty one."""
    lines = [
        f"{name} {event} {value}" for event, value in values.items() if document.get(name, event) is None
    ]
    return ["", *lines] if lines else []
