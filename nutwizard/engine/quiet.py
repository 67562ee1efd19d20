"""Telling progress to a screen that may be gone."""

from __future__ import annotations

from collections.abc import Callable


class Quiet:
    """Tells progress; a screen that is gone (EPIPE, EIO, a closed file) is told no more and stops nothing."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report: Callable[[str], None] | None = report

    def __call__(self, text: str) -> None:
        if self._report is None:
            return
        try:
            self._report(text)
        except (OSError, ValueError):
            self._report = None
