"""The overview: what will happen, what was found, the steps and where each stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from nutwizard.core.errors import AnswersError, Exit
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice
from nutwizard.core.standing import Standing, StepState
from nutwizard.engine import registry
from nutwizard.tui.choose import Ask
from nutwizard.tui.frame import Frame
from nutwizard.tui.widgets import Menu, Pane, Rule, plain, with_keys
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line, cells, markdown
from nutwizard.wording.screens import PROMISE, machine_name, problem_text

if TYPE_CHECKING:
    from nutwizard.tui.app import WizardApp

_COLUMN = 38
_TEXT = "Everything is in place. c proves that it works."


@dataclass(frozen=True)
class Seen:
    """What the overview shows."""

    machine: str
    found: list[tuple[str, str, str]]
    guide: tuple[tuple[str, str], ...]
    standings: dict[str, Standing]
    typed: bool
    trouble: str

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        states = {s.state for s in self.standings.values()}
        return states <= {StepState.IN_PLACE, StepState.OTHER_ROLE}

    @property
    def intro(self) -> str:
        """What will happen; where nothing is left to do what shows that it works."""
        if not self.settled:
            return PROMISE
        told = next((value for what, value, _ in self.found if what == "rehearsed"), "")
        return f"{_TEXT} n rehearses a power cut ({told})." if told else _TEXT


def look(session: WizardSession) -> Seen:
    """Read it all, at the desk."""
    session.stay("overview")
    return Seen(
        machine_name(session),
        session.found(),
        session.guide,
        {name: session.standing(name) for name, _ in session.guide},
        any(session.typed(step) for step in session.steps),
        session.kept_trouble,
    )


async def make(app: WizardApp, notice: str) -> Frame:
    """The overview as things are now."""
    seen = await app.desk.ask(look)
    for step in app.unread:
        seen.standings[step] = Standing(StepState.TO_DO, "something in it cannot be read")
    return Overview(seen, practice=app.practice, notice=notice or seen.trouble or app.hint)


class Overview(Frame):
    """Enter goes through the steps from the chosen one on; a number opens one alone."""

    place = "overview"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(n), f"alone({n})", "one alone", key_display="1-9", show=n == 1) for n in range(1, 10)),
        Binding("0", "alone(10)", show=False),
        Binding("t", "take_all", "take all"),
        Binding("c", "check", "check"),
        Binding("b", "budget", "budget"),
        Binding("d", "forced", "FSD test"),
        Binding("n", "rehearse", "rehearsal"),
        Binding("r", "role", "role"),
        Binding("p", "app.topics", "pages"),
        Binding("x", "start_over", "start over"),
        Binding("f1", "help", "help", show=False),
        Binding("q,escape", "app.leave", "quit", key_display="q"),
    ]

    def __init__(self, seen: Seen, *, practice: bool, notice: str) -> None:
        super().__init__("nutwizard", seen.machine, practice=practice, notice=notice)
        self._seen = seen
        self._about_rule = Rule()
        self._names = [name for name, _ in seen.guide]

    def body(self) -> ComposeResult:
        text = [Line(self._seen.intro)]
        yield Pane(text, id="intro", most=4)
        found = Rule("Found here")
        with Container(id="columns"):
            with Container(id="found-box"):
                yield found
                yield Pane(found_lines(self._seen.found, _COLUMN), rule=found, id="found")
            with Container(id="steps-box"):
                yield Rule("Steps")
                yield Menu(*self._rows(), enter_word="go on", id="steps")

            with Container(id="about-box"):
                yield self._about_rule
                yield Pane(rule=self._about_rule, id="about")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Where there is room, what the chosen step is about."""
        name, title = self._seen.guide[event.option_index]
        self._about_rule.say(title)
        self.query_one("#about", Pane).show(
            with_keys(markdown(registry.page_of(name, self.wizard.role).intro))
        )

    def on_mount(self) -> None:
        rows = self.query_one("#steps", OptionList)
        rows.highlighted = self._first()
        rows.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to start over where nothing was answered; only a host can force a shutdown."""
        if action == "forced":
            return self.wizard.role is Role.HOST
        return self._seen.typed if action == "start_over" else True

    def action_page(self, way: int) -> None:
        pane = self.query_one("#found", Pane)
        pane.scroll_relative(y=way * max(1, pane.size.height - 1), animate=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, or a click, on a step."""
        self.wizard.travel(self._names[event.option_index], steps=self.wizard.steps)

    def action_alone(self, number: int) -> None:
        """One step and no other."""
        if number <= len(self.wizard.steps):
            self.wizard.travel(self.wizard.steps[number - 1], steps=(self.wizard.steps[number - 1],))

    @work
    async def action_take_all(self) -> None:
        """Take every suggestion and go to the review; where one is missing, to its step."""
        with self.patiently():
            problems = await self.ask(_problems)
        problems += [(unread, "something in it cannot be read") for unread in self.wizard.unread]
        step, text = problems[0] if problems else ("", "")
        notice = f"One answer is yours to give: {text}" if problems else ""
        self.wizard.straight = not problems
        self.wizard.travel(step or "review", notice=notice, steps=self.wizard.steps)

    def action_check(self) -> None:
        """Prove what is there, without changing anything."""
        self.wizard.travel("check")

    def action_forced(self) -> None:
        """To the test of a forced shutdown; nothing is fired by going there."""
        self.wizard.travel("forced")

    def action_budget(self) -> None:
        """The time that a shutdown needs, and the battery's."""
        self.wizard.travel("budget")

    def action_rehearse(self) -> None:
        """A power cut with the files as they are, on copies."""
        self.wizard.travel("rehearsal")

    @work
    async def action_role(self) -> None:
        """Ask whether to set this machine up in the other role."""
        from nutwizard.tui.app import Ended

        other = Role.CLIENT if self.wizard.role is Role.HOST else Role.HOST
        what = {Role.HOST: "the UPS is connected here", Role.CLIENT: "it follows another machine's UPS"}
        rows = (
            Choice("stay", f"a {self.wizard.role}: {what[self.wizard.role]}"),
            Choice("change", f"to a {other}: {what[other]}"),
        )
        if await self.app.push_screen_wait(Ask("What is this machine to be?", rows)) == "change":
            self.app.exit(Ended(Exit.DONE, role=other))

    @work
    async def action_start_over(self) -> None:
        """Forget the answers of this dialogue, after a question."""
        rows = (Choice("keep", "go on with them"), Choice("forget", "as if you had answered nothing"))
        if await self.app.push_screen_wait(Ask("Forget your answers?", rows)) == "forget":
            await self.ask(lambda session: session.start_over())
            self.wizard.travel("overview")

    def _first(self) -> int:
        """The first step that needs work."""
        todo = (StepState.TO_DO, StepState.DIFFERS, StepState.UNKNOWN)
        standings = self._seen.standings
        for n, name in enumerate(self._names):
            if standings[name].state in todo:
                return n
        return next((n for n, name in enumerate(self._names) if name in self.wizard.steps), 0)

    def _rows(self) -> list[Option]:
        titles = max(len(title) for _, title in self._seen.guide)
        numbers = {name: str(n) for n, name in enumerate(self.wizard.steps, 1)}
        return [
            Option(
                plain(row_text(numbers.get(name, "-"), title, titles, self._seen.standings[name])),
                disabled=name not in numbers,
            )
            for name, title in self._seen.guide
        ]


