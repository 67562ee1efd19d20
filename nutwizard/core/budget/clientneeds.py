"""The budget of a machine that follows a server: from FSD until it is off, against what the others grant it.

Of the host's times nothing is known here but what its server tells: NUT's own values are assumed.
"""

from __future__ import annotations

from nutwizard.core.budget.battery import at_low, number
from nutwizard.core.budget.guests import PATIENCE, stopping
from nutwizard.core.budget.inputs import Inputs
from nutwizard.core.budget.needs import guests_part, stop_part
from nutwizard.core.budget.own import final_part, told
from nutwizard.core.budget.result import Basis, Given, Part
from nutwizard.core.measured import What, best
from nutwizard.core.timing import DEFAULTS


def client_parts(inputs: Inputs) -> tuple[Part, ...]:
    """It notices, waits its FINALDELAY, and stops; a second Proxmox VE host stops its guests first."""
    stops = stopping(inputs.guests or (), inputs.ha, inputs.limits.workers, inputs.measured)
    guests, stop = guests_part(inputs, stops), stop_part(inputs, "this machine stops")
    return (_notice(inputs), final_part(inputs), *([guests] if guests else []), stop)


def client_given(inputs: Inputs, parts: tuple[Part, ...]) -> Given:
    """The host's patience, or the battery where that ends before it."""
    patience, battery = _patience(inputs, parts), _battery(inputs)
    if patience.seconds is None or battery is None or battery >= patience.seconds:
        return patience
    why = f"the battery by the UPS's own words, {battery:.0f} s from low battery on"
    return Given(battery, patience.starts, why)


def lead(parts: tuple[Part, ...]) -> float:
    """Seconds from FSD until this machine has begun to shut down and logs out."""
    return sum(part.seconds for part in parts if part.key in ("notice", "final"))


def _notice(inputs: Inputs) -> Part:
    poll, found = float(inputs.times["POLLFREQALERT"]), best(inputs.measured, What.NOTICE)
    if found is not None:
        return Part("notice", "FSD is noticed", found.seconds, Basis.MEASURED, told(found), found.seconds)
    why = f"POLLFREQALERT {poll:.0f} s, at most"
    return Part("notice", "FSD is noticed", poll, Basis.CONFIGURED, why, poll)


def _patience(inputs: Inputs, parts: tuple[Part, ...]) -> Given:
    """How long the host lets it stop: a guest until it is stopped by force, others until the UPS cuts."""
    waited = min(lead(parts), DEFAULTS["HOSTSYNC"])
    final = DEFAULTS["FINALDELAY"]
    starts = "when the host sets FSD"
    if inputs.kind in PATIENCE:
        down = PATIENCE[inputs.kind]
        why = (
            f"as a guest of that host, whose times are NUT's own: it waits {waited:.0f} s for the login to"
            f" end, FINALDELAY {final} s, and Proxmox VE {down} s for this guest"
        )
        return Given(waited + final + down, starts, why)
    off = _offdelay(inputs)
    if off is None:
        why = "it has until the UPS cuts the power, and the server does not tell its offdelay"
        return Given(None, starts, why)
    why = (
        f"until the UPS cuts the power, at the earliest: the host waits {waited:.0f} s for the login to end,"
        f" FINALDELAY {final} s (NUT's own), then offdelay {off:.0f} s; how long the host itself stops comes"
        " in addition"
    )
    return Given(waited + final + off, starts, why)


def _offdelay(inputs: Inputs) -> float | None:
    values = inputs.ups.values if inputs.ups is not None else {}
    texts = (values.get(name, "") for name in ("driver.parameter.offdelay", "ups.delay.shutdown"))
    return next((found for found in map(number, texts) if found is not None), None)


def _battery(inputs: Inputs) -> float | None:
    """By what the server tells of the UPS and of its driver."""
    return at_low(inputs.ups).seconds if inputs.ups is not None else None
