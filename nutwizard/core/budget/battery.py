"""How many seconds a battery gives from the moment at which a shutdown starts.

What a UPS says of itself is taken as it is: battery.runtime is its own estimate under the load of this moment
(NUT's variable names, docs/nut-names), and it is taken to fall evenly with the charge. A worn battery gives
less than it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nutwizard.core import lowbattery
from nutwizard.core.budget.inputs import Inputs, Ups
from nutwizard.core.budget.result import Basis, Given
from nutwizard.core.lowbattery import CHARGE, RUNTIME, Found

#: Drivers whose lowbatt only changes what is shown (seen in the source of 2.7.4 to 2.8.1).
_SHOWS = frozenset({"usbhid-ups", "mge-shut"})


def number(text: str) -> float | None:
    """A number that a UPS reports; None for what is none."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found < 1e9 else None


def limit_of(found: Found, values: Mapping[str, str], kind: str) -> float | None:
    """The limit that is compared, or shown, for one of lowbattery.OWN_LIMIT: ours before the UPS's own."""
    return number(found.limits.get(kind) or values.get(f"battery.{kind}.low", ""))


def left_when_low(found: Found, values: Mapping[str, str]) -> float | None:
    """Seconds that the battery has when it is low; None where the UPS does not tell enough.

    Where NUT compares, the first limit that is passed counts; else the UPS's own, by the runtime if it can.
    """
    low = {kind: limit_of(found, values, kind) for kind in lowbattery.OWN_LIMIT}
    runtime, charge = (number(values.get(f"battery.{kind}", "")) for kind in (RUNTIME, CHARGE))
    by_charge, by_runtime = None, low[RUNTIME]
    if runtime is not None and charge and low[CHARGE] is not None:
        by_charge = min(runtime, runtime * (low[CHARGE] or 0) / charge)
    if runtime is not None and by_runtime is not None:
        by_runtime = min(by_runtime, runtime)
    if found.ignorelb:
        known = [each for each in (by_runtime, by_charge) if each is not None]
        return max(known, default=None)
    return by_charge if by_runtime is None else by_runtime


def given(inputs: Inputs) -> Given:
    """The time from the start of the shutdown on a host until its battery is empty."""
    if inputs.ups is None:
        return Given(None, "", "ups.conf has no UPS yet: nutwizard step driver")
    low = at_low(inputs.ups)
    after = timer_seconds(inputs)
    return low if after is None else _by_timer(inputs.ups, after, low)


def timer_seconds(inputs: Inputs) -> int | None:
    """Seconds on battery after which a timer forces the shutdown; None without one."""
    return min((each.seconds for each in inputs.timers if each.event == "ONBATT"), default=None)


def runtime_of(ups: Ups | None) -> float | None:
    """How long the battery lasts from now on, by the UPS's own estimate; None where it tells none."""
    if ups is None or not ups.values.get("ups.status"):
        return None
    return number(ups.values.get("battery.runtime", ""))


def _by_timer(ups: Ups, after: int, low: Given) -> Given:
    """A timer, or a low battery before it: the shutdown starts with whichever comes first."""
    runtime = runtime_of(ups)
    starts = f"after {after} s on battery"
    if runtime is None:
        why = f"{ups.name} tells no battery.runtime, so nobody knows what is left after the timer's {after} s"
        return low if low.seconds is not None else Given(None, starts, why)
    left = max(0.0, runtime - after)
    if low.seconds is not None and low.seconds >= left:
        return low
    return Given(left, starts, f"battery.runtime {runtime:.0f} s less the timer's {after} s")


def at_low(ups: Ups) -> Given:
    """By the limit that NUT compares, or by what the UPS says of its own."""
    found, values = ups.low, ups.values
    if not values.get("ups.status"):
        return Given(None, "at low battery", "the server tells nothing of the UPS now: nutwizard check")
    if not found.ignorelb:
        # With the UPS alone deciding nobody compares our limits: they are only shown.
        found = replace(found, limits={}, others=())
        values = without_ours(ups, lowbatt=ups.driver in _SHOWS)
    seconds = left_when_low(found, values)
    if seconds is None:
        return Given(None, "at low battery", _unknown(ups))
    return Given(seconds, *_words(found, values, seconds))


def without_ours(ups: Ups, *, lowbatt: bool) -> Mapping[str, str]:
    """The UPS's variables but for the limits that lines of ups.conf show, with `lowbatt` that one's, too."""
    ours = {f"battery.{kind}.low" for kind in (*ups.low.limits, *ups.low.others)}
    if lowbatt and ups.low.lowbatt:
        ours.add("battery.charge.low")
    return {name: value for name, value in ups.values.items() if name not in ours}


def _words(found: Found, values: Mapping[str, str], seconds: float) -> tuple[str, str, Basis]:
    """What starts the shutdown, why so much is left then, and how that is known."""
    who = "NUT's limit" if found.ignorelb else "the UPS's own limit"
    by_runtime, by_charge = (limit_of(found, values, kind) for kind in (RUNTIME, CHARGE))
    if by_runtime is not None and seconds == by_runtime:
        basis = Basis.CONFIGURED if found.ignorelb else Basis.ASSUMED
        return f"below {by_runtime:.0f} s of runtime", f"{who}, battery.runtime.low {by_runtime:.0f} s", basis
    runtime = number(values.get("battery.runtime", "")) or 0.0
    if by_charge is None or seconds >= runtime:
        return "at once", f"the limit is passed already: battery.runtime {runtime:.0f} s", Basis.ASSUMED
    why = f"{who}, battery.charge.low {by_charge:.0f} %, of the {runtime:.0f} s that the UPS tells now"
    return f"below {by_charge:.0f} %", why, Basis.ASSUMED


def _unknown(ups: Ups) -> str:
    """Why nobody can tell what is left at low battery."""
    if ups.low.ignorelb:
        return f"{ups.name} reports nothing of what NUT's limit is compared with"
    shown = " (lowbatt only changes what is shown)" if ups.low.lowbatt and ups.driver in _SHOWS else ""
    if runtime_of(ups) is None:
        return f"the UPS decides by itself when its battery is low{shown}, and it reports no battery.runtime"
    return f"the UPS decides by itself when its battery is low, and does not say where{shown}"
