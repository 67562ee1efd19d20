"""What only a running machine knows: kind, addresses, listeners, daemons, USB, driver options.

psutil is imported when the first question that needs it is asked.
"""

from __future__ import annotations

import os
import re

from nutwizard.core.facts import Address, Daemon, Door, DriverOptions, Kind, Listener, Owner, UsbUps
from nutwizard.core.paths import DRIVER_FOLDERS
from nutwizard.engine.host import Host

#: USB vendors that make UPSes, as usb.ids names them: APC, MGE/Eaton, CyberPower, Tripp Lite, Liebert,
#: Riello, Powercom.
UPS_VENDORS = ("051d", "0463", "0764", "09ae", "10af", "04b4", "0d9f")
_USB, _NODES = "/sys/bus/usb/devices", "/dev/bus/usb"
_NUT_DAEMONS = ("upsd", "upsmon")
#: What systemd-detect-virt(1) calls containers.
_CONTAINERS = frozenset("lxc lxc-libvirt systemd-nspawn docker podman openvz container-other proot".split())


class MachineSources:
    """The sources of a live machine; below another root every answer is empty or unknown."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._live = host.door is Door.LIVE

    def kind(self) -> tuple[Kind, str]:
        """PVE host first, since it may itself be a VM; then container and VM; else plain."""
        if not self._live:
            return Kind.UNKNOWN, "not known below another root"
        if self._host.stat("/usr/bin/pveversion") and self._pve_mounted():
            return Kind.PVE, "/etc/pve is mounted and pveversion is there"
        answer = self._host.run(["/usr/bin/systemd-detect-virt"], timeout=5)
        word = answer.out.strip()
        if answer.code == -1:
            return self._kind_from_dmi()
        if word in ("", "none"):
            return Kind.PLAIN, "systemd-detect-virt says none"
        return (Kind.CONTAINER if word in _CONTAINERS else Kind.VM), f"systemd-detect-virt says {word}"

    def addresses(self) -> tuple[Address, ...]:
        """Addresses of interfaces that are up; a bridge counts also while no port of it is in use."""
        if not self._live:
            return ()
        import socket

        import psutil

        states = psutil.net_if_stats()
        found = []
        for name, addresses in psutil.net_if_addrs().items():
            bridge = self._host.stat(f"/sys/class/net/{name}/bridge") is not None
            state = states.get(name)
            up = state is not None and (state.isup or (bridge and "up" in state.flags.split(",")))
            for entry in addresses:
                if up and entry.family in (socket.AF_INET, socket.AF_INET6):
                    address = entry.address.partition("%")[0]
                    found.append(Address(name, address, _prefix(entry.netmask), bridge))
        return tuple(found)

    def listeners(self) -> tuple[Listener, ...]:
        """TCP sockets that listen."""
        if not self._live:
            return ()
        import psutil

        found = []
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr:
                found.append(
                    Listener(connection.laddr.ip, connection.laddr.port, _process_name(connection.pid))
                )
        return tuple(found)

    def daemons(self) -> tuple[Daemon, ...]:
        """upsd, upsmon and the drivers that run."""
        if not self._live:
            return ()
        import psutil

        drivers = {name for folder in DRIVER_FOLDERS for name in self._host.names(folder)}
        wanted = drivers | set(_NUT_DAEMONS)
        running = psutil.process_iter(["name", "username"])
        return tuple(
            Daemon(process.info["name"], process.pid, process.info["username"] or "")
            for process in running
            if process.info["name"] in wanted and _here(process.pid)
        )

    def booted(self) -> float:
        """When the machine came up, seconds since the epoch."""
        if not self._live:
            return 0.0
        import psutil

        return float(psutil.boot_time())

    def usb(self) -> tuple[UsbUps, ...]:
        """USB devices of UPS makers, from sysfs."""
        if not self._live:
            return ()
        found = []
        for name in self._host.names(_USB):
            vendor = self._usb_text(name, "idVendor")
            if vendor in UPS_VENDORS:
                product_id, maker, product, serial = (
                    self._usb_text(name, key) for key in ("idProduct", "manufacturer", "product", "serial")
                )
                found.append(UsbUps(vendor, product_id, maker, product, serial, self._usb_node(name)))
        return tuple(found)

    def driver_options(self, driver: str) -> DriverOptions:
        """What `DRIVER -L` lists: `VALUE name "text"`, `FLAG name "text"` (measured, NUT 2.7.4 to 2.8.1)."""
        for folder in DRIVER_FOLDERS:
            if not self._live or self._host.stat(f"{folder}/{driver}") is None:
                continue
            answer = self._host.run([f"{folder}/{driver}", "-L"], timeout=5)
            names = re.findall(r"^(?:VALUE|FLAG) (\S+)", answer.out, re.MULTILINE)
            if names:
                return DriverOptions(True, frozenset(names))
        return DriverOptions(False)

    def _pve_mounted(self) -> bool:
        try:
            mounts = self._host.read("/proc/self/mounts")
        except OSError:
            return False
        return any(line.split()[1:2] == [b"/etc/pve"] for line in mounts.splitlines())

    def _kind_from_dmi(self) -> tuple[Kind, str]:
        try:
            vendor = self._host.read("/sys/class/dmi/id/sys_vendor").decode("utf-8", "replace").strip()
        except OSError:
            return Kind.UNKNOWN, "neither systemd-detect-virt nor DMI can be asked"
        virtual = any(word in vendor for word in ("QEMU", "VMware", "innotek", "Xen", "Bochs", "Microsoft"))
        return (Kind.VM if virtual else Kind.PLAIN), f"DMI names the maker {vendor}"

    def _usb_node(self, device: str) -> Owner | None:
        """Who may use the device's file, which is named by its numbers with three digits each."""
        numbers = [self._usb_text(device, key) for key in ("busnum", "devnum")]
        if not all(number.isascii() and number.isdigit() for number in numbers):
            return None
        try:
            found = self._host.stat("/".join([_NODES, *(number.zfill(3) for number in numbers)]))
        except OSError:
            return None
        return found.owner if found is not None else None

    def _usb_text(self, device: str, key: str) -> str:
        try:
            return self._host.read(f"{_USB}/{device}/{key}").decode("utf-8", "replace").strip()
        except OSError:
            return ""


def _here(pid: int) -> bool:
    """Whether it is a process of this machine, not of one of its containers; True where that is not told."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid")
    except OSError:
        return True


def _prefix(netmask: str | None) -> int:
    import ipaddress

    if not netmask:
        return 0
    return sum(bin(byte).count("1") for byte in ipaddress.ip_address(netmask).packed)


def _process_name(pid: int | None) -> str:
    import psutil

    try:
        return psutil.Process(pid).name() if pid else ""
    except psutil.Error:
        return ""
