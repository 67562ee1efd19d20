"""Lists over a screen: one of several, several of many, a question with a few answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from nutwizard.core.fields import Choice
from nutwizard.tui.entries import PlainInput
from nutwizard.tui.widgets import Keys, Menu, plain

#: Lists from this length on are searched by typing.
LONG = 12


class Over(ModalScreen[Any]):
    """A box over the screen; Esc leaves it and changes nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back")]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._ended = False

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(plain(self._title), id="question")
            yield from self.inner()
            yield Keys()

    def inner(self) -> ComposeResult:
        """What stands in the box."""
        yield from ()

    def action_leave(self) -> None:
        self.end(None)

    def end(self, value: Any) -> None:
        """Leave with this value; a second key that comes at once finds nobody any more."""
        if not self._ended:
            self._ended = True
            self.dismiss(value)


class ChooseOne(Over):
    """One of several. The value that is chosen, or None."""

    def __init__(self, title: str, choices: Sequence[Choice], now: str) -> None:
        super().__init__(title)
        self._choices, self._seen, self._now = tuple(choices), tuple(choices), now

    def inner(self) -> ComposeResult:
        if len(self._choices) >= LONG:
            yield PlainInput(placeholder="type to search", compact=True, id="search")
        yield Menu(*_rows(self._choices), enter_word="take it")

    def on_mount(self) -> None:
        rows = self.query_one(OptionList)
        values = [choice.value for choice in self._choices]
        rows.highlighted = values.index(self._now) if self._now in values else 0
        if not self.query("#search"):
            rows.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        wanted = event.value.strip().lower()
        self._seen = tuple(c for c in self._choices if wanted in f"{c.value} {c.note}".lower())
        rows = self.query_one(OptionList)
        rows.clear_options()
        rows.add_options(_rows(self._seen))
        rows.highlighted = 0 if self._seen else None

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_take()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.end(self._seen[event.option_index].value)

    def action_take(self) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None and self._seen:
            self.end(self._seen[at].value)

    def on_key(self, event: events.Key) -> None:
        """In the search line the arrows still move in the list."""
        if event.key in ("down", "up") and self.query("#search"):
            event.stop()
            rows = self.query_one(OptionList)
            (rows.action_cursor_down if event.key == "down" else rows.action_cursor_up)()


class Ask(ChooseOne):
    """A question with a few answers, each chosen by arrows or by its first letter."""

    def __init__(self, question: str, choices: Sequence[Choice], now: str = "") -> None:
        super().__init__(question, choices, now or choices[0].value)

    def on_key(self, event: events.Key) -> None:
        found = [c.value for c in self._choices if event.character and c.value[:1] == event.character.lower()]
        if len(found) == 1:
            event.stop()
            self.end(found[0])


class ChooseMany(Over):
    """Several of many; the words that are chosen, or None. `free` reads words that are typed beside them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "on or off"),
        Binding("enter", "take", "take these", priority=True),
    ]

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        now: Sequence[str],
        free: Callable[[str | Sequence[str]], Any] | None = None,
    ) -> None:
        super().__init__(title)
        known = [choice.value for choice in choices]
        own = [Choice(value, "as it is") for value in now if value not in known]
        self._choices = (*choices, *own)
        self._on = set(now)
        self._free = free

    def inner(self) -> ComposeResult:
        yield Menu(*self._marked())
        if self._free is not None:
            yield PlainInput(placeholder="others: type them, Tab leads here", compact=True, id="others")
        yield Static(id="wrong")

    def on_mount(self) -> None:
        rows = self.query_one(OptionList)
        rows.highlighted = 0
        rows.focus()

    def action_mark(self) -> None:
        rows = self.query_one(OptionList)
        at = rows.highlighted
        if at is None:
            return
        self._on ^= {self._choices[at].value}
        rows.replace_option_prompt_at_index(at, self._marked()[at].prompt)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()

    def action_take(self) -> None:
        """Take what is marked, in the list's order, and what was typed beside it."""
        words = [choice.value for choice in self._choices if choice.value in self._on]
        if self._free is not None:
            words += self.query_one("#others", Input).value.replace(",", " ").split()
        words = list(dict.fromkeys(words))
        try:
            if self._free is not None:
                self._free(words)
        except ValueError as error:
            self.query_one("#wrong", Static).update(plain(f"! {error}"))
            return
        self.end(tuple(words))

    def _marked(self) -> list[Option]:
        marked = [
            Choice(f"[{'x' if choice.value in self._on else ' '}] {choice.value}", choice.note)
            for choice in self._choices
        ]
        return _rows(marked)


def _rows(choices: Sequence[Choice]) -> list[Option]:
    """Rows of a list, their notes aligned."""
    width = max((len(choice.value) for choice in choices), default=0)
    return [Option(plain(f"{choice.value:<{width}}  {choice.note}".rstrip())) for choice in choices]
