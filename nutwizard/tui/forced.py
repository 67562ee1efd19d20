"""The test of a forced shutdown: what has to be so, acknowledged one by one, then the host's name, typed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from nutwizard.core.errors import Exit, WizardError
from nutwizard.core.facts import Door
from nutwizard.core.fields import Choice
from nutwizard.core.fsd.items import items
from nutwizard.core.fsd.ready import Item, Ready, Standing, asked, blocked
from nutwizard.engine.fsd.asking import ready_for
from nutwizard.engine.fsd.firing import fire, watch
from nutwizard.engine.fsd.records import LONGEST, Records
from nutwizard.tui.choose import Ask, Over
from nutwizard.tui.entries import PlainInput
from nutwizard.tui.frame import Frame
from nutwizard.tui.reader import Reader
from nutwizard.tui.widgets import Menu, Pane, Rule, Title, plain
from nutwizard.wording import fsd as wording
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line

if TYPE_CHECKING:
    from nutwizard.tui.app import WizardApp

_DONE = "acknowledged"
_FIRST = "Enter on each row that is to be acknowledged, then n."


def look(session: WizardSession) -> Ready:
    """Examine the machine, at the desk."""
    session.stay("overview")
    return ready_for(session.host, session.role, session.examine())


async def make(app: WizardApp, notice: str) -> Frame:
    """The preconditions as they are now."""
    ready = await app.desk.ask(look)
    return Forced(ready, practice=app.practice, notice=notice)


class Forced(Frame):
    """Enter acknowledges a row. The name is asked once nothing is in the way and all is acknowledged."""

    place = "forced"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "name", "name"),
        Binding("s", "sequence", "sequence"),
        Binding("a", "again", "look again"),
    ]

    def __init__(self, ready: Ready, *, practice: bool, notice: str) -> None:
        super().__init__(wording.TITLE, "", practice=practice, notice=notice)
        self._ready, self._acknowledged = ready, set[str]()
        self._items = items(ready)

    def body(self) -> ComposeResult:
        yield Pane([Line(wording.WARNING)], id="intro", most=3)
        self._rule = Rule()
        with Container(id="check"):
            yield Menu(*self._options(), enter_word="acknowledge", id="links")
            with Container(id="beside"):
                yield self._rule
                yield Pane(rule=self._rule, id="detail")

    def on_mount(self) -> None:
        rows = self.query_one("#links", OptionList)
        rows.highlighted = 0
        rows.focus()
        self._tell()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        item = self._items[event.option_index]
        self._rule.say(title=item.title)
        self.query_one("#detail", Pane).show(self._about(item))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._take(self._items[event.option_index])

    @work
    async def _take(self, item: Item) -> None:
        """Acknowledge one thing, after a question of its own."""
        if item.standing is not Standing.ASKED or item.key in self._acknowledged:
            return
        if item.key == "loads" and not self._ready.loads:
            await self._ask_loads()
            return
        go, stop = Choice("acknowledge", "I know, and go on"), Choice("stop", "leave it as it is")
        change = (Choice("change", "something else hangs on it now"),) if item.key == "loads" else ()
        question = f"{item.title}: {item.evidence}. Go on all the same?"
        picked = await self.app.push_screen_wait(Ask(question, (stop, go, *change)))
        if picked == "change":
            await self._ask_loads()
        elif picked == "acknowledge":
            self._acknowledged.add(item.key)
            self.notify_here("")
            self._fill()

    async def _ask_loads(self) -> None:
        """What else hangs on the UPS: asked once, and remembered."""
        text = await self.app.push_screen_wait(Type(wording.LOADS))
        if not text:
            return
        with suppress(OSError):
            await self.ask(lambda session: Records(session.host).keep_loads(text))
        self._ready = replace(self._ready, loads=text)
        self._fill()

    def action_sequence(self) -> None:
        """What will happen, with this machine's times."""
        practice = self.wizard.practice
        lines = wording.sequence_lines(self._ready)
        self.app.push_screen(Reader("What will happen", lines, practice=practice))

    def action_name(self) -> None:
        """To the name, if the way is free."""
        live = self._ready.look.facts.door is Door.LIVE
        in_the_way = blocked(self._items)
        if in_the_way and live:
            self.notify_here(f"In the way: {in_the_way[0].title}: {in_the_way[0].evidence}")
        elif left := self._open():
            self.notify_here(f"Not acknowledged yet: {left[0].title}. {_FIRST}")
        elif not live:
            self.notify_here(wording.PRACTICE_END)
        else:
            name = Name(self._ready, frozenset(self._acknowledged), practice=self.wizard.practice)
            self.app.push_screen(name)

    def action_again(self) -> None:
        """Look at everything anew; what was acknowledged has to be acknowledged again."""
        self.wizard.travel("forced")

    def action_help(self) -> None:
        self.wizard.read_topic("fsd")

    async def action_back(self) -> None:
        self.wizard.travel("overview", steps=self.wizard.only or self.wizard.steps)

    def _open(self) -> list[Item]:
        return [item for item in asked(self._items) if item.key not in self._acknowledged]

    def _about(self, item: Item) -> Sequence[Line]:
        fix = [Line(), Line(item.fix)] if item.fix and item.standing is not Standing.MET else []
        return [Line(f"{self._word(item)}: {item.evidence}"), *fix]

    def _word(self, item: Item) -> str:
        return _DONE if item.key in self._acknowledged else item.standing.value

    def _options(self) -> list[Option]:
        return [
            Option(plain(f"{self._word(item):<14}  {item.title}: {item.evidence}")) for item in self._items
        ]

    def _fill(self) -> None:
        rows = self.query_one("#links", OptionList)
        here = rows.highlighted
        self._items = items(self._ready)
        rows.clear_options()
        rows.add_options(self._options())
        rows.highlighted = min(here or 0, len(self._items) - 1)
        self._tell()

    def _tell(self) -> None:
        in_the_way, left = len(blocked(self._items)), len(self._open())
        right = (
            f"{in_the_way} in the way" if in_the_way else f"{left} to acknowledge" if left else "n: the name"
        )
        self.query_one(Title).retitle(wording.TITLE, right)


