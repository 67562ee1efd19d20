"""Plans, findings and history as text, for the dialogue and for the commands that never ask."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TextIO

from nutwizard.core import shown
from nutwizard.core.links import Finding, State
from nutwizard.core.plan import NOTHING, FileChange, Plan
from nutwizard.wording.layout import Line, Tone, lines_of, paint

#: What needs the person first.
_ORDER = (State.BROKEN, State.WAITING, State.UNKNOWN, State.PROVEN, State.NOT_APPLICABLE)
_TONES = {"+": Tone.ADDED, "-": Tone.REMOVED}
_INDENT = " " * 10
#: Seconds, and the word for them.
_SPANS = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))


class Record(Protocol):
    """One transaction of the history. `started`: seconds since the epoch; `size`: bytes that it keeps."""

    @property
    def id(self) -> int: ...
    @property
    def started(self) -> float: ...
    @property
    def state(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def paths(self) -> Sequence[str]: ...
    @property
    def size(self) -> int: ...
    @property
    def forgotten(self) -> bool: ...


def wants_color(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Colour only on a terminal that shows it, and only where NO_COLOR is unset or empty (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"


def plan_text(plan: Plan, *, color: bool) -> str:
    """The whole plan with its diff, secrets masked."""
    return paint(lines_of(plan_lines(plan)), color)


def plan_lines(plan: Plan) -> list[Line]:
    """The whole plan: files with their diffs, copies, acts, notes."""
    if plan.empty:
        return [Line(NOTHING), *_notes(plan)]
    copies = [Line(copy_text(change)) for change in plan.files if change.copy_of]
    blocks = [copies, *(change_lines(change) for change in plan.files if not change.copy_of)]
    lines = [line for block in blocks if block for line in (*block, Line())]
    return [*lines[:-1], *_acts(plan), *_notes(plan)]


def summary_lines(plan: Plan) -> list[Line]:
    """The plan without its diff: one line a file, what happens to owners, units and notes."""
    files = [change for change in plan.files if not change.copy_of]
    width = max((len(change.path) for change in files), default=0)
    out = [
        Line(f"  {change.path:<{width}}  {size_of(change):<9}  {', '.join(change.steps)}".rstrip())
        for change in files
    ]
    out += [Line(f"  {change.path}: {owner}") for change in files if (owner := _owner(change))]
    copies = [Line(f"  {copy_text(change)}") for change in plan.files if change.copy_of]
    return [*out, *copies, *_acts(plan), *_notes(plan)]


def change_lines(change: FileChange, *, brief: bool = False) -> list[Line]:
    """One file: what happens to it and why, its owner and mode where they change, its masked diff.

    `brief`: without the lines that stay, and a new file without its lines.
    """
    if change.copy_of:
        return [Line(copy_text(change))]
    steps = f"  {', '.join(change.steps)}" if change.steps else ""
    out = [Line(f"{change.path}  {size_of(change)}{steps}")]
    if change.actual != change.path:
        out.append(Line(f"    actually {change.actual}: the link stays, what it leads to changes"))
    out += [Line(f"    {why}") for why in change.why]
    if owner := _owner(change):
        out.append(Line(f"    {owner}"))
    if brief:
        known = change.before is not None and change.after is not None
        return out + [line for line in _diff(change) if known and line.tone in _TONES.values()]
    return [*out, *_diff(change)]


def copy_text(change: FileChange) -> str:
    """The line about a copy that keeps a file as it was before the first change, or that an undo removes."""
    if change.after is None:
        return f"{change.path}  removed: {change.copy_of} is put back"
    return f"{change.path}  keeps {change.copy_of} as it is now"


def size_of(change: FileChange) -> str:
    """How much of a file changes: "new", "removed", "2 lines", "owner". A replaced line counts once."""
    if change.before is None and change.after is not None:
        return "new"
    if change.after is None:
        return "removed"
    tones = [line.tone for line in _diff(change)]
    count = max(tones.count(Tone.ADDED), tones.count(Tone.REMOVED))
    return f"{count} line{'s' * (count != 1)}" if count else "owner"


def findings_text(findings: Iterable[Finding]) -> str:
    """The findings, broken ones first, each with evidence, cause and mend, and the values that were read."""
    return paint(lines_of(finding_lines(findings)), False)


def finding_lines(findings: Iterable[Finding], most: int | None = None) -> list[Line]:
    """The findings as `findings_text` has them, with at most so many of the values that were read."""
    return [line for finding in ordered(findings) for line in _finding(finding, most)]


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, what needs the person first."""
    return sorted(findings, key=lambda finding: _ORDER.index(finding.state))


def counted(findings: Iterable[Finding]) -> str:
    """How many links are in which state, such as "1 broken, 5 proven"."""
    states = [finding.state for finding in findings]
    return ", ".join(f"{states.count(state)} {state}" for state in _ORDER if state in states)


def history_text(records: Iterable[Record], now: float | None = None) -> str:
    """The transactions, one line each with the files below it. `now`: seconds since the epoch."""
    now = time.time() if now is None else now
    out: list[Line] = []
    for record in records:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.started))
        state = f"{record.state}, forgotten" if record.forgotten else record.state
        words = (f"{record.id:>4}", began, f"{age(now - record.started):<14}", f"{state:<11}")
        out.append(Line("  ".join([*words, f"{_bytes(record.size):>9}", record.command])))
        out += [Line(f"      {path}") for path in record.paths]
    return paint(lines_of(out or [Line("No transaction yet: nutwizard has changed nothing here.")]), False)


def age(seconds: float) -> str:
    """How long ago, as a person says it; "in the future" where the clock was set back since."""
    if seconds < -60:
        return "in the future"
    for size, word in _SPANS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' * (count != 1)} ago"
    return "just now"


def _bytes(size: int) -> str:
    return f"{size} bytes" if size < 1024 else f"{-(-size // 1024)} KiB"


def _finding(finding: Finding, most: int | None = None) -> list[Line]:
    out = [Line(f"{finding.state.value:<9} {finding.link.subject}")]
    for word, text in (("", finding.evidence), ("cause: ", finding.cause), ("mend: ", finding.fix)):
        out += [Line(f"{_INDENT}{word * (n == 0)}{part}") for n, part in enumerate(text.splitlines())]
    out += [Line(f"{_INDENT}{name}: {value}") for name, value in list(finding.values.items())[:most]]
    left = 0 if most is None else len(finding.values) - most
    return [*out, Line(f"{_INDENT}... {left} more values")] if left > 0 else out


def _diff(change: FileChange) -> list[Line]:
    """The masked diff; `...` stands for what is left out between two places."""
    out: list[Line] = []
    for line in shown.diff_of(change):
        if line.kind != "@":
            out.append(Line(f"  {line.kind} {line.text}".rstrip(), _TONES.get(line.kind, Tone.PLAIN)))
        elif not line.text.startswith("@@"):
            out.append(Line(f"    {line.text}", Tone.PLAIN))
        elif out:
            out.append(Line("    ...", Tone.PLAIN))
    return out


def _owner(change: FileChange) -> str:
    if change.owner_before is None or change.owner_after is None or change.owner_before == change.owner_after:
        return ""
    return f"{change.owner_before} -> {change.owner_after}"


def _acts(plan: Plan) -> list[Line]:
    if not plan.acts:
        return []
    return [Line(), Line("Then:"), *(Line(f"  {act}: {act.why}") for act in plan.acts)]


def _notes(plan: Plan) -> list[Line]:
    return [Line(), *(Line(f"Note: {note}") for note in plan.notes)] if plan.notes else []
