"""Text from outside, made safe to show: what a terminal would obey or hide becomes visible."""

from __future__ import annotations

import unicodedata

#: Control, format (bidi, zero width, tags), private use, surrogate, line and paragraph separator.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
#: Letters and marks that draw nothing: joiner, Hangul fillers, blank braille, variation selectors.
_BLANKS = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10)})


class _Table(dict[int, str]):
    """A table for str.translate that fills itself: how each character is shown."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        unsafe = (
            unicodedata.category(char) in _UNSAFE_CATEGORIES or code in _BLANKS or 0xE0100 <= code <= 0xE01EF
        )
        shown = _escape(code) if unsafe else char
        self[code] = shown
        return shown


def _escape(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


_TABLE = _Table({0x09: " ", 0x0A: "\n"})


def safe_text(text: str) -> str:
    r"""`text` with what acts or hides shown as `\x1b` or `\u202e`; newlines stay, a tab becomes a blank."""
    return text.translate(_TABLE)
