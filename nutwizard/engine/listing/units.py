"""The files that NUT's systemd units come from, searched as systemd does (systemd.unit(5))."""

from __future__ import annotations

from collections.abc import Sequence

from nutwizard.core.facts import Door, Role
from nutwizard.core.units import (
    ALL_DRIVERS,
    DRIVERS,
    ENUMERATOR,
    ENUMERATOR_PATH,
    MONITOR,
    SERVER,
    TARGET,
    driver_unit,
)
from nutwizard.engine.listing.rows import Group, Look, PathKind

_SYSTEM = "/etc/systemd/system"
#: What comes first counts.
_FOLDERS = (
    _SYSTEM, "/run/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system",
    "/usr/lib/systemd/system",
)  # fmt: skip
_PACKAGED = "/lib/systemd/system"
_TEMPLATE = "nut-driver@.service"
_PURPOSES = {
    MONITOR: "runs upsmon; nut-client.service is the same unit",
    SERVER: "runs upsd",
    ENUMERATOR: "makes a driver unit of each UPS in ups.conf",
    ENUMERATOR_PATH: "watches ups.conf and starts the enumerator",
    DRIVERS: "stands for all drivers",
    TARGET: "stands for all of NUT",
}
_NOW_AND_THEN = "only from NUT 2.8 on"


def unit_rows(look: Look, role: Role, ups: Sequence[str]) -> None:
    """A row for each unit file of the role, then what changes or enables it below /etc."""
    played = "the practice machine plays it without a file" if look.host.door is Door.PRACTICE else ""
    _one(look, MONITOR, _PURPOSES[MONITOR], played)
    if role is Role.HOST:
        _one(look, SERVER, _PURPOSES[SERVER], played)
        _driver_rows(look, ups, played)
    _one(look, TARGET, _PURPOSES[TARGET], played or _NOW_AND_THEN)


def _driver_rows(look: Look, ups: Sequence[str], played: str) -> None:
    if _file(look, ALL_DRIVERS):
        _one(look, ALL_DRIVERS, "runs every driver", played)
        return
    names = [driver_unit(one) for one in ups]
    own = [name for name in names if _file(look, name)]  # a unit of its own wins over the template
    for name in own:
        _one(look, name, "runs one driver", played)
    shared = [name.removesuffix(".service") for name in names if name not in own]
    _one(look, _TEMPLATE, f"runs one driver each: {', '.join(shared) or 'no UPS is known yet'}", played)
    for name in names:
        _drop_ins(look, name)
    for name in (ENUMERATOR, ENUMERATOR_PATH, DRIVERS):
        _one(look, name, _PURPOSES[name], played)
    wants = f"{_SYSTEM}/{DRIVERS}.wants"
    for name in look.names(wants):
        if name.startswith("nut-driver@"):
            purpose = f"starts {name.removesuffix('.service')} at boot; made by the enumerator"
            look.add(Group.UNITS, PathKind.UNIT, f"{wants}/{name}", purpose)


def _one(look: Look, unit: str, purpose: str, absent: str) -> None:
    """One unit file and its drop-ins. One that leads to /dev/null is masked."""
    path = _file(look, unit) or f"{_PACKAGED}/{unit}"
    try:
        masked = look.host.real(path) == "/dev/null"
    except OSError:
        masked = False
    note = "it is masked: systemd does not start it" if masked else ""
    look.add(Group.UNITS, PathKind.UNIT, path, purpose, absent=absent, note=note)
    _drop_ins(look, unit)


def _file(look: Look, unit: str) -> str:
    return next((f"{folder}/{unit}" for folder in _FOLDERS if look.exists(f"{folder}/{unit}")), "")


def _drop_ins(look: Look, unit: str) -> None:
    """The folders whose files systemd adds to the unit; the enumerator makes some for its drivers."""
    for folder in _FOLDERS:
        names = [name for name in look.names(f"{folder}/{unit}.d") if name.endswith(".conf")]
        if names:
            note = f"in it: {', '.join(names)}"
            look.add(Group.UNITS, PathKind.FOLDER, f"{folder}/{unit}.d", f"changes {unit}", note=note)
