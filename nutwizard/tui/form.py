"""Fields one below the other: label, value, where it comes from; and below them what is wrong or possible."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.widgets import Static

from nutwizard.core.fields import FieldKind
from nutwizard.tui.entries import Entry, TextEntry
from nutwizard.tui.fields import entry_for
from nutwizard.tui.widgets import plain
from nutwizard.wording.item import Item


class Form(Container, can_focus=False):
    """The fields of a step, or of one row. Hidden are those that mean nothing beside the others."""

    class Changed(Message):
        """A value is another one."""

    class Moved(Message):
        """Another field has the focus."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.field = name

    def __init__(
        self, items: Sequence[Item], hidden: Collection[str] = (), problems: Mapping[str, str] | None = None
    ) -> None:
        """`problems`: what is wrong with which field already; the first such field is where to begin."""
        super().__init__()
        self.entries: dict[str, Entry] = {item.field.name: entry_for(item) for item in items}
        self._labels = {name: Static(classes="label") for name in self.entries}
        self._notes = {name: Static(classes="note") for name in self.entries}
        self._told: dict[str, tuple[str, str]] = {}
        self.problems = dict(problems or {})
        self._at = ""
        self.hide(hidden)
        self._at = next((name for name in self.shown if name in self.problems), self.at)
        self._tell()

    def compose(self) -> ComposeResult:
        for name, entry in self.entries.items():
            yield self._labels[name]
            yield entry
            yield self._notes[name]

    @property
    def shown(self) -> tuple[str, ...]:
        """The fields that are there for the person."""
        return tuple(name for name, entry in self.entries.items() if not entry.has_class("gone"))

    @property
    def at(self) -> str:
        """The field that has, or last had, the focus."""
        return self._at if self._at in self.shown else next(iter(self.shown), "")

    def hide(self, names: Collection[str]) -> None:
        """Show all fields but these."""
        for name, entry in self.entries.items():
            for part in (self._labels[name], entry, self._notes[name]):
                part.set_class(name in names, "gone")

    def values(self) -> dict[str, Any]:
        """What the person has given, as far as it can be read."""
        found = {}
        for name in self.shown:
            entry = self.entries[name]
            try:
                if entry.given:
                    found[name] = entry.read()
            except ValueError:
                continue
        return found

    def raw(self) -> dict[str, str]:
        """What stands in fields of text and cannot be read."""
        found = {name: self.entries[name] for name in self.wrong()}
        return {name: entry.value for name, entry in found.items() if isinstance(entry, TextEntry)}

    def put_raw(self, raw: Mapping[str, str]) -> None:
        """Text that could not be read stands there again, before the form is shown."""
        for name, text in raw.items():
            entry = self.entries.get(name)
            if isinstance(entry, TextEntry):
                entry.put_raw(text)
        self._tell()

    def wrong(self) -> dict[str, str]:
        """What cannot be read, by field. What nobody has touched is never wrong by itself."""
        found = {}
        for name in self.shown:
            try:
                if self.entries[name].given:
                    self.entries[name].read()
            except ValueError as error:
                found[name] = str(error)
        return found

    def offer(self, items: Sequence[Item], hidden: Collection[str], problems: Mapping[str, str]) -> None:
        """What is proposed now, which fields mean nothing, and what is wrong with which."""
        for item in items:
            if item.field.name in self.entries:
                self.entries[item.field.name].offer(item)
        self.hide(hidden)
        self.problems = dict(problems)
        self._tell()

    def focus_on(self, name: str) -> None:
        """Give a field the focus."""
        if name in self.shown:
            self.screen.set_focus(self.entries[name])

    def following(self) -> str:
        """The field after the one that has the focus; "" after the last."""
        rest = iter(self.shown)
        return next(rest, "") if self.at in rest else ""

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, Entry):
            self._at = event.widget.name_of
            self._tell()
            self.post_message(self.Moved(self._at))

    def on_entry_edited(self, event: Entry.Edited) -> None:
        event.stop()
        self.problems.pop(event.entry.name_of, None)
        self._tell()
        self.post_message(self.Changed())

    def message(self) -> str:
        """What is wrong with the field that has the focus, or what it may hold."""
        name = self.at
        if not name:
            return ""
        entry = self.entries[name]
        trouble = self.trouble().get(name)
        if trouble:
            return f"! {trouble}"
        parts = [entry.item.title, entry.note or entry.item.where]
        return " - ".join(part for part in parts if part)

    def trouble(self) -> dict[str, str]:
        """What is wrong, by field: first what cannot be read, then what does not fit together."""
        return {**self.problems, **self.wrong()}

    def _tell(self) -> None:
        """Labels and notes as they are now; only what differs is drawn."""
        trouble = self.trouble()
        for name, label, note in self._rows(trouble):
            if self._told.get(name) != (label, note):
                self._told[name] = (label, note)
                self._labels[name].update(plain(label), layout=False)
                self._notes[name].update(plain(note), layout=False)

    def _rows(self, trouble: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
        for name, entry in self.entries.items():
            spec = entry.item.field.spec
            mark = ">" if name == self._at else "!" if name in trouble else " "
            where = "changed" if entry.touched else _clipped(entry.item.where)
            words = (_short(trouble[name]),) if name in trouble else (_unit(entry), where)
            note = "  ".join(part for part in words if part)
            yield name, f"{mark} {spec.label}", note


def _clipped(text: str, width: int = 25) -> str:
    """What a column has room for; all of it is told at the field that has the focus."""
    return text if len(text) <= width else f"{text[: width - 2].rstrip(' ,')}.."


def _short(trouble: str) -> str:
    """What a field that has not the focus says of what is wrong with it."""
    return "! needed" if trouble.startswith("is needed") else "! wrong"


def _unit(entry: Entry) -> str:
    spec = entry.item.field.spec
    if isinstance(entry, TextEntry) and spec.kind is FieldKind.INTEGER:
        return spec.unit
    return ""
