"""How long a shutdown's parts took when they were measured, and which of several measurements counts.

What stands for a real run here is a machine's own clock, in the journal or at the rehearsal: no estimate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

#: Seconds: nothing that is measured here takes longer than a day.
LONGEST = 86400.0


class How(StrEnum):
    """How a time was measured: at the last real forced shutdown, at a rehearsal, at a guest's shutdown."""

    FSD = "fsd"
    REHEARSAL = "rehearsal"
    GUEST = "guest"


class What(StrEnum):
    """The parts of a shutdown that can be measured, in the order in which they come.

    NOTICE: from FSD being set until the last secondary has noticed. CLIENTS: from FSD being set until the
    last client has logged out. FINAL: from the host's SHUTDOWN event until its SHUTDOWNCMD has run. GUESTS:
    from that until the last guest has stopped. GUEST: one guest, from being asked until it has stopped; the
    word is that of `guest`. HOST: from SHUTDOWNCMD until the host's journal ends, its guests included. BOOT:
    from power-on until upsd answers.

    A rehearsal runs on intervals of its own when its time is compressed: then only what does not depend on
    them is worth keeping, and whoever keeps a measurement has to know which that is.
    """

    NOTICE = "notice"
    CLIENTS = "clients"
    FINAL = "final"
    GUESTS = "guests"
    GUEST = "guest"
    HOST = "host"
    BOOT = "boot"


_GUEST = re.compile(r"guest\.[1-9][0-9]{2,8}")
#: A real shutdown says more than one that was played; of a guest alone both are real.
_TRUST: Mapping[How, int] = {How.FSD: 2, How.GUEST: 2, How.REHEARSAL: 1}


@dataclass(frozen=True)
class Measurement:
    """`what`: a word of `What`, or that of `guest`; `seconds`: how long; `at`: when (s since the epoch)."""

    what: str
    seconds: float
    at: float
    how: How


def guest(number: int) -> str:
    """The word for one guest's own shutdown."""
    return f"{What.GUEST}.{number}"


def sound(measurement: Measurement) -> bool:
    """Whether the word is one of ours and the numbers can be those of a shutdown."""
    word = measurement.what
    named = word in set(What) - {What.GUEST} or _GUEST.fullmatch(word) is not None
    numbers = (measurement.seconds, measurement.at)
    return named and all(map(math.isfinite, numbers)) and 0 <= numbers[0] <= LONGEST and numbers[1] >= 0


def best(measurements: Iterable[Measurement], what: str) -> Measurement | None:
    """Of those of one part the one that counts: a real shutdown before a rehearsal, then the newest."""
    ours = [each for each in measurements if each.what == what]
    return max(ours, key=lambda each: (_TRUST[each.how], each.at), default=None)


def newest(measurements: Iterable[Measurement], most: int) -> tuple[Measurement, ...]:
    """The newest of each part and way to measure, `most` in all, the oldest first; what is unsound goes."""
    latest: dict[tuple[str, How], Measurement] = {}
    for each in measurements:
        before = latest.get((each.what, each.how))
        if sound(each) and (before is None or each.at >= before.at):
            latest[each.what, each.how] = each
    return tuple(sorted(latest.values(), key=lambda each: each.at)[-most:])
