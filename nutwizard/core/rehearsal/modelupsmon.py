"""One upsmon of the model, as NUT 2.8.0 was seen to work."""

from __future__ import annotations

from dataclasses import dataclass

from nutwizard.core.logtexts import Kind, reader
from nutwizard.core.rehearsal.modelupssched import Upssched
from nutwizard.core.rehearsal.modelvalues import Line, Stage, Watcher
from nutwizard.core.rehearsal.moments import What

#: Seconds. Until upsmon has read a status, it sleeps so long whatever POLLFREQ is.
_FIRST_SLEEP = 5
#: How often a primary counts its clients, and what a notice and a call take.
_COUNTING, _NOTICE, _CALL = 0.25, 0.02, 0.01
#: NUT counts whole seconds, and goes on when there are more than HOSTSYNC: so much later, more or less.
_WHOLE = 0.5
#: A lost UPS is told as lost, then as not available, and then no more in a rehearsal.
_MISSES = 2
_EVENTS = {"LB": "LOWBATT", "FSD": "FSD", "RB": "REPLBATT"}


@dataclass
class _Seen:
    """What upsmon knows of one UPS."""

    words: frozenset[str] = frozenset()
    power: str = ""
    well_at: float = 0.0
    misses: int = 0


class Upsmon:
    """It asks, notices, tells, and shuts down."""

    def __init__(self, stage: Stage, watcher: Watcher) -> None:
        self.watcher = watcher
        self._stage = stage
        self._seen = {line.system: _Seen() for line in watcher.lines}
        self._sleep: float = _FIRST_SLEEP
        self._ending = False
        self._read = reader(watcher.messages)
        self._upssched = (
            Upssched(stage, watcher.name, watcher.called, self.asked) if watcher.called is not None else None
        )

    def start(self) -> None:
        """Connect, and begin to ask. A refused login costs the first look."""
        stage, name = self._stage, self.watcher.name
        if self.watcher.fault:
            stage.tell(name, What.DAEMON, f"upsmon: {self.watcher.fault}")
            stage.tell(name, What.ENDED, "upsmon", code=self.watcher.code)
            return
        for line in self.watcher.lines:
            if line.inside:
                stage.login(name, line.ups, line.who)
            if line.refused is not None:
                self._event(*line.refused)
        self._look(first=True)

    def asked(self) -> None:
        """`upsmon -c fsd` on this machine."""
        if self._ending or self.watcher.fault:
            return
        self._event(Kind.FSD_ASKED, "Signal 10: User requested FSD")
        self._force()

    def _event(self, kind: Kind, text: str) -> None:
        self._stage.tell(self.watcher.name, What.EVENT, text, kind=kind)

    def _look(self, *, first: bool = False) -> None:
        if self._ending:
            return
        for line in self.watcher.lines:
            if line.refused is not None and first:
                continue
            if line.fails is not None:
                self._miss(line, *line.fails)
            else:
                self._parse(line, self._stage.status(line.ups).split())
        left = sum(line.value for line in self.watcher.lines if not self._critical(line))
        if left < self.watcher.needed:
            self._force()
        else:
            self._stage.later(self._sleep, self._look)

    def _miss(self, line: Line, kind: Kind, text: str) -> None:
        """No status: lost at first, not available from then on (told once in NOCOMMWARNTIME)."""
        seen = self._seen[line.system]
        seen.misses += 1
        self._event(kind, text)
        if seen.misses <= _MISSES:
            self.notify("COMMBAD" if seen.misses == 1 else "NOCOMM", line.system)

    def _parse(self, line: Line, words: list[str]) -> None:
        """What is new in a status, in the order of its words."""
        seen = self._seen[line.system]
        before, seen.words = seen.words, frozenset(words)
        for word in words:
            if word in ("OL", "OB") and seen.power != word:
                self._sleep = self.watcher.times["POLLFREQ" if word == "OL" else "POLLFREQALERT"]
                if word == "OB" or seen.power:
                    self.notify("ONLINE" if word == "OL" else "ONBATT", line.system)
                seen.power = word
            elif word in _EVENTS and word not in before:
                self.notify(_EVENTS[word], line.system)
        if not before >= {"OB", "LB"}:
            seen.well_at = self._stage.now

    def _critical(self, line: Line) -> bool:
        """Whether the UPS gives no power any more. A client leaves HOSTSYNC to the host to say so."""
        seen = self._seen[line.system]
        if "FSD" in seen.words:
            return True
        if not {"OB", "LB"} <= seen.words:
            return False
        if line.primary:
            return True
        if self._stage.now - seen.well_at < self.watcher.times["HOSTSYNC"] + _WHOLE:
            return False
        self._event(Kind.GAVE_UP, f"Giving up on the primary for UPS [{line.system}]")
        return True

    def _force(self) -> None:
        self._ending = True
        primary = [line for line in self.watcher.lines if line.primary]
        for line in primary:
            if line.rights:
                self._stage.force(line.ups, line.who)
            else:
                text = f"upsmon: FSD set on UPS {line.system} failed: ERR ACCESS-DENIED"
                self._stage.tell(self.watcher.name, What.DAEMON, text)
        if primary:
            self._wait(primary, self._stage.now)
        else:
            self._shut_down()

    def _wait(self, primary: list[Line], since: float) -> None:
        """For the clients to log out."""
        if max(self._stage.logins(line.ups) for line in primary) <= 1:
            self._shut_down()
        elif self._stage.now - since >= self.watcher.times["HOSTSYNC"] + _WHOLE:
            self._event(Kind.HOSTSYNC, "Host sync timer expired, forcing shutdown")
            self._shut_down()
        else:
            self._stage.later(_COUNTING, lambda: self._wait(primary, since))

    def _shut_down(self) -> None:
        self._event(Kind.POWERFAIL, "Executing automatic power-fail shutdown")
        self._stage.later(_NOTICE, lambda: self.notify("SHUTDOWN", ""))
        self._stage.later(_NOTICE + self.watcher.times["FINALDELAY"], self._end)

    def _end(self) -> None:
        self._stage.tell(self.watcher.name, What.END, "SHUTDOWNCMD")
        self._stage.gone(self.watcher.name)
        self._stage.tell(self.watcher.name, What.ENDED, "upsmon")

    def notify(self, event: str, system: str) -> None:
        """Log an event and call what is to be called, as NOTIFYFLAG says."""
        text, flags = self.watcher.notes[event]
        if "IGNORE" in flags:
            return
        text = text.replace("%s", system, 1)
        if "SYSLOG" in flags:
            found = self._read(text)
            what = What.EVENT if found is not None else What.DAEMON
            self._stage.tell(self.watcher.name, what, text, kind=found[0] if found is not None else None)
        if "EXEC" in flags and self._upssched is not None:
            upssched = self._upssched
            self._stage.later(_CALL, lambda: upssched.call(event, system, text))
