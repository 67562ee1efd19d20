"""Cases of the rehearsal: healthy machines, what is changed in them, and what the play is to show.

`tests/cases/rehearsals/README.md` says what may stand in a case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from nutwizard.core.facts import Facts
from nutwizard.core.paths import UPSSCHED_CMD, UPSSCHED_CONF
from nutwizard.core.rehearsal.moments import Moment
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.core.upssched import Timer
from nutwizard.core.upsschedcmd import script_text
from nutwizard.engine import registry
from nutwizard.engine.rehearsal import forms
from nutwizard.engine.rehearsal.casting import Caster, Wanted
from nutwizard.engine.rehearsal.part import Placed
from nutwizard.engine.rehearsal.run import Rehearsed
from nutwizard.engine.rehearsal.sets import FileSet, implied_clients

from .rule_cases import look_at

FOLDER = Path(__file__).parents[1] / "cases" / "rehearsals"
HOST, CLIENT = "host-2.8.0", "client-2.8.0"


@dataclass(frozen=True)
class Case:
    """`name`: of its file; `spec`: its content."""

    name: str
    spec: Mapping[str, Any]

    @property
    def expect(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.spec["expect"]
        return found

    @property
    def modelled(self) -> bool:
        """Whether the model can play it: what happens does not depend on what a script does."""
        found: bool = self.spec.get("model", True)
        return found

    def caster(self) -> Caster:
        """What is to be played."""
        wanted = Wanted(
            Scenario(self.spec["scenario"]),
            real_time=self.spec.get("real_time", False),
            verbatim=self.spec.get("verbatim", False),
        )
        given = self.spec.get("host") or {}
        made_up = given == "made up"
        facts, values = _machine(CLIENT if made_up else HOST, {} if made_up else given)
        host = FileSet("pve", True, {}) if made_up else _set("pve", facts, host=True)
        sets = (host, *self._clients(facts))
        if not self.spec.get("timers"):
            sets = tuple(map(_without_timers, sets))
        if "ours" in self.spec:
            sets = (_with_our_script(sets[0], self.spec["ours"]), *sets[1:])
        return Caster(wanted, facts, sets, values, forms.hook(), forms.driver())

    def _clients(self, facts: Facts) -> tuple[FileSet, ...]:
        named = self.spec.get("clients", {})
        if named == "implied":
            found, why = implied_clients(facts)
            assert not why
            return found
        if isinstance(named, int):
            named = {f"vm{number}": {} for number in range(1, named + 1)}
        out = []
        for name, spec in named.items():
            changed = {**(spec or {})}
            addresses = tuple(changed.pop("at", ()))
            own, _ = _machine(CLIENT, changed)
            out.append(replace(_set(name, own, host=False), addresses=addresses))
        return tuple(out)


def cases(folder: Path = FOLDER) -> list[Case]:
    """All that a model plays, too; those in the folder `real` are about what only real programs show."""
    return [Case(file.stem, yaml.safe_load(file.read_text())) for file in sorted(folder.glob("*.yaml"))]


def _machine(base: str, spec: Mapping[str, Any]) -> tuple[Facts, Mapping[str, str]]:
    look = look_at(base, spec)
    return look.facts, next(iter(look.values.values()), {})


def _set(name: str, facts: Facts, *, host: bool) -> FileSet:
    files = {
        path: Placed(path, fact.content.data, fact.owner.user, fact.owner.group, fact.owner.mode)
        for path, fact in facts.files.items()
        if fact.content is not None and fact.owner is not None and not path.startswith("/etc/nutwizard/")
    }
    return FileSet(name, host, files)


def _with_our_script(found: FileSet, timers: Mapping[str, str]) -> FileSet:
    """The same with the script that nutwizard writes for these timers: name -> then."""
    rows = [Timer("ONBATT", name, 300, "ONLINE", then) for name, then in timers.items()]
    data = script_text(registry.asset("upssched-cmd.sh"), "apc@localhost", False, rows)
    return replace(found, files={**found.files, UPSSCHED_CMD: Placed(UPSSCHED_CMD, data, mode=0o755)})


def _without_timers(found: FileSet) -> FileSet:
    old = found.files.get(UPSSCHED_CONF)
    if old is None:
        return found
    kept = b"".join(line for line in old.data.splitlines(keepends=True) if b"-TIMER" not in line)
    return replace(found, files={**found.files, UPSSCHED_CONF: replace(old, data=kept)})


def told(moment: Moment) -> str:
    """A moment as a case writes it: machine, what, user, text."""
    kind = f" {moment.kind.name}" if moment.kind is not None else ""
    return " ".join(
        filter(None, (moment.machine or "UPS", moment.what.name, moment.user, f"{moment.text}{kind}"))
    )


def missing(moments: list[str], wanted: list[str]) -> list[str]:
    """Of the wanted patterns those that no moment has after the moment of the pattern before."""
    at, lost = 0, []
    for pattern in wanted:
        found = next((n for n, text in enumerate(moments[at:], at) if re.search(pattern, text)), None)
        if found is None:
            lost.append(pattern)
        else:
            at = found + 1
    return lost


def findings(done: Rehearsed) -> list[str]:
    """What was found, as a case writes it."""
    return [
        f"{item.severity.value} {item.machine or 'all'}: {item.text}{f' -> {item.mend}' if item.mend else ''}"
        for item in done.verdict.items
    ]
