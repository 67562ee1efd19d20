"""The life of one unit: start, stop, reload, restart by itself, in the words of `systemctl show`."""

from __future__ import annotations

import os
import shlex
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import processes, units
from .journal import Journal
from .processes import EXEC_FAILED, MARK, Processes

START_LIMIT = STOP_LIMIT = 90.0  # DefaultTimeoutStartSec=, DefaultTimeoutStopSec=

ONESHOT_LIMIT = 600.0  # systemd knows none


@dataclass
class State:
    """What is true of a unit now; times are microseconds of CLOCK_MONOTONIC, 0 = never.

    `entered_at` is that of the last activation in seconds since 1970.
    """

    name: str
    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    main_pid: int = 0
    mark: str = ""
    entered: int = 0
    entered_at: float = 0.0
    left: int = 0
    exit_code: int = 0
    exit_status: int = 0
    restarts: int = 0
    stopping: bool = False
    timer: threading.Timer | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def become(self, active: str, sub: str) -> None:
        """Change state and note the time."""
        if active == "active" and self.active != "active":
            self.entered = time.monotonic_ns() // 1000
            self.entered_at = time.time()
        if active in ("inactive", "failed") and self.active not in ("inactive", "failed"):
            self.left = time.monotonic_ns() // 1000
        self.active, self.sub = active, sub


