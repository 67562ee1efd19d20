"""What was logged lately, as text."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from nutwizard.core.logtexts import WINDOW
from nutwizard.wording.layout import Line, lines_of, paint

if TYPE_CHECKING:
    from nutwizard.core.logtexts import Row
    from nutwizard.engine.logs import Log

_INDENT = "  "


def log_text(log: Log) -> str:
    """The rows with their times in the machine's own zone, oldest first, and what they do not show."""
    if not log.source:
        return paint(lines_of([Line(f"Log: {log.why.rstrip('.') or 'there is none to read here'}.")]), False)
    until = datetime.fromtimestamp(log.end, log.zone).strftime("%Y-%m-%d %H:%M:%S")
    out = [Line(f"Log: {log.source}, the {WINDOW // 60} minutes up to {until}")]
    if log.left_out:
        out.append(Line(f"{_INDENT}... {log.left_out} older rows"))
    out += [Line(f"{_INDENT}{_row(row, log)}") for row in log.rows]
    if not log.rows:
        out.append(Line(f"{_INDENT}nothing about the connection"))
    out += [Line(f"{_INDENT}{text}") for text in log.remarks]
    return paint(lines_of(out), False)


def _row(row: Row, log: Log) -> str:
    first, last = (datetime.fromtimestamp(at, log.zone).strftime("%H:%M:%S") for at in (row.first, row.last))
    when = last if row.count == 1 else f"{first} to {last}"
    often = "" if row.count == 1 else f"{row.count} times: "
    return f"{when}  {often}{row.text}"
