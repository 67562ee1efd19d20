"""What a budget is reckoned from: plain values, gathered elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nutwizard.core.facts import Kind, Role
from nutwizard.core.guests import Guest
from nutwizard.core.lowbattery import Found
from nutwizard.core.measured import Measurement
from nutwizard.core.timing import DEFAULTS
from nutwizard.core.upssched import Timer

#: Seconds that systemd waits for a service that does not end (systemd-system.conf(5), DefaultTimeoutStopSec).
STOP = 90.0
#: Seconds between two looks of a driver at its UPS (ups.conf(5), pollinterval).
POLLINTERVAL = 2


@dataclass(frozen=True)
class Ups:
    """The UPS that this machine watches.

    `offdelay`, `ondelay`: those in force, as the driver counts; None where they are not known.
    `pollinterval`, `pollfreq`: seconds between two looks at its state, and at all of its values (0: no
    longer than that). `low`: who says that the battery is low; `values`: its variables, from the server.
    """

    name: str = ""
    driver: str = ""
    cyberpower: bool = False
    offdelay: int | None = None
    ondelay: int | None = None
    pollinterval: int = POLLINTERVAL
    pollfreq: int = 0
    low: Found = field(default_factory=Found)
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """How long systemd and Proxmox VE wait, in seconds.

    `stop`: for a service that does not end, None for ever; `stop_from`: the file that says so, "" for
    systemd's own value. `guests`: for the task that stops all guests, None for ever; `guests_from`: as above.
    `workers`: how many guests are stopped side by side, None where that is not known.
    """

    stop: float | None = STOP
    stop_from: str = ""
    guests: float | None = None
    guests_from: str = ""
    workers: int | None = None


@dataclass(frozen=True)
class Clients:
    """Who follows this host. `inside`: the numbers of its guests that do; `away`: the names of others, which
    are no guests of it; `known`: whether anything tells who there is.
    """

    inside: frozenset[int] = frozenset()
    away: tuple[str, ...] = ()
    known: bool = True

    @property
    def any(self) -> bool:
        """Whether somebody is waited for; where it is not known, somebody is."""
        return bool(self.inside or self.away) or not self.known


@dataclass(frozen=True)
class Inputs:
    """One machine. `times`: upsmon's times in force by name (timing.DEFAULTS), seconds; `lines`: those that
    upsmon.conf sets, None where it could not be seen. `exit`: SHUTDOWNEXIT in one spelling.

    `guests`: those that count, None where they could not be seen; `idle`: how many are left out since they do
    not run; `ha`: those that Proxmox VE's HA looks after. `timers`: those that end in a forced shutdown;
    `forces`: whether a script of the user's own may force one. `measured`: what still holds; `unseen`: what
    this user may not read. `others`: the words of MONITOR lines for further UPSes.
    """

    role: Role
    kind: Kind
    version: tuple[int, ...] = ()
    times: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULTS))
    lines: frozenset[str] | None = frozenset()
    exit: str = "yes"
    guests: tuple[Guest, ...] | None = ()
    idle: int = 0
    ha: frozenset[int] = frozenset()
    clients: Clients = field(default_factory=Clients)
    ups: Ups | None = None
    timers: tuple[Timer, ...] = ()
    forces: bool = False
    limits: Limits = field(default_factory=Limits)
    measured: tuple[Measurement, ...] = ()
    unseen: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
