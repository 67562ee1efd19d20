"""The wizard's screens in a test, over a real session: keys are pressed, and what stands there is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from textual._xterm_parser import XTermParser
from textual.events import Key
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import OptionList

from nutwizard import opening
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.session import Session
from nutwizard.tui.app import Ended, WizardApp
from nutwizard.tui.widgets import Pane

#: Seconds until something that is waited for must have come.
LIMIT = 20.0
#: Links of a practice host that nobody else follows: the check proves them all.
LINKS = 16
#: How often nothing is on its way before a screen counts as settled.
_STILL = 3
SMALL, LARGE = (80, 24), (120, 40)
#: What a terminal sends for some keys.
TAB, ENTER, ESC, NEXT, END, DOWN, CLEAR = "\t", "\r", "\x1b", "\x0e", "\x1b[F", "\x1b[B", "\x15"
T = TypeVar("T")


def open_session(host: PracticeHost) -> Session:
    """What a guided run opens on this machine: a new one over the same machine finds what was kept."""
    return opening.open_session(host, host, host.role, save=True)


def for_nobody_else(session: Session) -> None:
    """Answer that no client is to follow this host, and all that only a person knows: then each of its links
    can be proven at once.
    """
    assert not session.answer("clients", {"clients": ()})
    assert not session.answer("firewall", {"rules": False})
    assert not session.answer("outside", dict.fromkeys(("switch", "restart", "load"), "yes"))


class Person:
    """Sits before the screens: presses keys and reads. Whatever is waited for has a limit of `LIMIT` s."""

    def __init__(self, app: WizardApp, pilot: Pilot[Ended]) -> None:
        self.app, self._pilot = app, pilot

    # What a person does

    async def press(self, *keys: str) -> None:
        """Press keys by their names, each when what came of the one before has settled."""
        for key in keys:
            self.app.post_message(self.key(key))
            await self.settled()

    @staticmethod
    def key(name: str) -> Key:
        """A key as the app gets it."""
        return Key(name, name if len(name) == 1 else None)

    async def type(self, text: str) -> None:
        """Type a text, letter after letter, and wait until what came of it has settled."""
        self.send(text)
        await self.settled()

    async def fill(self, text: str) -> None:
        """Type over what stands in the field."""
        await self.type(f"{END}{CLEAR}{text}")

    def send(self, sent: str) -> None:
        """What a terminal sends, at once; nothing is waited for."""
        for event in XTermParser().feed(sent):
            self.app.post_message(event)

    async def paste(self, text: str) -> None:
        """A paste into a terminal that marks it as one."""
        self.send(f"\x1b[200~{text}\x1b[201~")
        await self.settled()

    async def resize(self, columns: int, rows: int) -> None:
        """Another size of the terminal, at this moment."""
        await self._pilot.resize_terminal(columns, rows)
        await self.settled()

    async def go(self, *places: str) -> None:
        """From where the person is through these steps with Ctrl+N, to the last of them."""
        for place in places:
            await self.press("ctrl+n")
            await self.at(place)

    # What a person waits for

    async def until(self, look: Callable[[], T | None], what: str = "it") -> T:
        """Look until there is something. Raises AssertionError with the screen."""
        end = time.monotonic() + LIMIT
        while not (found := look()):
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not come; it shows:\n{self.text}")
            await asyncio.sleep(0.01)
        return found

    async def at(self, title: str) -> None:
        """Wait until a screen stands there, named by the beginning of its title or of its place."""
        await self.until(lambda: self.title.startswith(title) or self.place == title, title)
        await self.settled()

    async def says(self, *texts: str) -> None:
        """Wait until these texts stand there, wherever their lines are broken."""
        for text in texts:
            await self.until(lambda text=text: text in self.prose, text)  # type: ignore[misc]

    async def settled(self) -> None:
        """Wait until the keys so far have done what they do, whatever they asked of the session."""
        end, still = time.monotonic() + LIMIT, 0
        while self.ended is None and still < _STILL:
            assert time.monotonic() < end, f"it never settles; it shows:\n{self.text}"
            await self._pilot._wait_for_screen(LIMIT)
            await asyncio.wait_for(self.app.desk.ask(lambda session: None), LIMIT)
            if self.ended is None:
                self.app.screen._on_timer_update()
                still = 0 if self._moving else still + 1

    async def heard(self) -> None:
        """Wait until the screens have heard the keys so far; the session may still be at work."""
        for _ in range(10):
            await self._pilot._wait_for_screen(LIMIT)
            await asyncio.sleep(0.01)

    async def over(self) -> Ended:
        """Wait until the app has ended; how."""
        return await self.until(lambda: self.ended, "the end")

    # What a person sees

    @property
    def ended(self) -> Ended | None:
        """How the app ended, None while it runs."""
        return self.app.return_value

    @property
    def rows(self) -> list[str]:
        """What stands on the screen, row by row."""
        return [strip.text for strip in self._strips]

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(row.rstrip() for row in self.rows)

    @property
    def prose(self) -> str:
        """What stands on the screen, with every gap and break as one blank."""
        return " ".join(self.text.split())

    @property
    def title(self) -> str:
        """The top row."""
        return next(iter(self.rows), "").strip()

    @property
    def keys(self) -> str:
        """The bottom row."""
        return next(reversed(self.rows), "").strip()

    def seen(self, selector: str) -> str:
        """What stands where this part of the screen is; "" where it is not shown."""
        found = list(self.app.screen.query(selector))
        if not found or not found[0].display:
            return ""
        area = found[0].region
        strips = self._strips[area.y : area.bottom]
        return "\n".join(strip.crop(area.x, area.right).text.rstrip() for strip in strips)

    @property
    def message(self) -> str:
        """What is said about the field that has the focus."""
        return " ".join(self.seen("#message").split())

    @property
    def notice(self) -> str:
        """What is said below the title."""
        return " ".join(self.seen("#notice").split())

    def pane(self, selector: str = "Pane") -> str:
        """All that a pane holds, what is scrolled out of sight too."""
        return self.app.screen.query(selector).first(Pane).text

    @property
    def fields(self) -> dict[str, str]:
        """The fields that stand there: label, and what stands behind it."""
        form = self.app.screen.query_one("Form")
        labels = [entry.item.field.spec.label for entry in form.entries.values()]  # type: ignore[attr-defined]
        found = {}
        for row in self.seen("Form").split("\n"):
            label = max((one for one in labels if row[2:].startswith(one)), key=len, default="")
            if label:
                found[label] = row[2:].removeprefix(label).strip()
        return found

    @property
    def field(self) -> str:
        """The label of the field that is marked as the one with the focus, with what stands behind it."""
        marked = [row[2:] for row in self.seen("Form").split("\n") if row.startswith(">")]
        return " ".join(marked[0].split()) if len(marked) == 1 else f"{len(marked)} are marked"

    @property
    def chosen(self) -> str:
        """The row that is highlighted in the list."""
        rows = self.app.screen.query(OptionList).first()
        at = rows.highlighted
        return "" if at is None else str(rows.get_option_at_index(at).prompt)

    @property
    def options(self) -> list[str]:
        """The rows of the list, those out of sight too."""
        rows = self.app.screen.query(OptionList).first()
        return [str(option.prompt) for option in rows.options]

    @property
    def place(self) -> str:
        """The word by which the app calls this place."""
        return str(getattr(self.app.screen, "place", ""))

    @property
    def _moving(self) -> bool:
        """Whether a message, a screen or an answer of the session is still on its way."""
        pumps = [self.app, *self.app.screen.walk_children(with_self=True)]
        # Of the workers without a group some wait for the person; a step's look at what was typed does not.
        ends = [each for each in self.app.workers if each.group != "default" or each.name == "_try"]
        at_work = any(not each.is_finished for each in ends)
        return at_work or self.app._on_the_way or any(pump.message_queue_size for pump in pumps)

    @property
    def _strips(self) -> list[Strip]:
        return self.app.screen._compositor.render_strips()


@asynccontextmanager
async def shown(
    session: Session, *, only: tuple[str, ...] = (), size: tuple[int, int] = SMALL, begin: bool = True
) -> AsyncIterator[Person]:
    """The screens over this session; they end with the block. `begin`: past the opening page."""
    app = WizardApp(session, only)
    async with app.run_test(size=size) as pilot:
        person = Person(app, pilot)
        try:
            await person.settled()
            if begin and person.title.startswith("What will be done"):
                await person.press("escape")
            yield person
        finally:
            # What the desk still does must not meet a machine that is being closed.
            await asyncio.wait_for(app.desk.ask(lambda session: None), LIMIT)
