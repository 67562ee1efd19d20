"""How fast a rehearsal runs: the user's own intervals, or all of them divided by one number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: Seconds that the longest timer, or the wait for a low battery, takes when time is compressed.
_LONGEST, _SHORTEST = 8, 2
#: Until every upsmon has noticed what the UPS says, when it asks every second.
_NOTICED = 4
#: Rounded up: less would make upsmon ask, or give up, sooner than it does. The others: to the nearest.
_UP = frozenset({"POLLFREQ", "POLLFREQALERT", "DEADTIME"})
#: Rounded down: a wait that is too short stays too short.
_DOWN = frozenset({"HOSTSYNC"})
#: These are in a play in seconds as they are.
SCALED = (*sorted(_UP), *sorted(_DOWN), "FINALDELAY")


@dataclass(frozen=True)
class Pace:
    """`factor`: by how much upsmon's times are divided, 1 in real time. `timers`: seconds of upssched's
    timers and of the wait for a low battery -> seconds in the play, in the same order.
    """

    factor: int = 1
    timers: Mapping[int, int] = field(default_factory=dict)

    @property
    def real(self) -> bool:
        return self.factor == 1 and all(own == played for own, played in self.timers.items())

    def seconds(self, name: str, value: int) -> int:
        """One of SCALED as it is played."""
        if self.factor == 1 or value <= 0:
            return value
        if name in _UP:
            return math.ceil(value / self.factor)
        if name in _DOWN:
            return value // self.factor
        return max(1, round(value / self.factor))

    def timer(self, value: int) -> int:
        """The seconds of a timer, or of the wait for a low battery, as they are played."""
        return self.timers.get(value, value)


def compressed(polls: Iterable[int], timers: Iterable[int], outlasts: int = 0) -> Pace:
    """The fastest pace for these poll intervals of upsmon and these timers, all in seconds.

    The shortest interval becomes one second: NUT knows no shorter one. `outlasts`: a timer of more seconds
    than that still runs after them, and after upsmon has noticed.
    """
    found = sorted({value for value in timers if value > 0})
    longest = max(found, default=1)
    played: dict[int, int] = {}
    least = _SHORTEST
    for value in found:
        least = max(least, outlasts + _NOTICED) if 0 < outlasts < value else least
        seconds = max(least, round(value / longest * _LONGEST)) if longest > _LONGEST else max(least, value)
        played[value] = seconds
        least = seconds + 1
    return Pace(max(1, min(polls, default=1)), played)
