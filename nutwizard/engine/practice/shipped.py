"""The files of a practice machine, laid out below a root: a Debian, and on the host a Proxmox VE node.

/etc/pve is a plain folder that looks as pmxcfs does: the links into this node's own folder, the datacenter's
firewall, the VM's configuration, and priv/lock, in which a lock of the cluster is a folder.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nutwizard.core.facts import Owner
from nutwizard.core.paths import PVE

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

#: Debian 12's merged /usr.
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}
_EMPTY = {
    "host": ("var/lib/nut", "run/nut", "usr/lib/nut", "root"),
    "vm": ("var/lib/nut", "run/nut", "usr/lib/nut", "root"),
}
#: Below /etc/pve, as pmxcfs has them.
_NODE = "nodes/pve"
_PVE_EMPTY = ("firewall", "priv/lock", f"{_NODE}/lxc", f"{_NODE}/qemu-server")
_PVE_LINKS = {"local": _NODE, "lxc": f"{_NODE}/lxc", "qemu-server": f"{_NODE}/qemu-server"}
_PROGRAMS = {
    "vm": (
        "usr/sbin/upsmon",
        "usr/sbin/upssched",
        "usr/bin/upssched-cmd",
        "usr/bin/upsc",
        "usr/sbin/shutdown",
    ),
    "host": (
        "usr/sbin/upsd",
        "usr/sbin/upsdrvctl",
        "usr/lib/nut/upsd",
        "usr/lib/systemd/system-shutdown/nutshutdown",
        "usr/bin/pveversion",
    ),
}
_PLACEHOLDER = b"#!/bin/sh\n# stands for a program of the practice machine; nothing is run here\n"
_NUT_FOLDERS = {"/etc/nut": 0o755, "/var/lib/nut": 0o770, "/run/nut": 0o770}


def lay_out(root: str, name: str, *, ready: bool) -> None:
    """Make the machine "host" or "vm" below `root`, an empty folder; every file of it for its owner alone.

    `ready`: NUT is set up and serves, and the firewall lets the VM in. Raises OSError.
    """
    for part in ("etc", "tmp", *_EMPTY[name]):
        os.makedirs(f"{root}/{part}", exist_ok=True)
    programs = [*_PROGRAMS["vm"]]
    if name == "host":
        programs += [*_PROGRAMS["host"], *(f"usr/lib/nut/{driver}" for driver in driver_table())]
    for path in programs:
        os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
        _write(f"{root}/{path}", _PLACEHOLDER)
    for link, target in _LINKS.items():
        os.symlink(target, f"{root}/{link}")
    for layer in ("common", name, *(["ready"] if ready else [])):
        _copy(_assets() / layer, root)
    if name == "host":
        lay_out_pve(f"{root}{PVE}", lets_in=ready)
    _close(root)


def lay_out_pve(folder: str, *, lets_in: bool) -> None:
    """Make a node's /etc/pve in `folder`, with the firewall on.

    `lets_in`: its rules let the VM reach NUT's port, made as in the web console by the guide's names.
    """
    for part in _PVE_EMPTY:
        os.makedirs(f"{folder}/{part}", exist_ok=True)
    for link, target in _PVE_LINKS.items():
        os.symlink(target, f"{folder}/{link}")
    for layer in ("pve", *(["pve-open"] if lets_in else [])):
        _copy(_assets() / layer, folder)
    _close(folder)


def owners_of(root: str) -> dict[str, Any]:
    """The owners that Debian 12's packages give, by path; those below /etc/pve are no matter of a table."""
    table = {path: entry_of(Owner("root", "nut", mode)) for path, mode in _NUT_FOLDERS.items()}
    for above, _, names in os.walk(root):
        for path in (f"{above[len(root) :]}/{name}" for name in names):
            if path.startswith("/etc/nut/"):
                table[path] = entry_of(Owner("root", "nut", 0o640))
            elif path.startswith("/usr/"):
                table[path] = entry_of(Owner("root", "root", 0o755))
            elif not path.startswith(f"{PVE}/"):
                table[path] = entry_of(Owner("root", "root", 0o644))
    return table


def entry_of(owner: Owner) -> list[str]:
    """An owner as it stands in the table beside the files."""
    return [owner.user, owner.group, f"{owner.mode:04o}"]


def driver_table() -> dict[str, frozenset[str]]:
    """The practice machine's drivers, and the variables and flags of its own that each takes."""
    text = (_assets() / "drivers.txt").read_text(encoding="ascii")
    rows = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: frozenset(words.split()) for name, _, words in rows}


def _assets() -> Traversable:
    from importlib.resources import files

    return files("nutwizard.assets") / "practice"


def _close(root: str) -> None:
    """Nobody else looks into the folders."""
    for above, folders, _ in os.walk(root):
        for inner in (f"{above}/{one}" for one in folders):
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)


def _copy(source: Traversable, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    for item in source.iterdir():
        if item.is_dir():
            _copy(item, f"{target}/{item.name}")
        else:
            _write(f"{target}/{item.name}", item.read_bytes())


def _write(path: str, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
