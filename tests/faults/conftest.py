"""One table for the whole suite, printed at its end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import gate
from tests.faults.places import missing_tools
from tests.faults.table import Table
from tests.faults.world import World

_TABLE = Table()
_TOOLS = ("strace", "mkfs.ext4", "chattr", "mount", "umount")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """These tests need root and a few tools: without them they are skipped, in CI they fail."""
    if os.geteuid() != 0:
        reason = "needs root"
    elif missing := missing_tools(*_TOOLS):
        reason = f"needs {', '.join(missing)}"
    else:
        reason = gate.supported()
    if reason:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(f"{reason}: in CI nothing is skipped", pytrace=False)
        pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _TABLE.rows:
        terminalreporter.section("faults injected")
        for line in _TABLE.lines():
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def table() -> Table:
    return _TABLE


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory: how long a disk takes is not what is measured here."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        yield Path(folder)


@pytest.fixture
def world(memory: Path) -> World:
    """A machine before the plan and one after it."""
    return World.make(memory)
