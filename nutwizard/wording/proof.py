"""The proof to keep: one line for `status`, and a page with what was proven, when, on which versions."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from html import escape

from nutwizard.core.facts import PRACTICE, Role
from nutwizard.core.links import Finding, State
from nutwizard.core.rules.rule import Trouble
from nutwizard.core.shown import safe_text
from nutwizard.engine.doctor import Examination
from nutwizard.engine.lastproof import LastProof
from nutwizard.wording.chain import MARKS, chain_states
from nutwizard.wording.checked import summary, told_apart
from nutwizard.wording.show import age, ordered

_COLORS = {
    State.PROVEN: "#1a7f37",
    State.BROKEN: "#c1121f",
    State.WAITING: "#9a6700",
    State.UNKNOWN: "#57606a",
    State.NOT_APPLICABLE: "#57606a",
}
#: Pixels of the picture: a box, the gap between two, boxes in a row.
_BOX, _HIGH, _GAP, _ROW = 96, 52, 22, 6
_STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem;
       color: #1f2328; background: #fff; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
td, th { border-bottom: 1px solid #d0d7de; padding: .4rem .6rem; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
.state { font-weight: 600; white-space: nowrap; }
.small { color: #57606a; font-size: .9rem; }
.practice { background: #fff8c5; border: 1px solid #d4a72c; padding: .5rem .8rem; font-weight: 600; }
"""


def status_line(proof: LastProof | None, why: str, now: float, *, practice: bool = False) -> str:
    """Protected or not, and since when that is proven. `why`: why the last check says nothing of now."""
    start = f"{PRACTICE}; of the practice machine: " if practice else "nutwizard: "
    if proof is None:
        return f"{start}not known: nothing was checked yet. Run: nutwizard check"
    when = f"{_moment(proof.at)} ({age(now - proof.at)})"
    if proof.broken:
        some = ", ".join(" ".join(each.split()) for each in proof.broken[:3]) + (
            ", ..." if len(proof.broken) > 3 else ""
        )
        return safe_text(f"{start}NOT protected: {some} broken at the check of {when}. Run: nutwizard check")
    if why:
        return safe_text(f"{start}not known: {why} ({when}). Run: nutwizard check")
    counts = ", ".join(f"{count} {state}" for state, count in proof.counts.items())
    return f"{start}protected: {counts} at the check of {when}; nothing broken since {_moment(proof.since)}"


def proof_html(role: Role, found: Examination, now: float, *, version: str, practice: bool) -> str:
    """A page that needs nothing beside itself. `version`: that of nutwizard."""
    facts = found.facts
    what = [
        ("machine", f"{facts.hostname or '?'}, {facts.kind.words}, as a {role.value}"),
        ("checked", time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))),
        ("system", " ".join(filter(None, (facts.system, facts.pve and f"Proxmox VE {facts.pve}")))),
        ("NUT", facts.nut.text),
        ("nutwizard", version),
    ]
    verdict = (
        "Nothing is broken." if not found.broken else "Something is broken: this set-up does not protect."
    )
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Proof of protection: {_safe(facts.hostname)}</title><style>{_STYLE}</style></head><body>",
        f'<p class="practice">{PRACTICE}</p>' if practice else "",
        "<h1>Proof of protection</h1>",
        f"<p><strong>{verdict}</strong> {_safe(summary(found))}</p>",
        chain_svg(found.findings),
        _rows(what),
        "<h2>Links</h2>",
        _links(ordered(found.findings)),
        _troubles(told_apart(found)),
        '<p class="small">Proven means: asked or tried at that moment. A check never shuts anything down;'
        " that the shutdown itself ends well is shown by a rehearsal.</p>",
        "</body></html>",
    ]
    return "\n".join(filter(None, parts)) + "\n"


def chain_svg(findings: Iterable[Finding]) -> str:
    """The chain as a picture: a box for each link with its state in words, in rows of six."""
    states = list(chain_states(findings).items())
    rows = -(-len(states) // _ROW)
    width, height = _ROW * (_BOX + _GAP), max(1, rows) * (_HIGH + _GAP)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        ' aria-label="the chain of protection" style="width:100%;font:600 14px system-ui,sans-serif">'
    ]
    for n, (id, state) in enumerate(states):
        left, top = n % _ROW * (_BOX + _GAP) + _GAP // 2, n // _ROW * (_HIGH + _GAP) + _GAP // 2
        color = _COLORS[state]
        if n + 1 < len(states) and n % _ROW < _ROW - 1:
            dash = "" if state in (State.PROVEN, State.NOT_APPLICABLE) else ' stroke-dasharray="3 5"'
            at = top + _HIGH // 2
            out.append(
                f'<line x1="{left + _BOX}" y1="{at}" x2="{left + _BOX + _GAP}" y2="{at}"'
                f' stroke="{color}" stroke-width="3"{dash}/>'
            )
        out.append(
            f'<rect x="{left}" y="{top}" width="{_BOX}" height="{_HIGH}" rx="8" fill="#fff" stroke="{color}"'
            ' stroke-width="2"/>'
        )
        middle = left + _BOX // 2
        for text, down, fill in ((id.value, 22, "#1f2328"), (MARKS[state], 41, color)):
            out.append(
                f'<text x="{middle}" y="{top + down}" text-anchor="middle" fill="{fill}">{text}</text>'
            )
    return "\n".join([*out, "</svg>"])


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    cells = (f"<tr><th>{_safe(name)}</th><td>{_safe(value)}</td></tr>" for name, value in rows if value)
    return f"<table>{''.join(cells)}</table>"


def _links(findings: Iterable[Finding]) -> str:
    rows = []
    for each in findings:
        said = "<br>".join(
            _safe(line) for text in (each.evidence, each.cause, each.fix) for line in text.splitlines()
        )
        state = f'<td class="state" style="color:{_COLORS[each.state]}">{each.state.value}</td>'
        rows.append(f"<tr>{state}<td>{_safe(each.link.subject)}</td><td>{said}</td></tr>")
    return f"<table><tr><th>state</th><th>link</th><th>what was seen</th></tr>{''.join(rows)}</table>"


def _troubles(troubles: Sequence[Trouble]) -> str:
    if not troubles:
        return ""
    rows = (
        f'<tr><td class="state">{each.severity.value}</td>'
        f"<td>{_safe(each.said)}</td><td>{_safe(each.fix)}</td></tr>"
        for each in troubles
    )
    return f"<h2>Also found</h2><table>{''.join(rows)}</table>"


def _safe(text: str) -> str:
    return escape(safe_text(text))


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
