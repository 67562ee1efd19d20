"""The steps, case by case: what a machine and its answers give, and that a second run finds nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nutwizard.core import paths
from nutwizard.core.answers import AnswersSet, Origin
from nutwizard.core.errors import AnswersError, Problem
from nutwizard.core.facts import Facts
from nutwizard.core.plan import FileChange, Plan
from nutwizard.engine.planner import Walk
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile
from nutwizard.formats.shellfile import ShellFile
from tests.support import step_cases
from tests.support.step_cases import (
    Case,
    Stock,
    applied,
    changed_lines,
    drawn,
    full,
    of_clients,
    short,
    text_lines,
)

CASES = step_cases.cases()
WRONG = [case for case in CASES if (case.folder / "error.txt").exists()]
RIGHT = [case for case in CASES if case not in WRONG]


def name(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", RIGHT, ids=name)
def test_plan(case: Case, debian_stock: Stock, tmp_path: Path) -> None:
    facts, sources = step_cases.facts_of(case, debian_stock), case.sources(tmp_path)

    walk = planned(case, facts, sources)
    plan = seen(case, walk.draft.plan())
    after = applied(facts, plan)

    changed = {change.path: change for change in plan.files if not change.copy_of}
    files = {full(key): value or {} for key, value in case.expected.get("files", {}).items()}
    literal = case.literal("after")
    assert sorted(changed) == sorted(files.keys() | literal.keys())
    assert {path: after.file(path).data for path in literal} == literal
    for path, change in changed.items():
        assert_change(change, files.get(path, {}))
    assert_copies(plan, case.expected)
    assert [str(act) for act in plan.acts] == case.expected.get("acts", [])
    assert list(plan.notes) == case.expected.get("notes", [])
    if "order" in case.expected:
        assert [short(change.path) for change in plan.files] == case.expected["order"]
    if "edited" in case.expected:
        assert sorted({step for change in plan.files for step in change.steps}) == case.expected["edited"]


@pytest.mark.parametrize("case", RIGHT, ids=name)
def test_second_plan_is_empty(case: Case, debian_stock: Stock, tmp_path: Path) -> None:
    facts, sources = step_cases.facts_of(case, debian_stock), case.sources(tmp_path)
    first = planned(case, facts, sources)
    written = planned(case, facts, [drawn(first, *Origin), *sources])
    after = applied(facts, written.draft.plan())

    # A password that a file was named for is in that file now; another is in NUT's files.
    again = [drawn(first, Origin.NAMED, Origin.TYPED), *sources]
    assert_nothing(planned(case, after, again).draft.plan())
    if case.spec.get("again") != "answers only":
        assert_nothing(planned(case, after, ()).draft.plan())


@pytest.mark.parametrize("case", WRONG, ids=name)
def test_problems(case: Case, debian_stock: Stock, tmp_path: Path) -> None:
    expected = (case.folder / "error.txt").read_text(encoding="utf-8").splitlines()
    facts = step_cases.facts_of(case, debian_stock)

    try:
        problems: Sequence[Problem] = step_cases.walk(case, facts, case.sources(tmp_path)).problems
    except AnswersError as error:
        problems = error.problems

    assert [str(problem).replace(f"{tmp_path}/", "") for problem in problems] == expected


def test_every_step_has_cases() -> None:
    assert {case.folder.parent.name for case in CASES} >= {*step_cases.step_names(), "whole"}


def planned(case: Case, facts: Facts, sources: Sequence[AnswersSet]) -> Walk:
    walk = step_cases.walk(case, facts, sources)
    assert [str(problem) for problem in walk.problems] == []
    return walk


def seen(case: Case, plan: Plan) -> Plan:
    """What the case is about: the files for the clients only where it names one of them."""
    named = [*case.expected.get("files", {}), *case.literal("after")]
    if case.only == "clients" or any(of_clients(full(name)) for name in named):
        return plan
    files = tuple(change for change in plan.files if not of_clients(change.path))
    notes = tuple(note for note in plan.notes if not of_clients(note))
    return replace(plan, files=files, notes=notes)


def assert_change(change: FileChange, expected: dict[str, Any]) -> None:
    """`text`, `lines`, `holds`, `reads` and `why` count where the case gives them, owner and mode always."""
    if "removed" in expected:
        assert change.after is None
        return
    assert change.after is not None
    if "text" in expected:
        assert change.after.data.decode() == expected["text"]
    if "lines" in expected:
        assert changed_lines(change) == text_lines(expected["lines"].encode())
    if "script" in expected:
        assert text_lines(change.after.data) == text_lines(step_cases.script_of(expected["script"]))
    for line in expected.get("holds", ()):
        assert line in text_lines(change.after.data)
    for key, value in expected.get("reads", {}).items():
        assert (key, effective(change.path, change.after.data, key)) == (key, value)
    assert str(change.owner_after) == expected.get("owner", str(change.owner_before))
    if "why" in expected:
        assert list(change.why) == expected["why"]
    assert change.why or change.owner_before in (None, change.owner_after)


def effective(path: str, data: bytes, key: str) -> Any:
    """What NUT reads: a value of nut.conf, a section, or the words behind a directive, line by line."""
    if path == paths.NUT_CONF:
        return ShellFile.parse(data).get(key)
    if path in (paths.UPS_CONF, paths.UPSD_USERS):
        found = SectionFile.parse(data, users=path == paths.UPSD_USERS)
        return {name: " ".join(values) for name, values in found.values(key or None).items()}
    return [" ".join(entry.args) for entry in NutFile.parse(data).entries(key)]


def assert_copies(plan: Plan, expected: dict[str, Any]) -> None:
    copies = [change for change in plan.files if change.copy_of]
    sources = {change.path: change for change in plan.files}
    for copy in copies:
        source = sources[copy.copy_of]
        assert copy.before is None
        assert (copy.after, copy.owner_after) == (source.before, source.owner_before)
    if "copies" in expected:
        assert [short(copy.path) for copy in copies] == expected["copies"]


def assert_nothing(plan: Plan) -> None:
    assert {short(change.path): changed_lines(change) for change in plan.files} == {}
    assert [str(act) for act in plan.acts] == []
