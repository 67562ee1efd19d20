"""Lines of NUT's daemons in a log: in the journal as journalctl prints it, and in rsyslog's two formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

#: Stamps of journalctl -o short-unix, of rsyslog since Debian 12 (RFC 3339), and rsyslog's traditional one.
_STAMP = r"""^(?:(?P<unix>\d{1,12}\.\d{1,9})
        |(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))
        |(?P<month>[A-Z][a-z]{2})\ (?P<day>[ 0-3]\d)\ (?P<clock>\d\d:\d\d:\d\d))"""
#: Then host, tag, process. From Debian 12 on systemd gives the daemons' output the unit's name as its tag.
_LINE = re.compile(
    _STAMP
    + r"""\ \S+\ (?P<tag>upsmon(?:\.conf)?|upsd|nut-monitor|nut-server|nut-client)
    (?:\[(?P<pid>\d{1,10})\])?:\ ?(?P<text>.*)$""",
    re.MULTILINE | re.VERBOSE | re.ASCII,
)
_ANY = re.compile(_STAMP + r"\ ", re.MULTILINE | re.VERBOSE | re.ASCII)
#: rsyslog where it folds repeats itself (Ubuntu's $RepeatedMsgReduction).
_REPEATED = re.compile(r"message repeated (\d{1,6}) times: \[ ?(.*)\]")
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


@dataclass(frozen=True)
class LogLine:
    """One line: seconds since the epoch, the program's tag, its process (0 if not told), its text.

    `times`: how often, where the logger itself has folded repeats.
    """

    at: float
    tag: str
    pid: int
    text: str
    times: int = 1


def lines_of(text: str, now: float, zone: tzinfo) -> Iterator[LogLine]:
    """NUT's lines of a log, in its order; others are passed over.

    `now` decides the year and `zone` the time of a stamp that has neither.
    """
    for found in _LINE.finditer(text):
        at = _time(found, now, zone)
        if at is None:
            continue
        said, times = found["text"].rstrip("\r"), 1
        if repeated := _REPEATED.fullmatch(said):
            times, said = int(repeated[1]), repeated[2]
        yield LogLine(at, found["tag"], int(found["pid"] or 0), said, times)


def stamps_of(text: str, now: float, zone: tzinfo) -> Iterator[float]:
    """When each line of a log was written, whoever wrote it; as `lines_of`."""
    return (at for found in _ANY.finditer(text) if (at := _time(found, now, zone)) is not None)


def _time(found: re.Match[str], now: float, zone: tzinfo) -> float | None:
    """Seconds since the epoch; None for a stamp that is no time."""
    try:
        if found["unix"]:
            return float(found["unix"])
        if found["iso"]:
            return datetime.fromisoformat(found["iso"]).timestamp()
    except ValueError:
        return None
    return _without_year(found["month"], found["day"], found["clock"], now, zone)


def _without_year(month: str, day: str, clock: str, now: float, zone: tzinfo) -> float | None:
    """The latest year in which the stamp is not in the future, with a day for clocks that were set back."""
    number = _MONTHS.find(month) // 3 + 1
    hour, minute, second = map(int, clock.split(":"))
    this = datetime.fromtimestamp(now, zone).year
    for year in (this + 1, this, this - 1):
        try:
            at = datetime(year, number, int(day), hour, minute, second, tzinfo=zone).timestamp()
        except ValueError:  # 29 February, or no date at all
            continue
        if at <= now + 86400:
            return at
    return None
