"""How many facts the pages teach, at the end of a run."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", [])
    facts = sum("test_the_page_teaches" in report.nodeid for report in passed)
    if facts:
        terminalreporter.section("pages")
        terminalreporter.write_line(f"facts taught: {facts}")
