"""The upssched of the model: what an event calls, and the timers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nutwizard.core.rehearsal.modelvalues import Called, Stage
from nutwizard.core.rehearsal.moments import What
from nutwizard.core.upssched import CANCEL, EXECUTE, START

#: Seconds that a script takes, and until a timer begins: upssched starts a process that holds it.
_SCRIPT, _TIMER = 0.02, 0.25
#: START-TIMER has a name and seconds, CANCEL-TIMER may have a name and a command.
_PARTS = 2
#: A shell's code for a program that may not be run.
_NOT_RUN = 126


class Upssched:
    """What NOTIFYCMD does: as a rule upssched, with its timers; else a program of the user's own."""

    def __init__(self, stage: Stage, name: str, called: Called, fsd: Callable[[], None]) -> None:
        self._stage, self._name, self._called, self._fsd = stage, name, called, fsd
        self._timers: list[tuple[str, int]] = []
        self._holder = ""
        self._number = 0

    def call(self, event: str, system: str, text: str) -> None:
        """Upsmon calls it for an event of a UPS."""
        if self._called.complaint:
            self._stage.tell(self._name, What.COMPLAINT, self._called.complaint)
        elif self._called.ats is None:
            self._run(event, text)
        else:
            for command, rest in self._matching(event, system):
                self._obey(event, command, rest)

    def _matching(self, event: str, system: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        for on, about, command, rest in self._called.ats or ():
            if on == event and about in ("*", system):
                yield command, rest

    def _obey(self, event: str, command: str, rest: tuple[str, ...]) -> None:
        if command == EXECUTE:
            self._run(event, rest[0])
        elif command == START and len(rest) >= _PARTS and rest[1].isdigit():
            self._number += 1
            timer = (rest[0], self._number)
            self._holder = event if not self._timers else self._holder
            self._timers.append(timer)
            self._stage.later(_TIMER + int(rest[1]), lambda: self._over(timer))
        elif command == CANCEL:
            running = next((timer for timer in self._timers if timer[0] == rest[0]), None)
            if running is not None:
                self._timers.remove(running)
            elif len(rest) >= _PARTS:
                self._run(self._holder if self._timers else event, rest[1])

    def _over(self, timer: tuple[str, int]) -> None:
        if timer in self._timers:
            self._timers.remove(timer)
            self._run(self._holder, timer[0])

    def _run(self, event: str, word: str) -> None:
        """The script is called, and nothing is known of what it does but that ours may force a shutdown."""
        path, code = self._called.script, self._called.code
        if code == _NOT_RUN:
            self._stage.tell(self._name, What.COMPLAINT, f"sh: 1: {path}: Permission denied")
        if code:
            self._stage.tell(self._name, What.COMPLAINT, f"exec_cmd({path} {word}) returned {code}")
            return
        self._number += 1
        number = self._number
        said = f"{event}: {path.rpartition('/')[2]} {word}"
        self._stage.tell(self._name, What.CALLED, said, number=number)
        if word in self._called.forcing:
            self._stage.later(_SCRIPT, self._fsd)
        back = (self._name, What.RETURNED)
        self._stage.later(_SCRIPT, lambda: self._stage.tell(*back, number=number))
