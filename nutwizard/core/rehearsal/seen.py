"""What the moments of a play mean, machine by machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nutwizard.core.clients import few
from nutwizard.core.logtexts import Kind
from nutwizard.core.rehearsal.cast import Cast, Item
from nutwizard.core.rehearsal.moments import Moment, What, ends_machine
from nutwizard.core.rehearsal.scenario import ends
from nutwizard.core.rules.rule import Severity

#: Seconds: a script that takes longer holds up upssched's timers.
LONG = 10.0


class Seen:
    """What was seen of each machine. Every method yields what it means."""

    def __init__(self, cast: Cast, moments: Sequence[Moment], ended: Mapping[str, float]) -> None:
        self.cast, self.moments, self.ended = cast, moments, ended
        self.served = any(m.what is What.STAGE and m.text == "served" for m in moments)

    def of(self, machine: str, *what: What) -> Iterator[Moment]:
        return (moment for moment in self.moments if moment.machine == machine and moment.what in what)

    def told(self, machine: str, *kinds: Kind) -> Moment | None:
        found = (m for m in self.moments if m.machine == machine and m.kind in kinds)
        return next(found, None)

    def broken_off(self) -> Iterator[Item]:
        """What ended the play before its end."""
        for moment in self.moments:
            if moment.what is What.BROKE:
                text = f"the rehearsal broke off: {moment.text}. What came until then is judged"
                yield Item(Severity.BROKEN, "", text)

    def daemons(self) -> Iterator[Item]:
        """Daemons that did not come up, or ended before they were to."""
        host = self.cast.host.name
        if not self.served:
            said = [m.text for m in self.of(host, What.DAEMON, What.COMPLAINT)]
            mode = any("MODE" in text for text in said)
            text = (
                "nut.conf does not let upsd run" if mode else f"upsd never told the UPS's data{_last(said)}"
            )
            yield Item(Severity.BROKEN, host, text, f"nutwizard step {'mode' if mode else 'driver'}")
        for member in self.cast.members if self.served else ():
            for moment in self.of(member.name, What.ENDED):
                early = moment.at < self.ended.get(member.name, float("inf"))
                if moment.text == "upsmon" and early and self._expects_life(moment):
                    said = [m.text for m in self.of(member.name, What.DAEMON, What.COMPLAINT)]
                    last = _last(said)
                    text = f"upsmon ended by itself with code {moment.code}{last}"
                    step = "mode" if "MODE" in last else "monitor"
                    yield Item(Severity.BROKEN, member.name, text, f"nutwizard step {step}")

    def _expects_life(self, ended: Moment) -> bool:
        """The host's upsmon is stopped at the end, before what runs late in a shutdown."""
        late = next((m.at for m in self.moments if m.what is What.LEFT), float("inf"))
        return ended.at < late

    def logins(self) -> Iterator[Item]:
        for member in self.cast.members:
            refused = self.told(member.name, Kind.LOGIN_FAILED)
            if refused is not None:
                step = "monitor" if member.host else "client_user"
                text = (
                    f"upsd refuses its login ({refused.text}): it is not waited for, and may be cut off"
                    if not member.host
                    else f"upsd refuses its own upsmon ({refused.text}): it never sets FSD"
                )
                yield Item(Severity.BROKEN, member.name, text, f"nutwizard step {step}")
            elif lost := self.told(member.name, Kind.CONNECT_FAILED):
                text = f"it cannot reach upsd: {lost.text}"
                yield Item(Severity.BROKEN, member.name, text, "nutwizard step listen")
            if member.host and self.told(member.name, Kind.NO_PRIMARY):
                text = "its NUT user has no primary rights: upsmon never sets FSD, and no client is told"
                yield Item(Severity.BROKEN, member.name, text, "nutwizard step monitor")

    def losses(self) -> Iterator[Item]:
        """Who lost upsd in the midst of it: on battery that shuts a machine down."""
        for member in self.cast.members:
            lost = self.told(member.name, Kind.COMMBAD)
            if lost is not None and lost.at > 0 and not self.told(member.name, Kind.CONNECT_FAILED):
                text = "it lost upsd meanwhile; on battery upsmon takes that for the end, and shuts down"
                yield Item(Severity.WARNING, member.name, text, "nutwizard check")

    def endings(self) -> Iterator[Item]:
        wanted = ends(self.cast.scenario)
        if wanted is False:
            for name in self.ended:
                text = "two seconds without mains shut it down: a timer or a script does so at once"
                yield Item(Severity.BROKEN, name, text, "nutwizard step actions")
            return
        if wanted is None and not self.ended:
            timers = any(member.timers for member in self.cast.members)
            text = "no timer shut anybody down" if timers else "there is no timer"
            if timers and self.cast.unread:
                text = f"if the timers of {few(self.cast.unread)} shut nobody down"
            yield Item(
                Severity.NOTE,
                "",
                f"{text}: everybody runs on until the battery is low",
                "nutwizard step actions",
            )
            return
        for member in self.cast.members:
            if member.command:
                yield Item(
                    Severity.BROKEN, member.name, f"SHUTDOWNCMD: {member.command}", "nutwizard step timing"
                )
            if member.name not in self.ended and not (member.host and self.cast.simulated):
                text = "it had not run its SHUTDOWNCMD when the rehearsal was over"
                yield Item(Severity.BROKEN, member.name, text, "nutwizard check")
        yield from self._order()

    def _order(self) -> Iterator[Item]:
        host = self.cast.host
        at = self.ended.get(host.name)
        if at is None:
            return
        late = [
            member.name
            for member in self.cast.clients
            if self.ended.get(member.name, float("inf")) > at
            and not self.told(member.name, Kind.LOGIN_FAILED, Kind.CONNECT_FAILED)  # told already
        ]
        gave_up = self.told(host.name, Kind.HOSTSYNC)
        hostsync, poll = host.times.get("HOSTSYNC", 0), host.times.get("POLLFREQ", 0)
        if late and gave_up:
            text = (
                f"it waited HOSTSYNC ({hostsync} s) and went down before {few(late)}; a client needs up to"
                f" {poll} s to notice, and its own FINALDELAY ({self._finaldelay(late)} s)"
            )
            yield Item(Severity.BROKEN, host.name, text, "nutwizard step timing")
        elif late:
            text = f"it went down before {few(late)}, which it did not know of"
            yield Item(Severity.BROKEN, host.name, text, "nutwizard check")
        elif gave_up:
            after = [m.name for m in self.cast.clients if self.ended.get(m.name, at) > gave_up.at]
            text = f"it stopped waiting for {few(after) or 'its clients'} after HOSTSYNC ({hostsync} s)"
            yield Item(Severity.WARNING, host.name, text, "nutwizard step timing")

    def _finaldelay(self, names: Iterable[str]) -> int:
        chosen = set(names)
        return max((m.times.get("FINALDELAY", 0) for m in self.cast.members if m.name in chosen), default=0)

    def power(self) -> Iterator[Item]:
        """Whether the UPS would be told to cut its output once the host is down."""
        host = self.cast.host
        if host.name not in self.ended or self.cast.simulated:
            return
        if not self.cast.flag:
            text = (
                "upsmon.conf has no POWERDOWNFLAG: the UPS is not told to cut the power, and when the mains"
                " are back nothing switches this machine on again"
            )
            yield Item(Severity.BROKEN, host.name, text, "nutwizard step monitor")
        elif not any(m.code for m in self.of(host.name, What.FLAG)):
            text = f"{self.cast.flag} was not written: the UPS is not told to cut the power"
            yield Item(Severity.BROKEN, host.name, text, "nutwizard check")
        elif not self.cast.hook:
            text = "what cuts the power late in the shutdown (nutshutdown of nut-server) is not installed"
            yield Item(Severity.BROKEN, host.name, text, "apt-get install --reinstall nut-server")
        elif not any(True for _ in self.of(host.name, What.CUT)):
            text = f"{self.cast.hook} did not tell the UPS to cut the power"
            yield Item(Severity.BROKEN, host.name, text, "nutwizard check")
        left = next((m.text for m in self.of(host.name, What.LEFT)), "")
        if "FSD" in left.split() and "OL" in left.split():
            text = (
                "upsd goes on saying FSD with the mains there, until it ends: a machine that starts meanwhile"
                " goes down again. The UPS that cuts its output and gives it again brings all of them back"
            )
            yield Item(Severity.NOTE, host.name, text)

    def scripts(self) -> Iterator[Item]:
        mend = "nutwizard step actions"
        if self.cast.unread and self.served:
            text = f"the script of {few(self.cast.unread)} did not run: what it does is not known"
            yield Item(Severity.NOTE, "", text)
        for member in self.cast.members:
            for moment in self.of(member.name, What.COMPLAINT):
                severity = Severity.BROKEN if "Can't open" in moment.text else Severity.WARNING
                yield Item(severity, member.name, moment.text, _step_of(moment.text) or mend)
            for moment in self.of(member.name, What.RAN):
                if ends_machine(moment.text) and moment.user not in ("", "root"):
                    text = f"{moment.text} is called as {moment.user}, who may not; upsmon -c fsd is what may"
                    yield Item(Severity.BROKEN, member.name, text, mend)
            calls = {m.number: m for m in self.of(member.name, What.CALLED)}
            for back in self.of(member.name, What.RETURNED):
                call = calls.pop(back.number, None)
                if call is not None and back.code != 0:
                    text = f"{call.text} ended with code {back.code}"
                    yield Item(Severity.WARNING, member.name, text, mend)
                elif call is not None and back.at - call.at > LONG:
                    text = (
                        f"{call.text} took {back.at - call.at:.0f} s; upssched's timers stand still meanwhile"
                    )
                    yield Item(Severity.WARNING, member.name, text, mend)
            last = self.moments[-1].at if self.moments else 0.0
            for call in calls.values():
                text = (
                    f"{call.text} had not ended when the rehearsal was over, {last - call.at:.0f} s later;"
                    " upssched's timers stand still meanwhile"
                )
                yield Item(Severity.WARNING, member.name, text, mend)

    def events(self) -> Iterator[Item]:
        """Events that were to call the script, and called nothing."""
        for member in self.cast.members:
            if not member.script or any(True for _ in self.of(member.name, What.COMPLAINT)):
                continue
            called = {m.text.partition(":")[0] for m in self.of(member.name, What.CALLED)}
            silent = []
            for event, runs in member.runs.items():
                happened = self.told(member.name, Kind[event]) if event in Kind.__members__ else None
                if runs and happened is not None and event not in called:
                    silent.append(event)
            if silent:
                text = f"{few(silent)}: upsmon calls upssched, and no AT line runs {member.script} for it"
                yield Item(Severity.WARNING, member.name, text, "nutwizard step actions")


#: The step that mends what a daemon says of a file.
_STEPS = {
    "upssched.conf": "actions",
    "upsmon.conf": "monitor",
    "upsd.users": "client_user",
    "upsd.conf": "listen",
    "ups.conf": "driver",
    "nut.conf": "mode",
}


def _step_of(text: str) -> str:
    return next((f"nutwizard step {step}" for file, step in _STEPS.items() if file in text), "")


def _last(texts: Sequence[str]) -> str:
    return f": {texts[-1]}" if texts else ""