class Services:
    """Runs services and keeps the state of every unit that was ever touched."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.processes = Processes(self._ended)
        self.journal = Journal(self.unit_of)

    def state(self, name: str) -> State:
        """The state of a unit, by its Id."""
        return self.states.setdefault(name, State(name))

    def unit_of(self, pid: int) -> str:
        """The unit that a process belongs to, "" if to none."""
        mark = processes.mark_of(pid)
        return next((state.name for state in list(self.states.values()) if mark and state.mark == mark), "")

    def start(self, unit: units.Unit) -> bool:
        """Start a service; True when the job is done well, which for Type=simple says little."""
        state = self.state(unit.name)
        under_way = state.active == "activating" and state.sub == "start"
        with state.lock:
            if under_way:  # one start serves all who ask for it
                return state.result == "success"
            if state.active in ("active", "reloading"):
                return True
            self._cancel_restart(state)
            state.stopping, state.result, state.mark = False, "success", processes.new_mark()
            if not self._controls(unit, state, "ExecStartPre", START_LIMIT):
                self._after_end(unit, state, "exit-code")
                return False
            kind = unit.value("Service", "Type", "simple")
            if kind == "oneshot":
                return self._run_once(unit, state)
            if kind == "forking":
                return self._start_forking(unit, state)
            return self._start_simple(unit, state)

    def stop(self, unit: units.Unit) -> bool:
        """Stop a service: ExecStop=, then signals. A start that is under way ends too."""
        state = self.state(unit.name)
        state.stopping = True
        if state.active == "activating":
            processes.end(state.mark, STOP_LIMIT)
        with state.lock:
            self._cancel_restart(state)
            if state.active in ("inactive", "failed"):
                return True
            self.say(state, f"Stopping {self.label(unit)}...")
            if state.active == "active":
                state.become("deactivating", "stop")
                self._controls(unit, state, "ExecStop", STOP_LIMIT)
            in_time = processes.end(state.mark, STOP_LIMIT)
            state.main_pid = 0
            state.result = "success" if in_time else "timeout"
            state.become("inactive" if in_time else "failed", "dead" if in_time else "failed")
            if in_time:
                self.say(state, f"{unit.name}: Deactivated successfully.")
            self.say(state, f"Stopped {self.label(unit)}.")
            return True

    def reload(self, unit: units.Unit) -> bool:
        """Run ExecReload= of a running service; False if it fails, the service stays active."""
        state = self.state(unit.name)
        with state.lock:
            self.say(state, f"Reloading {self.label(unit)}...")
            done = self._controls(unit, state, "ExecReload", START_LIMIT)
            said = f"Reloaded {self.label(unit)}." if done else f"Reload failed for {self.label(unit)}."
            self.say(state, said)
            return done

    def say(self, state: State, text: str) -> None:
        """What the manager itself writes into the journal of a unit."""
        self.journal.add(state.name, "systemd", 1, text)

    def label(self, unit: units.Unit) -> str:
        """A unit as messages name it."""
        text = unit.expand(unit.value("Unit", "Description"))
        return f"{unit.name} - {text}" if text else unit.name

    def _start_simple(self, unit: units.Unit, state: State) -> bool:
        state.become("active", "running")
        pid = state.main_pid = self._spawn(unit, state, unit.value("Service", "ExecStart"))
        self.say(state, f"Started {self.label(unit)}.")
        # It may have ended before its number was noted here, and then the reaper found no unit for it.
        status = self.processes.wait(pid, 0) if pid else EXEC_FAILED
        if status is not None:
            self._settle(unit, state, status)
        return True

    def _run_once(self, unit: units.Unit, state: State) -> bool:
        state.become("activating", "start")
        self.say(state, f"Starting {self.label(unit)}...")
        if not self._controls(unit, state, "ExecStart", ONESHOT_LIMIT, main=True):
            self._after_end(unit, state, "exit-code")
            self.say(state, f"Failed to start {self.label(unit)}.")
            return False
        remain = unit.value("Service", "RemainAfterExit") in ("yes", "true", "1")
        if not remain:
            self.say(state, f"{unit.name}: Deactivated successfully.")
        state.become("active" if remain else "inactive", "exited" if remain else "dead")
        self.say(state, f"Finished {self.label(unit)}.")
        return True

    def _start_forking(self, unit: units.Unit, state: State) -> bool:
        state.become("activating", "start")
        self.say(state, f"Starting {self.label(unit)}...")
        good = self._controls(unit, state, "ExecStart", START_LIMIT)
        left = processes.members(state.mark)
        if good and left:
            state.main_pid = left[0]
            state.become("active", "running")
            self.say(state, f"Started {self.label(unit)}.")
            if not Path(f"/proc/{state.main_pid}").exists():
                self._settle(unit, state, 0)
            return True
        # A start that left no process behind is stopped in form, and a failing ExecStop= makes it a failure.
        good = good and self._controls(unit, state, "ExecStop", STOP_LIMIT)
        processes.end(state.mark, STOP_LIMIT)
        self._after_end(unit, state, "success" if good else "exit-code")
        if not good:
            self.say(state, f"Failed to start {self.label(unit)}.")
        return good

    def _spawn(self, unit: units.Unit, state: State, line: str) -> int:
        reader, writer = os.pipe()
        argv = self._arguments(unit, state, line)
        pid = self.processes.spawn(argv, self._environment(unit, state), writer)
        os.close(writer)
        self.journal.follow(reader, unit.name, unit.name.removesuffix(".service"), pid)
        if pid == 0:
            self.say(state, f"{unit.name}: Failed to locate executable {argv[0]}: No such file or directory")
        return pid

    def _controls(
        self, unit: units.Unit, state: State, key: str, limit: float, *, main: bool = False
    ) -> bool:
        lines = unit.lines("Service", key)
        return all(self._control(unit, state, line, limit, main) for line in lines)

    def _control(self, unit: units.Unit, state: State, line: str, limit: float, main: bool) -> bool:
        pid = self._spawn(unit, state, line)
        if main:
            state.main_pid = pid
        status = self.processes.wait(pid, limit) if pid else EXEC_FAILED
        if main:
            state.main_pid = 0
        if status is None:
            self.say(state, f"{unit.name}: operation timed out. Terminating.")
            processes.end(state.mark, STOP_LIMIT)
            return False
        self._note_end(unit, state, status, main)
        return status == 0 or line.startswith("-")

    def _note_end(self, unit: units.Unit, state: State, status: int, main: bool) -> None:
        code = os.waitstatus_to_exitcode(status)
        if main:
            state.exit_code, state.exit_status = (1, code) if code >= 0 else (2, -code)
        if not processes.clean(status):
            who = "Main" if main else "Control"
            self.say(state, f"{unit.name}: {who} process exited, code={processes.describe(code)}")

    def _arguments(self, unit: units.Unit, state: State, line: str) -> list[str]:
        known = self._environment(unit, state)
        words = [unit.expand(word) for word in shlex.split(line.lstrip("-@+!"))]
        # Only a variable that is a word of its own: "$NAME" within one is left to the shell that runs it.
        return [
            known.get(word[1:], "") if word.startswith("$") and word[1:].isidentifier() else word
            for word in words
        ]

    def _environment(self, unit: units.Unit, state: State) -> dict[str, str]:
        out = dict(processes.BASE_ENVIRONMENT)
        for line in unit.lines("Service", "Environment"):
            out.update(word.partition("=")[::2] for word in shlex.split(line))
        for name in unit.lines("Service", "EnvironmentFile"):
            out.update(_assignments(Path(name.lstrip("-"))))
        out.update(
            {MARK: state.mark, "MAINPID": str(state.main_pid)} if state.main_pid else {MARK: state.mark}
        )
        return out

    def _ended(self, pid: int, status: int) -> None:
        for state in list(self.states.values()):
            if state.main_pid == pid and not state.stopping:
                unit = units.load(state.name)
                threading.Thread(
                    target=self._main_ended, args=(unit, state, pid, status), daemon=True
                ).start()

    def _main_ended(self, unit: units.Unit, state: State, pid: int, status: int) -> None:
        with state.lock:
            if state.main_pid == pid and not state.stopping:
                self._settle(unit, state, status)

    def _settle(self, unit: units.Unit, state: State, status: int) -> None:
        state.main_pid = 0
        self._note_end(unit, state, status, main=True)
        code = os.waitstatus_to_exitcode(status)
        result = "success" if processes.clean(status) else "exit-code" if code > 0 else "signal"
        state.become("deactivating", "stop")
        if not self._controls(unit, state, "ExecStop", STOP_LIMIT) and result == "success":
            result = "exit-code"
        processes.end(state.mark, STOP_LIMIT)
        self._after_end(unit, state, result)

    def _after_end(self, unit: units.Unit, state: State, result: str) -> None:
        state.result = result
        if result == "success":
            self.say(state, f"{unit.name}: Deactivated successfully.")
            state.become("inactive", "dead")
        else:
            self.say(state, f"{unit.name}: Failed with result '{result}'.")
            state.become("failed", "failed")
        policy = unit.value("Service", "Restart", "no")
        if not state.stopping and (policy == "always" or (policy == "on-failure" and result != "success")):
            state.become("activating", "auto-restart")
            seconds = float(unit.value("Service", "RestartSec", "0.1").removesuffix("s"))
            state.timer = threading.Timer(seconds, self._restart, (unit.name,))
            state.timer.daemon = True
            state.timer.start()

    def _restart(self, name: str) -> None:
        state = self.state(name)
        with state.lock:
            if state.sub == "auto-restart" and not state.stopping:
                state.restarts += 1
                self.say(state, f"{name}: Scheduled restart job, restart counter is at {state.restarts}.")
                self.start(units.load(name))

    def _cancel_restart(self, state: State) -> None:
        if state.timer is not None:
            state.timer.cancel()
            state.timer = None
        if state.sub == "auto-restart":
            state.become("inactive", "dead")


def _assignments(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith(("#", ";"))]
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
