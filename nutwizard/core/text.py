"""File contents as a value that never shows itself in a log or a traceback, or that may not be read."""

from __future__ import annotations

#: `kind` of a file that is there and that this user may not read.
UNSEEN = "unseen"


class Unseen(Exception):
    """What was to be read may not be read by this user: `path`."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def yaml_word(text: str) -> str:
    """A plain word as it is, else in YAML's double quotes; all is printable ASCII, as NUT wants it."""
    if text and all(c.isalnum() or c in "._/@-" for c in text) and text[0].isalnum():
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


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
