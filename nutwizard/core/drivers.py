"""What a driver takes in its section of ups.conf."""

from __future__ import annotations

from collections.abc import Iterable

from nutwizard.core.facts import DriverOptions, Facts
from nutwizard.core.paths import UPS_CONF
from nutwizard.core.units import ALL_DRIVERS, driver_unit

#: The three variables as `DRIVER -L` printed them (NUT 2.7.4, 2.8.0, 2.8.1), for where it cannot be asked.
DELAYS = {
    "usbhid-ups": ("offdelay", "ondelay", "lowbatt"),
    "mge-shut": ("offdelay", "ondelay", "lowbatt"),
    "blazer_usb": ("offdelay", "ondelay"),
    "blazer_ser": ("offdelay", "ondelay"),
    "nutdrv_qx": ("offdelay", "ondelay"),
    "snmp-ups": ("offdelay", "ondelay"),
    "tripplite_usb": ("offdelay",),
    "clone": ("offdelay", "ondelay"),
    "dummy-ups": (),
}
#: What every driver takes though its `-L` lists none of it (ups.conf(5); measured with usbhid-ups and
#: nutdrv_qx of NUT 2.8.0 and 2.8.1). maxretry, retrydelay and maxstartdelay are none of these: in a section
#: they end the driver. These words in another case do, too (measured with 2.8.0); the prefixes and a driver's
#: own variables may be written in any.
_COMMON = frozenset(
    "driver port desc sdorder sddelay nolock ignorelb pollinterval synchronous debug_min user group"
    " usb_set_altinterface allow_killpower".split()
)
_PREFIXES = ("override.", "default.")


def options_of(facts: Facts, driver: str) -> DriverOptions:
    """What the driver lists, else what is known of it; `known` False when neither."""
    asked = facts.driver_options(driver)
    if asked.known:
        return asked
    return DriverOptions(False, frozenset(DELAYS.get(driver, ())))


def lists(facts: Facts, driver: str, name: str) -> bool | None:
    """Whether the driver lists a variable; None where neither it nor the table can tell."""
    options = options_of(facts, driver)
    if not options.known and driver not in DELAYS:
        return None
    return name in options.names


def refused(facts: Facts, driver: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Those keys of a section at which the driver ends; empty when the driver cannot be asked."""
    asked = facts.driver_options(driver)
    if not asked.known:
        return ()
    own = {name.lower() for name in asked.names}
    return tuple(
        key
        for key in keys
        if key not in _COMMON and key.lower() not in own and not key.lower().startswith(_PREFIXES)
    )


def untried(facts: Facts, ups: str) -> bool:
    """Whether the driver of this UPS has a unit that does not run on ups.conf as it is: it may end at it."""
    unit = facts.unit(driver_unit(ups))
    unit = unit if unit.present else facts.unit(ALL_DRIVERS)
    return unit.present and (not unit.running or unit.older_than(facts.file(UPS_CONF).changed))
