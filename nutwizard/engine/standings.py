"""How the steps of a walk stand, in a few words for each."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Any

from nutwizard.core.answers import AnswersSet, Origin, Proposed
from nutwizard.core.errors import Problem
from nutwizard.core.fields import Field, FieldKind, fields_of
from nutwizard.core.plan import Act, ActKind, FileChange
from nutwizard.core.secret import Secret
from nutwizard.core.standing import Standing, StepState, clipped, in_short, lines_changed
from nutwizard.core.step import Step
from nutwizard.engine import registry
from nutwizard.engine.planner import Walk
from nutwizard.formats.safe import safe_text

#: Columns of a reason, and of one value or one problem in it.
_WIDTH, _VALUE, _PROBLEM = 40, 16, 60
#: What only surrounds the others' acts.
_AROUND = (ActKind.HOLD, ActKind.RELEASE)
#: What outranks saved answers and was found on this machine.
_FOUND = (Origin.CURRENT, Origin.YOURS)


def all_standings(
    walk: Walk, whole: Walk, saved: AnswersSet | None, typed: Collection[str], only: Collection[str]
) -> dict[str, Standing]:
    """By name how each step of the guide stands, those of the other role too.

    `whole`: a walk that plans every step, for those that `walk` leaves out because `only` others are asked.
    `saved`: the answers of an earlier run; `typed`: steps with newer ones.
    """
    narrow, wide = _Standings(walk, saved, typed), _Standings(whole, saved, typed)
    found = {}
    for step in registry.all_steps():
        if walk.role not in step.roles:
            found[step.name] = Standing(StepState.OTHER_ROLE, f"a {step.roles[0].value} has it")
        else:
            found[step.name] = (narrow if step.name in only else wide).of(step)
    return found


class _Standings:
    """One look at a walk."""

    def __init__(self, walk: Walk, saved: AnswersSet | None, typed: Collection[str]) -> None:
        self._walk, self._plan = walk, walk.draft.plan()
        self._steps = {step.name: step for step in registry.steps_of(walk.role)}
        self._saved, self._typed = saved, typed

    def of(self, step: Step[Any]) -> Standing:
        own = next((problem for problem in self._walk.problems if _step_of(problem) == step.name), None)
        if own is not None:
            return Standing(StepState.TO_DO, self._told(step, own))
        if step.name not in self._walk.edited:
            return Standing(StepState.UNKNOWN, self._before())
        kept = self._saved is not None and bool(self._saved.sections.get(step.name))
        kept = kept and step.name not in self._typed
        if parts := list(self._parts(step.name)):
            return Standing(StepState.DIFFERS if kept else StepState.TO_DO, in_short(parts, _WIDTH))
        if kept and (parts := list(self._drift(step))):
            return Standing(StepState.DIFFERS, in_short(parts, _WIDTH))
        return Standing(StepState.IN_PLACE)

    def _told(self, step: Step[Any], problem: Problem) -> str:
        text, label = safe_text(problem.text), self._label(step, problem)
        if label:
            text = f"{label} {text}" if text.startswith("is ") else f"{label}: {text}"
        return clipped(text, _PROBLEM)

    def _before(self) -> str:
        """Why the walk did not come so far."""
        if not self._walk.problems:
            return ""
        problem = self._walk.problems[0]
        step = self._steps.get(_step_of(problem))
        if step is None:
            return clipped(safe_text(problem.text), _PROBLEM)
        return f"after {step.title} that needs {self._label(step, problem) or 'mending'}"

    def _label(self, step: Step[Any], problem: Problem) -> str:
        name = problem.field.partition(".")[2]
        return next((each.spec.label for each in self._fields(step) if each.name == name), "")

    def _fields(self, step: Step[Any]) -> tuple[Field, ...]:
        return fields_of(step.answers_type(self._walk.role))

    def _parts(self, step: str) -> Iterator[str]:
        """What the plan does for this step."""
        for change in self._plan.files:
            if step in change.steps and not change.copy_of:
                yield self._file(change, step)
        acts = [act for act in self._plan.acts if step in act.steps]
        yield from (_act(act) for act in acts if act.kind not in _AROUND)

    def _file(self, change: FileChange, step: str) -> str:
        name = os.path.basename(change.path)
        if change.before is None or change.after is None:
            return f"{name}: {'removed' if change.after is None else 'new'}"
        before, after = self._walk.draft.part(change.path, step)
        count = lines_changed(before or b"", after or b"")
        return f"{name}: {count} line{'s' * (count != 1)}" if count else f"{name}: owner or mode"

    def _drift(self, step: Step[Any]) -> Iterator[str]:
        """The saved values that the files in force have overtaken."""
        for each in self._fields(step):
            given = self._saved.get(step.name, each.name) if self._saved is not None else None
            chosen = self._walk.decided[step.name][each.name]
            if given is not None and chosen.origin in _FOUND and not _same(each, given.value, chosen.value):
                yield f"{each.name}: {_values(each, given.value, chosen)}"


def _step_of(problem: Problem) -> str:
    return problem.field.partition(".")[0]


def _act(act: Act) -> str:
    return f"{act.kind.value} {act.unit.removesuffix('.service')}"


def _same(field: Field, answered: Any, found: Any) -> bool:
    if isinstance(answered, Secret) and isinstance(found, Secret):
        return answered.pending or found.pending or answered.reveal() == found.reveal()
    if field.spec.kind in (FieldKind.CHOICES, FieldKind.TEXTS):
        return set(answered or ()) == set(found or ())
    return bool(answered == found)


def _values(field: Field, answered: Any, chosen: Proposed) -> str:
    if field.spec.kind is FieldKind.SECRET:
        return "another is in place"
    if field.spec.kind is FieldKind.ROWS:
        return "others are in place"
    shown = (clipped(safe_text(field.show(value)) or "none", _VALUE) for value in (answered, chosen.value))
    return "{} answered, {} in place".format(*shown)
