"""One key that lets the clients in: the firewall's rule is switched, on the check and on the last page."""

from __future__ import annotations

from nutwizard.core.errors import WizardError
from nutwizard.core.fields import Choice
from nutwizard.core.plan import Plan
from nutwizard.tui.choose import Ask
from nutwizard.tui.frame import Frame
from nutwizard.wording import show
from nutwizard.wording.contract import WizardSession

_NO_RULE = "There is no rule for NUT in Proxmox VE's firewall here: the step Firewall prepares one."
_LOOKING = "Looking at the firewall's files ..."


def _look(session: WizardSession) -> tuple[str, Plan | None, str]:
    """The rule's state, what switching it would change, and why that cannot be done."""
    try:
        state, plan = session.switch_look()
    except WizardError as error:
        return "", None, error.text
    return state, plan, "" if state else _NO_RULE


async def switch(screen: Frame) -> None:
    """Ask, and switch the rule on a screen of its own; it is the person who says on or off."""
    said = screen.notice
    if said == _LOOKING:  # the same key again
        return
    screen.notify_here(_LOOKING)
    state, plan, why = await screen.ask(_look)
    if screen.notice == _LOOKING:
        screen.notify_here(said)
    if plan is None or plan.empty:
        screen.notify_here(why or f"The rule is {state} already.")
        return
    on = state == "off"
    word = "on" if on else "off"
    lines = [line.text for change in plan.files for line in show.change_lines(change, brief=True)]
    rule = next((line.strip() for line in lines if line[:3] == "  +" and "IN ACCEPT" in line), "")
    does = "the clients are let in within 10 s" if on else "nobody is let in any more; who is in stays in"
    question = f"Switch the firewall's rule {word}? {does.capitalize()}.\n{rule}".rstrip()
    # Not "switch": its letter is the key that asks, and whoever presses that twice has not said yes.
    rows = (Choice("back", "leave it as it is"), Choice("write", f"switch the rule {word}"))
    if await screen.app.push_screen_wait(Ask(question, rows)) == "write":
        screen.wizard.write(plan, lambda session, report: session.switch(on, report))
