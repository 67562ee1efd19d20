"""The table of inputs at the end of a run."""

from __future__ import annotations

import pytest

from tests.hostile.tally import TRIED, lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TRIED:
        terminalreporter.section("inputs tried")
        for line in lines():
            terminalreporter.write_line(line)
