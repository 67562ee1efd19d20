"""What a field's widget does, and the one that is typed into.

Each shows what is proposed until the person changes it, so that what nobody touched goes on following the
files and the other answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text as RichText
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from nutwizard.core.answers import Origin
from nutwizard.core.facts import Role
from nutwizard.core.fields import FieldKind
from nutwizard.core.secret import Secret
from nutwizard.core.shown import safe_text
from nutwizard.wording.item import Item

if TYPE_CHECKING:
    from textual.screen import ModalScreen
    from textual.timer import Timer

#: Seconds until a password that is shown hides itself: a terminal sends no release of a key.
SHOWN_FOR = 5.0
#: What the keys do that edit a line.
_EDITS = {
    key: binding.action
    for binding in Input.BINDINGS
    if isinstance(binding, Binding)
    for key in binding.key.split(",")
    if key not in ("enter", "ctrl+c")
}
#: Of these a value is the person's own already.
_GIVEN = (Origin.TYPED, Origin.RESUMED)


class Entry(Widget):
    """A field's widget: an item in, a typed value out."""

    class Edited(Message):
        """The person has changed the value."""

        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    item: Item

    @property
    def name_of(self) -> str:
        """The field's name."""
        return self.item.field.name

    @property
    def given(self) -> bool:
        """Whether the value is the person's: changed here, or given before."""
        return self.touched or (self.item.proposal is not None and self.item.proposal.origin in _GIVEN)

    @property
    def touched(self) -> bool:
        """Whether the person has changed it on this screen."""
        raise NotImplementedError

    @property
    def note(self) -> str:
        """What is to be said about the value that stands there."""
        return ""

    def read(self) -> Any:
        """The typed value. Raises ValueError with a sentence."""
        raise NotImplementedError

    def offer(self, item: Item) -> None:
        """Another proposal: it is shown where the person has changed nothing."""
        raise NotImplementedError

    def put(self, value: Any) -> None:
        """A value that came from a list or was drawn: as if the person had typed it."""
        raise NotImplementedError

    @property
    def has_list(self) -> bool:
        """Whether the value can be taken from a list."""
        return bool(self.item.offered)

    def chooser(self) -> ModalScreen[Any] | None:
        """The list from which the value can be taken; None where there is none."""
        return None


class PlainInput(Input):
    """A line to type in, drawn as plain as everything else."""

    @property
    def _value(self) -> RichText:
        """What is drawn: a password as stars, since Textual's dots are no ASCII.

        What was pasted may be anything: what a terminal would obey or hide is drawn as a question mark.
        """
        shown = "*" * len(self.value) if self.password else "".join(map(_drawn, self.value))
        return RichText(shown, no_wrap=True, overflow="ignore", end="")


class TextEntry(PlainInput, Entry):
    """One line: texts, numbers, several words, passwords."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+g", "draw", "generate"),
        Binding("ctrl+t", "reveal", "show"),
    ]

    class Draw(Message):
        """A password is to be drawn for this field."""

        def __init__(self, entry: TextEntry) -> None:
            super().__init__()
            self.entry = entry

    def __init__(self, item: Item) -> None:
        self._is_secret = item.kind is FieldKind.SECRET
        self._shown = ""
        #: Whether a password was typed here: once it is gone again, it is as if none had been.
        self._own = False
        self._hiding: Timer | None = None
        super().__init__(password=self._is_secret, compact=True, id=f"field-{item.field.name}")
        self.cursor_blink = False
        self.offer(item)

    @property
    def given(self) -> bool:
        return self.touched if self._own else super().given

    @property
    def touched(self) -> bool:
        return self.value != self._shown

    def read(self) -> Any:
        if not self.touched:
            return self.item.keep()
        return self.item.read(self.value if self._is_secret else self.value.strip())

    def offer(self, item: Item) -> None:
        changed = hasattr(self, "item") and self.touched
        self.item = item
        if self._is_secret:
            self.placeholder = item.shown
            return
        self._shown = item.shown
        if not changed and self.value != self._shown:
            with self.prevent(Input.Changed):
                self.value = self._shown
                self.cursor_position = 0 if not self.has_focus else len(self._shown)

    def put_raw(self, text: str) -> None:
        """Text as it was typed, whatever it means."""
        with self.prevent(Input.Changed):
            self.value = text

    def put(self, value: Any) -> None:
        self.value = value.reveal() if isinstance(value, Secret) else self.item.field.show(value)

    def chooser(self) -> ModalScreen[Any] | None:
        from nutwizard.tui.choose import ChooseMany, ChooseOne

        if not self.item.offered:
            return None
        if self.item.kind is FieldKind.TEXTS:
            return ChooseMany(self.item.title, self.item.offered, _words(self.value), free=self.item.read)
        return ChooseOne(self.item.title, self.item.offered, self.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._own = self._is_secret
        self.post_message(Entry.Edited(self))

    async def on_key(self, event: events.Key) -> None:
        """Keys that edit are obeyed here, not on their way up: a burst over a slow line keeps its order."""
        action = _EDITS.get(event.key)
        if action is not None:
            event.stop()
            event.prevent_default()
            await self.run_action(action)

    def on_blur(self, event: events.Blur) -> None:
        self.hide()
        self.cursor_position = 0  # a long value shows its beginning

    def action_reveal(self) -> None:
        """Show the password for a while, or hide it."""
        if self._is_secret:
            hidden = self.password
            self.hide()
            if hidden:
                self.password = False
                self._hiding = self.set_timer(SHOWN_FOR, self.hide)

    def action_draw(self) -> None:
        if self._is_secret:
            self.post_message(self.Draw(self))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of a password are keys of nothing else; one that a host knows is not drawn on a client."""
        host = getattr(self.app, "role", None) is Role.HOST
        return {"reveal": self._is_secret, "draw": self._is_secret and host}.get(action, True)

    def hide(self) -> None:
        """Show a password as stars."""
        if self._hiding is not None:
            self._hiding.stop()
            self._hiding = None
        if self._is_secret:
            self.password = True


def _drawn(char: str) -> str:
    shown = safe_text(char)
    return shown if len(shown) == 1 else "?"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())
