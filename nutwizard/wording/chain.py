"""The chain of protection as a picture for a terminal: from the UPS to the load that is off, link by link."""

from __future__ import annotations

from collections.abc import Iterable

from nutwizard.core.links import Finding, LinkId, State
from nutwizard.wording.layout import Line, Tone

#: What stands below a link: a word where it counts, so that no colour is needed.
MARKS = {
    State.PROVEN: "ok",
    State.BROKEN: "BROKEN",
    State.WAITING: "waits",
    State.UNKNOWN: "?",
    State.NOT_APPLICABLE: "-",
}
#: The same in two columns.
SIGNS = {
    State.PROVEN: "ok",
    State.BROKEN: "!!",
    State.WAITING: "..",
    State.UNKNOWN: "??",
    State.NOT_APPLICABLE: "--",
}
#: The worst first: what one state of a link says when it is about several things.
_WORST = (State.BROKEN, State.WAITING, State.UNKNOWN, State.PROVEN, State.NOT_APPLICABLE)
_JOIN = "---"


def chain_states(findings: Iterable[Finding]) -> dict[LinkId, State]:
    """The links that were looked at, in the order of the chain, each with its worst state.

    What is awaited of another machine counts where nothing else is known of the link.
    """
    found: dict[LinkId, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.link.id, []).append(finding)
    out = {}
    for id in LinkId:
        own = [each for each in found.get(id, ()) if not each.link.awaited] or found.get(id, [])
        if own:
            out[id] = min((each.state for each in own), key=_WORST.index)
    return out


def chain_lines(findings: Iterable[Finding], width: int = 78) -> list[Line]:
    """The links in boxes, joined where the chain holds, a word below each; several rows if it is long."""
    rows: list[list[tuple[str, str, bool]]] = [[]]
    room = width
    for id, state in chain_states(findings).items():
        word, mark = id.value, MARKS[state]
        size = max(len(word) + 2, len(mark)) + len(_JOIN)
        if size > room and rows[-1]:
            rows.append([])
            room = width
        rows[-1].append((word, mark, state in (State.PROVEN, State.NOT_APPLICABLE)))
        room -= size
    out: list[Line] = []
    for n, row in enumerate(rows):
        out += _row(row, last=n == len(rows) - 1) if row else []
    return out


def chain_strip(findings: Iterable[Finding], asked: Iterable[LinkId] = ()) -> list[Line]:
    """The same in two rows of 80 columns: the links joined where the chain holds, a sign below each.

    `asked`: links that are still being asked; they have no sign yet.
    """
    top, below = "", ""
    known, open_ones = chain_states(findings), set(asked)
    ids = [id for id in LinkId if id in known or id in open_ones]
    for n, id in enumerate(ids):
        state = known.get(id)
        holds = state in (State.PROVEN, State.NOT_APPLICABLE)
        join = "" if n == len(ids) - 1 else "-" if holds else " "
        top += f"{id.value}{join}"
        below += (SIGNS[state] if state else "").center(len(id.value)) + " " * len(join)
    return [Line(top, Tone.PLAIN), Line(below.rstrip(), Tone.PLAIN)]


def _row(row: list[tuple[str, str, bool]], *, last: bool) -> list[Line]:
    top, below = "", ""
    for n, (word, mark, holds) in enumerate(row):
        box = f"[{word}]".center(max(len(word) + 2, len(mark)))
        end = last and n == len(row) - 1
        top += box + ("" if end else _JOIN if holds else "   ")
        below += mark.center(len(box)) + ("" if end else "   ")
    return [Line(top.rstrip(), Tone.PLAIN), Line(below.rstrip(), Tone.PLAIN)]
