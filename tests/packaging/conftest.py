"""Fixtures of the packaging tests."""

from pathlib import Path

import pytest

from tests.packaging.installing import Environment, copy_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a fresh clone of this checkout holds."""
    return copy_checkout(tmp_path / "checkout")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An empty place to install into."""
    return Environment(tmp_path / "environment")
