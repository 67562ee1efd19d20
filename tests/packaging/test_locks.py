"""The locks fit pyproject.toml and each other."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.installing import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUN_TIME = [Requirement(line) for line in PROJECT["dependencies"]]
DEVELOPMENT = RUN_TIME + [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]


def entries(lock: str) -> Iterator[tuple[str, str, list[str]]]:
    """(name, version, hashes) of each package in the lock."""
    text = (ROOT / ".ci" / lock).read_text()
    for block in re.split(r"\n(?=[a-z])", text.replace("\\\n", "")):
        if match := re.match(r"([a-z0-9-]+)==(\S+)", block):
            yield match[1], match[2], re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block)


def pins(lock: str) -> dict[str, str]:
    return {name: version for name, version, _ in entries(lock)}


@pytest.mark.parametrize(("lock", "wanted"), [("run-time.lock", RUN_TIME), ("development.lock", DEVELOPMENT)])
def test_a_lock_holds_what_the_project_asks_for(lock: str, wanted: list[Requirement]) -> None:
    locked = pins(lock)

    assert [
        str(one) for one in wanted if not one.specifier.contains(locked.get(canonicalize_name(one.name), "0"))
    ] == []
    assert [name for name, _, hashes in entries(lock) if not hashes] == []


def test_the_development_lock_contains_the_run_time_lock() -> None:
    """./run takes an environment that ./test made for its own."""
    assert pins("run-time.lock").items() <= pins("development.lock").items()


def test_the_environment_of_this_run_is_the_locked_one() -> None:
    locked = pins("development.lock")
    names = [canonicalize_name(one.name) for one in DEVELOPMENT]

    assert {name: version(name) for name in names} == {name: locked[name] for name in names}


def test_a_lock_names_no_index() -> None:
    """Where packages come from is the machine's choice, not the lock's."""
    text = (ROOT / ".ci" / "run-time.lock").read_text() + (ROOT / ".ci" / "development.lock").read_text()

    assert re.findall(r"(?m)^\s*-\S*(?:index|find-links).*|\w+://\S+", text) == []