def row_text(number: str, title: str, width: int, standing: Standing) -> str:
    """A step in the list: number, title, state, and why."""
    why = "" if standing.state is StepState.OTHER_ROLE else standing.why
    return f"{number:>2} {title:<{width}}  {standing.state:<{len(StepState.UNKNOWN)}}  {why}".rstrip()


def found_lines(found: Sequence[tuple[str, str, str]], column: int) -> list[Line]:
    """What was found and how that is known, two on a line where they are short."""
    words = [f"{what} {value}" + (f" ({how})" if how else "") for what, value, how in found]
    lines: list[str] = []
    left = ""
    for word in words:
        if cells(word) > column:
            lines += ([left] if left else []) + [word]
            left = ""
        elif left:
            lines.append(f"{left:<{column}}  {word}")
            left = ""
        else:
            left = word
    return [Line(f" {text}") for text in (*lines, *([left] if left else ()))]


def _problems(session: WizardSession) -> list[tuple[str, str]]:
    """(step, what is wrong) of the answers as they are."""
    try:
        session.plan()
    except AnswersError as error:
        steps = [problem.field.partition(".")[0] for problem in error.problems]
        texts = [problem_text(problem, step) for problem, step in zip(error.problems, steps, strict=True)]
        return list(zip(steps, texts, strict=True))
    return []
