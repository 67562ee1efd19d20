"""The app: theme, the way from screen to screen, leaving, and what happens when something breaks."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import App, ScreenStackError
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.worker import WorkerFailed

from nutwizard.core.errors import Exit
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice
from nutwizard.core.links import Finding
from nutwizard.core.plan import Plan
from nutwizard.engine import registry
from nutwizard.engine.outcome import Outcome
from nutwizard.tui.choose import Ask
from nutwizard.tui.desk import Desk
from nutwizard.tui.drawing import THEME, Plainer
from nutwizard.tui.frame import LEAST_COLUMNS, LEAST_ROWS, SLOW, SOON, Frame
from nutwizard.tui.onebyone import OneByOne
from nutwizard.tui.reader import Reader, Topics
from nutwizard.tui.widgets import with_keys
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line
from nutwizard.wording.reading import bare, body_lines

if TYPE_CHECKING:
    from nutwizard.tui.writing import Run

OVERVIEW, REVIEW, CHECK, FINISH = "overview", "review", "check", "finish"
BUDGET, FORCED = "budget", "forced"
_LEFT = "Nothing was written. Your answers are kept."
#: Keys that always work: in a terminal that is too small, and while a screen is on its way.
_ALWAYS = ("ctrl+q", "ctrl+c")


@dataclass(frozen=True)
class Ended:
    """How the wizard ended: exit code, what to print then, and the role it is to be started in again.

    `crashed`: the error that ended it; `writing`: files were being written then.
    """

    code: Exit
    text: str = ""
    role: Role | None = None
    crashed: Exception | None = None
    writing: bool = False


class WizardApp(App[Ended]):
    """The wizard. `only`: the steps that are asked; () all of them.

    `hint`: what a person who practises must know; `heard`: what was said before the screens came up.
    """

    CSS = registry.asset("wizard.tcss")
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority: a burst of keys after Tab goes to the next field, not to the one before it.
        Binding("tab", "app.focus_next", "next field", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", "field before", show=False, priority=True),
        Binding("ctrl+q", "leave", "quit", priority=True),
        Binding("ctrl+c", "interrupt", "interrupt", show=False, priority=True),
    ]

    def __init__(
        self,
        session: WizardSession,
        only: tuple[str, ...] = (),
        *,
        hint: str = "",
        heard: Sequence[str] = (),
    ) -> None:
        super().__init__(ansi_color=True)
        self._plainer = Plainer()
        self.register_theme(THEME)
        self.theme = THEME.name
        self.role, self.practice = session.role, session.practice
        self.steps = session.steps
        self.asked = only or session.steps
        self.hint, self._heard = hint, tuple(heard)
        self.desk = Desk(session)
        self.only = only
        self.busy = False
        #: Whether the review was opened from the overview, past the steps.
        self.straight = False
        #: By step what stands in its fields and cannot be read.
        self.unread: dict[str, dict[str, str]] = {}
        self.outcome: Outcome | None = None
        self.plan: Plan | None = None
        self.findings: tuple[Finding, ...] = ()
        self.last_words: tuple[Line, ...] = ()
        self.crashed: Exception | None = None
        self._pages: list[Reader] = []
        self._on_the_way = self._arriving = False
        self._keys = OneByOne(self, super().on_event, lambda: self._on_the_way)
        self._begin = session.place if session.resumed else ""
        self._opening = session.first and not only and not self._begin
        self._notice = _resumed(session)

    async def on_mount(self) -> None:
        """The first screen: where the person was, else the overview; before a first run the opening page."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._ended_by_signal)
        places = (*self.asked, REVIEW)
        self._begin = self._begin if self._begin in places else self.only[0] if self.only else OVERVIEW
        heard = [Line(text) for text in self._heard]
        if heard:
            self._pages.append(Reader("Before this start", heard, practice=self.practice, then=self._turn))
        if self._opening:
            self._pages.append(self._page("overview", then=self._turn))
        if self._pages:
            await self._put(self._pages.pop(0))
        else:
            await self._show(self._begin, self._notice)

    def _turn(self) -> None:
        """The next page that comes before everything else, and then the first place."""
        if self._pages:
            self.run_worker(self._put(self._pages.pop(0)), group="way")
        else:
            self.travel(self._begin, notice=self._notice)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """As Textual has them, and our own at the end."""
        return (*super().get_line_filters(), self._plainer)

    async def on_event(self, event: events.Event) -> None:
        """Keys that come while a screen is on its way are for that screen, and what is pasted too.

        In a terminal that is too small neither does what cannot be seen.
        """
        key = isinstance(event, events.Key) and event.key not in _ALWAYS
        if (key or isinstance(event, events.Paste)) and not event.is_forwarded:
            if self.size.width >= LEAST_COLUMNS and self.size.height >= LEAST_ROWS:
                self._keys.take(event)
            return
        await super().on_event(event)

    @work(exclusive=True, group="way")
    async def travel(
        self,
        place: str,
        *,
        notice: str = "",
        steps: tuple[str, ...] | None = None,
        gate: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """Show a place: the overview, a step, the review, the check, the end.

        `steps`: ask these from now on; `gate`: whether the way is free, looked at first. It is work of the
        app, not of a screen, which would wait for its own end.
        """
        self._on_the_way = True
        here = self.screen
        slow = self.set_timer(SOON, lambda: self._tell_slow(here))
        try:
            if gate is None or await gate():
                if steps is not None:
                    self.asked = steps
                    narrow = () if steps == self.steps else steps
                    await self.desk.ask(lambda session: session.narrow(narrow))
                await self._show(place, notice)
        finally:
            slow.stop()
            self._on_the_way = self._arriving = False
            with suppress(ScreenStackError):  # the app is being left
                if self.screen is here and isinstance(here, Frame):
                    here.quiet(SLOW)
        self._keys.go_on()

    async def _show(self, place: str, notice: str) -> None:
        from nutwizard.tui.places import screen_for

        screen = await screen_for(self, place, notice)
        self._arriving = True
        await self._put(screen)
        self._arriving = False

    async def _put(self, screen: Frame) -> None:
        """In place of the screen that stands there; the first one upon Textual's empty one."""
        if len(self.screen_stack) > 1:
            await self.switch_screen(screen)
        else:
            await self.push_screen(screen)

    def _tell_slow(self, here: object) -> None:
        """Say at the screen that is being left what is waited for."""
        # The timer may fire while the app is being left: then there is no screen any more.
        stands = self.screen_stack[-1:] == [here]
        if stands and isinstance(here, Frame) and not self._arriving:
            here.notify_here(SLOW)

    def onward(self, place: str, gate: Callable[[], Awaitable[bool]]) -> None:
        """To the place after this one, if the way is free."""
        order = (*self.asked, REVIEW)
        self.straight = False
        self.travel(order[min(order.index(place) + 1, len(order) - 1)], gate=gate)

    def back(self, place: str) -> None:
        """To the place before this one; from the first to the overview, or to the question about leaving."""
        order = (*self.asked, REVIEW)
        at = order.index(place) if place in order and not self.straight else 0
        self.straight = False
        if at > 0:
            self.travel(order[at - 1])
        elif place != OVERVIEW and not self.only:
            self.travel(OVERVIEW, steps=self.steps)
        else:
            self.action_leave()

    def write(self, plan: Plan, run: Run | None = None) -> None:
        """Apply the plan, or `run` in its place, on a screen of its own."""
        from nutwizard.tui.writing import Writing

        self.run_worker(self._put(Writing(plan, run, practice=self.practice)), group="way")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While files are written nothing is left, and no key says so."""
        return not self.busy if action == "leave" else True

    async def action_overview(self) -> None:
        """To the overview from anywhere."""
        self.straight = False
        self.travel(OVERVIEW, steps=self.only or self.steps)

    def read_topic(self, name: str) -> None:
        """Open a page."""
        self.push_screen(self._page(name))

    def action_topics(self) -> None:
        """Open the list of pages."""
        self.push_screen(Topics(self.role, practice=self.practice))

    @work
    async def action_leave(self) -> None:
        """Ask, and leave. While files are written nothing is left."""
        if self.busy or isinstance(self.screen, Ask):
            return
        if self._on_the_way:  # what it waits for may take its time
            self.exit(Ended(Exit.INTERRUPTED, _LEFT))
            return
        if self.outcome is not None or self.last_words:
            self._done()
            return
        rows = (Choice("stay", "go on here"), Choice("leave", "nothing is written; your answers are kept"))
        if await self.push_screen_wait(Ask("Leave nutwizard?", rows)) == "leave":
            self.exit(Ended(Exit.INTERRUPTED, _LEFT))

    def action_interrupt(self) -> None:
        """Ctrl-C ends at once, but not while files are written."""
        if not self.busy:
            self.exit(Ended(Exit.INTERRUPTED, _LEFT if self.outcome is None else self.outcome.text))
        elif isinstance(self.screen, Frame):
            self.screen.notify_here("The writing goes on until everything is proven or put back.")

    def _done(self) -> None:
        """After an apply its code is that of the command; the last page is printed."""
        code = self.outcome.code if self.outcome is not None else Exit.DONE
        words = bare(self.last_words) if self.last_words else self.outcome.text if self.outcome else ""
        self.exit(Ended(code, words))

    def _handle_exception(self, error: Exception) -> None:
        """No trace on the screen: its local variables could hold a password. The caller tells the person."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        self.crashed = self.crashed or (cause if isinstance(cause, Exception) else error)
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()

    def _ended_by_signal(self) -> None:
        if not self.busy:
            self.exit(Ended(Exit.INTERRUPTED, f"Ended by a signal. {_LEFT if self.outcome is None else ''}"))

    def _page(self, name: str, then: Callable[[], None] | None = None) -> Reader:
        title = registry.topics(self.role)[name]
        return Reader(title, with_keys(body_lines(name, self.role)), practice=self.practice, then=then)


def _resumed(session: WizardSession) -> str:
    """What is told to a person whose answers are here again."""
    if not session.resumed:
        return session.kept_trouble
    from datetime import datetime

    when = datetime.fromtimestamp(session.resumed_at).astimezone().strftime("%Y-%m-%d %H:%M")
    count = f"{session.resumed} answer{'s' * (session.resumed != 1)}"
    return f"Your {count} of {when} are here again. In the overview: x starts over."
