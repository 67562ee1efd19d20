"""A real upsd with real dummy-ups drivers, moved aside by NUT's own environment variables.

Nothing outside `tmp_path` and one short folder below /tmp is touched, and only loopback is listened on. The
daemons keep the caller's user (`-u root` turns their change of user off) and die with the test process.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Self

import pytest

UPSD: Final = "/lib/nut/upsd"
DUMMY: Final = "/lib/nut/dummy-ups"
START_LIMIT: Final = 15.0
ON_LINE: Final[Mapping[str, str]] = {"ups.status": "OL", "battery.charge": "100", "ups.model": "Practice 700"}
USERS: Final = """\
[upsmonclient]
password = client-word_1
upsmon slave
[upsmonhost]
password = host-word_2
upsmon master
[onlooker]
password = onlooker-word_3
"""


def require_nut() -> None:
    """Skip the test where NUT's daemons are not installed; in CI that is a failure."""
    absent = [path for path in (UPSD, DUMMY) if not os.access(path, os.X_OK)]
    if absent and os.environ.get("CI"):
        pytest.fail(f"not installed: {', '.join(absent)}")
    if absent:
        pytest.skip(f"not installed (Debian's nut-server): {', '.join(absent)}")


class RelocatedNut:
    """Starts on entering the context, answers before that returns, and is gone after leaving it.

    `ups` maps names to the variables that their drivers publish; `users` is the text of upsd.users; `listen`
    holds loopback addresses, all on one `port` (0: a free one). `env` makes NUT's own tools use this set-up.
    `folder` holds its files: change them, then stop and start what reads them.
    """

    def __init__(
        self,
        tmp_path: Path,
        *,
        ups: Mapping[str, Mapping[str, str]] | None = None,
        users: str = USERS,
        listen: Sequence[str] = ("127.0.0.1",),
        port: int = 0,
        max_age: int = 15,
        descriptions: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = tmp_path / "nut"
        self.users = users
        self.listen = tuple(listen)
        self.port = port or free_port(self.listen)
        self.max_age = max_age
        self.ups = {name: dict(variables) for name, variables in (ups or {"apc": ON_LINE}).items()}
        self.descriptions = dict(descriptions or {})
        self._drivers: dict[str, subprocess.Popen[bytes]] = {}
        self._upsd: subprocess.Popen[bytes] | None = None
        self._state = Path()
        self._stamp = int(time.time())

    @property
    def address(self) -> str:
        """The first address that upsd listens on."""
        return self.listen[0]

    @property
    def env(self) -> dict[str, str]:
        """An environment in which NUT's programs use this set-up."""
        moved = {"NUT_CONFPATH": self.folder, "NUT_STATEPATH": self._state, "NUT_ALTPIDPATH": self._state}
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | {name: str(path) for name, path in moved.items()}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        # A socket's path has room for 107 bytes; pytest's folders may be longer.
        self._state = Path(tempfile.mkdtemp(prefix="nut-", dir="/tmp"))
        try:
            self._configure()
            for name in self.ups:  # all at once: each takes a second
                self._launch_driver(name)
            for name in self.ups:
                self._await_socket(name)
            self.start_upsd()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was started, by its pid, and remove the state folder."""
        for process in [self._upsd, *self._drivers.values()]:
            _end(process)
        self._upsd = None
        self._drivers.clear()
        if self._state.name.startswith("nut-"):
            shutil.rmtree(self._state, ignore_errors=True)

    def set_status(self, status: str, ups: str = "apc") -> None:
        """Change `ups.status`, for example to `OB LB`; returns when upsd shows it."""
        self.set_vars({"ups.status": status}, ups)

    def set_vars(self, variables: Mapping[str, str], ups: str = "apc") -> None:
        """Publish other values of some variables; returns when upsd shows them."""
        self.ups[ups].update(variables)
        self._write_device(ups)
        if self._upsd is not None and ups in self._drivers:
            self._await_data(ups)

    def start_driver(self, ups: str = "apc") -> None:
        """Start a driver; returns when its socket is there, and when upsd runs: when its data are."""
        self._launch_driver(ups)
        self._await_socket(ups)
        if self._upsd is not None:
            self._await_data(ups)

    def stop_driver(self, ups: str = "apc") -> None:
        """End a driver: upsd answers DRIVER-NOT-CONNECTED when this returns."""
        _end(self._drivers.pop(ups))
        if self._upsd is not None:
            self._await_status(ups, "ERR DRIVER-NOT-CONNECTED")

    def freeze_driver(self, ups: str = "apc") -> None:
        """Stop a driver without ending it: upsd answers DATA-STALE when this returns, after `max_age`."""
        self._drivers[ups].send_signal(signal.SIGSTOP)
        self._await_status(ups, "ERR DATA-STALE", extra=self.max_age)

    def thaw_driver(self, ups: str = "apc") -> None:
        """Let a frozen driver go on; returns when its data are fresh."""
        self._drivers[ups].send_signal(signal.SIGCONT)
        self._await_data(ups)

    def start_upsd(self) -> None:
        """Start upsd; returns when it listens on every address and shows the data of every running driver."""
        self._upsd = upsd = self._spawn([UPSD, "-F", "-u", "root"], "upsd.log")
        for address in self.listen:
            self._await(f"upsd on {address}", partial(self._answers_at, address), upsd)
        for ups in self._drivers:
            self._await_data(ups)

    def stop_upsd(self) -> None:
        """End upsd; its port refuses connections when this returns."""
        _end(self._upsd)
        self._upsd = None

    def log(self, name: str = "upsd") -> str:
        """What `upsd` or `driver-NAME` has printed so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def tool(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of NUT's programs, such as `upsc`, in this set-up, for at most 10 s."""
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=10, check=False)

    def _launch_driver(self, ups: str) -> None:
        self._drivers[ups] = self._spawn([DUMMY, "-a", ups, "-F", "-u", "root"], f"driver-{ups}.log")

    def _await_socket(self, ups: str) -> None:
        path = self._state / f"dummy-ups-{ups}"
        self._await(f"driver {ups}", path.exists, self._drivers[ups])

    def _configure(self) -> None:
        sections = ["maxretry = 1\npollinterval = 1\n"]
        for name in self.ups:
            self._write_device(name)
            text = re.sub(r'[\\"#]', r"\\\g<0>", self.descriptions.get(name, ""))
            described = f'desc = "{text}"\n' if text else ""
            sections.append(f"[{name}]\ndriver = dummy-ups\nport = {name}.dev\n{described}")
        self._write("ups.conf", "".join(sections))
        self._write("upsd.users", self.users)
        lines = [f"LISTEN {address} {self.port}\n" for address in self.listen]
        self._write("upsd.conf", f"MAXAGE {self.max_age}\n" + "".join(lines))

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / f"{name}.new"
        path.touch(0o640)
        path.write_text(text, encoding="ascii")
        return path.rename(self.folder / name)

    def _write_device(self, ups: str) -> None:
        lines = [f"{name}: {value}\n" for name, value in self.ups[ups].items()]
        path = self._write(f"{ups}.dev", "".join(lines))
        self._stamp = max(self._stamp + 1, int(time.time()))  # dummy-ups compares whole seconds
        os.utime(path, (self._stamp, self._stamp))

    def _spawn(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        with open(self.folder / log, "ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                env=self.env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _await_data(self, ups: str) -> None:
        for name, value in self.ups[ups].items():
            self._await_value(ups, name, f'VAR {ups} {name} "{value}"')

    def _await_status(self, ups: str, answer: str, extra: float = 0) -> None:
        self._await_value(ups, "ups.status", answer, extra)

    def _await_value(self, ups: str, name: str, answer: str, extra: float = 0) -> None:
        self._await(answer, lambda: self._ask(f"GET VAR {ups} {name}") == answer, self._upsd, extra)

    def _answers_at(self, address: str) -> bool:
        return self._ask("VER", address) != ""

    def _ask(self, command: str, address: str = "") -> str:
        """The first line that upsd answers; empty when it does not. Independent of the client under test."""
        try:
            with socket.create_connection((address or self.address, self.port), 2) as link:
                link.settimeout(2)
                link.sendall(command.encode("ascii") + b"\n")
                with link.makefile("r", encoding="ascii", errors="replace") as answers:
                    return answers.readline().rstrip("\n")
        except OSError:
            return ""

    def _await(
        self, what: str, ready: Callable[[], bool], process: subprocess.Popen[bytes] | None, extra: float = 0
    ) -> None:
        end = time.monotonic() + START_LIMIT + extra
        while not ready():
            dead = process is not None and process.poll() is not None
            if dead or time.monotonic() > end:
                logs = "\n".join(f"{path.name}: {path.read_text()}" for path in self.folder.glob("*.log"))
                raise RuntimeError(f"{what}: {'it ended' if dead else 'not within the limit'}\n{logs}")
            time.sleep(0.05)


def free_port(addresses: Sequence[str] = ("127.0.0.1",)) -> int:
    """A TCP port that is free on all these loopback addresses now."""
    for _ in range(50):
        with socket.create_server((addresses[0], 0), family=_family(addresses[0])) as first:
            port = int(first.getsockname()[1])
            try:
                for address in addresses[1:]:
                    socket.create_server((address, port), family=_family(address)).close()
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port is free on {addresses}")


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    process.send_signal(signal.SIGCONT)  # a frozen one would not hear the next
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
