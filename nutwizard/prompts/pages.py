"""What a person can look at beside the questions: the pages, the chain of protection, a rehearsal."""

from __future__ import annotations

from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice
from nutwizard.engine import registry
from nutwizard.prompts.asker import Asker
from nutwizard.prompts.rehearsing import rehearse
from nutwizard.wording.contract import GuidedSession
from nutwizard.wording.layout import Line
from nutwizard.wording.reading import topic_lines

#: By its word what can be looked at.
LOOKS = {
    each.value: each
    for each in (
        Choice("read", "pages to read: users, firewall, the test, what each step teaches"),
        Choice("prove", "check the chain of protection, link by link; nothing is changed"),
        Choice("budget", "the time that a shutdown needs against the battery's, and what to change"),
        Choice("try", "rehearse a power cut with the files as they are; nobody goes down"),
    )
}
_BACK = Choice("back", "to the question before")


def look(what: str, session: GuidedSession, asker: Asker) -> None:
    """One of LOOKS."""
    if what == "read":
        read(session.role, asker)
    elif what == "budget":
        budget(session, asker)
    elif what == "try":
        rehearse(session, asker)
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


def budget(session: GuidedSession, asker: Asker) -> None:
    """The budget as the files are now; advice becomes an answer when the person takes it."""
    from nutwizard.wording.budget import budget_lines, buys_text

    asker.say("Asking this machine and the NUT server ...")
    found = session.budget()
    asker.page([Line(), *budget_lines(found), Line()])
    offers = {str(n): each for n, each in enumerate(found.advice, 1) if each.step in session.steps}
    while offers:  # every turn waits for the person
        rows = [Choice(n, f"{each.what}{buys_text(each)}") for n, each in offers.items()]
        picked = asker.choose("Take one as an answer? The review shows it.", (*rows, _BACK), _BACK.value)
        if picked == _BACK.value:
            return
        taken = offers.pop(picked)
        problems = session.take(taken)
        told = [f"Not taken: {problem.text}" for problem in problems]
        asker.say("\n".join(told) or f"Taken as an answer of the step {session.title(taken.step)}.")
