"""Rules about a low battery: whether it is told, too early or never, and whether the guests have the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nutwizard.core import lowbattery, paths
from nutwizard.core.budget.battery import left_when_low, limit_of, number
from nutwizard.core.budget.guests import groups_of, patience
from nutwizard.core.clients import few
from nutwizard.core.facts import Kind, Role
from nutwizard.core.guests import Guest
from nutwizard.core.links import LinkId
from nutwizard.core.rules.devices import drivers_of, line_of
from nutwizard.core.rules.events import calls_upssched, script_of
from nutwizard.core.rules.rule import HOST, Look, Rule, Severity, Spot
from nutwizard.core.upsmon import local_primary

#: Per cent from which on a battery is not low by any measure.
_FULL = 90
#: Drivers whose devices say low battery by a bit or a contact, and have no limit to show.
_NO_LIMIT_SHOWN = frozenset(
    "blazer_usb blazer_ser nutdrv_qx nutdrv_atcl_usb genericups richcomm_usb clone dummy-ups".split()
)


def forces(look: Look) -> bool:
    """Whether upssched's script has a forced shutdown of its own, so that no low battery is needed."""
    script = script_of(look)
    if script is None or script.content is None or not calls_upssched(look):
        return False
    return bool(look.upssched.entries("AT")) and b"-c fsd" in script.content.data


def _early(look: Look) -> Iterator[Spot]:
    told: set[str] = set()
    for name, _ in drivers_of(look):
        for spot in _limits(look, name):
            told.add(name)
            yield spot
    for name, values in look.values.items():
        status, charge = set(values.get("ups.status", "").split()), number(values.get("battery.charge", ""))
        full = charge is not None and charge >= _FULL
        if full and name not in told and {"OL", "LB"} <= status and "CAL" not in status:
            message = (
                f"{name} says low battery (LB) on line power and at {charge:.0f} %: the next power cut shuts"
                " everything down at once"
            )
            away = "" if look.role is Role.HOST else "on the host: "
            fix = f"{away}test the battery, it may be worn out; and look at its limits: nutwizard step driver"
            yield Spot(message, fix=fix)


def _limits(look: Look, name: str) -> Iterator[Spot]:
    """What NUT compares, where `ignorelb` makes it: each limit that is passed already, or almost."""
    found, values = lowbattery.read(look.ups_conf, name), look.values.get(name, {})
    calm = "OL" in values.get("ups.status", "").split()
    for kind in lowbattery.OWN_LIMIT if found.ignorelb else ():
        limit, now = limit_of(found, values, kind), number(values.get(f"battery.{kind}", ""))
        unit, line = lowbattery.UNITS[kind], _limit_line(look, name, kind)
        if limit is None:
            continue
        if kind == lowbattery.CHARGE and limit >= lowbattery.EARLY:
            message = (
                f"{name} counts as low below {limit:.0f} %: the shutdown begins almost with the power cut"
            )
            yield Spot(message, paths.UPS_CONF, line)
        elif calm and now is not None and now <= limit:
            message = (
                f"{name} has {now:.0f} {unit} of {kind}, and counts as low below {limit:.0f} {unit}: the next"
                " power cut shuts everything down at once"
            )
            yield Spot(message, paths.UPS_CONF, line)


def _limit_line(look: Look, name: str, kind: str) -> int:
    """The line of our limit, which may be in any case, else that of the flag."""
    wanted = lowbattery.variable(kind)
    keys = [key for key in look.ups_conf.values(name) if key.lower() == wanted]
    return line_of(look.ups_conf, name, *keys, lowbattery.FLAG)


