"""The pages: what they teach (tests/cases/pages), that they are short, and that they are all there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from nutwizard.core.facts import Role
from nutwizard.engine import registry
from nutwizard.wording.layout import fitted, markdown

ROOT = Path(__file__).parents[2]
TAUGHT = ROOT / "tests" / "cases" / "pages"
PAGES = sorted([*(ROOT / "steps").glob("*.md"), *(ROOT / "assets" / "pages").glob("*.md")])
STEPS = {path.stem for path in PAGES if path.parent.name == "steps"}
#: Bytes of one part of a page, columns of its source, and rows of an introduction at 80 columns.
PART, WIDE, ROWS = 2048, 100, 36
#: What one phrase must have at least, so that it stands for an explanation and not for a word.
PHRASES = 14


@dataclass(frozen=True)
class Fact:
    """One fact, the page that explains it, and what must be found there."""

    page: str
    text: str
    roles: tuple[Role, ...]
    words: tuple[str, ...]
    part: str


def taught() -> list[Fact]:
    found = []
    for path in sorted(TAUGHT.glob("*.yaml")):
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert spec.keys() <= {"roles", "facts"}, path
        for each in spec["facts"]:
            assert each.keys() <= {"fact", "role", "words", "part"}, each
            roles = [each["role"]] if "role" in each else spec.get("roles", list(Role))
            words = tuple(map(str, each["words"]))
            found.append(Fact(path.stem, each["fact"], tuple(map(Role, roles)), words, each.get("part", "")))
    return found


FACTS = taught()


def parts(page: str, role: Role) -> dict[str, str]:
    found = registry.page_of(page, role)
    return {"": found.intro, **found.help}


def holds(text: str, fact: Fact) -> bool:
    """Whether all words stand in it; blanks and line breaks are the same."""
    line = " ".join(text.split())
    return all(re.search(" ".join(word.split()), line, re.IGNORECASE) for word in fact.words)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact.page}: {fact.text}")
def test_the_page_teaches(fact: Fact) -> None:
    for role in fact.roles:
        where = parts(fact.page, role)
        looked = {fact.part: where[fact.part]} if fact.part else where
        assert any(holds(text, fact) for text in looked.values()), f"{fact.page} of a {role}: {fact.words}"


def test_every_page_has_facts_and_each_is_more_than_a_word() -> None:
    names = [(fact.page, fact.text) for fact in FACTS]
    assert len(set(names)) == len(names)
    assert {fact.page for fact in FACTS} == {path.stem for path in PAGES}
    assert [fact.text for fact in FACTS if sum(map(len, fact.words)) < PHRASES and not fact.part] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_read_at_a_glance(path: Path) -> None:
    for role in Role:
        texts = parts(path.stem, role)
        assert {part: len(text.encode()) for part, text in texts.items() if len(text.encode()) > PART} == {}
        assert [
            part for part, text in texts.items() if part and not text and _is_shown(part, role, path)
        ] == []
        rows = [row for line in markdown(texts[""]) for row in fitted(line, 80)]
        assert len(rows) <= ROWS, f"{path.stem} of a {role}"


def _is_shown(part: str, role: Role, path: Path) -> bool:
    """Whether this role asks for a field of that name."""
    if path.stem not in {step.name for step in registry.steps_of(role)}:
        return False
    return part in {field.name for field in registry.fields_of(path.stem, role)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_source_is_plain(path: Path) -> None:
    text = path.read_text(encoding="ascii")
    assert [line for line in text.splitlines() if len(line) > WIDE or line != line.rstrip()] == []
    assert text.endswith("\n")


@pytest.mark.parametrize("role", Role)
def test_every_field_is_explained(role: Role) -> None:
    missing = [
        f"{step.name}.{field.name}"
        for step in registry.steps_of(role)
        for field in registry.fields_of(step.name, role)
        if not registry.page_of(step.name, role).help.get(field.name)
    ]
    assert missing == []


@pytest.mark.parametrize("role", Role)
def test_what_a_page_names_can_be_read(role: Role) -> None:
    """A topic in `nutwizard explain TOPIC` is there; every common page is listed, with a title of one row."""
    topics = registry.topics(role)
    assert {path.stem for path in PAGES if path.stem not in STEPS} == set(registry.COMMON)
    assert all(title and len(title) <= 66 and not title.startswith("#") for title in topics.values())
    for name in topics:
        for text in parts(name, role).values():
            named = re.findall(r"nutwizard explain\s+(\w+)", text)
            assert {each for each in named if each.islower()} <= topics.keys()
