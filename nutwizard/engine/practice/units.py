"""The practice machine's systemd: a table of units in a file, and the words of systemctl and journalctl."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol

from nutwizard.core.facts import Role
from nutwizard.core.units import DRIVERS, ENUMERATOR, ENUMERATOR_PATH, MONITOR, SERVER, TARGET
from nutwizard.engine.host import Completed
from nutwizard.engine.practice.files import Store

_ALIASES = {"nut-client.service": MONITOR}
_MASKED = "ups-monitor.service"
_SUFFIXES = (".service", ".target", ".path")
#: As Debian 12 enables them; "static" has no [Install] part.
_STOCK = {
    Role.HOST: {
        TARGET: "enabled",
        DRIVERS: "enabled",
        ENUMERATOR: "enabled",
        ENUMERATOR_PATH: "enabled",
        SERVER: "enabled",
        MONITOR: "enabled",
    },
    Role.CLIENT: {TARGET: "enabled", MONITOR: "enabled"},
}
_UP_AT_BOOT = (TARGET, DRIVERS, ENUMERATOR_PATH)
_MOST_LINES = 60
_TAKES_VALUE = ("-p", "--property", "-n", "--lines", "-u", "--unit", "-o", "--output", "--since")
_VERBS = ("start", "stop", "restart", "try-restart", "reload", "reload-or-restart", "enable", "disable")
#: What ActiveState says while systemd itself starts a unit again and again.
RETRYING = "activating"


@dataclass(slots=True)
class Unit:
    """One unit. `run` numbers its starts, so that another process sees that it was restarted.

    `loaded` are the files that it read when it started; they may hold passwords.
    """

    name: str
    enabled: str = "disabled"
    active: str = "inactive"
    since: int = 0
    run: int = 0
    loaded: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def up(self) -> bool:
        return self.active == "active"

    @property
    def sub(self) -> str:
        """SubState."""
        up = {".service": "running", ".path": "waiting"}.get(self.name[self.name.rindex(".") :], "active")
        return {"active": up, "failed": "failed", RETRYING: "auto-restart"}.get(self.active, "dead")


class Services(Protocol):
    """What happens behind a unit. Each raises nothing; False for a job that failed."""

    def start(self, name: str) -> bool: ...

    def stop(self, name: str) -> bool: ...

    def reload(self, name: str) -> bool: ...


class UnitTable:
    """The units of one practice machine and their journal, in a file that other processes see."""

    def __init__(self, store: Store, role: Role) -> None:
        self._store, self._role = store, role

    @property
    def ready_made(self) -> bool:
        """Whether this machine was made with a configuration that serves."""
        return bool(self._store.read().get("ready"))

    def all(self) -> dict[str, Unit]:
        """Every unit that is loaded, by its Id."""
        table = self._store.read().get("units")
        if table is not None:
            return {name: Unit(**values) for name, values in table.items()}
        now = int(time.time())
        return {
            name: Unit(name, enabled, "active", now) if name in _UP_AT_BOOT else Unit(name, enabled)
            for name, enabled in _STOCK[self._role].items()
        }

    def get(self, name: str) -> Unit | None:
        """By any of its names; a driver's template has any instance."""
        name = _ALIASES.get(name, name)
        found = self.all().get(name)
        if found is None and name.startswith("nut-driver@") and self._role is Role.HOST:
            return Unit(name)
        return found

    def put(self, unit: Unit) -> None:
        """Keep a unit's state."""
        self._keep({**self.all(), unit.name: unit})

    def drop(self, name: str) -> None:
        """Forget a driver's instance."""
        self._keep({key: unit for key, unit in self.all().items() if key != name})

    def mark(self, name: str, active: str, loaded: dict[str, str] | None = None) -> Unit:
        """A unit's new state; a start gives it a new number."""
        unit = self.get(name) or Unit(name)
        unit.active = active
        unit.loaded = loaded or {}
        if active == "active":
            unit.since, unit.run = int(time.time()), time.time_ns()
        self.put(unit)
        return unit

    def say(self, name: str, text: str) -> None:
        """A line of the journal."""
        journal = [*self._store.read().get("journal", []), [time.time(), name, text]]
        self._store.write({**self._store.read(), "journal": journal[-_MOST_LINES:]})

    def journal(self, names: Iterable[str], since: float, lines: int) -> list[tuple[float, str, str]]:
        """(time, unit, text) of the last lines about these units."""
        wanted = {_ALIASES.get(full_name(name), full_name(name)) for name in names}
        rows = [(when, name, text) for when, name, text in self._store.read().get("journal", [])]
        found = [row for row in rows if row[0] >= since and any(fnmatchcase(row[1], one) for one in wanted)]
        return found[-lines:]

    def _keep(self, units: dict[str, Unit]) -> None:
        self._store.write(
            {**self._store.read(), "units": {name: asdict(unit) for name, unit in units.items()}}
        )


def full_name(name: str) -> str:
    """`nut-server` is short for `nut-server.service`."""
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


def systemctl(words: Sequence[str], table: UnitTable, services: Services) -> Completed:
    """What systemctl answers to these words."""
    options, rest = _options(words)
    verb, names = (rest[0], [full_name(name) for name in rest[1:]]) if rest else ("", [])
    if verb == "show":
        return _show(table, names, options)
    if verb in ("is-active", "is-enabled"):
        return _asked(table, names, verb, "-q" in options or "--quiet" in options)
    if verb in ("daemon-reload", "reset-failed"):
        return Completed(0)
    if verb not in _VERBS:
        return Completed(1, err=f"Unknown command verb {verb or '(none)'}.\n")
    ends = [_act(verb, name, table, services) for name in names]
    return Completed(max((end.code for end in ends), default=1), err="".join(end.err for end in ends))


def _options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    rest: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        key, equals, value = word.partition("=")
        if not word.startswith("-"):
            rest.append(word)
        elif key in _TAKES_VALUE and not equals:
            options[key] = f"{options.get(key, '')},{queue.pop(0) if queue else ''}".lstrip(",")
        else:
            options[key] = f"{options.get(key, '')},{value}".lstrip(",")
    return options, rest


def _show(table: UnitTable, names: list[str], options: dict[str, str]) -> Completed:
    wanted = {*(options.get("-p") or options.get("--property", "")).split(","), "Id", "Names"}
    known = table.all()
    blocks = []
    for name in names:
        globbed = any(char in name for char in "*?[")
        # full_name() has made a service of "nut-*", which stands for units of any kind.
        pattern = name.removesuffix(".service") if globbed and name.endswith("*.service") else name
        matching = [one for one in known if fnmatchcase(one, pattern)] if globbed else [name]
        blocks += [_block(one, table.get(one), wanted) for one in matching]
    return Completed(0, out="\n".join(blocks))


def _block(name: str, unit: Unit | None, wanted: set[str]) -> str:
    also = [alias for alias, real in _ALIASES.items() if unit is not None and real == unit.name]
    masked = name == _MASKED
    values = {
        "Id": unit.name if unit else name,
        "Names": " ".join([unit.name if unit else name, *also]),
        "LoadState": "loaded" if unit else "masked" if masked else "not-found",
        "ActiveState": unit.active if unit else "inactive",
        "SubState": unit.sub if unit else "dead",
        "UnitFileState": unit.enabled if unit else "masked" if masked else "",
        "ActiveEnterTimestamp": f"@{unit.since}" if unit and unit.since else "",
    }
    return "".join(f"{key}={value}\n" for key, value in values.items() if key in wanted)


def _asked(table: UnitTable, names: list[str], verb: str, quiet: bool) -> Completed:
    units = [table.get(name) for name in names]
    if verb == "is-active":
        words = [unit.active if unit else "inactive" for unit in units]
        code = 0 if "active" in words else 3
    else:
        words = [unit.enabled if unit else "not-found" for unit in units]
        code = 0 if words and all(word in ("enabled", "static") for word in words) else 1
    return Completed(code, out="" if quiet else "".join(f"{word}\n" for word in words))


def _act(verb: str, name: str, table: UnitTable, services: Services) -> Completed:
    unit = table.get(name)
    if name == _MASKED:
        return Completed(1, err=f"Failed to {verb} {name}: Unit {name} is masked.\n")
    if unit is None:
        return Completed(5, err=f"Failed to {verb} {name}: Unit {name} not found.\n")
    name = unit.name
    if verb in ("enable", "disable"):
        unit.enabled = f"{verb}d"
        table.put(unit)
        return Completed(0)
    if verb == "reload" and not unit.up:
        return Completed(1, err=f"Job for {name} is not applicable: it is not active.\n")
    if verb == "stop" or (verb == "try-restart" and not unit.up):
        done = services.stop(name) if verb == "stop" else True
    elif verb == "start":
        done = services.start(name)
    elif "reload" in verb and unit.up:
        done = services.reload(name)
    else:
        done = services.stop(name) and services.start(name)
    return Completed(0) if done else Completed(1, err=f"Job for {name} failed: see journalctl -u {name}\n")


def journalctl(words: Sequence[str], table: UnitTable, hostname: str) -> Completed:
    """What journalctl answers to these words."""
    options, _ = _options(words)
    names = [one for key in ("-u", "--unit") for one in options.get(key, "").split(",") if one]
    count = options.get("-n") or options.get("--lines") or ""
    since = options.get("--since", "").removeprefix("@")
    lines = int(count) if count.isdigit() else _MOST_LINES
    style = options.get("-o") or options.get("--output")
    rows = table.journal(names or ["*"], float(since) if since.isdigit() else 0.0, lines)
    out = ""
    for when, name, text in rows:
        stamp = time.strftime("%b %d %H:%M:%S", time.localtime(when))
        stamp = f"{when:.6f}" if style == "short-unix" else stamp
        out += f"{text}\n" if style == "cat" else f"{stamp} {hostname} {name.rpartition('.')[0]}: {text}\n"
    return Completed(0, out=out or "-- No entries --\n")
