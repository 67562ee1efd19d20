"""What is true on this machine now, as frozen data, read once; the costly parts when first asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from nutwizard.core import paths
from nutwizard.core.guests import Guest, Neighbour
from nutwizard.core.programs import ProgramFact
from nutwizard.core.text import UNSEEN, FileText, Unseen

T = TypeVar("T")

#: Stands on every screen and result of a practice machine.
PRACTICE = "PRACTICE - NOTHING HERE IS PROTECTED"


class Kind(StrEnum):
    """What the machine is. Another thing than its role."""

    PVE = "pve"
    VM = "vm"
    CONTAINER = "container"
    PLAIN = "plain"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """For a person."""
        return {
            "pve": "Proxmox VE host",
            "vm": "virtual machine",
            "container": "container",
            "plain": "plain machine",
        }.get(self.value, "unknown kind")


class Role(StrEnum):
    """What the machine does in the chain: serve the UPS, or follow a server."""

    HOST = "host"
    CLIENT = "client"


class Door(StrEnum):
    """What stands behind the host: the live machine, a folder with a machine's files, a practice machine."""

    LIVE = "live"
    OFFLINE = "offline"
    PRACTICE = "practice"


class Lazy(Generic[T]):
    """A value that is read when first asked, once."""

    __slots__ = ("_read", "_value")

    def __init__(self, read: Callable[[], T]) -> None:
        self._read: Callable[[], T] | None = read
        self._value: T | None = None

    @classmethod
    def of(cls, value: T) -> Lazy[T]:
        """A value that is known already."""
        return cls(lambda: value)

    def __call__(self) -> T:
        if self._read is not None:
            self._value, self._read = self._read(), None
        return self._value  # type: ignore[return-value]


@dataclass(frozen=True)
class Owner:
    """Owner, group and permission bits of a file (mode: 0 to 0o7777)."""

    user: str
    group: str
    mode: int

    def __str__(self) -> str:
        return f"{self.user}:{self.group} {self.mode:04o}"


#: `kind` of a firewall file of the cluster that cannot be read; NUT can be set up all the same.
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class FileFact:
    """One managed file as found.

    `kind`: "file", "missing", or what else stands there ("directory", "fifo", "device", "socket").
    `actual`: where a symlink leads, else the path itself. `changed`: modification time, seconds since the
    epoch. `links`: hard link count.
    """

    path: str
    kind: str = "missing"
    actual: str = ""
    content: FileText | None = None
    owner: Owner | None = None
    changed: float = 0.0
    links: int = 1

    @property
    def data(self) -> bytes:
        """The bytes; empty for a missing file. Raises Unseen for one that this user may not read."""
        if self.kind == UNSEEN:
            raise Unseen(self.path)
        return self.content.data if self.content else b""

    @property
    def exists(self) -> bool:
        return self.kind != "missing"


#: Timestamps of a unit have whole seconds.
_TICK = 1.0


@dataclass(frozen=True)
class UnitFact:
    """One systemd unit: LoadState, ActiveState, UnitFileState; `since`: active since (s since the epoch)."""

    name: str
    load: str = "not-found"
    active: str = "inactive"
    enabled: str = ""
    since: float | None = None

    @property
    def present(self) -> bool:
        return self.load == "loaded"

    @property
    def running(self) -> bool:
        """A driver that dies again and again is "activating" between its restarts: that is not running."""
        return self.active in ("active", "reloading")

    def older_than(self, changed: float) -> bool:
        """Whether it started before a file was written at that time."""
        return self.since is not None and changed > self.since + _TICK


@dataclass(frozen=True)
class Nut:
    """NUT as installed. `version`: like (2, 8, 0), empty when it is missing; `packages`: their versions."""

    version: tuple[int, ...] = ()
    known_from: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    user: bool = False
    group: bool = False
    upssched: str = ""
    drivers: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return ".".join(map(str, self.version)) or "not found"


@dataclass(frozen=True)
class Address:
    """One address of an interface that is up; `bridge` when the interface is a bridge."""

    interface: str
    address: str
    prefix: int = 0
    bridge: bool = False

    @property
    def loopback(self) -> bool:
        return self.address.startswith("127.") or self.address == "::1"


@dataclass(frozen=True)
class Listener:
    """A TCP socket that listens on this machine; `process` is "" when it may not be seen."""

    address: str
    port: int
    process: str = ""


