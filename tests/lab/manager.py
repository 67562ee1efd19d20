"""The manager behind the systemctl stand-in: what each verb does, prints and returns.

Output and exit codes are those of systemd 252, as recorded in `recorded/`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from . import units
from .jobs import Jobs
from .services import Services, State

CHANGING = {
    "start",
    "stop",
    "restart",
    "reload",
    "reload-or-restart",
    "try-restart",
    "enable",
    "disable",
    "mask",
}
INIT_SCRIPTS = Path("/etc/init.d")
SYSV = "/lib/systemd/systemd-sysv-install"
STAMP = "%a %Y-%m-%d %H:%M:%S UTC"


class Reply(NamedTuple):
    """Exit code, standard output, standard error."""

    code: int
    out: str = ""
    err: str = ""


Verb = Callable[[list[str], set[str]], Reply]


class Manager:
    """Answers systemctl's questions and carries out its orders."""

    def __init__(self) -> None:
        self.services = Services()
        self.jobs = Jobs(self.services)
        self._verbs: dict[str, Verb] = {
            "start": self._start,
            "stop": self._stop,
            "restart": self._restart,
            "try-restart": self._try_restart,
            "reload": self._reload,
            "reload-or-restart": self._reload_or_restart,
            "is-active": self._is_active,
            "is-failed": self._is_failed,
            "is-enabled": self._is_enabled,
            "enable": self._enable,
            "disable": self._disable,
            "mask": self._mask,
            "unmask": self._unmask,
            "reset-failed": self._reset_failed,
            "list-unit-files": self._list_unit_files,
            "daemon-reload": lambda names, flags: Reply(0),
            "is-system-running": lambda names, flags: Reply(0, "running\n"),
        }

    def answer(self, words: Sequence[str], user: int) -> Reply:
        """Carry out one command line, without the program's name, for a user id."""
        names, flags, wanted = _split(words)
        if not names:
            return Reply(1, "", "This stand-in needs a verb.\n")
        verb, names = names[0], names[1:]
        if verb == "show":
            return self._show(names, flags, wanted)
        if verb not in self._verbs:
            return Reply(1, "", f"Unknown command verb {verb}.\n")
        names = [name if "*" in name else units.full_name(name) for name in names]
        if verb in CHANGING and user != 0:
            hint = f"See system logs and 'systemctl status {' '.join(names)}' for details.\n"
            return Reply(4, "", f"Failed to {verb} {' '.join(names)}: Access denied\n{hint}")
        return self._verbs[verb](names, flags)

    def _job(
        self, verb: str, names: list[str], flags: set[str], run: Callable[[list[str]], list[str]]
    ) -> Reply:
        known = [name for name in names if units.load(name).load == "loaded"]
        err = ""
        for name in names:
            if units.load(name).load == "masked":
                err += f"Failed to {verb} {name}: Unit {name} is masked.\n"
            elif name not in known:
                what = f"Unit {name} not {'loaded' if verb == 'stop' else 'found'}."
                err += f"Failed to {verb} {name}: {what}\n"
        if "--no-block" in flags:
            threading.Thread(target=run, args=(known,), daemon=True).start()
            return Reply(5 if err else 0, "", err)
        failed = run(known)
        for name in failed:
            err += f"Job for {name} failed because the control process exited with error code.\n"
            err += f'See "systemctl status {name}" and "journalctl -xeu {name}" for details.\n'
        return Reply(1 if failed or "masked" in err else 5 if err else 0, "", err)

    def _start(self, names: list[str], flags: set[str]) -> Reply:
        return self._job("start", names, flags, self.jobs.start)

    def _stop(self, names: list[str], flags: set[str]) -> Reply:
        return self._job("stop", names, flags, lambda known: self.jobs.stop(known) and [])

    def _restart(self, names: list[str], flags: set[str]) -> Reply:
        return self._job("restart", names, flags, self.jobs.restart)

    def _try_restart(self, names: list[str], flags: set[str]) -> Reply:
        return self._job(
            "try-restart", names, flags, lambda known: self.jobs.restart(filter(self._active, known))
        )

    def _reload(self, names: list[str], flags: set[str]) -> Reply:
        known = [name for name in names if units.load(name).load == "loaded"]
        unable = [name for name in known if not units.load(name).lines("Service", "ExecReload")]
        down = [name for name in known if name not in unable and not self._active(name)]
        err = "".join(f"{name} is not active, cannot reload.\n" for name in down)
        for name in unable:
            err += f"Failed to reload {name}: Job type reload is not applicable for unit {name}.\n"
        if err:
            return Reply(1 if down else 3, "", err)
        return self._job("reload", names, flags, self._reload_known)

    def _reload_known(self, names: list[str]) -> list[str]:
        return [name for name in names if not self.jobs.reload(name)]

    def _reload_or_restart(self, names: list[str], flags: set[str]) -> Reply:
        def run(known: list[str]) -> list[str]:
            able = [n for n in known if self._active(n) and units.load(n).lines("Service", "ExecReload")]
            return self._reload_known(able) + self.jobs.restart(name for name in known if name not in able)

        return self._job("reload-or-restart", names, flags, run)

    def _is_active(self, names: list[str], flags: set[str]) -> Reply:
        states = [self._state(name).active for name in names]
        return Reply(0 if "active" in states else 3, "".join(f"{state}\n" for state in states))

    def _is_failed(self, names: list[str], flags: set[str]) -> Reply:
        states = [self._state(name).active for name in names]
        return Reply(0 if "failed" in states else 1, "".join(f"{state}\n" for state in states))

    def _is_enabled(self, names: list[str], flags: set[str]) -> Reply:
        out, good = "", False
        for name in names:
            state = units.file_state(name)
            if not state:
                error = f"Failed to get unit file state for {name}: No such file or directory\n"
                return Reply(1, out, error)
            out += f"{state}\n"
            good = good or state in ("enabled", "static", "alias", "indirect")
        return Reply(0 if good else 1, out)

    def _enable(self, names: list[str], flags: set[str]) -> Reply:
        return self._file_verb("enable", units.enable, names, flags, self._start)

    def _disable(self, names: list[str], flags: set[str]) -> Reply:
        return self._file_verb("disable", units.disable, names, flags, self._stop)

    def _file_verb(
        self,
        verb: str,
        change: Callable[[units.Unit], list[str]],
        names: list[str],
        flags: set[str],
        now: Verb,
    ) -> Reply:
        missing = [name for name in names if units.load(name).load == "not-found"]
        if missing:
            return Reply(1, "", f"Failed to {verb} unit: Unit file {missing[0]} does not exist.\n")
        said: list[str] = []
        for name in names:
            script = name.removesuffix(".service")
            if (INIT_SCRIPTS / script).exists():
                said.append(f"Synchronizing state of {name} with SysV service script with {SYSV}.")
                said.append(f"Executing: {SYSV} {verb} {script}")
            said += change(units.load(name))
        after = now(names, flags) if "--now" in flags else Reply(0)
        return Reply(after.code, "", "".join(f"{line}\n" for line in said) + after.err)

    def _mask(self, names: list[str], flags: set[str]) -> Reply:
        return Reply(0, "", "".join(f"{line}\n" for name in names for line in units.mask(name)))

    def _unmask(self, names: list[str], flags: set[str]) -> Reply:
        return Reply(0, "", "".join(f"{line}\n" for name in names for line in units.unmask(name)))

    def _reset_failed(self, names: list[str], flags: set[str]) -> Reply:
        err = ""
        for name in names:
            state = self._state(name)
            if not self._in_memory(state):
                err += f"Failed to reset failed state of unit {name}: Unit {name} not loaded.\n"
            elif state.active == "failed":
                state.become("inactive", "dead")
                state.result = "success"
        return Reply(1 if err else 0, "", err)

    def _list_unit_files(self, names: list[str], flags: set[str]) -> Reply:
        found = dict.fromkeys(name for pattern in names or ["*"] for name in units.files(pattern))
        states = [(name, units.file_state(name)) for name in found]
        rows = [(name, state, "-" if state in ("static", "alias") else "enabled") for name, state in states]
        head = [] if "--no-legend" in flags else [("UNIT FILE", "STATE", "PRESET")]
        widths = [max(map(len, column)) for column in zip(*head, *rows, strict=True)]
        cells = [[word.ljust(w) for word, w in zip(row, widths, strict=True)] for row in [*head, *rows]]
        out = "".join(" ".join(row).rstrip() + "\n" for row in cells)
        legend = f"\n{len(rows)} unit files listed.\n" if head else ""
        return Reply(0 if rows else 1, out + legend)

    def _show(self, names: list[str], flags: set[str], wanted: list[str]) -> Reply:
        plain = [units.full_name(name) for name in names if "*" not in name]
        patterns = [name for name in names if "*" in name]
        # A pattern finds what is in memory, and of that what is not down.
        alive = [state.name for state in self._services_now() if state.active != "inactive"]
        plain += sorted(name for name in alive if any(fnmatchcase(name, pattern) for pattern in patterns))
        unix = "--timestamp=unix" in flags
        tables = [self._properties(name, unix) for name in plain]
        rows = [
            [
                f"{key}={value}\n" if "--value" not in flags else f"{value}\n"
                for key, value in table.items()
                if value is not None and (not wanted or key in wanted)
            ]
            for table in tables
        ]
        return Reply(0, "\n".join("".join(block) for block in rows))

    def _properties(self, name: str, unix: bool) -> dict[str, str | None]:
        unit = units.load(name)
        state = self._state(name)
        service = unit.name.endswith(".service")
        entered = f"@{state.entered_at:.0f}" if unix else time.strftime(STAMP, time.gmtime(state.entered_at))
        return {
            "Type": unit.value("Service", "Type", "simple") if service and unit.load == "loaded" else None,
            "Restart": unit.value("Service", "Restart", "no") if service else None,
            "MainPID": str(state.main_pid) if service else None,
            "Result": state.result if unit.name.endswith((".service", ".path")) else None,
            "NRestarts": str(state.restarts) if service else None,
            "ExecMainCode": str(state.exit_code) if service else None,
            "ExecMainStatus": str(state.exit_status) if service else None,
            "Id": unit.name,
            "Names": " ".join(units.names(unit)),
            "Description": unit.expand(unit.value("Unit", "Description", unit.name)),
            "LoadState": unit.load,
            "ActiveState": state.active,
            "SubState": state.sub,
            "FragmentPath": str(unit.path) if unit.load == "loaded" else "",
            "UnitFileState": units.file_state(unit.name),
            "ActiveEnterTimestamp": entered if state.entered else "",
            "ActiveEnterTimestampMonotonic": str(state.entered),
            "InactiveEnterTimestampMonotonic": str(state.left),
        }

    def _state(self, name: str) -> State:
        name = units.load(name).name
        state = self.services.states.get(name, State(name))
        return state if self._in_memory(state) else State(name)

    def _in_memory(self, state: State) -> bool:
        # systemd forgets a unit that is down and that nothing enabled refers to.
        return state.active != "inactive" or state.name in units.linked()

    def _active(self, name: str) -> bool:
        return self._state(name).active == "active"

    def _services_now(self) -> list[State]:
        return list(self.services.states.values())


def _split(words: Sequence[str]) -> tuple[list[str], set[str], list[str]]:
    """Take a command line apart: verb and names, options, properties asked for with -p."""
    names: list[str] = []
    flags: set[str] = set()
    wanted: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in ("-p", "--property", "-P"):
            flags |= {"--value"} if word == "-P" else set()
            wanted += next(rest, "").split(",")
        elif word.startswith(("-p", "--property=")):
            wanted += word.removeprefix("--property=").removeprefix("-p").split(",")
        elif word.startswith("-") and word != "--":
            flags.add(word)
        elif word != "--":
            names.append(word)
    return names, flags, wanted
