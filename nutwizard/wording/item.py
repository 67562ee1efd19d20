"""A field with what is proposed for it, in the words that every front end shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.fields import Choice, Field, FieldKind
from nutwizard.core.secret import Secret
from nutwizard.core.shown import safe_text

#: Where a value comes from, in words, when its note says nothing.
_ORIGINS = {
    Origin.TYPED: "as you gave it",
    Origin.YOURS: "your own file",
    Origin.NAMED: "from the answers file",
    Origin.CURRENT: "from the current files",
    Origin.SAVED: "from the saved answers",
    Origin.DETECTED: "found on this machine",
    Origin.GUIDE: "the guide's value",
}


@dataclass(frozen=True, slots=True)
class Item:
    """A field with what is proposed for it, in the words that both askers show."""

    field: Field
    proposal: Proposed | None
    hints: tuple[Choice, ...]

    @property
    def kind(self) -> FieldKind:
        return self.field.spec.kind

    @property
    def title(self) -> str:
        """Label, limits or unit, and whether it can be left out."""
        spec = self.field.spec
        none = "or none" if spec.optional and self.kind is not FieldKind.SECRET else ""
        return safe_text(", ".join(filter(None, (spec.label, spec.limits or spec.unit, none))))

    @property
    def shown(self) -> str:
        """The proposed value as a person types it; of a secret what Enter does; "" when there is none."""
        if self.proposal is None or (self.proposal.value in (None, "") and not self.field.spec.optional):
            return ""
        value = self.proposal.value
        if isinstance(value, Secret):
            return value.reveal() if value.pending else "kept as it is"
        return safe_text(self.field.show(value)) or "none"

    @property
    def where(self) -> str:
        """Where the proposed value comes from; without a value, what its note says about the one wanted."""
        if self.proposal is None:
            return ""
        origin, note = self.proposal.origin, safe_text(self.proposal.note)
        if not self.shown:
            return note
        if origin is Origin.GENERATED:
            return ""
        if origin in (Origin.NAMED, Origin.SAVED) and note:
            return f"from {note.removeprefix('from ')}"
        if origin is Origin.GUIDE and note:
            return f"{_ORIGINS[origin]}, {note}"
        return note or _ORIGINS[origin]

    @property
    def offered(self) -> tuple[Choice, ...]:
        """What a list shows: the field's choices, yes and no, or suggestions."""
        if self.kind is FieldKind.BOOLEAN:
            return (Choice("yes"), Choice("no"), *self._none)
        if self.kind is FieldKind.CHOICE:
            return (*self.field.spec.choices, *self._none)
        return self.field.spec.choices or self.hints

    @property
    def _none(self) -> tuple[Choice, ...]:
        return (Choice("none", "leave it out"),) if self.field.spec.optional else ()

    def keep(self) -> Any:
        """The proposed value. Raises ValueError when there is none, or when it no longer fits this field."""
        value = self.proposal.value if self.proposal else None
        if not self.shown:
            return self.read("")
        if isinstance(value, Secret):
            return value
        return self.field.read(list(map(str, value)) if isinstance(value, tuple) else self.field.show(value))

    def read(self, raw: str | Sequence[str]) -> Any:
        """The typed value; for lists, "none" is the empty one. Raises ValueError with a sentence."""
        several = self.kind in (FieldKind.TEXTS, FieldKind.CHOICES)
        try:
            return self.field.read([] if several and raw == "none" else raw)
        except ValueError:
            if isinstance(raw, str) and not raw.strip():
                raise ValueError("It cannot be left empty.") from None
            raise


def cell(column: Field, old: Any) -> Proposed | None:
    """What is proposed for a field of a row: as the row `old` has it, else the first of several choices."""
    if old is not None:
        return Proposed(getattr(old, column.name), Origin.CURRENT, "as it is")
    if column.spec.kind is FieldKind.CHOICE and column.spec.choices and not column.spec.optional:
        return Proposed(column.spec.choices[0].value, Origin.DETECTED, "the first of them")
    if column.spec.kind is FieldKind.BOOLEAN and column.spec.optional:
        return Proposed(None, Origin.GUIDE)
    return None
