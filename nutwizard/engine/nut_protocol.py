"""The words of NUT's network protocol: pure functions, no socket.

A line of the protocol (RFC 9271) is a row of words in the same grammar as NUT's configuration files.
[ran] marks what was seen on NUT 2.8.0.
"""

from __future__ import annotations

import re
from typing import Final

from nutwizard.engine.nut_errors import WireUnsafe

#: Longest word sent, in bytes: upsmon's own line buffer still carries 490 and fails at 512 [ran].
WORD_LIMIT: Final = 490

UNSAFE: Final = (
    "This {} cannot work over the network: NUT sends it without quotes, so it must be one word of at most "
    f'{WORD_LIMIT} ASCII characters, without a space or =, and neither begin with " nor end with \\. '
    "Use letters, digits, - and _."
)
MISREAD: Final = (
    'NUT sends both without quotes, and because of a ", # or \\ the server reads another word than given. '
    "Use letters, digits, - and _."
)

_TOKEN: Final = re.compile(
    r"""[ \t\r\v\f]+ | \#.* | (?P<equals>=)
      | "(?P<quoted>(?:[^"\\\#]|\\.)*)"
      | (?P<bare>(?:[^ \t\r\v\f=\#"\\]|\\.)(?:[^ \t\r\v\f=\#\\]|\\.)*)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_SPECIAL: Final = re.compile(r'[\\"#]')
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,:/@%+!?*^~-]+")


def split_words(line: str) -> list[str] | None:
    """Split one line, without its newline, into words by NUT's quoting rules.

    None for what NUT cannot read as one whole line: a quote left open, a bare `#` inside quotes, a backslash
    at the end. None and no exception, so that no traceback keeps a line with a password alive.
    """
    words: list[str] = []
    position = 0
    while position < len(line):
        token = _TOKEN.match(line, position)
        if token is None:
            return None
        position = token.end()
        if token.lastgroup == "equals":
            words.append("=")
        elif token.lastgroup is not None:
            words.append(_ESCAPED.sub(r"\1", token[token.lastgroup]))
    return words


def decode_line(raw: bytes) -> list[str] | None:
    """Read a received line into words; None if NUT's own clients could not read it either.

    A byte outside printable ASCII becomes U+FFFD, so that no value carries a terminal escape. NUT drops such
    bytes in silence; a visible mark is more honest.
    """
    words = split_words(raw.decode("ascii", "replace"))
    return None if words is None else [_CONTROL.sub("\ufffd", word) for word in words]


def words_after(words: list[str], head: tuple[str, ...], count: int | None) -> list[str] | None:
    """The words after `head` (in any case, as NUT compares [ran]); None if others stand there.

    None, too, if not exactly `count` words follow; with a `count` of None any number may.
    """
    start, rest = words[: len(head)], words[len(head) :]
    same = [word.lower() for word in start] == [word.lower() for word in head]
    return rest if same and count in (None, len(rest)) else None


def quote_word(word: str) -> str:
    """Spell a word so that NUT's parser reads exactly it. Raises WireUnsafe where no spelling can."""
    if not _sendable(word):
        raise WireUnsafe("A UPS or variable name holds a character that NUT cannot carry, or is too long.")
    if _PLAIN.fullmatch(word):
        return word
    return '"' + _SPECIAL.sub(r"\\\g<0>", word) + '"'


def raw_reading(value: str) -> str | None:
    """What upsd reads when upsmon sends it this user name or password, which upsmon does without any quoting.

    None when upsd would not see one whole word: it answers INVALID-ARGUMENT (empty, a space, `=`) or waits
    for the rest (an open quote, a backslash at the end) [ran]. A reading other than the value (`ab#cd` is
    read as `ab`) lets in only where upsd.users holds that other word.
    """
    words = split_words(value) if _sendable(value) else None
    return words[0] if words is not None and len(words) == 1 else None


def _sendable(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) <= WORD_LIMIT
