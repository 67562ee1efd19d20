"""Rows in an answers file: a list of mappings, or a mapping of names to what they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from nutwizard.core.fields import Field

Cells = dict[str, str | list[str]]


class RowError(Exception):
    """What is wrong, and the node that is at fault."""

    def __init__(self, node: yaml.Node, text: str) -> None:
        super().__init__(text)
        self.node, self.text = node, text


def read_rows(node: yaml.Node, field: Field) -> tuple[Any, ...]:
    """The typed rows of a field. Raises RowError at the first row that cannot be read."""
    found = []
    for place, name, cells in _rows(node, field):
        try:
            found.append(field.read_row(cells, name))
        except ValueError as error:
            raise RowError(place, str(error)) from None
    return tuple(found)


def _rows(node: yaml.Node, field: Field) -> Iterator[tuple[yaml.Node, str, Cells]]:
    if isinstance(node, yaml.ScalarNode) and node.value.strip().lower() in ("", "none", "null", "~"):
        return
    if field.spec.keyed and isinstance(node, yaml.MappingNode):
        for key, name, value in _pairs(node):
            yield key, f"row {_short(name)}", _keyed(field, name, value)
        return
    if field.spec.keyed or not isinstance(node, yaml.SequenceNode):
        shape = "`name: value` lines" if field.spec.keyed else "a list of `{key: value}` rows"
        raise RowError(node, f"expected {shape}")
    for n, row in enumerate(node.value, 1):
        if not isinstance(row, yaml.MappingNode):
            raise RowError(row, f"row {n}: expected {{{', '.join(c.name for c in field.columns)}}}")
        yield row, f"row {n}", {name: _cell(value) for _, name, value in _pairs(row)}


def _keyed(field: Field, name: str, value: yaml.Node) -> Cells:
    """The cells of a named row: a value or list is that of the second field, a mapping names the others."""
    first, second = (column.name for column in field.columns[:2])
    if isinstance(value, yaml.MappingNode):
        return {first: name} | {key: _cell(cell) for _, key, cell in _pairs(value)}
    return {first: name, second: _cell(value)}


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, str, yaml.Node]]:
    seen: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise RowError(key, "a key is one word")
        if key.value in seen:
            raise RowError(
                key, f"{_short(key.value)}: stands here a second time, first in line {seen[key.value]}"
            )
        seen[key.value] = key.start_mark.line + 1
        yield key, key.value, value


def _cell(node: yaml.Node) -> str | list[str]:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return [str(item.value) for item in node.value]
    raise RowError(node, "expected a value or a list of values")


def _short(name: str) -> str:
    return name[:40] if name.isprintable() else "(a key)"
