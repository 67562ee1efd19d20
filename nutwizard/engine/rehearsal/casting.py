"""From the files of the machines to a play: who runs what, on which address, and how fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nutwizard.core import paths
from nutwizard.core.checks import is_ip
from nutwizard.core.events import DEFAULT_FLAGS, events_of
from nutwizard.core.facts import Door, Facts
from nutwizard.core.rehearsal import rewriting
from nutwizard.core.rehearsal.cast import Cast, Member
from nutwizard.core.rehearsal.pace import Pace, compressed
from nutwizard.core.rehearsal.scenario import BLIP, Scenario, cues, ends, told_off, values_at, watched_for
from nutwizard.core.server import listen_lines, local_address
from nutwizard.core.shutdown import Verdict, judge
from nutwizard.core.site import system_word
from nutwizard.core.upssched import EXECUTE, at_lines
from nutwizard.engine.rehearsal.addressing import addresses_of, monitors_of, named_servers
from nutwizard.engine.rehearsal.conduct import device_text
from nutwizard.engine.rehearsal.part import END, Part, Placed, Play, Served, Turn
from nutwizard.engine.rehearsal.sets import OWN_ACTIONS, FileSet
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile

#: From this version on the daemons stay in the foreground with -F; before it -D does, and they say more.
_FOREGROUND = (2, 8, 0)
#: Values that a real UPS would have, where none is told.
_VALUES = {"battery.charge": "100", "battery.runtime": "1200", "ups.load": "20"}
#: Seconds on battery until it is low: where nobody tells, at the least, and in a play without a timer.
_RUNTIME, _LEAST, _QUICK = 600, 60, 3
#: Seconds that scheduling may add to a play, and each machine to its end.
_SLACK, _EACH = 12.0, 0.5
#: Until every daemon is up and logged in.
_START = 45.0
#: What the computer that carries the play may have, and a machine of it only if its files say so.
_MANAGED = (
    *(paths.NUT_CONF, paths.UPS_CONF, paths.UPSD_CONF, paths.UPSD_USERS, paths.UPSMON_CONF),
    *(paths.UPSSCHED_CONF, paths.UPSSCHED_CMD, "/usr/local/sbin/upssched-cmd", OWN_ACTIONS, paths.KILLPOWER),
)


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `real_time`: the user's own intervals; `verbatim`: the user's SHUTDOWNCMD too."""

    scenario: Scenario
    real_time: bool = False
    verbatim: bool = False


