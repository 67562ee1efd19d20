"""The check: every link as it is proven, what is broken with its cause and the key that opens its step."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from nutwizard.core.facts import Role
from nutwizard.core.links import ENABLE, Finding, Link, LinkId, State
from nutwizard.tui.frame import Frame
from nutwizard.tui.linkrows import Row, Rows
from nutwizard.tui.switching import switch
from nutwizard.tui.widgets import Menu, Pane, Rule, plain
from nutwizard.wording import show
from nutwizard.wording.chain import chain_strip
from nutwizard.wording.checked import told_apart
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line, Tone
from nutwizard.wording.rehearsing import OFFER

if TYPE_CHECKING:
    from nutwizard.core.rules.rule import Trouble
    from nutwizard.engine.doctor import Examination
    from nutwizard.tui.app import WizardApp

#: Seconds between two readings of the UPS's values.
AGAIN = 5.0


class _Left(Exception):
    """The person has left the check."""


async def make(app: WizardApp, notice: str) -> Frame:
    """The check, about to begin."""

    def read(session: WizardSession) -> tuple[Link, ...]:
        session.stay("check")
        return session.watch_links()

    links = await app.desk.ask(read)
    return Check(links, practice=app.practice, notice=notice, role=app.role)


class Check(Frame):
    """Enter on a broken link opens the step that mends it; with nothing broken it goes on."""

    place = "check"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "mend", "its step"),
        Binding("s", "switch", "firewall"),
        Binding("b", "budget", "budget"),
        Binding("a", "again", "again"),
        Binding("d", "forced", "FSD test"),
        Binding("f", "finish", "finish"),
        Binding("n", "rehearse", "rehearsal"),
    ]

    def __init__(self, links: tuple[Link, ...], *, practice: bool, notice: str, role: Role) -> None:
        super().__init__("Check", f"0 of {len(links)} asked", practice=practice, notice=notice)
        self._links, self._role = links, role
        self._rows = Rows([Row(link) for link in links])
        self._findings: tuple[Finding, ...] = ()
        self._troubles: tuple[Trouble, ...] = ()
        self._asked = self._gone = self._looking = False

    def body(self) -> ComposeResult:
        yield Pane(chain_strip((), [link.id for link in self._links]), id="chain")
        self._detail_rule, self._value_rule = Rule(), Rule("The UPS, as upsc shows it")
        with Container(id="check"):
            yield Menu(*self._options(), enter_word="go on", id="links")
            with Container(id="beside"):
                yield self._detail_rule
                yield Pane(id="detail")
                yield self._value_rule
                yield Pane(rule=self._value_rule, id="values")

    def on_mount(self) -> None:
        links = self.query_one("#links", OptionList)
        links.highlighted = 0 if self._rows.rows else None
        links.focus()
        self.set_interval(AGAIN, self._look_again)
        self.action_again()

    @work(exclusive=True, group="prove")
    async def action_again(self) -> None:
        """Ask every link again. Whoever leaves meanwhile does not wait for the rest."""
        if not self.query("#links"):  # left before it stood there
            return
        self._rows, self._gone, self._asked = Rows([Row(link) for link in self._links]), False, False
        self._fill(0)
        try:
            found = await self.ask(self._prove)
        except _Left:
            return
        if self._gone or not self.query("#links"):
            return
        self._asked = True
        self._findings, self._troubles = found.findings, told_apart(found)
        self._rows.done(self._findings, self._troubles)
        self._fill(0)
        self._retitle(show.counted(self._findings))
        self.notify_here(self._words())
        self._read_values()

    def _words(self) -> str:
        """What the person may do about what was found."""
        if any(found.fix == ENABLE for found in self._findings):
            return "The firewall's rule is off: s switches it on. A client's check says timed out until then."
        if self._rows.broken:
            return "Something is broken: Enter or e on it opens the step that mends it."
        return OFFER if self._role is Role.HOST else ""

    def _prove(self, session: WizardSession) -> Examination:
        """At the desk: every finding as it comes."""

        def told(finding: Finding) -> None:
            if self._gone:
                raise _Left
            self.app.call_from_thread(self._told, finding)

        return session.examine(told)

    def _told(self, finding: Finding) -> None:
        if self._gone or not self.query("#links"):
            return
        self._rows.put(finding)
        asked = sum(row.finding is not None for row in self._rows.rows)
        self._fill(None)
        self._retitle(f"{asked} of {len(self._rows.rows)} asked")

    @work(group="watch")
    async def _look_again(self) -> None:
        """What waits or cannot be reached is looked at again and again: it comes while one watches.

        One look at a time: where nothing answers it may take longer than `AGAIN`.
        """
        if self._looking or self.app.screen is not self or not self._watched():
            return
        lost = self._role is Role.CLIENT and any(_lost(found) for found in self._findings)
        self._looking = True
        try:
            found = await self.ask(lambda session: session.prove(quick=not lost))
        finally:
            self._looking = False
        if not self._watched():
            return
        newer = {(each.link.id, each.link.subject): each for each in found}
        seen = tuple(newer.get((each.link.id, each.link.subject), each) for each in self._findings)
        seen = found if lost else seen
        if seen != self._findings:
            self._findings = seen
            self._rows.done(seen, self._troubles)
            self._fill(None)
            self._retitle(show.counted(seen))
            self.notify_here(self._words())
        self._read_values()

    def _watched(self) -> bool:
        """Whether everything has been asked, and the person has not left."""
        return self._asked and not self._gone and bool(self.query("#links"))

    @work(exclusive=True, group="values")
    async def _read_values(self) -> None:
        if self.app.screen is not self or self._gone:
            return
        what, values = await self.ask(lambda session: session.values())
        if not self.is_mounted:
            return
        self._value_rule.say(what if not values else "The UPS, as upsc shows it")
        width = max((len(name) for name in values), default=0)
        lines = [Line(f"{name:<{width}}  {value}", Tone.PLAIN) for name, value in values.items()]
        pane = self.query_one("#values", Pane)
        if pane.text != "\n".join(line.text for line in lines):
            pane.show(lines)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._detail(event.option_index)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if self._rows.rows and self._rows.rows[event.option_index].broken:
            self.action_mend()
        elif self._asked and not self._rows.broken:
            self.action_finish()

    def action_mend(self) -> None:
        """Open the step that mends the chosen link."""
        at = self.query_one("#links", OptionList).highlighted
        if at is None:
            return
        row = self._rows.rows[at]
        if row.finding is not None and row.finding.fix == ENABLE:
            self.action_switch()
            return
        if row.step in self.wizard.steps:
            self._gone = True
            self.wizard.travel(row.step, notice=row.notice, steps=(row.step,))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A client has no firewall to switch, and forces nobody's shutdown."""
        return self._role is Role.HOST if action in ("switch", "forced") else True

    @work
    async def action_switch(self) -> None:
        """Switch the firewall's rule."""
        await switch(self)

    def action_forced(self) -> None:
        """To the test of a forced shutdown; nothing is fired by going there."""
        self._gone = True
        self.wizard.travel("forced")

    def action_rehearse(self) -> None:
        """A power cut with these files, on copies."""
        self._gone = True
        self.wizard.travel("rehearsal")

    def action_finish(self) -> None:
        """What is protected now, and what comes next."""
        self._gone = True
        self.wizard.findings = self._findings
        self.wizard.travel("finish")

    def action_budget(self) -> None:
        """Whether the battery lasts for all of it."""
        self._gone = True
        self.wizard.travel("budget")

    async def action_back(self) -> None:
        self._gone = True
        self.wizard.travel("overview", steps=self.wizard.only or self.wizard.steps)

    def action_page(self, way: int) -> None:
        pane = self.query_one("#values", Pane)
        pane.scroll_relative(y=way * max(1, pane.size.height - 1), animate=False)

    def action_help(self) -> None:
        self.wizard.read_topic("check")

    def _retitle(self, right: str) -> None:
        from nutwizard.tui.widgets import Title

        for title in self.query(Title):  # none while the screen goes away
            title.retitle("Check", right)

    def _options(self) -> list[Option]:
        return [Option(plain(row.text)) for row in self._rows.rows] or [Option("nothing to prove yet")]

    def _fill(self, at: int | None) -> None:
        links = self.query_one("#links", OptionList)
        here = links.highlighted if at is None else at
        links.clear_options()
        links.add_options(self._options())
        links.highlighted = here
        findings = [row.finding for row in self._rows.rows if row.finding is not None]
        self.query_one("#chain", Pane).show(chain_strip(findings, [link.id for link in self._links]))
        if here is not None:
            self._detail(here)

    def _detail(self, at: int) -> None:
        if at >= len(self._rows.rows):
            return
        row = self._rows.rows[at]
        self._detail_rule.say(title=row.subject)
        self.query_one("#detail", Pane).show(row.detail)


def _lost(finding: Finding) -> bool:
    """Whether the way to the server is closed: nothing behind it was asked."""
    return finding.link.id is LinkId.FIREWALL and finding.state is State.BROKEN
