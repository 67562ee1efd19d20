"""What the tests of this folder share: machines in a folder, commands that are watched, a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from nutwizard.core.facts import Owner
from nutwizard.engine.machine import OfflineHost

CHECKOUT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-I", "-m", "nutwizard")
LIMIT = 40.0
#: Seconds of silence after which a screen is complete.
_QUIET = 0.06
NUT = Owner("root", "nut", 0o640)
ROOT = Owner("root", "root", 0o644)
_STANZA = "Package: {}\nStatus: install ok installed\nVersion: 2.8.0-7\n\n"
_NAMES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nnut:x:4711:4712::/:/bin/false\nbob:x:4800:4800::/:/x\n",
    "etc/group": "root:x:0:\nnut:x:4712:\nbob:x:4800:\n",
    "etc/hostname": "machine\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
}
#: Small files as a package leaves them.
STOCK: Mapping[str, bytes] = {
    "nut.conf": b"MODE=none\n",
    "ups.conf": b"maxretry = 3\n",
    "upsd.conf": b"# MAXAGE 15\n",
    "upsd.users": b"# users\n",
    "upsmon.conf": b'MINSUPPLIES 1\nSHUTDOWNCMD "/sbin/shutdown -h +0"\nPOLLFREQ 5\n',
    "upssched.conf": b"CMDSCRIPT /bin/upssched-cmd\n",
}
CLIENT_FILES = ("nut.conf", "upsmon.conf", "upssched.conf")


def machine(root: Path, role: str, files: Mapping[str, bytes]) -> Path:
    """A machine's files below `root`: NUT of Debian 12 installed, `files` in /etc/nut."""
    packages = ("nut-client", "nut-server") if role == "host" else ("nut-client",)
    texts = {**_NAMES, "var/lib/dpkg/status": "".join(map(_STANZA.format, packages))}
    texts |= dict.fromkeys(("usr/sbin/upssched", "run/nut/.keep", "root/.keep"), "")
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "etc/nut").mkdir()
    host = OfflineHost(str(root))
    for name, data in files.items():
        host.create(f"/etc/nut/{name}", data, NUT)
    return root


def contents(root: Path) -> dict[str, tuple[bytes, int, int, int]]:
    """Every file below `root` but for what nutwizard keeps: bytes, mode, owner, group."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file() and not path.is_symlink() and not name.startswith("var/lib/nutwizard/"):
            stat = path.stat()
            found[name] = (path.read_bytes(), stat.st_mode & 0o7777, stat.st_uid, stat.st_gid)
    return found


@dataclass(frozen=True)
class Ran:
    """One command that has ended, and what it said."""

    words: tuple[str, ...]
    code: int
    out: bytes
    err: bytes

    @property
    def said(self) -> str:
        return (self.out + self.err).decode(errors="replace")


@dataclass
class Bench:
    """Runs commands with folders of their own, and remembers all that they said.

    `place`: their HOME, TMPDIR, XDG_STATE_HOME and working folder.
    """

    place: Path
    ran: list[Ran] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        for name in ("home", "tmp", "state", "work"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.place / "home"),
            "TMPDIR": str(self.place / "tmp"),
            "XDG_STATE_HOME": str(self.place / "state"),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
            "PROMPT_TOOLKIT_NO_CPR": "1",
        }

    def run(
        self,
        *words: str,
        typed: str = "",
        code: int | None = 0,
        command: Sequence[str] = COMMAND,
        variables: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run a command to its end; raises AssertionError where it ends otherwise than with `code`."""
        done = subprocess.run(
            [*command, *words],
            input=typed.encode(),
            env=self.environment | dict(variables or {}),
            cwd=self.place / "work",
            capture_output=True,
            timeout=LIMIT,
        )
        ran = Ran(words, done.returncode, done.stdout, done.stderr)
        self.ran.append(ran)
        assert code is None or ran.code == code, f"{words} ended with {ran.code}:\n{ran.said[-2000:]}"
        return ran

    def talk(self, *words: str, replies: Mapping[str, str], code: int | None = 0) -> Ran:
        """Answer a command's plain questions over a pipe: by the first of `replies` that its line holds, else
        with Enter.
        """
        child = subprocess.Popen(
            [*COMMAND, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.environment, cwd=self.place / "work",
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        out, stop = b"", time.monotonic() + LIMIT
        with child, child.stderr:
            while select.select([child.stdout], [], [], max(0.0, stop - time.monotonic()))[0]:
                data = os.read(child.stdout.fileno(), 65536)
                if not data:
                    break
                out += data
                line = out[out.rfind(b"\n") + 1 :].decode(errors="replace")
                if line.endswith(": "):
                    reply = next((text for part, text in replies.items() if part in line), "")
                    child.stdin.write(f"{reply}\n".encode())
                    child.stdin.flush()
            else:
                child.kill()
            child.stdin.close()
            ran = Ran(words, child.wait(LIMIT), out, child.stderr.read())
        self.ran.append(ran)
        assert code is None or ran.code == code, f"{words} ended with {ran.code}:\n{ran.said[-2000:]}"
        return ran


class Terminal:
    """A command in a pseudo-terminal of 80x24: wait for a text, then press keys. `raw`: every byte it got.

    `dumb`: one that knows lines alone.
    """

    def __init__(
        self, bench: Bench, *words: str, command: Sequence[str] = COMMAND, dumb: bool = False
    ) -> None:
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._child = subprocess.Popen(
            ["setsid", "--ctty", *command, *words], stdin=follower, stdout=follower, stderr=follower,
            env=bench.environment | ({"TERM": "dumb"} if dumb else {}), cwd=bench.place / "work",
        )  # fmt: skip
        os.close(follower)
        self.raw, self._at = b"", 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._child.kill()
        self._child.wait(LIMIT)
        os.close(self._leader)

    def press(self, keys: str) -> None:
        os.write(self._leader, keys.encode())

    def until(self, *texts: str, keys: str = "", limit: float = LIMIT) -> str:
        """Wait until one of these stands there after what was waited for before, then press keys."""
        stop = time.monotonic() + limit
        while not (found := [(at, text) for text in texts if (at := self.plain().find(text, self._at)) >= 0]):
            if not self._more(stop - time.monotonic()):
                raise AssertionError(f"{texts} did not come: {self.plain()[self._at :][-2000:]!r}")
        at, text = min(found)
        self._at = at + len(text)
        if keys:
            self.press(keys)
        return text

    def drive(self, replies: Mapping[str, str], *, turns: int = 1000) -> int:
        """Answer each question with the keys that belong to a part of it, else with Enter; the exit code.

        After so many `turns` it is left with Ctrl-C.
        """
        stop = time.monotonic() + LIMIT
        while time.monotonic() < stop:
            while self._more(_QUIET):
                pass
            if self._child.poll() is not None:
                return self.end()
            told = self.plain()[self._at :]
            asked = re.findall(r"^(?:> .*|-- Enter for more.*|.*: )$", told, re.MULTILINE)
            # An arrow-key prompt that is over has turned bracketed paste off; a plain one ends with a colon.
            waits = self.raw.rfind(b"\x1b[?2004h") > self.raw.rfind(b"\x1b[?2004l") or told.endswith(": ")
            if asked and waits:
                self._at += len(told)
                turns -= 1
                reply = next((keys for part, keys in replies.items() if part in asked[-1]), "\r")
                self.press(reply if turns > 0 else "\x03")
        raise AssertionError(f"it asks and asks: {self.plain()[-2000:]!r}")

    def end(self, limit: float = LIMIT) -> int:
        """Read to its end; its exit code."""
        stop = time.monotonic() + limit
        while self._more(stop - time.monotonic()):
            pass
        return self._child.wait(max(0.1, stop - time.monotonic()))

    def plain(self) -> str:
        """What was printed, without the terminal's sequences."""
        text = re.sub(rb"\x1b(\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78])", b"", self.raw)
        return text.decode(errors="replace").replace("\r", "")

    def _more(self, limit: float) -> bool:
        """Whether something came within `limit` s; not after the end."""
        if not select.select([self._leader], [], [], max(0.0, limit))[0]:
            return False
        try:
            data = os.read(self._leader, 65536)
        except OSError:  # EIO: its last process has closed the terminal
            return False
        self.raw += data
        return bool(data)


class Watch:
    """Reads argv and environ of every process that starts on this machine, again and again."""

    def __init__(self) -> None:
        self._before = set(_pids())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.seen: set[bytes] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(LIMIT)

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            for pid in set(_pids()) - self._before:
                for name in ("cmdline", "environ"):
                    try:
                        with open(f"/proc/{pid}/{name}", "rb") as file:
                            self.seen.add(file.read(1 << 17))
                    except OSError:
                        continue  # it has ended


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
