"""How a step stands, in a few words: lines that changed, lists and texts that fit."""

from __future__ import annotations

import pytest

from nutwizard.core.standing import StepState, clipped, in_short, lines_changed


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        (b"", b"", 0),
        (b"a\nb\nc\n", b"a\nb\nc\n", 0),
        (b"a\nb\nc\n", b"a\nB\nc\n", 1),
        (b"a\nb\nc\n", b"a\nc\n", 1),
        (b"a\nb\n", b"a\nx\ny\nb\n", 2),
        (b"a\nb\nc\nd\n", b"A\nb\nc\nD\n", 2),
        (b"", b"a\nb\n", 2),
        (b"a\nb\n", b"", 2),
        (b"a", b"a\n", 1),
        (b"a\n" * 5, b"a\n" * 7, 2),
    ],
)
def test_lines_changed(before: bytes, after: bytes, count: int) -> None:
    assert lines_changed(before, after) == count


def test_as_many_items_as_fit() -> None:
    assert in_short([], 10) == ""
    assert in_short(["a" * 20], 10) == "a" * 20
    assert in_short(["abc", "def"], 10) == "abc, def"
    assert in_short(["abc", "def", "ghi"], 10) == "abc and 2 more"
    assert in_short(["abc", "def", "ghi"], 20) == "abc, def, ghi"


def test_a_text_is_clipped() -> None:
    assert clipped("abcdef", 6) == "abcdef"
    assert clipped("abc defgh", 7) == "abc..."


def test_a_state_equals_its_text() -> None:
    assert [str(state) for state in StepState][:2] == ["in place", "to do"]
    assert {"in place": 1}[StepState.IN_PLACE] == 1
