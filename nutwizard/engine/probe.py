"""Probes: ask the machine about each link. A file that looks right proves nothing; an answer does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from nutwizard.core import paths
from nutwizard.core.clients import same_address
from nutwizard.core.facts import Door
from nutwizard.core.links import (
    DriverData,
    Examined,
    Expected,
    Finding,
    LetIn,
    Link,
    LinkId,
    Listens,
    LoggedIn,
    Login,
    Reachable,
    Server,
    State,
    Told,
)
from nutwizard.core.site import bracketed
from nutwizard.engine.causes import STEP_DRIVER, known_cause
from nutwizard.engine.fromfiles import by_who_came, from_the_files
from nutwizard.engine.host import Host
from nutwizard.engine.nut_client import Limits, NutClient, open_client
from nutwizard.engine.nut_errors import (
    AccessDenied,
    AnswerTimeout,
    ConnectRefused,
    DataStale,
    DriverNotConnected,
    NutError,
    UnknownUps,
)

#: A server that lies may hold a check for no longer than this, however it goes about it.
LIMITS = Limits(answer=3.0, total=4.0)
#: Values that the client's proof shows first, as the guide does.
SHOWN = ("ups.status", "battery.charge", "battery.charge.low", "battery.runtime", "ups.load", "ups.model")
#: Just after its start upsd shows the status WAIT (measured: for about 2 s).
NO_DATA = "upsd waits for the driver's first data"


class _Unreached(Exception):
    """The server was found unreachable by an earlier probe of this round."""


class Prover:
    """One round of probes. A server that cannot be reached is tried once, not once for each link."""

    def __init__(self, host: Host, limits: Limits = LIMITS) -> None:
        self._host = host
        self._limits = limits
        self._lost: dict[Server, NutError] = {}
        self._there: dict[tuple[Server, str], tuple[str, ...]] = {}

    def prove(self, links: Iterable[Link]) -> tuple[Finding, ...]:
        """What was found of every link; one link may give several findings, each with its own id."""
        return tuple(self.findings(links))

    def findings(self, links: Iterable[Link]) -> Iterator[Finding]:
        """The same, each as soon as it is known."""
        for link in links:
            yield from self._probe(link)

    def _probe(self, link: Link) -> Iterable[Finding]:
        if (known := from_the_files(link)) is not None:
            return (known,)
        target = link.target
        assert not isinstance(target, Told | Examined)
        if self._host.door is Door.OFFLINE:
            return (Finding(link, State.UNKNOWN, "no address is connected to below another root"),)
        try:
            if isinstance(target, Reachable):
                return self._reachable(link, target)
            return (self._ask(link, target),)
        except _Unreached:
            return (Finding(link, State.UNKNOWN, f"not asked: {_where(target.server)} is not reached"),)
        except NutError as error:
            self._note(target.server, error)
            return (_broken(link, error),)

    def _ask(self, link: Link, target: Listens | DriverData | Login | LoggedIn | Expected | LetIn) -> Finding:
        match target:
            case Listens():
                return self._listens(link, target)
            case DriverData():
                return self._driver(link, target)
            case Login():
                return self._login(link, target)
            case LoggedIn():
                return self._logged_in(link, target)
            case Expected():
                return self._expected(link, target)
            case LetIn():
                return by_who_came(link, target, self._all(target.server, target.ups))

    def _note(self, server: Server, error: NutError) -> None:
        """A server that let us wait in vain is not waited for again."""
        if isinstance(error, AnswerTimeout):
            self._lost[server] = error

    def _open(self, server: Server) -> NutClient:
        if server in self._lost:
            raise _Unreached
        try:
            return open_client(self._host.connect, server.address, server.port, self._limits)
        except NutError as error:
            self._lost[server] = error
            raise

    def _listens(self, link: Link, target: Listens) -> Finding:
        if target.server in self._lost:
            return _broken(link, self._lost[target.server])
        with self._open(target.server) as client:
            return Finding(link, State.PROVEN, f"answers: {client.version()}")

    def _driver(self, link: Link, target: DriverData) -> Finding:
        with self._open(target.server) as client:
            try:
                values = client.list_vars(target.ups)
                status = client.get_var(target.ups, "ups.status")
            except DriverNotConnected as error:
                found = _broken(link, error)
                return replace(found, cause=target.ended, fix=STEP_DRIVER) if target.ended else found
        if status == "WAIT":
            return Finding(link, State.WAITING, NO_DATA)
        wrong = [
            f"{key} is {values[name]} in the running driver, {wanted} in ups.conf"
            for key, wanted in target.parameters.items()
            if (name := f"driver.parameter.{key}") in values and not _same(values[name], wanted)
        ]
        wrong += [
            f"{key} is {values.get(key) or 'absent'} in the running driver, {wanted or 'absent'} by ups.conf"
            for key, wanted in target.variables.items()
            if not _same(values.get(key, ""), wanted)
        ]
        if wrong:
            fix = f"Restart the driver: {STEP_DRIVER}"
            return Finding(link, State.BROKEN, "; ".join(wrong), "the driver runs on older options", fix)
        if target.compared and not values.keys() & set(target.compared):
            lacks = f"the UPS reports no {' and no '.join(target.compared)}"
            cause = "low battery (LB) never comes: ups.conf has a limit for what is not reported"
            return Finding(link, State.BROKEN, lacks, cause, STEP_DRIVER)
        shown = [
            f"{key} {value}"
            for key, value in target.parameters.items()
            if f"driver.parameter.{key}" in values
        ]
        shown += [f"{key} {value}" for key, value in target.variables.items() if value]
        return Finding(link, State.PROVEN, ", ".join([f"fresh data, status {status}", *shown]))

    def _reachable(self, link: Link, target: Reachable) -> Iterable[Finding]:
        """Name, TCP, protocol, UPS, data: the first that fails is broken, the rest unknown."""
        stages = {stage.id: stage for stage in stages_of(link)}
        done: list[Finding] = []
        names: dict[str, str] = {}
        try:
            with self._open(target.server) as client:
                done.append(Finding(stages[LinkId.FIREWALL], State.PROVEN, "connected"))
                done.append(Finding(stages[LinkId.UPSD], State.PROVEN, client.version()))
                names = client.ups_names()
                values = client.list_vars(target.ups)
                done.append(Finding(stages[LinkId.UPS], State.PROVEN, names.get(target.ups, "") or "known"))
                status = client.get_var(target.ups, "ups.status")
                done.append(_data(stages[LinkId.DRIVER], status, values))
        except _Unreached:
            return [Finding(link, State.UNKNOWN, f"not asked: {_where(target.server)} is not reached")]
        except (DriverNotConnected, DataStale) as error:
            if len(done) == 2:
                done.append(Finding(stages[LinkId.UPS], State.PROVEN, names.get(target.ups, "") or "known"))
            done.append(_broken(stages[LinkId.DRIVER], error))
        except UnknownUps as error:
            has = f"the server has {', '.join(names)}" if names else "the server has no UPS"
            done.append(replace(_broken(stages[LinkId.UPS], error), evidence=f"{error.text} {has}"))
        except NutError as error:
            self._note(target.server, error)
            next_one = list(stages)[min(len(done), 3)]
            if next_one is LinkId.FIREWALL and isinstance(error, ConnectRefused):
                done.append(Finding(stages[LinkId.FIREWALL], State.PROVEN, "the machine answers"))
                next_one = LinkId.UPSD
            done.append(_broken(stages[next_one], error))
        return self._rest(done, stages)

    @staticmethod
    def _rest(done: list[Finding], stages: Mapping[LinkId, Link]) -> list[Finding]:
        seen = {finding.link.id for finding in done}
        left = [link for id_, link in stages.items() if id_ not in seen]
        return [
            *done,
            *(Finding(link, State.UNKNOWN, "not asked: an earlier link is broken") for link in left),
        ]

    def _login(self, link: Link, target: Login) -> Finding:
        with self._open(target.server) as client:
            try:
                client.login(target.ups, target.user, target.password.reveal())
                able = not target.primary or client.has_primary_rights(target.ups)
            except AccessDenied as error:
                found = _broken(link, error)
                if not target.denied:
                    return found
                return replace(found, cause=target.denied, fix="nutwizard step monitor")
        if not able:
            cause = target.denied or f"{target.user} has no primary rights in the running upsd"
            evidence = f"logged in as {target.user}, and denied primary rights"
            return Finding(link, State.BROKEN, evidence, cause, "nutwizard step monitor")
        rights = ", with primary rights" if target.primary else ""
        return Finding(link, State.PROVEN, f"logged in as {target.user}{rights}, and out again")

    def _logged_in(self, link: Link, target: LoggedIn) -> Finding:
        with self._open(target.server) as client:
            own = client.own_address
            found = client.clients(target.ups)
        distinct = list(dict.fromkeys(found))
        if own in distinct:
            others = [address for address in distinct if address != own]
            also = f"; also logged in: {', '.join(others)}" if others else ""
            return Finding(link, State.PROVEN, f"upsd lists {own}{also}")
        fix = "Look at its log: journalctl -u nut-monitor; then nutwizard step services"
        listed = ", ".join(distinct) or "nobody"
        cause = "upsmon is not running here, or its login was denied"
        return Finding(link, State.BROKEN, f"upsd lists {listed}, not {own}", cause, fix)

    def _expected(self, link: Link, target: Expected) -> Finding:
        """Whether a client is there, by one question for all of them."""
        try:
            there = self._all(target.server, target.ups)
        except NutError as error:
            self._note(target.server, error)
            return Finding(link, State.UNKNOWN, f"upsd does not tell who is logged in: {error.text}")
        came = [each for each in there if any(same_address(each, own) for own in target.addresses)]
        if came:
            return Finding(link, State.PROVEN, f"upsd lists {', '.join(came)}")
        listed = f"upsd lists {', '.join(there) or 'nobody'}"
        if not target.addresses:
            why = f"its address is not known, so nobody can tell whether it came; {listed}"
            return Finding(link, State.WAITING, why, fix="nutwizard step clients")
        fix = f"Set it up there with {paths.CLIENTS}/{target.name}, or look at its log"
        return Finding(link, State.WAITING, f"it is not logged in; {listed}", fix=fix)

    def _all(self, server: Server, ups: str) -> tuple[str, ...]:
        """Every address that is logged in, once."""
        if (server, ups) not in self._there:
            with self._open(server) as client:
                self._there[server, ups] = tuple(dict.fromkeys(client.clients(ups)))
        return self._there[server, ups]


def stages_of(link: Link) -> tuple[Link, ...]:
    """The links that a probe of this one tells of, in their order: the way to a server has several."""
    target = link.target
    if not isinstance(target, Reachable):
        return (link,)
    where = _where(target.server)
    subjects = {
        LinkId.FIREWALL: f"way to {where}",
        LinkId.UPSD: f"NUT server on {where}",
        LinkId.UPS: f"UPS {target.ups} there",
        LinkId.DRIVER: "fresh data",
    }
    return tuple(replace(link, id=id_, subject=subject) for id_, subject in subjects.items())


def _data(link: Link, status: str, values: Mapping[str, str]) -> Finding:
    if status == "WAIT":
        return Finding(link, State.WAITING, NO_DATA)
    return Finding(link, State.PROVEN, f"status {status}", values=shown_first(values))


def _broken(link: Link, error: NutError) -> Finding:
    known = known_cause(error, own=isinstance(link.target, Listens | DriverData))
    cause, fix = known or (error.cause, f"nutwizard step {link.step}")
    return Finding(link, State.BROKEN, error.text, cause, fix)


def _where(server: Server) -> str:
    return f"{bracketed(server.address)}:{server.port}"


def _same(found: str, wanted: str) -> bool:
    try:
        return float(found) == float(wanted)
    except ValueError:
        return found == wanted


def shown_first(values: Mapping[str, str]) -> dict[str, str]:
    """The variables of a UPS, those that the guide shows first."""
    first = {name: values[name] for name in SHOWN if name in values}
    return first | {name: value for name, value in values.items() if name not in first}
