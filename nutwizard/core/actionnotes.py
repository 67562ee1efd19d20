"""What a person should know beside the diff of upssched.conf and upssched-cmd."""

from __future__ import annotations

import re
from collections.abc import Collection

from nutwizard.core import paths
from nutwizard.core.draft import Draft
from nutwizard.core.facts import Role, Served
from nutwizard.core.server import listen_lines, local_address
from nutwizard.core.step import View
from nutwizard.core.upsmon import monitors
from nutwizard.core.upssched import Timer, Watched, elsewhere, odd_timers


def tell(draft: Draft, view: View, timers: Collection[Timer], keep: bool) -> None:
    """Which script is called and which words it has to know; what a forced shutdown does. `keep`: the
    script that is there stays.
    """
    document = draft.nut(paths.UPSSCHED_CONF)
    watched = Watched.by(view.site, monitors(draft.nut(paths.UPSMON_CONF)))
    if called := elsewhere(document):
        draft.note(f"CMDSCRIPT of {paths.UPSSCHED_CONF} is {called}: that script is called, and is yours")
    elif keep:
        _words_to_know(draft, view, timers)
    else:
        for at in odd_timers(document, watched, timers):
            draft.note(
                f"{paths.UPSSCHED_CONF}: the line {at} is yours and stays; our script does not know the word"
                f" {at.rest[0]} and logs it as an error"
            )
    for timer in timers:
        if timer.then == "fsd":
            _shutdown(draft, view, timer)


def _words_to_know(draft: Draft, view: View, timers: Collection[Timer]) -> None:
    script = view.facts.file(paths.UPSSCHED_CMD).data.decode("utf-8", "replace")
    for timer in timers:
        if not re.search(rf"(?<![A-Za-z0-9_]){timer.name}(?![A-Za-z0-9_])", script):
            draft.note(
                f"{paths.UPSSCHED_CMD} stays as it is: it gets the word {timer.name} after {timer.seconds} s"
                " and has to know it"
            )


def _shutdown(draft: Draft, view: View, timer: Timer) -> None:
    """Whom an early shutdown takes down, and whether the battery lasts until then, where that is known."""
    if view.site.role is Role.CLIENT:
        draft.note(
            f"the timer {timer.name} shuts down this machine alone: upsmon -c fsd on a client reaches neither"
            " the host nor its other clients"
        )
    served = _served(view)
    runtime = served.values.get(view.site.ups, {}).get("battery.runtime", "") if served else ""
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", runtime) and timer.seconds >= float(runtime):
        draft.note(
            f"the timer {timer.name} ends after {timer.seconds} s, and the UPS says that its battery lasts"
            f" {float(runtime):.0f} s: low battery comes first"
        )


def _served(view: View) -> Served | None:
    if view.site.role is Role.CLIENT:
        return view.facts.server(view.site.server, view.site.port)
    return view.facts.server(*local_address(listen_lines(view.nut(paths.UPSD_CONF))))
