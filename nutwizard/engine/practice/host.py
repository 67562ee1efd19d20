"""The third host: a practice machine with a simulated UPS. Nothing outside its folder is touched."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from nutwizard.core import paths
from nutwizard.core.facts import Address, Daemon, Door, DriverOptions, Kind, Listener, Role, UsbUps
from nutwizard.core.units import SERVER
from nutwizard.engine.host import Completed
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.practice import gate, net, upssched
from nutwizard.engine.practice.files import default_folder
from nutwizard.engine.practice.machine import file_of
from nutwizard.engine.practice.nut import read_ups, read_users
from nutwizard.engine.practice.services import MachineServices, start_ready_made
from nutwizard.engine.practice.shipped import driver_table
from nutwizard.engine.practice.units import journalctl, systemctl
from nutwizard.engine.practice.world import World
from nutwizard.engine.tree import Tree

READY_USER, READY_PASSWORD = "upsmonclient", "practice-client"

_ENUMERATOR_SCRIPT = "nut-driver-enumerator.sh"
_worlds: dict[str, World] = {}


class PracticeHost(OfflineHost):
    """One of the two practice machines: a Proxmox VE host with its firewall on, or a VM that follows it.

    It is also what detection asks about the running machine (addresses, daemons, ...).
    """

    door = Door.PRACTICE

    def __init__(self, world: World, role: Role) -> None:
        self.label = "the practice machine"
        self._world, self._role = world, role
        self._attach()

    def _attach(self) -> None:
        machine = self._world.machine(self._role)
        Tree.__init__(self, machine.root, machine.owners)
        self._units = machine.units
        self._services = MachineServices(self._world, machine)
        start_ready_made(self._world)

    @classmethod
    def open(cls, folder: str | None, role: Role) -> PracticeHost:
        """The machine of that role in the folder (None: the usual one), made on first use.

        A client's machine brings a host that serves, unless the folder has a host already. Raises OSError,
        EEXIST for a folder that holds something else.
        """
        where = os.path.realpath(folder or default_folder())
        if where not in _worlds:
            _worlds[where] = World(where)
        return cls(_worlds[where], role)

    @property
    def role(self) -> Role:
        """Which of the two machines this is."""
        return self._role

    def reset(self) -> None:
        """Start over with both machines as they are on first use."""
        self._world.reset()
        self._attach()

    def close(self) -> None:
        """End what runs for this folder in this process; it is started again when needed."""
        self._world.close()

    def may_write(self) -> bool:
        """Owners are kept beside the files, so any user may."""
        return True

    def rename(self, source: str, target: str) -> None:
        """Replace a file; ups.conf is watched as on a real machine."""
        super().rename(source, target)
        if target == paths.UPS_CONF:
            self._services.ups_conf_written()

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        """systemctl, journalctl, the enumerator's script and what a check tries are answered, in 30 s.

        Nothing else runs.
        """
        words = [word for word in argv[1:] if "=" not in word] if argv[0] == "/usr/bin/env" else list(argv)
        program = os.path.basename(words[0]) if words and os.path.isabs(words[0]) else ""
        with self._world.lock:
            if program == "systemctl":
                return systemctl(argv[1:], self._units, self._services)
            if program == "journalctl":
                return journalctl(argv[1:], self._units, self._hostname())
            if program == _ENUMERATOR_SCRIPT and list(argv[1:2]) == ["--get-service-for-device"]:
                return self._service_of(argv[-1])
            if program == "upssched":
                return upssched.upssched(self, user)
            if words[0] == paths.UPSSCHED_CMD:
                return upssched.script(self, words, user)
        return Completed(-1, err=f"{argv[0]}: no such program on the practice machine")

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        """A connection within the practice network; starts what should run. OSError as in life.

        What the host's firewall drops ends with TimeoutError after `timeout` s, 3 at most.
        """
        return self._world.connect(self._role, address, port, timeout)

    def kind(self) -> tuple[Kind, str]:
        """What the machine pretends to be."""
        kind = Kind.PVE if self._role is Role.HOST else Kind.VM
        return kind, "the practice machine plays it"

    def addresses(self) -> tuple[Address, ...]:
        """The addresses of the practice network."""
        return net.ADDRESSES[self._role]

    def listeners(self) -> tuple[Listener, ...]:
        """Where this machine's upsd listens in the practice network."""
        return self._world.listeners(self._role)

    def daemons(self) -> tuple[Daemon, ...]:
        """The NUT daemons of this machine."""
        return self._world.daemons(self._role)

    def booted(self) -> float:
        """A practice machine never booted."""
        return 0.0

    def usb(self) -> tuple[UsbUps, ...]:
        """The simulated UPS, on the host."""
        if self._role is not Role.HOST:
            return ()
        return (UsbUps("051d", "0002", "American Power Conversion", "Back-UPS ES 700", "PRACTICE0001"),)

    def driver_options(self, driver: str) -> DriverOptions:
        """From our own table of drivers."""
        table = driver_table() if self._role is Role.HOST else {}
        return DriverOptions(driver in table, table.get(driver, frozenset()))

    def client_hint(self) -> str:
        """What a person who sets up the practice client has to know about the practice host."""
        host = self._world.machine(Role.HOST)
        where = f"The practice host, {net.HOST_ADDRESS},"
        unit = host.units.get(SERVER)
        if unit is None or not unit.up:
            return f"{where} does not serve yet: set it up first, until then nothing answers there."
        names = [ups.name for ups in read_ups(file_of(unit, paths.UPS_CONF)) if ups.usable]
        ports = {port for address, port in self._world.listening(Role.HOST) if address not in net.LOOPBACK}
        if not names or not ports:
            return f"{where} listens on loopback only: run its step listen."
        serves = f"{where} serves {', '.join(names)} on port {min(ports)}"
        if not gate.lets_in(host.tree, min(ports)):
            serves += ", but its firewall keeps this VM out until its step firewall has a rule that is on"
        users = read_users(file_of(unit, paths.UPSD_USERS))
        if READY_USER in users and users[READY_USER].password == READY_PASSWORD:
            return f"{serves}; the client's user is {READY_USER}, its password {READY_PASSWORD}."
        clients = [name for name, user in users.items() if user.login and not user.primary]
        who = f"the client's user is {clients[0]}" if clients else "it has no user for a client yet"
        return f"{serves}; {who}, with the password that you gave it there."

    def _hostname(self) -> str:
        return self.read("/etc/hostname").decode("ascii", "replace").strip()

    def _service_of(self, ups: str) -> Completed:
        name = f"nut-driver@{ups}.service"
        if name in self._units.all():
            return Completed(0, out=f"{name}\n")
        return Completed(1, err="no service instance for this device\n")
