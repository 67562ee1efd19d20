"""What starting, stopping and reloading does on a practice machine: as Debian 12's NUT units do."""

from __future__ import annotations

import time

from nutwizard.core import paths
from nutwizard.core.facts import Role
from nutwizard.core.units import DRIVERS, ENUMERATOR, ENUMERATOR_PATH, MONITOR, SERVER, TARGET, driver_unit
from nutwizard.engine.practice.machine import Machine, file_of
from nutwizard.engine.practice.nut import Fatal, Ups, check_driver, check_mode, read_monitors, read_ups
from nutwizard.engine.practice.shipped import driver_table
from nutwizard.engine.practice.units import RETRYING
from nutwizard.engine.practice.world import DRIVER, World, instance

_UPSD_FILES = (paths.UPS_CONF, paths.UPSD_USERS)


class MachineServices:
    """The units of one machine. Without `run` only the table changes: what should run starts when needed."""

    def __init__(self, world: World, machine: Machine, *, run: bool = True) -> None:
        self._world, self._machine, self._run = world, machine, run
        self._units = machine.units

    def start(self, name: str) -> bool:
        """Start a unit and what it wants. False for a job that failed; a Type=simple job never does."""
        unit = self._units.get(name)
        if unit is None or unit.up:
            return unit is not None
        if name in (TARGET, DRIVERS):
            self._units.mark(name, "active")
            self._start_wanted((DRIVERS, SERVER, MONITOR) if name == TARGET else self._instances())
        elif name == ENUMERATOR_PATH:
            self._units.mark(name, "active")
        elif name == ENUMERATOR:
            self._enumerate()
        elif name.startswith(DRIVER):
            return self._start_driver(name)
        elif name in (SERVER, MONITOR):
            self._start_wanted(self._instances() if name == SERVER else (SERVER,))
            self._start_daemon(name)
        return True

    def stop(self, name: str) -> bool:
        """Stop a unit and its parts."""
        parts = {TARGET: (MONITOR, SERVER, DRIVERS), DRIVERS: self._instances()}.get(name, ())
        for part in parts:
            self.stop(part)
        if self._units.get(name) is not None:
            self._units.mark(name, "inactive")
        if name == MONITOR:
            self._world.end_upsmon(self._machine.role)
        else:
            self._world.end(name)
        return True

    def reload(self, name: str) -> bool:
        """Have a daemon read its files again. False where systemd would call the job failed."""
        unit = self._units.get(name)
        if unit is None or not unit.up:
            return False
        if name == ENUMERATOR:
            self._enumerate()
        if name not in (SERVER, MONITOR):
            return name == ENUMERATOR
        loaded = self._machine.load(name)
        if name == SERVER and paths.UPS_CONF not in loaded:
            self._give_up(name, Fatal("upsd cannot read ups.conf"))
            return True
        # upsd binds its addresses only when it starts; and it keeps its users when it cannot read them.
        taken = _UPSD_FILES if name == SERVER else tuple(loaded)
        unit.loaded |= {path: loaded[path] for path in taken if path in loaded}
        unit.run = time.time_ns()
        self._units.put(unit)
        if name == SERVER:
            self._world.reload(unit)
        self._settle()
        return True

    def ups_conf_written(self) -> None:
        """The path unit watches ups.conf: a write of it starts the enumerator."""
        unit = self._units.get(ENUMERATOR_PATH)
        if unit is not None and unit.up:
            self._enumerate()

    def _instances(self) -> tuple[str, ...]:
        return tuple(name for name, unit in self._units.all().items() if name.startswith(DRIVER))

    def _start_wanted(self, names: tuple[str, ...]) -> None:
        for name in names:
            unit = self._units.get(name)
            # The server is wanted by name, the others because they are enabled.
            wanted = unit is not None and (unit.enabled == "enabled" or name == SERVER)
            if unit is not None and wanted and unit.active in ("inactive", "failed"):
                self.start(name)

    def _start_daemon(self, name: str) -> None:
        loaded = self._machine.load(name)
        text = {path: data.encode("latin-1") for path, data in loaded.items()}
        try:
            check_mode(text.get(paths.NUT_CONF, b""), "upsd" if name == SERVER else "upsmon")
            if name == MONITOR:
                read_monitors(text.get(paths.UPSMON_CONF, b""))
            else:
                self._check_server(text)
        except Fatal as error:
            self._give_up(name, error)
            return
        unit = self._units.mark(name, "active", loaded)
        if name == SERVER and self._run:
            try:
                self._world.run(unit)
            except Fatal as error:
                self._give_up(name, error)
                return
        self._units.say(name, "started")
        self._settle()

    def _check_server(self, text: dict[str, bytes]) -> None:
        if paths.UPS_CONF not in text:
            raise Fatal("upsd cannot read ups.conf")
        if not any(ups.usable for ups in read_ups(text[paths.UPS_CONF])):
            raise Fatal("ups.conf has no section with a driver and a port: there is no UPS to serve")
        for address, port in self._world.bound(text.get(paths.UPSD_CONF, b"")):
            self._units.say(SERVER, f"listening on {address} port {port}")
        if paths.UPSD_USERS not in text:
            self._units.say(SERVER, "upsd cannot read upsd.users: nobody can log in")

    def _start_driver(self, name: str) -> bool:
        found = {ups.name: ups for ups in self._sections()}
        try:
            if instance(name) not in found:
                raise Fatal(f"ups.conf has no section [{instance(name)}]")
            check_driver(found[instance(name)], driver_table())
            text = self._machine.tree.read(paths.UPS_CONF).decode("latin-1")
            unit = self._units.mark(name, "active", {paths.UPS_CONF: text})
            if self._run:
                self._world.run(unit)
        except Fatal as error:
            # Restart=always: systemd tries again and again, and never calls it failed.
            self._units.mark(name, RETRYING)
            self._units.say(name, str(error))
            return error.clean
        self._units.say(name, f"driver {found[instance(name)].driver} started")
        return True

    def _enumerate(self) -> None:
        """Make the drivers' units those of ups.conf; restart those whose section changed, then nut-server."""
        found = {driver_unit(ups.name): ups for ups in self._sections()}
        changed = False
        for name in self._instances():
            if name not in found:
                self.stop(name)
                self._units.drop(name)
                changed = True
        for name, ups in found.items():
            changed = self._register(name, ups) or changed
        if changed:
            server = self._units.get(SERVER)
            if server is not None and server.up:
                self.reload(SERVER)
            else:
                self.start(SERVER)

    def _register(self, name: str, ups: Ups) -> bool:
        """Enable a driver's unit and have it run with this section; True when anything had to be done."""
        unit = self._units.get(name)
        if unit is None:
            return False
        old = next((one for one in read_ups(file_of(unit, paths.UPS_CONF)) if one.name == ups.name), None)
        if unit.enabled == "enabled" and unit.up and old == ups:
            return False
        self.stop(name)
        unit = self._units.get(name) or unit
        unit.enabled = "enabled"
        self._units.put(unit)
        self.start(name)
        return True

    def _sections(self) -> list[Ups]:
        if self._machine.role is not Role.HOST or self._machine.tree.stat(paths.UPS_CONF) is None:
            return []
        return read_ups(self._machine.tree.read(paths.UPS_CONF))

    def _give_up(self, name: str, error: Fatal) -> None:
        self._world.end(name)
        self._units.mark(name, "inactive" if error.clean else "failed")
        self._units.say(name, str(error))

    def _settle(self) -> None:
        """Logins follow the server that they are on."""
        if self._run:
            self._world.catch_up()


def start_ready_made(world: World) -> None:
    """A host that came with a configuration has been running it."""
    if not world.has(Role.HOST):
        return
    host = world.machine(Role.HOST)
    server = host.units.get(SERVER)
    if host.units.ready_made and server is not None and not server.run:
        services = MachineServices(world, host, run=False)
        services.start(ENUMERATOR)
        services.start(MONITOR)
