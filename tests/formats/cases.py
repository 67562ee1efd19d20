"""The grammar as data: cases that the models and, where it is installed, the real NUT are asked."""

from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parent.parent / "cases" / "grammar"


def load(name: str) -> list[dict[str, Any]]:
    """The cases of one file."""
    cases: list[dict[str, Any]] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return cases


def params(name: str) -> list[Any]:
    """The cases of one file as parameters of a test, named after their reasons."""
    return [pytest.param(case, id=case["why"].replace(" ", "-")) for case in load(name)]
