"""Which addresses a host knows on its bridges: from the kernel's neighbour table, and from the DHCP servers
that run on it. Nothing is sent to find them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from nutwizard.core.guests import NEIGHBOURS, Neighbour, usable
from nutwizard.engine.host import Host
from nutwizard.engine.leases import MAC, read_leases

#: More are no suggestions to a person any more.
MOST = 1000
_IP = ("/usr/sbin/ip", "/sbin/ip")
#: Seconds; it takes 3 ms.
_LIMIT = 3.0
#: By how sure an entry is: REACHABLE was confirmed within seconds, the next two are about to be, STALE was
#: true once. Every other state says nothing (FAILED, INCOMPLETE) or is a setting (PERMANENT, NOARP).
_RANKS = {"REACHABLE": 0, "DELAY": 1, "PROBE": 1, "STALE": 2}
_NEVER = 1 << 31


def read_neighbours(host: Host) -> tuple[Neighbour, ...]:
    """Every address once, the best known first: the neighbour table, then leases, then reservations.

    Of entries of the table that were not confirmed lately those come first that a lease says too.
    """
    given = read_leases(host)
    pairs = {(each.address, each.mac) for each in given}
    rows = sorted(_table(host), key=lambda row: (row[0], (row[2].address, row[2].mac) not in pairs, row[1]))
    found: dict[str, Neighbour] = {}
    for each in (*(neighbour for _, _, neighbour in rows), *given):
        found.setdefault(each.address, each)
    return tuple(found.values())[:MOST]


def _table(host: Host) -> Iterator[tuple[int, int, Neighbour]]:
    """Entries at bridges: rank, seconds since it was confirmed, and who it is."""
    bridges: dict[str, bool] = {}
    for row in _rows(host):
        state, name, mac = row.get("state"), row.get("dev"), row.get("lladdr")
        rank = _RANKS.get(str(state[0])) if isinstance(state, list) and len(state) == 1 else None
        address = usable(row.get("dst"))
        if rank is None or not address or not isinstance(mac, str) or not MAC.fullmatch(mac):
            continue
        if not isinstance(name, str) or not re.fullmatch(r"[^/\s]{1,15}", name):
            continue
        if name not in bridges:
            bridges[name] = _at_bridge(host, name)
        if bridges[name]:
            age = row.get("confirmed")
            seen = age if isinstance(age, int) else _NEVER
            yield rank, seen, Neighbour(address, mac.lower(), name, NEIGHBOURS)


def _rows(host: Host) -> list[dict[str, Any]]:
    """What `ip` prints; nothing where it cannot be asked. `-s` adds when an entry was confirmed."""
    try:
        program = next((path for path in _IP if host.stat(path) is not None), "")
    except OSError:
        program = ""
    answer = host.run([program, "-j", "-s", "neigh", "show"], timeout=_LIMIT) if program else None
    if answer is None or answer.code != 0:
        return []
    try:
        rows = json.loads(answer.out)
    except (ValueError, RecursionError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _at_bridge(host: Host, interface: str) -> bool:
    """Whether an interface is a bridge or a VLAN of one; those of Open vSwitch go by their name."""
    name = interface.partition(".")[0]
    if re.fullmatch(r"vmbr[0-9]{1,4}", name):
        return True
    try:
        return host.stat(f"/sys/class/net/{name}/bridge") is not None
    except OSError:
        return False
