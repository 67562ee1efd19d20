"""Read what NUT's daemons have logged lately: the journal, or /var/log/syslog. Bounded in size and time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nutwizard.core import paths
from nutwizard.core.facts import Door, Role
from nutwizard.core.loglines import lines_of, stamps_of
from nutwizard.core.logtexts import MOST_ROWS, WINDOW, Event, Row, events_of, folded, reader, remarks
from nutwizard.core.units import MONITOR, SERVER
from nutwizard.core.upsmon import notify_messages
from nutwizard.engine.host import Host
from nutwizard.engine.units import JOURNALCTL
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.safe import safe_text

if TYPE_CHECKING:
    from datetime import tzinfo

#: Debian's rsyslog writes the daemons' lines there, and up to Debian 11 into daemon.log as well; the file
#: before it stays uncompressed for one turn (logrotate's delaycompress).
SYSLOG, SYSLOG_BEFORE = "/var/log/syslog", "/var/log/syslog.1"
#: Lines of the journal, bytes of a file, seconds for journalctl; it has more to look for in an earlier boot.
MOST_LINES, MOST_BYTES, LIMIT, BOOT_LIMIT = 3000, 1 << 20, 5.0, 20.0
_UNITS = (MONITOR, SERVER)
#: With these lines the journal of a boot ends whose shutdown came to its end (systemd 247 to 262); a machine
#: that lost its power before has neither.
_ENDED = re.compile(
    r"^\S+ \S+ systemd(?:\[1\]: Shutting down\.|-journald\[\d+\]: Journal stopped)$", re.MULTILINE
)
_LAST_LINES = 5
#: Under which the guide's SHUTDOWNCMD logs.
_TAG = "upsmon.conf"
_LOCALTIME = "/etc/localtime"


@dataclass(frozen=True)
class Log:
    """What was logged between `begin` and `end` (seconds since the epoch), repeats folded.

    `source` names the log, "" where there is none; `why` says why it could not be read. `left_out`: rows
    older than those here. `zone`: the machine's own time zone.
    """

    zone: tzinfo
    begin: float
    end: float
    source: str = ""
    rows: tuple[Row, ...] = ()
    left_out: int = 0
    remarks: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class BootLog:
    """NUT's lines of one boot. `last`: when the log of that boot ends; `whole`: whether it ends as a
    shutdown does; each None where it cannot be told.

    `source` names the log, "" where there is none; `why` says why it could not be read.
    """

    source: str = ""
    events: tuple[Event, ...] = ()
    last: float | None = None
    why: str = ""
    whole: bool | None = None


@dataclass(frozen=True)
class _Text:
    """A log as text: where it is from, or why it is not there."""

    source: str = ""
    text: str = ""
    why: str = ""


def read_log(host: Host, role: Role) -> Log:
    """The last ten minutes of NUT's lines; of files below another root the last ten minutes that they hold.

    Never raises, and takes 5 s at most: a log that cannot be read is told as such.
    """
    zone = _zone(host)
    now = host.now()
    found = _journal(host, now - WINDOW) if host.door is not Door.OFFLINE else _Text()
    if not found.text:
        files = _syslog(host)
        found = files if files.text or (files.why and not found.why) else found
    lines = list(lines_of(found.text, now, zone))
    end = now
    if host.door is Door.OFFLINE and lines:
        end = max(line.at for line in lines)
    rows = folded(events_of(lines, reader(_own_texts(host)), end - WINDOW, end))
    kept = rows[-MOST_ROWS:]
    said = remarks(role, kept) if found.source else ()
    return Log(zone, end - WINDOW, end, found.source, kept, len(rows) - len(kept), said, found.why)


def read_boot(host: Host, boot: str, begin: float, end: float, booted: float) -> BootLog:
    """What NUT's daemons logged between two times (seconds since the epoch) in one boot, by its
    id in the journal's spelling, "" for none. `booted`: when the boot that runs now began, 0 where not known.

    Never raises. Without a journal of that boot it is what /var/log/syslog holds of that time.
    """
    found = _boot_lines(host, boot, begin, end) if boot else _Text()
    zone, now, whole = _zone(host), host.now(), None
    if found.text:
        rest = _of_boot(host, boot, "-n", str(_LAST_LINES))
        last = max(stamps_of(rest.text, now, zone), default=None)
        whole = _ENDED.search(rest.text) is not None if rest.text else None
    else:
        files = _syslog(host)
        found = files if files.text or not found.why else found
        last = max((at for at in stamps_of(found.text, now, zone) if begin <= at < booted), default=None)
    events = events_of(lines_of(found.text, now, zone), reader(_own_texts(host)), begin, end)
    return BootLog(found.source, tuple(events), last, found.why, whole)


def _boot_lines(host: Host, boot: str, begin: float, end: float) -> _Text:
    """NUT's lines in the order of their times. Of logger, which ends at once, journald often does not learn
    the unit: its line is looked for by its tag.
    """
    span = ("-n", str(MOST_LINES), f"--since=@{int(begin)}", f"--until=@{int(end)}")
    found = _of_boot(host, boot, *span, *_with_units())
    if not found.source:
        return found
    tagged = _of_boot(host, boot, *span, "-t", _TAG)
    lines = dict.fromkeys([*found.text.splitlines(), *tagged.text.splitlines()])
    return replace(found, text="\n".join(sorted(lines, key=lambda line: line.partition(" ")[0])))


def boot_before(host: Host) -> str:
    """The id of the boot before this one, as the journal has it; "" where it has none."""
    import json

    done = host.run([JOURNALCTL, "--no-pager", "-o", "json", "-b", "-1", "-n", "1"], timeout=BOOT_LIMIT)
    try:
        word = str(json.loads(done.out)["_BOOT_ID"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return word if re.fullmatch("[0-9a-f]{32}", word) else ""


def _of_boot(host: Host, boot: str, *words: str) -> _Text:
    return _journal_says(host, ("-b", boot, *words), BOOT_LIMIT)


def _with_units() -> tuple[str, ...]:
    return tuple(word for unit in _UNITS for word in ("-u", unit))


def _journal(host: Host, begin: float) -> _Text:
    """What the journal holds of NUT's units."""
    words = ("-n", str(MOST_LINES), f"--since=@{int(begin)}", *_with_units())
    return _journal_says(host, words, LIMIT)


