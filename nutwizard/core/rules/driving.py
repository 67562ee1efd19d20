"""Rules about drivers: the lines that they take, whether they run on them, how fresh their data is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nutwizard.core import lowbattery, paths, timing
from nutwizard.core.delays import BLAZER, CYBERPOWER, GUIDE, MINUTE, delay_problems
from nutwizard.core.drivers import refused, untried
from nutwizard.core.facts import Role, UnitFact
from nutwizard.core.links import DriverData, Finding, LinkId, Reachable
from nutwizard.core.logtexts import Kind, Row
from nutwizard.core.rules.devices import drivers_of, line_of, vendor_of
from nutwizard.core.rules.rule import HOST, Look, Rule, Severity, Spot
from nutwizard.core.units import ALL_DRIVERS, driver_unit

#: offdelay and ondelay where ups.conf has none, as the drivers' manual pages say: seconds; blazer's second
#: is in minutes.
_OWN_DELAYS = {
    "usbhid-ups": (20, 30),
    "mge-shut": (20, 30),
    "nutdrv_qx": (30, 180),
    **dict.fromkeys(BLAZER, (30, 3)),
}
#: From this version on usbhid-ups has delays of its own for CyberPower.
_CYBERPOWER_SINCE, _CYBERPOWER_DELAYS = (2, 8, 3), (MINUTE, 2 * MINUTE)
#: So often in the log's ten minutes is no accident.
_OFTEN = 3
#: Seconds after the power cut in which lost data is a consequence of it.
_SOON = 60.0
_GONE = (Kind.COMMBAD, Kind.NOCOMM, Kind.STALE)
#: The driver takes these from elsewhere, too, or shows them in other words.
_NOT_COMPARED = frozenset({"port", "driver", "pollinterval", "synchronous"})


def unit_of(look: Look, ups: str) -> UnitFact:
    """The unit that runs the driver of this UPS: its own, or the one of all drivers before NUT 2.8."""
    unit = look.facts.unit(driver_unit(ups))
    return unit if unit.load != "not-found" else look.facts.unit(ALL_DRIVERS)


def served(look: Look, ups: str) -> bool:
    """Whether the server has data of this UPS now, so that a driver runs, whoever started it."""
    return "ups.status" in look.values.get(ups, {})


def restart_of(look: Look, ups: str) -> str:
    """The command that starts this UPS's driver anew."""
    return f"systemctl restart {unit_of(look, ups).name}"


def _delays(look: Look) -> Iterator[Spot]:
    for name, driver in drivers_of(look):
        cyberpower = vendor_of(look, name) == CYBERPOWER
        off, on = delays_of(look, name)
        wrong = {problem.text for problem in delay_problems(driver, off, on, False)}
        unset = [key for key in ("offdelay", "ondelay") if look.ups_conf.get(name, key) is None]
        for problem in delay_problems(driver, off, on, cyberpower):
            key = problem.field.rpartition(".")[2]
            own_counts = f" ({' and '.join(unset)} not set: the driver's own)" if unset else ""
            yield Spot(
                f"{name}: {problem.text}{own_counts}",
                paths.UPS_CONF,
                line_of(look.ups_conf, name, key, "offdelay", "driver"),
                severity=None if problem.text in wrong else Severity.WARNING,
            )


def delays_of(look: Look, name: str) -> tuple[int | None, int | None]:
    """The offdelay and the ondelay in force, as the driver counts; None for one that is not known."""
    driver = look.ups_conf.get(name, "driver") or ""
    off, on = _OWN_DELAYS.get(driver, (None, None))
    if driver == "usbhid-ups" and look.version >= _CYBERPOWER_SINCE and vendor_of(look, name) == CYBERPOWER:
        off, on = _CYBERPOWER_DELAYS
    return _number(look, name, "offdelay", off), _number(look, name, "ondelay", on)


def _number(look: Look, name: str, key: str, default: int | None) -> int | None:
    text = look.ups_conf.get(name, key)
    if text is None:
        return default
    return int(text) if re.fullmatch(r"-?[0-9]{1,6}", text) else None


