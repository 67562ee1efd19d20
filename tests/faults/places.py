"""Real file systems to break, in a mount namespace of their own: whatever happens, no mount stays."""

from __future__ import annotations

import ctypes
import fcntl
import os
import pickle
import select
import shutil
import signal
import struct
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.table import Table

#: Seconds for one test in its namespace.
LIMIT = 120.0
_CLONE_NEWNS = 0x00020000
#: EXT4_IOC_SHUTDOWN and its flag: the file system stops at once, and what is not on the disk is lost.
_GOING_DOWN = 0x8004587D
_NO_LOG_FLUSH = struct.pack("=I", 2)


def private(body: Callable[[Table], None], table: Table) -> None:
    """Run `body` in a child with mounts of its own; its points come back, its failure fails the test."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_the_child(body, table, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        ready, _, _ = select.select([pipe], [], [], LIMIT)
        if not ready:
            os.kill(child, signal.SIGKILL)
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        pytest.fail(f"not ended within {LIMIT:.0f} s" if not ready else "died without a word")
    new, failure = pickle.loads(data)  # noqa: S301 - from our own fork
    table.__dict__.update(new.__dict__)
    if failure:
        pytest.fail(failure, pytrace=False)


def _be_the_child(body: Callable[[Table], None], table: Table, writer: int) -> None:
    failure = "nothing was done"
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "unshare")
        command("mount", "--make-rprivate", "/")
        body(table)
        failure = ""
    except BaseException:  # noqa: BLE001 - the parent tells
        failure = traceback.format_exc()
    finally:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps((table, failure)))
        os._exit(0)


def command(*argv: str) -> None:
    """A tool, with a time limit; raises CalledProcessError with what it said."""
    subprocess.run(argv, check=True, timeout=30, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@contextmanager
def mounted(where: Path, *arguments: str) -> Iterator[Path]:
    """Something mounted at `where` (made when missing); ARGUMENTS are those of mount(8) before it."""
    where.mkdir(exist_ok=True)
    command("mount", *arguments, str(where))
    try:
        yield where
    finally:
        command("umount", str(where))


class Disk:
    """An ext4 file system in a file, whose power can be cut."""

    def __init__(self, folder: Path, options: str = "") -> None:
        self._image, self._golden = folder / "disk", folder / "golden"
        self._options = ",".join(filter(None, ["loop", options]))
        self.where = folder / "mounted"

    def make(self, source: str) -> None:
        """The disk as it is at each `fresh`: with the machine `source` on it."""
        from tests.faults.world import copy

        with open(self._image, "wb") as image:
            image.truncate(16 << 20)
        command("mkfs.ext4", "-q", "-b", "4096", str(self._image))
        with self.on() as where:
            copy(source, where / "machine")
        os.rename(self._image, self._golden)

    @property
    def root(self) -> str:
        return str(self.where / "machine")

    def fresh(self) -> None:
        """Put the disk back as it was made."""
        command("cp", "--sparse=always", str(self._golden), str(self._image))

    @contextmanager
    def on(self) -> Iterator[Path]:
        """The disk while the power is on."""
        with mounted(self.where, "-o", self._options, str(self._image)):
            yield self.where

    def cut_the_power(self) -> None:
        """From now on nothing reaches the disk, not even what was written before and is not durable yet."""
        fd = os.open(self.where, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _GOING_DOWN, _NO_LOG_FLUSH)
        finally:
            os.close(fd)


def missing_tools(*names: str) -> list[str]:
    """Which of these are not installed."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return [name for name in names if shutil.which(name, path=path) is None]
