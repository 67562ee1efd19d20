"""Acts on systemd units, by absolute path and with time limits that lie above systemd's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nutwizard.core.plan import Act, ActKind
from nutwizard.engine.host import Completed, Host
from nutwizard.formats.safe import safe_text

SYSTEMCTL = "/usr/bin/systemctl"
JOURNALCTL = "/usr/bin/journalctl"
#: There where systemd is PID 1 (sd_booted(3)).
BOOTED = "/run/systemd/system"

#: systemd gives a start 90 s, Debian's driver start up to 3 x 45 s (maxretry 3, maxstartdelay 45).
_LONG = 150.0
_SHORT = 30.0

#: systemctl's verb and the time limit in seconds. A path unit is held back by stopping it.
_VERBS: dict[ActKind, tuple[str, float]] = {
    ActKind.ENABLE: ("enable", _SHORT),
    ActKind.DISABLE: ("disable", _SHORT),
    ActKind.START: ("start", _LONG),
    ActKind.STOP: ("stop", _LONG),
    ActKind.RESTART: ("restart", _LONG),
    ActKind.HOLD: ("stop", _SHORT),
    ActKind.RELEASE: ("start", _SHORT),
}
_REVERSE = {
    ActKind.ENABLE: ActKind.DISABLE,
    ActKind.DISABLE: ActKind.ENABLE,
    ActKind.START: ActKind.STOP,
    ActKind.STOP: ActKind.START,
    ActKind.RESTART: ActKind.RESTART,
}
_GOING_DOWN = (ActKind.STOP, ActKind.DISABLE)
#: Why an act leads back, where the reason of the way forward does not say it.
_WHY_BACK = {
    ActKind.ENABLE: "it was enabled before",
    ActKind.DISABLE: "it was not enabled before",
    ActKind.START: "it ran before",
    ActKind.STOP: "it did not run before",
    ActKind.RELEASE: "it watches ups.conf again",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What systemd says: `starting` units will still change, `failed` will not, `troubled` have failed."""

    starting: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    troubled: tuple[str, ...] = ()


#: What takes a daemon away from those that rely on it, or brings one up against the status of the UPS.
_DANGEROUS = (ActKind.START, ActKind.STOP, ActKind.RESTART)


def dangerous(act: Act) -> bool:
    """Whether an act has to wait for the end of an outage. Enabling a unit and its path unit do not."""
    return act.kind in _DANGEROUS


def perform(host: Host, act: Act) -> Completed:
    """Do it and wait for its end. Never raises; code -1 when it was ended at its time limit.

    systemd refuses a unit that has started too often of late: Debian 13 restarts an upsd that cannot start
    five times within a second, and then the one start that leads back would be refused. So that is forgotten
    first (for a unit that is not loaded, systemctl complains of it in vain).
    """
    verb, limit = _VERBS[act.kind]
    if act.kind in (ActKind.START, ActKind.RESTART):
        host.run([SYSTEMCTL, "reset-failed", act.unit], timeout=_SHORT)
    return host.run([SYSTEMCTL, verb, act.unit], timeout=limit)


def complaint(act: Act, done: Completed) -> str:
    """One sentence about an act that did not end well; "" when it did."""
    if done.code == 0:
        return ""
    if done.timed_out:
        return f"{act}: not ended within {_VERBS[act.kind][1]:.0f} s"
    said = next((line.strip() for line in done.err.splitlines() if line.strip()), f"exit code {done.code}")
    return f"{act}: {safe_text(said)}"


def backwards(acts: Iterable[Act]) -> tuple[Act, ...]:
    """The acts that lead back: path units held first and released last.

    What goes down goes in reverse order, what starts or restarts in the plan's (driver, server, monitor).
    """
    acts = tuple(acts)
    held = dict.fromkeys(act for act in acts if act.kind is ActKind.HOLD)
    turned = [_turned(act, _REVERSE[act.kind]) for act in acts if act.kind in _REVERSE]
    down = [act for act in reversed(turned) if act.kind in _GOING_DOWN]
    up = [act for act in turned if act.kind not in _GOING_DOWN]
    release = [_turned(act, ActKind.RELEASE) for act in held]
    return (*held, *down, *up, *release)


def _turned(act: Act, kind: ActKind) -> Act:
    return replace(act, kind=kind, why=_WHY_BACK.get(kind, act.why))


def told(host: Host, acts: Iterable[Act], ignored: frozenset[str] = frozenset()) -> Told:
    """What systemd says of the plan's units and of all that NUT calls its own, but for those `ignored`."""
    names = list(dict.fromkeys(act.unit for act in acts if act.kind not in (ActKind.DISABLE, ActKind.STOP)))
    done = host.run([SYSTEMCTL, "show", "-p", "Id,ActiveState,SubState", *names, "nut-*"], timeout=_SHORT)
    rows = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in done.out.split("\n\n")
    ]
    states = {
        row["Id"]: (row.get("ActiveState", ""), row.get("SubState", ""))
        for row in rows
        if row.get("Id", "") not in ignored | {""}
    }
    again = [name for name, (_, sub) in states.items() if sub == "auto-restart"]
    failed = [name for name, (active, _) in states.items() if active == "failed"]
    moving = [
        name for name, (active, _) in states.items() if active in ("activating", "deactivating", "reloading")
    ]
    return Told(tuple(n for n in moving if n not in again), tuple(failed), tuple(sorted({*failed, *again})))


def last_words(host: Host, acts: Iterable[Act], ignored: frozenset[str], *, most: int = 3) -> str:
    """The end of the journal of the units that failed, else of those that the plan (re)starts; may be ""."""
    acts = tuple(acts)
    started = [act.unit for act in acts if act.kind in (ActKind.START, ActKind.RESTART)]
    parts = []
    for unit in (told(host, acts, ignored).troubled or tuple(dict.fromkeys(started)))[:most]:
        done = host.run([JOURNALCTL, "-u", unit, "-n", "20", "-o", "cat", "--no-pager"], timeout=_SHORT)
        lines = [f"  {safe_text(line)}" for line in done.out.splitlines() if line.strip()]
        if lines and done.code == 0:
            parts += [f"The journal of {safe_text(unit)}:", *lines]
    return "\n".join(parts)
