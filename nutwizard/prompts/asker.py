"""How the dialogue asks: the protocol, what both askers share, and which of them suits the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TextIO

from nutwizard.core.answers import Proposed
from nutwizard.core.fields import Choice, Field
from nutwizard.wording.item import Item
from nutwizard.wording.layout import WIDEST, Line, Text, fitted, lines_of, markdown, paint, rows


class Back(Exception):
    """The person wants to go back."""


class HelpWanted(Exception):
    """The person wants to read about the field."""


class Asker(Protocol):
    """Asks one person. Every method raises KeyboardInterrupt on Ctrl-C and at the end of the input."""

    color: bool
    keys: str

    def say(self, text: Text) -> None:
        """Print at once, without ever waiting for the person."""

    def page(self, text: Text) -> None:
        """Print, and wait for Enter before anything unseen would leave the screen."""

    def ask(self, field: Field, proposal: Proposed | None, help: str, hints: Sequence[Choice]) -> Any:
        """The typed value of a field; asked again until `Field.read` takes it. Raises Back."""

    def confirm(self, question: str, default: bool) -> bool:
        """Yes or no; Enter gives the default."""

    def choose(self, question: str, choices: Sequence[Choice], default: str) -> str:
        """The value of one choice; Enter gives the default."""


class Screen:
    """What both askers do alike: print, know what the person could not see yet, ask until the answer fits."""

    color = False
    keys = ""

    def __init__(self, out: TextIO, stops: bool) -> None:
        self._out = out
        self._stops = stops
        self._unseen = 0

    def say(self, text: Text) -> None:
        self._print(text, stops=False)

    def page(self, text: Text) -> None:
        self._print(text, stops=self._stops)

    def ask(self, field: Field, proposal: Proposed | None, help: str, hints: Sequence[Choice]) -> Any:
        item = Item(field, proposal, tuple(hints))
        while True:  # every turn waits for the person; the input's end raises
            try:
                return self.row(item)
            except HelpWanted:
                self.help(help)
            except ValueError as error:
                self.say(f"  {error}")

    def choose(self, question: str, choices: Sequence[Choice], default: str) -> str:
        raise NotImplementedError

    def row(self, item: Item) -> Any:
        """Ask once, as the field's kind wants it. Raises HelpWanted, Back, and ValueError with a sentence."""
        raise NotImplementedError

    def rows(self, item: Item) -> Any:
        """Rows one after the other: a menu, then the fields of one row. Raises HelpWanted, Back."""
        from nutwizard.prompts.rowtable import edit_rows

        return edit_rows(self, item)

    def help(self, text: str) -> None:
        """The help of a field, between empty lines."""
        self.page(
            [Line(), *(markdown(text) if text else [Line("The guide says nothing about this one.")]), Line()]
        )

    def room(self, wanted: int) -> None:
        """Make sure that a prompt of so many rows drives nothing unseen away."""
        if self._stops and self._unseen and self._unseen + wanted > self._size()[1]:
            self._pause()
        self._unseen = 0

    def _print(self, text: Text, *, stops: bool) -> None:
        width, height = self._size()
        live = not stops and not self._unseen  # after a prompt, what is said at once is seen as it comes
        for n, line in enumerate(part for whole in lines_of(text) for part in fitted(whole, width)):
            need = rows(line.text, width)
            # Who skips at the first line of a page means the page before it.
            if stops and self._unseen and self._unseen + need > height - 1 and not self._pause() and n:
                break
            self._out.write(paint([line], self.color))
            self._unseen += 0 if live else need
        self._out.flush()

    def _pause(self) -> bool:
        """Wait for Enter; False when the person skips the rest."""
        self._out.flush()
        goes_on = self._more()
        self._unseen = 0
        return goes_on

    def _more(self) -> bool:
        raise NotImplementedError

    def _size(self) -> tuple[int, int]:
        size = shutil.get_terminal_size((WIDEST, 24))
        return max(20, size.columns), max(6, size.lines)


def wants_plain(environ: Mapping[str, str], stdin: TextIO, stdout: TextIO) -> bool:
    """Whether only plain lines suit: asked for (ACCESSIBLE), a dumb terminal, or no terminal."""
    asked = environ.get("ACCESSIBLE", "") not in ("", "0")
    return asked or environ.get("TERM", "dumb") in ("", "dumb") or not (stdin.isatty() and stdout.isatty())


def make_asker(environ: Mapping[str, str], stdin: TextIO, stdout: TextIO) -> Asker:
    """The asker for this terminal. questionary is imported only when it is the one that asks."""
    if wants_plain(environ, stdin, stdout):
        from nutwizard.prompts.plain import PlainAsker

        return PlainAsker(stdin, stdout)
    from nutwizard.prompts.arrows import QuestionaryAsker

    return QuestionaryAsker(environ, stdout)
