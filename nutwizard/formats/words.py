"""NUT's words: how its daemons read a configuration file, and how to spell a value for them.

The grammar is that of NUT 2.7.4 to 2.8.x (nut.conf apart), measured with the real daemons, which a test asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

WORD_LIMIT = 512
"""Characters of a word that NUT keeps; the rest is cut off silently."""
WORDS_LIMIT = 32
"""Words of a line that NUT keeps; the rest is dropped silently."""

LOST = "the last line has no line end, so NUT does not read its only word"
UNBALANCED = "a # inside quotes: NUT drops the line up to here and reads the rest as a new line (write \\#)"
_CUT = f"a word has more than {WORD_LIMIT} characters: NUT cuts it there"
_MANY = f"more than {WORDS_LIMIT} words: NUT drops the rest"
_DROPPED = "NUT drops the characters that are not printable ASCII"
_OPEN = "a quote is opened and never closed"
_EMPTY = "a backslash at the end of a line and a blank behind it make an empty word"
_ACROSS = "a quoted word runs on over the end of the line"

_DROP = bytes([*range(0x20), *range(0x80, 0x100)])
_BLANK = re.compile(rb"[ \t\r\v\f]*")
# Possessive: each byte is looked at once, whatever the input.
_BARE = re.compile(rb"(?:[^\s\\#=]++|\\.)++", re.DOTALL)
_QUOTED = re.compile(rb'(?:[^"\\#]++|\\.)*+', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_JOIN = re.compile(rb"\\\n")


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line: its bytes and what NUT makes of them.

    `number` is the physical line, from 1, where it starts. `words` are the effective words, `spans` their
    byte ranges in `raw`, quotes and backslashes included; `end` is where the last word ends, those over the
    limit included. `error` says why NUT reads no words here; `notes` what it reads otherwise than it looks.
    `ended` tells whether what is put behind `raw` starts a new line.
    """

    raw: bytes
    number: int
    words: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    error: str | None = None
    comment: bool = False
    end: int = 0
    notes: tuple[str, ...] = ()
    ended: bool = True


class _Scanner:
    """Reads one logical line from `data` at `start`; afterwards `pos` stands behind it."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.start, self.pos = data, start, start
        self.words: list[str] = []
        self.spans: list[tuple[int, int]] = []
        self.notes: dict[str, None] = {}
        self.end = 0
        self.error: str | None = None
        self.comment = False
        self.ended = False

    def run(self) -> None:
        """Take words until the line ends, the file ends or NUT gives up."""
        data = self.data
        while True:
            blank = _BLANK.match(data, self.pos)
            self.pos = blank.end() if blank else self.pos
            char = data[self.pos : self.pos + 1]
            if not char:
                return
            if char == b"\n":
                self.pos, self.ended = self.pos + 1, True
                return
            if char == b"#":
                self._skip_comment()
                return
            if char == b"=":
                self._word(self.pos, self.pos + 1, b"=")
            elif char == b'"':
                if not self._quoted():
                    return
            elif not self._bare():
                return

    def _skip_comment(self) -> None:
        self.comment = not self.spans
        newline = self.data.find(b"\n", self.pos)
        self.ended = newline >= 0
        self.pos = newline + 1 if self.ended else len(self.data)

    def _bare(self) -> bool:
        """A word without quotes. False at the end of the file."""
        start = self.pos
        match = _BARE.match(self.data, start)
        stop = match.end() if match else start
        text = self.data[start:stop]
        if stop < len(self.data) and self.data[stop : stop + 1] != b"\\":
            self._word(start, stop, text)
            return True
        self._file_ends(start, stop, text)
        return False

    def _quoted(self) -> bool:
        """A word in quotes. False at the end of the file and where an unescaped # makes NUT give up."""
        start = self.pos
        match = _QUOTED.match(self.data, start + 1)
        stop = match.end() if match else start + 1
        text = self.data[start + 1 : stop]
        if b"\n" in _JOIN.sub(b"", text):
            self.notes[_ACROSS] = None
        char = self.data[stop : stop + 1]
        if char == b'"':
            self._word(start, stop + 1, text)
            return True
        if char == b"#":
            self.error, self.ended, self.pos = UNBALANCED, True, stop + 1
            return False
        self.notes[_OPEN] = None
        self._file_ends(start, stop, text)
        return False

    def _file_ends(self, start: int, stop: int, text: bytes) -> None:
        """NUT takes a word that the end of the file cuts if it is not empty and not the first of its line."""
        if self.spans and _effective(text):
            self._word(start, stop, text)
        elif _effective(text):
            self.error = _OPEN if _OPEN in self.notes else LOST
        self.pos = len(self.data)
        self.end = self.pos - self.start

    def _word(self, start: int, stop: int, text: bytes) -> None:
        self.pos, self.end = stop, stop - self.start
        kept = _effective(text)
        if text and not _JOIN.sub(b"", text):
            self.notes[_EMPTY] = None
        plain = text.translate(None, b"\n")
        if plain.translate(None, _DROP) != plain:
            self.notes[_DROPPED] = None
        if len(self.spans) >= WORDS_LIMIT:
            self.notes[_MANY] = None
            return
        if len(kept) > WORD_LIMIT:
            self.notes[_CUT] = None
        self.words.append(kept[:WORD_LIMIT].decode("ascii"))
        self.spans.append((start - self.start, stop - self.start))

    def line(self, number: int) -> Line:
        """The line as a value."""
        bad = self.error is not None
        return Line(
            self.data[self.start : self.pos],
            number,
            () if bad else tuple(self.words),
            () if bad else tuple(self.spans),
            self.error,
            self.comment,
            self.end,
            tuple(self.notes),
            self.ended,
        )