class Type(Over):
    """One line to type. The text, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "take", "take it", priority=True)]

    def inner(self) -> ComposeResult:
        yield PlainInput(compact=True, max_length=LONGEST, id="typed")

    def on_mount(self) -> None:
        self.query_one("#typed", Input).focus()

    def action_take(self) -> None:
        if text := " ".join(self.query_one("#typed", Input).value.split()):
            self.end(text)


class Name(Frame):
    """The host's name, typed whole; then the last lines. Nothing shorter fires."""

    place = "forced"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f1", "help", show=False)]

    def __init__(self, ready: Ready, acknowledged: frozenset[str], *, practice: bool) -> None:
        super().__init__(wording.TITLE, "the last step", practice=practice)
        self._ready, self._acknowledged = ready, acknowledged
        self._fired = False

    def body(self) -> ComposeResult:
        name = self._ready.look.facts.hostname
        lines = [Line(wording.WARNING), Line(), Line(wording.last_words(name)), Line()]
        yield Pane(lines, id="log")
        yield Static(plain(f" {wording.NAME}:"), id="name-label")
        yield PlainInput(compact=True, max_length=64, id="name")

    def on_mount(self) -> None:
        self.query_one("#name", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: fire if it is the name, letter by letter."""
        typed = event.value
        if typed != self._ready.look.facts.hostname:
            self.notify_here(f"That is not the name of this host. {wording.NOTHING}")
        elif not self._fired:
            self._fired = True
            self.query_one("#name", Input).disabled = True
            self.notify_here("")
            self._fire(typed)

    @work
    async def _fire(self, typed: str) -> None:
        """At the desk, as the command does it; what it tells comes over as it happens."""

        def told(text: str) -> None:
            with suppress(Exception):  # the shutdown does not depend on who hears of it
                self.app.call_from_thread(self._say, text)

        def run(session: WizardSession) -> str:
            try:
                record = fire(session.host, self._ready, self._acknowledged, typed, told)
            except WizardError as error:
                return "\n".join(filter(None, (error.text, error.hint)))
            told(wording.GOES_ON)
            watch(session.host, self._ready, record, told)
            return wording.STILL_HERE

        self._say(await self.ask(run))

    def _say(self, text: str) -> None:
        if self.query("#log"):
            self.query_one("#log", Pane).add([Line(text)])

    def action_help(self) -> None:
        """Nothing is read here."""

    async def action_back(self) -> None:
        """Back to the preconditions; once it was fired, out of the wizard, which stops nothing."""
        from nutwizard.tui.app import Ended

        if self._fired:
            self.app.exit(Ended(Exit.INTERRUPTED, wording.VIEW_ENDED))
        else:
            self.dismiss()
