"""Rules about the end: the machines' shutdown, the flag and the hook that cut the power, and what is left."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from nutwizard.core import paths, timing
from nutwizard.core.clients import guest_name, read_list, same_address
from nutwizard.core.facts import Door, Kind, Role
from nutwizard.core.links import LinkId
from nutwizard.core.outside import NO
from nutwizard.core.programs import UNKNOWN, ProgramFact
from nutwizard.core.rules.devices import line_of
from nutwizard.core.rules.driving import delays_of
from nutwizard.core.rules.rule import HOST, Look, Rule, Severity, Spot
from nutwizard.core.server import is_primary
from nutwizard.core.shutdown import Verdict, judge
from nutwizard.core.site import Client
from nutwizard.core.upsmon import local_primary

#: Where the hook lies that tells the UPS to cut the power; with a merged /usr they are one.
HOOKS = ("/lib/systemd/system-shutdown/nutshutdown", "/usr/lib/systemd/system-shutdown/nutshutdown")
_FOLDERS = ("/sbin", "/usr/sbin")
#: What upsmon writes into its flag, and wants to find there.
_MAGIC = b"upsmon-shutdown-file"
#: Seconds: most machines have stopped by then.
_ENOUGH = 120
#: From this version on upsmon shuts down for a UPS that is OFF for as long as OFFDURATION says.
_OFF_SINCE, _OFFDURATION = (2, 8, 1), 30
#: From this version on the hook knows POWEROFF_WAIT.
_WAIT_SINCE = (2, 8, 0)


def hook_of(look: Look) -> ProgramFact | None:
    """The hook that cuts the power; None where there is none."""
    found = map(look.facts.program, HOOKS)
    return next((each for each in found if each.kind == "file"), None)


def counted(look: Look) -> set[str]:
    """The UPSes whose end is this machine's: those with a power value."""
    return {monitor.ups for monitor in look.monitors if monitor.entry.args[1] != "0"}


def _left_alone(look: Look) -> Iterator[Spot]:
    return _foreign_clients(look) if look.role is Role.HOST else _logs_out(look)


def _foreign_clients(look: Look) -> Iterator[Spot]:
    """Guests are stopped by this host's own shutdown; others have FINALDELAY, that, and offdelay."""
    known = look.facts.files.get(paths.CLIENTS_LIST)
    final = timing.seconds(look.upsmon, "FINALDELAY")
    final = timing.DEFAULTS["FINALDELAY"] if final is None else final
    own = local_primary(look.monitors, look.version)
    off = delays_of(look, own.ups)[0] if own is not None and look.ups_conf.has(own.ups) else None
    if look.facts.kind is not Kind.PVE or known is None or final + (off or 0) >= _ENOUGH:
        return
    cut = f"and offdelay ({off} s)" if off is not None else "and the UPS's own delay"
    for client in read_list(known.data):
        if client.addresses and not _is_guest(look, client):
            yield Spot(
                f"{client} is no guest of this host: HOSTSYNC does not wait for its shutdown. It has"
                f" FINALDELAY ({final} s), this host's own shutdown {cut} until the power goes",
                paths.CLIENTS_LIST,
                fix="a FINALDELAY as long as it needs: nutwizard step timing; with NUT 2.8.1 or newer on it,"
                " SHUTDOWNEXIT no there makes HOSTSYNC wait",
            )


def _is_guest(look: Look, client: Client) -> bool:
    """By an address, or by the name, since not every guest's address is known."""
    return any(
        guest_name(guest.name, guest.id).lower() == client.name.lower()
        or any(same_address(one, other) for one in guest.addresses for other in client.addresses)
        for guest in look.facts.guests()
    )


def _logs_out(look: Look) -> Iterator[Spot]:
    """A machine of its own that leaves the server as soon as its shutdown begins; a guest's host waits.

    Before NUT 2.8.1 there is no other way.
    """
    entry = look.upsmon.get("SHUTDOWNEXIT")
    if look.facts.kind is not Kind.PLAIN or look.version < timing.EXIT_SINCE or not look.monitors:
        return
    if entry is None or timing.exit_word(entry.args[0]) == "yes":
        message = "this machine logs out when its shutdown begins: the server does not wait for its end"
        fix = "SHUTDOWNEXIT no: nutwizard step timing; and a HOSTSYNC on the server that is long enough"
        yield Spot(message, paths.UPSMON_CONF, entry.line if entry is not None else 0, fix)


def _no_cut(look: Look) -> Iterator[Spot]:
    entry = look.upsmon.get("POWERDOWNFLAG")
    if entry is None or not entry.args[0]:
        message = "there is no POWERDOWNFLAG, and NUT has none of its own"
        yield Spot(message, paths.UPSMON_CONF, fix=f"the line POWERDOWNFLAG {paths.KILLPOWER} in upsmon.conf")
    else:
        yield from _flag_place(look, entry.args[0], entry.line)
    yield from _no_hook(look)
    for monitor in look.monitors:
        order = look.ups_conf.get(monitor.ups, "sdorder") if look.ups_conf.has(monitor.ups) else None
        if not (monitor.local and is_primary(monitor.word, look.version) and monitor.ups in counted(look)):
            continue
        if order is not None and re.fullmatch(r"-[0-9]{1,6}", order):
            message = f"sdorder {order} keeps {monitor.ups} out of what is told to cut the power"
            line = line_of(look.ups_conf, monitor.ups, "sdorder")
            yield Spot(message, paths.UPS_CONF, line, "take the line out, or write sdorder = 0")


def _flag_place(look: Look, flag: str, line: int) -> Iterator[Spot]:
    """/run is a fine place though it lies in memory: systemd keeps it mounted until the hook has run."""
    folder = flag.rpartition("/")[0] or "/"
    fix = f"the line POWERDOWNFLAG {paths.KILLPOWER} in upsmon.conf"
    if flag.startswith("/") and look.facts.program(folder).kind == "missing":
        message = f"POWERDOWNFLAG is in {folder}, which is not there"
        yield Spot(message, paths.UPSMON_CONF, line, fix)
    elif f"{folder}/".startswith("/tmp/"):
        message = "POWERDOWNFLAG is in /tmp: where that lies in memory it is gone before the hook looks"
        yield Spot(message, paths.UPSMON_CONF, line, fix, Severity.WARNING)


def _no_hook(look: Look) -> Iterator[Spot]:
    hook = hook_of(look)
    again = "apt install --reinstall nut-server"
    if hook is not None and not hook.runnable:
        yield Spot(f"it is not executable ({hook.owner}): systemd passes it over", hook.path, fix=again)
    elif hook is None and all(look.facts.program(path).kind != UNKNOWN for path in HOOKS):
        yield Spot("it is not there: nothing tells the UPS to cut the power", HOOKS[0], fix=again)
    for name in ("upsmon", "upsdrvctl"):
        if all(look.facts.program(f"{folder}/{name}").kind == "missing" for folder in _FOLDERS):
            package = "nut-client" if name == "upsmon" else "nut-server"
            message = f"there is no {name} in {' or '.join(_FOLDERS)}, and the hook needs it"
            yield Spot(message, fix=f"apt install --reinstall {package}")


def _latched(look: Look) -> Iterator[Spot]:
    for name, values in look.values.items():
        status = values.get("ups.status", "")
        if {"FSD", "OL"} <= set(status.split()):
            where = "" if look.role is Role.HOST else "on the host: "
            fix = f"{where}systemctl restart nut-server, first and alone; no upsmon may start before that"
            message = f"{name} is {status}: power is back, and an upsmon that starts shuts its machine down"
            severity = None
            # upsmon ends at the end of its own shutdown: while it runs there, that is under way.
            if look.role is Role.HOST and any(daemon.name == "upsmon" for daemon in look.facts.daemons()):
                message = f"{name} is {status} and upsmon runs: a shutdown is under way"
                severity, fix = Severity.WARNING, "wait until it is over, then: nutwizard check"
            yield Spot(message, fix=fix, severity=severity)


def _stays_off(look: Look) -> Iterator[Spot]:
    if look.outside.restart == NO:
        fix = "set the BIOS to switch on when power comes back (AC power loss, always on)"
        if look.version >= _WAIT_SINCE:
            fix += "; POWEROFF_WAIT in nut.conf is a second line of defence, for power that is back too soon"
        yield Spot("this host does not start by itself when its power comes back", fix=fix)


def _off(look: Look) -> Iterator[Spot]:
    entry = look.upsmon.get("OFFDURATION")
    number = re.match(r"\s*(-?[0-9]+)", entry.args[0]) if entry is not None else None
    after = int(number[1]) if number else 0 if entry is not None else _OFFDURATION
    watched = counted(look)
    for name, values in look.values.items():
        status = values.get("ups.status", "")
        if "OFF" not in status.split():
            continue
        message, severity = f"{name} is {status}: the UPS gives its load no power", Severity.WARNING
        file, line, fix = "", 0, "see whether the UPS's output is on"
        if look.version >= _OFF_SINCE and after < 0:
            message, severity = f"{name} is {status}, which OFFDURATION {after} lets pass", Severity.NOTE
        elif look.version >= _OFF_SINCE and name in watched:
            message, severity = f"{name} is {status}: after {after} s upsmon shuts down", Severity.BROKEN
            fix = "switch its output on; where the UPS says OFF wrongly: OFFDURATION -1 in upsmon.conf"
            file, line = (paths.UPSMON_CONF, entry.line) if entry is not None else ("", 0)
        yield Spot(message, file, line, fix, severity)


