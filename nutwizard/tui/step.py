"""One screen for every step: its page, its fields, and what it would change while one types."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from nutwizard.core.page import Page
from nutwizard.core.plan import FileChange
from nutwizard.core.standing import Standing
from nutwizard.tui.entries import Entry, TextEntry
from nutwizard.tui.form import Form
from nutwizard.tui.frame import Frame
from nutwizard.tui.looking import Look, look, page_lines
from nutwizard.tui.rows import choose_for
from nutwizard.tui.widgets import Pane, Rule, plain
from nutwizard.wording import show
from nutwizard.wording.contract import WizardSession
from nutwizard.wording.layout import Line, markdown
from nutwizard.wording.screens import problem_text

if TYPE_CHECKING:
    from nutwizard.tui.app import WizardApp


#: Seconds that a key waits for the keys before it; they take milliseconds.
_PATIENCE = 1.0


async def make(app: WizardApp, step: str, notice: str) -> Frame:
    """The screen of a step."""

    def read(session: WizardSession) -> tuple[Look, Standing, Page, str, str]:
        session.stay(step)
        found = look(session, step)
        title, said = session.title(step), session.step_notice(step)
        return found, session.standing(step), session.page(step), title, said

    found, standing, page, title, said = await app.desk.ask(read)
    number = f"{app.steps.index(step) + 1} of {len(app.steps)}"
    left = f"{number}  {title}" + ("  (this step alone)" if app.asked == (step,) else "")
    screen = StepScreen(
        left,
        standing.state,
        practice=app.practice,
        notice=notice or said or (app.hint if step == "monitor" else ""),
    )
    screen.place, screen.page, screen.look = step, page, found
    return screen


class StepScreen(Frame):
    """Enter accepts a field and goes to the next; after the last one to the next step."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "onward", "accept", priority=True),
        Binding("f2", "diff", "all lines", priority=True),
        Binding("f4", "list", "list", priority=True),
        Binding("f6", "by_hand", "by hand", priority=True),
        Binding("ctrl+n", "go_on", "next step", priority=True),
        Binding("ctrl+o", "app.overview", "overview", priority=True),
    ]

    #: The form knows where to begin: at what is wrong.
    AUTO_FOCUS = ""

    page: Page
    look: Look

    def body(self) -> ComposeResult:
        """All of it as it is: what is changed after it was drawn is sent twice."""
        self._lines, self._parts = page_lines(
            self.page, {item.field.name: item.field.spec.label for item in self.look.items}
        )
        self._form = Form(self.look.items, self.look.hidden, self.look.wrong(self.place))
        self._form.put_raw(self.wizard.unread.get(self.place, {}))
        self._text, self._newest, self._trying, self._visited = "", 0, False, False
        title, lines = self._change()
        self._shown = lines
        rule, self._change_rule = Rule(), Rule(title)
        with Container(id="step"):
            with Container(id="page-box"):
                yield Pane(self._lines, rule=rule, id="page")
                yield rule
            with Container(id="work"):
                yield self._form
                yield Static(plain(self._words()), id="message")
                yield self._change_rule
                yield Pane(lines, rule=self._change_rule, more="F2: all of it", id="diff")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The key of a list is one only where there is a list, that of the way by hand where there is one."""
        if action == "by_hand":
            return self.look.by_hand
        return isinstance(self.focused, Entry) and self.focused.has_list if action == "list" else True

    def on_mount(self) -> None:
        self._form.focus_on(self._form.at)
        self._say()

    def on_form_moved(self, event: Form.Moved) -> None:
        """The help follows the focus; what stands first is the page itself."""
        first = self._form.shown[:1] == (event.field,) and not self._visited
        self._visited = True
        if event.field in self._parts and not first:
            self.query_one("#page", Pane).go_to(self._parts[event.field])
        self._say()
        self._show()

    def on_screen_suspend(self) -> None:
        """A password that is shown hides behind a question too."""
        for entry in self.query(TextEntry):
            entry.hide()

    def on_form_changed(self) -> None:
        self._say()
        self._remember()
        self._newest += 1
        if not self._trying:
            self._try()

    def _remember(self) -> None:
        """What cannot be read is kept by the app: the session knows values alone."""
        if raw := self._form.raw():
            self.wizard.unread[self.place] = raw
        else:
            self.wizard.unread.pop(self.place, None)

    def on_text_entry_draw(self, event: TextEntry.Draw) -> None:
        self._draw(event.entry)

    @work
    async def _try(self) -> None:
        """What the step would change with the values as they are now.

        One question at a time: what is typed meanwhile is asked together afterwards.
        """
        self._trying = True
        try:
            asked = -1
            while asked != self._newest:
                asked, values = self._newest, self._form.values()
                found = await self.ask(partial(look, step=self.place, given=values))
                if asked == self._newest:
                    self._take(found)
        finally:
            self._trying = False

    def _take(self, found: Look) -> None:
        self.look = found
        self._form.offer(found.items, found.hidden, found.wrong(self.place))
        self._say()
        self._show()

    @work
    async def _draw(self, entry: TextEntry) -> None:
        entry.put(await self.ask(lambda session: session.draw(self.place, entry.name_of)))

    async def action_onward(self) -> None:
        """Accept the field; behind the last one the step."""
        form = self._form
        await self._settled()
        if form.at in form.trouble():
            self._say()
        elif following := form.following():
            form.focus_on(following)
        else:
            await self.action_go_on()

    async def action_go_on(self) -> None:
        """The next step, if nothing is wrong with this one."""
        form = self._form
        await self._settled()
        if wrong := form.wrong():
            form.focus_on(next(iter(wrong)))
            self._say()
            return
        self.wizard.onward(self.place, self._passes)

    async def _passes(self) -> bool:
        """Whether the answers fit together; what does not is shown."""
        form = self._form
        values = form.values()
        self._newest += 1
        found = await self.ask(lambda session: look(session, self.place, values))
        if not found.problems:
            return True
        self._take(found)
        own = [name for name in form.shown if name in found.wrong(self.place)]
        if own:
            form.focus_on(own[0])
        self._say()
        return False

    @work
    async def action_list(self) -> None:
        """The list of the field that has the focus."""
        await choose_for(self)

    def action_diff(self) -> None:
        """Every line that the step would change."""
        from nutwizard.tui.reader import Reader

        wrong = [Line(f"- {problem_text(problem, self.place)}") for problem in self.look.problems]
        lines = [line for change in self._changes() for line in (*show.change_lines(change), Line())]
        text = [*self.look.acts, *lines] or [Line("This step changes nothing.")]
        if wrong and not lines:
            text = [Line("What would change is told once the answers fit together:"), *wrong]
        self.app.push_screen(Reader(f"{self._left}: what would change", text, practice=self._practice))

    @work
    async def action_by_hand(self) -> None:
        """The same without nutwizard, with these values."""
        from nutwizard.tui.reader import Reader

        text = await self.ask(lambda session: session.by_hand(self.place))
        lines = [Line("To copy whole lines: nutwizard firewall manual"), Line(), *markdown(text)]
        self.app.push_screen(Reader(f"{self._left}: by hand", lines, practice=self._practice))

    def action_help(self) -> None:
        """The whole page, at the field that has the focus."""
        from nutwizard.tui.reader import Reader

        at = self._parts.get(self._form.at, 0) if self._visited else 0
        self.app.push_screen(Reader(f"{self._left}: about it", self._lines, at=at, practice=self._practice))

    async def _settled(self) -> None:
        """Let the field take the keys that were typed before this one."""
        entry = self.focused
        if entry is not None:
            done = asyncio.Event()
            entry.call_later(done.set)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), _PATIENCE)

    def _words(self) -> str:
        """What is wrong, or possible, at the field that has the focus; else what is wrong at all."""
        others = [text for name, text in self._form.problems.items() if name not in self._form.entries]
        return self._form.message() or (f"! {others[0]}" if others else "")

    def _say(self) -> None:
        """Say it; the lines below move only when it takes more rows, or fewer."""
        text = self._words()
        if text != self._text:
            width = max(1, self.query_one("#work").size.width - 2)
            moves = -(-len(text) // width) != -(-len(self._text) // width)
            self._text = text
            message = self.query_one("#message", Static)
            message.update(plain(text), layout=moves)
            message.set_class(text.startswith("!"), "wrong")

    def _changes(self) -> Sequence[FileChange]:
        preview = self.look.previews.get(self._form.at)
        return (preview,) if preview is not None else self.look.changes

    def _change(self) -> tuple[str, list[Line]]:
        """What the step would change, short, and the words over it."""
        changes = self._changes()
        lines = [line for change in changes for line in show.change_lines(change, brief=True)]
        if self.look.problems:
            return "What would change: told once the answers fit together", []
        if lines:
            lines = [*self.look.acts, *lines]
            return "Would change" + ("" if len(changes) == 1 else f": {len(changes)} files"), lines
        return "Would do" if self.look.acts else "This step changes nothing", list(self.look.acts)

    def _show(self) -> None:
        title, lines = self._change()
        self._change_rule.say(title)
        self.query_one("#diff", Pane).show(lines, _first_new(self._shown, lines))
        self._shown = lines


def _first_new(before: Sequence[Line], after: Sequence[Line]) -> int:
    """At which line the new lines differ from those before: what was just typed comes into view."""
    for n, line in enumerate(after):
        if n >= len(before) or before[n] != line:
            return max(0, n - 1)
    return 0
