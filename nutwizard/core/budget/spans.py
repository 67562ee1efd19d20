"""Time spans as systemd writes them (systemd.time(7)), and the settings of a unit that hold one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_UNITS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("ms", "msec"), 0.001),
    **dict.fromkeys(("us", "usec"), 0.000001),
}
_PART = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]*)\s*")


def span(text: str) -> float | None:
    """Seconds; infinity for "infinity" and for 0, which is the same for a time-out; None for what is none."""
    text = text.strip()
    if text == "infinity":
        return math.inf
    at, total = 0, 0.0
    while at < len(text):  # every turn takes a part
        part = _PART.match(text, at)
        if part is None or part[2] not in _UNITS:
            return None
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    return (total or math.inf) if text else None


def setting(texts: Iterable[str], section: str, names: Iterable[str]) -> str:
    """What the last of these files says for one of these names in a section; "" where none does.

    An empty value takes the ones before it back.
    """
    found, wanted = "", set(names)
    for text in texts:
        where = ""
        for line in map(str.strip, text.splitlines()):
            if line.startswith("[") and line.endswith("]"):
                where = line[1:-1]
            key, sign, value = line.partition("=")
            if sign and where == section and key.strip() in wanted:
                found = value.strip()
    return found
