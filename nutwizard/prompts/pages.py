"""The menu of the pages to read."""

from __future__ import annotations

from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice
from nutwizard.engine import registry
from nutwizard.prompts.asker import Asker
from nutwizard.wording.layout import Line
from nutwizard.wording.reading import topic_lines

_BACK = Choice("back", "to the question before")


def read(role: Role, asker: Asker) -> None:
    """Let the person pick pages until that is enough."""
    rows = (*(Choice(name, title) for name, title in registry.topics(role).items()), _BACK)
    picked = rows[0].value
    while True:  # every turn waits for the person
        picked = asker.choose("Which page?", rows, picked)
        if picked == _BACK.value:
            return
        asker.page([Line(), *topic_lines(picked, role), Line()])
        picked = _BACK.value
