"""Questions line by line: no escape sequences, any terminal, a pipe, a screen reader."""

from __future__ import annotations

import getpass
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from nutwizard.core.errors import UsageError
from nutwizard.core.fields import Choice, FieldKind
from nutwizard.core.shown import safe_text
from nutwizard.prompts.asker import Back, HelpWanted, Screen
from nutwizard.wording.item import Item
from nutwizard.wording.layout import Line, cells

#: Longer lists are shown as one paragraph: numbers would scroll away.
_NUMBERED = 12


class PlainAsker(Screen):
    """Reads lines from `stdin`. Screens stop for Enter only when a person sits at a terminal."""

    keys = "Enter keeps what stands in brackets   ? explains   < back   Ctrl-C leaves"

    def __init__(self, stdin: TextIO, stdout: TextIO) -> None:
        super().__init__(stdout, stdin.isatty() and stdout.isatty())
        self._in = stdin

    def row(self, item: Item) -> Any:
        return ROWS[item.kind](self, item)

    def confirm(self, question: str, default: bool) -> bool:
        words = {"y": True, "yes": True, "n": False, "no": False, "": default}
        while True:
            raw = self._line(f"{question} (yes or no) [{'yes' if default else 'no'}]: ").lower()
            if raw in words:
                return words[raw]
            self.say("  Type yes or no.")

    def choose(self, question: str, choices: Sequence[Choice], default: str) -> str:
        while True:
            self.page(_numbered(choices))
            raw = self._line(f"{question} [{safe_text(default)}]: ")
            if not raw:
                return default
            if raw == "<" and any(choice.value == "back" for choice in choices):
                return "back"
            picked = _pick(raw.lower(), choices)
            if picked is not None:
                return picked
            self.say("  Type a number, a word of the list, or its first letters.")

    def text(self, item: Item) -> Any:
        """One line: texts, numbers, yes or no, lists. Numbers of the list shown stand for its words."""
        if item.offered and item.kind is not FieldKind.BOOLEAN:
            self.page(_listed(item.offered))
        raw = self._field(self._line(_prompt(item)))
        if not raw:
            return item.keep()
        if item.kind is FieldKind.BOOLEAN:
            raw = {"y": "yes", "n": "no"}.get(raw.lower(), raw)
        return item.read(_unnumbered(raw, item) if item.offered else raw)

    def secret(self, item: Item) -> Any:
        """A line that is not shown."""
        raw = self._field(self._hidden(_prompt(item)))
        return item.keep() if not raw else item.read(raw)

    def _field(self, raw: str) -> str:
        if raw == "?":
            raise HelpWanted
        if raw == "<":
            raise Back
        return raw

    def _line(self, prompt: str) -> str:
        """The next line without blanks around it. Raises KeyboardInterrupt at the end of the input."""
        self.room(-(-cells(prompt) // self._size()[0]))
        self._out.write(prompt)
        self._out.flush()
        return self._read().strip()

    def _hidden(self, prompt: str) -> str:
        """As `_line`, typed unseen, blanks kept. Raises UsageError where typing cannot be hidden."""
        if not self._in.isatty():
            self._out.write(prompt)
            self._out.flush()
            return self._read().rstrip("\r\n")
        self.room(1)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", getpass.GetPassWarning)
                return getpass.getpass(prompt, self._out)
        except EOFError:
            raise KeyboardInterrupt from None
        except UnicodeDecodeError:
            raise ValueError("that is not UTF-8 text") from None
        except getpass.GetPassWarning:
            hint = "Put it in a file of mode 0600 and name it as password_file in an answers file."
            raise UsageError("This terminal cannot hide a password while it is typed.", hint) from None

    def _read(self) -> str:
        """A line with its newline. Raises KeyboardInterrupt at the end of the input."""
        while True:  # a line that is no text is used up
            try:
                line = self._in.readline()
            except UnicodeDecodeError:
                self.say("  That is not UTF-8 text. Once more:")
                continue
            if not self._in.isatty():
                self._out.write("\n")
            if not line:
                raise KeyboardInterrupt
            return line

    def _more(self) -> bool:
        self._out.write("-- Enter for more, s to skip: ")
        self._out.flush()
        return self._read().strip().lower() not in ("s", "q")


#: Which prompt asks for which kind.
ROWS: dict[FieldKind, Callable[[PlainAsker, Item], Any]] = {
    FieldKind.TEXT: PlainAsker.text,
    FieldKind.INTEGER: PlainAsker.text,
    FieldKind.CHOICE: PlainAsker.text,
    FieldKind.CHOICES: PlainAsker.text,
    FieldKind.TEXTS: PlainAsker.text,
    FieldKind.SECRET: PlainAsker.secret,
    FieldKind.BOOLEAN: PlainAsker.text,
    FieldKind.ROWS: PlainAsker.rows,
}


def _prompt(item: Item) -> str:
    """Such as "offdelay, 0 to 600 s [60, the guide's value]: "."""
    extra = ", typed unseen" if item.kind is FieldKind.SECRET else ""
    if item.kind is FieldKind.BOOLEAN:
        extra = ", yes or no"
    if not item.shown:
        return f"{item.title}{extra}{f' ({item.where})' if item.where else ''}: "
    return f"{item.title}{extra} [{', '.join(filter(None, (item.shown, item.where)))}]: "


def _numbered(choices: Sequence[Choice]) -> list[Line]:
    width = max(len(choice.value) for choice in choices)
    return [
        Line(f"  {n:>2}  {choice.value:<{width}}  {choice.note}".rstrip())
        for n, choice in enumerate(choices, 1)
    ]


def _listed(choices: Sequence[Choice]) -> list[Line]:
    if len(choices) <= _NUMBERED:
        return _numbered(choices)
    return [Line(f"Known: {', '.join(choice.value for choice in choices)}")]


def _unnumbered(raw: str, item: Item) -> str | list[str]:
    """What was typed, with numbers of the list shown turned into its words."""
    values = [choice.value for choice in item.offered]
    numbers = {str(n): value for n, value in enumerate(values, 1)} if len(values) <= _NUMBERED else {}

    def word(typed: str) -> str:
        return typed if typed in values else numbers.get(typed, typed)

    if item.kind in (FieldKind.CHOICES, FieldKind.TEXTS):
        return raw if raw == "none" else [word(part) for part in raw.replace(",", " ").split()]
    return word(raw)


def _pick(raw: str, choices: Sequence[Choice]) -> str | None:
    """The choice that a number, a word or its first letters name."""
    if raw.isdecimal() and 1 <= int(raw) <= len(choices):
        return choices[int(raw) - 1].value
    found = [choice.value for choice in choices if choice.value.lower().startswith(raw)]
    exact = [value for value in found if value.lower() == raw]
    return (exact or found)[0] if exact or len(found) == 1 else None
