"""The guests of a Proxmox VE host, from their configuration files (formats: qm.conf(5), pct.conf(5))."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nutwizard.core import checks
from nutwizard.core.facts import Guest, Kind
from nutwizard.engine.host import Host

#: Where this node's guests are; Proxmox VE makes them links into the node's own folder.
FOLDERS: Mapping[str, Kind] = {"/etc/pve/qemu-server": Kind.VM, "/etc/pve/lxc": Kind.CONTAINER}
#: More are no suggestions to a person any more.
MOST = 200
_LARGEST = 64 << 10
_CONFIG = re.compile(r"([1-9][0-9]{2,8})\.conf")


def read_guests(host: Host) -> tuple[Guest, ...]:
    """The guests by number, templates left out; a file that cannot be read is passed over."""
    files = [
        (int(found[1]), folder, kind)
        for folder, kind in FOLDERS.items()
        for name in _names(host, folder)
        if (found := _CONFIG.fullmatch(name))
    ]
    guests = (_guest(host, *each) for each in sorted(files)[:MOST])
    return tuple(guest for guest in guests if guest is not None)


def _names(host: Host, folder: str) -> list[str]:
    try:
        return host.names(folder)
    except OSError:
        return []


def _guest(host: Host, number: int, folder: str, kind: Kind) -> Guest | None:
    try:
        text = host.read(f"{folder}/{number}.conf", _LARGEST).decode("utf-8", "replace")
    except OSError:
        return None
    keys = _keys(text)
    if keys.get("template") == "1":
        return None
    name = keys.get("hostname" if kind is Kind.CONTAINER else "name", "")
    card = _options(keys.get("net0", ""))
    fixed = card if kind is Kind.CONTAINER else _options(keys.get("ipconfig0", ""))
    words = [fixed.get(key, "").partition("/")[0] for key in ("ip", "ip6")]
    addresses = tuple(word for word in words if checks.client_address(word) is None)
    return Guest(number, kind, name, card.get("bridge", ""), addresses)


def _keys(text: str) -> dict[str, str]:
    """The keys of the configuration in force: behind the first `[` stand snapshots."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("["):
            break
        key, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            found.setdefault(key.strip(), value.strip())
    return found


def _options(text: str) -> dict[str, str]:
    """`virtio=AA:BB,bridge=vmbr0,firewall=1` by key."""
    pairs = (part.partition("=") for part in text.split(","))
    return {key.strip(): value.strip() for key, _, value in pairs}
