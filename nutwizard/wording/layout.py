"""Text for a terminal: lines with a tone, wrapped; Markdown as plain text."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from nutwizard.core.shown import safe_text

#: No line of prose is longer, however wide the terminal is.
WIDEST = 80


class Tone(Enum):
    """What a line is: PROSE is wrapped between words, TITLE fits by its gap or rule, the others are cut.

    COPY stays whole, however long: it is to be copied from the terminal.

    The value is the SGR code.
    """

    PROSE = ""
    TITLE = "1"
    PLAIN = "0"
    COPY = "00"
    ADDED = "32"
    REMOVED = "31"


@dataclass(frozen=True, slots=True)
class Line:
    """One line for a person. Its text may come from outside: it is made safe where it is printed."""

    text: str = ""
    tone: Tone = Tone.PROSE


Text = str | Sequence[Line]


def lines_of(text: Text) -> list[Line]:
    """The text as safe lines, none of which holds a newline."""
    source = [Line(text)] if isinstance(text, str) else text
    return [Line(part, line.tone) for line in source for part in safe_text(line.text).split("\n")]


def wrapped(line: Line, width: int) -> list[Line]:
    """The line as lines within `width`.

    Prose keeps its indentation, hanging after a list's mark; what is cut goes on further to the right, so
    that it does not look like a line of its own.
    """
    text = line.text.rstrip() if line.tone is Tone.PROSE else line.text
    if line.tone is Tone.TITLE:
        text = _narrowed(text, width)
    if line.tone is Tone.COPY or cells(text) <= width:
        return [Line(text, line.tone)]
    if line.tone is not Tone.PROSE:
        return [Line(part, line.tone) for part in _cut(text, width)]
    lead = re.match(r" *(?:[-*] |[0-9]{1,3}\. )?", text)
    first = lead.group() if lead and len(lead.group()) < width // 2 else ""
    parts = textwrap.wrap(text[len(first) :], width, initial_indent=first, subsequent_indent=" " * len(first),
                          break_on_hyphens=False)  # fmt: skip
    return [Line(part, line.tone) for part in parts]


def fitted(line: Line, columns: int) -> list[Line]:
    """The line in a terminal of so many columns: prose is never wider than `WIDEST`, a file's line may be."""
    return wrapped(line, min(columns, WIDEST) if line.tone is Tone.PROSE else columns)


def _narrowed(text: str, width: int) -> str:
    """A rule is shortened; the gap between two sides of a title is closed down to two blanks."""
    if text.strip("-") == "":
        return text[:width]
    excess = cells(text) - width
    return re.sub(r" {3,}", lambda gap: " " * max(2, len(gap.group()) - max(0, excess)), text, count=1)


def _cut(text: str, width: int) -> list[str]:
    """Parts of at most `width` columns, wherever that falls, those after the first indented."""
    out, indent = [], "      "
    part: list[str] = []
    room = width
    for char in text:
        wide = cells(char)
        if part and wide > room:
            out.append("".join(part))
            part, room = [indent], width - len(indent)
        part.append(char)
        room -= wide
    return [*out, "".join(part)]


def paint(lines: Iterable[Line], color: bool) -> str:
    """The lines as text that ends with a newline. Colour repeats what `+` and `-` say already."""
    return "".join(
        f"\x1b[{line.tone.value}m{line.text}\x1b[0m\n"
        if color and line.tone in (Tone.ADDED, Tone.REMOVED)
        else f"{line.text}\n"
        for line in lines
    )


def cells(text: str) -> int:
    """Columns that the text takes: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def rows(text: str, width: int) -> int:
    """Rows that one printed line takes in a terminal that is `width` columns wide."""
    return max(1, -(-cells(text) // max(1, width)))


_CODE = re.compile(r"`+([^`]+?)`+")
_MARKS = (
    (re.compile(r"!?\[([^\]]*)\]\(([^)\s]*)\)"), r"\1 (\2)"),
    (re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*]+?)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)_(?=\S)([^_]+?)(?<=\S)_(?!\w)"), r"\1"),
)
_FENCE = re.compile(r" {0,3}(```|~~~)")
_OPENS = re.compile(r"\s*(?:[-*+] |[0-9]{1,3}\. |>|\||#)")


def markdown(source: str) -> list[Line]:
    """Markdown as plain lines: paragraphs joined, marks of emphasis gone, code as written."""
    out: list[Line] = []
    paragraph: list[str] = []
    fenced = False

    def close() -> None:
        if paragraph:
            out.append(Line(_inline(" ".join(paragraph))))
            paragraph.clear()

    for raw in source.strip("\n").split("\n"):
        if _FENCE.match(raw):
            close()
            fenced = not fenced
        elif fenced or (raw.startswith("    ") and not paragraph):
            out.append(Line(raw if raw.startswith("    ") else f"    {raw}", Tone.PLAIN))
        elif not raw.strip():
            close()
            out += [Line()] if out and out[-1] != Line() else []
        else:
            if _OPENS.match(raw):
                close()
            paragraph.append(_block(raw) if not paragraph else raw.strip())
            if raw.startswith(("#", "|")):
                close()
    close()
    return out


def _block(raw: str) -> str:
    """The first line of a block: a heading without its mark, a list item with "- ", else the bare line."""
    if raw.startswith("#"):
        return raw.strip("# ")
    return re.sub(r"^(\s*)[*+] ", r"\1- ", raw.rstrip()) if _OPENS.match(raw) else raw.strip()


def _inline(text: str) -> str:
    """Emphasis and links without their marks; what stands in backquotes is not touched."""
    out, at = [], 0
    for code in _CODE.finditer(text):
        out += [_unmarked(text[at : code.start()]), code.group(1)]
        at = code.end()
    return "".join([*out, _unmarked(text[at:])])


def _unmarked(text: str) -> str:
    for mark, shown in _MARKS:
        text = mark.sub(shown, text)
    return text
