"""From a place to its screen: what the screen shows is read at the desk first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nutwizard.tui.frame import Frame

if TYPE_CHECKING:
    from nutwizard.tui.app import WizardApp


async def screen_for(app: WizardApp, place: str, notice: str) -> Frame:
    """The screen of a place. A screen's module is loaded when it is first shown."""
    from nutwizard.tui.app import BUDGET, CHECK, FINISH, FORCED, OVERVIEW, REVIEW

    if place == OVERVIEW:
        from nutwizard.tui import overview

        return await overview.make(app, notice)
    if place == REVIEW:
        from nutwizard.tui import review

        return await review.make(app, notice)
    if place == CHECK:
        from nutwizard.tui import check

        return await check.make(app, notice)
    if place == BUDGET:
        from nutwizard.tui import budget

        return await budget.make(app, notice)
    if place == FINISH:
        from nutwizard.tui import finish

        return await finish.make(app, notice)
    if place == FORCED:
        from nutwizard.tui import forced

        return await forced.make(app, notice)
    if place == "rehearsal":
        from nutwizard.tui import rehearsal

        return await rehearsal.make(app, notice)
    from nutwizard.tui import step

    return await step.make(app, place, notice)
