"""A field of several rows, asked row by row: the rows so far, and a menu to add, change or remove one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.fields import Choice, Field
from nutwizard.core.shown import safe_text
from nutwizard.prompts.asker import Back, HelpWanted
from nutwizard.wording.item import Item, cell
from nutwizard.wording.layout import Line, Text

_DONE, _ADD = Choice("done", "go on with these"), Choice("add", "one more")
_CHANGE, _REMOVE = Choice("change", "one of them"), Choice("remove", "one of them")
_HELP, _BACK = Choice("help", "what this is about"), Choice("back", "to the question before")


class RowAsker(Protocol):
    """What is needed of an asker."""

    def page(self, text: Text) -> None: ...

    def ask(self, field: Field, proposal: Proposed | None, help: str, hints: Sequence[Choice]) -> Any: ...

    def choose(self, question: str, choices: Sequence[Choice], default: str) -> str: ...


def edit_rows(asker: RowAsker, item: Item) -> tuple[Any, ...]:
    """The rows that the person settles on. Raises HelpWanted and Back for the field as a whole."""
    rows = list(item.proposal.value or ()) if item.proposal else []
    where = f" ({item.where})" if item.where and rows else ""
    while True:  # every turn waits for the person
        asker.page([Line(f"{item.title}{where}"), *_shown(rows)])
        menu = (_DONE, _ADD, *((_CHANGE, _REMOVE) if rows else ()), _HELP, _BACK)
        match asker.choose(f"{item.title}?", menu, "done"):
            case "done":
                return tuple(rows)
            case "help":
                raise HelpWanted
            case "back":
                raise Back
            case "add":
                _into(asker, item.field, rows, len(rows))
            case picked:
                at = _which(asker, rows)
                if at is not None and picked == "remove":
                    del rows[at]
                elif at is not None:
                    _into(asker, item.field, rows, at)
        where = ""


def _shown(rows: Sequence[Any]) -> list[Line]:
    return [Line(f"  {n}  {safe_text(str(row))}") for n, row in enumerate(rows, 1)] or [Line("  none")]


def _which(asker: RowAsker, rows: Sequence[Any]) -> int | None:
    """The index of the row that is meant; None when the person thinks better of it."""
    if len(rows) == 1:
        return 0
    numbers = [Choice(str(n), safe_text(str(row))) for n, row in enumerate(rows, 1)]
    picked = asker.choose("Which one?", (*numbers, _BACK), "back")
    return None if picked == "back" else int(picked) - 1


def _into(asker: RowAsker, field: Field, rows: list[Any], at: int) -> None:
    """Ask the cells of row `at`, the present ones proposed; going back from the first one changes nothing."""
    old = rows[at] if at < len(rows) else None
    columns = field.columns
    given: dict[str, Any] = {}
    n = 0
    while n < len(columns):  # every turn waits for the person
        column = columns[n]
        try:
            hints = () if column.spec.choices else field.spec.offers.get(column.name, ())
            given[column.name] = asker.ask(column, _proposed(column, old, given), "", hints)
            n += 1
        except Back:
            if n == 0:
                return
            n -= 1
    assert field.spec.row is not None
    rows[at : at + 1] = [field.spec.row(**given)]


def _proposed(column: Field, old: Any, given: dict[str, Any]) -> Proposed | None:
    """What was typed a moment ago, the cell as it is, else the first of several choices."""
    if column.name in given:
        return Proposed(given[column.name], Origin.TYPED)
    return cell(column, old)
