"""What NUT 2.8.0 does in a power cut, without NUT: upsd, every upsmon and upssched as events on a clock.

It is held to what the real daemons were recorded to do (tests/cases/rehearsals/recorded). No script runs.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nutwizard.core.logtexts import Kind
from nutwizard.core.rehearsal.modelupsmon import Upsmon
from nutwizard.core.rehearsal.modelvalues import Watcher
from nutwizard.core.rehearsal.moments import Moment, What

#: Seconds from the start of the daemons to the first turn, as a stage takes them.
_SERVED, _BEGIN = -0.9, -0.5
_HOST_STARTS, _CLIENTS_START, _WITHIN = -0.86, -0.56, 0.5
#: So much longer a stage waits for somebody who neither logs in nor is refused.
_LOGINS = 11.5
#: Until the driver has noticed, and until a signal is heard.
_DRIVER, _SIGNAL = 0.1, 0.02


@dataclass(frozen=True)
class Told:
    """What the UPSes say `after` so many seconds from the turn before: by name a status.

    `shown`: the same in one text. `ending`: as soon as a machine goes down, and after that time at the
    latest.
    """

    after: float
    statuses: Mapping[str, str]
    shown: str
    ending: bool = False


@dataclass(frozen=True)
class Modelled:
    """A whole rehearsal as the model plays it. `watchers`: every machine that runs upsmon.

    `fault`: why upsd tells nothing, "" when it serves; `complaint`: what it says and serves all the same.
    `statuses`: what it tells at first, by UPS.
    `simulated`: the host is made up. `fsd`, `hook`, `flag`, `patience`, `rest`: as of a Play. `missed`: how
    long a client may still go down when the host has.
    """

    host: str
    watchers: tuple[Watcher, ...]
    statuses: Mapping[str, str]
    turns: tuple[Told, ...]
    fault: str = ""
    complaint: str = ""
    simulated: bool = False
    fsd: bool = False
    hook: str = ""
    flag: str = ""
    patience: float = 0.0
    rest: float = 1.5
    missed: float = 4.0


def play(modelled: Modelled) -> tuple[Moment, ...]:
    """The moments of the rehearsal, by their times."""
    stage = _Stage(modelled)
    stage.conduct()
    return tuple(sorted(stage.moments, key=lambda moment: moment.at))


@dataclass(order=True)
class _Due:
    at: float
    number: int
    do: Callable[[], None] = field(compare=False)


class _Stage:
    """The clock, the UPS and upsd. What an upsmon knows of them it asks here."""

    def __init__(self, modelled: Modelled) -> None:
        self._modelled = modelled
        self._due: list[_Due] = []
        self._number = 0
        self._statuses = dict(modelled.statuses)
        self._forced: set[str] = set()
        #: Who is logged in: (machine, UPS).
        self._inside: set[tuple[str, str]] = set()
        self._down: dict[str, float] = {}
        lines = [line for watcher in modelled.watchers if not watcher.fault for line in watcher.lines]
        awaited = any(line.fails is not None and line.refused is None for line in lines)
        self._early = _LOGINS if awaited else 0.0
        self.now = _SERVED - self._early
        self.moments: list[Moment] = []
        self._upsmons = [Upsmon(self, watcher) for watcher in modelled.watchers]

    def status(self, ups: str) -> str:
        """What upsd tells of a UPS; forced shutdown stays until it ends."""
        found = self._statuses.get(ups, "")
        return f"FSD {found}" if ups in self._forced else found

    def tell(self, machine: str, what: What, text: str = "", *, kind: Kind | None = None, number: int = 0,
             code: int = 0) -> None:  # fmt: skip
        """A moment that is now."""
        self.moments.append(Moment(self.now, machine, what, text, kind=kind, number=number, code=code))

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Have something done after so many seconds."""
        self._number += 1
        heapq.heappush(self._due, _Due(self.now + seconds, self._number, do))

    def login(self, machine: str, ups: str, who: str) -> None:
        """A machine is logged in to a UPS; upsd says so. A made-up host writes no log."""
        self._inside.add((machine, ups))
        if not self._modelled.simulated:
            text = f"User {who} logged into UPS [{ups}]"
            self.tell(self._modelled.host, What.EVENT, text, kind=Kind.LOGGED_IN)

    def force(self, ups: str, who: str) -> None:
        """A primary sets FSD."""
        self._forced.add(ups)
        text = f"Client {who} set FSD on UPS [{ups}]"
        self.tell(self._modelled.host, What.EVENT, text, kind=Kind.SET_FSD)

    def logins(self, ups: str) -> int:
        """How many are logged in to a UPS."""
        return sum(each == ups for _, each in self._inside)

    def gone(self, machine: str) -> None:
        """A machine has run its SHUTDOWNCMD."""
        self._inside = {each for each in self._inside if each[0] != machine}
        self._down.setdefault(machine, self.now)

    def conduct(self) -> None:
        """The play, in the order of `engine.rehearsal.conduct`."""
        modelled = self._modelled
        if modelled.fault:
            what = What.COMPLAINT if modelled.fault.startswith("Can't open") else What.DAEMON
            self.tell(modelled.host, what, modelled.fault)
            return
        if modelled.complaint:
            self.tell(modelled.host, What.COMPLAINT, modelled.complaint)
        self.tell("", What.STAGE, "served")
        self._start()
        self._until(_BEGIN)
        for turn in modelled.turns:
            end = self.now + turn.after
            self._until(end, (lambda: bool(self._down)) if turn.ending else None)
            self._turn(turn)
        if modelled.fsd:
            self._until(0.0)
            self.tell(modelled.host, What.FSD_ASKED)
            for upsmon in self._upsmons:
                if upsmon.watcher.name == modelled.host:
                    self.later(_SIGNAL, upsmon.asked)
        self._until(self.now + modelled.patience, lambda: self._all or modelled.host in self._down)
        if modelled.host in self._down and not self._all:
            self._until(self.now + modelled.missed, lambda: self._all)
        self._until(self.now + modelled.rest)
        self._afterwards()

    @property
    def _all(self) -> bool:
        return len(self._down) == len(self._upsmons)

    def _start(self) -> None:
        clients = [each for each in self._upsmons if each.watcher.name != self._modelled.host]
        begun = self.now + self._early
        for upsmon in self._upsmons:
            if upsmon not in clients:
                self.later(_HOST_STARTS - begun, upsmon.start)
        for number, upsmon in enumerate(clients):
            self.later(_CLIENTS_START + _WITHIN * number / len(clients) - begun, upsmon.start)

    def _turn(self, turn: Told) -> None:
        self.tell("", What.UPS, turn.shown)

        def noticed() -> None:
            self._statuses.update(turn.statuses)

        if self._modelled.simulated:
            noticed()
        else:
            self.later(_DRIVER, noticed)

    def _until(self, end: float, seen: Callable[[], bool] | None = None) -> None:
        """Let time go by until `end`, or until `seen` is true."""
        while not (seen is not None and seen()):
            if not self._due or self._due[0].at > end:
                self.now = max(self.now, end)
                return
            due = heapq.heappop(self._due)
            self.now = max(self.now, due.at)
            due.do()

    def _afterwards(self) -> None:
        modelled, host = self._modelled, self._modelled.host
        if modelled.simulated:
            return
        written = bool(modelled.flag) and host in self._down
        watched = next((w.lines[0].ups for w in modelled.watchers if w.name == host and w.lines), "")
        self.tell(host, What.LEFT, self.status(watched))
        self.tell(host, What.FLAG, code=int(written))
        if host in self._down and modelled.hook:
            self.tell(host, What.HOOK)
            if written:
                self.tell(host, What.CUT, "upsdrvctl shutdown")
