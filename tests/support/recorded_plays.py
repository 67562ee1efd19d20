"""Rehearsals that were played with real NUT, to be played again without it.

    python -m tests.support.recorded_plays [FOLDER]

plays them anew on a practice host (as root, with NUT installed) and writes what the stage told, one JSON
object a line: times from the first of them, users by name. Only the stage is recorded: what reads and
judges it is the program's own.
"""

from __future__ import annotations

import json
import pwd
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nutwizard.core.facts import Role
from nutwizard.core.rehearsal.form import Staging
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.rehearsal import forms, run
from nutwizard.engine.session import Session

FOLDER = Path(__file__).parents[1] / "cases" / "rehearsals" / "recorded"
#: Where Debian 12 has what a play needs.
DRIVER, HOOK = "/lib/nut/dummy-ups", "/lib/systemd/system-shutdown/nutshutdown"
Event = Mapping[str, Any]


def spoil(machine: PracticeHost) -> None:
    """Two mistakes in a host's files: no POWERDOWNFLAG, and a script that calls a missing program."""
    for path, old, new in (
        ("etc/nut/upsmon.conf", "\nPOWERDOWNFLAG", "\n#POWERDOWNFLAG"),
        ("usr/sbin/upssched-cmd", "\nmessage=", '\nmail-it "$text"\nmessage='),
    ):
        file = Path(machine.on_disk(f"/{path}"))
        text = file.read_text()
        assert text.count(old) == 1, path
        file.write_text(text.replace(old, new))


#: name -> what is played, and what is done to the machine before.
PLAYS: Mapping[str, tuple[Scenario, Callable[[PracticeHost], None]]] = {
    "cut": (Scenario.CUT, lambda machine: None),
    "blip": (Scenario.BLIP, lambda machine: None),
    "spoiled": (Scenario.CUT, spoil),
}


@dataclass
class Replay:
    """Takes the stage's place. `stops`: it hangs after so many events, until the person leaves."""

    name: str
    stops: int | None = None
    #: How often a stage has ended.
    ended: int = 0

    def take_over(self, patch: pytest.MonkeyPatch) -> Replay:
        """Have every rehearsal play this one; no root and no NUT are needed then."""
        patch.setattr(forms, "staging", lambda role: Staging())
        patch.setattr(forms, "driver", lambda: DRIVER)
        patch.setattr(forms, "hook", lambda form: HOOK)
        patch.setattr(run, "_Running", lambda play: _Replayed(self))
        return self


class _Replayed:
    """What `run._Running` is to the rest of the program."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.cut_off = self.whole = False

    def __enter__(self) -> _Replayed:
        return self

    def __exit__(self, *_: object) -> None:
        self._replay.ended += 1

    def events(self, limit: float, leaves: Callable[[], bool]) -> Iterator[Event]:
        for number, event in enumerate(recorded(self._replay.name)):
            if leaves():
                raise run.Left
            if number == self._replay.stops:
                end = time.monotonic() + limit
                while not leaves():
                    assert time.monotonic() < end, "nobody left"
                    time.sleep(0.01)
                raise run.Left
            self.whole = self.whole or (event["kind"] == "stage" and event["what"] == "end")
            yield event


def recorded(name: str) -> Iterator[Event]:
    """The events of a recording."""
    known = {each.pw_name: each.pw_uid for each in pwd.getpwall()}
    for line in (FOLDER / f"{name}.jsonl").read_text().splitlines():
        event = json.loads(line)
        event["at"] += 1.0  # no clock says 0
        if "user" in event:
            event["uid"] = known.get(event["user"], event["user"])
        yield event


def record(session: Session, scenario: Scenario) -> list[dict[str, Any]]:
    """Play it for real; what the stage told."""
    real = run._Running.events
    told: list[dict[str, Any]] = []

    def events(self: Any, limit: float, leaves: Callable[[], bool]) -> Iterator[Event]:
        for event in real(self, limit, leaves):
            told.append(dict(event))
            yield event

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run._Running, "events", events)
        session.rehearse(scenario, begins=lambda prepared: None, told=lambda moment: None)
    first = told[0]["at"]
    for event in told:
        event["at"] = round(event["at"] - first, 3)
        if "uid" in event:
            event["user"] = pwd.getpwuid(event.pop("uid")).pw_name
    return told


def main() -> None:
    from tests.tui.screens import open_session

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, (scenario, prepare) in PLAYS.items():
        with tempfile.TemporaryDirectory() as found:
            machine = PracticeHost.open(f"{found}/practice", Role.HOST)
            try:
                session = open_session(machine)
                session.apply(lambda text: None)
                prepare(machine)
                told = record(session, scenario)
            finally:
                machine.close()
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in told))
        print(f"{name}: {len(told)} events")


if __name__ == "__main__":
    main()
