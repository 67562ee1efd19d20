"""Machines beside a Proxmox VE host: its guests, and what it knows of its neighbours on the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nutwizard.core import checks

if TYPE_CHECKING:
    from nutwizard.core.facts import Kind

#: What `known_from` of an address says.
CONFIGURATION = "its configuration"
NEIGHBOURS = "the neighbour table"
LEASE = "a DHCP lease"
IPAM = "Proxmox VE's IPAM"


@dataclass(frozen=True)
class Guest:
    """A guest of this Proxmox VE host, by its configuration. `kind`: VM or CONTAINER.

    `name`: as its configuration has it, "" without one. `bridge`, `mac`: those of its first network card,
    the latter in small letters, "" when not known. `addresses`: without their prefixes; those that its
    configuration fixes, else those seen at `mac`. `known_from`: a short phrase for a person, where they are
    known from, "" without addresses. `agent`: whether its QEMU guest agent may be asked for more.
    `usb`: the values of its usbN lines, such as host=051d:0002. `down`, `order`, `up`: the seconds that its
    shutdown may take, its place in the order, and the seconds after its start, by its startup line; None
    without. `onboot`: it starts with the host.
    """

    id: int
    kind: Kind
    name: str = ""
    bridge: str = ""
    addresses: tuple[str, ...] = ()
    mac: str = ""
    known_from: str = ""
    agent: bool = False
    usb: tuple[str, ...] = ()
    down: int | None = None
    order: int | None = None
    onboot: bool = False
    up: int | None = None


@dataclass(frozen=True)
class Neighbour:
    """A machine that this one has seen, or has given an address to; it may be a guest.

    `mac`: in small letters. `interface`: where it was seen, "" for an address that was given. `known_from`:
    a short phrase for a person.
    """

    address: str
    mac: str
    interface: str = ""
    known_from: str = ""


def usable(word: object) -> str:
    """An IP address of another machine, in its usual spelling; "" for a link-local one and any other word."""
    import ipaddress

    if not isinstance(word, str) or checks.client_address(word) is not None:
        return ""
    address = ipaddress.ip_address(word)
    return "" if address.is_link_local else str(address)
