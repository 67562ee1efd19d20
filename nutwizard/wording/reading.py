"""The pages to read: the list, and one as lines for a terminal, a screen or a pipe."""

from __future__ import annotations

from nutwizard.core.facts import Role
from nutwizard.engine import registry
from nutwizard.wording.layout import WIDEST, Line, Text, Tone, fitted, lines_of, markdown


def topic_lines(name: str, role: Role) -> list[Line]:
    """A whole page: title, introduction, and every part under its name."""
    title = registry.topics(role)[name]
    head = [Line(title, Tone.TITLE), Line("=" * len(title), Tone.TITLE), Line()]
    return [*head, *body_lines(name, role)]


def body_lines(name: str, role: Role) -> list[Line]:
    """The page without its title, for a screen that has one."""
    page = registry.page_of(name, role)
    parts = [line for part, text in page.help.items() for line in _part(part, text)]
    return [*markdown(page.intro), *parts]


def list_lines(role: Role) -> list[Line]:
    """Every page of this role with its title, and how to read one."""
    found = registry.topics(role)
    width = max(map(len, found))
    return [
        Line(f"The pages for a {role}:"),
        Line(),
        *(Line(f"  {name:<{width}}  {title}") for name, title in found.items()),
        Line(),
        Line("To read one: nutwizard explain TOPIC"),
    ]


def text_of(text: Text, columns: int | None) -> str:
    """The lines as one text: within a terminal of so many columns; None (a pipe): code is never cut."""
    wide = columns or max((len(line.text) for line in lines_of(text)), default=1)
    return "".join(f"{part.text}\n" for line in lines_of(text) for part in fitted(line, wide))


def bare(text: Text) -> str:
    """The lines for the terminal itself: prose wrapped, what is to be copied whole."""
    lines = (part for line in lines_of(text) for part in (fitted(line, WIDEST) if _wraps(line) else [line]))
    return "".join(f"{line.text}\n" for line in lines)


def _wraps(line: Line) -> bool:
    return line.tone in (Tone.PROSE, Tone.TITLE)


def _part(name: str, text: str) -> list[Line]:
    return [Line(), Line(name, Tone.TITLE), Line("-" * len(name), Tone.TITLE), *markdown(text)]