def _never(look: Look) -> Iterator[Spot]:
    for name, driver in drivers_of(look):
        values = look.values.get(name, {})
        if "ups.status" not in values or driver == "dummy-ups":
            continue
        found = lowbattery.read(look.ups_conf, name)
        if found.ignorelb:
            yield from _not_compared(look, name, found, values)
            continue
        shown = [kind for kind in lowbattery.OWN_LIMIT if f"battery.{kind}.low" in values]
        if not shown and driver not in _NO_LIMIT_SHOWN and not forces(look):
            message = f"{name} shows no limit (battery.charge.low, battery.runtime.low): it may never be low"
            line = line_of(look.ups_conf, name, "driver")
            severity = Severity.WARNING if driver == "usbhid-ups" else Severity.NOTE
            yield Spot(message, paths.UPS_CONF, line, severity=severity)
        if driver == "usbhid-ups":
            for kind in found.limits:
                message = (
                    f"{lowbattery.variable(kind)} is only shown, as long as {lowbattery.FLAG} is not set"
                )
                line = _limit_line(look, name, kind)
                yield Spot(message, paths.UPS_CONF, line, severity=Severity.NOTE)


def _not_compared(
    look: Look, name: str, found: lowbattery.Found, values: Mapping[str, str]
) -> Iterator[Spot]:
    """Limits for what the UPS does not report: NUT has no other way to say low battery with `ignorelb`."""
    ours = {variable: variable in values for variable in lowbattery.compared(found)}
    lacking = [variable for variable, there in ours.items() if not there]
    whole = [
        kind
        for kind in lowbattery.OWN_LIMIT
        if f"battery.{kind}" in values and (f"battery.{kind}" in ours or f"battery.{kind}.low" in values)
    ]
    line = line_of(look.ups_conf, name, lowbattery.FLAG)
    if not whole:
        what = " and no ".join(lacking or ["limit that NUT could compare"])
        severity = Severity.WARNING if forces(look) else None
        message = f"{name} reports no {what}: with {lowbattery.FLAG} low battery (LB) never comes"
        yield Spot(message, paths.UPS_CONF, line, severity=severity)
    elif lacking:
        message = f"{name} reports no {' and no '.join(lacking)}: the limit for it is never compared"
        severity = Severity.NOTE if any(ours.values()) else Severity.WARNING
        yield Spot(message, paths.UPS_CONF, line, severity=severity)


def _budget(look: Look) -> Iterator[Spot]:
    own = local_primary(look.monitors, look.version)
    left = None if own is None or forces(look) else _left(look, own.ups)
    if look.facts.kind is not Kind.PVE or left is None:
        return
    slowest = _slowest(look.facts.guests())
    need = sum(map(patience, slowest))
    if need <= left:
        return
    silent = [each for each in slowest if each.kind is Kind.VM and not each.agent and each.down is None]
    names = [f"{each.id} ({each.name})" if each.name else str(each.id) for each in silent]
    also = f"; without a guest agent: {few(names)}" if names else ""
    yield Spot(
        f"by their time-outs the guests may take {need} s to stop, and at low battery about {left:.0f} s are"
        f" left (a first estimate){also}",
        fix="shorter time-outs (Options, Start/Shutdown order) and the guest agent, or an earlier limit:"
        " nutwizard step driver",
    )


def _left(look: Look, ups: str) -> float | None:
    """Seconds that the battery has when it is low; None where the UPS does not tell enough."""
    if not look.ups_conf.has(ups):
        return None
    return left_when_low(lowbattery.read(look.ups_conf, ups), look.values.get(ups, {}))


def _slowest(guests: Iterable[Guest]) -> list[Guest]:
    """Of each place in the order the guest with the longest time-out: one place ends before the next."""
    return [max(group, key=patience) for _, _, group in groups_of(guests)]


RULES = (
    Rule(
        "NW08",
        "the shutdown begins with the power cut",
        LinkId.SHUTDOWN,
        Severity.WARNING,
        "on battery and low battery together shut everything down",
        _early,
        step="driver",
    ),
    Rule(
        "NW09",
        "low battery may never come",
        LinkId.SHUTDOWN,
        Severity.BROKEN,
        "upsmon shuts down when the UPS is on battery and its battery is low: without that it never does",
        _never,
        step="driver",
        roles=HOST,
    ),
    Rule(
        "NW36",
        "the guests may take longer than the battery lasts",
        LinkId.SHUTDOWN,
        Severity.WARNING,
        "the host waits for its guests, each place of their order after the other, while the battery empties",
        _budget,
        roles=HOST,
    ),
)