def _older_options(look: Look) -> Iterator[Spot]:
    told = {
        found.link.target.ups: found.evidence
        for found in look.broken(LinkId.DRIVER)
        if isinstance(found.link.target, DriverData) and "older options" in found.cause
    }
    changed = look.facts.file(paths.UPS_CONF).changed
    for name, _ in drivers_of(look):
        unit = unit_of(look, name)
        fix = restart_of(look, name)
        line = look.ups_conf.headers(name)[0]
        if name in told:
            yield Spot(f"{name}: {told[name]}", paths.UPS_CONF, line, fix)
        elif unit.running and unit.older_than(changed):
            # The enumerator restarts a driver only when its own section has changed, so that its start may
            # well be older than the file: what it runs with decides, where that can be seen.
            if not served(look, name):
                message = f"the driver of {name} started before ups.conf was last written"
                yield Spot(message, paths.UPS_CONF, line, fix, Severity.WARNING)
            elif others := _other_options(look, name):
                message = f"the driver of {name} runs with other values of {', '.join(others)}"
                yield Spot(message, paths.UPS_CONF, line, fix)


def _other_options(look: Look, name: str) -> list[str]:
    """The options that the running driver shows otherwise than the file has them."""
    shown, document = look.values[name], look.ups_conf
    own = document.values(name)
    file = {f"driver.parameter.{key}": values[-1] for key, values in own.items() if values}
    wanted = {key: value for key, value in file.items() if key in shown}
    wanted |= {f"driver.parameter.{key}": document.get(name, key) or "" for key in GUIDE}
    wanted |= lowbattery.expected(lowbattery.read(document, name))
    differ = (key for key, value in wanted.items() if not _same(shown.get(key, ""), value))
    names = (key.removeprefix("driver.parameter.").removeprefix("driver.flag.") for key in differ)
    return sorted(set(names) - _NOT_COMPARED)


def _same(found: str, wanted: str) -> bool:
    try:
        return float(found) == float(wanted)
    except ValueError:
        return found == wanted


def _stale(look: Look) -> Iterator[Spot]:
    host = look.role is Role.HOST
    now = {ups: found for found in look.broken(LinkId.DRIVER) if (ups := _stale_ups(found))}
    slow = dict(_slow(look)) if host else {}
    # A driver also answers upsd between two polls, so that this alone makes no data stale (seen with 2.8.0).
    for spot in slow.values():
        yield Spot(spot.message, spot.file, spot.line, spot.fix, Severity.NOTE)
    away = "" if host else "on the host: journalctl -u 'nut-driver@*', and its cable"
    for name, found in now.items():
        yield Spot(f"{name}: {found.evidence.rstrip('.')}", fix=away, echoes=True)
    counts: dict[str, int] = {}
    for row in look.rows:
        if row.kind is Kind.STALE:
            counts[row.ups] = counts.get(row.ups, 0) + row.count
    for name, count in counts.items():
        if count >= _OFTEN and name not in now:
            message = f"{name}: its data went stale {count} times in the last ten minutes"
            yield Spot(message, severity=Severity.WARNING, fix=away)


def _stale_ups(found: Finding) -> str:
    """The UPS whose data was found stale, "" where something else was found."""
    target = found.link.target
    if not isinstance(target, DriverData | Reachable):
        return ""
    stale = "stale" in found.cause or "no longer sends fresh data" in found.evidence
    return target.ups if stale else ""


def _slow(look: Look) -> Iterator[tuple[str, Spot]]:
    """The UPSes that are polled so seldom that upsd may take their data for stale."""
    most = timing.maxage(look.upsd)
    everywhere = look.ups_conf.globals().get("pollinterval", ("",))[-1:]
    for name, _ in drivers_of(look):
        text = look.ups_conf.get(name, "pollinterval")
        section = name if text is not None else None
        text = text if text is not None else "".join(everywhere)
        if re.fullmatch(r"[0-9]{1,6}", text) and int(text) >= most:
            message = f"{name}: pollinterval {text} s is not below upsd's MAXAGE of {most} s"
            fix = f"take a pollinterval of {max(1, most // 3)} s or less, then {restart_of(look, name)}"
            yield name, Spot(message, paths.UPS_CONF, line_of(look.ups_conf, section, "pollinterval"), fix)


