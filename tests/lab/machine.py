"""One machine of the lab as a test sees it: run programs in it, read and write its files, drive its UPS."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from .boot import Spec
from .dress import CHECKOUT
from .journal import STORE

BOOT_LIMIT = 15.0
END_LIMIT = 10.0
T = TypeVar("T")
ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TERM": "xterm-256color",
}
# The kernel ends unshare with its parent, and unshare ends the machine.
NAMESPACES = ["setpriv", "--pdeathsig=KILL", "unshare", "-mnuip", "--fork", "--kill-child"]
BOOT_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from lab.pid1 import main; main()"


class Status(NamedTuple):
    """Owner and group by name, the permission bits, the size in bytes."""

    owner: str
    group: str
    mode: int
    size: int


@dataclass(frozen=True)
class LogLine:
    """One line of the machine's log: seconds since 1970, the program's tag, its process, its text."""

    at: float
    tag: str
    pid: int
    text: str


class Machine(ABC):
    """A running machine, entered by its first process `pid`; `name` is its host name."""

    name: str
    pid: int
    #: What takes rights away from those who enter: the beginning of their command line.
    without: Sequence[str] = ()

    @abstractmethod
    def log(self) -> list[LogLine]:
        """What its programs have logged so far, oldest first."""

    @abstractmethod
    def close(self) -> None:
        """End the machine; returns when all its processes are gone."""

    def command(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        cwd: str | Path = "/",
        env: Mapping[str, str] | None = None,
    ) -> list[str]:
        """The command line that runs `argv` inside, for those who start it themselves (a terminal)."""
        inside = ["-m", "-u", "-i", "-n", "-p", "--root", f"--wdns={cwd}"]
        words = [*self.without, "nsenter", f"--target={self.pid}", *inside]
        if user:
            words += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        pairs = {**ENVIRONMENT, **(env or {})}
        return [*words, "env", "-i", *(f"{key}={value}" for key, value in pairs.items()), *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes | str | None = None,
        timeout: float = 30.0,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: str | Path = "/",
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside, output as text.

        Raises subprocess.TimeoutExpired (the program's process group is killed then), and AssertionError for
        another exit code than 0 with `check`.
        """
        data = input.encode() if isinstance(input, str) else input
        raw = self._run_bytes(self.command(argv, user=user, cwd=cwd, env=env), data, timeout)
        done = subprocess.CompletedProcess(
            list(argv),
            raw.returncode,
            raw.stdout.decode("utf-8", "replace"),
            raw.stderr.decode("utf-8", "replace"),
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{self.name}: {argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    def read(self, path: str) -> bytes:
        """The bytes of a file; raises FileNotFoundError."""
        done = self._run_bytes(self.command(["cat", "--", path]), None, 10.0)
        if done.returncode != 0:
            raise FileNotFoundError(f"{self.name}:{path}: {done.stderr.decode('utf-8', 'replace').strip()}")
        return done.stdout

    def write(
        self, path: str, data: bytes | str, owner: str = "root", group: str = "root", mode: int = 0o644
    ) -> None:
        """Replace a file as `install` does: a new inode, folders made as needed."""
        argv = ["install", "-D", "-o", owner, "-g", group, "-m", f"{mode:o}", "/dev/stdin", path]
        self.run(argv, input=data, timeout=10.0, check=True)

    def exists(self, path: str) -> bool:
        """Is there anything by that name?"""
        return self.run(["test", "-e", path, "-o", "-L", path], timeout=10.0).returncode == 0

    def stat(self, path: str) -> Status:
        """Owner, group, mode and size; raises AssertionError where the file is missing."""
        owner, group, mode, size = self.run(["stat", "-c", "%U %G %a %s", path], check=True).stdout.split()
        return Status(owner, group, int(mode, 8), int(size))

    def snapshot(self, folder: str) -> dict[str, tuple[Status, bytes]]:
        """All files of a folder (not of those below it): what a test compares byte for byte."""
        listed = self.run(["find", folder, "-maxdepth", "1", "-type", "f"], check=True).stdout.split("\n")
        return {path: (self.stat(path), self.read(path)) for path in sorted(filter(None, listed))}

    def wait_log(self, text: str, timeout: float = 20.0, since: float = 0.0) -> LogLine:
        """Wait for a log line that contains a text; raises TimeoutError with the log's end."""

        def found() -> LogLine | None:
            return next((line for line in self.log() if text in line.text and line.at >= since), None)

        try:
            return wait_until(found, timeout)
        except TimeoutError:
            tail = "\n".join(f"{line.tag}: {line.text}" for line in self.log()[-20:])
            raise TimeoutError(
                f"{self.name}: no log line with {text!r} within {timeout} s; the last:\n{tail}"
            ) from None

    def systemctl(self, *words: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """The machine's systemctl."""
        return self.run(["/usr/bin/systemctl", *words], timeout=timeout)

    def properties(self, unit: str) -> dict[str, str]:
        """What `systemctl show` says of one unit."""
        rows = self.systemctl("show", unit).stdout.splitlines()
        return {key: value for key, _, value in (row.partition("=") for row in rows)}

    def ups(self, status: str | None = None, charge: int | None = None, **values: str) -> None:
        """Change what the UPS measures; further values with `__` for a dot, as in `input__voltage="0"`.

        upsd shows it after the driver's pollinterval (2 s by default).
        """
        changes = {key.replace("__", "."): value for key, value in values.items()}
        changes |= {"ups.status": status} if status is not None else {}
        changes |= {"battery.charge": str(charge)} if charge is not None else {}
        code = "import sys, json; sys.path.insert(0, sys.argv[1]); from lab.usbhid_standin import set_values;"
        argv = [interpreter(), "-ISc", code + "set_values(json.loads(sys.argv[2]))", str(CHECKOUT / "tests")]
        self.run([*argv, json.dumps(changes)], check=True)

    def _run_bytes(
        self, command: Sequence[str], data: bytes | None, timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        source = subprocess.DEVNULL if data is None else subprocess.PIPE
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, stdin=source, stdout=pipe, stderr=pipe, start_new_session=True
        ) as process:
            try:
                out, err = process.communicate(data, timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # nsenter and what it runs share the group
                # What has a session of its own lives on and may hold the pipes: ask once more, no longer.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=1.0)
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)


class Booted(Machine):
    """A machine of the lab; ends, and everything in it, with `close` or with the process that made it."""

    def __init__(self, spec: Spec) -> None:
        """Boot; raises RuntimeError with the machine's own words when it does not come up."""
        command = [*NAMESPACES, interpreter(), "-IS", "-c", BOOT_CODE, str(CHECKOUT / "tests")]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        self.name = spec["hostname"]
        try:
            self._send(json.dumps(spec).encode() + b"\n")
            self._await_ready()
            self.pid = _only_child(self._process.pid)
        except BaseException:
            self.close()
            raise

    def log(self) -> list[LogLine]:
        entries = [json.loads(line) for line in self.read(str(STORE)).splitlines()]
        return [LogLine(e["at"], e["tag"], e["pid"], e["text"]) for e in entries if e["syslog"]]

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            self._process.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(END_LIMIT)
        if hasattr(self, "pid"):
            wait_until(lambda: has_ended(self.pid) or None, END_LIMIT, 0.01)

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def _await_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            answered = selector.select(BOOT_LIMIT)
        if not answered or self._process.stdout.readline() != b"ready\n":
            self._process.kill()
            words = self._process.stderr.read().decode("utf-8", "replace")
            raise RuntimeError(f"machine {self.name} did not boot: {words.strip() or 'no answer'}")


def wait_until(look: Callable[[], T | None], timeout: float, every: float = 0.1) -> T:
    """Ask until the answer is something else than None; raises TimeoutError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = look()
        if answer is not None:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout} s")
        time.sleep(every)


def has_ended(pid: int) -> bool:
    """Is a process gone, or a zombie? PID 1 of a namespace is one only when all others in it are dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def interpreter() -> str:
    """The Python that the lab's own programs run with: the tests' one, without its environment."""
    return os.path.realpath(sys.executable)


def _only_child(parent: int) -> int:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    return int(children[0])
