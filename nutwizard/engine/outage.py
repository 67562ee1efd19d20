"""Never during an outage: upsd is asked before anything is written, and again before each unit is restarted.

Measured on NUT 2.8.0: an upsmon that starts while the status is OB LB shuts its machine down 25 s later, one
that starts against an order to shut down that upsd still holds (FSD) 5 s later; an upsd that is away for
longer than the clients' DEADTIME during an outage shuts them down, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nutwizard.core import paths
from nutwizard.core.errors import Failed
from nutwizard.core.facts import Door, Role
from nutwizard.core.links import Server
from nutwizard.core.outage import Outage, Seen
from nutwizard.core.plan import Plan
from nutwizard.core.server import listen_lines, local_address
from nutwizard.core.upsmon import Monitor, monitors
from nutwizard.engine import pve
from nutwizard.engine.host import Host
from nutwizard.engine.nut_client import Limits, NutClient, open_client
from nutwizard.engine.nut_errors import (
    AnswerTimeout,
    ConnectTimeout,
    NameNotResolved,
    NutError,
    ServerError,
    WireUnsafe,
)
from nutwizard.engine.units import dangerous
from nutwizard.formats.nutfile import NutFile

#: A server that does not answer may hold a run up for no longer than this.
LIMITS = Limits(connect=2.0, answer=2.0, total=3.0)
#: Seconds, in all of a run, that an upsd which has just started gets: it has no status at first, for about
#: 2 s (measured).
PATIENCE = 5.0
_POLL = 0.25
_NO_STATUS_YET = "WAIT"
#: They let us wait in vain, and would again.
_IN_VAIN = (AnswerTimeout, ConnectTimeout, NameNotResolved)


def matters(plan: Plan) -> bool:
    """Whether an outage stops this plan: it touches daemons, or files that running ones may read at any time.

    Saved answers and the firewall's files do neither.
    """
    targets = (change.target for change in plan.files)
    ours = (path.startswith(f"{paths.OWN}/") or pve.below(path) for path in targets)
    return any(map(dangerous, plan.acts)) or not all(ours)


def refuse(host: Host, plan: Plan, *, insist: bool) -> Guard:
    """The first look. Raises Failed when the plan has to wait; nothing was written."""
    guard = Guard(host, plan, insist=insist)
    found = guard.look() if matters(plan) else None
    if found is not None:
        raise Failed(found.text, found.hint)
    return guard


def in_the_way(host: Host, plan: Plan, *, insist: bool) -> str:
    """What a dialogue says before it writes; "" when nothing stands in the way."""
    found = Guard(host, plan, insist=insist).look() if matters(plan) else None
    return "" if found is None else f"{found.text}\n{found.way_out}"


@dataclass(frozen=True, slots=True)
class Question:
    """One upsd to be asked, at the first of `servers` that answers; `ups` "": about every UPS that it has."""

    servers: tuple[Server, ...]
    ups: str = ""
    own: bool = False


class Guard:
    """What is asked again and again while a plan is applied or taken back. `insist`: nothing is asked.

    Who does not answer, does not know the UPS or has no fresh data tells of no outage: a server that is not
    ready yet must not keep its client from being set up.
    """

    def __init__(self, host: Host, plan: Plan, *, insist: bool = False) -> None:
        self.insist = insist
        self._host = host
        self._role = plan.role
        asked = not insist and host.door is not Door.OFFLINE
        self._questions = questions(host, plan) if asked else ()
        self._answered: set[Question] = set()
        self._in_vain: set[Server] = set()
        self._patience = PATIENCE

    def look(self) -> Outage | None:
        """What speaks against restarting anything at this moment; None when nothing is known."""
        while True:
            told = [self._ask(question) for question in self._questions]
            bad = tuple(seen for each in told if each is not None for seen in each if seen.outage)
            if bad:
                return Outage(self._role, bad)
            if self._patience <= 0 or not any(map(self._starting, self._questions, told)):
                return None
            self._patience -= _POLL
            self._host.sleep(_POLL)

    def _starting(self, question: Question, told: tuple[Seen, ...] | None) -> bool:
        """Whether an upsd comes up at this moment: it has answered before, or has no status yet."""
        if told is None:
            return question in self._answered and not self._in_vain.issuperset(question.servers)
        return any(seen.status == _NO_STATUS_YET for seen in told)

    def _ask(self, question: Question) -> tuple[Seen, ...] | None:
        """What an upsd says; None when there is none that answers."""
        for server in question.servers:
            if server in self._in_vain:
                continue
            try:
                with open_client(self._host.connect, server.address, server.port, LIMITS) as client:
                    told = tuple(_seen(client, question, server))
            except NutError as error:
                if isinstance(error, _IN_VAIN):
                    self._in_vain.add(server)
                continue
            self._answered.add(question)
            return told
        return None


def _seen(client: NutClient, question: Question, server: Server) -> Iterator[Seen]:
    for ups in [question.ups] if question.ups else client.ups_names():
        try:
            yield Seen(ups, client.get_var(ups, "ups.status"), server, question.own)
        except (ServerError, WireUnsafe):
            continue  # not known, no driver, stale data: that tells nothing


def questions(host: Host, plan: Plan) -> tuple[Question, ...]:
    """Whom to ask, from the files as they are and as they will be.

    On a host its own upsd, about every UPS, since all its clients rely on it; it may listen where the file
    said before the change, or after it. On either role the servers of the MONITOR lines after the change,
    against which upsmon will start, and those before it: against them it starts again when the change is
    taken back, and they tell of the power that this machine has now. While they tell of an outage the upsmon
    that runs may shut the machine down in the midst of the writing. A line with the power value 0 feeds
    nothing here and shuts nothing down.
    """
    own = _own_servers(host, plan) if plan.role is Role.HOST else ()
    ports = {server.port for server in own}
    found = [Question(own, own=True)] if own else []
    for monitor in _monitors(host, plan):
        if not (monitor.local and monitor.port in ports):
            found.append(Question((Server(monitor.server, monitor.port),), monitor.ups, monitor.local))
    return tuple(dict.fromkeys(found))


def _own_servers(host: Host, plan: Plan) -> tuple[Server, ...]:
    documents = [listen_lines(document) for document in _documents(host, plan, paths.UPSD_CONF)]
    return tuple(dict.fromkeys(Server(*local_address(lines)) for lines in documents))


def _monitors(host: Host, plan: Plan) -> Iterator[Monitor]:
    for document in _documents(host, plan, paths.UPSMON_CONF):
        yield from (monitor for monitor in monitors(document) if monitor.entry.args[1] != "0")


def _documents(host: Host, plan: Plan, path: str) -> list[NutFile]:
    """A file before and after the plan, or as it is and stays; none that cannot be read."""
    for change in plan.files:
        if change.path == path:
            return [NutFile.parse(text.data) for text in (change.before, change.after) if text is not None]
    try:
        return [NutFile.parse(host.read(path))]
    except OSError:
        return []
