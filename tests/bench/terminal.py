"""A process in a terminal of its own, and a small reader of what it draws there: enough for a measurement."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

COLUMNS, ROWS = 80, 24
#: Seconds: without a byte for so long what stands there is complete; how long anything may take at most.
QUIET, LIMIT = 0.4, 30.0
_TOKEN = re.compile(
    r"\x1b\[(?P<numbers>[0-9;:<=>?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][0-9A-Za-z]|\x1b[=>78cDEM]"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f])|(?P<text>[^\x00-\x1f]+)"
)


class Grid:
    """The letters that stand on the screen; colours are left out."""

    def __init__(self) -> None:
        self._cells = [[" "] * COLUMNS for _ in range(ROWS)]
        self._row = self._column = 0
        self._rest = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    @property
    def rows(self) -> list[str]:
        """The rows from the top, without the blanks at their ends."""
        return ["".join(row).rstrip() for row in self._cells]

    def feed(self, data: bytes) -> None:
        """Take what was written; a sequence that is not whole yet waits for the rest."""
        text = self._rest + self._decode(data)
        at = 0
        while found := _TOKEN.match(text, at):
            at = found.end()
            if found["final"]:
                self._obey(found["final"], found["numbers"])
            elif found["text"]:
                self._put(found["text"])
            elif found["control"]:
                self._control(found["control"])
        self._rest = text[at:]

    def _put(self, text: str) -> None:
        for letter in text:
            self._cells[self._row][min(self._column, COLUMNS - 1)] = letter
            self._column += 1

    def _control(self, letter: str) -> None:
        if letter == "\r":
            self._column = 0
        elif letter == "\n":
            self._row = min(self._row + 1, ROWS - 1)
        elif letter == "\b":
            self._column = max(0, self._column - 1)

    def _obey(self, final: str, numbers: str) -> None:
        given = [int(part) if part.isdigit() else 0 for part in numbers.split(";")]
        if final in "Hf":
            self._row = min(max(given[0], 1), ROWS) - 1
            self._column = min(max(given[1] if len(given) > 1 else 1, 1), COLUMNS) - 1
        elif final == "J" and given[0] == 2:
            self._cells = [[" "] * COLUMNS for _ in range(ROWS)]
        elif final == "K" and given[0] == 0:
            self._cells[self._row][self._column :] = [" "] * (COLUMNS - self._column)


@dataclass(frozen=True)
class Drawn:
    """What came of a start or of a key: seconds until the screen was what it stayed, and the bytes sent."""

    seconds: float
    bytes: int


class Terminal:
    """A process in a pty of 80 columns and 24 rows; the end of the block ends it by its pid."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self.grid = Grid()
        self._ended = False
        self._began = time.perf_counter()
        self._pid, self._master = pty.fork()
        if self._pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
                os.execve(argv[0], list(argv), dict(environment))
            finally:
                os._exit(127)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._pid, signal.SIGTERM)
        until = time.perf_counter() + 3.0
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            if time.perf_counter() > until:
                os.kill(self._pid, signal.SIGKILL)
            self._read(0.01)
        os.close(self._master)

    def press(self, key: str) -> None:
        """Type it. What is drawn is counted from here."""
        self._began = time.perf_counter()
        os.write(self._master, key.encode())

    def settle(self, ready: Callable[[list[str]], object] = lambda rows: rows[-1]) -> Drawn:
        """Wait until the screen is ready and nothing comes any more.

        Raises TimeoutError, and EOFError when the process has ended; both with what stands on the screen.
        """
        sent, changed, heard = 0, self._began, self._began
        rows = self.grid.rows
        while time.perf_counter() - heard < QUIET or not ready(rows):
            if time.perf_counter() - self._began > LIMIT:
                raise TimeoutError("\n".join(rows))
            data = self._read(0.05)
            if self._ended:
                raise EOFError("\n".join(rows))
            if not data:
                continue
            heard, sent = time.perf_counter(), sent + len(data)
            self.grid.feed(data)
            before, rows = rows, self.grid.rows
            if rows != before:
                changed = heard
        return Drawn(changed - self._began, sent)

    def peak(self) -> float:
        """The most memory that the process ever had, in MB."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0

    def worked(self) -> float:
        """Seconds of processor time so far, of the threads that it has now."""
        tasks = Path(f"/proc/{self._pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def _read(self, seconds: float) -> bytes:
        """What comes within that time; b"" when nothing does."""
        if not select.select([self._master], [], [], seconds)[0]:
            return b""
        try:
            return os.read(self._master, 1 << 16)
        except OSError:  # nobody has the other end any more
            self._ended = True
            time.sleep(seconds)
            return b""
