"""The page of a step: Markdown with an introduction, and a part `## FIELD` for what needs explaining.

A line `# host` or `# client` opens a part for that role alone; what stands before the first is for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nutwizard.core.facts import Role


@dataclass(frozen=True)
class Page:
    """`intro` in Markdown, and help in Markdown by field name."""

    intro: str
    help: Mapping[str, str]


def parse_page(text: str, role: Role) -> Page:
    """The page as a machine of this role shows it."""
    intro: list[str] = []
    parts: dict[str, list[str]] = {}
    here, ours = intro, True
    for line in text.splitlines():
        if line.startswith("# "):
            word = line[2:].strip().lower()
            ours, here = word == role.value, intro
        elif line.startswith("## "):
            here = parts.setdefault(line[3:].strip(), []) if ours else here
        elif ours:
            here.append(line)
    return Page("\n".join(intro).strip(), {name: "\n".join(lines).strip() for name, lines in parts.items()})
