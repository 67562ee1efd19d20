"""Rules about what runs: the mode, the units, the packages, and upsmon's watch over the server."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nutwizard.core import paths, timing
from nutwizard.core.facts import Door, Role, UnitFact
from nutwizard.core.links import LinkId
from nutwizard.core.outside import NO
from nutwizard.core.rules.devices import drivers_of
from nutwizard.core.rules.driving import restart_of, served, unit_of
from nutwizard.core.rules.ending import hook_of
from nutwizard.core.rules.rule import CLIENT, HOST, Look, Rule, Severity, Spot
from nutwizard.core.units import ENUMERATOR, ENUMERATOR_PATH, MONITOR, SERVER, TARGET
from nutwizard.formats.shellfile import MODES

#: From this version on nut.target is what starts NUT's units at boot, enabled or not: it wants them.
_TARGET_SINCE = (2, 8, 0)
#: It takes a short loss of the server for the end, while the UPS is on battery (2.8.3 mended it).
_HASTY = (2, 8, 2)
#: `Line 3: ....` as the format layer says it.
_PROBLEM = re.compile(r"(?:Line (?P<line>\d+): )?(?P<text>.*?)\.?", re.DOTALL)
#: The problems of which it cannot be told whether MODE is right all the same.
_UNSURE = re.compile(r"not certain|need not run|is run (?:here|as root)")
#: Which of a machine's units runs which daemon.
_DAEMONS = {MONITOR: "upsmon", SERVER: "upsd"}
_PACKAGES = {MONITOR: "nut-client", SERVER: "nut-server"}


def mode_of(look: Look) -> str | None:
    """MODE of nut.conf; None where it is not set or not certain. Debian's wrappers alone look at it."""
    return look.view.shell(paths.NUT_CONF).get("MODE") if look.facts.nut.packages else None


def mode_line(look: Look) -> int:
    """The line of MODE, 0 without one."""
    return look.view.shell(paths.NUT_CONF).line("MODE") or 0


def _cut_at_reboot(look: Look) -> Iterator[Spot]:
    """Without any MODE, or with a word that they do not know, Debian's wrappers end with 1: no cut then."""
    names, hook = look.ups_conf.names(), hook_of(look)
    if mode_of(look) == "none" and names and hook is not None and hook.runnable:
        message = f"MODE is none, and ups.conf has {', '.join(names)}: a plain reboot cuts the power"
        fix = "do not reboot before this is mended: nutwizard step mode, or take the section out of ups.conf"
        yield Spot(message, paths.NUT_CONF, mode_line(look), fix)


def _mode(look: Look) -> Iterator[Spot]:
    if not look.facts.nut.packages:
        return
    document, mode = look.view.shell(paths.NUT_CONF), mode_of(look)
    if (problem := document.problem("MODE")) is not None:
        found = _PROBLEM.fullmatch(problem)
        text, line = (found["text"], int(found["line"] or 0)) if found else (problem, 0)
        unsure = Severity.WARNING if mode in MODES or _UNSURE.search(text) else None
        yield Spot(text, paths.NUT_CONF, line, severity=unsure)
    elif mode == "none":
        yield Spot("MODE is none: neither upsd nor upsmon runs", paths.NUT_CONF, mode_line(look))
    elif mode == "netclient" and look.role is Role.HOST:
        yield Spot("MODE is netclient: upsd does not run", paths.NUT_CONF, mode_line(look))


def _dead(look: Look) -> Iterator[Spot]:
    running = {daemon.name for daemon in look.facts.daemons()} if look.facts.door is Door.LIVE else set()
    for name in (MONITOR, SERVER) if look.role is Role.HOST else (MONITOR,):
        if running and look.facts.unit(name).running and _DAEMONS[name] not in running:
            message = f"{name} is active, and no {_DAEMONS[name]} runs"
            yield Spot(message, fix=f"systemctl restart {name}; if it stays: journalctl -u {name}")


def _mode_and_daemons(look: Look) -> Iterator[Spot]:
    yield from _mode(look)
    yield from _dead(look)


