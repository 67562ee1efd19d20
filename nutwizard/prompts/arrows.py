"""Questions with arrow keys, check boxes and hidden passwords: questionary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

import questionary
import questionary.prompts.common
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings

from nutwizard.core.fields import Choice, FieldKind
from nutwizard.core.secret import Secret
from nutwizard.core.shown import safe_text
from nutwizard.prompts.asker import Back, HelpWanted, Screen
from nutwizard.wording.item import Item
from nutwizard.wording.show import wants_color

#: Lists from this length on are searched by typing.
_LONG = 10
_OTHER = ""
#: Seconds until a lone Esc is Esc and not the beginning of another key; the defaults make it wait for 1.5 s.
_ESCAPE = 0.1
# The console of a server often has no letters for the round marks, and a screen reader no words.
for _name, _mark in (("INDICATOR_SELECTED", "[x]"), ("INDICATOR_UNSELECTED", "[ ]")):
    setattr(questionary.prompts.common, _name, _mark)


class QuestionaryAsker(Screen):
    """Asks in a terminal that knows cursor keys."""

    keys = "Enter accepts   F1 or ? explains   Esc back   Ctrl-C leaves"

    def __init__(self, environ: Mapping[str, str], stdout: TextIO = sys.stdout) -> None:
        super().__init__(stdout, stops=True)
        self.color = wants_color(stdout, environ)

    def row(self, item: Item) -> Any:
        return ROWS[item.kind](self, item)

    def confirm(self, question: str, default: bool) -> bool:
        return bool(self._run(questionary.confirm(question, default=default, qmark=">"), 2))

    def choose(self, question: str, choices: Sequence[Choice], default: str) -> str:
        letters = [choice.value[:1].lower() for choice in choices]
        unique = len(set(letters)) == len(letters) and all(letter.isalpha() for letter in letters)
        rows = _rows(choices, shortcuts=letters if unique else [str(n) for n in range(1, len(choices) + 1)])
        key = "letter" if unique else "number"
        prompt = questionary.select(
            question, rows, default, qmark=">", pointer=">", instruction=f"(arrows or {key}, then Enter)",
            use_shortcuts=len(choices) < _LONG, use_jk_keys=False,
        )  # fmt: skip
        back = "back" if any(choice.value == "back" for choice in choices) else None
        return str(self._run(prompt, len(choices) + 2, back=back))

    def text(self, item: Item) -> Any:
        """One line with the proposed value in it, to be changed in place."""
        words = [choice.value for choice in item.offered]
        prompt = questionary.text(
            item.title, default=item.shown, qmark=">",
            instruction=" ".join(filter(None, (_where(item), "Tab lists" if words else ""))) or None,
            validate=_validator(item.read),
            completer=WordCompleter(words) if words else None, complete_while_typing=False,
            reserve_space_for_menu=4 if words else 0,
        )  # fmt: skip
        return item.read(self._field(prompt, 6 if words else 3))

    def secret(self, item: Item) -> Any:
        """A hidden line; an empty one keeps what is there."""
        kept = item.proposal.value if item.proposal and isinstance(item.proposal.value, Secret) else None
        note = f"[Enter: {', '.join(filter(None, (item.shown, item.where)))}]" if kept else _where(item)
        check = _validator(lambda raw: kept if kept and not raw else item.read(raw))
        raw = self._field(questionary.password(item.title, validate=check, qmark=">", instruction=note), 3)
        return kept if kept and not raw else item.read(raw)

    def one(self, item: Item) -> Any:
        """One row of a list; a value that the list does not know cannot be kept."""
        if not item.offered:
            return self.text(item)
        known = item.shown in [choice.value for choice in item.offered]
        long = len(item.offered) >= _LONG
        prompt = questionary.select(
            item.title, _rows(item.offered), item.shown if known else None, qmark=">", pointer=">",
            use_jk_keys=False, use_search_filter=long,
            instruction=_where(item) + (" type to search" if long else ""),
        )  # fmt: skip
        return item.read(self._field(prompt, min(len(item.offered), _LONG) + 2))

    def several(self, item: Item) -> Any:
        """A check box for each word offered; addresses and the like may also be typed."""
        free = item.kind is FieldKind.TEXTS
        chosen = item.proposal.value if item.proposal and isinstance(item.proposal.value, tuple) else ()
        offered = list(item.offered)
        if not offered:
            return self.text(item)
        if free:
            offered += [
                Choice(value, item.where) for value in chosen if value not in [c.value for c in offered]
            ]
        rows = _rows(offered, checked=chosen)
        if free:
            rows.append(questionary.Choice("other: type it", value=_OTHER))
        prompt = questionary.checkbox(
            item.title, rows, qmark=">", pointer=">", use_jk_keys=False,
            instruction=f"{_where(item)} Space: on or off".strip(),
            validate=_validator(lambda picked: item.read([value for value in picked if value != _OTHER])),
        )  # fmt: skip
        picked: list[str] = self._field(prompt, min(len(rows), _LONG) + 2)
        words = [value for value in picked if value != _OTHER]
        words += self._typed(item) if _OTHER in picked else []
        # The prompt itself leaves only their number on the screen.
        self.say(f"  {', '.join(words) or 'none'}")
        return item.read(words)

    def _typed(self, item: Item) -> list[str]:
        """Further values on one line."""
        check = _validator(lambda raw: item.read(raw) if raw.strip() else None)
        raw: str = self._field(questionary.text(f"other {item.title}", validate=check, qmark=">"), 3)
        return raw.replace(",", " ").split()

    def _field(self, prompt: questionary.Question, rows: int) -> Any:
        """Run a field's prompt with the keys of a field: help and back."""
        app, keys = prompt.application, KeyBindings()
        start = app.current_buffer.text
        untouched = Condition(lambda: get_app().current_buffer.text in ("", start))

        @keys.add("f1", eager=True)
        @keys.add("?", filter=untouched, eager=True)
        def _help(event: KeyPressEvent) -> None:
            event.app.exit(exception=HelpWanted())

        @keys.add("escape")
        def _back(event: KeyPressEvent) -> None:
            event.app.exit(exception=Back())

        app.key_bindings = merge_key_bindings([app.key_bindings or KeyBindings(), keys])
        return self._run(prompt, rows)

    def _run(self, prompt: questionary.Question, rows: int, back: str | None = None) -> Any:
        """Ask. Raises KeyboardInterrupt on Ctrl-C and at the end of the input."""
        self.room(rows)
        app = prompt.application
        app.ttimeoutlen = app.timeoutlen = _ESCAPE
        if back is not None:
            keys = KeyBindings()
            keys.add("escape")(lambda event: event.app.exit(result=back))
            app.key_bindings = merge_key_bindings([app.key_bindings or KeyBindings(), keys])
        try:
            return prompt.unsafe_ask()
        except EOFError:
            raise KeyboardInterrupt from None

    def _more(self) -> bool:
        prompt = questionary.text("Enter for more, s to skip", qmark="--")
        prompt.application.erase_when_done = True
        try:
            return str(prompt.unsafe_ask()).strip().lower() not in ("s", "q")
        except EOFError:
            raise KeyboardInterrupt from None


