"""What an examination found, as lines: the chain, the links, what the rules say, the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nutwizard.core.links import Finding, State
from nutwizard.core.rules.rule import Severity, Trouble
from nutwizard.engine.doctor import Examination
from nutwizard.wording.chain import chain_lines
from nutwizard.wording.layout import Line, Tone, lines_of, paint
from nutwizard.wording.logs import log_text
from nutwizard.wording.show import counted, finding_lines, ordered

_INDENT = " " * 10
#: Of the values of a UPS, those that are shown beside the links; upsc shows all of them.
_VALUES = 6


def examination_lines(found: Examination, *, brief: bool = True) -> list[Line]:
    """The chain, every link, what the rules say: what needs the person first.

    `brief`: one line for each link that holds, however long it is.
    """
    links = link_lines(found.findings) if brief else finding_lines(found.findings, 0)
    out = [*chain_lines(found.findings), Line(), *links]
    if left := told_apart(found):
        out += [Line(), Line("Also found:", Tone.TITLE), *trouble_lines(left)]
    return [*out, Line(), Line(summary(found), Tone.TITLE)]


def examination_text(found: Examination) -> str:
    """Everything, for `check`."""
    out = examination_lines(found)
    log = f"\n{log_text(found.log)}" if found.log is not None else ""
    return paint(lines_of([*out, *unseen_lines(found)]), False) + log


def quiet_text(found: Examination) -> str:
    """What a person has to hear of, "" when there is nothing: for cron and monitoring."""
    findings = [each for each in found.findings if each.state in (State.BROKEN, State.WAITING)]
    troubles = [each for each in told_apart(found) if each.severity is not Severity.NOTE]
    return paint(lines_of([*link_lines(findings), *trouble_lines(troubles)]), False)


def link_lines(findings: Iterable[Finding]) -> list[Line]:
    """One line for each link that holds; what does not hold with its cause and what to do next."""
    out: list[Line] = []
    for finding in ordered(findings):
        if finding.state in (State.PROVEN, State.NOT_APPLICABLE) and not finding.values:
            state = "none" if finding.state is State.NOT_APPLICABLE else finding.state.value
            out.append(Line(f"{state:<9} {finding.link.subject}: {' '.join(finding.evidence.split())}"))
        else:
            out += finding_lines((finding,), _VALUES)
    return out


def told_apart(found: Examination) -> tuple[Trouble, ...]:
    """The troubles that no broken link tells already."""
    told = {line for finding in found.findings for line in finding.evidence.splitlines()}
    broken = {finding.link.id for finding in found.findings if finding.state is State.BROKEN}
    return tuple(
        each
        for each in found.troubles
        if each.said not in told and not (each.echoes and each.rule.link in broken)
    )


def trouble_lines(troubles: Sequence[Trouble]) -> list[Line]:
    """Each trouble with its rule, its place, why it matters and what to do."""
    out = []
    for trouble in troubles:
        out.append(Line(f"{trouble.severity.value:<9} {trouble.said}"))
        out.append(Line(f"{_INDENT}cause: {trouble.rule.cause}"))
        out.append(Line(f"{_INDENT}mend: {trouble.fix}"))
    return out


def unseen_lines(found: Examination) -> list[Line]:
    """What this user may not read, in one line."""
    if not found.unseen:
        return []
    return [Line(f"Not seen, since only root may read it: {', '.join(found.unseen)}")]


def summary(found: Examination) -> str:
    """In one line, such as "1 broken, 12 proven; 2 warnings"."""
    counts = [
        (severity, sum(each.severity is severity for each in told_apart(found))) for severity in Severity
    ]
    words = [
        f"{n} {severity.value}{'s' * (n != 1)}" for severity, n in counts if n and severity != Severity.BROKEN
    ]
    return "; ".join(filter(None, (counted(found.findings), ", ".join(words))))
