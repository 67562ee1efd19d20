"""What is noted of a test before it is fired, and while it runs: read again after the reboot."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from nutwizard.core import checks
from nutwizard.core.facts import Role
from nutwizard.core.fsd.moments import Mark, Moment
from nutwizard.core.site import Client

#: Characters of one text that is kept.
_MOST = 200


class Happened(StrEnum):
    """What is noted while a test runs."""

    FIRED = "fired"
    FAILED = "failed"
    SEEN = "seen"
    LEFT = "left"
    FLAG = "flag"


@dataclass(frozen=True)
class Note:
    """Something that was seen: `at` in seconds since the epoch; `who`: an address, or why it failed."""

    at: float
    what: Happened
    who: str = ""


@dataclass(frozen=True)
class Record:
    """One test. `id`: counted from 1; `at`: seconds since the epoch; `boot`: the kernel's id of that boot.

    `host`: this machine's name; `systems`: the words of the MONITOR lines that it is about; `nut`: its
    version; `clients`: who was expected; `logged_in`: the other machines' addresses that were; `moments`:
    what was expected when; `offdelay`, `ondelay`: the UPS's, None where not known; `logs_command`:
    SHUTDOWNCMD leaves the guide's line in the log; `acknowledged`: what a person took upon himself, in words.
    """

    id: int
    at: float
    boot: str
    role: Role
    host: str
    systems: tuple[str, ...] = ()
    nut: str = ""
    clients: tuple[Client, ...] = ()
    logged_in: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    offdelay: int | None = None
    ondelay: int | None = None
    logs_command: bool = True
    acknowledged: tuple[str, ...] = field(default_factory=tuple)

    def expected(self, mark: Mark) -> Moment:
        """When this moment was expected."""
        return next((each for each in self.moments if each.mark is mark), Moment(mark))


def record_json(record: Record) -> str:
    """The record as it is kept."""
    return f"{json.dumps(asdict(record), indent=1)}\n"


def record_of(data: bytes) -> Record:
    """The record that was kept. Raises ValueError for anything else."""
    try:
        value: dict[str, Any] = json.loads(data)
        return Record(
            id=int(value["id"]),
            at=float(value["at"]),
            boot=boot_id(str(value["boot"])),
            role=Role(value["role"]),
            host=str(value["host"])[:_MOST],
            systems=_texts(value["systems"]),
            nut=str(value["nut"])[:_MOST],
            clients=tuple(Client(str(each["name"]), _texts(each["addresses"])) for each in value["clients"]),
            logged_in=_texts(value["logged_in"]),
            moments=tuple(map(_moment, value["moments"])),
            offdelay=_seconds(value["offdelay"]),
            ondelay=_seconds(value["ondelay"]),
            logs_command=bool(value["logs_command"]),
            acknowledged=_texts(value["acknowledged"]),
        )
    except (KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError("this is no record of a forced shutdown") from error


def note_line(note: Note) -> bytes:
    """One line of the notes."""
    return f"{json.dumps(asdict(note))}\n".encode()


def notes_of(data: bytes) -> tuple[Note, ...]:
    """The notes, in their order; a line that a power cut has torn is passed over."""
    found = []
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            value = json.loads(line)
            note = Note(float(value["at"]), Happened(value["what"]), str(value["who"])[:_MOST])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        found.append(note)
    return tuple(found)


def boot_id(text: str) -> str:
    """The kernel's id of a boot in the journal's spelling: 32 small digits; "" for anything else."""
    word = text.strip().replace("-", "").lower()
    return word if re.fullmatch("[0-9a-f]{32}", word) else ""


def valid_addresses(words: Iterable[object]) -> tuple[str, ...]:
    """Those that are IP addresses of another machine."""
    return tuple(each for each in words if isinstance(each, str) and checks.client_address(each) is None)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return tuple(str(each)[:_MOST] for each in value[:_MOST])


def _seconds(value: Any) -> int | None:
    return None if value is None else int(value)


def _moment(value: Mapping[str, Any]) -> Moment:
    first, last = (None if value[key] is None else float(value[key]) for key in ("first", "last"))
    return Moment(Mark(value["mark"]), first, last)
