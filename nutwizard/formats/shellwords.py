"""As much of the shell's grammar as tells assignments from everything else in a file that `sh` sources."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_OPERATORS = ";&|()<>\n"
_OPEN_WORDS = frozenset({"if", "for", "while", "until", "case", "{"})
_CLOSE_WORDS = frozenset({"fi", "done", "esac", "}"})
_JOINERS = frozenset({";", "&", "&&", "|", "||", ";;"})
EXPORTS = frozenset({"export", "readonly"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(=|\Z)")
_OPERATOR = re.compile(r"<<|&&|\|\||;;|.|\Z", re.DOTALL)
_BLANK = re.compile(r"(?:[ \t]|\\\n)*+")
_PLAIN = re.compile(r"[^ \t\n;&|()<>'\"\\$`]++")


@dataclass(slots=True)
class Word:
    """A shell word: its place, its value, and whether the shell computes (`$`, backtick) a part of it."""

    start: int
    stop: int
    value: str
    computed: bool


@dataclass(slots=True)
class Command:
    """The words of one simple command. `plain`: it always runs, in the shell that reads the file.

    `comment`: where a comment that ends its line starts. `alone`: no other command is on its lines.
    """

    words: list[Word] = field(default_factory=list)
    plain: bool = True
    alone: bool = True
    comment: int | None = None

    @property
    def start(self) -> int:
        """Where its first word starts."""
        return self.words[0].start

    @property
    def stop(self) -> int:
        """Where its last word ends."""
        return self.words[-1].stop


class ShellReader:
    """Splits text into commands.

    `unclosed`: where a quote starts that never ends. `opaque`: where a here-document makes the rest unsure.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.commands: list[Command] = []
        self.unclosed: int | None = None
        self.opaque: int | None = None
        self.invalid: int | None = None
        self._depth = 0
        self._run()

    def _run(self) -> None:
        text, command, before = self.text, Command(), "\n"
        on_line: list[Command] = []
        while True:
            blank = _BLANK.match(text, self.pos)
            self.pos = blank.end() if blank else self.pos
            char = text[self.pos : self.pos + 1]
            if char == "#":
                stop = text.find("\n", self.pos)
                command.comment = self.pos
                self.pos = stop if stop >= 0 else len(text)
            elif char and char not in _OPERATORS:
                command.words.append(self._word())
            else:
                operator = self._operator()
                self._check(command, before, operator)
                if command.words:
                    self._finish(command, before, operator)
                    on_line.append(command)
                elif on_line and command.comment is not None:
                    on_line[-1].comment = command.comment
                if operator in ("\n", ""):
                    for other in on_line if len(on_line) > 1 else ():
                        other.alone = False
                    on_line = []
                if command.words or operator != "\n" or before not in _JOINERS:
                    before = operator
                command = Command()
                if not operator:
                    return

    def _operator(self) -> str:
        match = _OPERATOR.match(self.text, self.pos)
        operator = match[0] if match else ""
        if operator == "<<" and self.opaque is None:
            self.opaque = self.pos
        self.pos += len(operator)
        return operator

    def _check(self, command: Command, before: str, after: str) -> None:
        """Note an operator that has no command beside it, and an `export` of what is no name."""
        words = command.words
        if words and words[0].value in EXPORTS:
            wrong = not all(_NAME.match(word.value) or word.computed for word in words[1:])
        elif self._depth or words:
            wrong = after == ";;" and not self._depth
        else:
            wrong = (after in _JOINERS and before != ")") or (after == "" and before in ("&&", "||", "|"))
        if wrong and self.invalid is None:
            self.invalid = command.start if words else self.pos - len(after)

    def _finish(self, command: Command, before: str, after: str) -> None:
        first = self.text[command.start : command.words[0].stop]
        if first in _OPEN_WORDS:
            self._depth += 1
        command.plain = self._depth == 0 and before in ("\n", ";") and after in ("\n", ";", "")
        if first in _CLOSE_WORDS:
            self._depth = max(self._depth - 1, 0)
        self.commands.append(command)

    def _word(self) -> Word:
        start, text, value, computed = self.pos, self.text, [], False
        while self.pos < len(text):
            char = text[self.pos]
            plain = _PLAIN.match(text, self.pos)
            if plain:
                value.append(plain[0])
                self.pos = plain.end()
            elif char == "\\":
                value.append(text[self.pos + 1 : self.pos + 2].replace("\n", ""))
                self.pos += 2
            elif char == "'":
                value.append(self._until("'"))
            elif char == '"':
                inner, dynamic = self._double()
                value.append(inner)
                computed = computed or dynamic
            elif char in "$`":
                self._expansion()
                computed = True
            else:
                break
        self.pos = min(self.pos, len(text))
        return Word(start, self.pos, "".join(value), computed)

    def _until(self, close: str) -> str:
        """The text up to the closing character behind the one at `pos`."""
        stop = self.text.find(close, self.pos + 1)
        if stop < 0:
            self._never_closed()
            return ""
        inner, self.pos = self.text[self.pos + 1 : stop], stop + 1
        return inner

    def _double(self) -> tuple[str, bool]:
        value: list[str] = []
        start, computed = self.pos, False
        self.pos += 1
        while self.pos < len(self.text):
            char = self.text[self.pos]
            if char == '"':
                self.pos += 1
                return "".join(value), computed
            if char == "\\":
                after = self.text[self.pos + 1 : self.pos + 2]
                value.append({"\n": ""}.get(after, after if after in '"\\$`' else "\\" + after))
                self.pos += 2
            elif char in "$`":
                self._expansion()
                computed = True
            else:
                value.append(char)
                self.pos += 1
        self._never_closed(start)
        return "", computed

    def _expansion(self) -> None:
        """Skip `$x`, `${x}`, `$(x)` or a backtick pair; a command's own quotes are not followed."""
        if self.text[self.pos] == "`":
            self._until("`")
            return
        pairs = {"(": ")", "{": "}"}
        opened = self.text[self.pos + 1 : self.pos + 2]
        self.pos += 1
        if opened not in pairs or not opened:
            return
        depth, start = 0, self.pos
        while self.pos < len(self.text):
            char = self.text[self.pos]
            depth += (char == opened) - (char == pairs[opened])
            self.pos += 1
            if not depth:
                return
        self._never_closed(start)

    def _never_closed(self, start: int | None = None) -> None:
        if self.unclosed is None:
            self.unclosed = self.pos if start is None else start
        self.pos = len(self.text)
