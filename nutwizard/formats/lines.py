"""The edit core of NUT's files: a list of logical lines in which one changes and the others stay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nutwizard.formats.words import UNBALANCED, WORDS_LIMIT, Line, encode_words, parse


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong on a line, for a person. Never holds a word of the file: it might be a password."""

    line: int
    text: str


class Node:
    """The place of one logical line. Its identity lasts while other lines change."""

    __slots__ = ("line",)

    def __init__(self, line: Line) -> None:
        self.line = line


class Entry:
    """A handle on one active line, good while other lines are edited. Equal when it is the same line."""

    __slots__ = ("node", "section")

    def __init__(self, node: Node, section: str | None = None) -> None:
        self.node = node
        self.section = section

    @property
    def words(self) -> tuple[str, ...]:
        """The words that NUT reads."""
        return self.node.line.words

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0]

    @property
    def args(self) -> tuple[str, ...]:
        """The words behind the first."""
        return self.words[1:]

    @property
    def line(self) -> int:
        """The physical line number, from 1, in the document as it is now."""
        return self.node.line.number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and other.node is self.node

    def __hash__(self) -> int:
        return hash(id(self.node))

    def __repr__(self) -> str:
        return f"<Entry line {self.line}>"


class LineStore:
    """The logical lines of one file and the edits on them.

    Each edit raises ValueError, and changes nothing, when the file would not read as asked afterwards.
    """

    def __init__(self, data: bytes) -> None:
        self.nodes = [Node(line) for line in parse(data)]
        self.newline = b"\r\n" if 2 * data.count(b"\r\n") > data.count(b"\n") else b"\n"

    def to_bytes(self) -> bytes:
        """The file."""
        return b"".join(node.line.raw for node in self.nodes)

    def lines(self) -> list[Line]:
        """The logical lines, numbered as they stand now."""
        return [node.line for node in self.nodes]

    def active(self) -> Iterator[Node]:
        """The nodes on which NUT reads words."""
        return (node for node in self.nodes if node.line.words)

    def problems(self) -> list[Problem]:
        """What NUT does not read, or reads otherwise than it looks."""
        found = []
        for line in self.lines():
            texts = ([line.error] if line.error else []) + [note for note in line.notes if note != line.error]
            found += [Problem(line.number, text) for text in texts]
        return found

    def index(self, node: Node) -> int:
        """Where the node stands. Raises ValueError when it has been removed."""
        for index, other in enumerate(self.nodes):
            if other is node:
                return index
        raise ValueError("this line is no longer in the file")

    def indent(self, node: Node) -> str:
        """The blanks before the first word."""
        line = node.line
        lead = line.raw[: line.spans[0][0]] if line.spans else b""
        return lead.decode("ascii") if lead.strip(b" \t") == b"" else ""

    def rewrite(self, node: Node, words: Sequence[str]) -> None:
        """Give an active line these words. Unchanged words, indentation and comment keep their bytes."""
        self.index(node)
        if tuple(words) == node.line.words:
            return
        _check(words)
        for raw in (_least_change(node.line, words), _all_words(node.line, words)):
            lines = parse(raw if raw.endswith(b"\n") else raw + self.newline)
            if len(lines) == 1 and lines[0].ended and lines[0].words == tuple(words):
                node.line = replace(lines[0], number=node.line.number)
                self._renumber()
                return
        raise ValueError(f"line {node.line.number} cannot be rewritten in its place")

    def insert_words(self, index: int, words: Sequence[str], indent: str = "") -> Node:
        """Put a line of these words before the node at `index` (at the end when there is none)."""
        _check(words)
        return self.insert(index, indent.encode("ascii") + _encoded(words) + self.newline)[0]

    def insert(self, index: int, raw: bytes) -> list[Node]:
        """Put whole lines before the node at `index`; the line before gets a line end if it has none."""
        lines = parse(raw)
        if not lines or any(line.error for line in lines) or not raw.endswith(b"\n") or not lines[-1].ended:
            raise ValueError("the text to insert does not stand on lines of its own")
        index = self._close(index)
        new = [Node(line) for line in lines]
        self.nodes[index:index] = new
        self._renumber()
        return new

    def insert_text(self, index: int, text: str) -> None:
        """Put verbatim text (comments, blank lines) there, with this file's line ends."""
        lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        self.insert(index, b"".join(line.encode("utf-8") + self.newline for line in lines))

    def comment_out(self, node: Node) -> None:
        """Put a # before each physical line of the node. Its handle ends here."""
        index = self.index(node)
        raw = re.sub(rb"(?m)^(?!\Z)", b"#", node.line.raw)
        self.nodes[index : index + 1] = [Node(line) for line in parse(raw)]
        self._renumber()

    def remove(self, node: Node) -> None:
        """Take the line away. Its handle ends here."""
        index = self.index(node)
        # What follows a # inside quotes shares its physical line, and so its line end.
        shared = index > 0 and not self.nodes[index - 1].line.raw.endswith(b"\n")
        self.nodes[index : index + 1] = [Node(parse(self.newline)[0])] if shared else []
        self._renumber()

    def _close(self, index: int) -> int:
        """Make sure that a new line can start at `index`; the index at which it then does."""
        if index == 0 or index < len(self.nodes):
            return index
        node = self.nodes[-1]
        raw = node.line.raw
        if raw.endswith(b"\n") and node.line.ended:
            return index
        if node.line.error == UNBALANCED:
            self.nodes.append(Node(parse(self.newline)[0]))
            return index + 1
        for ends in (1, 2):  # two where a backslash joins the first one to the line
            lines = parse(raw + self.newline * ends)
            if len(lines) == 1 and lines[0].ended:
                node.line = replace(lines[0], number=node.line.number)
                return index
        raise ValueError(
            f"a quote that is opened on line {node.line.number} is never closed: nothing can follow it"
        )

    def _renumber(self) -> None:
        number = 1
        for node in self.nodes:
            if node.line.number != number:
                node.line = replace(node.line, number=number)
            number += node.line.raw.count(b"\n")


def _check(words: Sequence[str]) -> None:
    if not 1 <= len(words) <= WORDS_LIMIT:
        raise ValueError(f"a line needs 1 to {WORDS_LIMIT} words, not {len(words)}")
    encode_words(words)


def _encoded(words: Sequence[str]) -> bytes:
    return encode_words(words).encode("ascii")


def _all_words(line: Line, words: Sequence[str]) -> bytes:
    return line.raw[: line.spans[0][0]] + _encoded(words) + line.raw[line.end :]


def _least_change(line: Line, words: Sequence[str]) -> bytes:
    """The line with the differing words replaced; another number of words: from the first of them on."""
    old = line.words
    if len(old) == len(words):
        raw, at = b"", 0
        for (start, stop), before, after in zip(line.spans, old, words, strict=True):
            raw += line.raw[at:stop] if before == after else line.raw[at:start] + _encoded([after])
            at = stop
        return raw + line.raw[at:]
    same = next(
        (i for i, (a, b) in enumerate(zip(old, words, strict=False)) if a != b), min(len(old), len(words))
    )
    if not same:
        return _all_words(line, words)
    rest = _encoded(words[same:])
    return line.raw[: line.spans[same - 1][1]] + (b" " + rest if rest else b"") + line.raw[line.end :]
