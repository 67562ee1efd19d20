"""NUT's words: the measured grammar, losslessness, spelling, and what survives the wire."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nutwizard.formats import words
from nutwizard.formats.words import encode, encode_words, is_wire_safe, parse, wire_problem

from .cases import params

PIECES = st.sampled_from(
    [
        b"a",
        b"Bc",
        b" ",
        b"\t",
        b'"',
        b"\\",
        b"#",
        b"=",
        b"\n",
        b"\r\n",
        b"\0",
        b"\xe9",
        b"\xef\xbb\xbf",
        b"[x]",
    ]
)
TEXTS = st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=30).map(b"".join))
ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)


@pytest.mark.parametrize("case", params("words.yaml"))
def test_grammar(case: dict[str, Any]) -> None:
    lines = parse(case["text"].encode("latin-1"))
    assert [list(line.words) for line in lines if line.words] == case["words"]
    assert sum(line.error == words.UNBALANCED for line in lines) == case.get("dropped", 0)


@given(TEXTS)
@settings(max_examples=300)
@example(b'a "b#c"\nd')
def test_parsing_loses_nothing(data: bytes) -> None:
    lines = parse(data)
    assert b"".join(line.raw for line in lines) == data
    at = 0
    for line in lines:
        assert line.number == 1 + data.count(b"\n", 0, at)
        assert len(line.spans) == len(line.words)
        assert all(0 <= start <= stop <= line.end <= len(line.raw) for start, stop in line.spans)
        assert not (line.words and (line.error or line.comment))
        at += len(line.raw)


@given(TEXTS)
def test_a_span_holds_its_word(data: bytes) -> None:
    for line in parse(data):
        for (start, stop), word in zip(line.spans, line.words, strict=True):
            raw = b"k " + line.raw[start:stop]  # closed by a line end, or by the end of the file
            assert ("k", word) in {parse(raw + end)[0].words for end in (b"\n", b"")}


@given(ASCII)
def test_a_spelled_value_is_read_back(value: str) -> None:
    assert parse(f"k {encode(value)}\n".encode())[0].words == ("k", value)


@given(st.lists(ASCII, min_size=1, max_size=8))
def test_spelled_words_are_read_back(values: list[str]) -> None:
    assert parse(f"{encode_words(values)}\n".encode())[0].words == tuple(values)


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("abc", "abc"),
        ("", '""'),
        ("a b", '"a b"'),
        ('a"\\#', '"a\\"\\\\\\#"'),
        ("a=b", '"a=b"'),
        ("/sbin/x -h +0", '"/sbin/x -h +0"'),
    ],
)
def test_spelling(value: str, spelled: str) -> None:
    assert encode(value) == spelled


@pytest.mark.parametrize(("value", "named"), [("hünter", "U+00FC"), ("a\tb", "U+0009"), ("x" * 513, "513")])
def test_what_cannot_be_spelled_is_refused_without_showing_it(value: str, named: str) -> None:
    with pytest.raises(ValueError, match=named.replace("+", r"\+")) as refused:
        encode(value)
    assert value not in str(refused.value)


def test_limits_of_a_line() -> None:
    line = parse(b"a " + b"x" * 600 + b"\n")[0]
    assert len(line.words[1]) == words.WORD_LIMIT
    assert line.notes
    many = parse(b"w " * 40 + b"\n")[0]
    assert len(many.words) == words.WORDS_LIMIT
    assert many.end == 79


@pytest.mark.parametrize(
    "unit",
    [b"a", b" ", b'"', b"\\", b"#", b"=", b"\\\n", b'"a" ', b'a"b', b'"#', b"\n", b"\xe9", b"a=", b'"\n'],
)
def test_time_grows_with_the_length(unit: bytes) -> None:
    """Were the time to grow with the square of the length, this would take an hour."""
    data = unit * (2**18 // len(unit))
    assert sum(len(line.raw) for line in parse(data)) == len(data)


@pytest.mark.parametrize("value", ["s3c4R3_Kly3Nt!", "a'b$c%d", "x" * 64, "[a]{b}~@^*?&|<>"])
def test_wire_safe(value: str) -> None:
    assert is_wire_safe(value)
    assert wire_problem(value) is None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("my secret", "space"),
        ("ab#secret", "#"),
        ('"secret', '"'),
        ("ab\\secret", "backslash"),
        ("secret=", "="),
        ("sécret", "ASCII"),
        ("", "empty"),
        ("secret" * 20, "64"),
        ("secret\n", "ASCII"),
    ],
)
def test_not_wire_safe(value: str, told: str) -> None:
    problem = wire_problem(value)
    assert problem is not None
    assert told in problem
    assert not value or value not in problem
