"""What a forced shutdown was like against what was expected of it: records and log lines in, a report out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nutwizard.core.clients import same_address
from nutwizard.core.facts import Role
from nutwizard.core.fsd.moments import Moment
from nutwizard.core.fsd.record import Happened, Note, Record
from nutwizard.core.fsd.seen import Seen, Told
from nutwizard.core.logtexts import Kind


class Fit(StrEnum):
    """How a moment was against what was expected. Earlier is no fault: clients have times of their own."""

    WELL = "as expected"
    LATE = "late"
    MISSING = "missing"
    OPEN = "not known"


class Outcome(StrEnum):
    """How the test ended, in the words of `nutwizard status`."""

    WELL = "ended well"
    NOT_WELL = "did not end well"
    OPEN = "not known how it ended"


@dataclass(frozen=True)
class Row:
    """One moment. `at`: seconds from FSD being set, None where no line tells; `text`: what happened."""

    who: str
    text: str
    at: float | None
    fit: Fit
    expected: Moment


@dataclass(frozen=True)
class Point:
    """One thing that the test was to show. `good`: None where it cannot be known; `needed`: a test cannot be
    called good without it; `fix`: what to do.
    """

    text: str
    good: bool | None
    fix: str = ""
    needed: bool = True


@dataclass(frozen=True)
class Today:
    """How things stand now. `status`: by UPS its ups.status; `flag`: the POWERDOWNFLAG file that is there, ""
    for none; `logged_in`: other machines' addresses, None where upsd does not answer; `served`: since when
    upsd serves (seconds since the epoch), 0 where not known; `guests`: addresses of this host's own guests.
    """

    status: Mapping[str, str] = field(default_factory=dict)
    flag: str = ""
    logged_in: tuple[str, ...] | None = None
    served: float = 0.0
    guests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What came of one test. `begin`: when FSD was set (seconds since the epoch); `durations`: measured parts
    in seconds, by the words of `core.measured`.
    """

    record: Record
    begin: float
    rows: tuple[Row, ...]
    points: tuple[Point, ...]
    durations: Mapping[str, float]
    today: Today = field(default_factory=Today)

    @property
    def latched(self) -> list[str]:
        """The UPSes for which FSD is still set."""
        return [ups for ups, status in self.today.status.items() if "FSD" in status.split()]

    @property
    def outcome(self) -> Outcome:
        """Bad where anything is; not known where something that is needed is not."""
        if any(point.good is False for point in self.points):
            return Outcome.NOT_WELL
        open_ones = any(point.good is None and point.needed for point in self.points)
        return Outcome.OPEN if open_ones else Outcome.WELL


@dataclass(frozen=True)
class Case:
    """All that a report is made of: the record, its notes, this machine's log, clients' logs, and today."""

    record: Record
    notes: tuple[Note, ...]
    own: Seen
    clients: tuple[Seen, ...] = ()
    today: Today = field(default_factory=Today)

    @property
    def begin(self) -> float:
        """When FSD was set, by the host's own clock; on a client, when it noticed."""
        kinds = (Kind.SET_FSD, Kind.FSD_ASKED) if self.record.role is Role.HOST else (Kind.FSD,)
        for kind in kinds:
            if (line := self.own.first(kind)) is not None:
                return line.at
        fired = next((note.at for note in self.notes if note.what is Happened.FIRED), None)
        return self.record.at if fired is None else fired

    @property
    def failed(self) -> str:
        """Why it was never fired, "" where it was."""
        return next((note.who for note in self.notes if note.what is Happened.FAILED), "")

    def name_of(self, address: str) -> str:
        """The client that has this address, or the address."""
        for client in self.record.clients:
            if any(same_address(address, own) for own in client.addresses):
                return client.name
        return address

    def log_of(self, address: str) -> Seen | None:
        """The log that the client with this address has handed over."""
        name = self.name_of(address)
        for seen in self.clients:
            if any(same_address(address, own) for own in seen.addresses) or seen.machine == name:
                return seen
        return None


def row_of(case: Case, who: str, text: str, at: float | None, moment: Moment, *, open_: bool = False) -> Row:
    """A moment against what was expected. `at`: seconds since the epoch; `open_`: no line need be there."""
    if at is None:
        return Row(who, text, None, Fit.OPEN if open_ else Fit.MISSING, moment)
    seconds = at - case.begin
    late = moment.last is not None and seconds > moment.last + 1
    return Row(who, text, seconds, Fit.LATE if late else Fit.WELL, moment)


def at_of(line: Told | None) -> float | None:
    """When a line was written; None for none."""
    return None if line is None else line.at


def ordered(rows: Iterable[Row]) -> tuple[Row, ...]:
    """In the order in which they happened; what has no time keeps its place behind the one before it."""
    latest, keyed = float("-inf"), []
    for number, row in enumerate(rows):
        latest = row.at if row.at is not None else latest
        keyed.append((latest, number, row))
    return tuple(row for _, _, row in sorted(keyed, key=lambda each: each[:2]))


def make_report(case: Case) -> Report:
    """The report of one test."""
    from nutwizard.core.fsd import client_side, host_side

    side = host_side if case.record.role is Role.HOST else client_side
    points: Sequence[Point] = tuple(side.points(case))
    rows: Iterator[Row] = side.rows(case)
    return Report(case.record, case.begin, ordered(rows), tuple(points), side.durations(case), case.today)
