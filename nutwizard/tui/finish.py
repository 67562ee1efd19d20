"""The end: what is protected, where the answers are, what to do in the VMs, how to undo."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType

from nutwizard.core.errors import Exit
from nutwizard.core.facts import Role
from nutwizard.core.plan import Plan
from nutwizard.engine.outcome import Outcome
from nutwizard.tui.frame import Frame
from nutwizard.tui.switching import switch
from nutwizard.tui.widgets import Pane, Rule
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line, Tone
from nutwizard.wording.reading import bare
from nutwizard.wording.screens import finish_lines, protected_lines

if TYPE_CHECKING:
    from nutwizard.tui.app import WizardApp


@dataclass(frozen=True)
class Seen:
    """What the last page shows, and the file that holds it."""

    lines: tuple[Line, ...]
    file: str


def look(session: WizardSession, outcome: Outcome, plan: Plan | None) -> Seen:
    """Make the page, at the desk, and leave it in a file."""
    session.stay("finish")
    lines = [
        *protected_lines(session, outcome),
        *finish_lines(session, outcome, plan or Plan(session.role)),
    ]
    file = session.leave_next(bare(lines))
    return Seen(tuple(lines), session.host.on_disk(file) if file else "")


async def make(app: WizardApp, notice: str) -> Frame:
    """The last page, with the newest findings."""
    done = app.outcome or Outcome(Exit.DONE, "")
    findings = app.findings or done.findings
    outcome = replace(done, findings=findings)
    seen = await app.desk.ask(lambda session: look(session, outcome, app.plan))
    app.last_words = seen.lines
    return Finish(seen, practice=app.practice, notice=notice)


class Finish(Frame):
    """Nothing is asked here any more."""

    place = "finish"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,q", "app.leave", "leave", key_display="Enter"),
        Binding("n", "rehearse", "rehearsal"),
        Binding("v", "view", "full width"),
        Binding("s", "switch", "firewall"),
        Binding("y", "copy", "copy"),
        Binding("p", "app.topics", "pages"),
        Binding("down", "line(1)", show=False),
        Binding("up", "line(-1)", show=False),
    ]

    def __init__(self, seen: Seen, *, practice: bool, notice: str) -> None:
        super().__init__("Finish", "", practice=practice, notice=notice)
        self._seen = seen

    def body(self) -> ComposeResult:
        rule = Rule(f"The same in {self._seen.file}" if self._seen.file else "")
        yield Pane(self._seen.lines, rule=rule, id="text")
        yield rule

    def action_rehearse(self) -> None:
        """What the guide's last page is for, with nobody going down."""
        self.wizard.travel("rehearsal")

    def action_line(self, way: int) -> None:
        self.query_one(Pane).scroll_relative(y=way, animate=False)

    def action_copy(self) -> None:
        """Hand the commands to the terminal's clipboard (OSC 52)."""
        commands = [line.text.strip() for line in self._seen.lines if line.tone in (Tone.COPY, Tone.PLAIN)]
        self.app.copy_to_clipboard("\n".join(commands))
        self.notify_here(f"{len(commands)} lines were handed to the terminal to copy.")

    @work
    async def action_view(self) -> None:
        """The bare text on the terminal itself: nothing beside it, no line broken; Enter leads back."""
        try:
            with self.app.suspend():
                sys.stdout.write(bare(self._seen.lines))
                sys.stdout.write("\nEnter leads back to nutwizard. ")
                sys.stdout.flush()
                sys.stdin.readline()
        except SuspendNotSupported:
            self.notify_here("This terminal cannot be left for a moment; the text is printed at the end.")
        self.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A client has no firewall to switch."""
        return self.wizard.role is Role.HOST if action == "switch" else True

    @work
    async def action_switch(self) -> None:
        """Switch the firewall's rule."""
        await switch(self)

    def action_help(self) -> None:
        self.wizard.read_topic("fsd")

    async def action_back(self) -> None:
        self.wizard.travel("check")
