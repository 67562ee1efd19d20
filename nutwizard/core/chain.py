"""The links of the chain that no single answer proves: what files, units and a trial on this machine tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nutwizard.core import paths
from nutwizard.core.facts import Door, Role
from nutwizard.core.links import Examined, Finding, Link, LinkId, State, Told
from nutwizard.core.programs import UNKNOWN
from nutwizard.core.rules.ending import HOOKS, hook_of
from nutwizard.core.rules.events import calls_upssched, nut_may
from nutwizard.core.rules.rule import Look, Severity, Trouble
from nutwizard.core.shutdown import Verdict, judge
from nutwizard.core.text import Unseen
from nutwizard.core.units import APCUPSD, MONITOR, SERVER, TARGET, units_of

#: (link, what it is, the step that mends it), in the order of the chain.
_HOST = (
    (LinkId.UPS, "the UPS", "driver"),
    (LinkId.DRIVER, "the driver has the UPS for itself", "driver"),
    (LinkId.EVENTS, "events reach the script", "actions"),
    (LinkId.SHUTDOWN, "SHUTDOWNCMD", "timing"),
    (LinkId.POWEROFF, "the UPS is told to cut the power", "monitor"),
    (LinkId.BOOT, "it comes back after a reboot", "services"),
    (LinkId.STALE, "nothing is left of a past outage", "services"),
)
_CLIENT = tuple(row for row in _HOST if row[0] not in (LinkId.UPS, LinkId.DRIVER, LinkId.POWEROFF))


@dataclass(frozen=True)
class Trial:
    """What became of running upssched, and our script, as user nut: `wrong` "" where it went well.

    `why`: why nothing was run; `ran`: what was.
    """

    why: str = ""
    wrong: str = ""
    ran: Sequence[str] = field(default_factory=tuple)


def chain_links(role: Role) -> tuple[Link, ...]:
    """The links of this role that are examined as a whole."""
    rows = _HOST if role is Role.HOST else _CLIENT
    return tuple(Link(id, subject, Examined(), step) for id, subject, step in rows)


def decided(link: Link, look: Look, troubles: Iterable[Trouble], trial: Trial) -> Finding:
    """What is found of such a link: broken where a rule says so, else what was seen of it."""
    own = [each for each in troubles if each.rule.link is link.id and each.severity is Severity.BROKEN]
    if own and not (link.id is LinkId.DRIVER and any(look.broken(link.id))):
        return broken_by(own, link)
    try:
        state, evidence = _SEEN[link.id](look, trial)
    except Unseen as unseen:
        state, evidence = State.UNKNOWN, f"not seen: only root may read {unseen.path}"
    fix = f"nutwizard step {link.step}" if state is State.BROKEN else ""
    return Finding(link, state, evidence, fix=fix)


def by_rules_alone(findings: Sequence[Finding], troubles: Iterable[Trouble]) -> Iterator[Finding]:
    """A broken link for each rule that says so of a link of which no probe has found anything broken."""
    known = {found.link.id for found in findings if found.state is State.BROKEN}
    left: dict[str, list[Trouble]] = {}
    for trouble in troubles:
        if trouble.severity is Severity.BROKEN and trouble.rule.link not in known:
            left.setdefault(trouble.rule.id, []).append(trouble)
    for own in left.values():
        rule = own[0].rule
        yield broken_by(own, Link(rule.link, rule.title, Told(State.BROKEN), rule.step))


def broken_by(own: Sequence[Trouble], link: Link) -> Finding:
    """The link as these troubles of it break it."""
    said = "\n".join(each.said for each in own)
    return Finding(link, State.BROKEN, said, own[0].rule.cause, own[0].fix)


def _read(look: Look, path: str) -> None:
    """Raises Unseen for a file without which a link's rules find nothing: that would prove nothing."""
    _ = look.facts.file(path).data


Seen = tuple[State, str]


def _ups(look: Look, trial: Trial) -> Seen:
    """What the UPS shows, which upsd passes on only while the driver has fresh data."""
    for ups, values in look.values.items():
        units = {"battery.charge": "charge {} %", "battery.runtime": "runtime {} s", "ups.load": "load {} %"}
        shown = [text.format(values[name]) for name, text in units.items() if name in values]
        return State.PROVEN, ", ".join([f"{ups}: status {values.get('ups.status', 'unknown')}", *shown])
    return State.UNKNOWN, "upsd tells no data of it"


def _alone(look: Look, trial: Trial) -> Seen:
    if not look.facts.runs:
        return State.UNKNOWN, "only the running machine tells"
    if not look.ups_conf.names():
        return State.UNKNOWN, f"{paths.UPS_CONF} has no UPS yet"
    _read(look, paths.UPS_CONF)
    running = look.facts.unit(APCUPSD).running
    daemon = "apcupsd runs, and the driver asks it" if running else "apcupsd is not running"
    return State.PROVEN, f"{daemon}, and no guest has its USB device"


def _events(look: Look, trial: Trial) -> Seen:
    notify = look.upsmon.get("NOTIFYCMD")
    if notify is None:
        return State.NOT_APPLICABLE, "upsmon.conf has no NOTIFYCMD: nothing is called at events"
    if not calls_upssched(look):
        return _own_program(look, (notify.args[0].split() or [""])[0])
    if not look.upssched.entries("AT"):
        return State.NOT_APPLICABLE, "upssched.conf has no AT line: no event is acted upon"
    if trial.wrong:
        return State.BROKEN, trial.wrong
    if trial.why:
        return State.UNKNOWN, trial.why
    return State.PROVEN, f"as user nut: {', '.join(trial.ran)}"


def _own_program(look: Look, path: str) -> Seen:
    """A NOTIFYCMD that is not upssched: looked at where it begins with a program's full path, never run."""
    heard = [e for e in look.upsmon.entries("NOTIFYFLAG") if "EXEC" in "".join(e.args[1:2]).split("+")]
    if not heard:
        return State.NOT_APPLICABLE, "no NOTIFYFLAG has EXEC: NOTIFYCMD is never called"
    user = look.upsmon.get("RUN_AS_USER")
    if not path.startswith("/") or "=" in path or (user is not None and user.args[0] != "nut"):
        return State.UNKNOWN, "NOTIFYCMD is your own command, and was not run"
    found = look.facts.program(path)
    if found.kind in ("missing", "directory"):
        return State.BROKEN, f"NOTIFYCMD calls {path}, which is no program"
    if found.kind == UNKNOWN or found.owner is None:
        return State.UNKNOWN, f"NOTIFYCMD calls {path}, which could not be looked at"
    if not nut_may(found.owner, 1):
        return State.BROKEN, f"NOTIFYCMD calls {path}, which user nut may not run ({found.owner})"
    return State.PROVEN, f"NOTIFYCMD calls your own {path}, which user nut may run; it was not run"


def _shutdown(look: Look, trial: Trial) -> Seen:
    command = look.upsmon.get("SHUTDOWNCMD")
    if command is None:
        return State.BROKEN, f"{paths.UPSMON_CONF} has no SHUTDOWNCMD"
    if _only_watches(look):
        return State.NOT_APPLICABLE, "every power value is 0: this machine only watches"
    judged = judge(command.args[0], look.facts.program, system=look.facts.door is Door.LIVE)
    if judged.verdict is Verdict.OFF:
        return (
            State.PROVEN,
            f"it shuts this machine down ({paths.UPSMON_CONF}:{command.line}); it was not run",
        )
    return State.UNKNOWN, "; ".join(judged.unsure) or "nobody can tell whether it shuts down"


def _only_watches(look: Look) -> bool:
    """Whether no UPS of upsmon.conf feeds this machine (upsmon.conf(5): power value 0)."""
    return bool(look.monitors) and all(each.entry.args[1] == "0" for each in look.monitors)


def _poweroff(look: Look, trial: Trial) -> Seen:
    if not look.ups_conf.names():
        return State.UNKNOWN, f"{paths.UPS_CONF} has no UPS yet"
    if _only_watches(look):
        return State.NOT_APPLICABLE, "every power value is 0: this machine only watches"
    hook = hook_of(look)
    if hook is None:
        return State.UNKNOWN, f"{HOOKS[0]} cannot be looked at"
    flag = look.upsmon.get("POWERDOWNFLAG")
    word = flag.args[0] if flag is not None else paths.KILLPOWER
    delays = {ups: look.ups_conf.get(ups, "offdelay") for ups in look.ups_conf.names()}
    said = [f"{ups} cuts {delay} s later" for ups, delay in delays.items() if delay]
    name = hook.path.rsplit("/", 1)[1]
    return State.PROVEN, "; ".join([f"{word}, {name} and upsdrvctl are in place", *said])


def _boot(look: Look, trial: Trial) -> Seen:
    facts = look.facts
    wanted = [unit for unit in units_of(look.role, ()) if unit in (TARGET, SERVER, MONITOR)]
    there = [unit for unit in wanted if facts.unit(unit).present]
    if not facts.units or not there:
        return State.UNKNOWN, "only the running machine tells which units start"
    _read(look, paths.NUT_CONF)
    enabled = [unit for unit in there if facts.unit(unit).enabled in ("enabled", "static", "alias")]
    if not enabled:
        return State.UNKNOWN, "systemd does not say that any of its units is enabled"
    return State.PROVEN, f"enabled: {', '.join(unit.removesuffix('.service') for unit in enabled)}"


def _stale(look: Look, trial: Trial) -> Seen:
    statuses = [values.get("ups.status", "") for values in look.values.values()]
    if not any(statuses):
        return State.UNKNOWN, "the server does not tell the status of the UPS"
    _read(look, paths.UPSMON_CONF)
    return State.PROVEN, f"no FSD in the status ({', '.join(statuses)}), and no flag of a past shutdown"


_SEEN = {
    LinkId.UPS: _ups,
    LinkId.DRIVER: _alone,
    LinkId.EVENTS: _events,
    LinkId.SHUTDOWN: _shutdown,
    LinkId.POWEROFF: _poweroff,
    LinkId.BOOT: _boot,
    LinkId.STALE: _stale,
}