def _lost_on_battery(look: Look) -> Iterator[Spot]:
    own = {monitor.system for monitor in look.monitors if monitor.local} | set(look.ups_conf.names())
    cuts = [row for row in look.rows if row.kind is Kind.ONBATT]
    lost = [row for row in look.rows if row.kind in _GONE and row.ups in own]
    names = [_ups(row) for row in lost if any(_followed(cut, row) for cut in cuts)]
    for name in dict.fromkeys(names):
        flagged = look.ups_conf.has(name) and look.ups_conf.flag(name, "pollonly")
        taken = look.ups_conf.has(name) and look.ups_conf.get(name, "driver") == "usbhid-ups"
        fix = "take NUT 2.8.3 or newer, and another cable or port"
        if taken and not flagged:
            fix = f"the flag pollonly in the section [{name}] of ups.conf, or NUT 2.8.3 or newer"
        line = look.ups_conf.headers(name)[0] if look.ups_conf.has(name) else 0
        message = f"{name}: its data was lost within {_SOON:.0f} s after the power cut"
        yield Spot(message, paths.UPS_CONF, line, fix)


def _ups(row: Row) -> str:
    return row.ups.partition("@")[0]


def _followed(cut: Row, row: Row) -> bool:
    """Whether this happened soon after the cut; of rows that stand for several only first and last count."""
    times = ((cut.first, row.first), (cut.first, row.last), (cut.last, row.first), (cut.last, row.last))
    return _ups(cut) == _ups(row) and any(0 <= after - before <= _SOON for before, after in times)


def _refused(look: Look) -> Iterator[Spot]:
    for name, driver in drivers_of(look):
        runs = unit_of(look, name).running or served(look, name)
        if runs and not untried(look.facts, name):
            continue  # it has taken every line
        for key in refused(look.facts, driver, look.ups_conf.values(name)):
            message = f"{driver} has no variable {key} and ends at it, with exit code 0"
            yield Spot(message, paths.UPS_CONF, line_of(look.ups_conf, name, key))


def _no_ups(look: Look) -> Iterator[Spot]:
    """A server may be told to run without one (ALLOW_NO_DEVICE, from 2.8.0 on)."""
    allowed = look.upsd.get("ALLOW_NO_DEVICE")
    without = allowed is not None and allowed.args[0].lower() in ("true", "yes", "on", "1")
    if not look.ups_conf.names() and not without:
        yield Spot("it has no section, or none that NUT reads", paths.UPS_CONF)


RULES = (
    Rule(
        "NW05",
        "the UPS may stay off, or turn off at once",
        LinkId.POWEROFF,
        Severity.BROKEN,
        "offdelay and ondelay decide when the UPS cuts the power and when it gives power again",
        _delays,
        step="driver",
        roles=HOST,
    ),
    Rule(
        "NW19",
        "the driver runs on older options than ups.conf has",
        LinkId.DRIVER,
        Severity.BROKEN,
        "a driver reads ups.conf only when it starts",
        _older_options,
        roles=HOST,
        echoes=True,
    ),
    Rule(
        "NW20",
        "the data of the UPS is stale",
        LinkId.DRIVER,
        Severity.BROKEN,
        "upsd gives no data that is older than MAXAGE: while that lasts, nobody learns of a power cut",
        _stale,
        fix="look at cable, port and driver: journalctl -u 'nut-driver*'",
    ),
    Rule(
        "NW21",
        "the UPS is lost just when the power fails",
        LinkId.DRIVER,
        Severity.WARNING,
        "some UPSes leave the USB for a moment when they switch to battery, and the driver does not follow",
        _lost_on_battery,
        roles=HOST,
    ),
    Rule(
        "NW39",
        "ups.conf has lines that the driver ends at",
        LinkId.DRIVER,
        Severity.BROKEN,
        "a driver ends at a variable that it does not know, with exit code 0: systemd sees no failure",
        _refused,
        step="driver",
        roles=HOST,
    ),
    Rule(
        "NW48",
        "there is no UPS in ups.conf",
        LinkId.DRIVER,
        Severity.BROKEN,
        "without a section no driver starts, and upsd ends at its start",
        _no_ups,
        step="driver",
        roles=HOST,
    ),
)
