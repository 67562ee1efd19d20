"""Signals that would end the program half-way are held back while files are being replaced."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_HELD = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Held:
    """While inside, SIGHUP, SIGINT and SIGTERM are only written down, in `came`.

    A handler and not a signal mask: a mask is inherited by children, and a daemon started under it could not
    be stopped. Python takes handlers in the main thread only; a front end with threads runs the apply in a
    process of its own. A signal that was ignored before (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self.came: list[int] = []
        self._old: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Held:
        if threading.current_thread() is threading.main_thread():
            for number in _HELD:
                old = signal.getsignal(number)
                if old is not None and old is not signal.SIG_IGN:
                    self._old[number] = signal.signal(number, self._write_down)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, old in self._old.items():
            signal.signal(number, old)

    def deliver(self) -> None:
        """Let the first that came take effect after all; for a caller that has nothing left to tell."""
        if self.came:
            signal.raise_signal(self.came[0])

    def _write_down(self, number: int, frame: FrameType | None) -> None:
        self.came.append(number)