def _driver_units(look: Look) -> Iterator[Spot]:
    if not look.facts.units:
        return
    watched = {monitor.ups for monitor in look.monitors if monitor.local}
    making = look.facts.unit(ENUMERATOR).enabled not in ("disabled", "masked", "")
    well = True
    for name, _ in drivers_of(look):
        unit, runs = unit_of(look, name), served(look, name)
        line = look.ups_conf.headers(name)[0]
        severity = Severity.WARNING if runs or (watched and name not in watched) else None
        wrong = _not_running(unit, name)
        if wrong:
            also = ", though a driver runs, which somebody else has started" if runs else ""
            yield Spot(f"{wrong}{also}", paths.UPS_CONF, line, _to_run(look, unit, name), severity)
        elif unit.enabled == "disabled" and not making:
            message = f"{unit.name} is not enabled, and nothing else starts the driver of {name} at boot"
            fix = f"systemctl enable {unit.name}"
            yield Spot(message, paths.UPS_CONF, line, fix, Severity.WARNING)
        well = well and not wrong and unit.enabled != "disabled"
    yield from _enumerator(look, well)


def _not_running(unit: UnitFact, name: str) -> str:
    """What is wrong with the unit of this UPS's driver, "" where it runs."""
    if unit.load == "masked":
        return f"{unit.name} is masked: the driver of {name} cannot start"
    if not unit.present:
        return f"there is no unit for the driver of {name}"
    return "" if unit.running else f"{unit.name} is {unit.active}: the driver of {name} does not run"


def _to_run(look: Look, unit: UnitFact, name: str) -> str:
    if unit.load == "masked":
        return f"systemctl unmask {unit.name}; then nutwizard step services"
    if not unit.present:
        return f"systemctl restart {ENUMERATOR}"
    return f"{restart_of(look, name)}; if it stays: journalctl -u {unit.name}"


def _enumerator(look: Look, well: bool) -> Iterator[Spot]:
    """What makes the drivers' units is off: worth knowing, and more where a driver's own unit is not well."""
    off = [name for name in (ENUMERATOR, ENUMERATOR_PATH) if look.facts.unit(name).enabled == "disabled"]
    if off and drivers_of(look):
        message = (
            f"{' and '.join(off)} not enabled: a change of ups.conf does not reach the drivers by itself"
        )
        fix = f"systemctl enable --now {' '.join(off)}; or restart the driver yourself after each change"
        yield Spot(message, fix=fix, severity=Severity.NOTE if well else Severity.WARNING)


def _too_much(look: Look) -> Iterator[Spot]:
    has = "nut-server" in look.facts.nut.packages and not look.ups_conf.names()
    failed = look.facts.unit(SERVER).active == "failed"
    if has and (failed or mode_of(look) == "netclient"):
        state = "has failed" if failed else "does nothing here"
        message = f"the package nut-server is installed, and a client needs nut-client alone: upsd {state}"
        yield Spot(message)


def _no_server(look: Look) -> Iterator[Spot]:
    names = look.ups_conf.names()
    if names and mode_of(look) == "netclient":
        message = f"MODE is netclient, and ups.conf has {', '.join(names)}: the upsd for it does not start"
        yield Spot(message, paths.NUT_CONF, mode_line(look))


def _units(look: Look) -> Iterator[Spot]:
    needed = (SERVER, MONITOR) if look.role is Role.HOST else (MONITOR,)
    asked = [unit for name in needed if (unit := look.facts.units.get(name)) is not None]
    for unit in asked:
        if unit.load == "masked":
            message = f"{unit.name} is masked: it cannot be started"
            yield Spot(message, fix=f"systemctl unmask {unit.name}; then nutwizard step services")
        elif not unit.present:
            message = f"there is no {unit.name}"
            yield Spot(message, fix=f"apt install {_PACKAGES[unit.name]}; then nutwizard step services")
    target = look.facts.units.get(TARGET)
    if look.version < _TARGET_SINCE or (target is not None and not target.present):
        # No such target: each unit is on its own.
        for unit in asked:
            if unit.present and unit.enabled == "disabled":
                yield Spot(f"{unit.name} is not enabled: after a reboot it does not run")
    if look.version >= _TARGET_SINCE and target is not None:
        if target.load == "masked":
            message = "nut.target is masked: after a reboot nothing of NUT runs"
            yield Spot(message, fix="systemctl unmask nut.target; then nutwizard step services")
        elif target.present and target.enabled == "disabled":
            yield Spot("nut.target is not enabled: after a reboot nothing of NUT runs")


