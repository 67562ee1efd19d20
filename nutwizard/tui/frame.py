"""What every screen has: a title, on a practice machine its warning, a notice, the keys of the moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from nutwizard.core.facts import PRACTICE
from nutwizard.tui.widgets import Keys, Pane, Title, plain
from nutwizard.wording.contract import WizardSession

if TYPE_CHECKING:
    from nutwizard.tui.app import WizardApp

T = TypeVar("T")
#: The smallest terminal that the screens are made for, and the width from which panes stand side by side.
LEAST_COLUMNS, LEAST_ROWS, WIDE = 60, 20, 110
#: Seconds until a person is told what a screen waits for.
SOON = 0.3
SLOW = "Asking this machine and the NUT server; Ctrl+Q leaves."
TOO_SMALL = (
    f"This terminal is too small: nutwizard needs {LEAST_COLUMNS} columns and {LEAST_ROWS} rows.\n"
    "Make it larger, or leave with Ctrl+Q; your answers are kept. --plain works at any size."
)


class Frame(Screen[None]):
    """A screen of the wizard. `place`: the word that brings a person back to it."""

    # Not ClassVar, since the base class does not declare them so.
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (LEAST_COLUMNS, "-narrow"), (76, "-usual"), (WIDE, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (LEAST_ROWS, "-high"), (32, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "help"),
        Binding("escape", "back", "back"),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
    ]

    place = ""

    def __init__(self, left: str, right: str = "", *, practice: bool = False, notice: str = "") -> None:
        super().__init__()
        self._left, self._right, self._practice, self._notice = left, right, practice, notice

    @property
    def wizard(self) -> WizardApp:
        """The app, by its own type."""
        return cast("WizardApp", self.app)

    async def ask(self, work: Callable[[WizardSession], T]) -> T:
        """Have something done with the session, apart from the screen."""
        return await self.wizard.desk.ask(work)

    def compose(self) -> ComposeResult:
        yield Title(self._left, self._right)
        if self._practice:
            yield Static(PRACTICE, id="practice")
        notice = Static(plain(self._notice), id="notice")
        notice.display = bool(self._notice)
        yield notice
        yield from self.body()
        yield Keys()
        yield Static(TOO_SMALL, id="small")

    def body(self) -> ComposeResult:
        """What stands between the title and the keys."""
        yield from ()

    @property
    def notice(self) -> str:
        """What is said in the row of its own; "" when nothing is."""
        return self._notice

    def quiet(self, text: str) -> None:
        """Take this notice away, if it stands there."""
        if self._notice == text:
            self.notify_here("")

    def notify_here(self, text: str) -> None:
        """Say something in a row of its own; "" takes the row away."""
        if text == self._notice:
            return
        self._notice = text
        notice = self.query_one("#notice", Static)
        notice.update(plain(text))
        notice.display = bool(text)

    @contextmanager
    def patiently(self) -> Iterator[None]:
        """Around what is asked of the session: say what is waited for when it takes long."""
        slow = self.set_timer(SOON, lambda: self.notify_here(SLOW))
        try:
            yield
        finally:
            slow.stop()
            self.quiet(SLOW)

    def action_page(self, way: int) -> None:
        """Scroll the text of this screen by a page."""
        if panes := list(self.query(Pane)):
            pane = panes[0]
            pane.scroll_relative(y=way * max(1, pane.size.height - 1), animate=False)

    async def action_back(self) -> None:
        """To where the person came from."""
        self.wizard.back(self.place)

    def action_help(self) -> None:
        """What can be read about this screen."""
        self.wizard.read_topic("overview")
