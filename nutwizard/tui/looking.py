"""What a step's screen shows, read at the desk: fields, problems, changes; and its page as lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nutwizard.core.errors import Problem
from nutwizard.core.page import Page
from nutwizard.core.plan import FileChange
from nutwizard.tui.fields import items_of
from nutwizard.tui.widgets import with_keys
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.item import Item
from nutwizard.wording.layout import Line, Tone, markdown
from nutwizard.wording.screens import acts_of, problem_text


@dataclass(frozen=True)
class Look:
    """A step as it is with the values given so far."""

    items: tuple[Item, ...]
    hidden: frozenset[str]
    problems: tuple[Problem, ...]
    changes: tuple[FileChange, ...]
    acts: tuple[Line, ...]
    previews: Mapping[str, FileChange] = field(default_factory=dict)
    by_hand: bool = False

    def wrong(self, step: str) -> dict[str, str]:
        """What is wrong with which field of the step."""
        found: dict[str, str] = {}
        for problem in self.problems:
            name = problem.field.removeprefix(f"{step}.")
            found.setdefault(name, problem_text(problem, step).removeprefix(f"{name}: "))
        return found


def look(session: WizardSession, step: str, given: Mapping[str, Any] | None = None) -> Look:
    """The step with `given` in it (None: with what was typed for it before); what fits is kept."""
    if given is None:
        given = {name: value.value for name, value in session.typed(step).items()}
    problems = session.answer(step, dict(given))
    proposals = session.proposals(step, given)
    fields = session.fields(step)
    values = {name: found.value for name, found in proposals.items()}
    changes = () if problems else tuple(session.step_changes(step))
    return Look(
        items_of(fields, proposals, session.hints(step, given)),
        frozenset(each.name for each in fields if not each.applies(values)),
        problems,
        changes,
        () if problems else tuple(acts_of(session, step)),
        session.preview(step, given),
        session.has_by_hand(step),
    )


def page_lines(page: Page, labels: Mapping[str, str]) -> tuple[list[Line], dict[str, int]]:
    """The page as lines, and at which of them the part about a field begins; `labels`: the fields' names."""
    lines = with_keys(markdown(page.intro))
    parts = {}
    for name, text in page.help.items():
        lines.append(Line())
        parts[name] = len(lines)
        lines += [Line(labels.get(name, name), Tone.TITLE), *markdown(text)]
    return lines, parts
