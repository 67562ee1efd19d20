"""A set of Proxmox VE's firewall, asked for an address: quick however many entries it has."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nutwizard.core.firewallpolicy import Entry


class Held:
    """The entries of a set by the length of their prefix: the longest that holds an address decides.

    Of two entries with one network the last counts.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._found: dict[tuple[int, int], dict[int, Entry]] = {}
        for entry in entries:
            key = entry.network.version, entry.network.prefixlen
            self._found.setdefault(key, {})[int(entry.network.network_address)] = entry
        self._lengths = sorted(self._found, reverse=True)

    def closest(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Entry | None:
        """The entry that decides about an address; None where none holds it."""
        number = int(address)
        for version, length in self._lengths:
            if version == address.version:
                rest = address.max_prefixlen - length
                if (entry := self._found[version, length].get(number >> rest << rest)) is not None:
                    return entry
        return None
