"""Addresses that this host itself gives, by MAC: leases of dnsmasq and of ISC dhcpd, Proxmox VE SDN's IPAM.

A file that is missing, too large, unreadable or odd is passed over. DHCPv6 leases are left out: they know
their clients by a DUID, which a cloned machine shares with its original.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from nutwizard.core.guests import IPAM, LEASE, Neighbour, usable
from nutwizard.engine.host import Host

MAC = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
_LARGEST = 1 << 20
#: The folders where dnsmasq's leases are; below the first Proxmox VE's SDN has a file for each zone.
_DNSMASQ = {
    "/var/lib/misc": re.compile(r"dnsmasq(\..+)?\.leases"),
    "/var/lib/dnsmasq": re.compile(r".+\.leases"),
}
_DHCPD = "/var/lib/dhcp/dhcpd.leases"
#: The first since Proxmox VE 8.4; a left-over of the second is not read beside it.
_IPAM = ("/etc/pve/sdn/pve-ipam-state.json", "/etc/pve/priv/ipam.db")
_MOST_FILES = 64

Pair = tuple[str, str]


def read_leases(host: Host) -> tuple[Neighbour, ...]:
    """Leases that run now, then what the IPAM keeps for a card."""
    now = host.now()
    leases: list[Pair] = []
    for path in _dnsmasq_files(host):
        leases += _dnsmasq(_text(host, path), now)
    leases += _dhcpd(_text(host, _DHCPD), now)
    kept = _ipam(next(filter(None, (_text(host, path) for path in _IPAM)), ""))
    return (*_neighbours(leases, LEASE), *_neighbours(kept, IPAM))


def _neighbours(pairs: Iterable[Pair], known_from: str) -> Iterator[Neighbour]:
    for address, mac in pairs:
        if (spelt := usable(address)) and MAC.fullmatch(mac):
            yield Neighbour(spelt, mac.lower(), "", known_from)


def _dnsmasq_files(host: Host) -> list[str]:
    found = []
    for folder, name_of in _DNSMASQ.items():
        try:
            names = host.names(folder)
        except OSError:
            names = []
        found += [f"{folder}/{name}" for name in names if name_of.fullmatch(name)]
    return found[:_MOST_FILES]


def _text(host: Host, path: str) -> str:
    try:
        return host.read(path, _LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def _dnsmasq(text: str, now: float) -> Iterator[Pair]:
    """Lines `EXPIRY MAC ADDRESS NAME CLIENT-ID`; an expiry (epoch s) of 0 is for ever."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 4 and re.fullmatch(r"[0-9]{1,12}", words[0]) and not 0 < int(words[0]) <= now:
            yield words[2], words[1]


def _dhcpd(text: str, now: float) -> list[Pair]:
    """Blocks `lease ADDRESS {...}`, a log (dhcpd.leases(5)): the last block of an address counts."""
    found: dict[str, dict[str, list[str]]] = {}
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.partition(";")[0].split()
        if len(words) == 3 and words[0] == "lease" and words[2] == "{":
            values = found[words[1]] = {}
        elif words == ["}"]:
            values = {}
        elif words:
            values[words[0]] = words[1:]
    return [
        (address, values["hardware"][1])
        for address, values in found.items()
        if values.get("binding") == ["state", "active"]
        and values.get("hardware", [])[:1] == ["ethernet"]
        and len(values["hardware"]) == 2
        and _lasts(values.get("ends", []), now)
    ]


def _lasts(ends: list[str], now: float) -> bool:
    """Whether the time at `ends` is to come: `WEEKDAY YYYY/MM/DD HH:MM:SS` (UTC), `epoch S` or `never`."""
    from datetime import UTC, datetime

    if ends in ([], ["never"]):
        return True
    try:
        if ends[0] == "epoch":
            return float(ends[1]) > now
        moment = datetime.strptime(" ".join(ends[1:3]), "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC)
    except (ValueError, IndexError):
        return False
    return moment.timestamp() > now


def _ipam(text: str) -> Iterator[Pair]:
    """JSON, zones -> ZONE -> subnets -> NETWORK -> ips -> ADDRESS: {mac, hostname, vmid} or {gateway: 1}."""
    try:
        state = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return
    for zone in _values(state, "zones"):
        for subnet in _values(zone, "subnets"):
            ips = subnet.get("ips") if isinstance(subnet, dict) else None
            for address, entry in ips.items() if isinstance(ips, dict) else ():
                mac = entry.get("mac") if isinstance(entry, dict) else None
                if isinstance(mac, str):
                    yield address, mac


def _values(table: object, key: str) -> list[object]:
    inner = table.get(key) if isinstance(table, dict) else None
    return list(inner.values()) if isinstance(inner, dict) else []