@dataclass(frozen=True)
class Caster:
    """Makes the play of one rehearsal. `sets`: the host's files first; `values`: what its UPS tells now.

    `hook`: what cuts the power late in the host's shutdown, "" for none; `driver`: the path of dummy-ups.
    """

    wanted: Wanted
    facts: Facts
    sets: Sequence[FileSet]
    values: Mapping[str, str]
    hook: str
    driver: str

    @cached_property
    def cast(self) -> Cast:
        """What the verdict has to know."""
        members = [_member(each, self.facts.nut.version) for each in self.sets]
        own = 1 if self.made_up else 0  # whose programs are this machine's
        members[own : own + 1] = [replace(each, command=self._wrong(own)) for each in members[own : own + 1]]
        flag = rewriting.word_of(self.sets[0].data(paths.UPSMON_CONF), "POWERDOWNFLAG")
        return Cast(self.wanted.scenario, tuple(members), flag, self.hook, self.made_up)

    def _wrong(self, number: int) -> str:
        """What is wrong with the SHUTDOWNCMD of this machine, as far as its text and its programs tell."""
        command = rewriting.command_of(self.sets[number].data(paths.UPSMON_CONF), "SHUTDOWNCMD")
        if not command:
            return "" if self.wanted.verbatim else "upsmon.conf has none: nothing shuts this machine down"
        judged = judge(command, self.facts.program, system=self.facts.door is Door.LIVE)
        never = "nothing in it shuts this machine down" if judged.verdict is Verdict.NEVER else ""
        return next(iter(judged.wrong), never)

    @cached_property
    def pace(self) -> Pace:
        """How fast it is played."""
        if self.wanted.real_time:
            return Pace()
        polls = [each.times[name] for each in self.cast.members for name in ("POLLFREQ", "POLLFREQALERT")]
        # Without a timer nothing happens until the battery is low.
        outlasts = BLIP if self.wanted.scenario is Scenario.BLIP else 0
        return compressed(polls, [*self._timers, self._until_low] if self._timers else [], outlasts)

    @cached_property
    def play(self) -> Play:
        """What a stage is told."""
        host, *clients = self.sets
        addresses = addresses_of(self.facts, host, clients)
        main = addresses[host.name][0].partition("/")[0]
        own = addresses[host.name]
        parts = [self._made_up(own) if self.made_up else self._host_part(own)]
        parts += [self._client_part(each, addresses[each.name], main) for each in clients]
        known = self._known
        levels = rewriting.levels_below(host.data(paths.UPS_CONF), self._watched)
        given = cues(self.wanted.scenario, self._low_at)
        given = told_off(self.wanted.scenario, given) if self.made_up else given
        turns = (Turn(cue.after, values_at(cue, known, levels), cue.ending) for cue in given)
        devices = tuple(f"{paths.NUT}/{rewriting.device_of(name)}" for name in self._names)
        fsd = self.wanted.scenario is Scenario.FSD and not self.made_up
        return Play(
            tuple(parts), devices, known, tuple(turns), fsd, self.hook, self.cast.flag, self._patience
        )

    @property
    def made_up(self) -> bool:
        """Whether the host is made up: its files are not here, since this machine follows it."""
        return not self.sets[0].files

    @cached_property
    def limit(self) -> float:
        """Seconds after which it is over, whatever hangs."""
        play = self.play
        turns = sum(turn.after for turn in play.turns)
        return _START + turns + play.patience + play.rest + _EACH * len(play.parts)

    @cached_property
    def _known(self) -> dict[str, str]:
        return {**_VALUES, **self.values, "ups.status": "OL"}

    @cached_property
    def _names(self) -> list[str]:
        return SectionFile.parse(self.sets[0].data(paths.UPS_CONF)).names()

    @cached_property
    def _watched(self) -> str:
        """The UPS that the host itself watches."""
        own = [each.ups for each in monitors_of(self.sets[0]) if each.local and each.ups in self._names]
        return next(iter(own), next(iter(self._names), "ups"))

    @cached_property
    def _timers(self) -> tuple[int, ...]:
        return tuple(each for member in self.cast.members for each in member.timers)

    @cached_property
    def _until_low(self) -> int:
        """Seconds on battery until it is low, as the UPS says."""
        runtime, low = (_number(self.values.get(f"battery.runtime{end}", "")) for end in ("", ".low"))
        return max(_LEAST, runtime - low) if runtime else _RUNTIME

    @cached_property
    def _low_at(self) -> float:
        """The same in the play. Where every timer has run by then, nothing more is to be waited for."""
        longest = max(self._timers, default=0)
        if self._until_low <= longest or (longest and self.pace.timers):
            return float(self.pace.timer(self._until_low))
        return float(longest + _QUICK)

    @cached_property
    def _patience(self) -> float:
        timers = max((self.pace.timer(each) for each in self._timers), default=0)
        if ends(self.wanted.scenario) is False or (self.wanted.scenario is Scenario.TIMER and not timers):
            return watched_for(timers)
        longest = max(self._sequence(member) for member in self.cast.members)
        waits = timers if self.wanted.scenario in (Scenario.TIMER, Scenario.CUT) else 0
        return longest + waits + _SLACK + _EACH * len(self.cast.members)

    def _sequence(self, member: Member) -> float:
        """Seconds that a machine needs at most to go down once FSD is set."""
        names = ("POLLFREQ", "POLLFREQALERT", "HOSTSYNC", "FINALDELAY", "FINALDELAY")
        return float(sum(self.pace.seconds(name, member.times[name]) for name in names))

    def _host_part(self, own: tuple[str, ...]) -> Part:
        found = self.sets[0]
        address, port = local_address(listen_lines(NutFile.parse(found.data(paths.UPSD_CONF))))
        devices = [
            Placed(f"{paths.NUT}/{rewriting.device_of(name)}", device_text(self._known), "root", "nut", 0o640)
            for name in self._names
        ]
        daemons = {f"driver {name}": (self.driver, "-a", name) for name in self._names}
        return Part(
            name=found.name,
            host=True,
            files=(*self._played(found), *devices),
            addresses=own,
            system=system_word(self._watched, address, port),
            daemons={**daemons, "upsd": self._daemon("upsd"), "upsmon": self._daemon("upsmon")},
            names=tuple(
                f"{own[0].partition('/')[0]} {each.server}"
                for each in monitors_of(found)
                if not each.local and not is_ip(each.server) and each.ups in self._names
            ),
            absent=_absent(found),
            reported=tuple(_reported(found)),
        )

    def _made_up(self, own: tuple[str, ...]) -> Part:
        """The host that the one client follows, at the addresses that its files name."""
        found = self.sets[0]
        followed = [each for client in self.sets[1:] for each in monitors_of(client)]
        served = Served(
            tuple(dict.fromkeys(each.ups for each in followed)),
            tuple({each.user: each.password for each in followed}.items()),
            tuple(dict.fromkeys((self._at(each.server, own), each.port) for each in followed)),
        )
        return Part(found.name, True, (), own, "", {}, served=served)

    def _at(self, server: str, own: tuple[str, ...]) -> str:
        return server if is_ip(server) else own[0].partition("/")[0]

    def _client_part(self, found: FileSet, own: tuple[str, ...], server: str) -> Part:
        return Part(
            name=found.name,
            host=False,
            files=tuple(self._played(found)),
            addresses=own,
            system=next((each.system for each in monitors_of(found)), ""),
            daemons={"upsmon": self._daemon("upsmon")},
            names=tuple(f"{server} {name}" for name in named_servers(found)),
            absent=_absent(found),
            reported=tuple(_reported(found)),
        )

    def _played(self, found: FileSet) -> Iterator[Placed]:
        """The machine's files as they play."""
        for path, file in found.files.items():
            data = file.data
            if path == paths.UPS_CONF:
                data = rewriting.ups_conf(data)
            elif path == paths.UPSMON_CONF:
                data = rewriting.upsmon_conf(data, self.pace, "" if self.wanted.verbatim else END)
            elif path == paths.UPSSCHED_CONF:
                data = rewriting.upssched_conf(data, self.pace)
            yield Placed(path, data, file.user, file.group, file.mode)

    def _daemon(self, name: str) -> tuple[str, ...]:
        return (f"/sbin/{name}", "-F" if self.facts.nut.version >= _FOREGROUND else "-D")


