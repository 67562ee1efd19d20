"""Text from outside becomes harmless, and stays readable."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutwizard.formats.safe import safe_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 🔋\n", "plain é 漢 🔋\n"),
        ("a\tb", "a b"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\rb\x7f\x9b", "a\\x0db\\x7f\\x9b"),
        ("x\u202ey\u2066", "x\\u202ey\\u2066"),
        ("\u200b\ufeff\u2028", "\\u200b\\ufeff\\u2028"),
        ("\ue000\U000f0000\udc80", "\\ue000\\U000f0000\\udc80"),
    ],
)
def test_shown(text: str, shown: str) -> None:
    assert safe_text(text) == shown


@given(st.text(st.characters(codec=None)))
def test_nothing_that_acts_is_left(text: str) -> None:
    shown = safe_text(text)
    assert not any(
        unicodedata.category(char) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"} for char in shown if char != "\n"
    )
    assert safe_text(shown) == shown
    assert shown.count("\n") == text.count("\n")
