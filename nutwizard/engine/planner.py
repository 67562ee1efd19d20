"""From facts and given values to answers, site, draft and plan: pure, the same in every front end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nutwizard.core.answers import AnswersSet, Given, Origin, Proposed, choose
from nutwizard.core.draft import Draft
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Facts, Role
from nutwizard.core.fields import Field, fields_of, offering
from nutwizard.core.site import Site
from nutwizard.core.step import Step, View

#: Steps whose acts follow from what other steps change: they belong to every plan.
ALWAYS = ("services",)


@dataclass
class Walk:
    """One walk through the steps: what each was given, decided, and what came of it.

    `edited`: the steps that had a hand in the draft.
    """

    role: Role
    draft: Draft
    views: dict[str, View] = field(default_factory=dict)
    decided: dict[str, dict[str, Proposed]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    edited: set[str] = field(default_factory=set)
    site: Site | None = None


class Planner:
    """Walks the steps of a role over the facts. `sources`: sets of given values; their origin decides."""

    def __init__(
        self, steps: Sequence[Step[Any]], facts: Facts, role: Role, asset: Callable[[str], str]
    ) -> None:
        self.steps = tuple(steps)
        self.facts = facts
        self.role = role
        self._asset = asset
        self._parsed: dict[tuple[str, bool], Any] = {}

    def walk(self, sources: Sequence[AnswersSet], edited: Collection[str] | None = None) -> Walk:
        """Every step in order. Only the steps in `edited` (None: all) change the draft.

        With problems nothing more is edited, but the walk goes on, so that all are told at once. Only a step
        whose answers cannot be built ends it, since later ones read what it publishes.
        """
        walk = Walk(self.role, Draft(self.facts, self.role), site=Site(self.role))
        for step in self.steps:
            assert walk.site is not None
            view = View(self.facts, walk.site, self._asset, self._parsed)
            walk.views[step.name] = view
            decided = self.decide(step, view, sources)
            walk.decided[step.name] = decided
            walk.problems += _pointless(step, self.role, decided, sources)
            missing = _missing(step, self.role, decided)
            if missing:
                walk.problems += missing
                return walk
            answers = step.answers_type(self.role)(**{name: found.value for name, found in decided.items()})
            found = [_placed(problem, sources) for problem in step.check(view, answers)]
            walk.problems += found
            walk.answers[step.name] = answers
            if not walk.problems and (edited is None or step.name in edited or step.name in ALWAYS):
                walk.edited.add(step.name)
                _tell_overruled(walk.draft, step, decided, sources)
                walk.problems += _edit(step, walk.draft, view, answers)
                if walk.problems:
                    return walk
            walk.site = step.publish(view, answers)
        return walk

    def decide(self, step: Step[Any], view: View, sources: Sequence[AnswersSet]) -> dict[str, Proposed]:
        """The winning value of each field, by origin. `suggest` is told the given values that win."""
        names = [found.name for found in fields_of(step.answers_type(self.role))]
        given = {name: [g for s in sources if (g := s.get(step.name, name)) is not None] for name in names}
        firm = {name: min(all_, key=lambda g: g.origin.rank).value for name, all_ in given.items() if all_}
        first = step.suggest(view, {})
        told = {name: value for name, value in firm.items() if _wins(given[name], first.get(name))}
        proposed = step.suggest(view, told) if told else first
        chosen = {name: choose(proposed[name], given[name]) for name in names}
        values = {name: found.value for name, found in chosen.items()}
        return {
            each.name: chosen[each.name] if each.applies(values) else Proposed(None, Origin.GUIDE)
            for each in fields_of(step.answers_type(self.role))
        }

    def affected(self, only: Collection[str], before: Walk, after: Walk) -> set[str]:
        """The steps in `only`, and those for which the new answers have changed what they share."""
        changed = {
            name
            for name, view in after.views.items()
            if name in before.views and before.views[name].site != view.site
        }
        return set(only) | changed

    def fields(self, step: Step[Any], view: View) -> tuple[Field, ...]:
        """The step's fields that this machine's NUT has, with the choices of this machine filled in."""
        offered = step.choices(view, {})
        fields = fields_of(step.answers_type(self.role))
        version = self.facts.nut.version
        return tuple(offering(found, offered) for found in fields if version >= found.spec.since)


def _edit(step: Step[Any], draft: Draft, view: View, answers: Any) -> list[Problem]:
    """Let the step edit; a file that cannot be edited (an open quote) is a problem, not a crash."""
    draft.step = step.name
    try:
        step.edit(draft, view, answers)
    except ValueError as error:
        return [Problem(f"{draft.editing} cannot be edited: {error}", step.name)]
    draft.settle()
    return []


def _tell_overruled(
    draft: Draft, step: Step[Any], decided: Mapping[str, Proposed], sources: Sequence[AnswersSet]
) -> None:
    """Say which values of a named file a file of the user's own outweighs, and how to insist."""
    for each in fields_of(step.answers_type(draft.role)):
        chosen = decided[each.name]
        for source in sources if chosen.origin is Origin.YOURS else ():
            given = source.get(step.name, each.name)
            if given is not None and given.origin is Origin.NAMED and given.value != chosen.value:
                value = each.show(given.value)
                draft.note(
                    f"{step.name}.{each.name}: {value} of the answers file is not followed: {chosen.note}."
                    f" To insist, answer {value} in: nutwizard step {step.name}"
                )


def _wins(given: Sequence[Given], proposed: Proposed | None) -> bool:
    return proposed is None or min(g.origin.rank for g in given) < proposed.origin.rank


def _pointless(
    step: Step[Any], role: Role, decided: Mapping[str, Proposed], sources: Sequence[AnswersSet]
) -> list[Problem]:
    """Values of a named file that mean nothing beside the others: ignored, they would be relied on."""
    values = {name: found.value for name, found in decided.items()}
    found: dict[tuple[str, str], Problem] = {}
    for each in fields_of(step.answers_type(role)):
        if each.spec.only_with is None or each.applies(values):
            continue
        other, wanted = each.spec.only_with
        for source in sources:
            given = source.get(step.name, each.name)
            if given is not None and given.origin is Origin.NAMED and given.value is not None:
                is_ = values.get(other)
                switch = isinstance(is_, bool)  # which has many others behind it: one is told
                text = f"is used only with {other}: {_word(wanted)}, and here {other} is {_word(is_)}"
                text += f" ({decided[other].note})" if switch and decided[other].note else ""
                problem = Problem(text, f"{step.name}.{each.name}", given.place)
                found.setdefault((source.path, other if switch else each.name), problem)
    return list(found.values())


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _missing(step: Step[Any], role: Role, decided: Mapping[str, Proposed]) -> list[Problem]:
    """Fields that must have a value and have none."""
    values = {name: found.value for name, found in decided.items()}
    return [
        Problem(
            f"is needed{f': {decided[f.name].note}' if decided[f.name].note else ''}", f"{step.name}.{f.name}"
        )
        for f in fields_of(step.answers_type(role))
        if values[f.name] is None and not f.spec.optional and f.applies(values)
    ]


def _placed(problem: Problem, sources: Sequence[AnswersSet]) -> Problem:
    """The problem with the place of the value that is at fault, where a file gave it."""
    place = _place(problem.field, sources)
    return problem.at(place, _place(problem.other, sources)) if place else problem


def _place(field: str, sources: Sequence[AnswersSet]) -> str:
    """Where a file gave this value, "" where none did."""
    step, _, name = field.partition(".")
    given = (source.get(step, name) for source in sources)
    return next((each.place for each in given if each is not None and each.place), "")
