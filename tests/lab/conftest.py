"""Fixtures of the lab; a test that uses them is marked `lab`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lab import Lab
from .startpoints import standalone_files, stock_files


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Host and VM with Debian's stock NUT files."""
    with Lab() as machines:
        yield machines


@pytest.fixture
def standalone_lab() -> Iterator[Lab]:
    """Host with the standalone set-up of the earlier guide, VM with Debian's stock files."""
    with Lab(standalone_files(stock_files())) as machines:
        yield machines
