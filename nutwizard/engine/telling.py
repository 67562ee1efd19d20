"""The side of a session that tells what a step has to say beside its fields and its changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nutwizard.core.answers import Proposed
from nutwizard.core.step import Step, View
from nutwizard.engine.planner import Walk
from nutwizard.formats.safe import safe_text


class Telling:
    """What steps say of this machine."""

    _guide: dict[str, Step[Any]]
    _walk: Any

    def proposals(self, step: str, given: Mapping[str, Any] | None = None) -> Mapping[str, Proposed]:
        """As `Session.proposals`."""
        raise NotImplementedError

    def _view(self, step: str = "") -> View:
        raise NotImplementedError

    def has_by_hand(self, step: str) -> bool:
        """Whether `by_hand` has something to tell."""
        return type(self._guide[step]).by_hand is not Step.by_hand

    def by_hand(self, step: str) -> str:
        """What leads to the same without nutwizard, with the values so far (Markdown), or ""."""
        values = {name: found.value for name, found in self.proposals(step).items()}
        return safe_text(self._guide[step].by_hand(self._view(step), values))

    def step_notice(self, step: str) -> str:
        """What is to be known on this machine before a step is answered, or ""."""
        return safe_text(self._guide[step].notice(self._view(step)))

    def step_notes(self, step: str) -> tuple[str, ...]:
        """What this step wants to be told beside its changes."""
        walk: Walk = self._walk
        return walk.draft.notes_of(step)
