"""What a forced shutdown brings, moment by moment, in seconds from the command on the host.

The sequence is upsmon's: the primary sets FSD and waits until the secondaries have logged out, HOSTSYNC at
most; each machine waits its FINALDELAY between its SHUTDOWN event and its SHUTDOWNCMD (upsmon(8)).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from nutwizard.core import timing
from nutwizard.core.rules.driving import delays_of
from nutwizard.core.rules.rule import Look

#: Seconds: upsmon wakes at once from a signal, and a machine under load is slower than its intervals.
SLACK = 2


class Mark(StrEnum):
    """The moments, in their order."""

    FIRED = "fired"
    SET = "set"
    NOTICED = "noticed"
    LEFT = "left"
    HOST = "host"
    COMMAND = "command"
    DOWN = "down"
    CUT = "cut"
    BACK = "back"


@dataclass(frozen=True)
class Moment:
    """`first`, `last`: seconds from the command between which it is expected, None where nobody can tell."""

    mark: Mark
    first: float | None = None
    last: float | None = None


@dataclass(frozen=True)
class Times:
    """upsmon's times of this host and of its clients, and the UPS's, in seconds; None: not known."""

    pollfreq: int = 5
    hostsync: int = 15
    finaldelay: int = 5
    offdelay: int | None = None
    ondelay: int | None = None
    client_pollfreq: int = 5
    client_finaldelay: int = 5


def times_of(look: Look, ups: str) -> Times:
    """The times of this machine. Its clients' are NUT's own: their files are not here."""
    own = {
        name: default if (found := timing.seconds(look.upsmon, name)) is None else found
        for name, default in timing.DEFAULTS.items()
    }
    off, on = delays_of(look, ups) if look.ups_conf.has(ups) else (None, None)
    told = look.values.get(ups, {})
    return Times(
        own["POLLFREQ"],
        own["HOSTSYNC"],
        own["FINALDELAY"],
        _told(told, "ups.delay.shutdown", off),
        _told(told, "ups.delay.start", on),
        timing.DEFAULTS["POLLFREQ"],
        timing.DEFAULTS["FINALDELAY"],
    )


def _told(values: Mapping[str, str], name: str, otherwise: int | None) -> int | None:
    """What the UPS itself says counts, in seconds whatever the driver counts in."""
    text = values.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else otherwise


def final_delay(look: Look) -> int:
    """This machine's FINALDELAY in seconds."""
    found = timing.seconds(look.upsmon, "FINALDELAY")
    return timing.DEFAULTS["FINALDELAY"] if found is None else found


def logs_command(look: Look) -> bool:
    """Whether SHUTDOWNCMD leaves the guide's line in the log before it shuts down."""
    entry = look.upsmon.get("SHUTDOWNCMD")
    return entry is not None and bool(entry.args) and "SHUTDOWNCMD calling" in entry.args[0]


def moments(times: Times, clients: int) -> tuple[Moment, ...]:
    """The sequence on a host with so many clients logged in."""
    return tuple(_moments(times, clients))


def _moments(times: Times, clients: int) -> Iterator[Moment]:
    yield Moment(Mark.FIRED, 0, 0)
    yield Moment(Mark.SET, 0, SLACK)
    begins, latest = 0.0, float(SLACK)
    if clients:
        seen = times.client_pollfreq + SLACK
        yield Moment(Mark.NOTICED, 0, seen)
        yield Moment(Mark.LEFT, times.client_finaldelay, seen + times.client_finaldelay)
        begins = min(times.client_finaldelay, times.hostsync)
        latest = min(seen + times.client_finaldelay, times.hostsync) + SLACK
    yield Moment(Mark.HOST, begins, latest)
    yield Moment(Mark.COMMAND, begins + times.finaldelay, latest + times.finaldelay)
    yield Moment(Mark.DOWN)
    yield Moment(Mark.CUT)
    yield Moment(Mark.BACK)


def hostsync_cuts(times: Times, clients: int) -> bool:
    """Whether HOSTSYNC may end before the clients have left: the host would go on without them."""
    return bool(clients) and times.hostsync < times.client_pollfreq + times.client_finaldelay


def client_moments(finaldelay: int) -> tuple[Moment, ...]:
    """The sequence on a client, from the moment in which it notices FSD."""
    late = finaldelay + SLACK
    return (
        Moment(Mark.NOTICED, 0, 0),
        Moment(Mark.HOST, 0, SLACK),
        Moment(Mark.COMMAND, finaldelay, late),
        Moment(Mark.DOWN),
        Moment(Mark.BACK),
    )
