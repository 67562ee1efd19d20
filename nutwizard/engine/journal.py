"""The journal of one transaction: one checksummed line per act, on the disk before the act begins."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from enum import StrEnum

from nutwizard.engine.host import Host


class Mark(StrEnum):
    """What a line says. Everything before `READY` is preparation: no file of the machine was touched.

    `LOCK` comes before a lock of the cluster is taken, `FREED` after it is given back. `LOST`: that a change
    below /etc/pve is not there any more has been told.
    """

    READY = "ready"
    ACT = "act"
    FILE = "file"
    UNTOUCHED = "untouched"
    COMMITTED = "committed"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    FORGOTTEN = "forgotten"
    PUT_OFF = "put off"
    CAUGHT_UP = "caught up"
    LOCK = "lock"
    FREED = "freed"
    LOST = "lost"


#: The last of these decides what became of the transaction; without one it is unfinished.
_DECISIONS = (Mark.COMMITTED, Mark.ROLLING_BACK, Mark.ROLLED_BACK)


class Journal:
    """`FOLDER/journal`. A line that a kill or a power cut has cut short fails its checksum and is ignored.

    A line holds a mark and numbers of the plan's files and acts: never contents, never a digest of contents.
    """

    def __init__(self, host: Host, path: str) -> None:
        self._host, self._path = host, path
        try:
            data = host.read(path)
        except FileNotFoundError:
            data = b""
        self._lines = [line for raw in data.split(b"\n") if (line := _read(raw)) is not None]
        self._at_line_start = not data or data.endswith(b"\n")
        self._commit_tried = False

    def note(self, mark: Mark, number: int | None = None) -> None:
        """Put a line on the disk. Raises OSError; the line may then be there or not."""
        line: dict[str, object] = {"mark": mark.value}
        if number is not None:
            line["number"] = number
        text = json.dumps(line).encode()
        self._commit_tried |= mark is Mark.COMMITTED
        start = b"" if self._at_line_start else b"\n"
        self._at_line_start = False
        self._host.append(self._path, b"%s%08x %s\n" % (start, zlib.crc32(text), text))
        self._at_line_start = True
        self._lines.append(line)

    @property
    def ready(self) -> bool:
        """Whether the preparation was complete, so that files may have been touched."""
        return any(line["mark"] == Mark.READY for line in self._lines)

    @property
    def decision(self) -> Mark | None:
        """`COMMITTED`, `ROLLED_BACK`, `ROLLING_BACK`; None before a decision."""
        marks = [line["mark"] for line in self._lines if line["mark"] in _DECISIONS]
        return Mark(str(marks[-1])) if marks else None

    @property
    def finished(self) -> bool:
        return self.decision in (Mark.COMMITTED, Mark.ROLLED_BACK)

    @property
    def forgotten(self) -> bool:
        """Whether the kept contents were given up; some may still be there when that was interrupted."""
        return any(line["mark"] == Mark.FORGOTTEN for line in self._lines)

    @property
    def put_off(self) -> frozenset[int]:
        """What the last try to roll back has left for the time after an outage, until that was caught up."""
        found: set[int] = set()
        for line in self._lines:
            number = line.get("number")
            if line["mark"] in (Mark.ROLLING_BACK, Mark.CAUGHT_UP):
                found.clear()
            elif line["mark"] == Mark.PUT_OFF and isinstance(number, int):
                found.add(number)
        return frozenset(found)

    @property
    def locked(self) -> frozenset[int]:
        """The cluster's locks that may have been left: they were to be taken and not given back since."""
        found: set[int] = set()
        for line in self._lines:
            number = line.get("number")
            if line["mark"] == Mark.LOCK and isinstance(number, int):
                found.add(number)
            elif line["mark"] == Mark.FREED and isinstance(number, int):
                found.discard(number)
        return frozenset(found)

    @property
    def lost(self) -> bool:
        """Whether it has been told that the change is not there any more."""
        return any(line["mark"] == Mark.LOST for line in self._lines)

    @property
    def commit_in_doubt(self) -> bool:
        """Whether writing the commit has failed and nothing was decided since: it may be on the disk."""
        return self._commit_tried and self.decision is None

    def begun(self, mark: Mark) -> frozenset[int]:
        """The numbers of the files or acts that were begun, without files that another hand was faster in."""
        given_up = self._numbers(Mark.UNTOUCHED) if mark is Mark.FILE else frozenset()
        return self._numbers(mark) - given_up

    def _numbers(self, mark: Mark) -> frozenset[int]:
        numbers = (line.get("number") for line in self._lines if line["mark"] == mark)
        return frozenset(number for number in numbers if isinstance(number, int))


def _read(raw: bytes) -> Mapping[str, object] | None:
    """One line, or None when it is not whole."""
    checksum, _, text = raw.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "mark" in line else None
