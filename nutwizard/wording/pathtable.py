"""The list of paths as text: grouped, two lines or three a path, what needs a look at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from nutwizard.core.shown import safe_text
from nutwizard.engine.listing.listed import PathList
from nutwizard.engine.listing.rows import Group, PathRow
from nutwizard.wording.layout import WIDEST, Line, Tone, cells, fitted, paint
from nutwizard.wording.show import age

_TITLES = {
    Group.CONFIG: "NUT's configuration",
    Group.PROGRAMS: "Programs and scripts",
    Group.RUN: "While NUT runs",
    Group.SHUTDOWN: "Shutdown",
    Group.UNITS: "systemd's units",
    Group.FIREWALL: "Proxmox VE's firewall",
    Group.OWN: "nutwizard's own",
    Group.LOG: "The log",
}
_INDENT = " " * 6


def table_text(found: PathList, now: float) -> str:
    """The list within 80 columns. `now`: seconds since the epoch, for the age of copies."""
    lines = [part for line in table_lines(found, now) for part in fitted(line, WIDEST)]
    return paint(lines, False)


def table_lines(found: PathList, now: float) -> list[Line]:
    """The list, the commands that show the log, what could not be seen, and what needs a look."""
    out: list[Line] = []
    for group, rows in groupby(found.rows, lambda row: row.group):
        out += [Line(_TITLES[group], Tone.TITLE), *(line for row in rows for line in _row(row, now)), Line()]
    if found.logs:
        out.append(Line("What shows the log", Tone.TITLE))
        for log in found.logs:
            out += [Line(f"  {_one(log.what)}"), Line(f"{_INDENT}{_one(log.command)}", Tone.PLAIN)]
        out.append(Line())
    if found.unseen:
        out += [Line("Not seen by this user", Tone.TITLE), *_list(found.unseen), Line()]
    trouble = [f"{path}: {text}" for path, text in found.trouble]
    if not trouble:
        far = "As far as this user may see, nothing" if found.unseen else "Nothing"
        return [*out, Line(f"{far} is missing that should be there, and no owner or mode is wrong.")]
    return [*out, Line(f"To look at: {len(trouble)}", Tone.TITLE), *_list(trouble)]


def _row(row: PathRow, now: float) -> Iterator[Line]:
    path = _one(row.path)
    owner = _one(row.owner_text)
    gap = WIDEST - 2 - 2 - cells(path) - cells(owner)
    if gap >= 2:
        yield Line(f"  {path}{' ' * gap}{owner}", Tone.PLAIN)
    else:
        yield Line(f"  {path}", Tone.PLAIN)
        yield Line(f"{_INDENT}{owner}")
    kind = "" if row.kind in ("file", "unit", "log") else f"{row.kind}: "
    yield Line(f"{_INDENT}{kind}{_one(row.purpose)}")
    if row.there == "missing":
        told = f"no harm: {_one(row.absent)}" if row.absent else "MISSING: it should be there"
        yield Line(f"{_INDENT}{told}")
    # With a merged /usr, /lib is /usr/lib: that is no news to anyone.
    if row.leads_to and row.leads_to != f"/usr{row.path}":
        yield Line(f"{_INDENT}leads to {_one(row.leads_to)}")
    if row.backups:
        beside = (f"{_one(b.path.rpartition('/')[2])} ({age(now - b.changed)})" for b in row.backups)
        yield Line(f"{_INDENT}copies beside it: {', '.join(beside)}")
    for text in (row.note, *(f"WRONG: {text}" for text in row.wrong)):
        if text:
            yield Line(f"{_INDENT}{_one(text)}")


def _list(texts: Iterable[str]) -> list[Line]:
    return [Line(f"  - {_one(text)}") for text in texts]


def _one(text: str) -> str:
    """Safe, on one line: a file's name may hold a newline."""
    return safe_text(text).replace("\n", "\\n")
