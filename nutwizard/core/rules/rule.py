"""What a rule is, what it may look at, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from nutwizard.core import paths
from nutwizard.core.facts import Facts, Role
from nutwizard.core.links import Finding, LinkId
from nutwizard.core.logtexts import Row
from nutwizard.core.outside import Outside, read_outside
from nutwizard.core.step import View
from nutwizard.core.text import Unseen
from nutwizard.core.upsmon import Monitor, monitors
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile

BOTH = (Role.HOST, Role.CLIENT)
HOST, CLIENT = (Role.HOST,), (Role.CLIENT,)


class Severity(StrEnum):
    """What a trouble means: it will not protect; it protects, but not in every case; worth knowing."""

    BROKEN = "broken"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Look:
    """What a rule may look at.

    `findings`: what the links were found to be; `values`: by UPS its variables as the server tells them;
    `rows`: the last ten minutes of NUT's log. All three are empty where nothing could be asked.
    """

    view: View
    findings: tuple[Finding, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()

    @property
    def facts(self) -> Facts:
        return self.view.facts

    @property
    def role(self) -> Role:
        return self.view.site.role

    @property
    def version(self) -> tuple[int, ...]:
        return self.view.facts.nut.version

    @property
    def ups_conf(self) -> SectionFile:
        return self.view.sections(paths.UPS_CONF)

    @property
    def users(self) -> SectionFile:
        return self.view.sections(paths.UPSD_USERS, users=True)

    @property
    def upsd(self) -> NutFile:
        return self.view.nut(paths.UPSD_CONF)

    @property
    def upsmon(self) -> NutFile:
        return self.view.nut(paths.UPSMON_CONF)

    @property
    def upssched(self) -> NutFile:
        return self.view.nut(paths.UPSSCHED_CONF)

    @cached_property
    def monitors(self) -> list[Monitor]:
        """The MONITOR lines that upsmon takes."""
        return monitors(self.upsmon)

    @property
    def outside(self) -> Outside:
        """What was answered about what no program can see."""
        known = self.facts.files.get(paths.OUTSIDE)
        return read_outside(known.data if known is not None else b"")

    def broken(self, link: LinkId) -> Iterator[Finding]:
        """The links of this id that were found broken."""
        return (found for found in self.findings if found.link.id is link and found.state == "broken")


@dataclass(frozen=True)
class Spot:
    """Where a rule found its trouble: `message` says what is wrong; `line`: from 1, 0 for the whole file.

    `fix`, `severity`: in place of the rule's own; `echoes`: a broken link tells the same. A message never
    holds a word that may be a password.
    """

    message: str
    file: str = ""
    line: int = 0
    fix: str = ""
    severity: Severity | None = None
    echoes: bool = False


@dataclass(frozen=True)
class Rule:
    """One way to fail. `id`: NW and the number, which never changes; `step`: what mends it, "" for none.

    `cause`: why it matters, for a person; `look`: where it is so. `echoes`: as that of all its spots.
    """

    id: str
    title: str
    link: LinkId
    severity: Severity
    cause: str
    look: Callable[[Look], Iterable[Spot]]
    step: str = ""
    fix: str = ""
    roles: tuple[Role, ...] = BOTH
    echoes: bool = False


@dataclass(frozen=True)
class Trouble:
    """A rule and one place where it fires."""

    rule: Rule
    spot: Spot

    @property
    def severity(self) -> Severity:
        return self.spot.severity or self.rule.severity

    @property
    def echoes(self) -> bool:
        """Whether it says again what a broken link says; it gives that the rule's number."""
        return self.severity is Severity.BROKEN and (self.rule.echoes or self.spot.echoes)

    @property
    def fix(self) -> str:
        """What to do next."""
        own = f"nutwizard step {self.rule.step}" if self.rule.step else ""
        return self.spot.fix or self.rule.fix or own

    @property
    def where(self) -> str:
        """`file:line`, `file`, or ""."""
        return f"{self.spot.file}:{self.spot.line}" if self.spot.line else self.spot.file

    @property
    def said(self) -> str:
        """In one line: the rule, where, and what is wrong there."""
        return " ".join(filter(None, (self.rule.id, self.where and f"{self.where}:", self.spot.message)))


def troubles_of(rules: Iterable[Rule], look: Look) -> tuple[Trouble, ...]:
    """Everything that these rules find, the worst first, then by their number.

    A rule that needs a file which this user may not read finds nothing.
    """
    order = list(Severity)
    found = [Trouble(rule, spot) for rule in rules if look.role in rule.roles for spot in _spots(rule, look)]
    return tuple(sorted(found, key=lambda trouble: (order.index(trouble.severity), trouble.rule.id)))


def _spots(rule: Rule, look: Look) -> Iterable[Spot]:
    try:
        return dict.fromkeys(rule.look(look))
    except Unseen:
        return ()
