"""What the log of one machine tells of one forced shutdown, and how that is handed to another machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from nutwizard.core.facts import Role
from nutwizard.core.fsd.record import boot_id, valid_addresses
from nutwizard.core.logtexts import Kind
from nutwizard.formats.safe import safe_text

#: The kinds of lines that the sequence is made of.
KINDS = (
    Kind.FSD_ASKED, Kind.SET_FSD, Kind.FSD, Kind.HOSTSYNC, Kind.POWERFAIL, Kind.SHUTDOWN, Kind.SHUTDOWNCMD,
)  # fmt: skip
#: Lines that a handed-over report may have, and characters of one.
_MOST, _TEXT = 200, 200


@dataclass(frozen=True)
class Told:
    """One line: seconds since the epoch, what it tells, its text."""

    at: float
    kind: Kind
    text: str


@dataclass(frozen=True)
class Seen:
    """One machine. `told`: its lines; `source`: the log that they are from, "" where it could not be read,
    and then `why`; `last`: when the log of that boot ends, None where it goes on or is not known; `boot`: the
    id of the boot that the lines are of, `now`: of this one; `booted`: when this one began, 0: not
    known; `whole`: whether the log ends with the end of a shutdown, None where it cannot tell.
    """

    machine: str
    role: Role
    addresses: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()
    source: str = ""
    why: str = ""
    last: float | None = None
    boot: str = ""
    now: str = ""
    booted: float = 0.0
    whole: bool | None = None

    def first(self, *kinds: Kind) -> Told | None:
        """The first line of one of these kinds."""
        return next((each for each in self.told if each.kind in kinds), None)

    @property
    def went_down(self) -> bool | None:
        """Whether another boot runs than then; None where nothing tells."""
        return self.boot != self.now if self.boot and self.now else None

    @property
    def off(self) -> float | None:
        """Seconds from the end of that boot's log to the beginning of this boot; None where not known."""
        if not self.went_down or self.last is None or self.booted <= self.last:
            return None
        return self.booted - self.last


def last_sequence(told: Iterable[Told]) -> tuple[Told, ...]:
    """The lines of the newest forced shutdown among these: from its first word on."""
    kept = [each for each in told if each.kind in KINDS]
    starts = [n for n, each in enumerate(kept) if each.kind in (Kind.FSD_ASKED, Kind.FSD, Kind.SET_FSD)]
    if not starts:
        return ()
    begin = starts[-1]
    while begin - 1 in starts and kept[begin].at - kept[begin - 1].at < 60:
        begin -= 1
    return tuple(kept[begin:])


def seen_value(seen: Seen) -> dict[str, Any]:
    """For JSON."""
    return asdict(seen)


def seen_of(data: bytes) -> Seen:
    """What a client's `nutwizard fsd report --json` holds. Raises ValueError where it is none."""
    try:
        value: dict[str, Any] = json.loads(data)["seen"]
        lines = value["told"][:_MOST]
        return Seen(
            machine=_text(value["machine"]),
            role=Role(value["role"]),
            addresses=valid_addresses(value["addresses"]),
            told=tuple(Told(float(each["at"]), Kind(each["kind"]), _text(each["text"])) for each in lines),
            source=_text(value["source"]),
            why=_text(value["why"]),
            last=None if value["last"] is None else float(value["last"]),
            boot=boot_id(str(value["boot"])),
            now=boot_id(str(value["now"])),
            booted=float(value["booted"]),
            whole=None if value["whole"] is None else bool(value["whole"]),
        )
    except (KeyError, TypeError, RecursionError, OverflowError, UnicodeDecodeError, ValueError) as error:
        raise ValueError("this is no report of nutwizard fsd report --json") from error


def _text(value: Any) -> str:
    return safe_text(str(value)[:_TEXT])
