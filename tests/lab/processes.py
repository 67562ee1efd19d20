"""Processes of units: start them, know which belong to a unit, learn how they end.

PID 1 inherits every daemon that goes into the background, so it sees the exit status of all. systemd knows a
unit's processes by their cgroup; here INVOCATION_ID in their environment tells, which a child inherits alike.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

MARK = "INVOCATION_ID"
BASE_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
EXIT_NAMES = {1: "FAILURE", 2: "INVALIDARGUMENT", 3: "NOTIMPLEMENTED", 4: "NOPERMISSION", 203: "EXEC"}
EXEC_FAILED = 203 << 8  # systemd.exec(5), "Process Exit Codes": 203/EXEC


class Processes:
    """The table of children; the reaper calls `on_exit(pid, wait status)` for each."""

    def __init__(self, on_exit: Callable[[int, int], None]) -> None:
        self._on_exit = on_exit
        self._ended: dict[int, int] = {}
        self._watched: set[int] = set()
        self._change = threading.Condition()

    def spawn(self, argv: list[str], environment: Mapping[str, str], output: int) -> int:
        """Start a program in a session of its own; 0 if it cannot be executed."""
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        ]
        defaults = [signal.SIGPIPE, signal.SIGINT, signal.SIGXFSZ]
        with self._change:
            try:
                pid = os.posix_spawn(
                    argv[0],
                    argv,
                    environment,
                    file_actions=actions,
                    setsid=True,
                    setsigdef=defaults,
                    setsigmask=[],
                )
            except OSError:
                return 0
            self._watched.add(pid)
            self._ended.pop(pid, None)  # of an earlier process with the same number
            return pid

    def wait(self, pid: int, limit: float) -> int | None:
        """The wait status of a process that `spawn` started, None when it still runs after `limit` s."""
        with self._change:
            self._change.wait_for(lambda: pid in self._ended, limit)
            return self._ended.pop(pid, None)

    def reap(self) -> None:
        """Collect children until the process ends; the main loop of PID 1."""
        while True:
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                time.sleep(0.02)
                continue
            with self._change:
                if pid in self._watched:
                    self._watched.discard(pid)
                    self._ended[pid] = status
                    self._change.notify_all()
            self._on_exit(pid, status)


def new_mark() -> str:
    """A value for INVOCATION_ID."""
    return uuid.uuid4().hex


def mark_of(pid: int) -> str:
    """The INVOCATION_ID that a process runs with, "" if none or gone."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    head = f"{MARK}=".encode()
    return next((word[len(head) :].decode("ascii", "replace") for word in words if word.startswith(head)), "")


def members(mark: str) -> list[int]:
    """The living processes of one invocation."""
    pids = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if pid != 1 and mark and mark_of(pid) == mark]


def end(mark: str, limit: float) -> bool:
    """SIGTERM to all of an invocation, SIGKILL to those that remain after `limit` s; did SIGTERM do?"""
    for number, seconds in ((signal.SIGTERM, limit), (signal.SIGKILL, 5.0)):
        targets = members(mark)
        for pid in targets:
            _signal(pid, number)
        deadline = time.monotonic() + seconds
        while members(mark) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not members(mark):
            return number == signal.SIGTERM or not targets
    return False


def clean(status: int) -> bool:
    """Does systemd take this end for a success (exit 0, or one of the four signals of systemd.service(5))?"""
    code = os.waitstatus_to_exitcode(status)
    return code == 0 or -code in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)


def describe(code: int) -> str:
    """An end as the journal tells it; `code` is negative for a signal."""
    if code < 0:
        return f"killed, status={-code}/{signal.Signals(-code).name.removeprefix('SIG')}"
    return f"exited, status={code}/{EXIT_NAMES.get(code, 'n/a')}"


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself since the look
        os.kill(pid, number)
