"""Fields: what was written becomes typed values, and what is wrong a sentence."""

import dataclasses
from typing import Any

import pytest

from nutwizard.core.fields import Choice, Field, FieldKind, Spec, fields_of, setting
from nutwizard.core.secret import Secret


def even(value: str) -> str | None:
    return None if len(value) % 2 == 0 else "it is odd"


TEXT = Field("t", Spec(FieldKind.TEXT, "text", check=even))
TEXTS = Field("ts", Spec(FieldKind.TEXTS, "texts", check=even))
SECONDS = Field("n", Spec(FieldKind.INTEGER, "n", unit="s", low=0, high=600))
MAYBE = Field("m", Spec(FieldKind.INTEGER, "m", unit="%", low=0, optional=True))
BOOLEAN = Field("b", Spec(FieldKind.BOOLEAN, "b"))
CHOICE = Field("c", Spec(FieldKind.CHOICE, "c", choices=(Choice("a"), Choice("b"))))
CHOICES = Field("cs", Spec(FieldKind.CHOICES, "cs", choices=(Choice("a"), Choice("b"))))
SECRET = Field("s", Spec(FieldKind.SECRET, "s", check=even, kept_in="/x"))


@pytest.mark.parametrize(
    ("field", "raw", "value"),
    [
        (TEXT, "ab", "ab"),
        (TEXTS, "ab, cd ef", ("ab", "cd", "ef")),
        (TEXTS, ["a, b"], ("a, b",)),
        (TEXTS, [], ()),
        (SECONDS, " 0600 ", 600),
        (SECONDS, "-0", 0),
        (MAYBE, "none", None),
        (MAYBE, "", None),
        (MAYBE, "~", None),
        (MAYBE, "0", 0),
        (BOOLEAN, " Yes", True),
        (BOOLEAN, "off", False),
        (CHOICE, "b", "b"),
        (CHOICES, ["b", "a"], ("b", "a")),
        (SECRET, "wxyz", Secret("wxyz", "/x")),
    ],
)
def test_read(field: Field, raw: Any, value: Any) -> None:
    assert field.read(raw) == value


@pytest.mark.parametrize(
    ("field", "raw", "text"),
    [
        (TEXT, "abc", "it is odd"),
        (TEXT, ["ab"], "expected one value, got a list"),
        (SECONDS, "1m", 'expected whole seconds, got "1m"'),
        (SECONDS, "1.0", 'expected whole seconds, got "1.0"'),
        (SECONDS, "9" * 400, f'expected whole seconds, got "{"9" * 40}"'),
        (SECONDS, "601", "601 is out of range: 0 to 600 s"),
        (SECONDS, "none", 'expected whole seconds, got "none"'),
        (MAYBE, "-1", "-1 is out of range: 0 or more %"),
        (BOOLEAN, "1", 'expected yes or no, got "1"'),
        (CHOICE, "c", '"c" is none of a, b'),
        (CHOICES, "a c", '"c" is none of a, b'),
    ],
)
def test_read_refuses(field: Field, raw: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        field.read(raw)
    assert str(caught.value) == text


def test_a_wrong_secret_is_not_repeated() -> None:
    with pytest.raises(ValueError, match=r"^it is odd$"):
        SECRET.read("canary-77")


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        (MAYBE, None, "none"),
        (BOOLEAN, True, "yes"),
        (BOOLEAN, False, "no"),
        (TEXTS, ("a", "b"), "a, b"),
        (SECONDS, 0, "0"),
        (SECRET, Secret("canary-7"), "********"),
        (SECRET, Secret(None), "(generated at apply)"),
    ],
)
def test_show(field: Field, value: Any, shown: str) -> None:
    assert field.show(value) == shown


@pytest.mark.parametrize("field", [SECONDS, MAYBE, BOOLEAN, TEXTS, CHOICE, CHOICES])
def test_what_is_shown_can_be_read(field: Field) -> None:
    values: dict[str, Any] = {
        "n": 60, "m": None, "b": True, "ts": ("ab", "cd"), "c": "a", "cs": ("a", "b"),
    }  # fmt: skip
    assert field.read(field.show(values[field.name])) == values[field.name]


def test_fields_of_an_answers_type() -> None:
    @dataclasses.dataclass(frozen=True)
    class Answers:
        b: str = setting(FieldKind.TEXT, "second letter")
        a: int = setting(FieldKind.INTEGER, "first letter", low=1)

    assert fields_of(Answers) == (
        Field("b", Spec(FieldKind.TEXT, "second letter")),
        Field("a", Spec(FieldKind.INTEGER, "first letter", low=1)),
    )
