"""Proxmox VE's firewall files as lines: which section each stands in; edits that leave every other byte.

Grammar as measured on pve-firewall 4.2 to 6.0: line by line; blanks and tabs around a line are cut, a CR is
not; a header that is not known ends no section. cluster.fw has [OPTIONS], [ALIASES], [IPSET x], [RULES] and
[group x], host.fw [OPTIONS] and [RULES]. Order is meaning: what names an alias or a set stands below it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

#: Names of aliases, sets and groups; sets and groups are found again in small letters only.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]+")
LONGEST_NAME, LONGEST_GROUP = 64, 18
_PLAIN = re.compile(r"\[(options|aliases|rules)\]", re.IGNORECASE)
_NAMED = re.compile(r"\[(ipset|group)\s+(\S+)\]\s*(?:#\s*(.*?)\s*)?", re.IGNORECASE)


class Part(StrEnum):
    """A section, in the order in which Proxmox VE writes them."""

    OPTIONS = "options"
    ALIASES = "aliases"
    IPSET = "ipset"
    RULES = "rules"
    GROUP = "group"


_OF_HOST = (Part.OPTIONS, Part.RULES)


@dataclass(frozen=True, slots=True)
class Row:
    """One physical line. `kind`: "blank", "comment", "header", "line". `part` and `name`: the section that it
    stands in or, for a header, begins; None where there is none. `text`: without the blanks around it.
    """

    number: int
    raw: bytes
    kind: str
    text: str
    part: Part | None
    name: str = ""


@dataclass(slots=True)
class Edit:
    """Changes of one file, by index of its rows: texts that come before a row, replaced and dropped rows.

    An index one past the last row stands for the end of the file.
    """

    before: dict[int, list[str]] = field(default_factory=dict)
    replaced: dict[int, str] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)

    def insert(self, index: int, *texts: str) -> None:
        """Put lines before a row, behind those that were put there already."""
        self.before.setdefault(index, []).extend(texts)


class FirewallFile:
    """A parsed cluster.fw, or with `host` a host.fw. Never changed: `edited` makes another one."""

    def __init__(self, rows: Sequence[Row], *, host: bool) -> None:
        self.rows, self.host = tuple(rows), host
        self._headers: dict[tuple[Part, str], list[int]] = {}
        #: Where any section begins, also one that is skipped for its name.
        self._begins = [index for index, row in enumerate(self.rows) if row.kind == "header"]
        for index in self._begins:
            row = self.rows[index]
            if row.part is not None:
                self._headers.setdefault((row.part, row.name), []).append(index)

    @classmethod
    def parse(cls, data: bytes, *, host: bool = False) -> FirewallFile:
        """Any bytes; what cannot be read is a line like others."""
        return cls(list(_rows(data, host)), host=host)

    def to_bytes(self) -> bytes:
        """The file."""
        return b"".join(row.raw for row in self.rows)

    def headers(self, part: Part, name: str = "") -> Sequence[int]:
        """Where sections of this kind and name begin, as indexes of `rows`."""
        return self._headers.get((part, name), ())

    def starts(self) -> Iterator[tuple[int, Part, str]]:
        """Every section's header in the order of the file: index, kind, name."""
        found = [(i, part, name) for (part, name), all_ in self._headers.items() for i in all_]
        return iter(sorted(found))

    def section(self, header: int) -> range:
        """The rows below a header, down to the next one or the end."""
        following = bisect_right(self._begins, header)
        end = self._begins[following] if following < len(self._begins) else len(self.rows)
        return range(header + 1, end)

    def lines(self, header: int) -> Iterator[tuple[int, Row]]:
        """What is written in a section: index and row, without blank lines and comments."""
        return ((i, self.rows[i]) for i in self.section(header) if self.rows[i].kind == "line")

    def edited(self, edit: Edit) -> FirewallFile:
        """The file with these changes. A last line without its end gets one when something follows it."""
        out: list[bytes] = []
        for index in range(len(self.rows) + 1):
            for text in edit.before.get(index, ()):
                _end(out)
                out.append(f"{text}\n".encode())
            if index == len(self.rows) or index in edit.dropped:
                continue
            _end(out)
            raw = self.rows[index].raw
            if index in edit.replaced:
                ending = b"\n" if raw.endswith(b"\n") else b""
                raw = edit.replaced[index].encode() + ending
            out.append(raw)
        return FirewallFile.parse(b"".join(out), host=self.host)

    def add_section(self, index: int, header: str, lines: Sequence[str] = ()) -> Edit:
        """The change that puts a section before a row, as Proxmox VE writes one: blank lines around it."""
        index = self.above_comments(index)
        edit = Edit()
        if index and self.rows[index - 1].kind != "blank":
            edit.insert(index, "")
        edit.insert(index, header, "", *lines, "")
        return edit

    def place_in(self, header: int, key: str, keys: Mapping[int, str]) -> tuple[int, bool]:
        """Where a line with this sort key goes among those of a section, whose own are `keys` by index.

        True: the section has none, and its header is not followed by a blank line.
        """
        later = [i for i in sorted(keys) if keys[i] > key]
        if later:
            return self.above_comments(later[0]), False
        if keys:
            return max(keys) + 1, False
        first = header + 1
        blank = first < len(self.rows) and self.rows[first].kind == "blank"
        return (first + 1, False) if blank else (first, True)

    def above_comments(self, index: int) -> int:
        """Where something goes that is to stand before a row: a comment right above a line belongs to it."""
        while 0 < index < len(self.rows) and self.rows[index - 1].kind == "comment":
            index -= 1
        return index


def header(part: Part, name: str = "", comment: str = "") -> str:
    """A section's first line as Proxmox VE writes it."""
    word = {Part.IPSET: "IPSET", Part.GROUP: "group"}.get(part, part.value.upper())
    tail = f" # {comment}" if comment else ""
    return f"[{word} {name}]{tail}" if name else f"[{word}]{tail}"


def comment_of(text: str) -> str:
    """What stands behind the first `#`."""
    return text.partition("#")[2].strip()


def _end(out: list[bytes]) -> None:
    if out and not out[-1].endswith(b"\n"):
        out[-1] += b"\n"


def _rows(data: bytes, host: bool) -> Iterator[Row]:
    part: Part | None = None
    name = ""
    for number, raw in enumerate(re.split(rb"(?<=\n)", data), 1):
        if not raw:
            return
        text = raw.decode("utf-8", "surrogateescape").removesuffix("\n").strip(" \t")
        kind = "comment" if text.startswith("#") else "line" if text.strip() else "blank"
        begun = _begun(text, host) if text.startswith("[") else None
        if begun is not None:
            kind, (part, name) = "header", begun
        yield Row(number, raw, kind, text, part, name)


def _begun(text: str, host: bool) -> tuple[Part | None, str] | None:
    """The section that a line begins; (None, "") for one whose name skips all of it; None for no header."""
    if found := _PLAIN.fullmatch(text):
        part = Part(found[1].lower())
        return None if host and part not in _OF_HOST else (part, "")
    if host or (found := _NAMED.fullmatch(text)) is None:
        return None
    part, name = Part(found[1].lower()), found[2].lower()
    longest = LONGEST_GROUP if part is Part.GROUP else LONGEST_NAME
    good = NAME.fullmatch(name) and len(name) <= longest
    return (part, name) if good else (None, "")
