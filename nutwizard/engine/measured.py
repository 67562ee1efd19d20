"""Measured times, kept for the budget: of each part the newest, beside what nutwizard keeps anyway.

The file holds names of parts and numbers, nothing else. Two runs that add at the same moment may lose the
measurement of one: it is measured again with the next shutdown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from nutwizard.core import paths
from nutwizard.core.facts import Door, Owner
from nutwizard.core.measured import How, Measurement, newest, sound
from nutwizard.engine.files import PRIVATE, put
from nutwizard.engine.host import Host

#: So many measurements are kept in all, of each part and way to measure the newest.
MOST = 256
_LARGEST = 64 << 10


def read(host: Host) -> tuple[Measurement, ...]:
    """What was measured here, the oldest first; none where nothing can be read.

    What is no measurement in a file that somebody else has written is passed over; a file that is torn has
    none. One from a time that is yet to come is not believed.
    """
    try:
        rows = json.loads(host.read(paths.MEASURED, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return ()
    found = (_measurement(row) for row in (rows if isinstance(rows, list) else ()))
    now = host.now()
    return newest((each for each in found if each is not None and each.at <= now), MOST)


def add(host: Host, measurements: Iterable[Measurement]) -> bool:
    """Keep these, too. False where this machine keeps nothing: another root, no right to write, a full disk.

    A rehearsal with compressed intervals is to add only what does not depend on them: nothing here can tell.
    """
    if host.door is Door.OFFLINE or not host.may_write():
        return False
    kept = newest((*read(host), *measurements), MOST)
    text = json.dumps([asdict(each) for each in kept], indent=1)
    try:
        host.make_folder(paths.STATE, Owner("root", "root", 0o700))
        put(host, paths.MEASURED, (f"{text}\n".encode(), PRIVATE), 0)
    except OSError:
        return False
    return True


def _measurement(row: Any) -> Measurement | None:
    """A row of the file; None for what is none."""
    if not isinstance(row, dict):
        return None
    with suppress(KeyError, TypeError, ValueError, OverflowError):
        one = Measurement(str(row["what"]), float(row["seconds"]), float(row["at"]), How(row["how"]))
        return one if sound(one) else None
    return None
