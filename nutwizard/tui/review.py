"""The review: every file's diff, the units, the warnings, the command that does the same; then a yes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from nutwizard.core.errors import AnswersError
from nutwizard.core.fields import Choice
from nutwizard.core.plan import NOTHING, Plan
from nutwizard.tui.choose import Ask
from nutwizard.tui.frame import Frame
from nutwizard.tui.widgets import Menu, Pane, Rule, plain
from nutwizard.wording import show
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line, Tone
from nutwizard.wording.screens import command, counted, counted_plan, problem_text, replay_command

if TYPE_CHECKING:
    from nutwizard.tui.app import WizardApp


@dataclass(frozen=True)
class Part:
    """A row of the list, what the pane shows for it, and the step that Enter opens ("" for none)."""

    row: str
    lines: tuple[Line, ...]
    step: str = ""


@dataclass(frozen=True)
class Seen:
    """What the review shows. `plan`: None where the answers do not make one."""

    plan: Plan | None
    parts: tuple[Part, ...]
    counted: str


def look(session: WizardSession) -> Seen:
    """Read it all, at the desk."""
    session.stay("review")
    try:
        plan = session.plan()
    except AnswersError as error:
        return Seen(None, _refused(session, error), "not yet")
    return Seen(plan, tuple(_parts(session, plan)), counted_plan(plan))


async def make(app: WizardApp, notice: str) -> Frame:
    """The review of the answers as they are."""
    seen = await app.desk.ask(look)
    if app.unread:
        text = "something that stands in it cannot be read; Enter opens it"
        lines = (Line("There is no plan yet."), Line(f"The step has {text}."))
        parts = tuple(Part(f"{step}: {text}", lines, step) for step in app.unread)
        seen = Seen(None, parts, "not yet")
    return Review(seen, practice=app.practice, notice=notice)


class Review(Frame):
    """A list of what would happen, and a pane for the chosen part of it."""

    place = "review"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "apply", "apply"),
        Binding("c", "check", "check"),
        Binding("ctrl+o", "app.overview", "overview", show=False),
        Binding("f2,d", "whole", "all of it", key_display="d"),
        Binding("y", "copy", "copy the command"),
    ]

    def __init__(self, seen: Seen, *, practice: bool, notice: str) -> None:
        super().__init__("Review", seen.counted, practice=practice, notice=notice)
        self._seen = seen

    def body(self) -> ComposeResult:
        rule = Rule()
        with Container(id="review"):
            rows = (Option(plain(part.row)) for part in self._seen.parts)
            yield Menu(*rows, enter_word="its step", id="parts")
            with Container(id="detail-box"):
                yield rule
                yield Pane(rule=rule, id="detail")
        self._rule = rule

    def on_mount(self) -> None:
        rows = self.query_one("#parts", OptionList)
        rows.highlighted = 0
        rows.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only a plan with something in it can be applied."""
        if action == "check":
            return self._seen.plan is not None and self._seen.plan.empty
        if action in ("apply", "copy"):
            return self._seen.plan is not None and not self._seen.plan.empty
        return True

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        part = self._seen.parts[event.option_index]
        self._rule.say(title=part.row.split("  ")[0].strip())
        self.query_one("#detail", Pane).show(part.lines)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._open(self._seen.parts[event.option_index].step)

    def _open(self, step: str) -> None:
        if step in self.wizard.steps:
            self.wizard.travel(step)

    def action_check(self) -> None:
        """Nothing to write: prove what is there."""
        self.wizard.travel("check")

    def action_whole(self) -> None:
        """The whole plan over the whole screen."""
        from nutwizard.tui.reader import Reader

        if self._seen.plan is not None:
            lines = show.plan_lines(self._seen.plan)
            self.app.push_screen(Reader("Review: every line", lines, practice=self._practice))

    @work
    async def action_copy(self) -> None:
        """Hand the replay's command line to the terminal's clipboard (OSC 52)."""
        words = await self.ask(replay_command)
        self.app.copy_to_clipboard(words)
        self.notify_here(f"Handed to the terminal to copy: {words}")

    @work
    async def action_apply(self) -> None:
        """Ask, look whether there is an outage, write."""
        plan = self._seen.plan
        if plan is None or self._agreed:
            return
        rows = (Choice("back", "to the review"), Choice("write", "the files, restart, prove"))
        if await self.app.push_screen_wait(Ask("Write this now?", rows)) != "write":
            return
        self._agreed = True
        self.notify_here("Asking the NUT server whether there is an outage ...")
        outage = await self.ask(lambda session: session.outage())
        self.notify_here(f"{outage} Nothing was written yet." if outage else "")
        if outage:
            self._agreed = False
        else:
            self.wizard.write(plan)

    #: Whether the yes was given: the same keys again write nothing twice.
    _agreed = False


def _parts(session: WizardSession, plan: Plan) -> list[Part]:
    if plan.empty:
        notes = [Line(f"Note: {note}") for note in plan.notes]
        return [Part("nothing to do", (Line(NOTHING), Line("c proves that it works."), *notes))]
    files = [change for change in plan.files if not change.copy_of]
    width = max((len(change.path) for change in files), default=0)
    parts = [
        Part(
            f"{change.path:<{width}}  {show.size_of(change):<9}  {', '.join(change.steps)}",
            tuple(show.change_lines(change)),
            next(iter(change.steps), ""),
        )
        for change in files
    ]
    copies = tuple(Line(show.copy_text(change)) for change in plan.files if change.copy_of)
    last = [Line(), Line("Restarts cannot be undone; the files can:"), _copy(command(session, "undo"))]
    acts = tuple(Line(f"{act}: {act.why}") for act in plan.acts)
    if acts:
        parts.append(Part(f"{'then':<{width}}  {counted(len(acts), 'act')}", (*acts, *last)))
    if copies:
        parts.append(
            Part(f"{'kept as it is now':<{width}}  {counted(len(copies), 'copy', 'copies')}", copies)
        )
    if plan.notes:
        notes = [Line(f"- {note}") for note in plan.notes]
        parts.insert(0, Part(f"{'read this first':<{width}}  {counted(len(notes), 'note')}", tuple(notes)))
    if others := session.open_steps():
        text = Line(f"Answered, and not part of this: {', '.join(map(session.title, others))}.")
        parts.append(Part("other steps", (text, Line("Open all of them from the overview with Enter."))))
    again = (Line("From then on the same without questions:"), _copy(replay_command(session)))
    return [*parts, Part("the same again", again)]


def _copy(text: str) -> Line:
    return Line(f"  {text}", Tone.PLAIN)


def _refused(session: WizardSession, error: AnswersError) -> tuple[Part, ...]:
    """What is wrong, a row for each problem; Enter opens its step."""
    parts = []
    for problem in error.problems:
        step = problem.field.partition(".")[0]
        title = session.title(step) if step in session.steps else "answers"
        text = problem_text(problem)
        parts.append(Part(f"{title}: {text}", (Line("There is no plan yet:"), Line(text)), step))
    return tuple(parts)