def _member(found: FileSet, version: tuple[int, ...]) -> Member:
    upsmon, upssched = (found.data(path) for path in (paths.UPSMON_CONF, paths.UPSSCHED_CONF))
    notify, script = rewriting.program_of(upsmon, "NOTIFYCMD"), rewriting.program_of(upssched, "CMDSCRIPT")
    script = script if notify.endswith("/upssched") else notify
    text = found.files.get(script)
    if text is None or not text.data.startswith(b"#!"):
        script = ""  # a program of the system, or none: its calls are not told
    timed = {at.event for at in at_lines(NutFile.parse(upssched)) if at.command != EXECUTE}
    return Member(
        found.name,
        found.host,
        {event: _calls(upsmon, event) and event not in timed for event in events_of(version)}
        if notify
        else {},
        script.rpartition("/")[2],
        rewriting.times_of(upsmon),
        rewriting.timer_seconds(upssched),
    )


def _calls(upsmon: bytes, event: str) -> bool:
    entry = NutFile.parse(upsmon).get("NOTIFYFLAG", event)
    flags = (entry.args[1] if entry is not None and len(entry.args) > 1 else DEFAULT_FLAGS).split("+")
    return "EXEC" in flags and "IGNORE" not in flags


def _absent(found: FileSet) -> tuple[str, ...]:
    return tuple(path for path in _MANAGED if path not in found.files)


def _reported(found: FileSet) -> Iterator[str]:
    notify = rewriting.program_of(found.data(paths.UPSMON_CONF), "NOTIFYCMD")
    if notify and not notify.endswith("/upssched"):
        yield notify
    if script := rewriting.program_of(found.data(paths.UPSSCHED_CONF), "CMDSCRIPT"):
        yield script


def _number(word: str) -> int:
    whole = word.partition(".")[0]
    return int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 9 else 0
