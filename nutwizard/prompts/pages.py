"""What a person can look at beside the questions: the pages, and the chain of protection."""

from __future__ import annotations

from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice
from nutwizard.engine import registry
from nutwizard.prompts.asker import Asker
from nutwizard.wording.contract import GuidedSession
from nutwizard.wording.layout import Line
from nutwizard.wording.reading import topic_lines

#: By its word what can be looked at.
LOOKS = {
    each.value: each
    for each in (
        Choice("read", "pages to read: users, firewall, the test, what each step teaches"),
        Choice("prove", "check the chain of protection, link by link; nothing is changed"),
    )
}
_BACK = Choice("back", "to the question before")


def look(what: str, session: GuidedSession, asker: Asker) -> None:
    """One of LOOKS."""
    if what == "read":
        read(session.role, asker)
    else:
        prove(session, asker)


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


def prove(session: GuidedSession, asker: Asker) -> None:
    """The chain as it is at this moment, and which step mends what is broken."""
    from nutwizard.wording.checked import examination_lines

    asker.say("Asking this machine and the NUT server ...")
    asker.page([Line(), *examination_lines(session.examine(), brief=False), Line()])
