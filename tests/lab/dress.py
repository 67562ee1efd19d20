"""What makes a copy of this computer look like a Proxmox VE host, or like a guest with a NUT client only."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from .boot import FileSpec, Spec
from .startpoints import CLIENT_FILES, HOST_FILES, stock_files
from .usbhid_standin import REAL, VALUES

CHECKOUT = Path(__file__).resolve().parents[2]
DPKG_STATUS = Path("/var/lib/dpkg/status")
PVE_VERSION = "pve-manager/8.4.1/2a5fa54a8503f96d (running kernel: 6.8.12-10-pve)"
PVE_STATUS = """Package: pve-manager
Status: install ok installed
Priority: optional
Section: admin
Maintainer: Lab <root@localhost>
Architecture: all
Version: 8.4.1
Description: look-alike for tests

"""
UPS_VALUES = {
    "battery.charge": "100",
    "battery.runtime": "1830",
    "device.mfr": "American Power Conversion",
    "device.model": "Back-UPS ES 700G",
    "device.serial": "5B1234T56789",
    "device.type": "ups",
    "input.voltage": "230.0",
    "ups.load": "14",
    "ups.mfr": "American Power Conversion",
    "ups.model": "Back-UPS ES 700G",
    "ups.serial": "5B1234T56789",
    "ups.status": "OL",
    "ups.vendorid": "051d",
    "ups.productid": "0002",
}
OFF_SWITCHES = ("shutdown", "poweroff", "halt", "reboot")
#: Programs of systemd that a machine without systemd gets a stand-in for.
MANAGERS = ("systemctl", "journalctl", "systemd-run")
REHEARSAL = '#!/bin/sh\nexec logger -t REHEARSAL "would run: ${0##*/}${*:+ $*}"\n'


def host_spec(files: Mapping[str, bytes] | None = None) -> Spec:
    """A Proxmox VE 8 node `pve`; `files` are those of /etc/nut by name, Debian's stock ones by default."""
    return Spec(
        hostname="pve",
        binds=_binds(),
        tmpfs=["/etc/pve"],
        hide=["/etc/nut"],
        dmi={"sys_vendor": "Supermicro", "product_name": "Super Server", "chassis_type": "3"},
        files=[
            *_common("pve", "192.168.1.107", "none", 1),
            *_nut(stock_files(HOST_FILES) if files is None else files),
            file_spec("/usr/bin/pveversion", f"#!/bin/sh\necho '{PVE_VERSION}'\n", mode=0o755),
            file_spec("/etc/pve/nodes/pve/pve-ssl.pem", ""),
            file_spec(str(DPKG_STATUS), DPKG_STATUS.read_text(encoding="utf-8") + PVE_STATUS),
            file_spec(REAL, Path("/lib/nut/usbhid-ups").read_bytes(), mode=0o755),
            file_spec("/lib/nut/usbhid-ups", _whole("usbhid_standin"), mode=0o755),
            file_spec(str(VALUES), "".join(f"{key}: {value}\n" for key, value in UPS_VALUES.items())),
        ],
    )


def vm_spec(
    files: Mapping[str, bytes] | None = None, name: str = "debiantpl", address: str = "192.168.1.10"
) -> Spec:
    """A Debian guest with nut-client only."""
    return Spec(
        hostname=name,
        binds=_binds(),
        tmpfs=[],
        hide=["/etc/nut", *_package_files("nut-server")],
        dmi={"sys_vendor": "QEMU", "product_name": "Standard PC (i440FX + PIIX, 1996)", "chassis_type": "1"},
        files=[
            *_common(name, address, "kvm", 0),
            *_nut(stock_files(CLIENT_FILES) if files is None else files),
            file_spec(str(DPKG_STATUS), _status_without("nut-server")),
        ],
    )


def _common(name: str, address: str, virtualization: str, virtualization_code: int) -> Iterable[FileSpec]:
    yield file_spec("/etc/hostname", f"{name}\n")
    yield file_spec(
        "/etc/hosts", f"127.0.0.1 localhost\n{address} {name}.lan {name}\n::1 localhost ip6-localhost\n"
    )
    yield file_spec("/etc/resolv.conf", "# no name server: a name that /etc/hosts lacks fails at once\n")
    detect = f"#!/bin/sh\necho {virtualization}\nexit {virtualization_code}\n"
    yield file_spec("/usr/bin/systemd-detect-virt", detect, mode=0o755)
    for program in MANAGERS:
        yield file_spec(f"/usr/bin/{program}", _launcher("fake_systemctl"), mode=0o755)
    for program in OFF_SWITCHES:
        yield file_spec(f"/sbin/{program}", REHEARSAL, mode=0o755)
    yield file_spec("/usr/bin/wall", REHEARSAL, mode=0o755)


def _nut(files: Mapping[str, bytes]) -> Iterable[FileSpec]:
    return [file_spec(f"/etc/nut/{name}", data, group="nut", mode=0o640) for name, data in files.items()]


def file_spec(path: str, data: str | bytes, group: str = "root", mode: int = 0o644) -> FileSpec:
    """One file of a machine, root's."""
    raw = data.encode() if isinstance(data, str) else data
    return FileSpec(
        path=path, data=base64.b64encode(raw).decode("ascii"), owner="root", group=group, mode=mode
    )


def _launcher(module: str) -> str:
    python = os.path.realpath(sys.executable)
    tests = str(CHECKOUT / "tests")
    path = f"import sys\nsys.path.insert(0, {tests!r})\n"
    return f"#!{python} -IS\n{path}from lab.{module} import main\nsys.exit(main(sys.argv))\n"


def _whole(module: str) -> str:
    """The program itself: late in a shutdown the checkout may be unmounted."""
    source = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    return f"#!{os.path.realpath(sys.executable)} -IS\n{source}\n\nsys.exit(main(sys.argv))\n"


def _binds() -> list[str]:
    """What a machine needs and its overlay does not show: other file systems, what lies in /tmp or /run."""
    root = os.stat("/").st_dev
    covered = ("/tmp/", "/run/", "/mnt/")
    return sorted(p for p in needed_folders() if os.stat(p).st_dev != root or p.startswith(covered))


def needed_folders() -> set[str]:
    """The checkout and its Python."""
    return {str(CHECKOUT), os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)}


def _package_files(package: str) -> list[str]:
    """The files of an installed package, and dpkg's own notes on it.

    Raises FileNotFoundError where the package is not installed.
    """
    notes = Path("/var/lib/dpkg/info")
    listed = (notes / f"{package}.list").read_text(encoding="utf-8").splitlines()
    own = [path for path in listed if not os.path.isdir(path)]
    links = Path("/etc/systemd/system").glob("*.wants/*")
    dangling = [str(link) for link in links if os.path.realpath(link) in map(os.path.realpath, own)]
    return [*own, *dangling, *map(str, notes.glob(f"{package}.*"))]


def _status_without(package: str) -> str:
    stanzas = DPKG_STATUS.read_text(encoding="utf-8").split("\n\n")
    return "\n\n".join(stanza for stanza in stanzas if not stanza.startswith(f"Package: {package}\n"))
