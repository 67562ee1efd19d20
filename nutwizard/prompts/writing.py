"""The end of the guided run: write, prove, tell what comes next."""

from __future__ import annotations

from nutwizard.core.errors import Exit
from nutwizard.core.plan import Plan
from nutwizard.prompts.asker import Asker
from nutwizard.prompts.rehearsing import offer
from nutwizard.wording.contract import GuidedSession
from nutwizard.wording.screens import head, result_lines


def write(session: GuidedSession, asker: Asker, plan: Plan, *, offers: bool = False) -> Exit:
    """Apply and tell how it went. Ctrl-C is the transaction's now; afterwards it only ends the reading.

    `offers`: whether a rehearsal is offered then.
    """
    asker.say(head(session, "Writing"))
    outcome = session.apply(asker.say)
    tell = asker.say if outcome.signals else asker.page  # who was asked to end does not wait for Enter
    try:
        tell(result_lines(session, outcome, plan))
        if offers:
            offer(session, asker, outcome)
    except KeyboardInterrupt:
        asker.say(f"\n{outcome.text}")
    return outcome.code
