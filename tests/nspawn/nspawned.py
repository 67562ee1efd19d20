"""One machine of a rig as a test sees it: switch it on, wait until it is off, read its journals also then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.machine import LogLine, Machine, has_ended, wait_until

from .ground import NEVER

BOOT_LIMIT = 60.0
END_LIMIT = 15.0
READ_LIMIT = 30.0


@dataclass(frozen=True)
class Off:
    """When a machine was off (seconds since 1970), and nspawn's exit code: 0 for a shutdown of its own."""

    at: float
    code: int


class Nspawned(Machine):
    """A machine that is off until `boot`; its disk lasts as long as the rig."""

    without = ("setpriv", "--bounding-set=" + ",".join(f"-{name}" for name in NEVER))

    def __init__(self, name: str, address: str, ground: int, order: Callable[[str], None]) -> None:
        """`ground`: the rig's first process; `order`: asks it to boot the machine of that name."""
        self.name, self.address, self.pid = name, address, 0
        self._ground, self._order, self._ended = ground, order, 0
        self._place = Path(f"/proc/{ground}/root/mnt/{name}")
        self.disk = self._place / "root"

    def boot(self) -> None:
        """Switch on; returns once systemd says that all has started.

        Raises RuntimeError with the units that failed, TimeoutError with the console's end.
        """
        assert not self.runs(), f"{self.name} runs already"
        self._ended = len(self.offs())
        self._order(self.name)
        try:
            self.pid = wait_until(self._first_process, BOOT_LIMIT, 0.05)
            state = wait_until(self._state, BOOT_LIMIT, 0.2)
        except TimeoutError as error:
            raise TimeoutError(f"{self.name} did not boot: {error}\n{self.console()[-2000:]}") from None
        if state != "running":
            failed = self.run(["systemctl", "--failed", "--no-legend", "--plain"]).stdout
            raise RuntimeError(f"{self.name} is {state}:\n{failed}")

    def runs(self) -> bool:
        """Is it on?"""
        return self.pid != 0 and not has_ended(self.pid)

    def wait_off(self, limit: float) -> Off:
        """Wait for the end of the last boot; raises TimeoutError with the journal's end."""
        try:
            return wait_until(lambda: next(iter(self.offs()[self._ended :]), None), limit, 0.02)
        except TimeoutError:
            tail = "\n".join(f"{line.tag}: {line.text}" for line in self.log()[-30:])
            raise TimeoutError(f"{self.name} is not off within {limit} s; the last:\n{tail}") from None

    def offs(self) -> list[Off]:
        """When it went off, each time."""
        lines = (self._place / "offs").read_text(encoding="ascii").splitlines()
        return [Off(**json.loads(line)) for line in lines]

    def console(self) -> str:
        """What systemd wrote to the console, all boots."""
        return (self._place / "console").read_text(encoding="utf-8", errors="replace")

    def log(self) -> list[LogLine]:
        return self.boots()[-1]

    def boots(self) -> list[list[LogLine]]:
        """What the journal holds of each boot, the first one first; also of a machine that is off."""
        command = ["journalctl", "-D", str(self.disk / "var/log/journal"), "-o", "json", "--all"]
        done = subprocess.run(command, capture_output=True, timeout=READ_LIMIT, check=True)
        boots: dict[str, list[LogLine]] = {}
        for row in map(json.loads, done.stdout.splitlines()):
            boots.setdefault(row["_BOOT_ID"], []).append(_line(row))
        return list(boots.values())

    def close(self) -> None:
        """As when the power is cut."""
        if self.runs():
            os.kill(self.pid, signal.SIGKILL)
            wait_until(lambda: has_ended(self.pid) or None, END_LIMIT, 0.02)

    def _first_process(self) -> int | None:
        """systemd, once it can be asked; raises RuntimeError where nspawn has given up."""
        if self.offs()[self._ended :]:
            raise RuntimeError(f"{self.name} did not boot:\n{self.console()[-2000:]}")
        mine = (pid for pid in children(self._ground) if f"--machine={self.name}" in _command_line(pid))
        inside = (pid for nspawn in mine for pid in children(nspawn))
        return next(
            (pid for pid in inside if Path(f"/proc/{pid}/root/run/systemd/private").is_socket()), None
        )

    def _state(self) -> str | None:
        said = self.run(["systemctl", "is-system-running"]).stdout.strip()
        return said if said in ("running", "degraded", "maintenance") else None


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return []


def _line(row: dict[str, Any]) -> LogLine:
    """A row of the journal; a message that is no text is an array of bytes."""
    text = row.get("MESSAGE") or ""
    text = text if isinstance(text, str) else bytes(text).decode("utf-8", "replace")
    return LogLine(
        int(row["__REALTIME_TIMESTAMP"]) / 1e6,
        row.get("SYSLOG_IDENTIFIER", ""),
        int(row.get("_PID", 0)),
        text,
    )


def children(pid: int) -> list[int]:
    """The children of a process, as this computer numbers them."""
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [int(word) for word in words]
