"""nut.conf: which daemons Debian's wrappers let run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nutwizard.core import paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.draft import Draft
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.step import Step, View

MODES = {Role.HOST: "netserver", Role.CLIENT: "netclient"}


@dataclass(frozen=True, slots=True)
class Answers:
    """`mode`: the value of MODE."""

    mode: str = setting(FieldKind.CHOICE, "mode")


class Mode(Step[Answers]):
    """The MODE line."""

    name = "mode"
    title = "Mode"

    def paths(self, role: Role) -> tuple[str, ...]:
        return (paths.NUT_CONF, paths.UPS_CONF)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        wanted = MODES[view.site.role]
        found = view.shell(paths.NUT_CONF).get("MODE")
        if found == wanted:
            return {"mode": Proposed(wanted, Origin.CURRENT, "from nut.conf")}
        return {"mode": Proposed(wanted, Origin.GUIDE, f"now {found}" if found else "")}

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        notes = {"netserver": "serve the UPS to other machines", "netclient": "follow a server"}
        wanted = MODES[view.site.role]
        return {"mode": (Choice(wanted, notes[wanted]),)}

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        wanted = MODES[view.site.role]
        if answers.mode != wanted:
            yield Problem(f"a {view.site.role.value} needs {wanted}", "mode.mode")
        served = view.sections(paths.UPS_CONF).names()
        if answers.mode == "netclient" and served:
            yield Problem(
                f"{paths.UPS_CONF} defines the UPS {', '.join(served)}: MODE=netclient would silently"
                " stop the upsd that serves it. Set this machine up as the host, or empty ups.conf first",
                "mode.mode",
            )

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        draft.shell(paths.NUT_CONF).set("MODE", answers.mode)
        draft.readable_by_nut(paths.NUT_CONF)


STEP = Mode()
