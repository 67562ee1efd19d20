"""What upsd makes of the lines of ups.conf and upsd.users: headers, values, flags, and whom they apply to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from nutwizard.formats.lines import Node


class Kind(Enum):
    """What a line is: IGNORED is one that upsd reads and makes nothing of."""

    HEADER = auto()
    VALUE = auto()
    FLAG = auto()
    IGNORED = auto()


@dataclass(frozen=True, slots=True)
class Reading:
    """What one line says by itself. `key`: a header's name too; `joined`: key and value are one word."""

    kind: Kind
    key: str = ""
    values: tuple[str, ...] = ()
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One active line in its file. `header`: the section above it, `section`: the one it applies to."""

    node: Node
    kind: Kind
    key: str
    values: tuple[str, ...]
    header: str | None
    section: str | None
    joined: bool = False

    @property
    def sets(self) -> bool:
        """Whether the line sets something."""
        return self.kind in (Kind.VALUE, Kind.FLAG)


def by_section(items: Iterable[Item]) -> dict[str | None, list[Item]]:
    """The lines that set something, by the section they apply to (None: above the first), in their order."""
    found: dict[str | None, list[Item]] = {}
    for item in items:
        if item.sets:
            found.setdefault(item.section, []).append(item)
    return found


def scan(nodes: Iterable[Node], *, users: bool) -> list[Item]:
    """The active lines with the sections they apply to.

    A second header of one UPS reopens its section. A second header of one user is ignored: the lines below it
    apply to the user created last before it.
    """
    items = []
    seen: set[str] = set()
    header: str | None = None
    section: str | None = None
    for node in nodes:
        reading = read_user_line(node.line.words) if users else read_ups_line(node.line.words)
        if reading.kind is Kind.HEADER:
            header = reading.key
            if not users or header not in seen:
                section = header
            seen.add(header)
            items.append(Item(node, Kind.HEADER, header, (), header, header))
        else:
            items.append(
                Item(node, reading.kind, reading.key, reading.values, header, section, reading.joined)
            )
    return items


def _header(word: str) -> str | None:
    return word[1:-1] if len(word) > 1 and word[0] == "[" and word[-1] == "]" else None


def read_ups_line(words: tuple[str, ...]) -> Reading:
    """A line of ups.conf: upsd looks at the first three words at most."""
    name = _header(words[0])
    if name is not None:
        return Reading(Kind.HEADER, name)
    key, equals, value = words[0].partition("=")
    if equals:
        return Reading(Kind.VALUE, key, (value,), joined=True)
    if len(words) == 1:
        return Reading(Kind.FLAG, key)
    if len(words) > 2 and words[1] == "=":
        return Reading(Kind.VALUE, key, (words[2],))
    return Reading(Kind.IGNORED, key)


def read_user_line(words: tuple[str, ...]) -> Reading:
    """A line of upsd.users: keys in any case, values are words; `upsmon` also works without `=`."""
    if words[0].casefold() == "user":
        return Reading(Kind.IGNORED)
    key, equals, value = words[0].partition("=")
    key = key.casefold()
    if equals:
        return Reading(Kind.VALUE, key, (value, *words[1:]), joined=True)
    name = _header(words[0])
    if name is not None:
        return Reading(Kind.HEADER, name)
    if len(words) > 2 and words[1] == "=":
        return Reading(Kind.VALUE, key, words[2:])
    if key == "upsmon" and len(words) > 1 and words[1] != "=":
        return Reading(Kind.VALUE, key, words[1:2])
    return Reading(Kind.IGNORED, key)
