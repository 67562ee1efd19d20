"""The one door to the machine: read, stat, write, run, connect, clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nutwizard.core.facts import Door, Owner

if TYPE_CHECKING:
    import socket

#: No file that nutwizard manages is larger (Debian's largest NUT file has 25 kB).
LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Stat:
    """What stat(2) says, with names for owner and group (numbers as text where they have no name).

    `kind`: "file", "directory", "symlink", "fifo", "device", "socket". `changed`: mtime (epoch s).
    """

    kind: str
    owner: Owner
    size: int
    changed: float
    links: int


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended. `code`: its exit code, -1 when ended at its time limit or never started."""

    code: int
    out: str = ""
    err: str = ""
    timed_out: bool = False


class Host(Protocol):
    """The door. Paths are those of the machine ("/etc/nut/ups.conf"), wherever its files really lie.

    `root`: where they lie, "" for the live machine. What touches files raises OSError as the system does.
    """

    door: Door
    label: str
    root: str

    def real(self, path: str) -> str:
        """The machine's path after following symlinks, never leaving the machine's tree."""

    def on_disk(self, path: str) -> str:
        """Where the machine's file really lies, for this process; the last part is not followed."""

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """None when nothing is there."""

    def read(self, path: str, limit: int = LARGEST_FILE) -> bytes:
        """The whole file; more than `limit` bytes are refused with EFBIG."""

    def read_end(self, path: str, limit: int) -> tuple[bytes, bool]:
        """The last `limit` bytes of a file, and whether that is all of it."""

    def names(self, path: str) -> list[str]:
        """Names in a folder, sorted; empty when there is no such folder."""

    def create(self, path: str, data: bytes, owner: Owner) -> None:
        """A new file (O_EXCL, O_NOFOLLOW), never readable wider than its final mode, fsynced."""

    def create_plain(self, path: str, data: bytes) -> None:
        """A new file (O_EXCL, O_NOFOLLOW), fsynced, with the owner and mode that the file system gives."""

    def attributes(self, path: str) -> dict[str, bytes]:
        """Extended attributes that a new file in its place is to have (not following the last part)."""

    def set_attributes(self, path: str, wanted: Mapping[str, bytes], owner: Owner) -> None:
        """Give a file these attributes and no others, and `owner`; at no moment wider readable; fsynced."""

    def symlink(self, leads_to: str, path: str) -> None:
        """A new symlink at `path`, and fsync the folder."""

    def sync_file(self, path: str) -> None:
        """Fsync a file: what others wrote into it survives a power cut."""

    def sync_folder(self, path: str) -> None:
        """Fsync a folder: the names that `create` has made in it survive a power cut."""

    def append(self, path: str, data: bytes) -> None:
        """Append to our own journal (created 0600 when missing), fsynced."""

    def rename(self, source: str, target: str) -> None:
        """Replace `target` in one step and fsync the folder."""

    def own(self, path: str, owner: Owner) -> None:
        """Set owner, group and mode of a file."""

    def remove(self, path: str) -> None:
        """Remove a file (or an empty folder) and fsync the folder that held it."""

    def make_folder(self, path: str, owner: Owner) -> None:
        """Make a folder and its missing parents; a folder that exists is left as it is."""

    def make_plain_folder(self, path: str) -> None:
        """A new folder with the owner and mode that the file system gives; EEXIST when something is there."""

    def set_times(self, path: str, seconds: float) -> None:
        """Set both times of a file or folder (seconds since the epoch)."""

    def free(self, path: str) -> tuple[int, int]:
        """Free bytes and inodes of the file system that holds `path`; very many inodes where uncounted."""

    def protections(self, path: str) -> tuple[str, ...]:
        """What keeps root from changing a file or folder: "immutable", "append-only" (chattr(1))."""

    def read_only(self, path: str) -> str:
        """Where the file system that holds `path` is mounted read-only; "" when it may be written to."""

    def mounted(self, path: str) -> bool:
        """Whether a file system is mounted at this folder."""

    def lock(self, path: str) -> Lock | None:
        """Take the lock file, freed when its holder dies; None when another process holds it."""

    def may_write(self) -> bool:
        """Whether this user may write the machine's files with their owners."""

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        """Run a command by absolute path, with a fixed environment; ended as a group at `timeout` s."""

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        """A TCP connection from this machine; OSError as the system gives it."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def ticks(self) -> float:
        """Seconds of a clock that never jumps; only differences mean something."""

    def sleep(self, seconds: float) -> None: ...


class Lock(Protocol):
    """A lock that is held until released or until the process ends."""

    def release(self) -> None: ...
