"""docs/failures.md: every failure and every rule has its row, and what a row names is there and fits."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from nutwizard.core.outside import Outside
from nutwizard.core.rules.catalogue import all_rules
from nutwizard.engine import registry

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "failures.md").read_text("utf-8")
#: Failures of the catalogue: the rule of each has its number.
FAILURES = range(1, 37)
RULES = {rule.id: rule for rule in all_rules()}
STEPS = {step.name for step in registry.all_steps()}
ASKED = {f"outside.{field.name}" for field in fields(Outside)}
#: `**caught** (NW13): ...`, from one such word to the next.
_WAY = re.compile(r"\*\*(\w[\w ]*)\*\*(?: \(([^)]*)\))?: (.+?)(?= \*\*|$)")


class Row(NamedTuple):
    """A row of either table; `text`: what is between its first and its last cell."""

    name: str
    text: str
    tests: str

    @property
    def rule(self) -> str:
        return self.name if self.name.startswith("NW") else f"NW{int(self.name):02}"

    @property
    def ways(self) -> dict[str, tuple[str, ...]]:
        """How it is met -> what stands in brackets behind the word."""
        met = self.text.partition(" | ")[2]
        found = {word: tuple(re.findall(r"[\w.]+", names)) for word, names, _ in _WAY.findall(met)}
        assert met.startswith("**"), self.name
        assert len(found) == met.count("**") // 2, f"{self.name}: a word twice, or not as it should be"
        return found


ROWS = [Row(*found) for found in re.findall(r"^\| (\d+|NW\d+) \| (.+) \| (`.+`) \|$", TEXT, re.MULTILINE)]
FAILED = [row for row in ROWS if row.name.isdigit()]
FURTHER = [row for row in ROWS if not row.name.isdigit()]


@cache
def functions_of(path: Path) -> set[str]:
    found = ast.walk(ast.parse(path.read_text("utf-8")))
    return {
        each.name for each in found if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    }


def test_every_failure_has_a_row() -> None:
    assert [int(row.name) for row in FAILED] == list(FAILURES)


def test_every_rule_has_a_row() -> None:
    numbers = {f"NW{number:02}" for number in FAILURES}
    assert numbers <= RULES.keys()
    assert [row.name for row in FURTHER] == sorted(RULES.keys() - numbers)


def test_no_line_of_a_table_is_overlooked() -> None:
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    assert len(lines) == len(ROWS) + 2 * 2  # two tables, each with a head and the line below it


@pytest.mark.parametrize("row", FAILED, ids=lambda row: row.rule)
def test_how_a_failure_is_met(row: Row) -> None:
    ways = row.ways
    assert ways
    assert ways.keys() <= {"prevented", "caught", "asked", "out of reach"}
    assert set(ways.get("prevented", ())) <= STEPS
    assert ways.get("caught") == (row.rule,)
    assert set(ways.get("asked", ())) <= ASKED
    assert ("asked" in ways) == bool(ways.get("asked"))
    assert not ways.get("out of reach")
    assert set(re.findall(r"NW\d+", row.text)) == {row.rule}
    named = {word for word in re.findall(r"`([^`]+)`", row.text) if re.fullmatch(r"[\w.]+", word)}
    assert named <= STEPS | ASKED


@pytest.mark.parametrize("row", FURTHER, ids=lambda row: row.name)
def test_a_further_rule(row: Row) -> None:
    severity, _, text = row.text.partition(" | ")
    assert severity == RULES[row.name].severity
    assert text
    assert "NW" not in text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rule)
def test_the_tests_of_a_row_are_there(row: Row) -> None:
    named = re.findall(r"`([^`]+)`", row.tests)
    assert ", ".join(f"`{name}`" for name in named) == row.tests
    scenarios, *others = named
    assert scenarios == f"tests/cases/rules/{row.rule}.yaml"
    assert (ROOT / scenarios).is_file()
    for name in others:
        path, _, test = name.partition("::")
        assert test in functions_of(ROOT / path), name


def test_what_is_asked_is_told() -> None:
    named = set(re.findall(r"`(outside\.\w+)`", TEXT))
    assert named == ASKED


def test_what_the_text_names_is_there() -> None:
    for topic in re.findall(r"`nutwizard explain (\w+)`", TEXT):
        assert topic in registry.COMMON
    prose = re.sub(r"(?m)^\|.*$", "", TEXT)
    for numbers in re.findall(r"\(([\d,\s]+)\)", prose):
        assert {int(number) for number in numbers.split(",")} <= set(FAILURES)


def test_readme_has_the_number_of_rules() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert re.findall(r"\[(\d+) ways to fail\]\(docs/failures\.md\)", readme) == [str(len(RULES))]
