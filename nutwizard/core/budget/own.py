"""The parts that every machine has at its own end: FINALDELAY, and stopping its services."""

from __future__ import annotations

from nutwizard.core.budget.inputs import STOP, Inputs
from nutwizard.core.budget.result import Basis, Part
from nutwizard.core.measured import How, Measurement, What, best

_HOW = {
    How.FSD: "at the last forced shutdown",
    How.REHEARSAL: "at a rehearsal",
    How.GUEST: "at its own shutdown",
}


def told(found: Measurement) -> str:
    """Such as "measured at the last forced shutdown"."""
    return f"measured {_HOW[found.how]}"


def stop_limit(inputs: Inputs) -> float:
    """Seconds after which systemd ends what does not end by itself; a guess where it waits for ever."""
    return STOP if inputs.limits.stop is None else inputs.limits.stop


def final_part(inputs: Inputs) -> Part:
    """FINALDELAY, and what upsmon does around it where that was measured (upsmon.conf(5))."""
    delay = float(inputs.times["FINALDELAY"])
    found = best(inputs.measured, What.FINAL)
    if found is not None:
        seconds = max(delay, found.seconds)
        return Part("final", "FINALDELAY", seconds, Basis.MEASURED, told(found), seconds)
    if inputs.lines is None:
        why = "NUT's own value, since only root may read upsmon.conf"
        return Part("final", "FINALDELAY", delay, Basis.ASSUMED, why, delay)
    why = "upsmon.conf" if "FINALDELAY" in inputs.lines else "NUT's own, since upsmon.conf has no line"
    return Part("final", "FINALDELAY", delay, Basis.CONFIGURED, why, delay)


def assumed_stop(inputs: Inputs, what: str) -> Part:
    """A machine stops: nobody has measured it, so it takes as long as one service that hangs may.

    Source: systemd-system.conf(5), DefaultTimeoutStopSec. Most machines are quicker by far.
    """
    limit = stop_limit(inputs)
    where = inputs.limits.stop_from or "systemd's own value"
    why = f"a service that hangs is ended after DefaultTimeoutStopSec {limit:.0f} s ({where})"
    if inputs.limits.stop is None:
        why = f"systemd waits for ever for a service that hangs ({where}); {limit:.0f} s is a guess"
    return Part("host", what, limit, Basis.ASSUMED, why, limit)
