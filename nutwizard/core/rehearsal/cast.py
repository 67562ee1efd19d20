"""Who plays, as far as a verdict has to know, and one thing that it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.core.rules.rule import Severity


@dataclass(frozen=True)
class Member:
    """One machine as its files have it.

    `runs`: by event whether upsmon hands it to upssched or another program (EXEC). `script`: the name of what
    is called then, "" where that cannot be reported. `times`: upsmon's, in the user's own seconds. `timers`:
    seconds of the timers of its upssched. `command`: what is wrong with its SHUTDOWNCMD, "" for nothing; it
    is not run.
    """

    name: str
    host: bool
    runs: Mapping[str, bool] = field(default_factory=dict)
    script: str = ""
    times: Mapping[str, int] = field(default_factory=dict)
    timers: tuple[int, ...] = ()
    command: str = ""


@dataclass(frozen=True)
class Cast:
    """What is known before the play. `flag`: POWERDOWNFLAG of the host, "" without; `hook`: what cuts the
    power late in its shutdown, "" where Debian's is not installed. `simulated`: the host is made up.
    `unread`: machines whose script was not run, and what it does is not known.
    """

    scenario: Scenario
    members: tuple[Member, ...]
    flag: str = ""
    hook: str = ""
    simulated: bool = False
    unread: tuple[str, ...] = ()

    @property
    def host(self) -> Member:
        return self.members[0]

    @property
    def clients(self) -> tuple[Member, ...]:
        return self.members[1:]


@dataclass(frozen=True)
class Item:
    """One thing that was seen. `mend`: a command, "" where a person has to think; `machine`: "" for all."""

    severity: Severity
    machine: str
    text: str
    mend: str = ""