def _left_flag(look: Look) -> Iterator[Spot]:
    statuses = [set(values.get("ups.status", "").split()) for values in look.values.values()]
    if any("OB" in status or "FSD" in status for status in statuses):
        return  # it may have been set just now
    entry = look.upsmon.get("POWERDOWNFLAG")
    path = (entry.args[0] if entry is not None else "") or paths.KILLPOWER
    found = look.facts.program(path) if path.startswith("/") else None
    if found is None or found.kind != "file":
        return
    word = shlex.quote(path)
    fix = f"see why it is there (ls -l {word}; journalctl -u nut-monitor), then: rm {word}"
    # Where nothing tells that the mains are there it may be needed within seconds.
    sure = look.role is Role.HOST and any("OL" in status for status in statuses)
    severity = None if sure else Severity.WARNING
    if found.content is not None and not found.content.data.startswith(_MAGIC):
        message = (
            "it is not of upsmon's making: upsmon sets it no more, and the UPS is not told to cut the power"
        )
    elif look.role is Role.HOST:
        message = "it is there now: the next plain shutdown or reboot cuts the power"
    else:
        message = "it is there now, of a shutdown that is over or never came to its end"
    yield Spot(message, path, fix=fix, severity=severity)


def _shutdown_command(look: Look) -> Iterator[Spot]:
    entry = look.upsmon.get("SHUTDOWNCMD")
    if look.monitors and not counted(look):
        return  # it only watches
    if entry is None or not entry.args[0].strip():
        yield Spot("there is no SHUTDOWNCMD: upsmon has nothing to call", paths.UPSMON_CONF)
        return
    judged = judge(entry.args[0], look.facts.program, system=look.facts.door is Door.LIVE)
    # A shell goes on behind a program that is not there, but for && in front of the next.
    goes_on = judged.verdict is Verdict.OFF and "&&" not in entry.args[0]
    severity = Severity.WARNING if goes_on else None
    for wrong in judged.wrong:
        yield Spot(wrong, paths.UPSMON_CONF, entry.line, severity=severity)
    if judged.verdict is Verdict.NEVER:
        message = "nothing in SHUTDOWNCMD shuts this machine down: it runs until the power is cut"
        yield Spot(message, paths.UPSMON_CONF, entry.line)
    elif judged.verdict is Verdict.AGAIN:
        message = "SHUTDOWNCMD restarts this machine: it comes up again on battery"
        yield Spot(message, paths.UPSMON_CONF, entry.line, severity=Severity.WARNING)
    if len(entry.args) > 1:
        message = "SHUTDOWNCMD has several words, and NUT takes the first alone: the command needs quotes"
        yield Spot(message, paths.UPSMON_CONF, entry.line, severity=Severity.NOTE)


RULES = (
    Rule(
        "NW02",
        "a machine may lose its power while it shuts down",
        LinkId.SHUTDOWN,
        Severity.NOTE,
        "a client logs out as soon as its shutdown begins, and the host waits no longer",
        _left_alone,
        step="timing",
    ),
    Rule(
        "NW03",
        "the UPS will not be told to cut the power",
        LinkId.POWEROFF,
        Severity.BROKEN,
        "a UPS that is not told runs until its battery is empty, and a host that halted stays off",
        _no_cut,
        roles=HOST,
    ),
    Rule(
        "NW06",
        "a forced shutdown is still in force",
        LinkId.STALE,
        Severity.BROKEN,
        "upsd keeps FSD until it is restarted",
        _latched,
    ),
    Rule(
        "NW07",
        "the host stays off after an outage",
        LinkId.POWEROFF,
        Severity.WARNING,
        "a machine that has shut down starts by itself only where its BIOS says so",
        _stays_off,
        step="outside",
        roles=HOST,
    ),
    Rule(
        "NW29",
        "the UPS says OFF",
        LinkId.SHUTDOWN,
        Severity.WARNING,
        "from NUT 2.8.1 on upsmon shuts down for a UPS that says OFF for as long as OFFDURATION",
        _off,
    ),
    Rule(
        "NW31",
        "the flag that cuts the power is set",
        LinkId.STALE,
        Severity.BROKEN,
        "the hook asks for this file at every shutdown, whatever the shutdown is for",
        _left_flag,
    ),
    Rule(
        "NW46",
        "SHUTDOWNCMD does not shut this machine down",
        LinkId.SHUTDOWN,
        Severity.BROKEN,
        "upsmon runs this command and does nothing else to end the machine",
        _shutdown_command,
        step="timing",
    ),
)
