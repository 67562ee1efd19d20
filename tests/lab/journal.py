"""The machine's log: what daemons send to /dev/log, what units print, what the manager says about them.

It is kept twice, as on a Debian with rsyslog: in the journal, and in /var/log/syslog as rsyslog's traditional
format has it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

STORE = Path("/run/fake-systemd/journal")
DEV_LOG = Path("/dev/log")
SYSLOG = Path("/var/log/syslog")
_HEADER = re.compile(r"<\d+>(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?([^\s:\[]+)(?:\[(\d+)\])?: ?(.*)", re.S)


class Entry(TypedDict):
    """One line: seconds since 1970, the unit ("" if none), who says it, its process (0 if unknown), the text.

    `syslog` tells what came through /dev/log from what a unit printed.
    """

    at: float
    unit: str
    tag: str
    pid: int
    text: str
    syslog: bool


class Journal:
    """Collects entries and appends them to one file, a JSON object to a line."""

    def __init__(self, unit_of: Callable[[int], str]) -> None:
        self._unit_of = unit_of
        self._lock = threading.Lock()
        STORE.parent.mkdir(parents=True, exist_ok=True)
        self._file = STORE.open("a", encoding="utf-8")
        SYSLOG.unlink(missing_ok=True)
        self._syslog = SYSLOG.open("a", encoding="utf-8")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        DEV_LOG.unlink(missing_ok=True)
        self._socket.bind(str(DEV_LOG))
        DEV_LOG.chmod(0o666)

    def add(self, unit: str, tag: str, pid: int, text: str, syslog: bool = False) -> None:
        """Append one entry with the time of now."""
        entry: Entry = {
            "at": time.time(),
            "unit": unit,
            "tag": tag,
            "pid": pid,
            "text": text,
            "syslog": syslog,
        }
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
            self._syslog.write(render(entry, "syslog") + "\n")
            self._syslog.flush()

    def listen(self) -> None:
        """Serve /dev/log until the process ends."""
        size = socket.CMSG_SPACE(12)
        while True:
            data, ancillary, _, _ = self._socket.recvmsg(65536, size)
            sender = int.from_bytes(ancillary[0][2][:4], "little") if ancillary else 0
            text = data.decode("utf-8", "replace").rstrip("\n\0")
            match = _HEADER.fullmatch(text)
            tag, pid, message = match.groups() if match else ("unknown", None, text)
            self.add(self._unit_of(sender), tag, int(pid or sender), message, syslog=True)

    def follow(self, descriptor: int, unit: str, tag: str, pid: int) -> None:
        """Take over a pipe that a unit's processes write to; ends with the last of them."""

        def read() -> None:
            with os.fdopen(descriptor, "rb") as stream:
                for line in stream:
                    self.add(unit, tag, pid, line.decode("utf-8", "replace").rstrip("\n"))

        threading.Thread(target=read, daemon=True).start()


def entries() -> list[Entry]:
    """Everything logged so far, oldest first."""
    if not STORE.exists():
        return []
    return [json.loads(line) for line in STORE.read_text(encoding="utf-8").splitlines()]


def render(entry: Entry, style: str) -> str:
    """One entry as `journalctl -o cat|short-iso|short-unix` prints it; `syslog`: as rsyslog writes it.

    rsyslog's is RSYSLOG_TraditionalFileFormat: no year, local time, a day below ten behind a blank.
    """
    if style == "cat":
        return entry["text"]
    form = {"syslog": "%b %e %H:%M:%S"}.get(style, "%Y-%m-%dT%H:%M:%S%z")
    stamp = (
        f"{entry['at']:.6f}" if style == "short-unix" else time.strftime(form, time.localtime(entry["at"]))
    )
    return f"{stamp} {socket.gethostname()} {entry['tag']}[{entry['pid']}]: {entry['text']}"
