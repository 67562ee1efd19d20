"""What NUT's daemons write into a log, by the wording of each version: lines to events, repeats folded.

The wordings are those of NUT 2.7.4, 2.8.0 and 2.8.1 as their daemons were seen to log them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from nutwizard.core.events import GUIDE_MESSAGES
from nutwizard.core.facts import Role
from nutwizard.core.loglines import LogLine
from nutwizard.formats.safe import safe_text

#: Seconds of log that matter: upsmon tries every few seconds, and who mends something looks soon.
WINDOW = 600
#: Rows and characters of a row that are shown; the newest rows stay.
MOST_ROWS, MOST_TEXT = 20, 160
#: Seconds: a line may have been written after the clock was read; the same line may come through two doors.
_SLACK, _TWICE = 5.0, 1.0
#: Seconds: who logs out again so soon is a check; upsmon stays.
_BRIEF = 3.0


class Kind(StrEnum):
    """What a line of the log tells."""

    CONNECT_FAILED = "connect failed"
    POLL_FAILED = "poll failed"
    LOGIN_FAILED = "login failed"
    NO_PRIMARY = "no primary rights"
    COMMOK = "communications established"
    COMMBAD = "communications lost"
    NOCOMM = "not available"
    ONLINE = "on line"
    ONBATT = "on battery"
    LOWBATT = "low battery"
    REPLBATT = "replace battery"
    LOGGED_IN = "logged in"
    LOGGED_OUT = "logged out"
    LOOKED_IN = "logged in and out"
    STALE = "data stale"
    FRESH = "data fresh"
    NO_DRIVER = "no driver"
    FSD_ASKED = "forced shutdown asked for"
    SET_FSD = "forced shutdown set"
    FSD = "forced shutdown"
    GAVE_UP = "gave up on the primary"
    HOSTSYNC = "waited long enough for clients"
    POWERFAIL = "power-fail shutdown"
    SHUTDOWN = "shutdown"
    SHUTDOWNCMD = "SHUTDOWNCMD"
    NOPARENT = "upsmon is not whole"


@dataclass(frozen=True)
class Event:
    """What a line tells: about which UPS (as the line names it), who from where, and why."""

    line: LogLine
    kind: Kind
    ups: str = ""
    user: str = ""
    address: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """Events that repeat each other: first and last time (seconds since the epoch), how many, the last text.

    Every text is safe to show and of bounded length.
    """

    kind: Kind
    first: float
    last: float
    count: int
    ups: str
    user: str
    address: str
    reason: str
    text: str


#: upsmon's built-in texts for the events that matter here, alike in 2.7.4, 2.8.0 and 2.8.1.
DEFAULT_MESSAGES = {
    "ONLINE": "UPS %s on line power",
    "ONBATT": "UPS %s on battery",
    "LOWBATT": "UPS %s battery is low",
    "REPLBATT": "UPS %s battery needs to be replaced",
    "FSD": "UPS %s: forced shutdown in progress",
    "SHUTDOWN": "Auto logout and shutdown proceeding",
    "COMMOK": "Communications with UPS %s established",
    "COMMBAD": "Communications with UPS %s lost",
    "NOCOMM": "UPS %s is unavailable",
    "NOPARENT": "upsmon parent process died - shutdown impossible",
}

_UPS = r"\[(?P<ups>\S+)\]"
_WHO = r"(?P<user>.+)@(?P<address>[^\s@]+)"
#: What the daemons say themselves. A UPS is named as the MONITOR line does, so it may hold brackets (IPv6).
_TEXTS: tuple[tuple[Kind, str], ...] = (
    (Kind.CONNECT_FAILED, rf"UPS {_UPS}: connect failed: (?P<reason>.+)"),
    (Kind.POLL_FAILED, rf"Poll UPS {_UPS} failed - (?P<reason>.+)"),
    (Kind.LOGIN_FAILED, rf"Login (?:on|to) UPS {_UPS} failed(?: - got|:) \[?(?P<reason>[^\]]+)\]?"),
    (Kind.LOGIN_FAILED, rf"Can't login to UPS {_UPS}: (?P<reason>.+)"),
    (Kind.LOGIN_FAILED, rf"Set (?:username|password) on {_UPS} failed(?: - got|:) \[?(?P<reason>[^\]]+)\]?"),
    # "Master" up to 2.7.4.
    (Kind.NO_PRIMARY, rf"(?:Primary managerial|Master) privileges unavailable on UPS {_UPS}"),
    (Kind.GAVE_UP, rf"Giving up on the (?:primary|master) for UPS {_UPS}"),
    (Kind.LOGGED_IN, rf"User {_WHO} logged into UPS {_UPS}(?: \(SSL\))?"),
    (Kind.LOGGED_OUT, rf"User {_WHO} logged out from UPS {_UPS}(?: \(SSL\))?"),
    (Kind.SET_FSD, rf"Client {_WHO} set FSD on UPS {_UPS}"),
    (Kind.STALE, rf"Data for UPS {_UPS} is stale - check driver"),
    (Kind.FRESH, rf"UPS {_UPS} data is no longer stale"),
    (Kind.NO_DRIVER, rf"Can't connect to UPS {_UPS} \(\S+\): (?P<reason>.+)"),
    (Kind.FSD_ASKED, r"Signal \d+: User requested FSD"),
    (Kind.HOSTSYNC, r"Host sync timer expired, forcing shutdown"),
    (Kind.POWERFAIL, r"Executing automatic power-fail shutdown"),
    # The guide's SHUTDOWNCMD leaves it through logger(1).
    (Kind.SHUTDOWNCMD, r"SHUTDOWNCMD calling .+"),
)
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _TEXTS)

#: What ends a row: a repeat that comes after it begins a new one, since in between things were different.
_WELL = (Kind.COMMOK, Kind.FRESH)
_ILL = (Kind.CONNECT_FAILED, Kind.POLL_FAILED, Kind.COMMBAD, Kind.NOCOMM, Kind.STALE, Kind.NO_DRIVER)
_ENDS: Mapping[Kind, tuple[Kind, ...]] = {
    **dict.fromkeys(_WELL, _ILL),
    **dict.fromkeys(_ILL, _WELL),
    Kind.ONLINE: (Kind.ONBATT, Kind.LOWBATT),
    Kind.ONBATT: (Kind.ONLINE,),
}

Read = Callable[[str], tuple[Kind, dict[str, str]] | None]


def reader(messages: Mapping[str, str]) -> Read:
    """What tells a text's kind and its parts; `messages` are the user's own NOTIFYMSG by event type.

    The user's texts come first, then the guide's, then NUT's own: upsmon may have logged before its file was
    changed. A text that is too general, or that stands for two events, is not used.
    """
    texts = [
        (Kind[event], text)
        for source in (messages, GUIDE_MESSAGES, DEFAULT_MESSAGES)
        for event, text in source.items()
        if event in DEFAULT_MESSAGES
    ]
    kinds: dict[str, set[Kind]] = {}
    for kind, text in texts:
        kinds.setdefault(text, set()).add(kind)
    own = [(kind, _template(text)) for kind, text in texts if len(kinds[text]) == 1]
    patterns = [*_PATTERNS, *((kind, pattern) for kind, pattern in own if pattern)]

    def read(text: str) -> tuple[Kind, dict[str, str]] | None:
        matches = ((kind, pattern.fullmatch(text)) for kind, pattern in patterns)
        return next(((kind, match.groupdict("")) for kind, match in matches if match), None)

    return read


def events_of(lines: Iterable[LogLine], read: Read, begin: float, end: float) -> Iterator[Event]:
    """The events between two times (seconds since the epoch).

    A daemon that writes to its standard error and to syslog is in the journal twice: one of them counts.
    """
    latest: dict[tuple[int, str], LogLine] = {}
    for line in lines:
        found = read(line.text) if begin <= line.at <= end + _SLACK else None
        if found is None:
            continue
        before = latest.get((line.pid, line.text))
        latest[line.pid, line.text] = line
        if before and before.tag != line.tag and abs(line.at - before.at) <= _TWICE:
            del latest[line.pid, line.text]
            continue
        kind, parts = found
        yield Event(line, kind, **parts)


def folded(events: Iterable[Event]) -> tuple[Row, ...]:
    """Repeats in one row, in the order of their last time, so that the end tells how things stand."""
    rows: list[Row] = []
    current: dict[tuple[Kind, str, str, str, str], int] = {}
    for event in _paired(events):
        row = _row(event)
        ended = _ENDS.get(row.kind, ())
        for other in [one for one in current if one[0] in ended and (one[1] == row.ups or not row.ups)]:
            del current[other]
        key = (row.kind, row.ups, row.user, row.address, row.reason)
        if key in current:
            before = rows[current[key]]
            rows[current[key]] = replace(
                row, first=min(before.first, row.first), count=before.count + row.count
            )
        else:
            current[key] = len(rows)
            rows.append(row)
    return tuple(sorted(rows, key=lambda row: row.last))


def remarks(role: Role, rows: Iterable[Row]) -> tuple[str, ...]:
    """What a person has to know about what this machine's log does not show."""
    kinds = {row.kind for row in rows}
    said = []
    if role is Role.HOST:
        said.append("A packet that a firewall drops never reaches upsd: nothing of it is here.")
        said.append("A refused login is not logged here either. The client's own log has both.")
        if Kind.LOOKED_IN in kinds:
            said.append("Who logs out again at once is a nutwizard check: upsmon stays logged in.")
    elif not kinds:
        said.append("upsmon logs what changes: a connection that stays as it is leaves no new line.")
    elif Kind.LOGIN_FAILED in kinds and Kind.COMMOK in kinds:
        said.append("After a refused login upsmon only reads the UPS: established does not mean logged in.")
    return tuple(said)


