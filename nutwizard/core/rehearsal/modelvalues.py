"""What the model of NUT is told of a machine, and what it asks of the stage that it plays on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nutwizard.core.logtexts import Kind
from nutwizard.core.rehearsal.moments import What


@dataclass(frozen=True)
class Line:
    """A MONITOR line. `who`: user@address as upsd sees it. `primary`: it has the word; `rights`: upsd lets
    its user set FSD.

    `refused`: what upsmon says of its login when something is wrong with it; then it looks only after its
    first sleep. `inside`: its login counts all the same. `fails`: what it says at each look where it gets no
    status.
    """

    system: str
    ups: str
    value: int
    who: str
    primary: bool = False
    rights: bool = False
    refused: tuple[Kind, str] | None = None
    inside: bool = True
    fails: tuple[Kind, str] | None = None


@dataclass(frozen=True)
class Called:
    """What upsmon calls at an event. `script`: its path. `ats`: event, UPS, command and what follows, of
    upssched.conf; None where no upssched is called. `complaint`: why nothing is called, "". `code`: what a
    call ends with where the script is missing or may not be run, else 0. `forcing`: words at which the script
    asks for a forced shutdown.
    """

    script: str
    ats: tuple[tuple[str, str, str, tuple[str, ...]], ...] | None
    complaint: str = ""
    code: int = 0
    forcing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Watcher:
    """A machine's upsmon as its files have it, its times as they are played.

    `notes`: by event its text and its flags. `messages`: NOTIFYMSG, as they tell the kind of a text. `fault`:
    why it does not run, with the `code` it ends with then.
    """

    name: str
    lines: tuple[Line, ...]
    needed: int
    times: Mapping[str, int]
    notes: Mapping[str, tuple[str, frozenset[str]]]
    messages: Mapping[str, str] = field(default_factory=dict)
    called: Called | None = None
    fault: str = ""
    code: int = 1


class Stage(Protocol):
    """What the model's upsd and clock are to an upsmon."""

    now: float

    def status(self, ups: str) -> str:
        """What upsd tells."""

    def tell(self, machine: str, what: What, text: str = "", *, kind: Kind | None = None, number: int = 0,
             code: int = 0) -> None:  # fmt: skip
        """A moment that is now."""

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Have something done after so many seconds."""

    def login(self, machine: str, ups: str, who: str) -> None:
        """Be logged in."""

    def force(self, ups: str, who: str) -> None:
        """Set FSD."""

    def logins(self, ups: str) -> int:
        """How many are logged in."""

    def gone(self, machine: str) -> None:
        """Have run SHUTDOWNCMD."""
