"""The table of the screens has a widget for every kind of field, and each keeps what it is given."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App

from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice, Field, FieldKind, Spec
from nutwizard.core.secret import Secret
from nutwizard.core.site import Client
from nutwizard.engine import registry
from nutwizard.tui.fields import ROWS, entry_for
from nutwizard.wording.item import Item

WORDS = (Choice("a"), Choice("b"))
VALUES: dict[FieldKind, tuple[Spec, Any]] = {
    FieldKind.TEXT: (Spec(FieldKind.TEXT, "text"), "a b"),
    FieldKind.INTEGER: (Spec(FieldKind.INTEGER, "number", unit="s"), 7),
    FieldKind.CHOICE: (Spec(FieldKind.CHOICE, "word", choices=WORDS), "b"),
    FieldKind.CHOICES: (Spec(FieldKind.CHOICES, "words", choices=WORDS), ("b", "a")),
    FieldKind.TEXTS: (Spec(FieldKind.TEXTS, "texts"), ("x", "y")),
    FieldKind.SECRET: (Spec(FieldKind.SECRET, "secret", kept_in="/x"), Secret("word-1", "/x")),
    FieldKind.BOOLEAN: (Spec(FieldKind.BOOLEAN, "yes or no"), True),
    FieldKind.ROWS: (Spec(FieldKind.ROWS, "rows", row=Client), (Client("web", ("10.0.0.1",)),)),
}


def test_every_kind_has_its_widget() -> None:
    assert set(ROWS) == set(FieldKind) == set(VALUES)


@pytest.mark.parametrize("kind", FieldKind)
async def test_a_widget_keeps_what_nobody_touched(kind: FieldKind) -> None:
    spec, value = VALUES[kind]
    async with App[None]().run_test():
        entry = entry_for(Item(Field("f", spec), Proposed(value, Origin.CURRENT), ()))
        assert (entry.touched, entry.given) == (False, False)
        assert entry.read() == value


@pytest.mark.parametrize("kind", FieldKind)
async def test_a_widget_follows_what_is_proposed(kind: FieldKind) -> None:
    spec, value = VALUES[kind]
    async with App[None]().run_test():
        entry = entry_for(Item(Field("f", spec), None, ()))
        entry.offer(Item(Field("f", spec), Proposed(value, Origin.TYPED), ()))
        assert (entry.touched, entry.given) == (False, True)
        assert entry.read() == value


def test_every_field_of_the_guide_has_a_widget() -> None:
    for role in Role:
        for step in registry.steps_of(role):
            for field in registry.fields_of(step.name, role):
                for each in (field, *field.columns):
                    assert entry_for(Item(each, None, ())).name_of == each.name