#: Which prompt asks for which kind.
ROWS: dict[FieldKind, Callable[[QuestionaryAsker, Item], Any]] = {
    FieldKind.TEXT: QuestionaryAsker.text,
    FieldKind.INTEGER: QuestionaryAsker.text,
    FieldKind.CHOICE: QuestionaryAsker.one,
    FieldKind.CHOICES: QuestionaryAsker.several,
    FieldKind.TEXTS: QuestionaryAsker.several,
    FieldKind.SECRET: QuestionaryAsker.secret,
    FieldKind.BOOLEAN: QuestionaryAsker.one,
    FieldKind.ROWS: QuestionaryAsker.rows,
}


def _where(item: Item) -> str:
    return f"({item.where})" if item.where else ""


def _validator(read: Callable[[Any], Any]) -> Callable[[Any], bool | str]:
    """Questionary's kind of check: True, or the sentence to show."""

    def check(raw: Any) -> bool | str:
        try:
            read(raw)
        except ValueError as error:
            return safe_text(str(error))
        return True

    return check


def _rows(
    choices: Sequence[Choice], *, checked: Sequence[str] = (), shortcuts: Sequence[str] = ()
) -> list[questionary.Choice]:
    """Rows of a list, their notes aligned."""
    width = max(len(choice.value) for choice in choices)
    return [
        questionary.Choice(
            safe_text(f"{choice.value:<{width}}  {choice.note}".rstrip()),
            value=choice.value,
            checked=choice.value in checked,
            shortcut_key=shortcuts[n] if shortcuts else True,
        )
        for n, choice in enumerate(choices)
    ]
