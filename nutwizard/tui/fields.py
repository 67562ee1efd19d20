"""The table from a field's kind to its widget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nutwizard.core.answers import Proposed
from nutwizard.core.fields import Choice, Field, FieldKind
from nutwizard.tui.entries import Entry, TextEntry
from nutwizard.tui.picks import ListEntry, PickEntry
from nutwizard.wording.item import Item

#: Which widget takes which kind.
ROWS: Mapping[FieldKind, Callable[[Item], Entry]] = {
    FieldKind.TEXT: TextEntry,
    FieldKind.INTEGER: TextEntry,
    FieldKind.CHOICE: PickEntry,
    FieldKind.CHOICES: ListEntry,
    FieldKind.TEXTS: TextEntry,
    FieldKind.SECRET: TextEntry,
    FieldKind.BOOLEAN: PickEntry,
    FieldKind.ROWS: ListEntry,
}


def entry_for(item: Item) -> Entry:
    """The widget for a field."""
    return ROWS[item.kind](item)


def items_of(
    fields: Sequence[Field], proposals: Mapping[str, Proposed | None], hints: Mapping[str, tuple[Choice, ...]]
) -> tuple[Item, ...]:
    """The fields with what is proposed for them."""
    return tuple(Item(field, proposals.get(field.name), tuple(hints.get(field.name, ()))) for field in fields)
