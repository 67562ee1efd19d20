"""When a change has gone well: what was proven before is proven again, and stays so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nutwizard.core import links
from nutwizard.core.links import Finding, LinkId, State
from nutwizard.engine.host import Host
from nutwizard.engine.units import Told

Prove = Callable[[], tuple[Finding, ...]]

#: Above systemd's 90 s for a start and Debian's 3 x 45 s for a driver.
WAIT = 150.0
#: Proven means: still proven after this many seconds (a daemon that exits does so within its first two).
STEADY = 3.0
#: How long a link that was down before is waited for after the last change for the better or worse.
PATIENCE = 10.0
#: Longer than upsd's MAXAGE and upsmon's DEADTIME (15 s): what has not moved by then needs a hand, not time.
STILL = 25.0
_POLL = 0.5

_WORST_FIRST = (State.BROKEN, State.UNKNOWN, State.WAITING, State.PROVEN, State.NOT_APPLICABLE)


def states(findings: Iterable[Finding]) -> dict[LinkId, State]:
    """One state per link: the worst, where a link is about several addresses or users.

    What is awaited of other machines does not count: they may come at any time.
    """
    found: dict[LinkId, State] = {}
    for finding in findings:
        if finding.link.awaited:
            continue
        link = finding.link.id
        found[link] = min(found.get(link, State.NOT_APPLICABLE), finding.state, key=_WORST_FIRST.index)
    return found


def proven(findings: Iterable[Finding]) -> frozenset[LinkId]:
    """The links that are proven."""
    return frozenset(link for link, state in states(findings).items() if state is State.PROVEN)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the waiting ended. `lost`: links that were proven before and are broken now."""

    findings: tuple[Finding, ...]
    lost: tuple[LinkId, ...] = ()


def settle(
    host: Host, prove: Prove, before: frozenset[LinkId], told: Callable[[], Told], wait: float
) -> Verdict:
    """Wait until every link of `before` is proven again, no other is broken, and still so after `STEADY` s.

    The rule in words: what worked before gets up to `wait` s to work again, unless systemd has given a unit
    up or nothing has moved for `STILL` s; what did not work before is waited for while units start or
    findings change, and `PATIENCE` s longer. A unit that starts once more after it failed moves nothing.
    """
    start = changed = host.ticks()
    good: float | None = None
    given_up: float | None = None
    last: dict[LinkId, State] = {}
    failed_once: set[str] = set()
    while True:
        findings = prove()
        now, seen = host.ticks(), states(findings)
        units = told()
        failed_once.update(units.troubled)
        starting = any(name not in failed_once for name in units.starting)
        if seen != last or starting:
            changed, last = now, seen
        missing = [
            link
            for link in before
            if seen.get(link, State.PROVEN) not in (State.PROVEN, State.NOT_APPLICABLE)
        ]
        lost = tuple(link for link in LinkId if link in missing and seen[link] is State.BROKEN)
        patient = any(map(_may_mend, findings)) and now - changed < PATIENCE
        good = _since(good, now, not missing and not patient)
        given_up = _since(given_up, now, bool(lost and units.failed and not starting))
        if good is not None and now - good >= STEADY:
            return Verdict(findings)
        stuck = bool(lost) and not starting and now - changed >= STILL
        if now - start >= wait or stuck or (given_up is not None and now - given_up >= STEADY):
            return Verdict(findings, lost)
        host.sleep(_POLL)


def _may_mend(finding: Finding) -> bool:
    """Whether waiting can help: what a file says does not change by itself, others come late."""
    return (
        finding.state is State.BROKEN
        and not finding.link.awaited
        and not isinstance(finding.link.target, links.Told)
    )


def _since(before: float | None, now: float, holds: bool) -> float | None:
    """Since when something holds without a break."""
    return (now if before is None else before) if holds else None
