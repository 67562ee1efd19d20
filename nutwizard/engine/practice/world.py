"""Both practice machines of a folder as this process sees them: units, the NUT server, the logins on it.

What should run stands in the unit tables, which all processes share. What runs here is started when first
needed and ends with this process: `catch_up` makes it what the tables say.
"""

from __future__ import annotations

import atexit
import errno
import os
import socket
import threading
import time
from contextlib import suppress

from nutwizard.core import paths
from nutwizard.core.facts import Daemon, Listener, Role
from nutwizard.core.units import MONITOR, SERVER
from nutwizard.engine.practice import daemons, gate, net
from nutwizard.engine.practice.backend import Backend, has_data
from nutwizard.engine.practice.files import FOLDERS, prepare, remove
from nutwizard.engine.practice.machine import Machine, file_of
from nutwizard.engine.practice.nut import (
    Fatal,
    Listening,
    bound,
    reaches,
    read_monitors,
    read_ups,
)
from nutwizard.engine.practice.server import Simulation
from nutwizard.engine.practice.units import Unit
from nutwizard.engine.practice.upsmon import Upsmon

DRIVER = "nut-driver@"
#: Seconds until the real upsd has the first data of a driver that has just started.
_FIRST_DATA = 8.0


class World:
    """The two machines of a folder. All methods may be called from any thread."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._machines: dict[Role, Machine] = {}
        self._backend: Backend | None = None
        self.lock = threading.RLock()
        self._runs: dict[str, int] = {}
        self._upsmons: dict[Role, tuple[int, Upsmon]] = {}
        atexit.register(self.close)

    def machine(self, role: Role) -> Machine:
        """The machine of that role; made when it is not there."""
        with self.lock:
            if role not in self._machines:
                prepare(self.folder, role)
                self._look()
            return self._machines[role]

    def has(self, role: Role) -> bool:
        """Whether the machine of that role has been made, by whichever process."""
        self._look()
        return role in self._machines

    def _look(self) -> None:
        for role in Role:
            if role not in self._machines and os.path.isdir(f"{self.folder}/{FOLDERS[role]}"):
                self._machines[role] = Machine(self.folder, role)

    def reset(self) -> None:
        """Remove both machines."""
        with self.lock:
            self.close()
            self._machines.clear()
            remove(self.folder)

    def close(self) -> None:
        """End everything that this process runs; the tables keep what should run."""
        with self.lock:
            for _, upsmon in self._upsmons.values():
                upsmon.close()
            self._upsmons.clear()
            self._runs.clear()
            if self._backend is not None:
                self._backend.close()
            self._backend = None

    def connect(self, here: Role, address: str, port: int, timeout: float) -> socket.socket:
        """A connection from one of the machines; OSError as in life.

        What the host's firewall drops is waited for: `timeout` s, 3 at most.
        """
        try:
            with self.lock:
                self.catch_up()
                sock, reached = self._dial(here, address, port, timeout)
        except gate.Dropped:
            time.sleep(min(timeout, gate.LONGEST_WAIT))
            raise
        return net.through_relay(sock, reached, port)

    def listening(self, role: Role) -> Listening:
        """Where the machine's upsd listens, by its table."""
        unit = self.machine(role).units.get(SERVER)
        if role is not Role.HOST or unit is None or not unit.up:
            return {}
        try:
            return self.bound(file_of(unit, paths.UPSD_CONF))
        except Fatal:  # /etc/hosts changed since it started
            return {}

    def bound(self, upsd_conf: bytes) -> Listening:
        """Where the host's upsd would listen with this upsd.conf. Raises Fatal."""
        own = frozenset(one.address for one in net.ADDRESSES[Role.HOST])
        names = net.host_names(self.machine(Role.HOST).tree.read("/etc/hosts"))
        return bound(upsd_conf, own, names)

    def listeners(self, role: Role) -> tuple[Listener, ...]:
        """The listening sockets of the machine."""
        return tuple(Listener(address, port, "upsd") for address, port in self.listening(role))

    def daemons(self, role: Role) -> tuple[Daemon, ...]:
        """The NUT processes of the machine; a stand-in has the number of this process."""
        found = []
        for name, unit in self.machine(role).units.all().items():
            if not unit.up:
                continue
            if name.startswith(DRIVER):
                ups = next(
                    one for one in read_ups(file_of(unit, paths.UPS_CONF)) if one.name == instance(name)
                )
                found.append(Daemon(ups.driver, self._pid(ups.name), "nut"))
            elif name == SERVER:
                found.append(Daemon("upsd", self._pid("upsd"), "nut"))
            elif name == MONITOR:
                found += [Daemon("upsmon", os.getpid(), user) for user in ("root", "nut")]
        return tuple(found)

    def catch_up(self) -> None:
        """Run in this process what the tables say and nothing else; what cannot run is marked as failed."""
        with self.lock:
            if self._backend is not None and not self._backend.alive:
                self._backend.close()
                self._runs.clear()
            self._look()
            host = self._machines.get(Role.HOST)
            if host is not None:
                units = [unit for name, unit in host.units.all().items() if name.startswith(DRIVER)]
                units += [unit for name, unit in host.units.all().items() if name == SERVER]
                fresh = [self._catch_up_unit(host, unit) for unit in units]
                if any(fresh):
                    self._await_data(host)
            for machine in list(self._machines.values()):
                self._catch_up_upsmon(machine)

    def backend(self) -> Backend:
        """The real daemons where this user can start them, else the simulation."""
        with self.lock:
            if self._backend is None:
                programs = daemons.find_programs()
                real = programs is not None and daemons.work(programs)
                self._backend = daemons.Daemons(programs) if real and programs else Simulation()
            return self._backend

    def _dial(self, here: Role, address: str, port: int, timeout: float) -> tuple[socket.socket, str]:
        """Try each address of a name, as a client does. Raises the last failure, without its wait."""
        hosts = self.machine(here).tree.read("/etc/hosts")
        failure: OSError = OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        for one in net.resolve(address, hosts):
            try:
                there = net.owner_of(one, here)
                if there is Role.HOST and there in self._machines:
                    gate.admit(self._machines[there].tree, here, one, port)
                listening = self.listening(there) if there in self._machines else {}
                if reaches(listening, one, port) and (real := self.backend().port):
                    return net.dial(one, here, real, timeout), one
                raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
            except OSError as error:
                failure = error
        raise failure

    def _catch_up_unit(self, host: Machine, unit: Unit) -> bool:
        """Have a driver or the server run as its table says; True when it was started now."""
        here = self._runs.get(unit.name)
        if not unit.up:
            self.end(unit.name)
            return False
        try:
            if here == unit.run and (unit.name != SERVER or self.backend().port):
                return False
            if here == unit.run:
                raise Fatal("upsd has ended")
            self.run(unit)
        except Fatal as error:
            self.end(unit.name)
            host.units.mark(unit.name, "failed")
            host.units.say(unit.name, str(error))
            return False
        return True

    def run(self, unit: Unit) -> None:
        """Start a driver or the server in this process. Raises Fatal."""
        found = read_ups(file_of(unit, paths.UPS_CONF))
        if unit.name == SERVER:
            self.backend().start(found, file_of(unit, paths.UPSD_CONF), file_of(unit, paths.UPSD_USERS))
        else:
            self.backend().drive(next(ups for ups in found if ups.name == instance(unit.name)))
        self._runs[unit.name] = unit.run

    def reload(self, unit: Unit) -> None:
        """Let the server, if it runs in this process, read its files again."""
        if SERVER in self._runs:
            files = [file_of(unit, path) for path in (paths.UPS_CONF, paths.UPSD_CONF, paths.UPSD_USERS)]
            self.backend().reload(read_ups(files[0]), files[1], files[2])
            self._runs[SERVER] = unit.run

    def end_upsmon(self, role: Role) -> None:
        """Log out what this process has logged in for a machine."""
        _, upsmon = self._upsmons.pop(role, (0, None))
        if upsmon is not None:
            upsmon.close()

    def end(self, name: str) -> None:
        """End a driver or the server if it runs in this process."""
        if self._runs.pop(name, None) is None:
            return
        if name == SERVER:
            self.backend().stop()
        else:
            self.backend().release(instance(name))

    def _catch_up_upsmon(self, machine: Machine) -> None:
        unit = machine.units.get(MONITOR)
        run, upsmon = self._upsmons.get(machine.role, (0, None))
        if unit is None or not unit.up or unit.run != run:
            self.end_upsmon(machine.role)
            upsmon = None
        if unit is None or not unit.up:
            return
        if upsmon is None:
            with suppress(Fatal):
                upsmon = self._upsmon(machine, unit)
                self._upsmons[machine.role] = (unit.run, upsmon)
        if upsmon is not None:
            upsmon.poll()

    def _upsmon(self, machine: Machine, unit: Unit) -> Upsmon:
        def connect(address: str, port: int, timeout: float) -> socket.socket:
            return self._dial(machine.role, address, port, timeout)[0]

        monitors = read_monitors(file_of(unit, paths.UPSMON_CONF))
        return Upsmon(monitors, connect, lambda text: machine.units.say(MONITOR, text))

    def _await_data(self, host: Machine) -> None:
        """A machine that has been up for long has data: what only this process waits for is not shown."""
        end = time.monotonic() + _FIRST_DATA
        names = [instance(name) for name in self._runs if name.startswith(DRIVER)]
        while names and time.monotonic() < end and (port := self.backend().port):
            names = [name for name in names if not has_data(port, name)]
            time.sleep(0.05 if names else 0)

    def _pid(self, name: str) -> int:
        return (self._backend.pid(name) if self._backend is not None else 0) or os.getpid()


def instance(unit: str) -> str:
    """The UPS of a driver's unit."""
    return unit.removeprefix(DRIVER).removesuffix(".service")
