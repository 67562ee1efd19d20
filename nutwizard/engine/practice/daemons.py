"""The real upsd and dummy-ups for the practice machine, in files of their own and ended with this process."""

from __future__ import annotations

import functools
import json
import os
import pwd
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nutwizard.engine.machine import ENVIRONMENT
from nutwizard.engine.practice.nut import Fatal, Ups, published, real_ups_conf, real_upsd_conf

_FOLDERS = ("/lib/nut", "/usr/lib/nut", "/usr/libexec/nut")
#: Seconds. A driver takes one, upsd 0.1.
_START = 8.0
_ANSWER = 10.0
_SERVER, _DRIVER = "upsd", "driver-"
_TRIES = 3
_MOST_LOG = 1 << 16


@dataclass(frozen=True, slots=True)
class Programs:
    """Absolute paths of the two programs, and the user that they run as: "" for our own."""

    upsd: str
    driver: str
    user: str


def find_programs() -> Programs | None:
    """The real programs, None when they are missing or this user cannot start them."""
    user = ""
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("nut").pw_name
        except KeyError:
            return None
    for folder in _FOLDERS:
        upsd, driver = f"{folder}/upsd", f"{folder}/dummy-ups"
        if os.access(upsd, os.X_OK) and os.access(driver, os.X_OK):
            return Programs(upsd, driver, user)
    return None


@functools.cache
def work(programs: Programs) -> bool:
    """Whether these programs serve here; tried once with a set-up of our own."""
    trial = Daemons(programs)
    try:
        trial.start([Ups("trial", {"driver": "dummy-ups", "port": "trial.dev"})], b"", b"")
    except (Fatal, OSError):
        return False
    finally:
        trial.close()
    return True


