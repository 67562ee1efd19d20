"""systemd units of Debian's NUT packages."""

from __future__ import annotations

from collections.abc import Iterable

from nutwizard.core.facts import Role

ENUMERATOR = "nut-driver-enumerator.service"
ENUMERATOR_PATH = "nut-driver-enumerator.path"
#: Before NUT 2.8 one unit ran every driver.
ALL_DRIVERS = "nut-driver.service"
#: From NUT 2.8 on it is what starts the others at boot.
TARGET = "nut.target"
#: From NUT 2.8 on it stands for all drivers: each of their units is part of it.
DRIVERS = "nut-driver.target"
SERVER = "nut-server.service"
MONITOR = "nut-monitor.service"
#: Another program for UPSes, which takes the device for itself. Not NUT's, and on few machines.
APCUPSD = "apcupsd.service"


def driver_unit(ups: str) -> str:
    """The driver's unit from NUT 2.8 on: the enumerator enables an instance of the section's own name."""
    return f"nut-driver@{ups}.service"


def units_of(role: Role, ups: Iterable[str]) -> tuple[str, ...]:
    """Every unit of this role whose state decides what has to be done, or what is wrong."""
    if role is Role.CLIENT:
        return (TARGET, MONITOR)
    drivers = (*map(driver_unit, ups), ALL_DRIVERS, ENUMERATOR, ENUMERATOR_PATH)
    return (*drivers, TARGET, SERVER, MONITOR, APCUPSD)
