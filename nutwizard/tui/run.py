"""Starts the screens, and says how they ended."""

from __future__ import annotations

from nutwizard.core.errors import Exit
from nutwizard.tui.app import Ended, WizardApp
from nutwizard.wording.contract import OtherRole, WizardSession


def run(session: WizardSession, *, only: tuple[str, ...] = (), mouse: bool = False) -> Ended:
    """The guided run on the whole screen; `only`: just these steps.

    Raises OtherRole, and the error that ended the screens if one did.
    """
    app = WizardApp(session, only)
    ended = app.run(mouse=mouse)
    if app.crashed is not None:
        raise app.crashed
    if ended is None:
        return Ended(Exit.INTERRUPTED)
    if ended.role is not None:
        raise OtherRole(ended.role)
    return ended
