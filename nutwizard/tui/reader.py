"""Text to read over a screen: a page of the guide, a whole diff, the commands to copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from nutwizard.core.facts import Role
from nutwizard.engine import registry
from nutwizard.tui.frame import Frame
from nutwizard.tui.widgets import Menu, Pane, Rule, plain
from nutwizard.wording.layout import Line


class Reader(Frame):
    """Lines over the whole screen; Esc leads back, or to what comes `then`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "back", "go on"),
        Binding("space", "page(1)", "more"),
        Binding("down", "line(1)", show=False),
        Binding("up", "line(-1)", show=False),
        Binding("home", "ends(0)", show=False),
        Binding("end", "ends(1)", show=False),
        Binding("f1", "nothing", show=False),
    ]

    def __init__(
        self,
        title: str,
        lines: Sequence[Line],
        *,
        at: int = 0,
        practice: bool = False,
        then: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(title, practice=practice)
        self._lines, self._start, self._then = list(lines), at, then

    def body(self) -> ComposeResult:
        rule = Rule()
        yield Pane(self._lines, rule=rule, id="text")
        yield rule

    def on_mount(self) -> None:
        if self._start:
            self.call_after_refresh(lambda: self.query_one(Pane).go_to(self._start))

    async def action_back(self) -> None:
        if self._then is None:
            self.dismiss()
        else:
            self._then()

    def action_line(self, way: int) -> None:
        self.query_one(Pane).scroll_relative(y=way, animate=False)

    def action_ends(self, last: int) -> None:
        pane = self.query_one(Pane)
        (pane.scroll_end if last else pane.scroll_home)(animate=False)

    def action_nothing(self) -> None:
        """F1 on a page leads nowhere."""


class Topics(Frame):
    """The list of pages."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f1", "nothing", show=False)]

    def __init__(self, role: Role, *, practice: bool = False) -> None:
        super().__init__("Pages to read", practice=practice)
        self._topics = registry.topics(role)

    def body(self) -> ComposeResult:
        width = max(map(len, self._topics))
        rows = [Option(plain(f"{name:<{width}}  {title}")) for name, title in self._topics.items()]
        yield Menu(*rows, enter_word="read")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.wizard.read_topic(list(self._topics)[event.option_index])

    async def action_back(self) -> None:
        self.dismiss()

    def action_nothing(self) -> None:
        """F1 here is this list itself."""