def _journal_says(host: Host, words: tuple[str, ...], limit: float) -> _Text:
    if host.door is Door.LIVE and host.stat(JOURNALCTL) is None:
        return _Text()
    done = host.run([JOURNALCTL, "--no-pager", "-o", "short-unix", *words], timeout=limit)
    if done.timed_out:
        return _Text(why=f"the journal did not answer within {limit:.0f} s")
    # Where there are no lines it prints "-- No entries --", and says beside it why it may not see them.
    text = done.out if any(line[:1].isdigit() for line in done.out.splitlines()) else ""
    if done.code != 0 or (done.err.strip() and not text):
        said = done.err.strip().splitlines() or ["no reason given"]
        return _Text(why=f"the journal cannot be read: {safe_text(said[-1])[:200]}")
    return _Text("the journal of nut-monitor and nut-server", text)


def _syslog(host: Host) -> _Text:
    """The end of the file that rsyslog writes, with the file before it when it has just been turned over."""
    try:
        if host.stat(SYSLOG) is None:
            return _Text()
        data, whole = host.read_end(SYSLOG, MOST_BYTES)
        if whole and host.stat(SYSLOG_BEFORE) is not None:
            data = host.read_end(SYSLOG_BEFORE, MOST_BYTES)[0] + data
    except OSError as error:
        return _Text(why=f"{SYSLOG} cannot be read: {error.strerror}")
    return _Text(SYSLOG, data.decode("utf-8", "replace"))


def _own_texts(host: Host) -> Mapping[str, str]:
    """The NOTIFYMSG texts of upsmon.conf by event type; none where it cannot be read."""
    try:
        document = NutFile.parse(host.read(paths.UPSMON_CONF))
    except OSError:
        return {}
    return notify_messages(document)


def _zone(host: Host) -> tzinfo:
    """The machine's time zone, UTC where it has none (localtime(5)); a practice machine has this one's."""
    from datetime import UTC, datetime
    from io import BytesIO
    from zoneinfo import ZoneInfo

    if host.door is Door.PRACTICE:
        return datetime.now(UTC).astimezone().tzinfo or UTC
    try:
        return ZoneInfo.from_file(BytesIO(host.read(_LOCALTIME)))
    except (OSError, ValueError):
        return UTC
