"""The rehearsal: what is to happen to the UPS is chosen here, and played on the next screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.tui.frame import Frame
from nutwizard.tui.widgets import Menu, Pane, Rule, plain
from nutwizard.wording import rehearsing
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line
from nutwizard.wording.screens import machine_name

if TYPE_CHECKING:
    from nutwizard.engine.rehearsal.ready import Readiness
    from nutwizard.tui.app import WizardApp

#: From where a rehearsal is looked at, and whereto Esc leads.
DOORS = ("check", "finish")
_SCENARIOS = tuple(Scenario)


async def make(app: WizardApp, notice: str) -> Frame:
    """The choice, with what there is to know before."""

    def look(session: WizardSession) -> tuple[Readiness, str]:
        session.stay("rehearsal")
        return session.readiness(), machine_name(session)

    here = app.screen
    door = getattr(here, "door", getattr(here, "place", ""))
    chosen = getattr(here, "scenario", _SCENARIOS[0])
    ready, machine = await app.desk.ask(look)
    return Choose(ready, machine, door, chosen, practice=app.practice, notice=notice)


class Choose(Frame):
    """Enter plays the chosen scenario. Where the files lack something Enter opens the step that mends it."""

    place = "rehearsal"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("p", "app.topics", "pages", show=False)]

    def __init__(
        self,
        ready: Readiness,
        machine: str,
        door: str,
        chosen: Scenario,
        *,
        practice: bool,
        notice: str,
    ) -> None:
        super().__init__("Rehearsal", machine, practice=practice, notice=notice)
        self._ready, self.door, self._chosen = ready, door, chosen

    def body(self) -> ComposeResult:
        if self._ready.why:
            yield Pane(rehearsing.impossible_lines(self._ready.why), id="text")
            return
        lacks = self._ready.lacks
        said = rehearsing.NOT_READY if lacks else rehearsing.promise(self._ready.staging.form)
        yield Pane([Line(said)], id="intro", most=4)
        rows = [rehearsing.item_row(each) for each in lacks] or rehearsing.scenario_rows()
        self._rule = Rule("What to do" if lacks else "")
        with Container(id="choice"):
            yield Rule("What it lacks" if lacks else "What happens to the UPS")
            word = "its step" if lacks else "play it"
            yield Menu(*(Option(plain(row)) for row in rows), enter_word=word, id="links")
            yield self._rule
            yield Pane(rule=self._rule, id="about")

    def on_mount(self) -> None:
        for rows in self.query(OptionList):
            rows.highlighted = 0 if self._ready.lacks else _SCENARIOS.index(self._chosen)
            rows.focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if self._ready.lacks:
            lack = self._ready.lacks[event.option_index]
            self.query_one("#about", Pane).show(rehearsing.item_about(lack, ""))
            return
        scenario = _SCENARIOS[event.option_index]
        self._rule.say(title=scenario.value)
        self.query_one("#about", Pane).show(rehearsing.about_lines(scenario, self._ready))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if self._ready.lacks:
            lack = self._ready.lacks[event.option_index]
            step = rehearsing.step_of(lack)
            self.wizard.travel(step, notice=lack.text, steps=(step,))
        else:
            play(self, _SCENARIOS[event.option_index], self.door)

    async def action_back(self) -> None:
        go_back(self, self.door)

    def action_help(self) -> None:
        self.wizard.read_topic("rehearse")


def go_back(screen: Frame, door: str) -> None:
    """To where the person came from."""
    if door in DOORS:
        screen.wizard.travel(door)
    else:
        screen.wizard.travel("overview", steps=screen.wizard.only or screen.wizard.steps)


def play(screen: Frame, scenario: Scenario, door: str) -> None:
    """To the play, in place of this screen."""
    from nutwizard.tui.playing import Play

    wizard = screen.wizard
    new = Play(scenario, door, practice=wizard.practice)

    async def turn() -> None:
        await wizard.switch_screen(new)

    wizard.run_worker(turn(), group="way")
