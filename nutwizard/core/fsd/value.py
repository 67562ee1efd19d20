"""A report for JSON."""

from __future__ import annotations

from typing import Any

from nutwizard.core.fsd.report import Report
from nutwizard.core.fsd.seen import Seen, seen_value
from nutwizard.formats.safe import safe_text


def report_value(made: Report, seen: Seen) -> dict[str, Any]:
    """`outcome`, `id`, `at`, `begin`, `role`, `host`, `systems`, `nut`, `rows`, `points`, `durations`,
    `acknowledged`, `seen`: what this machine's log tells, which is all that another machine reads of it.

    Times are seconds since the epoch, in rows seconds from `begin`.
    """
    record = made.record
    rows = [
        {
            "who": safe_text(row.who),
            "what": row.text,
            "at": None if row.at is None else round(row.at, 3) + 0,  # + 0: no -0.0
            "expected": [row.expected.first, row.expected.last],
            "fit": row.fit.value,
        }
        for row in made.rows
    ]
    return {
        "outcome": made.outcome.value,
        "id": record.id or None,
        "at": record.at,
        "begin": made.begin,
        "role": record.role.value,
        "host": safe_text(record.host),
        "systems": [safe_text(each) for each in record.systems],
        "nut": safe_text(record.nut),
        "rows": rows,
        "points": [{"text": safe_text(p.text), "good": p.good, "fix": p.fix or None} for p in made.points],
        "durations": {what: round(seconds, 3) for what, seconds in made.durations.items()},
        "acknowledged": [safe_text(each) for each in record.acknowledged],
        "seen": seen_value(seen),
    }
