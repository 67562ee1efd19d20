"""What happened in a rehearsal, moment by moment, from what its machines wrote and called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from nutwizard.core.logtexts import Kind, Read, reader
from nutwizard.formats.safe import safe_text

#: The tag of what only tells that it was called, and the name under which a script lies beside its reporter.
TAG = "nutwizard-rehearsal"
_ASIDE = re.compile(r"\.([\w.-]+)\.rehearsed")
_LOG = re.compile(r"(?:<\d+>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?([^\s:\[]+)(?:\[\d+\])?: ?(.*)", re.S)
_BEGIN = re.compile(r"begin (\d+) (\S+) (\S+) ?(.*)")
_END = re.compile(r"end (\d+) (\d+)")
#: What upssched says when it cannot do its work (seen with 2.7.4 to 2.8.5).
_COMPLAINT = re.compile(
    r"Can't open|must be set before|Permission denied|exec_cmd\(.*\) (?:returned|terminated)|Parse error"
    r"|invalid directive|Failed to (?:connect|become|create)|Unable to"
)
#: What a shell says of a line that it cannot run.
_SHELL = re.compile(
    r"not found|Permission denied|No such file|syntax error|unbound variable|parameter not set"
)
#: What a daemon says at each start and each call, and what it says twice.
_NOISE = re.compile(
    r"Network UPS Tools|fopen |Could not find PID file|writepid:|Init SSL|UPS: |Using power down flag"
    r"|listening on|Connected to UPS|Running as foreground|Executing command:|Startup successful|sock_connect"
    r"|.*using builtin defaults|^$"
)
#: What a daemon puts before each line with -D, which NUT before 2.8.0 needs to stay in the foreground.
_DEBUG = re.compile(r"^ *\d+\.\d{6}\t(?:\[D\d\] )?")
#: Who speaks through upsmon's output or the log, but is no daemon of NUT.
_DAEMONS = ("upsmon", "upsd", "upssched", "upsdrvctl", "dummy-ups", "nut-monitor", "nut-server")
_LONGEST = 200
#: Seconds: a daemon that prints and logs says one thing twice.
_TWICE = 1.0


def ends_machine(called: str) -> bool:
    """Whether a call of one of the replaced programs would take the machine down now, made by root."""
    name, *args = called.split(" ")
    words = [arg for arg in args if not arg.startswith("-")]
    if name == "shutdown":
        later = bool(words) and words[0] not in ("now", "+0")
        return "-c" not in args and not later
    if name in ("init", "telinit"):
        return words[:1] in (["0"], ["6"])
    if name == "systemctl":
        return words[:1] in (["poweroff"], ["halt"], ["reboot"]) or words == ["isolate", "poweroff.target"]
    return name in ("SHUTDOWNCMD", "poweroff", "halt", "reboot")


class What(StrEnum):
    """What a moment is."""

    UPS = "the UPS says"
    EVENT = "event"
    CALLED = "called"
    RETURNED = "returned"
    SAID = "said"
    LOGGED = "logged"
    COMPLAINT = "complaint"
    DAEMON = "daemon"
    ENDED = "daemon ended"
    END = "SHUTDOWNCMD"
    RAN = "ran"
    WALL = "wall"
    FSD_ASKED = "upsmon -c fsd"
    HOOK = "late in the shutdown"
    CUT = "the UPS is told to cut its output"
    FLAG = "POWERDOWNFLAG"
    LEFT = "upsd says at the end"
    BROKE = "broke off"
    STAGE = "stage"


@dataclass(frozen=True)
class Moment:
    """`at`: seconds from the first thing that happens to the UPS, negative before it. `machine`: "" for the
    UPS itself. `user`: who it ran as, "" where that does not matter. `kind`: of an EVENT. `number`: of a
    call. Every text is safe to show.
    """

    at: float
    machine: str
    what: What
    text: str = ""
    user: str = ""
    kind: Kind | None = None
    number: int = 0
    code: int = 0


class Reader:
    """Makes moments of the events of a stage. `messages`: NOTIFYMSG of each machine; `users`: uid -> name."""

    def __init__(self, messages: Mapping[str, Mapping[str, str]], users: Mapping[int, str]) -> None:
        self._reads: dict[str, Read] = {name: reader(own) for name, own in messages.items()}
        self._users = users
        self._latest: dict[tuple[str, str], float] = {}
        self._first = self._zero = 0.0
        #: Whether anything has happened to the UPS: moment 0 is when it does.
        self.begun = False

    def timed(self, moments: Iterable[Moment]) -> tuple[Moment, ...]:
        """All moments with their times from moment 0: those before it were read when it was not known."""
        before = self._zero - self._first if self.begun else 0.0
        out = []
        for moment in moments:
            before = 0.0 if moment.what in (What.UPS, What.FSD_ASKED) else before
            out.append(replace(moment, at=moment.at - before))
        return tuple(out)

    def read(self, event: Mapping[str, Any]) -> Iterator[Moment]:
        """The moments in one event. Before moment 0 their times count from the first event."""
        kind = event["kind"]
        if not self._first:
            self._first = self._zero = event["at"]
        if not self.begun and kind == "stage" and event["what"] in ("ups", "fsd"):
            self.begun, self._zero = True, event["at"]
        at = event["at"] - self._zero
        if kind == "stage":
            yield from self._of_stage(at, event)
        elif kind == "log":
            yield from self._of_log(at, event)
        elif kind == "said":
            text = _ASIDE.sub(r"\1", event["text"])
            what = What.COMPLAINT if _SHELL.search(text) else What.SAID
            yield Moment(at, event["machine"], what, _shown(text))
        elif kind == "out":
            yield from self._of_daemon(at, event["machine"], event["name"], event["text"], "")
        elif kind == "ended":
            yield Moment(at, event["machine"], What.ENDED, _shown(event["name"]), code=event["code"])

    def _of_stage(self, at: float, event: Mapping[str, Any]) -> Iterator[Moment]:
        what = event["what"]
        if what == "ups":
            yield Moment(at, "", What.UPS, _shown(event["values"]["ups.status"]))
        elif what == "fsd":
            yield Moment(at, event["on"], What.FSD_ASKED, "", "root")
        elif what == "hook":
            yield Moment(at, event["on"], What.HOOK, "", "root")
        elif what == "broke":
            yield Moment(at, "", What.BROKE, _shown(event["text"]))
        elif what == "left":
            yield Moment(at, event["on"], What.LEFT, _shown(event["text"]))
            yield Moment(at, event["on"], What.FLAG, code=int(event["flag"]))
        else:
            yield Moment(at, "", What.STAGE, what)

    def _of_log(self, at: float, event: Mapping[str, Any]) -> Iterator[Moment]:
        found = _LOG.fullmatch(event["text"])
        tag, text = (found[1], found[2]) if found else ("", event["text"])
        user = self._users.get(event["uid"], str(event["uid"]))
        if tag == TAG:
            yield from _of_ours(at, event["machine"], text, user)
        elif tag in _DAEMONS:
            yield from self._of_daemon(at, event["machine"], tag, text, user)
        else:
            yield Moment(at, event["machine"], What.LOGGED, _shown(f"{tag}: {text}" if tag else text), user)

    def _of_daemon(self, at: float, machine: str, name: str, text: str, user: str) -> Iterator[Moment]:
        text = _DEBUG.sub("", text)
        key = (machine, text)
        again = at - self._latest.get(key, -9.0) < _TWICE
        self._latest[key] = at
        if again or _NOISE.match(text):
            return
        found = self._reads[machine](text)
        if found is not None:
            yield Moment(at, machine, What.EVENT, _shown(text), user, kind=found[0])
        elif _COMPLAINT.search(text):
            yield Moment(at, machine, What.COMPLAINT, _shown(_ASIDE.sub(r"\1", text)), user)
        else:
            yield Moment(at, machine, What.DAEMON, _shown(f"{name}: {text}"), user)


def _of_ours(at: float, machine: str, text: str, user: str) -> Iterator[Moment]:
    """What the copy's own programs tell."""
    if begun := _BEGIN.fullmatch(text):
        event = "" if begun[2] == "-" else begun[2]
        called = f"{begun[3]} {begun[4]}".rstrip()
        said = f"{event}: {called}" if event else called
        yield Moment(at, machine, What.CALLED, _shown(said), user, number=int(begun[1]))
    elif ended := _END.fullmatch(text):
        yield Moment(at, machine, What.RETURNED, "", user, number=int(ended[1]), code=int(ended[2]))
    elif text.startswith("wall "):
        yield Moment(at, machine, What.WALL, _shown(text[5:].strip()), user)
    elif text.startswith("ran "):
        called = text[4:].strip()
        if called == "SHUTDOWNCMD" or (ends_machine(called) and user in ("", "root")):
            yield Moment(at, machine, What.END, _shown(called), user)
        elif called.startswith("upsdrvctl") and "shutdown" in called:
            yield Moment(at, machine, What.CUT, _shown(called), user)
        else:
            yield Moment(at, machine, What.RAN, _shown(called), user)


def _shown(text: str) -> str:
    text = safe_text(text[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
