"""Files of directives: upsd.conf, upsmon.conf, upssched.conf. A directive is a line: a name and its words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nutwizard.formats.lines import Entry, LineStore, Node, Problem
from nutwizard.formats.words import Line

__all__ = ["Entry", "NutFile", "Problem"]

_FOLDED_KEY = frozenset({"NOTIFYFLAG", "NOTIFYMSG", "AT"})
"""Directives whose first word, an event type, NUT compares without regard to case."""
_FIRST_WINS = frozenset({"MONITOR"})
_MONITOR_ARGS = 5


class NutFile:
    """A directive file that can be edited. What the editing methods take are values: quoting is done here.

    Every edit raises ValueError, and changes nothing, for a value that NUT cannot hold or a place that cannot
    be edited (a quote that never closes).
    """

    def __init__(self, store: LineStore) -> None:
        self._store = store

    @classmethod
    def parse(cls, data: bytes) -> NutFile:
        """The document of any bytes; nothing is an error."""
        return cls(LineStore(data))

    def to_bytes(self) -> bytes:
        """The file: what was parsed, but for the lines edited."""
        return self._store.to_bytes()

    @property
    def newline(self) -> bytes:
        """The line end of most lines, which new lines get."""
        return self._store.newline

    @property
    def lines(self) -> list[Line]:
        """The logical lines as they are now."""
        return self._store.lines()

    def problems(self) -> list[Problem]:
        """What NUT does not read, or reads otherwise than it looks."""
        return self._store.problems()

    def entries(self, name: str | None = None, *key: str) -> list[Entry]:
        """Active lines in file order: all, or those of a directive whose args begin with `key`."""
        found = [Entry(node) for node in self._store.active()]
        return [entry for entry in found if name is None or _matches(entry, name, key)]

    def get(self, name: str, *key: str) -> Entry | None:
        """The line that counts: the last with a value behind `key`; of MONITOR the first."""
        found = [entry for entry in self.entries(name, *key) if len(entry.args) > len(key)]
        if not found:
            return None
        return found[0] if name in _FIRST_WINS else found[-1]

    def monitors(self) -> list[Entry]:
        """The MONITOR lines that count: complete, and the first for each system."""
        first: dict[str, Entry] = {}
        for entry in self.entries("MONITOR"):
            if len(entry.args) >= _MONITOR_ARGS:
                first.setdefault(entry.args[0], entry)
        return list(first.values())

    def set(self, name: str, *args: str, key: int = 0) -> Entry:
        """Make `args` the ones that count for `name` and its first `key` args; no change where they do.

        Edits the line that counts, else adds one behind the last of that name, else at the end.
        """
        chosen = args[:key]
        entry = self.get(name, *chosen) or next(reversed(self.entries(name, *chosen)), None)
        if entry is not None:
            self.replace(entry, name, *args)
            return entry
        same = self.entries(name)
        return self.insert_after(same[-1] if same else None, name, *args)

    def replace(self, entry: Entry, *words: str) -> None:
        """Give the line these words, name included."""
        self._store.rewrite(entry.node, words)

    def insert_after(self, entry: Entry | None, *words: str) -> Entry:
        """Add a line of these words, name included, behind `entry`; None: at the end of the file."""
        if entry is None:
            return self.append(*words)
        return self._insert(entry.node, words, self._store.indent(entry.node))

    def insert_before(self, entry: Entry, *words: str) -> Entry:
        """Add a line of these words, name included, before `entry`."""
        return Entry(self._store.insert_words(self._store.index(entry.node), words))

    def append(self, *words: str) -> Entry:
        """Add a line at the end of the file."""
        return Entry(self._store.insert_words(len(self._store.nodes), words))

    def append_text(self, text: str) -> None:
        """Add verbatim lines at the end of the file: comments, blank lines."""
        self._store.insert_text(len(self._store.nodes), text)

    def insert_near(self, name: str, *args: str) -> Entry:
        """Add a line behind the last of that name, else the last comment showing one, else at the end.

        A comment shows one when it has the name and as many words as the new line: prose has more.
        """
        same = self.entries(name)
        if same:
            return self.insert_after(same[-1], name, *args)
        words = rb"([ \t]+\S+){%d}[ \t\r]*$" % len(args)
        sample = re.compile(rb"[#\s]*#[ \t]*" + re.escape(name.encode()) + words, re.MULTILINE)
        for node in reversed(self._store.nodes):
            if node.line.comment and sample.match(node.line.raw):
                return self._insert(node, (name, *args))
        return self.append(name, *args)

    def comment_out(self, entry: Entry) -> None:
        """Put a # before the line, each physical one. The handle ends here."""
        self._store.comment_out(entry.node)

    def remove(self, entry: Entry) -> None:
        """Take the line out. The handle ends here."""
        self._store.remove(entry.node)

    def _insert(self, node: Node, words: Sequence[str], indent: str = "") -> Entry:
        return Entry(self._store.insert_words(self._store.index(node) + 1, words, indent))


def _matches(entry: Entry, name: str, key: Sequence[str]) -> bool:
    if entry.name != name and not entry.name.casefold() == name.casefold() == "debug_min":
        return False
    head = entry.args[: len(key)]
    if name in _FOLDED_KEY and head and key:
        return head[0].casefold() == key[0].casefold() and head[1:] == tuple(key[1:])
    return head == tuple(key)
