"""What `systemctl start|stop|restart|...` sets in motion: the units concerned, their order, their outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from . import units
from .services import Services, State
from .units import Unit

GRACE = 0.3  # seconds that a service may take from the order to the first sign of life
Signature = tuple[int, int, int] | None


class Jobs:
    """Runs jobs one after the other in dependency order; each call ends when its last job has ended."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._watched: dict[str, Signature] = {}
        self._fired: dict[str, float] = {}

    def start(self, names: Iterable[str]) -> list[str]:
        """Start units and what they want; the Ids whose own job failed."""
        wanted = [units.load(name).name for name in names]
        every = self._ordered(self._closure(wanted))
        failed = [name for name in every if not self._start_one(units.load(name))]
        return [name for name in failed if name in wanted]

    def stop(self, names: Iterable[str]) -> list[str]:
        """Stop units and those that are part of them, the latest in order first."""
        bound = self._bound([units.load(name).name for name in names])
        stopped = []
        for name in reversed(self._ordered(bound)):
            stopped += [name] if self._services.state(name).active not in ("inactive", "failed") else []
            self._stop_one(units.load(name))
        return stopped

    def restart(self, names: Iterable[str]) -> list[str]:
        """Stop and start; what is part of a unit and was running comes back with it."""
        ids = [units.load(name).name for name in names]
        stopped = self.stop(ids)
        self.start(name for name in stopped if name not in ids)
        return self.start(ids)

    def reload(self, name: str) -> bool:
        """Reload a running unit that knows how."""
        return self._services.reload(units.load(name))

    def watch(self) -> None:
        """Look once at what the active path units watch; PathModified= starts the unit's service."""
        for name, before in list(self._watched.items()):
            state, unit = self._services.state(name), units.load(name)
            service = unit.value("Path", "Unit", name.removesuffix(".path") + ".service")
            now = _signature(unit.value("Path", "PathModified"))
            busy = self._services.state(service).active not in ("inactive", "failed")
            if state.sub == "running" and not busy and time.monotonic() > self._fired.get(name, 0.0) + GRACE:
                # What changed while the service ran is not looked at again: a path unit has no memory.
                state.become("active", "waiting")
            elif state.sub == "waiting" and now != before:
                self._fired[name] = time.monotonic()
                state.become("active", "running")
                if not busy:
                    threading.Thread(target=self.start, args=([service],), daemon=True).start()
            self._watched[name] = now

    def _start_one(self, unit: Unit) -> bool:
        state = self._services.state(unit.name)
        if unit.load != "loaded":
            return False
        if state.active == "active" or not _conditions_hold(unit):
            return True
        if unit.name.endswith(".service"):
            return self._services.start(unit)
        if unit.name.endswith(".path"):
            self._watched[unit.name] = _signature(unit.value("Path", "PathModified"))
        state.become("active", "waiting" if unit.name.endswith(".path") else "active")
        return True

    def _stop_one(self, unit: Unit) -> None:
        if unit.name.endswith(".service"):
            self._services.stop(unit)
        else:
            self._watched.pop(unit.name, None)
            self._services.state(unit.name).become("inactive", "dead")

    def _closure(self, names: list[str]) -> list[str]:
        found = list(names)
        for name in found:  # grows while it is walked
            if name not in names and self._services.state(name).active == "active":
                continue  # a unit that runs already pulls in nothing
            for pulled in units.wants(units.load(name)):
                unit = units.load(pulled)
                if unit.load == "loaded" and unit.name not in found and _ours(unit):
                    found.append(unit.name)
        return found

    def _bound(self, names: list[str]) -> list[str]:
        found = list(names)
        for name in found:
            for state in self._running():
                unit = units.load(state.name)
                of = [*unit.words("Unit", "PartOf"), *unit.words("Unit", "Requires")]
                if name in of and unit.name not in found:
                    found.append(unit.name)
        return found

    def _running(self) -> list[State]:
        states = list(self._services.states.values())
        return [state for state in states if state.active not in ("inactive", "failed")]

    def _ordered(self, names: list[str]) -> list[str]:
        graph: dict[str, list[str]] = {name: [] for name in names}
        for name in names:
            unit = units.load(name)
            graph[name] += [other for other in unit.words("Unit", "After") if other in graph]
            for other in unit.words("Unit", "Before"):
                if other in graph:
                    graph[other].append(name)
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError:
            return names


def _ours(unit: Unit) -> bool:
    # The rest of the system (network.target, local-fs.target, ...) is taken to be up already.
    return unit.name.startswith("nut") or (unit.path is not None and unit.path.is_relative_to(units.ETC))


def _conditions_hold(unit: Unit) -> bool:
    for line in unit.lines("Unit", "ConditionPathExists"):
        if Path(line.lstrip("!")).exists() == line.startswith("!"):
            return False
    return True


def _signature(path: str) -> Signature:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns
