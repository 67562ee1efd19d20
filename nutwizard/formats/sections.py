"""Files of sections: ups.conf and upsd.users. Read as upsd does, duplicates and their leaks included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nutwizard.formats.lines import Entry, LineStore, Node, Problem
from nutwizard.formats.sectionlines import Item, Kind, by_section, scan
from nutwizard.formats.words import WIRE_SAFE, Line, encode_words

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WORD_LISTS = frozenset({"actions", "instcmds", "upsmon"})
"""Keys of upsd.users whose values are words that add up over lines."""
ROLES = ("primary", "secondary", "master", "slave")
"""The words that `upsmon` takes in upsd.users, in any case; the first two from NUT 2.8.0 on."""
_INDENT = "    "
_IGNORED = "NUT ignores this line: it wants `key = value`"
_EXTRA = "NUT ignores the words behind the first value: a value with blanks needs quotes"


class UnknownSection(ValueError):
    """The section to edit is not in the file."""


class AmbiguousSection(ValueError):
    """A user with two headers, or one that gets the lines under another's second header."""


class SectionFile:
    """A file of `[name]` sections that can be edited. Section None: the lines before the first header.

    Every edit raises ValueError, and changes nothing, for a value that NUT cannot hold, a section that is not
    there (UnknownSection) or a user that has two headers (AmbiguousSection).
    """

    def __init__(self, store: LineStore, *, users: bool) -> None:
        self._store = store
        self._users = users
        self._scanned: tuple[list[Node], list[Line], list[Item]] = ([], [], [])
        self._setting: dict[str | None, list[Item]] = {}

    @classmethod
    def parse(cls, data: bytes, *, users: bool = False) -> SectionFile:
        """The document of any bytes, read as ups.conf, or with `users` as upsd.users; nothing is an error."""
        return cls(LineStore(data), users=users)

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
        found = self._store.problems()
        for item in self._scan():
            line = item.node.line
            extra = self._users and item.key == "password" and len(item.values) > 1
            if item.kind is Kind.IGNORED:
                found.append(Problem(line.number, _IGNORED))
            elif extra or (not self._users and item.kind is Kind.VALUE and len(line.words) > 3):
                found.append(Problem(line.number, _EXTRA))
        for name, numbers in self.duplicates().items():
            found.append(Problem(numbers[1], self._duplicate_text(name)))
        return sorted(found, key=lambda problem: problem.line)

    def names(self) -> list[str]:
        """The sections in file order, a repeated one once."""
        return list(dict.fromkeys(item.key for item in self._scan() if item.kind is Kind.HEADER))

    def has(self, name: str) -> bool:
        """Whether NUT sees that section."""
        return name in self.names()

    def headers(self, name: str) -> list[int]:
        """The line numbers of the section's headers."""
        return [node.line.number for node in self._headers(name)]

    def duplicates(self) -> dict[str, tuple[int, ...]]:
        """Sections with more than one header and its line numbers. ups.conf merges them, upsd.users leaks."""
        numbers: dict[str, list[int]] = {}
        for item in self._scan():
            if item.kind is Kind.HEADER:
                numbers.setdefault(item.key, []).append(item.node.line.number)
        return {name: tuple(lines) for name, lines in numbers.items() if len(lines) > 1}

    def entries(self, section: str | None, key: str | None = None) -> list[Entry]:
        """The lines that NUT applies to the section: all that set something, or those of a key."""
        return [Entry(item.node, section) for item in self._items(section, key)]

    def get(self, section: str | None, key: str) -> str | None:
        """The value that counts: the last; in upsd.users the first password, and all actions joined."""
        values = self.values(section).get(self._fold(key), ())
        if not values:
            return None
        return " ".join(values) if self._users and self._fold(key) != "upsmon" else values[-1]

    def flag(self, section: str | None, key: str) -> bool:
        """Whether the key stands in the section as a word of its own."""
        return any(item.kind is Kind.FLAG for item in self._items(section, key))

    def values(self, section: str | None) -> dict[str, tuple[str, ...]]:
        """Every key with its values that count; a flag has none. In upsd.users keys are in lower case."""
        found: dict[str, tuple[str, ...]] = {}
        for item in self._items(section):
            old = found.get(item.key)
            if not self._users:
                found[item.key] = item.values or old or ()
            elif item.key == "password":
                found[item.key] = old or item.values[:1]
            else:
                found[item.key] = (old or ()) + item.values
        return found

    def globals(self) -> dict[str, tuple[str, ...]]:
        """The keys before the first header."""
        return self.values(None)

    def effective_users(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """What upsd knows of each user. Lines below a repeated header go to the user created last."""
        return {name: self.values(name) for name in self.names()}

    def set(self, section: str | None, key: str, value: str) -> None:
        """Make `value` the one that counts; no change where it does already.

        Edits in place, else adds a line behind the last key of the section. In upsd.users `actions` and
        `instcmds` take several words in `value`, `upsmon` is written in its two-word form, and further lines
        of these three, which would add rights, go.
        """
        self._check_editable(section)
        values = self._split(key, value)
        items = self._items(section, key)
        if not items:
            self._insert(section, self._words(key, values))
            return
        if _same(self._users, self._fold(key), self.values(section)[self._fold(key)], values):
            return
        valued = [item for item in items if item.values] or items
        target = valued[0] if self._users else valued[-1]
        self._store.rewrite(target.node, self._reworded(target, key, values))
        if self._users and self._fold(key) != "password":
            for item in items:
                if item is not target:
                    self._store.remove(item.node)

    def set_flag(self, section: str | None, key: str, on: bool = True) -> None:
        """Have the key in the section as a word of its own, or not at all. upsd.users knows no flags."""
        self._check_editable(section)
        if self._users:
            raise ValueError("upsd.users has no flags")
        if not on:
            self.unset(section, key)
            return
        items = self._items(section, key)
        if not items:
            self._insert(section, self._words(key, ())[:1])
        elif not self.flag(section, key):
            self._store.rewrite(items[-1].node, (key,))

    def unset(self, section: str | None, key: str) -> None:
        """Take out every line of that key in the section."""
        self._check_editable(section)
        for item in self._items(section, key):
            self._store.remove(item.node)

    def add(self, section: str, items: Sequence[tuple[str, str | None]], indent: str = _INDENT) -> None:
        """Append a section of these keys (value None: a flag). ValueError when it exists."""
        lines = [
            self._words(key, self._split(key, value)) if value is not None else self._words(key, ())[:1]
            for key, value in items
        ]
        for words in lines:
            encode_words(words)
        self._check_new(section)
        if SectionFile.parse(self.to_bytes() + b"\n", users=self._users).has(section):
            raise ValueError(
                f"[{section}] stands on the last line, which has no line end: NUT does not read it"
            )
        nodes = self._store.nodes
        if nodes and nodes[-1].line.raw.strip():
            self._store.insert_text(len(nodes), "")
        self._store.insert_words(len(nodes), (f"[{section}]",))
        for words in lines:
            self._store.insert_words(len(nodes), words, indent)

    def rename(self, old: str, new: str) -> None:
        """Give the section another name, at each of its headers. ValueError when the new one exists."""
        self._check_editable(old)
        if old == new:
            return
        self._check_new(new, but=old)
        for node in self._headers(old):
            self._store.rewrite(node, (f"[{new}]", *node.line.words[1:]))

    def comment_out(self, name: str, keys: Iterable[str] | None = None) -> None:
        """Put a # before every line of these keys in the section; None: before all of it, headers too."""
        self._check_editable(name)
        whole = (item for item in self._scan() if item.section == name)
        for item in list(whole) if keys is None else [i for key in keys for i in self._items(name, key)]:
            self._store.comment_out(item.node)

    def _scan(self) -> list[Item]:
        nodes, lines = self._store.nodes, self._store.lines()
        if (nodes, lines) != self._scanned[:2]:  # every question asks, and only edits change it
            self._scanned = list(nodes), lines, scan(self._store.active(), users=self._users)
            self._setting = by_section(self._scanned[2])
        return self._scanned[2]

    def _headers(self, name: str) -> list[Node]:
        return [item.node for item in self._scan() if item.kind is Kind.HEADER and item.key == name]

    def _items(self, section: str | None, key: str | None = None) -> list[Item]:
        found = self._setting.get(section, ()) if self._scan() else ()
        return [item for item in found if key is None or item.key == self._fold(key)]

    def _fold(self, key: str) -> str:
        return key.casefold() if self._users else key

    def _split(self, key: str, value: str) -> tuple[str, ...]:
        if not self._users or self._fold(key) not in _WORD_LISTS:
            return (value,)
        values = tuple(value.split())
        if not values or (self._fold(key) == "upsmon" and value.casefold() not in ROLES):
            raise ValueError(f"not a value for {self._fold(key)}")
        return values

    def _words(self, key: str, values: Sequence[str]) -> tuple[str, ...]:
        if not _NAME.fullmatch(key):
            raise ValueError("not a name for a key: letters, digits, . _ - work")
        return (key, *values) if self._users and self._fold(key) == "upsmon" else (key, "=", *values)

    def _reworded(self, item: Item, key: str, values: Sequence[str]) -> tuple[str, ...]:
        """The words of an existing line with these values; its own spelling of key and `=` stays."""
        old = item.node.line.words
        if item.joined or item.kind is Kind.FLAG:
            return self._words(key, values)
        return (*old[: 2 if old[1] == "=" else 1], *values)

    def _insert(self, section: str | None, words: Sequence[str]) -> None:
        """Add a line behind the last of the section, indented as that one."""
        items = self._scan()
        own = [item for item in items if item.section == section]
        keys = [item for item in own if item.kind is not Kind.HEADER]
        if own:
            indent = self._store.indent(keys[-1].node) if keys else _INDENT
            self._store.insert_words(self._store.index(own[-1].node) + 1, words, indent)
        else:  # no global yet: before the first header
            nodes = self._store.nodes
            self._store.insert_words(self._store.index(items[0].node) if items else len(nodes), words)

    def _check_editable(self, section: str | None) -> None:
        if section is None:
            return
        if not self.has(section):
            raise UnknownSection(f"there is no section [{section}]")
        if not self._users:
            return
        twice = self.duplicates()
        leaks = (item.header for item in self._scan() if item.section == section != item.header)
        name = section if section in twice else next(leaks, None)
        if name is not None:
            raise AmbiguousSection(self._duplicate_text(name))

    def _check_new(self, name: str, but: str | None = None) -> None:
        good = WIRE_SAFE.fullmatch(name) and "]" not in name if self._users else _NAME.fullmatch(name)
        if not good:
            what = "user" if self._users else "UPS"
            raise ValueError(f"not a name for a {what}: letters, digits, . _ - work")
        for other in self.names():
            clash = other == name if self._users else other.casefold() == name.casefold()
            if clash and other != but:
                raise ValueError(f"there is a section [{other}] already, on line {self.headers(other)[0]}")

    def _duplicate_text(self, name: str) -> str:
        numbers = self.headers(name)
        text = f"[{name}] stands on lines {' and '.join(map(str, numbers))}"
        if not self._users:
            return f"{text}: NUT merges the two"
        second = self._headers(name)[1]
        items = self._scan()
        at = next(i for i, item in enumerate(items) if item.node is second)
        to = items[at + 1].section if at + 1 < len(items) and items[at + 1].kind is not Kind.HEADER else None
        heir = f"[{to}]" if to else "the user before it"
        return f"{text}: NUT applies what is below the second to {heir}"


def _same(users: bool, key: str, old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether the values mean the same: rights and roles are compared without regard to case."""
    if users and key in _WORD_LISTS:
        return [word.casefold() for word in old] == [word.casefold() for word in new]
    return tuple(old) == tuple(new)
