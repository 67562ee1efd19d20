"""offdelay, ondelay and lowbatt: the guide's values, and what drivers and devices make of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.drivers import lists, options_of
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Facts

#: The guide's values: seconds, seconds, per cent.
GUIDE = {"offdelay": 60, "ondelay": 70, "lowbatt": 80}
#: Seconds after which CyberPower's firmware rounds down: whole minutes (usbhid-ups(8)).
CYBERPOWER, MINUTE = "0764", 60
#: Drivers whose ondelay counts in minutes and whose offdelay must be 12 to 600 s (blazer_usb(8)).
BLAZER = ("blazer_usb", "blazer_ser")


def guide_delays(driver: str, facts: Facts, cyberpower: bool) -> dict[str, Proposed]:
    """The guide's values for what the driver takes, in the units and steps of the device."""
    options = options_of(facts, driver)
    values: dict[str, int | None] = {
        key: value if key in options.names else None for key, value in GUIDE.items()
    }
    if values["ondelay"] is not None:
        if cyberpower:
            values["ondelay"] = 2 * MINUTE
        elif driver in BLAZER:
            values["ondelay"] = 3
        elif driver == "nutdrv_qx":
            values["ondelay"] = 180
    notes = {key: "" if key in options.names else f"{driver} has no {key}" for key in GUIDE}
    return {key: Proposed(value, Origin.GUIDE, notes[key]) for key, value in values.items()}


def as_counted(driver: str, off: int, cyberpower: bool) -> int:
    """What the device makes of an offdelay, in seconds: it may count in steps and round down to one.

    CyberPower and the drivers for Megatec's protocol: whole minutes; the latter below one in steps of 6 s.
    """
    if cyberpower:
        return off - off % MINUTE
    if driver in (*BLAZER, "nutdrv_qx"):
        return off - off % (MINUTE if off >= MINUTE else 6)
    return off


def later_ondelay(driver: str, off: int | None, on: int | None, cyberpower: bool) -> int | None:
    """An ondelay that comes after the offdelay, in the driver's own unit; None where the two fit."""
    minutes = driver in BLAZER
    seconds = on * MINUTE if on is not None and minutes else on
    if off is None or seconds is None or not 0 < seconds <= off:
        return None
    step = MINUTE if cyberpower or minutes else GUIDE["ondelay"] - GUIDE["offdelay"]
    later = -(-(off + step) // step) * step if step == MINUTE else off + step
    return later // MINUTE if minutes else later


def corrected(driver: str, values: Mapping[str, Proposed], cyberpower: bool) -> Mapping[str, Proposed]:
    """The proposals, with an ondelay that comes after the offdelay where that of the file does not."""
    off, on = (values[key].value for key in ("offdelay", "ondelay"))
    later = later_ondelay(driver, off, on, cyberpower)
    if later is None:
        return values
    note = f"{on} of ups.conf is not after the offdelay: the UPS may stay off"
    return {**values, "ondelay": Proposed(later, Origin.GUIDE, note)}


def driver_problems(facts: Facts, driver: str, lines: Mapping[str, int | None]) -> Iterable[Problem]:
    """A driver that is not installed, and lines (None: none) at which it would end."""
    if facts.runs and facts.nut.drivers and driver not in facts.nut.drivers:
        yield Problem(f"there is no driver {driver} in /lib/nut", "driver.driver")
        return
    for key, value in lines.items():
        if value is not None and lists(facts, driver, key) is False:
            yield Problem(
                f"{driver} has no variable {key}: the driver would end at once, with exit code 0."
                f" Leave it out (none)",
                f"driver.{key}",
            )


def delay_problems(driver: str, off: int | None, on: int | None, cyberpower: bool) -> Iterable[Problem]:
    """What is wrong with the two delays together, and on this device. `on` counts as the driver counts."""
    seconds = on * MINUTE if on is not None and driver in BLAZER else on
    if off is not None and seconds is not None and seconds > 0 and seconds <= off:
        yield Problem(
            f"ondelay ({seconds} s) must be greater than offdelay ({off} s), or the UPS may stay off",
            "driver.ondelay",
        )
    if driver in BLAZER and off is not None and not 12 <= off <= 600:
        yield Problem(f"{driver} ends at once with an offdelay outside 12 to 600 s", "driver.offdelay")
    for key, value in (("offdelay", off), ("ondelay", on)):
        if cyberpower and value is not None and value > 0 and value % MINUTE:
            yield Problem(
                f"CyberPower rounds {key} down to whole minutes: take a multiple of 60 (60 and 120)",
                f"driver.{key}",
            )
