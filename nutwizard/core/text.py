"""File contents as a value that never shows itself in a log or a traceback."""

from __future__ import annotations


class FileText:
    """The bytes of one file. `repr` gives path and length: contents may hold passwords."""

    __slots__ = ("data", "path")

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileText) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"FileText({self.path!r}, {len(self.data)} bytes)"