class Daemons:
    """One upsd and its drivers in a private temporary folder."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._watch: subprocess.Popen[str] | None = None
        self._folder = ""
        self._port = 0
        self._pids: dict[str, int] = {}

    @property
    def port(self) -> int:
        """Of 127.0.0.1; 0 when no server is up."""
        with suppress(Fatal):
            if self._port and self._order("poll", _SERVER).get("code") is not None:
                self._port = 0
        return self._port

    @property
    def alive(self) -> bool:
        """Whether the watcher is there, or was not needed yet."""
        return self._watch is None or self._watch.poll() is None

    def start(self, found: list[Ups], upsd_conf: bytes, upsd_users: bytes) -> None:
        """Have upsd serve these UPSes; raises Fatal with its last words when it does not come up."""
        self.stop()
        for _ in range(_TRIES):
            port = _free_port()
            self._write_server(found, upsd_conf, upsd_users, port)
            self._run(_SERVER, [self._programs.upsd, "-F"])
            if self._until(_SERVER, functools.partial(_answers, port)):
                self._port = port
                return
            if "not listening" not in self._log(_SERVER):
                break
        raise Fatal(self._last_words(_SERVER))

    def reload(self, found: list[Ups], upsd_conf: bytes, upsd_users: bytes) -> None:
        """Let upsd read its files again; it does not listen elsewhere for that."""
        if port := self.port:
            self._write_server(found, upsd_conf, upsd_users, port)
            self._order("reload", _SERVER)
            _answers(port)  # its main loop has gone round once, with the signal seen

    def stop(self) -> None:
        """End upsd."""
        self._port = 0
        self._end(_SERVER)

    def drive(self, ups: Ups) -> None:
        """Start a driver; raises Fatal with its last words when it does not come up."""
        name = f"{_DRIVER}{ups.name}"
        status = published(ups)["ups.status"]
        self._write(
            name, {"ups.conf": real_ups_conf([ups]), f"{ups.name}.dev": f"ups.status: {status}\n".encode()}
        )
        door = Path(self._own_folder(), f"dummy-ups-{ups.name}")
        door.unlink(missing_ok=True)
        self._run(name, [self._programs.driver, "-a", ups.name, "-F"])
        if not self._until(name, door.is_socket):
            raise Fatal(self._last_words(name))

    def release(self, name: str) -> None:
        """End the driver of the UPS `name`."""
        self._end(f"{_DRIVER}{name}")

    def pid(self, name: str) -> int:
        """Process of "upsd", or of the driver of a UPS; 0 when it does not run."""
        return self._pids.get(name if name == _SERVER else f"{_DRIVER}{name}", 0)

    def close(self) -> None:
        """End everything, bounded, and remove the temporary folder."""
        watch, self._watch, self._port = self._watch, None, 0
        self._pids.clear()
        if watch is not None and watch.stdin is not None and watch.stdout is not None:
            with suppress(OSError):
                watch.stdin.close()
            try:
                watch.wait(_ANSWER)
            except subprocess.TimeoutExpired:
                watch.kill()
                watch.wait()
            watch.stdout.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""

    def _own_folder(self) -> str:
        if not self._folder:
            self._folder = tempfile.mkdtemp(prefix="nutwizard-")
            self._give(self._folder)
        return self._folder

    def _give(self, path: str) -> None:
        if self._programs.user:
            entry = pwd.getpwnam(self._programs.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def _write_server(self, found: list[Ups], upsd_conf: bytes, upsd_users: bytes, port: int) -> None:
        files = {"ups.conf": real_ups_conf(found), "upsd.users": upsd_users}
        self._write(_SERVER, {**files, "upsd.conf": real_upsd_conf(upsd_conf, port)})

    def _write(self, name: str, files: dict[str, bytes]) -> None:
        """The configuration folder of one daemon."""
        folder = f"{self._own_folder()}/{name}"
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o700)
            self._give(folder)
        for file, data in files.items():
            path = f"{folder}/{file}"
            with open(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb"
            ) as out:
                out.write(data)
            self._give(path)

    def _run(self, name: str, argv: list[str]) -> None:
        folder = self._own_folder()
        environment = {
            **ENVIRONMENT,
            "NUT_CONFPATH": f"{folder}/{name}",
            "NUT_STATEPATH": folder,
            "NUT_ALTPIDPATH": folder,
            "NUT_PIDPATH": folder,
        }
        log = f"{folder}/{name}.log"
        order = {"argv": argv, "env": environment, "log": log, "user": self._programs.user}
        answer = self._order("start", name, **order)
        if "error" in answer:
            raise Fatal(f"{argv[0]}: {answer['error']}")
        self._pids[name] = answer["pid"]

    def _end(self, name: str) -> None:
        if self._pids.pop(name, 0):
            self._order("stop", name)

    def _until(self, name: str, ready: Callable[[], bool]) -> bool:
        """Whether it becomes ready in time and lives."""
        end = time.monotonic() + _START
        while time.monotonic() < end and self._order("poll", name).get("code") is None:
            if ready():
                return True
            time.sleep(0.02)
        self._end(name)
        return False

    def _log(self, name: str) -> str:
        with (
            suppress(OSError),
            open(f"{self._folder}/{name}.log", encoding="utf-8", errors="replace") as file,
        ):
            return file.read(_MOST_LOG)
        return ""

    def _last_words(self, name: str) -> str:
        lines = [line for line in self._log(name).splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"{name} ended without a word"

    def _order(self, act: str, name: str, **more: object) -> dict[str, Any]:
        """Have the watcher do something. Raises Fatal when it is gone."""
        watch = self._watcher()
        try:
            if watch.stdin is None or watch.stdout is None:
                raise BrokenPipeError
            watch.stdin.write(json.dumps({"do": act, "name": name, **more}) + "\n")
            watch.stdin.flush()
            ready, _, _ = select.select([watch.stdout], [], [], _ANSWER)
            line = watch.stdout.readline() if ready else ""
            answer = json.loads(line)
        except (OSError, ValueError):
            self.close()
            raise Fatal("the program that keeps the practice daemons is gone") from None
        return answer if isinstance(answer, dict) else {}

    def _watcher(self) -> subprocess.Popen[str]:
        if self._watch is None:
            self._watch = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    str(Path(__file__).with_name("watch.py")),
                    self._own_folder(),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                text=True,
                start_new_session=True,
            )
        return self._watch


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    return int(port)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0) as sock:
        sock.sendall(b"VER\n")
        return b"upsd" in sock.recv(512)
    return False
