"""Fields whose value is chosen: one word of several, several words, rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import RenderResult
from textual.binding import Binding, BindingType

from nutwizard.core.fields import FieldKind
from nutwizard.core.shown import safe_text
from nutwizard.tui.entries import Entry
from nutwizard.tui.widgets import marked
from nutwizard.wording.item import Item

if TYPE_CHECKING:
    from textual.screen import ModalScreen


class PickEntry(Entry, can_focus=True):
    """One of several words: arrows go through them, Space lists them with what each does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", "change", key_display="Left/Right"),
        Binding("right", "turn(1)", show=False),
        Binding("space", "screen.list", "list"),
    ]

    def __init__(self, item: Item) -> None:
        super().__init__(id=f"field-{item.field.name}")
        self.value = self._shown = item.shown
        self.item = item

    @property
    def touched(self) -> bool:
        return self.value != self._shown

    @property
    def note(self) -> str:
        return next((choice.note for choice in self.item.offered if choice.value == self.value), "")

    def read(self) -> Any:
        return self.item.read(self.value) if self.touched else self.item.keep()

    def offer(self, item: Item) -> None:
        changed = self.touched
        self.item, self._shown = item, item.shown
        if not changed and self.value != self._shown:
            self.value = self._shown
            self.refresh()

    def put(self, value: Any) -> None:
        if value != self.value:
            self.value = value
            self.refresh()
            self.post_message(Entry.Edited(self))

    def chooser(self) -> ModalScreen[Any] | None:
        from nutwizard.tui.choose import ChooseOne

        return ChooseOne(self.item.title, self.item.offered, self.value)

    def render(self) -> RenderResult:
        return marked(f"< {self.value or '?'} >", self.has_focus)

    def action_turn(self, way: int) -> None:
        """The next word, or the one before."""
        words = [choice.value for choice in self.item.offered]
        if words:
            at = words.index(self.value) + way if self.value in words else 0
            self.put(words[at % len(words)])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """With one word there is nothing to change."""
        return len(self.item.offered) > 1 if action == "turn" else True

    def on_key(self, event: events.Key) -> None:
        """A letter goes to the next word that begins with it."""
        if event.character is None or not event.character.isalnum():
            return
        words = [choice.value for choice in self.item.offered]
        at = words.index(self.value) + 1 if self.value in words else 0
        for word in (*words[at:], *words[:at]):
            if word.lower().startswith(event.character.lower()):
                event.stop()
                self.put(word)
                return


class ListEntry(Entry, can_focus=True):
    """Several words, or rows: the line shows them, Space opens them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "screen.list", "change")]

    def __init__(self, item: Item) -> None:
        super().__init__(id=f"field-{item.field.name}")
        self.item = item
        self.value: tuple[Any, ...] | None = None

    @property
    def touched(self) -> bool:
        return self.value is not None

    @property
    def has_list(self) -> bool:
        return True

    @property
    def now(self) -> tuple[Any, ...]:
        """The value that stands there."""
        if self.value is not None:
            return self.value
        proposed = self.item.proposal.value if self.item.proposal else None
        return proposed if isinstance(proposed, tuple) else ()

    def read(self) -> Any:
        rows = self.item.kind is FieldKind.ROWS
        return self.now if rows else self.item.read(list(map(str, self.now)))

    def offer(self, item: Item) -> None:
        self.item = item
        self.refresh()

    def put(self, value: Any) -> None:
        self.value = tuple(value)
        self.refresh()
        self.post_message(Entry.Edited(self))

    def chooser(self) -> ModalScreen[Any] | None:
        if self.item.kind is FieldKind.ROWS:
            from nutwizard.tui.rows import RowsScreen

            return RowsScreen(self.item.field, self.now)
        from nutwizard.tui.choose import ChooseMany

        return ChooseMany(self.item.title, self.item.offered, tuple(map(str, self.now)))

    def render(self) -> RenderResult:
        text = safe_text(self.item.field.show(self.now)) if self.now else "none"
        width = self.size.width
        return marked(text if len(text) <= width else f"{text[: max(0, width - 4)]} ...", self.has_focus)
