"""The same kinds of widgets as the wizard's screens, in a Textual app that does nothing else.

Ctrl+N goes from a screen like the overview to one like a step.
"""

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

TEXT = "\n".join(
    f"{n:2} words that stand for a page of the guide, as long as its lines are" for n in range(20)
)
STYLES = """
Screen { background: ansi_default; color: ansi_default; overflow: hidden; }
Static { height: auto; padding: 0 1; }
.title { background: ansi_blue; color: ansi_bright_white; text-style: bold; }
.keys { dock: bottom; height: 1; }
VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
OptionList { height: auto; border: none; padding: 0; background: ansi_default; }
Input { height: 1; border: none; padding: 0; background: ansi_default; }
"""


class Chapter(Screen[None]):
    """A title, a page that scrolls, and the keys."""

    title_text, keys_text = "Overview", "Ctrl+N next"

    def compose(self) -> ComposeResult:
        yield Static(self.title_text, classes="title")
        yield Static("Practice: nothing here is protected")
        with VerticalScroll(can_focus=False):
            yield Static(TEXT)
        yield Static("-" * 76)
        yield from self.below()
        yield Static(self.keys_text, classes="keys")

    def below(self) -> ComposeResult:
        """What can be chosen."""
        yield OptionList(*(Option(f"{n} a step  to do  one file") for n in range(1, 10)), compact=True)


class Fields(Chapter):
    """Three fields with their labels, and a pane below them."""

    title_text, keys_text = "Step", "Tab field"

    def below(self) -> ComposeResult:
        for n in range(1, 4):
            yield Static(f"Field {n}")
            yield Input(f"value {n}", compact=True)
            yield Static("from the file")
        yield Static("+ a line\n+ another line")


class Bare(App[None]):
    """Shows them."""

    CSS = STYLES
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+n", "onward", "next", priority=True)]

    def __init__(self) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"

    def on_mount(self) -> None:
        self.push_screen(Chapter())

    def action_onward(self) -> None:
        """To the other screen."""
        self.switch_screen(Fields())


if __name__ == "__main__":
    Bare().run(mouse=False)
