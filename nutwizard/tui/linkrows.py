"""The rows of the check: a link each with what was found of it so far, and what the rules found beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from nutwizard.core.links import Finding, Link, State
from nutwizard.core.rules.rule import Trouble
from nutwizard.wording import show
from nutwizard.wording.checked import trouble_lines
from nutwizard.wording.layout import Line

_ASKING = "..."


@dataclass
class Row:
    """A link and what was found of it so far."""

    link: Link
    finding: Finding | None = None

    @property
    def text(self) -> str:
        state = self.finding.state if self.finding else _ASKING
        said = self.finding.cause or self.finding.evidence if self.finding else ""
        return f"{state:<9} {self.subject}" + (f": {said.partition(chr(10))[0]}" if said else "")

    @property
    def subject(self) -> str:
        return self.finding.link.subject if self.finding else self.link.subject

    @property
    def step(self) -> str:
        """The step that mends it."""
        return self.finding.link.step if self.finding else self.link.step

    @property
    def broken(self) -> bool:
        return self.finding is not None and self.finding.state is State.BROKEN

    @property
    def detail(self) -> list[Line]:
        """Evidence, cause and what to do."""
        if self.finding is None:
            return [Line("It is being asked.")]
        return show.finding_lines((self.finding,), 0)[1:]

    @property
    def notice(self) -> str:
        """What is said at the step that mends it."""
        said = self.finding.cause or self.finding.evidence if self.finding else ""
        return f"{self.link.subject}: {said}" if said else ""


@dataclass
class TroubleRow:
    """What a rule found that breaks no link."""

    trouble: Trouble
    finding: None = None
    broken: bool = False

    @property
    def text(self) -> str:
        return f"{self.trouble.severity.value:<9} {self.trouble.said}"

    @property
    def subject(self) -> str:
        return self.trouble.rule.title

    @property
    def step(self) -> str:
        return self.trouble.rule.step

    @property
    def detail(self) -> list[Line]:
        return trouble_lines((self.trouble,))

    @property
    def notice(self) -> str:
        return f"{self.trouble.rule.title}: {self.trouble.spot.message}"


@dataclass
class Rows:
    """The links in their order; once all are asked, what is broken comes first, then what the rules found."""

    rows: list[Row | TroubleRow] = field(default_factory=list)

    def put(self, finding: Finding) -> None:
        """A finding, at its link; one link may give several."""
        own = [row for row in self.rows if isinstance(row, Row)]
        free = [row for row in own if row.finding is None and row.link.step == finding.link.step]
        same = [row for row in free if row.link.subject == finding.link.subject]
        same += [row for row in free if row.link.target == finding.link.target]
        if same:
            same[0].finding = finding
            return
        last = max((n for n, row in enumerate(self.rows) if row.finding is not None), default=-1)
        self.rows.insert(last + 1, Row(finding.link, finding))

    def done(self, findings: tuple[Finding, ...], troubles: Iterable[Trouble] = ()) -> None:
        """All have been asked."""
        rows = [Row(finding.link, finding) for finding in show.ordered(findings)]
        broken = [row for row in rows if row.broken]
        self.rows = [*broken, *map(TroubleRow, troubles), *(row for row in rows if not row.broken)]

    @property
    def broken(self) -> bool:
        return any(row.broken for row in self.rows)
