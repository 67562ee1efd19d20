"""The commands of a shell text, as far as it matters which programs they call."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nutwizard.formats.shellwords import ShellReader, Word

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
#: Where the system's own programs lie; what lies elsewhere may be anything.
SYSTEM = frozenset({"/bin", "/sbin", "/usr/bin", "/usr/sbin"})
_HERE = re.compile(r"(?<!<)<<-?[ \t]*(['\"\\]?)([A-Za-z_]\w*)\1(?!<)")


def name_of(word: Word) -> str:
    """The name by which a program of the system is known; another's is its path."""
    folder, _, name = word.value.rpartition("/")
    return name if folder in SYSTEM else word.value


def assignment(word: Word) -> tuple[str, str] | None:
    """Name and value of `NAME=value`; an empty value where the shell computes it."""
    match = _ASSIGNMENT.fullmatch(word.value)
    return (match[1], "" if word.computed else match[2]) if match else None


def commands_of(reader: ShellReader) -> Iterator[list[Word]]:
    """The words of each command, without redirections: `>` takes the word behind it."""
    words: list[Word] = []
    end = 0
    for command in reader.commands:
        between = reader.text[end : command.start]
        end = command.stop
        if "<" in between or ">" in between:
            words += command.words[1:]
            continue
        if words:
            yield words
        words = list(command.words)
    if words:
        yield words


def without_here_documents(text: str) -> str:
    """The text without the lines that it gives to a command as its input."""
    kept: list[str] = []
    ends: list[str] = []
    for line in text.split("\n"):
        if ends:
            if line.strip("\t") == ends[0]:
                ends.pop(0)
            continue
        ends = [match[2] for match in _HERE.finditer(line)]
        kept.append(_HERE.sub("", line))
    # One that never ends was none: the text stood in quotes.
    return text if ends else "\n".join(kept)
