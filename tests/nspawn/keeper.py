"""Keeps one rig: makes it a cgroup, starts its ground there, and removes the cgroup when all in it has ended.

It runs in a mount namespace of its own and outlives the tests that started it, however they end: the ground
ends with their end of the pipe, and the rest is done here. What a killed keeper left the next one removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.lab.boot import MS_PRIVATE, MS_REC, mount

CGROUPS = Path("/mnt")
PREFIX = "nutwizard-rig-"
END_LIMIT = 15.0
#: The shell joins the cgroup; then the kernel ends unshare with the keeper, and the ground with unshare.
JOIN = 'echo 0 >"$0" && exec "$@"'
NAMESPACES = ["setpriv", "--pdeathsig=KILL", "unshare", "-mpiunC", "--fork", "--kill-child", "--mount-proc"]


def main(argv: list[str]) -> int:
    """`argv` is the command line of the ground; the pipes are handed on to it."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("rig", str(CGROUPS), "cgroup2", 0)
    sweep()
    own = Path(tempfile.mkdtemp(prefix=PREFIX, dir=CGROUPS))
    fcntl.flock(os.open(own, os.O_RDONLY), fcntl.LOCK_EX)  # until this process ends
    try:
        command = ["sh", "-c", JOIN, str(own / "cgroup.procs"), *NAMESPACES, *argv]
        return subprocess.run(command).returncode
    finally:
        remove_cgroup(own)


def sweep() -> None:
    """Remove the cgroups of keepers that are no more, where nothing runs in them."""
    for left in CGROUPS.glob(f"{PREFIX}*"):
        if not is_held(left):
            with contextlib.suppress(OSError):
                _remove_empty(left)


def is_held(group: Path) -> bool:
    """Does a living keeper hold this cgroup? One that is gone meanwhile counts as held."""
    try:
        found = os.open(group, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(found)
    return False


def remove_cgroup(top: Path) -> None:
    """End what runs in a cgroup and remove it with all below; raises OSError when that takes too long."""
    deadline = time.monotonic() + END_LIMIT
    while True:
        with contextlib.suppress(OSError):  # kernels before 5.14 have no such file
            (top / "cgroup.kill").write_text("1", encoding="ascii")
        try:
            return _remove_empty(top)
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _remove_empty(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        Path(folder).rmdir()
