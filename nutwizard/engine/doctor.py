"""Examine a machine: every link of the chain, and every rule about what keeps a set-up from protecting.

It reads, connects and runs what changes nothing; what asks the machine is done side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from nutwizard.core import paths
from nutwizard.core.chain import Trial, by_rules_alone, chain_links, decided
from nutwizard.core.facts import Door, Facts, Role, Served
from nutwizard.core.links import (
    DriverData,
    Examined,
    Finding,
    Link,
    LinkId,
    Listens,
    LoggedIn,
    Reachable,
    Server,
    State,
    Told,
)
from nutwizard.core.rules.catalogue import all_rules
from nutwizard.core.rules.rule import Look, Trouble, troubles_of
from nutwizard.core.server import LOOPBACK
from nutwizard.core.site import NUT_PORT, Site
from nutwizard.core.step import View
from nutwizard.core.text import UNSEEN, Unseen
from nutwizard.engine import registry
from nutwizard.engine.host import Host
from nutwizard.engine.logs import Log, read_log
from nutwizard.engine.probe import Prover
from nutwizard.engine.sidebyside import Jobs
from nutwizard.engine.trial import try_events

#: Seconds after which nothing is waited for any more. The daemons of a practice machine may have to start.
LIMIT, PRACTICE_LIMIT = 5.0, 30.0
LATE = "no answer within the time of a check"

#: The link that a step's links are about, for when its files may not be read.
_ABOUT = {
    "driver": LinkId.DRIVER,
    "listen": LinkId.UPSD,
    "client_user": LinkId.LOGIN,
    "clients": LinkId.LOGIN,
    "firewall": LinkId.FIREWALL,
    "outside": LinkId.POWEROFF,
}


@dataclass(frozen=True)
class Examination:
    """What was found: `findings` of the links, `troubles` of the rules, worst first, and NUT's latest `log`,
    None where it could not be read in time.

    `unseen`: files that this user may not read; what depends on them was not looked at. `facts`: the machine;
    `values`: by UPS its variables, as the server told them.
    """

    findings: tuple[Finding, ...]
    troubles: tuple[Trouble, ...]
    log: Log | None
    unseen: tuple[str, ...]
    facts: Facts
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def broken(self) -> bool:
        return any(found.state is State.BROKEN for found in self.findings)


def examine(
    host: Host, facts: Facts, role: Role, told: Callable[[Finding], None] = lambda finding: None
) -> Examination:
    """Everything, on facts that were read just now. `told` gets each finding as soon as it is known."""
    view = View(facts, Site(role), registry.asset)
    jobs = Jobs(host, LIMIT if host.door is Door.LIVE else PRACTICE_LIMIT)
    links = links_of(view, role)
    log = jobs.begin(lambda: read_log(host, role))
    trial = jobs.begin(lambda: _tried(host, view))
    served = [jobs.begin(partial(facts.server, at.address, at.port)) for at in _servers(links)]
    found = _asked(jobs, host, links, told)
    values = _values(links, role, (one.value() for one in served))
    read = log.value()
    look = Look(view, found, values, read.rows if read is not None else ())
    troubles = troubles_of(all_rules(), look)
    tried = trial.value() or Trial("upssched did not end within the time of a check")
    rest = [decided(link, look, troubles, tried) for link in links if isinstance(link.target, Examined)]
    rest += by_rules_alone((*found, *rest), troubles)
    for finding in rest:
        told(finding)
    unseen = tuple(
        path
        for path, file in facts.files.items()
        if file.kind == UNSEEN and path.startswith(f"{paths.NUT}/") and not path.endswith(paths.COPIES)
    )
    return Examination((*found, *rest), troubles, read, unseen, facts, values)


def links_of(view: View, role: Role) -> tuple[Link, ...]:
    """Every link of this role, those of the steps first; where a step's files may not be read, one that says
    so.
    """
    found: list[Link] = []
    for step in registry.steps_of(role):
        try:
            found += step.links(view)
        except Unseen as unseen:
            found.append(_unseen(step.name, step.title, unseen.path))
            if step.name == "monitor":
                found += _without_files(view, role)
    return (*found, *chain_links(role))


def _unseen(step: str, title: str, path: str) -> Link:
    target = Told(State.UNKNOWN, f"not seen: only root may read {path}")
    return Link(_ABOUT.get(step, LinkId.LOGIN), title, target, step)


def _without_files(view: View, role: Role) -> Iterator[Link]:
    """What this machine's own server tells everyone: its UPSes, their data, and whether upsmon is there."""
    server = Server(LOOPBACK[0], NUT_PORT)
    if role is Role.HOST:
        yield Link(LinkId.UPSD, f"upsd on {server.address} port {server.port}", Listens(server), "listen")
    served = view.facts.server(server.address, server.port) if role is Role.HOST else None
    for ups in served.ups if served is not None else ():
        yield Link(LinkId.DRIVER, f"driver of {ups}", DriverData(server, ups), "driver")
        yield Link(LinkId.UPSMON, f"this machine's upsmon for {ups}", LoggedIn(server, ups), "services")


def _asked(
    jobs: Jobs, host: Host, links: Sequence[Link], told: Callable[[Finding], None]
) -> tuple[Finding, ...]:
    """The links that a probe can tell of, in their order; one server's are asked one after another."""
    prover = Prover(host)
    wanted = [(n, link) for n, link in enumerate(links) if not isinstance(link.target, Examined)]
    groups: dict[Server | None, list[tuple[int, Link]]] = {}
    for item in wanted:
        groups.setdefault(getattr(item[1].target, "server", None), []).append(item)
    found: dict[int, tuple[Finding, ...]] = {}
    for (n, _), answers in jobs.each(tuple(groups.values()), lambda item: prover.prove((item[1],))):
        found[n] = answers
        for finding in answers:
            told(finding)
    late = {n: (Finding(link, State.UNKNOWN, LATE),) for n, link in wanted if n not in found}
    return tuple(finding for n, _ in wanted for finding in (found | late)[n])


def _servers(links: Iterable[Link]) -> list[Server]:
    """The servers whose values matter: where a UPS of ours is."""
    found = (each.target.server for each in links if isinstance(each.target, DriverData | Reachable))
    return list(dict.fromkeys(found))


def _values(
    links: Iterable[Link], role: Role, served: Iterable[Served | None]
) -> dict[str, Mapping[str, str]]:
    """By UPS its variables; of a client the UPSes that it follows: its server may have others."""
    own = {each.target.ups for each in links if isinstance(each.target, Reachable)}
    told = (item for each in served if each is not None for item in each.values.items())
    return {ups: values for ups, values in told if role is Role.HOST or ups in own}


def _tried(host: Host, view: View) -> Trial:
    try:
        return try_events(host, Look(view))
    except Unseen as unseen:
        return Trial(f"not seen: only root may read {unseen.path}")