def _paired(events: Iterable[Event]) -> list[Event]:
    """The events, with a login and the logout that follows at once as one: a check looked in."""
    out: list[Event] = []
    inside: dict[tuple[str, str, str], list[int]] = {}
    for event in events:
        who = (event.ups, event.user, event.address)
        if event.kind is Kind.LOGGED_IN:
            inside.setdefault(who, []).append(len(out))
        elif event.kind is Kind.LOGGED_OUT and inside.get(who):
            came = inside[who].pop()
            if event.line.at - out[came].line.at <= _BRIEF:
                line = replace(out[came].line, text=f"{out[came].line.text}, and out again")
                out[came] = replace(out[came], line=line, kind=Kind.LOOKED_IN)
                continue
        out.append(event)
    return out


def _row(event: Event) -> Row:
    at = event.line.at
    parts = (event.ups, event.user, event.address, event.reason, event.line.text)
    ups, user, address, reason, text = map(_shown, parts)
    return Row(event.kind, at, at, event.line.times, ups, user, address, reason, text)


def _shown(text: str) -> str:
    text = safe_text(text[: MOST_TEXT + 1])
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 3]}..."


def _template(text: str) -> re.Pattern[str] | None:
    """A NOTIFYMSG as a pattern; None where its words alone do not tell it from others."""
    parts = text.split("%s")
    if len(parts) > 2 or any("%" in part for part in parts) or sum(map(len, parts)) < 8:
        return None
    return re.compile(r"(?P<ups>\S+)".join(map(re.escape, parts)))
