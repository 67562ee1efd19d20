"""The apply: each act as it happens, then the result; what failed, and what was put back."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from nutwizard.core.errors import Exit, WizardError
from nutwizard.core.links import State
from nutwizard.core.plan import Plan
from nutwizard.engine.outcome import Outcome
from nutwizard.tui.frame import Frame
from nutwizard.tui.widgets import Pane, Rule, Title
from nutwizard.wording import show
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line
from nutwizard.wording.screens import told_lines

#: What is done in place of the session's own apply; it is told what to report to.
Run = Callable[[WizardSession, Callable[[str], None]], Outcome]
#: How many of the UPS's values the result shows.
_VALUES = 6
_WAIT = "It goes on until everything is proven or put back; a lost connection does not stop it."


class Writing(Frame):
    """Nothing leads away from here before the transaction has ended."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "onward", "go on"),
        Binding("escape", "onward", show=False),
    ]

    def __init__(self, plan: Plan, run: Run | None = None, *, practice: bool) -> None:
        super().__init__("Writing", "", practice=practice)
        self._plan, self._run = plan, run
        self._outcome: Outcome | None = None
        self._began = time.monotonic()
        self._last, self._acts, self._all = "the files", 0, len(plan.files) + len(plan.acts)

    def body(self) -> ComposeResult:
        self._rule = Rule("Now")
        yield Pane([Line(_WAIT), Line()], id="log")
        yield self._rule

    def on_mount(self) -> None:
        self.wizard.busy = True
        self._clock = self.set_interval(1.0, self._tick)
        self._write()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing but reading while it is under way."""
        return not self.wizard.busy if action in ("onward", "help") else True

    @work
    async def _write(self) -> None:
        """Apply at the desk; what it reports comes over as it happens."""

        def told(text: str) -> None:
            # What is written does not depend on who hears of it.
            with suppress(Exception):
                self.app.call_from_thread(self._report, text)

        def run(session: WizardSession) -> Outcome:
            return session.apply(told) if self._run is None else self._run(session, told)

        try:
            outcome = await self.ask(run)
        except WizardError as error:
            outcome = Outcome(error.code, "\n".join(filter(None, (error.text, error.hint))))
        self.wizard.busy = False
        self._clock.stop()
        self._outcome = outcome
        # The last page tells of the whole apply, not of a small change behind it.
        small = self._run is not None and self.wizard.outcome is not None
        if outcome.code in (Exit.DONE, Exit.BROKEN) and not small:
            self.wizard.outcome, self.wizard.plan = outcome, self._plan
        await self.ask(lambda session: session.renew())
        self._tell(outcome)

    def _report(self, text: str) -> None:
        self._last, self._acts = text, self._acts + 1
        self.query_one(Title).retitle("Writing", f"{min(self._acts, self._all)} of {self._all}")
        seconds = time.monotonic() - self._began
        self.query_one("#log", Pane).add([Line(f"{seconds:5.1f} s  {text}")])
        self._tick()

    def _tick(self) -> None:
        seconds = int(time.monotonic() - self._began)
        self._rule.say(f"Now: {self._last}, {seconds} s")

    def _tell(self, outcome: Outcome) -> None:
        lines = told_lines(outcome)
        if outcome.code is Exit.FAILED and outcome.findings:
            lines += [Line(), Line("Before it was taken back:")]
            lines += show.finding_lines(outcome.findings, _VALUES)
        self.query_one("#log", Pane).add([Line(), *lines])
        broken = any(f.state is State.BROKEN and not f.link.awaited for f in outcome.findings)
        words = {Exit.DONE: "Done", Exit.BROKEN: "Done", Exit.FAILED: "Taken back"}
        more = ", and something is broken" if broken and outcome.code in (Exit.DONE, Exit.BROKEN) else ""
        self._rule.say(f"{words.get(outcome.code, 'Ended')}{more}. Enter goes on")
        self.refresh_bindings()

    def action_onward(self) -> None:
        """To the proof; where it was taken back, to the review again."""
        done = self._outcome is not None and self._outcome.code in (Exit.DONE, Exit.BROKEN)
        self.wizard.travel("check" if done else "review")