def _hasty(look: Look) -> Iterator[Spot]:
    values = {name: timing.seconds(look.upsmon, name) for name in ("POLLFREQ", "POLLFREQALERT", "DEADTIME")}
    used = {name: timing.DEFAULTS[name] if found is None else found for name, found in values.items()}
    if wrong := timing.deadtime_problem(used):
        entries = [look.upsmon.get(name) for name in ("DEADTIME", "POLLFREQ", "POLLFREQALERT")]
        line = next((entry.line for entry in entries if entry is not None), 0)
        yield Spot(wrong, paths.UPSMON_CONF, line, "nutwizard step timing")
    if look.version == _HASTY and look.monitors:
        message = "NUT 2.8.2 on battery shuts this machine down when the server is lost for a few seconds"
        yield Spot(message, fix="take NUT 2.8.3 or newer")
    if look.role is Role.HOST and look.outside.switch == NO:
        message = "the network between this host and its clients is not on the UPS: on battery they lose it"
        fix = "give switch and cables between them power from the UPS; then nutwizard step outside"
        yield Spot(message, fix=fix)


def _not_on_it(look: Look) -> Iterator[Spot]:
    if look.outside.load == NO:
        fix = "plug it into a battery-backed outlet of the UPS, then: nutwizard step outside"
        yield Spot("it is not on a battery outlet of the UPS that it watches, as it was answered", fix=fix)


RULES = (
    Rule(
        "NW04",
        "a plain reboot cuts the power",
        LinkId.POWEROFF,
        Severity.BROKEN,
        "with MODE=none Debian's upsmon says yes when the hook asks whether the UPS is to cut the power",
        _cut_at_reboot,
    ),
    Rule(
        "NW18",
        "the driver's unit does not run, or will not come back",
        LinkId.DRIVER,
        Severity.BROKEN,
        "without its driver upsd has no data of the UPS",
        _driver_units,
        roles=HOST,
    ),
    Rule(
        "NW25",
        "NUT does not run though its units look well",
        LinkId.BOOT,
        Severity.BROKEN,
        "Debian starts upsd and upsmon only where MODE of nut.conf says so, and is silent where it does not",
        _mode_and_daemons,
        step="mode",
    ),
    Rule(
        "NW26",
        "a client with the server's package",
        LinkId.BOOT,
        Severity.NOTE,
        "its units start for nothing, and systemd may call the machine degraded",
        _too_much,
        fix="apt remove nut nut-server, unless a UPS is to be served from here",
        roles=CLIENT,
    ),
    Rule(
        "NW27",
        "a unit that has to run is not there, or does not come back",
        LinkId.BOOT,
        Severity.BROKEN,
        "what is masked never starts, and what nothing wants does not start at boot",
        _units,
        step="services",
    ),
    Rule(
        "NW28",
        "a short loss of the server shuts a machine down",
        LinkId.UPSMON,
        Severity.WARNING,
        "on battery upsmon takes a server that it has lost for DEADTIME for a low battery",
        _hasty,
        step="timing",
    ),
    Rule(
        "NW47",
        "a client has a UPS that nobody serves",
        LinkId.UPSD,
        Severity.WARNING,
        "with MODE=netclient upsd does not start, whatever ups.conf has",
        _no_server,
        fix="if this machine is to serve it: nutwizard --role host; if not, take the section out of ups.conf",
        roles=CLIENT,
    ),
    Rule(
        "NW49",
        "this machine is not on the UPS",
        LinkId.POWEROFF,
        Severity.BROKEN,
        "a machine on another outlet loses its power at once, whatever NUT does",
        _not_on_it,
        step="outside",
        roles=HOST,
    ),
)