@dataclass(frozen=True)
class Daemon:
    """A NUT process that runs: name, pid, the user that it runs as."""

    name: str
    pid: int
    user: str


@dataclass(frozen=True)
class UsbUps:
    """A USB device of a vendor that makes UPSes. `vendor` and `product_id`: four hex digits.

    `node`: owner and mode of its device file, None where there is none.
    """

    vendor: str
    product_id: str
    maker: str = ""
    product: str = ""
    serial: str = ""
    node: Owner | None = None


@dataclass(frozen=True)
class DriverOptions:
    """Variables and flags that a driver takes, by `DRIVER -L`. `known`: False when it cannot be asked."""

    known: bool
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Served:
    """What a NUT server tells without a login: its UPSes with their descriptions, and by UPS its variables
    and the addresses that are logged in.
    """

    ups: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    clients: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """Everything that steps look at. `units` is empty where nothing runs (another root).

    `booted`: when the machine came up, seconds since the epoch, 0 when not known. `free`: free bytes where
    nutwizard keeps its state. `server`: what the NUT server at an address and port tells, None when it
    does not answer; waits up to 4 s the first time. `read`: a file in the folder of a client, once: which
    there are is only known with the answers. `program`: a program by its absolute path, once.
    `neighbours`: who this machine has seen on its bridges or given an address to, the best known first.
    `agent`: the addresses that a guest's QEMU agent tells, by the guest's number, once; it takes a second or
    more: only for a person who waits for choices, never for a plan.
    `firewall`: Proxmox VE's at the level of the datacenter: "on", "off", "off: WHY"; "" where nothing tells.
    `firewall_words`: every word of the guests' and other nodes' firewall files, in small letters.
    """

    door: Door
    kind: Kind
    kind_evidence: str = ""
    hostname: str = ""
    system: str = ""
    pve: str = ""
    nut: Nut = field(default_factory=Nut)
    files: Mapping[str, FileFact] = field(default_factory=dict)
    units: Mapping[str, UnitFact] = field(default_factory=dict)
    touched: frozenset[str] = frozenset()
    free: int = 0
    addresses: Lazy[tuple[Address, ...]] = field(default_factory=lambda: Lazy.of(()), compare=False)
    listeners: Lazy[tuple[Listener, ...]] = field(default_factory=lambda: Lazy.of(()), compare=False)
    daemons: Lazy[tuple[Daemon, ...]] = field(default_factory=lambda: Lazy.of(()), compare=False)
    booted: Lazy[float] = field(default_factory=lambda: Lazy.of(0.0), compare=False)
    usb: Lazy[tuple[UsbUps, ...]] = field(default_factory=lambda: Lazy.of(()), compare=False)
    driver_options: Callable[[str], DriverOptions] = field(
        default=lambda _: DriverOptions(False), compare=False
    )
    server: Callable[[str, int], Served | None] = field(default=lambda _address, _port: None, compare=False)
    guests: Lazy[tuple[Guest, ...]] = field(default_factory=lambda: Lazy.of(()), compare=False)
    neighbours: Lazy[tuple[Neighbour, ...]] = field(default_factory=lambda: Lazy.of(()), compare=False)
    agent: Callable[[int], tuple[str, ...]] = field(default=lambda _: (), compare=False)
    firewall: Lazy[str] = field(default_factory=lambda: Lazy.of(""), compare=False)
    firewall_words: Lazy[frozenset[str]] = field(
        default_factory=lambda: Lazy.of(frozenset[str]()), compare=False
    )
    read: Callable[[str], FileFact] = field(default=lambda path: FileFact(path, actual=path), compare=False)
    program: Callable[[str], ProgramFact] = field(default=ProgramFact, compare=False)

    @property
    def texts(self) -> tuple[FileText, ...]:
        """Every managed file that is there."""
        return tuple(file.content for file in self.files.values() if file.content is not None)

    @property
    def runs(self) -> bool:
        """Whether units and addresses can be asked: not below another root."""
        return self.door is not Door.OFFLINE

    def file(self, path: str) -> FileFact:
        """The file as found; a path that was not read counts as missing only if it was looked for."""
        if path not in self.files and path.startswith(paths.CLIENTS + "/"):
            return self.read(path)
        return self.files[path]

    def unit(self, name: str) -> UnitFact:
        return self.units.get(name, UnitFact(name))
