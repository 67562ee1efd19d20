"""A rehearsal as it is played: a line for each moment, then the verdict, each finding with its step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from nutwizard.core.errors import WizardError
from nutwizard.core.facts import Role
from nutwizard.core.rehearsal.cast import Item
from nutwizard.core.rehearsal.form import Form
from nutwizard.core.rehearsal.moments import Moment
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.engine.rehearsal.run import Left, Rehearsed
from nutwizard.tui.frame import Frame
from nutwizard.tui.rehearsal import go_back, play
from nutwizard.tui.widgets import Menu, Pane, Rule, Title, plain
from nutwizard.wording import rehearsing
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line
from nutwizard.wording.rehearsalforms import limits
from nutwizard.wording.rehearsed import Timeline, headline, length_lines, limit_lines

if TYPE_CHECKING:
    from nutwizard.engine.rehearsal.ready import Prepared

T = TypeVar("T")
#: Columns beside a line of the timeline: the pane's borders, its scroll bar and the blank before that.
_BESIDE = 4
_WIDEST = 118
#: Rows that the verdict's words take at most.
_SAID = 8


class Play(Frame):
    """Leaving ends it at once. Afterwards Enter on a finding opens its step; with none it goes on."""

    place = "playing"
    #: The list is empty until the end.
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "onward", "go on"),
        Binding("e", "mend", "its step"),
        Binding("a", "again", "again"),
        Binding("down", "line(1)", show=False),
        Binding("up", "line(-1)", show=False),
        Binding("p", "app.topics", "pages", show=False),
    ]

    def __init__(self, scenario: Scenario, door: str, *, practice: bool) -> None:
        super().__init__(f"Rehearsal: {scenario.value}", "playing", practice=practice)
        self.scenario, self.door = scenario, door
        self._moments: list[Moment] = []
        self._names: list[str] = []
        #: Lines that are not shown yet.
        self._fresh: list[Line] = []
        self._columns, self._limit = 0, 0.0
        self._done: Rehearsed | None = None
        self._failed = self._gone = False
        self._began = time.monotonic()
        words = scenario.words
        self._head: tuple[Line, ...] = (Line(f"{words[:1].upper()}{words[1:]}."), Line())
        self._form = Form.COPIES

    def body(self) -> ComposeResult:
        self._rule = Rule("Its machines are being set up")
        yield Pane(self._head, rule=self._rule, id="log")
        yield self._rule
        with Container(id="verdict"):
            yield Menu(enter_word="its step", id="links")
            yield Pane(id="said", most=_SAID)

    def on_mount(self) -> None:
        self.query_one("#verdict").display = False
        self._clock = self.set_interval(1.0, self._tick)
        self._play()

    def on_unmount(self) -> None:
        self._gone = True

    def on_resize(self, event: events.Resize) -> None:
        """The lines are broken anew where the terminal became narrower or wider."""
        columns = min(_WIDEST, event.size.width - _BESIDE)
        if columns != self._columns:
            self._columns = columns
            if self._names:
                self._tell_anew()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While it plays there is nothing to mend, and Enter does nothing."""
        items = self._items
        if action == "mend":
            return any(rehearsing.step_of(each) for each in items)
        if action == "onward":
            return self._over and not items
        return self._over or action != "again"

    @property
    def _over(self) -> bool:
        return self._done is not None or self._failed

    @property
    def _items(self) -> tuple[Item, ...]:
        return self._done.verdict.items if self._done is not None else ()

    @work(exclusive=True, group="play")
    async def _play(self) -> None:
        """Play it at the desk; what happens comes over as it happens."""

        def run(session: WizardSession) -> Rehearsed:
            return session.rehearse(
                self.scenario,
                begins=lambda prepared: self._over_there(self._begins, prepared),
                told=lambda moment: self._over_there(self._told, moment),
                left=lambda: self._gone or self.app.return_value is not None,
            )

        try:
            done = await self.ask(run)
        except Left:
            return
        except WizardError as error:
            self._fail(error)
            return
        if not self._gone:
            self._judge(done)

    def _over_there(self, do: Callable[[T], None], what: T) -> None:
        """From the desk's thread in the screens' own. Raises Left when the person has left."""
        if self._gone:
            raise Left
        self.app.call_from_thread(do, what)

    def _begins(self, prepared: Prepared) -> None:
        self._names = [each.name for each in prepared.company.sets]
        self._limit, self._form = prepared.caster.limit, prepared.staging.form
        if self._form is not Form.COPIES:
            self._head = (*self._head, Line(limits(prepared.staging)), Line())
            self._fresh += self._head[-2:]
        self._timeline = Timeline(self._names, self._fresh.append, self._form, self._columns)
        self._tick()

    def _told(self, moment: Moment) -> None:
        self._moments.append(moment)
        self._timeline.moment(moment)
        self._flush()

    def _flush(self) -> None:
        """Show the lines that have become whole."""
        for log in self.query("#log").results(Pane):  # none while the screen goes away
            log.add(self._fresh)
            self._fresh.clear()

    def _tell_anew(self) -> None:
        """All lines so far, as wide as the screen is now."""
        self._fresh.clear()
        self._timeline = Timeline(self._names, self._fresh.append, self._form, self._columns)
        for moment in self._moments:
            self._timeline.moment(moment)
        if self._over:
            self._timeline.close()
        lines = [*self._head, *self._fresh]
        self._fresh.clear()
        self.query_one("#log", Pane).show(lines, at=len(lines) - 1)

    def _tick(self) -> None:
        if self._names and not self._over:
            seconds = int(time.monotonic() - self._began)
            self._rule.say(
                f"Playing, {seconds} s. Esc ends it; it is over after {self._limit:.0f} s at the latest"
            )

    def _fail(self, error: WizardError) -> None:
        """It could not be played."""
        self._failed = True
        self._clock.stop()
        self._rule.say("It could not be played")
        for log in self.query("#log").results(Pane):
            log.add([Line(), Line(error.text), *([Line(error.hint)] if error.hint else [])])
            self.refresh_bindings()

    def _judge(self, done: Rehearsed) -> None:
        """Its end: the verdict, and what mends what would not have worked."""
        self._done = done
        self._clock.stop()
        self._timeline.close()
        self.query_one(Title).retitle(self._left, "well" if _well(done) else "not well")
        self._flush()
        self._rule.say(headline(done))
        rows = self.query_one("#links", OptionList)
        rows.display = bool(self._items)
        self.query_one("#verdict").display = True
        self._say(len(self._items))
        if self._items:
            found = [rehearsing.item_row(each) for each in self._items]
            rows.add_options([Option(plain(row)) for row in (*found, rehearsing.WHOLE)])
            rows.highlighted = 0
            rows.focus()
        self.notify_here(rehearsing.items_notice(self._items))
        self.refresh_bindings()

    def _say(self, at: int) -> None:
        """The finding in full; behind the last one what holds of the whole play."""
        if self._done is None:
            return
        if at < len(self._items):
            lines = rehearsing.item_about(self._items[at], self._own)
        else:
            lines = [*length_lines(self._done), *limit_lines(self._done)]
        self.query_one("#said", Pane).show(lines)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._say(event.option_index)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_index < len(self._items):
            self.action_mend()
        else:
            self.action_help()

    def action_mend(self) -> None:
        """Open the step that mends the chosen finding; the check where that is to say more."""
        at = self.query_one("#links", OptionList).highlighted
        if at is None or at >= len(self._items):
            return
        item = self._items[at]
        step = rehearsing.step_of(item)
        if not rehearsing.mended_here(item, self._own):
            self.notify_here(f"That is mended on {item.machine}: {item.mend}")
        elif step in self.wizard.steps:
            self.wizard.travel(step, notice=item.text, steps=(step,))
        elif item.mend == "nutwizard check":
            self.wizard.travel("check")
        else:
            self.notify_here(f"What mends it: {item.mend}" if item.mend else "No step mends it.")

    @property
    def _own(self) -> str:
        """This machine's name in the play; before a client stands a host that is made up."""
        at = 0 if self.wizard.role is Role.HOST else -1
        return self._names[at] if self._names else ""

    def action_again(self) -> None:
        """The same once more, with the files as they are then."""
        play(self, self.scenario, self.door)

    def action_onward(self) -> None:
        """Nothing is to be mended: to where the person came from."""
        go_back(self, self.door)

    async def action_back(self) -> None:
        """To the choice; what still plays is ended."""
        self._gone = True
        self.wizard.travel("rehearsal")

    def action_line(self, way: int) -> None:
        self.query_one("#log", Pane).scroll_relative(y=way, animate=False)

    def action_help(self) -> None:
        self.wizard.read_topic("rehearse")


def _well(done: Rehearsed) -> bool:
    return done.verdict.well and not done.cut_off
