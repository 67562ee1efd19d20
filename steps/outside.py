"""What no program can see of the site: asked once, kept in a small file, and looked at by the check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nutwizard.core import paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.draft import Draft
from nutwizard.core.facts import Owner, Role
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.links import Link, LinkId, State, Told
from nutwizard.core.outside import NO, UNKNOWN, YES, Outside, outside_text, read_outside
from nutwizard.core.step import Step, View

#: There is no secret in it.
_READABLE = Owner("root", "root", 0o644)
_AGAIN = "nutwizard step outside"


def _asked(label: str, yes: str, no: str) -> str:
    """A field of three choices; `yes` and `no` say what each of the two means."""
    choices = (Choice(YES, yes), Choice(NO, no), Choice(UNKNOWN, "nobody has looked yet"))
    found: str = setting(FieldKind.CHOICE, label, choices=choices)
    return found


@dataclass(frozen=True, slots=True)
class Answers:
    """Each "yes", "no" or "unknown", as `Outside` explains them."""

    switch: str = _asked(
        "switch on the UPS",
        "all of the network between here and the clients",
        "a part of it goes dark at once in a power cut",
    )
    restart: str = _asked(
        "starts by itself",
        "whenever its power comes back",
        "somebody has to press its button",
    )
    load: str = _asked(
        "battery outlet",
        "this machine hangs on one of the UPS that it watches",
        "its outlet only stops surges, or belongs to no UPS",
    )


class OutsideStep(Step[Answers]):
    """Three questions; no file of NUT changes."""

    name = "outside"
    title = "Outside"
    roles = (Role.HOST,)
    after = ("timing", "firewall")

    def paths(self, role: Role) -> tuple[str, ...]:
        return (paths.OUTSIDE,)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        known, there = _known(view), bool(view.facts.file(paths.OUTSIDE).data)
        # What was taken back stands in the file, too: saved answers do not bring it again.
        origin = Origin.CURRENT if there else Origin.GUIDE
        note = f"from {paths.OUTSIDE}" if there else "not answered yet"
        return {each.name: Proposed(getattr(known, each.name), origin, note) for each in fields(Outside)}

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        wanted = Outside(answers.switch, answers.restart, answers.load)
        if wanted != _known(view):
            draft.replace(paths.OUTSIDE, outside_text(wanted))
        if draft.bytes(paths.OUTSIDE):
            draft.own(paths.OUTSIDE, _READABLE, "root alone writes it, and everybody may read it")

    def links(self, view: View) -> tuple[Link, ...]:
        known = _known(view)
        return tuple(
            Link(id_, subject, _told(getattr(known, name), mend), self.name, awaited=True)
            for name, (id_, subject, mend) in _LINKS.items()
        )


#: By question: the link that it belongs to, what is so once the answer is yes, and what makes it so.
_LINKS: Mapping[str, tuple[LinkId, str, str]] = {
    "switch": (
        LinkId.UPSMON,
        "the switch is on the UPS",
        "Plug every switch and router on the way to the clients into a battery outlet of the UPS",
    ),
    "restart": (
        LinkId.POWEROFF,
        "this machine starts when its power comes back",
        "In the BIOS or UEFI setup: restore on AC power loss, power on",
    ),
    "load": (
        LinkId.POWEROFF,
        "this machine is on a battery outlet of the UPS",
        "Shut this machine down and plug it into a battery outlet of the UPS that it watches",
    ),
}


def _known(view: View) -> Outside:
    return read_outside(view.facts.file(paths.OUTSIDE).data)


def _told(answer: str, mend: str) -> Told:
    """A "no" waits for a hand: nothing that nutwizard writes can make it a yes."""
    if answer == YES:
        return Told(State.PROVEN, "answered: yes")
    if answer == NO:
        return Told(State.WAITING, "answered: no", fix=f"{mend}; then {_AGAIN}")
    return Told(State.UNKNOWN, "not answered yet; no program can see it", fix=_AGAIN)


STEP = OutsideStep()
