from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutwizard.engine.nut_errors import NutError, ServerError, WireUnsafe, server_error
from nutwizard.engine.nut_protocol import WORD_LIMIT, decode_line, quote_word, raw_reading, split_words

CASES = Path(__file__).parent.parent / "cases" / "protocol"
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=WORD_LIMIT)


def cases(name: str) -> list[Any]:
    loaded: list[Any] = json.loads((CASES / name).read_text())
    return loaded


@pytest.mark.parametrize("case", cases("words.json"), ids=lambda case: case["line"])
def test_words(case: dict[str, Any]) -> None:
    assert split_words(case["line"]) == case["words"]


@pytest.mark.parametrize("case", cases("raw.json"), ids=lambda case: case["value"])
def test_raw_reading(case: dict[str, Any]) -> None:
    assert raw_reading(case["value"]) == case["reading"]


@pytest.mark.parametrize(
    "value", ["a\nLOGOUT", "a\rb", "a\0b", "a\tb", "a\x1b[2J", "a\x7f", "pässwörd", "x" * 491]
)
def test_what_no_line_may_carry(value: str) -> None:
    assert raw_reading(value) is None
    with pytest.raises(WireUnsafe) as caught:
        quote_word(value)
    assert value not in caught.value.text


@given(PRINTABLE)
def test_a_quoted_word_is_read_as_itself(word: str) -> None:
    assert split_words(f"LIST VAR {quote_word(word)} x") == ["LIST", "VAR", word, "x"]


@given(st.binary(max_size=300))
def test_whatever_arrives_is_printable_or_refused(raw: bytes) -> None:
    words = decode_line(raw)
    assert words is None or all(character.isprintable() for word in words for character in word)


def test_what_nut_would_drop_is_marked() -> None:
    assert decode_line(b'VAR a m "caf\xc3\xa9 \x1b[31m\x07"') == [
        "VAR",
        "a",
        "m",
        "caf\ufffd\ufffd \ufffd[31m\ufffd",
    ]


def test_an_error_answer_names_only_documented_codes() -> None:
    known = server_error(["ERR", "READONLY"])
    foreign = server_error(["ERR", "s3cret"])
    assert known is not None
    assert (known.code, known.cause) == ("READONLY", "server-error")
    assert foreign is not None
    assert foreign.code == "UNLISTED"
    assert "s3cret" not in foreign.text
    assert server_error(["OK"]) is server_error(["ERR"]) is None


def test_causes_are_distinct_and_every_error_has_a_text() -> None:
    kinds = [*NutError.__subclasses__(), *ServerError.__subclasses__()]
    assert len({kind.cause for kind in kinds}) == len(kinds)
    for kind in kinds:
        error = kind("READONLY") if issubclass(kind, ServerError) else kind()
        assert error.text.endswith(".")
        assert str(error) == error.text
