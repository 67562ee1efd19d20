"""A field of several rows: the list of them, and the fields of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nutwizard.core.answers import Proposed
from nutwizard.core.fields import Choice, Field
from nutwizard.tui.choose import Ask, Over
from nutwizard.tui.entries import Entry
from nutwizard.tui.fields import items_of
from nutwizard.tui.form import Form
from nutwizard.tui.widgets import Menu, plain
from nutwizard.wording.item import cell

_NONE = "none yet: a adds one"


class RowsScreen(Over):
    """The rows of a field. The rows as they are to be, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "add"),
        Binding("c", "change", "change"),
        Binding("delete,d", "remove", "remove", key_display="Del"),
        Binding("enter", "take", "go on with these", priority=True),
    ]

    def __init__(self, field: Field, rows: Sequence[Any]) -> None:
        super().__init__(field.spec.label)
        self._field, self._rows = field, list(rows)

    def inner(self) -> ComposeResult:
        yield Menu(enter_word="go on with these")

    def on_mount(self) -> None:
        self._fill(0)
        self.query_one(OptionList).focus()

    def action_take(self) -> None:
        self.end(tuple(self._rows))

    def action_leave(self) -> None:
        """Esc loses no answer: the rows as they are now."""
        self.action_take()

    def action_add(self) -> None:
        self._edit(len(self._rows))

    def action_change(self) -> None:
        if (at := self._at) is not None:
            self._edit(at)

    def action_remove(self) -> None:
        if (at := self._at) is not None:
            del self._rows[at]
            self._fill(at)

    @property
    def _at(self) -> int | None:
        at = self.query_one(OptionList).highlighted
        return at if at is not None and self._rows else None

    @work
    async def _edit(self, at: int) -> None:
        old = self._rows[at] if at < len(self._rows) else None
        row = await self.app.push_screen_wait(RowScreen(self._field, old))
        if row is not None:
            self._rows[at : at + 1] = [row]
            self._fill(at)

    def _fill(self, at: int) -> None:
        rows = self.query_one(OptionList)
        rows.clear_options()
        rows.add_options([Option(plain(str(row))) for row in self._rows] or [Option(plain(_NONE))])
        rows.highlighted = min(at, max(0, len(self._rows) - 1))


class RowScreen(Over):
    """The fields of one row. The row, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "onward", "next field", priority=True),
        Binding("ctrl+n", "take", "take this row", priority=True),
        Binding("f4", "list", "list", priority=True),
    ]

    def __init__(self, field: Field, old: Any) -> None:
        super().__init__(f"{field.spec.label}: {'one more' if old is None else 'change one'}")
        self._field = field
        offers = field.spec.offers
        hints = {c.name: offers.get(c.name, ()) for c in field.columns if not c.spec.choices}
        proposals: dict[str, Proposed | None] = {column.name: cell(column, old) for column in field.columns}
        self._items = items_of(field.columns, proposals, hints)

    def inner(self) -> ComposeResult:
        yield Form(self._items)
        yield Static(id="message")

    def on_mount(self) -> None:
        form = self.query_one(Form)
        form.focus_on(form.shown[0])

    def action_leave(self) -> None:
        self._leave()

    @work
    async def _leave(self) -> None:
        """Leave the row as it was; one that was typed into is not dropped without a question."""
        touched = any(entry.touched for entry in self.query_one(Form).entries.values())
        rows = (Choice("stay", "go on with it"), Choice("drop", "leave it as it was"))
        if not touched or await self.app.push_screen_wait(Ask("Drop this row?", rows)) == "drop":
            self.end(None)

    def on_form_moved(self) -> None:
        self._say(self.query_one(Form).message())

    def on_form_changed(self) -> None:
        self._say(self.query_one(Form).message())

    def action_onward(self) -> None:
        form = self.query_one(Form)
        if following := form.following():
            form.focus_on(following)
        else:
            self.action_take()

    @work
    async def action_list(self) -> None:
        await choose_for(self)

    def action_take(self) -> None:
        """Take the row if all of its fields can be read."""
        form = self.query_one(Form)
        values = {}
        for name, entry in form.entries.items():
            try:
                values[name] = entry.read()
            except ValueError as error:
                form.offer((), (), {name: str(error)})
                form.focus_on(name)
                self._say(form.message())
                return
        assert self._field.spec.row is not None
        self.end(self._field.spec.row(**values))

    def _say(self, text: str) -> None:
        self.query_one("#message", Static).update(plain(text))


async def choose_for(screen: Any) -> None:
    """Open the list of the field that has the focus, and take what is chosen there."""
    entry = screen.focused
    if not isinstance(entry, Entry):
        return
    chooser = entry.chooser()
    if chooser is None:
        return
    value = await screen.app.push_screen_wait(chooser)
    if value is not None:
        entry.put(value)
