"""A terminal of 80x24 in which a command line runs: keys are pressed, every screen and every byte is kept.

It is tmux, on a socket of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self, TypeVar

COLUMNS, ROWS = 80, 24
#: Seconds until a key shows.
KEY_LIMIT = 15.0
#: Seconds without a change after which a screen is taken for whole.
QUIET = 0.06
ENDED = "== ended with "
#: Seconds after which an ended terminal goes by itself, should nobody close it.
LIFE = 600
T = TypeVar("T")


class Tmux:
    """A command line in a terminal; it ends with the `with` block. `name`: what to call it in complaints."""

    def __init__(self, argv: Sequence[str], name: str) -> None:
        self._folder = TemporaryDirectory(prefix="nutwizard-tmux-")
        self._name = name
        self.screens: list[str] = []
        # Nothing is sent before its bytes are recorded. The screen stays, with the code on it, also in a
        # terminal that was left in disorder: tmux itself does not always learn the code.
        begin, end = "stty -echo; read -r _; stty echo", f"printf '\\r\\n{ENDED}%s\\033[K\\n' \"$code\""
        line = f"{begin}; {shlex.join(argv)}; code=$?; stty sane; {end}; exec sleep {LIFE}"
        self._tmux("new", "-d", "-x", str(COLUMNS), "-y", str(ROWS), line)
        try:
            self._tmux("pipe-pane", f"exec cat >{shlex.quote(str(self._record))}")
            self.tap("Enter")
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._close()

    def press(self, *keys: str) -> None:
        """Press keys, each when the one before it has shown. Raises TimeoutError with the screen."""
        for key in keys:
            self.press_one(key)

    def press_one(self, key: str) -> None:
        """Press a key, and wait until it shows."""
        before = self.screen()
        self.tap(key)
        self.wait(lambda: self.screen() != before or None)

    def tap(self, key: str) -> None:
        """Press a key, and wait for nothing."""
        self._tmux("send-keys", key)

    def send(self, text: str) -> None:
        """Send a text as it is, in one write, and wait for nothing."""
        self._tmux("send-keys", "-l", "--", text)

    def resize(self, columns: int, rows: int) -> None:
        """Another size, as when a person drags the window's corner."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self) -> str:
        """What stands there; it is kept."""
        text = self._tmux("capture-pane", "-p").rstrip("\n")
        if self.screens[-1:] != [text]:
            self.screens.append(text)
        return text

    def still(self) -> str:
        """The screen once nothing moves there any more. Raises TimeoutError with the screen."""
        seen = [""]

        def same() -> str | None:
            seen.append(self.screen())
            return seen[-1] if seen[-1] == seen[-2] else None

        return self.wait(same, every=QUIET)

    def everything(self) -> str:
        """All that was ever seen."""
        return "\n".join((*self.screens, self._tmux("capture-pane", "-p", "-S", "-")))

    def raw(self) -> bytes:
        """Every byte that the command has sent to the terminal so far."""
        return self._record.read_bytes().partition(f"\r\n{ENDED}".encode())[0]

    def ended(self) -> int | None:
        """The exit code, once the command has ended."""
        found = re.search(rf"^{ENDED}(\d+)$", self.screen(), re.MULTILINE)
        return int(found[1]) if found else None

    def wait(self, look: Callable[[], T | None], limit: float = KEY_LIMIT, every: float = 0.03) -> T:
        """Look until there is something, ever less often. Raises TimeoutError with the screen."""
        begin = time.monotonic()
        while (found := look()) is None:
            passed = time.monotonic() - begin
            if passed > limit:
                text = self.screen()
                raise TimeoutError(f"{self._name}: not within {limit} s; it shows:\n{text}")
            time.sleep(max(every, min(0.2, passed / 10)))
        return found

    def _close(self) -> None:
        self._tmux("kill-server")
        self._folder.cleanup()

    @property
    def _record(self) -> Path:
        return Path(self._folder.name) / "bytes"

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", "guided", "-f", "/dev/null", *words]
        environ = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "TMUX_TMPDIR": self._folder.name,
        }
        done = subprocess.run(command, capture_output=True, text=True, timeout=KEY_LIMIT, env=environ)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout
