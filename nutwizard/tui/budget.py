"""The budget: the time that a shutdown needs against the battery's, and advice that can be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from nutwizard.core.budget.result import Advice, Budget
from nutwizard.core.errors import Problem
from nutwizard.tui.frame import Frame
from nutwizard.tui.reader import Reader
from nutwizard.tui.widgets import Menu, Pane, Rule, plain
from nutwizard.wording.budget import advice_line, budget_lines, buys_text
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line
from nutwizard.wording.screens import machine_name

if TYPE_CHECKING:
    from nutwizard.tui.app import WizardApp

#: From where the budget is looked at, and whereto Esc leads.
_DOORS = ("check", "finish")
#: Columns of the padding and the scroll bar.
_EDGES = 4
_MARK = {True: "*", False: " "}


async def make(app: WizardApp, notice: str) -> Frame:
    """The budget as the files are now."""

    def look(session: WizardSession) -> tuple[Budget, str]:
        return session.budget(), machine_name(session)

    here = app.screen
    door = here.door if isinstance(here, BudgetScreen) else getattr(here, "place", "")
    found, machine = await app.desk.ask(look)
    return BudgetScreen(found, machine, door, practice=app.practice, notice=notice)


class BudgetScreen(Frame):
    """Enter on a piece of advice makes it an answer of its step; the review shows it as ever."""

    place = "budget"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "open", "its step"),
        Binding("r", "review", "review"),
        Binding("a", "again", "again"),
        Binding("p", "app.topics", "pages", show=False),
    ]

    def __init__(self, found: Budget, machine: str, door: str, *, practice: bool, notice: str) -> None:
        """`door`: the place that one comes from."""
        super().__init__("Budget", machine, practice=practice, notice=notice)
        self._found, self.door = found, door
        self._taken: list[Advice] = []

    def body(self) -> ComposeResult:
        rule = Rule("What to change" if self._found.advice else "")
        with Container(id="budget"):
            yield Pane(self._sums(), rule=rule, id="sums")
            yield rule
            if self._found.advice:
                with Container(id="change"):
                    yield Menu(*self._options(), enter_word="take it", id="advice")
                    yield Pane(id="how")

    def on_mount(self) -> None:
        if self._found.advice:
            rows = self.query_one("#advice", OptionList)
            rows.highlighted = 0
            rows.focus()

    def on_resize(self) -> None:
        """The picture is as wide as there is room."""
        self.query_one("#sums", Pane).show(self._sums())

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self.query_one("#how", Pane).show(self._how(self._found.advice[event.option_index]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._take(self._found.advice[event.option_index])

    @work
    async def _take(self, advice: Advice) -> None:
        """Make it an answer; what is to be done by hand is shown with its commands."""
        if advice.step not in self.wizard.steps:
            number = self._found.advice.index(advice) + 1
            self.app.push_screen(Reader("By hand", advice_line(number, advice), practice=self._practice))
            return
        problems, title = await self.ask(lambda session: _taken(session, advice))
        if problems:
            self.notify_here(f"Not taken: {problems[0].text}")
            return
        if advice not in self._taken:
            self._taken.append(advice)
            self._fill()
        self.notify_here(f"Taken as an answer of the step {title}; nothing is written. r shows the review.")

    def action_open(self) -> None:
        """Open the step of the chosen advice."""
        at = self.query_one("#advice", OptionList).highlighted
        step = self._found.advice[at].step if at is not None else ""
        if step in self.wizard.steps:
            self.wizard.travel(step, steps=(step,))

    def action_review(self) -> None:
        """What the answers come to; from a run of some steps alone, the steps of what was taken."""
        names = {each.step for each in self._taken}
        some = tuple(step for step in self.wizard.steps if step in names)
        self.wizard.straight = True
        self.wizard.travel("review", steps=some or self.wizard.steps)

    def action_again(self) -> None:
        """Reckon it again: what was measured or written meanwhile counts."""
        self.wizard.travel("budget")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without advice there is nothing to open, and nothing new to review."""
        return bool(self._found.advice) if action == "open" else bool(self._taken) or action != "review"

    async def action_back(self) -> None:
        if self.door in _DOORS:
            self.wizard.travel(self.door)
        else:
            self.wizard.travel("overview", steps=self.wizard.only or self.wizard.steps)

    def action_help(self) -> None:
        self.wizard.read_topic("budget")

    def _sums(self) -> list[Line]:
        """All but the advice, for the width of now but for the edges."""
        return budget_lines(self._found, advised=False, columns=self.app.size.width - _EDGES)

    def _how(self, advice: Advice) -> list[Line]:
        """Why, and how."""
        number = self._found.advice.index(advice) + 1
        return advice_line(number, advice)[1:]

    def _options(self) -> list[Option]:
        return [
            Option(plain(f"{_MARK[each in self._taken]} {each.what}{buys_text(each)}"))
            for each in self._found.advice
        ]

    def _fill(self) -> None:
        rows = self.query_one("#advice", OptionList)
        here = rows.highlighted
        rows.clear_options()
        rows.add_options(self._options())
        rows.highlighted = here
        self.refresh_bindings()


def _taken(session: WizardSession, advice: Advice) -> tuple[tuple[Problem, ...], str]:
    """What is wrong with it, and the name of its step."""
    return session.take(advice), session.title(advice.step)
