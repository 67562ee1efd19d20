"""How long a Proxmox VE host takes to stop its guests when it shuts down.

As Proxmox VE's guide documents it (qm.adoc and pct.adoc, "Automatic Start and Shutdown"): guests of one
place in the order are stopped side by side, the places one after the other, the last one first; guests
without a place stand behind all others, so they are the first to be stopped. A VM gets 180 s where its
`startup` line has no `down`, and is then stopped by force; a container gets 60 s. Guests of the HA stack do
not follow the order. Assumed, since no document says so: the HA guests take their time in addition, and as
many guests are stopped side by side as `max_workers` of datacenter.cfg says, or as the host has CPUs.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from nutwizard.core.facts import Kind
from nutwizard.core.guests import Guest
from nutwizard.core.measured import Measurement, best, guest

#: Seconds that Proxmox VE waits for a guest without a time-out of its own (qm.conf(5), pct.conf(5)).
PATIENCE: Mapping[Kind, int] = {Kind.VM: 180, Kind.CONTAINER: 60}


@dataclass(frozen=True)
class Stopping:
    """A group of guests that are stopped together: `order` None: without a place; `ha`: HA's guests.

    `end`: seconds from the host's SHUTDOWNCMD until the last of them is off.
    """

    guests: tuple[Guest, ...]
    order: int | None
    ha: bool
    end: float


def patience(each: Guest) -> int:
    """Seconds that Proxmox VE waits for this guest."""
    return PATIENCE.get(each.kind, 0) if each.down is None else each.down


def groups_of(
    guests: Iterable[Guest], ha: Collection[int] = ()
) -> list[tuple[int | None, bool, list[Guest]]]:
    """(place, whether HA's, guests) in the order in which they are stopped, the highest number first."""
    found: dict[tuple[bool, float], list[Guest]] = {}
    for each in guests:
        managed = each.id in ha
        place = float("inf") if managed or each.order is None else float(each.order)
        found.setdefault((managed, place), []).append(each)
    return [
        (None if key[1] == float("inf") else int(key[1]), key[0], sorted(found[key], key=lambda one: -one.id))
        for key in sorted(found, reverse=True)
    ]


def stopping(
    guests: Iterable[Guest],
    ha: Collection[int],
    workers: int | None,
    measured: Collection[Measurement] = (),
    ahead: Mapping[int, float] | None = None,
) -> tuple[Stopping, ...]:
    """Every group with the second at which it is off. A guest takes as long as was measured, else its limit.

    `workers`: so many side by side, None for all of a group. `ahead`: by their number the guests that are
    clients of NUT, and so many seconds before the host's SHUTDOWNCMD they began to stop by themselves: that
    time is not counted twice.
    """
    at, out = 0.0, []
    for order, managed, group in groups_of(guests, ha):
        free = [at] * min(len(group), max(1, workers or len(group)))
        for each in group:
            begin = heapq.heappop(free)
            heapq.heappush(free, _end(each, begin, measured, ahead or {}))
        at = max(free)
        out.append(Stopping(tuple(group), order, managed, at))
    return tuple(out)


def _end(each: Guest, begin: float, measured: Collection[Measurement], ahead: Mapping[int, float]) -> float:
    """When a guest is off that Proxmox VE asks to stop at `begin`."""
    found = best(measured, guest(each.id))
    if found is None:
        return begin + patience(each)
    if each.id in ahead:
        return max(begin, found.seconds - ahead[each.id])
    return begin + found.seconds