def _effective(text: bytes) -> bytes:
    """A word's text without backslashes, joined line ends and the bytes that NUT drops."""
    return _ESCAPED.sub(rb"\1", text).translate(None, _DROP)


def parse(data: bytes) -> list[Line]:
    """The logical lines of a file, as NUT splits them. Joined, their `raw` is `data`; the time is linear."""
    return list(iter_lines(data))


def iter_lines(data: bytes) -> Iterator[Line]:
    """As `parse`, one line at a time."""
    start, number = 0, 1
    while start < len(data):
        scanner = _Scanner(data, start)
        scanner.run()
        line = scanner.line(number)
        yield line
        number += line.raw.count(b"\n")
        start = scanner.pos


_SAFE_BARE = re.compile(r"[A-Za-z0-9_.,:/@%+!?*^~-]+")
_TO_ESCAPE = re.compile(r'([\\"#])')


def encode(value: str) -> str:
    """Spell a value so that NUT reads exactly it: bare where that is safe, else quoted.

    Raises ValueError, which names the character and never the value, for what NUT cannot hold: anything but
    printable ASCII, or more than 512 characters.
    """
    for position, char in enumerate(value, 1):
        if not " " <= char <= "~":
            raise ValueError(f"character {position} (U+{ord(char):04X}) is not printable ASCII: NUT drops it")
    if len(value) > WORD_LIMIT:
        raise ValueError(f"{len(value)} characters are too many: NUT cuts a word after {WORD_LIMIT}")
    if _SAFE_BARE.fullmatch(value):
        return value
    return '"' + _TO_ESCAPE.sub(r"\\\1", value) + '"'


_STRUCTURE = re.compile(r"=|\[[A-Za-z0-9_.,:/@%+!?*^~$&'();<>{|}`-]{1,64}\]")


def encode_words(words: Iterable[str]) -> str:
    """The words of one line, a space between them; `=` and a `[header]` stay bare. Raises as `encode`."""
    return " ".join(word if _STRUCTURE.fullmatch(word) else encode(word) for word in words)


WIRE_SAFE = re.compile(r"[!$%&'()*+,./0-9:;<>?@A-Z^_`a-z{|}~\[\]-]{1,64}")
"""What survives file and wire: upsmon sends a password unquoted and upsd splits it into words again."""


def is_wire_safe(value: str) -> bool:
    """Whether a password or a user name works over the network in every version of NUT."""
    return WIRE_SAFE.fullmatch(value) is not None


_WIRE_NAMES = {" ": "a space", '"': 'a "', "#": "a #", "=": "a =", "\\": "a backslash"}


def wire_problem(value: str) -> str | None:
    """Why a password or user name cannot work over the network, a sentence without the value; else None."""
    if is_wire_safe(value):
        return None
    if not value:
        return "It is empty, and NUT cannot send an empty word over the network."
    if len(value) > 64:
        return f"It has {len(value)} characters; keep to 64, since NUT cuts long words."
    for char in value:
        if char in _WIRE_NAMES:
            return f"It has {_WIRE_NAMES[char]} in it; NUT sends it unquoted, and upsd reads something else."
        if not " " <= char <= "~":
            break
    return "It has a character in it that is not printable ASCII; NUT drops such characters without a word."
