"""The order of a rehearsal: daemons as systemd starts them, then the UPS, until everything has gone down."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nutwizard.core.rehearsal.moments import TAG, ends_machine
from nutwizard.engine.rehearsal.part import Part, Turn

if TYPE_CHECKING:
    from nutwizard.engine.rehearsal.stage import Event, Stage

#: Seconds. The driver's first data, and every upsmon's login.
_DATA, _LOGINS = 15.0, 12.0
_STOP = 5.0
#: What may take longer than anybody waits.
_BOUNDED = ("/usr/bin/timeout", "5")
#: How long a client may still go down when the host has.
MISSED = 4.0
_EVERY = 0.15
_UPSC, _UPSMON = ("/usr/bin/timeout", "3", "/bin/upsc"), "/sbin/upsmon"
#: A line that is an address alone: upsc also says what it misses of SSL.
_ADDRESS = re.compile(r"(?m)^[0-9a-fA-F.:]+$")
#: What upsmon and upsd say of a login that will not come.
_REFUSED = ("failed - got", "Can't login", "Unable to use old-style MONITOR", "insufficient power")


class _Ends:
    """Which machines are on their way down: those whose SHUTDOWNCMD has run."""

    def __init__(self, stage: Stage) -> None:
        self.expected = {part.name for part in stage.play.parts if "upsmon" in part.daemons}
        self.down: set[str] = set()
        #: Where there is no root, everybody is the one user.
        self._anybody = stage.play.sockets is not None
        stage.observers.append(self._see)

    @property
    def all(self) -> bool:
        """Whether nobody is left."""
        return self.down >= self.expected

    def _may_end(self, user: int) -> bool:
        return user == 0 or self._anybody

    def _see(self, event: Event) -> None:
        if event["kind"] == "log" and f"{TAG}: ran " in event["text"]:
            called = event["text"].partition(f"{TAG}: ran ")[2].strip()
            if called == "SHUTDOWNCMD" or (ends_machine(called) and self._may_end(event["uid"])):
                self.down.add(event["machine"])


def conduct(stage: Stage) -> None:
    """Play from the start of the daemons to the end of the last machine. Raises OSError."""
    ends = _Ends(stage)
    host = stage.play.parts[0]
    serving = _serve(stage, host)
    _watch(stage, host, serving)
    if not serving:
        return
    stage.tell("begin")
    for turn in stage.play.turns:
        _turn(stage, host, turn, ends)
    if stage.play.fsd:
        stage.tell("fsd", on=host.name)
        code, said = stage.run(host.name, _UPSMON, "-c", "fsd")
        stage.tell("asked", code=code, text=said)
    _until_down(stage, host, ends)
    stage.wait(stage.play.rest)
    _afterwards(stage, host, ends)


def _until_down(stage: Stage, host: Part, ends: _Ends) -> None:
    """Until all are down. Who is not when the host is has missed its time: nothing more is to be learnt."""
    if not ends.all:
        stage.until(lambda event: ends.all or host.name in ends.down, stage.play.patience)
    if host.name in ends.down and not ends.all:
        stage.until(lambda event: ends.all, MISSED)


def _serve(stage: Stage, host: Part) -> bool:
    """Start driver and upsd; whether the UPS answers. A daemon that does not come up is part of the play."""
    if host.served is not None:
        stage.order(host.name, "serve")
        stage.order(host.name, "say", values=dict(stage.play.values))
        stage.tell("served", text=stage.play.values["ups.status"])
        return True
    for name in (name for name in host.daemons if name != "upsmon"):
        stage.order(host.name, "start", name=name, argv=host.daemons[name])
    begun, said = time.monotonic(), ""
    while time.monotonic() - begun < _DATA:
        code, said = _asked(stage, host)
        # Before its first data a UPS is in WAIT: an upsmon that meets that sleeps 5 s, whatever POLLFREQ is.
        if code == 0 and stage.play.values["ups.status"].split()[0] in said.split():
            stage.tell("served", text=said)
            return True
        stage.wait(_EVERY)
    stage.tell("not served", text=said)
    return False


def _asked(stage: Stage, host: Part) -> tuple[int, str]:
    code, said = stage.run(host.name, *_UPSC, host.system, "ups.status")
    return code, said.strip().splitlines()[-1] if said.strip() else ""


def _watch(stage: Stage, host: Part, serving: bool) -> None:
    """Start every upsmon, the host's first, and wait until each is logged in or has been refused."""
    refused: set[str] = set()
    there: set[str] = set()

    def listen(event: Event) -> None:
        if event["kind"] in ("log", "out") and any(words in event.get("text", "") for words in _REFUSED):
            refused.add(event["machine"])
        if event["kind"] == "ended" and event["name"] == "upsmon":
            refused.add(event["machine"])

    stage.observers.append(listen)
    begun = time.monotonic()
    watching = [part for part in stage.play.parts if "upsmon" in part.daemons]
    for part in watching:
        stage.order(part.name, "start", name="upsmon", argv=part.daemons["upsmon"])
        if part is host and serving:
            stage.wait(0.3)
    while serving and time.monotonic() - begun < _LOGINS:
        there = _there(stage, host)
        missing = [
            part.name for part in watching if not _logged_in(part, host, there) and part.name not in refused
        ]
        if not missing:
            break
        stage.wait(_EVERY)
    stage.tell("logins", text=" ".join(sorted(there)))


def _there(stage: Stage, host: Part) -> set[str]:
    """The addresses that are logged in to the host's upsd."""
    if host.served is not None:
        return set(stage.order(host.name, "there")["addresses"])
    _, said = stage.run(host.name, *_UPSC, "-c", host.system)
    return set(_ADDRESS.findall(said))


def _logged_in(part: Part, host: Part, there: set[str]) -> bool:
    own = {address.partition("/")[0] for address in part.addresses}
    return bool(there & (own | ({"127.0.0.1", "::1"} if part is host else set())))


def _turn(stage: Stage, host: Part, turn: Turn, ends: _Ends) -> None:
    if not turn.ending:
        stage.wait(turn.after)
    elif not ends.down:
        stage.until(lambda event: bool(ends.down), turn.after)
    stage.tell("ups", values=dict(turn.values))
    if host.served is not None:
        stage.order(host.name, "say", values=dict(turn.values))
    for path in stage.play.devices:
        stage.order(host.name, "put", path=path, text=device_text(turn.values).decode())


def _afterwards(stage: Stage, host: Part, ends: _Ends) -> None:
    """What is left on the host, and what runs late in its shutdown: upsmon is ended by then."""
    if host.served is not None:
        return
    _, said = _asked(stage, host)
    flag = bool(stage.play.flag) and stage.order(host.name, "look", path=stage.play.flag)["there"]
    stage.tell("left", text=said, flag=flag, on=host.name)
    if host.name not in ends.down or not stage.play.hook:
        return
    stage.run(host.name, _UPSMON, "-c", "stop")
    end = time.monotonic() + _STOP
    while "upsmon" in stage.order(host.name, "alive")["names"] and time.monotonic() < end:
        stage.wait(_EVERY)
    stage.tell("hook", on=host.name)
    # POWEROFF_WAIT of nut.conf has it sleep after that.
    code, said = stage.run(host.name, *_BOUNDED, stage.play.hook, "poweroff")
    stage.tell("hook ended", code=code, text=said)
    stage.wait(0.3)


def device_text(values: Mapping[str, str]) -> bytes:
    """The file that dummy-ups reads."""
    return "".join(f"{name}: {value}\n" for name, value in sorted(values.items())).encode("ascii", "replace")
