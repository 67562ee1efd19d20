"""Fields of a step's answers: pure data that every front end renders with its own table of kinds."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nutwizard.core.secret import Secret


class FieldKind(StrEnum):
    """What a front end has to ask for."""

    TEXT = "text"
    INTEGER = "integer"
    CHOICE = "choice"
    CHOICES = "choices"
    TEXTS = "texts"
    SECRET = "secret"
    BOOLEAN = "boolean"
    ROWS = "rows"


@dataclass(frozen=True)
class Choice:
    """One of several values, with a sentence about it."""

    value: str
    note: str = ""


@dataclass(frozen=True)
class Spec:
    """What a value may be. `low` and `high` bound an integer, in `unit`.

    `check` names what is wrong with a text. `kept_in`: the file that keeps a secret beside saved answers.
    `only_with`: (field, value) of the same step without which this one means nothing; its value is None then.
    `since`: the NUT from which on the field is asked; a step tells what is wrong with it on an older one.
    `row`: for ROWS the frozen dataclass of one row, whose `str` is the row for a person; `keyed`: its first
    field names the row, and an answers file writes the rows as a mapping. `offers`: what this machine offers
    for the fields of a row.
    """

    kind: FieldKind
    label: str
    unit: str = ""
    low: int | None = None
    high: int | None = None
    optional: bool = False
    check: Callable[[str], str | None] | None = None
    choices: tuple[Choice, ...] = ()
    kept_in: str = ""
    only_with: tuple[str, str] | None = None
    since: tuple[int, ...] = ()
    row: type[Any] | None = None
    keyed: bool = False
    offers: Mapping[str, tuple[Choice, ...]] = dataclasses.field(default_factory=dict)

    @property
    def limits(self) -> str:
        """The range for a person: "0 to 600 s"."""
        if self.low is None and self.high is None:
            return ""
        if self.high is None:
            return f"{self.low} or more {self.unit}".rstrip()
        return f"{self.low} to {self.high} {self.unit}".rstrip()


@dataclass(frozen=True)
class Field:
    """A field of an answers dataclass with its spec."""

    name: str
    spec: Spec

    def read(self, raw: str | Sequence[str]) -> Any:
        """The typed value of what was written. Raises ValueError; its sentence never repeats a secret."""
        spec = self.spec
        if spec.kind is FieldKind.ROWS:
            if isinstance(raw, str) and raw.strip().lower() not in ("", "none", "null", "~"):
                raise ValueError("expected a list of rows, got one value")
            return self.read_rows([] if isinstance(raw, str) else [{"": word} for word in raw])
        if spec.kind in (FieldKind.TEXTS, FieldKind.CHOICES):
            if spec.optional and isinstance(raw, str) and raw.strip().lower() in ("none", "null", "~"):
                return ()
            values = raw.replace(",", " ").split() if isinstance(raw, str) else list(raw)
            return tuple(self._text(value) for value in values)
        if not isinstance(raw, str):
            raise ValueError("expected one value, got a list")
        if spec.kind is FieldKind.SECRET:
            return Secret(self._text(raw), spec.kept_in)
        if spec.optional and raw.strip().lower() in ("", "none", "null", "~"):
            return None
        if spec.kind is FieldKind.INTEGER:
            return self._integer(raw.strip())
        if spec.kind is FieldKind.BOOLEAN:
            return _boolean(raw.strip().lower())
        return self._text(raw)

    def read_rows(self, raw: Sequence[Mapping[str, str | Sequence[str]]]) -> tuple[Any, ...]:
        """The typed rows. Raises ValueError naming the row and its field."""
        return tuple(self.read_row(cells, f"row {n}") for n, cells in enumerate(raw, 1))

    def read_row(self, cells: Mapping[str, str | Sequence[str]], where: str) -> Any:
        """One typed row. A cell that may be left out is None then. Raises ValueError naming `where`."""
        columns = self.columns
        unknown = [name for name in cells if name not in [column.name for column in columns]]
        if unknown:
            raise ValueError(f"{where}: expected {', '.join(column.name for column in columns)}")
        values = {}
        for column in columns:
            if column.name not in cells and not column.spec.optional:
                raise ValueError(f"{where}: {column.name} is missing")
            try:
                values[column.name] = column.read(cells.get(column.name, "none"))
            except ValueError as error:
                raise ValueError(f"{where}: {column.name}: {error}") from None
        assert self.spec.row is not None
        return self.spec.row(**values)

    @property
    def columns(self) -> tuple[Field, ...]:
        """The fields of one row; none where the field has no rows."""
        found = fields_of(self.spec.row) if self.spec.row is not None else ()
        return tuple(offering(column, self.spec.offers) for column in found)

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Whether the field means anything beside these values of its step."""
        only = self.spec.only_with
        return only is None or values.get(only[0]) == only[1]

    def show(self, value: Any) -> str:
        """The value as a person types it; a secret is masked."""
        if value is None:
            return "none"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, tuple):
            return ("; " if self.spec.row else ", ").join(map(str, value))
        if isinstance(value, Secret):
            return value.reveal() if value.pending else "********"
        return str(value)

    def _integer(self, raw: str) -> int:
        spec = self.spec
        unit = {"s": "whole seconds", "%": "a whole percentage"}.get(spec.unit, "a whole number")
        if not re.fullmatch(r"-?[0-9]{1,9}", raw):
            raise ValueError(f'expected {unit}, got "{raw[:40]}"')
        number = int(raw)
        if (spec.low is not None and number < spec.low) or (spec.high is not None and number > spec.high):
            raise ValueError(f"{number} is out of range: {spec.limits}")
        return number

    def _text(self, raw: str) -> str:
        if self.spec.check is not None and (wrong := self.spec.check(raw)) is not None:
            raise ValueError(wrong)
        allowed = [choice.value for choice in self.spec.choices]
        if allowed and raw not in allowed:
            raise ValueError(f'"{raw[:40]}" is none of {", ".join(allowed)}')
        return raw


def _boolean(raw: str) -> bool:
    if raw in ("yes", "true", "on"):
        return True
    if raw in ("no", "false", "off"):
        return False
    raise ValueError(f'expected yes or no, got "{raw[:40]}"')


def offering(found: Field, offered: Mapping[str, Sequence[Choice]]) -> Field:
    """The field with the choices offered under its name; for a field of rows also `FIELD.COLUMN`."""
    head = f"{found.name}."
    columns = {name.removeprefix(head): tuple(row) for name, row in offered.items() if name.startswith(head)}
    if columns:
        return Field(found.name, dataclasses.replace(found.spec, offers=columns))
    choices = offered.get(found.name, ())
    if not choices or found.spec.check is not None:
        return found
    return Field(found.name, dataclasses.replace(found.spec, choices=tuple(choices)))


def setting(kind: FieldKind, label: str, **spec: Any) -> Any:
    """A dataclass field of an answers type, described for every front end."""
    return dataclasses.field(metadata={"spec": Spec(kind, label, **spec)})


def fields_of(answers_type: type[Any]) -> tuple[Field, ...]:
    """The fields of an answers type, in the order in which they are asked."""
    return tuple(Field(found.name, found.metadata["spec"]) for found in dataclasses.fields(answers_type))
