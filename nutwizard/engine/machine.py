"""Two of the three hosts: the live machine, and a folder that holds another machine's files."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nutwizard.core.facts import Door
from nutwizard.engine.host import Completed, Lock
from nutwizard.engine.tree import NumberedOwners, Tree

if TYPE_CHECKING:
    import socket
    import subprocess

#: All that a child inherits: what an administrator's shell has planted in PATH, LD_* or IFS has no effect.
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "SYSTEMD_PAGER": "",
    "NUT_QUIET_INIT_SSL": "true",
}
_MOST_OUTPUT = 1 << 20


class FileLock:
    """flock(2) on a file that holds our pid: freed by the kernel when the process dies."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        os.close(self._fd)


class OfflineHost(Tree):
    """A folder with a machine's files: nothing runs, no address is connected to."""

    door = Door.OFFLINE

    def __init__(self, root: str) -> None:
        super().__init__(root, NumberedOwners.below(os.path.realpath(root) if root != "/" else ""))
        self.label = f"the files below {self.root or '/'}"

    def may_write(self) -> bool:
        return os.geteuid() == 0

    def lock(self, path: str) -> Lock | None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self.on_disk(path), flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return FileLock(fd)

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        return Completed(-1, err=f"{argv[0]}: nothing runs below another root")

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        raise OSError(errno.ENETDOWN, "no address is connected to below another root")

    def now(self) -> float:
        return time.time()

    def ticks(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class LiveHost(OfflineHost):
    """The machine that nutwizard runs on."""

    door = Door.LIVE

    def __init__(self) -> None:
        super().__init__("/")
        self.label = "this machine"

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        return run_bounded(argv, timeout=timeout, data=data, user=user)

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        from nutwizard.engine.dial import dial

        return dial(address, port, timeout)


def run_bounded(
    argv: Sequence[str],
    *,
    timeout: float,
    data: str = "",
    user: str = "",
    environment: dict[str, str] | None = None,
) -> Completed:
    """Run a command with nothing inherited but its streams; at `timeout` s its process group is killed."""
    import signal
    import subprocess

    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT if environment is None else environment,
            cwd="/",
            start_new_session=True,
            user=user or None,
            group=user or None,
            extra_groups=[] if user else None,
        )
    except OSError as error:
        return Completed(-1, err=f"{argv[0]}: {error.strerror}")
    try:
        out, err = child.communicate(data.encode(), timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, err = _drain(child)
        return Completed(-1, _text(out), _text(err), timed_out=True)
    return Completed(child.returncode, _text(out), _text(err))


def _drain(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What a killed command had written; a grandchild that kept the pipe open is not waited for."""
    import subprocess

    try:
        return child.communicate(timeout=2)
    except subprocess.TimeoutExpired:
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                stream.close()
        return b"", b""


def _text(data: bytes) -> str:
    return data[:_MOST_OUTPUT].decode("utf-8", "replace")
