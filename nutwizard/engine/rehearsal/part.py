"""What a stage is told: the machines, their files and addresses, and what happens to the UPS."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: Of what only tells that it was called: the folder in a copy, and what stands in for SHUTDOWNCMD.
OWN = "/run/nutwizard-rehearsal"
END = f"{OWN}/SHUTDOWNCMD"


@dataclass(frozen=True)
class Placed:
    """One file of a copy: bytes, owner and group by name, permission bits."""

    path: str
    data: bytes = field(repr=False)
    user: str = "root"
    group: str = "root"
    mode: int = 0o644


@dataclass(frozen=True)
class Served:
    """What a made-up host serves: UPSes, users with their passwords, and (address, port) to listen at."""

    ups: tuple[str, ...]
    users: tuple[tuple[str, str], ...] = field(repr=False)
    listen: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Part:
    """One machine.

    `host`: it has the UPS. `addresses`: with their prefix, as of ip-address(8). `names`: further lines of
    /etc/hosts. `absent`: paths that it does not have. `reported`: programs whose calls are told. `daemons`:
    the command of driver, upsd and upsmon, those that it runs. `system`: its UPS as upsc(8) is to be asked.
    `served`: it is made up, and runs none of them.
    """

    name: str
    host: bool
    files: tuple[Placed, ...]
    addresses: tuple[str, ...]
    system: str
    daemons: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()
    served: Served | None = None


@dataclass(frozen=True)
class Turn:
    """What the UPS does: `after` seconds from the turn before, it has these variables.

    `ending`: as soon as a machine is on its way down, and after that time at the latest.
    """

    after: float
    values: Mapping[str, str]
    ending: bool = False


@dataclass(frozen=True)
class Play:
    """A whole rehearsal: first the host, then its clients.

    `devices`: the files that dummy-ups reads, with `values` at first. `turns`: what happens to the UPS.
    `fsd`: the host is asked for a forced shutdown then. `hook`: what runs late in the host's shutdown, ""
    for none; `flag`: the file that tells it to cut the power. `patience`: seconds from the last turn until it
    is over whatever happens; `rest`: how long the scripts are listened to after that. `sockets`: where the
    machines are made without root, those of this computer that are to be out of reach; None on copies.
    """

    parts: tuple[Part, ...]
    devices: tuple[str, ...]
    values: Mapping[str, str]
    turns: tuple[Turn, ...]
    fsd: bool
    hook: str
    flag: str
    patience: float
    rest: float = 1.5
    sockets: tuple[str, ...] | None = None


def to_line(play: Play) -> bytes:
    """One line of JSON."""

    def encoded(value: Any) -> Any:
        return base64.b64encode(value).decode("ascii")

    return json.dumps(asdict(play), default=encoded).encode("ascii") + b"\n"


def from_line(line: bytes) -> Play:
    """What `to_line` has written. Raises ValueError for half a line."""
    raw = json.loads(line)
    parts = [_part(each) for each in raw.pop("parts")]
    turns = [Turn(**each) for each in raw.pop("turns")]
    devices, sockets = tuple(raw.pop("devices")), raw.pop("sockets")
    sockets = tuple(sockets) if sockets is not None else None
    return Play(parts=tuple(parts), turns=tuple(turns), devices=devices, sockets=sockets, **raw)


def _part(raw: dict[str, Any]) -> Part:
    files = [Placed(**{**each, "data": base64.b64decode(each["data"])}) for each in raw.pop("files")]
    daemons = {name: tuple(argv) for name, argv in raw.pop("daemons").items()}
    for name in ("addresses", "names", "absent", "reported"):
        raw[name] = tuple(raw[name])
    served = raw.pop("served")
    if served is not None:
        served = Served(**{name: tuple(_tuple(each) for each in served[name]) for name in served})
    return Part(files=tuple(files), daemons=daemons, served=served, **raw)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
