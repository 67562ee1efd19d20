"""The rows of the check: a link each, and what was found of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from nutwizard.core.links import Finding, Link, State
from nutwizard.wording import show

_ASKING = "..."


@dataclass
class Row:
    """A link and what was found of it so far."""

    link: Link
    finding: Finding | None = None

    @property
    def text(self) -> str:
        state = self.finding.state if self.finding else _ASKING
        subject = self.finding.link.subject if self.finding else self.link.subject
        said = self.finding.cause or self.finding.evidence if self.finding else ""
        return f"{state:<9} {subject}" + (f": {said}" if said else "")


@dataclass
class Rows:
    """The links in their order; once all are asked, what is broken comes first."""

    rows: list[Row] = field(default_factory=list)

    def put(self, finding: Finding) -> None:
        """A finding, at its link; one link may give several."""
        for row in self.rows:
            same = row.finding is None and row.link.step == finding.link.step
            if same and (row.link.subject == finding.link.subject or row.link.target == finding.link.target):
                row.finding = finding
                return
        last = max((n for n, row in enumerate(self.rows) if row.finding is not None), default=-1)
        self.rows.insert(last + 1, Row(finding.link, finding))

    def done(self, findings: tuple[Finding, ...]) -> None:
        """All have been asked."""
        self.rows = [Row(finding.link, finding) for finding in show.ordered(findings)]

    @property
    def broken(self) -> bool:
        return any(row.finding is not None and row.finding.state is State.BROKEN for row in self.rows)
