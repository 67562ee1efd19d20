"""What is kept of each test, durably: a folder with its record, its notes, and what its report came to."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from nutwizard.core import paths
from nutwizard.core.facts import Door, Owner
from nutwizard.core.fsd.record import (
    Happened,
    Note,
    Record,
    boot_id,
    note_line,
    notes_of,
    record_json,
    record_of,
)
from nutwizard.core.fsd.report import Outcome
from nutwizard.core.fsd.seen import Seen, seen_of, seen_value
from nutwizard.engine.files import PRIVATE, put
from nutwizard.engine.host import Host

_FOLDER = Owner("root", "root", 0o700)
_LOADS = f"{paths.FSD}/loads"
_LOG = "log-of-"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
#: Characters of what a person says about the other loads.
LONGEST = 200
#: Seconds after which a machine that was told to shut down is one that has not done so.
GOING = 900.0


@dataclass(frozen=True)
class Result:
    """What the last report said: of which test, fired when (seconds since the epoch), how it ended."""

    id: int
    at: float
    outcome: Outcome


class Records:
    """The tests of one machine. Reading makes nothing."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def begin(self, record: Record) -> Record:
        """Keep a record under the next number, so that it survives the power being cut. Raises OSError."""
        kept = replace(record, id=max(self._numbers(), default=0) + 1)
        folder = self._folder(kept.id)
        for path in (paths.STATE, paths.FSD, folder):
            self._host.make_folder(path, _FOLDER)
        self._host.create(f"{folder}/record.json", record_json(kept).encode(), PRIVATE)
        for path in (folder, paths.FSD, paths.STATE):
            self._host.sync_folder(path)
        return kept

    def note(self, record: Record, what: Happened, who: str = "") -> None:
        """Add a note. What cannot be written any more, since the machine is going down, is lost."""
        with suppress(OSError):
            self._host.append(
                f"{self._folder(record.id)}/notes", note_line(Note(self._host.now(), what, who))
            )

    def newest(self) -> Record | None:
        """The latest test whose record can be read. Raises PermissionError."""
        for number in reversed(self._numbers()):
            with suppress(FileNotFoundError, ValueError):
                return record_of(self._host.read(f"{self._folder(number)}/record.json"))
        return None

    def notes(self, record: Record) -> tuple[Note, ...]:
        """What was noted while it ran."""
        try:
            return notes_of(self._host.read(f"{self._folder(record.id)}/notes"))
        except OSError:
            return ()

    def keep(self, result: Result) -> None:
        """Keep what a report came to. Where that cannot be written, nothing is kept."""
        with suppress(OSError):
            text = f"{json.dumps(asdict(result))}\n"
            put(self._host, f"{self._folder(result.id)}/result.json", (text.encode(), PRIVATE), 0)

    def keep_log(self, record: Record, seen: Seen) -> None:
        """Keep what a client has handed over: the report says the same the next time. Lost if that fails."""
        name = re.sub(r"[^A-Za-z0-9-]", "", seen.machine)[:40] or "client"
        text = f"{json.dumps({'seen': seen_value(seen)})}\n"
        with suppress(OSError):
            put(self._host, f"{self._folder(record.id)}/{_LOG}{name}.json", (text.encode(), PRIVATE), 0)

    def logs(self, record: Record) -> tuple[Seen, ...]:
        """What clients have handed over for this test."""
        folder, found = self._folder(record.id), []
        for name in self._host.names(folder):
            if name.startswith(_LOG):
                with suppress(OSError, ValueError):
                    found.append(seen_of(self._host.read(f"{folder}/{name}")))
        return tuple(found)

    def result(self) -> Result | None:
        """What the report on the newest test came to; None where it was not made."""
        for number in reversed(self._numbers()):
            try:
                value: dict[str, Any] = json.loads(self._host.read(f"{self._folder(number)}/result.json"))
                return Result(int(value["id"]), float(value["at"]), Outcome(value["outcome"]))
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return None

    def loads(self) -> str:
        """What else hangs on the UPS, as a person said."""
        try:
            return self._host.read(_LOADS).decode("utf-8", "replace").strip()[:LONGEST]
        except OSError:
            return ""

    def keep_loads(self, text: str) -> None:
        """Remember what else hangs on the UPS. Raises OSError."""
        for path in (paths.STATE, paths.FSD):
            self._host.make_folder(path, _FOLDER)
        put(self._host, _LOADS, (f"{' '.join(text.split())[:LONGEST]}\n".encode(), PRIVATE), 0)

    def _numbers(self) -> list[int]:
        names = self._host.names(paths.FSD)
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def _folder(self, number: int) -> str:
        return f"{paths.FSD}/{number:06d}"


def boot_now(host: Host) -> str:
    """The id of the boot that runs, in the journal's spelling; "" where nothing tells."""
    try:
        return boot_id(host.read(BOOT_ID).decode("ascii", "replace"))
    except OSError:
        return ""


def reminder(host: Host) -> str:
    """What the next command says of a test that nobody has looked at since; "" where there is none."""
    if host.door is not Door.LIVE or not host.may_write():
        return ""
    try:
        records = Records(host)
        record, result = records.newest(), records.result()
    except OSError:
        return ""
    if record is None or (result is not None and result.id >= record.id):
        return ""
    if any(note.what is Happened.FAILED for note in records.notes(record)):
        return ""
    if record.boot != boot_now(host):
        return "A forced shutdown was tested. How it ended: nutwizard fsd report"
    if host.now() - record.at < GOING:
        return "A forced shutdown is under way."
    return "A forced shutdown was fired, and this machine has not gone down: nutwizard fsd report"
