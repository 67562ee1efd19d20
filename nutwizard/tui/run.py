"""Starts the screens, and says how they ended."""

from __future__ import annotations

from collections.abc import Sequence

from nutwizard.core.errors import Exit, WizardError
from nutwizard.tui.app import Ended, WizardApp
from nutwizard.wording.contract import OtherRole, WizardSession


def run(
    session: WizardSession,
    *,
    only: tuple[str, ...] = (),
    mouse: bool = False,
    hint: str = "",
    heard: Sequence[str] = (),
) -> Ended:
    """The guided run on the whole screen; `only`: just these steps; `hint`, `heard`: see WizardApp.

    Raises OtherRole, and a WizardError that ended it. An error that nobody foresaw is in `crashed`: the
    caller tells of it.
    """
    app = WizardApp(session, only, hint=hint, heard=heard)
    ended = app.run(mouse=mouse)
    if isinstance(app.crashed, WizardError):
        raise app.crashed
    if app.crashed is not None:
        return Ended(Exit.FAILED, crashed=app.crashed, writing=app.busy)
    if ended is None:
        return Ended(Exit.INTERRUPTED)
    if ended.role is not None:
        raise OtherRole(ended.role)
    return ended
