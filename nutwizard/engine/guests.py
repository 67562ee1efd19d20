"""The guests of a Proxmox VE host, from their configuration files (formats: qm.conf(5), pct.conf(5)); where
those fix no address, also from what the host has seen at their network cards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from nutwizard.core import checks
from nutwizard.core.clients import one_spelling
from nutwizard.core.facts import Kind
from nutwizard.core.guests import CONFIGURATION, Guest, Neighbour
from nutwizard.engine.host import Host
from nutwizard.engine.leases import MAC

#: Where this node's guests are; Proxmox VE makes them links into the node's own folder.
FOLDERS: Mapping[str, Kind] = {"/etc/pve/qemu-server": Kind.VM, "/etc/pve/lxc": Kind.CONTAINER}
#: More are no suggestions to a person any more.
MOST = 200
_LARGEST = 64 << 10
_CONFIG = re.compile(r"([1-9][0-9]{2,8})\.conf")
_USB = re.compile(r"usb[0-9]{1,2}")
_NUMBER = re.compile(r"[0-9]{1,9}")


def read_guests(host: Host, neighbours: Callable[[], tuple[Neighbour, ...]] = tuple) -> tuple[Guest, ...]:
    """The guests by number, templates left out; a file that cannot be read is passed over.

    `neighbours`: asked when the configuration of some guest fixes no address; the best known come first.
    """
    files = [
        (int(found[1]), folder, kind)
        for folder, kind in FOLDERS.items()
        for name in _names(host, folder)
        if (found := _CONFIG.fullmatch(name))
    ]
    read = (_guest(host, *each) for each in sorted(files)[:MOST])
    guests = tuple(guest for guest in read if guest is not None)
    if all(guest.addresses or not guest.mac for guest in guests):
        return guests
    return _with_seen(guests, neighbours())


def _with_seen(guests: tuple[Guest, ...], neighbours: Iterable[Neighbour]) -> tuple[Guest, ...]:
    """The guests, where addresses lack with those seen at their card on their bridge; none is given twice."""
    taken = {one_spelling(address) for guest in guests for address in guest.addresses}
    by_mac: dict[str, list[Neighbour]] = {}
    for each in neighbours:
        by_mac.setdefault(each.mac, []).append(each)
    found = []
    for guest in guests:
        here = [each for each in by_mac.get(guest.mac, ()) if _on(each.interface, guest.bridge)]
        seen = _best([each for each in here if one_spelling(each.address) not in taken])
        if guest.addresses or not seen:
            found.append(guest)
            continue
        taken |= {one_spelling(each.address) for each in seen}
        known_from = " and ".join(dict.fromkeys(each.known_from for each in seen))
        found.append(replace(guest, addresses=tuple(each.address for each in seen), known_from=known_from))
    return tuple(found)


def _best(seen: list[Neighbour]) -> list[Neighbour]:
    """One IPv4 address, since a second is most likely an earlier one, and up to two of IPv6."""
    four = [each for each in seen if ":" not in each.address]
    six = [each for each in seen if ":" in each.address]
    return four[:1] + six[:2]


def _on(interface: str, bridge: str) -> bool:
    """Whether a neighbour at this interface is on the bridge or a VLAN of it; "" is anywhere."""
    return not interface or re.fullmatch(rf"{re.escape(bridge)}([.v][0-9]+)?", interface) is not None


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
    mac = next((value.lower() for value in card.values() if MAC.fullmatch(value)), "")
    down, order, up = _startup(keys.get("startup", ""))
    return Guest(
        number,
        kind,
        name,
        card.get("bridge", ""),
        addresses,
        mac,
        CONFIGURATION if addresses else "",
        agent=kind is Kind.VM and _has_agent(keys.get("agent", "")),
        usb=tuple(value for key, value in keys.items() if _USB.fullmatch(key)),
        down=down,
        order=order,
        onboot=_yes(keys.get("onboot", "")),
        up=up,
    )


def _has_agent(text: str) -> bool:
    """`1`, `enabled=1`, each with options behind it."""
    first, _, _ = text.partition(",")
    return _yes(_options(text).get("enabled", first.strip()))


def _yes(word: str) -> bool:
    """A boolean as Proxmox VE reads it."""
    return word.lower() in ("1", "on", "yes", "true")


def _startup(text: str) -> tuple[int | None, int | None, int | None]:
    """What stands behind `down`, `order` and `up`; the place may stand without its key."""
    options = _options(text)
    bare = next((key for key in options if _NUMBER.fullmatch(key)), "")
    words = (options.get("down", ""), options.get("order", bare), options.get("up", ""))
    down, order, up = (int(word) if _NUMBER.fullmatch(word) else None for word in words)
    return down, order, up


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
