"""What is said around a rehearsal: which there are, who takes part, what the last showed, what is next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nutwizard.core.clients import few
from nutwizard.core.rehearsal.cast import Item
from nutwizard.core.rehearsal.form import Form
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.core.shown import safe_text
from nutwizard.wording.layout import Line, Tone
from nutwizard.wording.rehearsalforms import limits, plays, where

if TYPE_CHECKING:
    from nutwizard.engine.lastplay import LastPlay
    from nutwizard.engine.rehearsal.ready import Readiness

#: What is said where the links hold.
OFFER = "Nothing is broken. n rehearses a power cut with these files; nobody goes down."
NOT_READY = "This machine is not set up yet: a rehearsal could show nothing else."
_IMPOSSIBLE = "No rehearsal can be played here: {}."
#: What each shows.
_SHOWS = {
    Scenario.CUT: (
        "The whole story: on battery, battery low, FSD; the clients go down, then the host, and the UPS is"
        " told to cut its output."
    ),
    Scenario.BLIP: "Nobody may go down for it. It shows a timer or a script that acts too soon.",
    Scenario.FSD: "upsmon -c fsd on the host: everybody goes down, whatever the UPS says.",
    Scenario.TIMER: (
        "Only your timers can shut anybody down then. Without one everybody runs on until the battery is low."
    ),
    Scenario.RETURN: (
        "NUT does not turn back: everybody goes down all the same, and comes back because the UPS cuts its"
        " output and gives it again."
    ),
}
#: Steps whose files are the host's, also where they are about a client.
_OF_HOST = ("listen", "client_user", "clients", "firewall")


#: The last row below the findings.
WHOLE = f"{'':<9} how long it took, and what no rehearsal shows"
#: What the plain front end asks.
ABOUT = "A rehearsal plays a power cut with these files, on copies: nobody goes down. It takes 10 to 30 s."
QUESTION = "Rehearse a power cut now?"
WHICH = "What is to happen to the UPS?"
ENDED = "The rehearsal was ended; nothing of it is left."


def next_lines(command: str) -> list[Line]:
    """What comes next on a host whose links hold. `command`: the command line of a rehearsal."""
    return [
        Line(),
        Line("Next, see that a power cut ends well. This plays one with these files; nobody goes down:"),
        Line(f"  {command}", Tone.COPY),
    ]


def promise(form: Form) -> str:
    """What is said before one is chosen."""
    verb = "plays" if form is Form.MODEL else "play"
    lasts = "" if form is Form.MODEL else " It takes 10 to 30 seconds, and Esc ends it at once."
    return f"{plays(form)} {verb} a power cut with your files as they are written; {where(form)}.{lasts}"


def impossible_lines(why: str) -> list[Line]:
    """That none can be played here, why, and that nothing is lost by it."""
    return [
        Line(_IMPOSSIBLE.format(why.rstrip("."))),
        Line(),
        Line("The links of the chain can be proven all the same: nutwizard check."),
    ]


def scenario_rows() -> list[str]:
    """A row for each scenario."""
    width = max(len(each) for each in Scenario)
    return [f"{each.value:<{width}}  {each.words}" for each in Scenario]


def about_lines(scenario: Scenario, ready: Readiness) -> list[Line]:
    """What a scenario shows, who takes part, and what it showed the last time."""
    last = next((each for each in ready.last if each.scenario is scenario), None)
    return [
        Line(_SHOWS[scenario]),
        Line(_last(last, ready.files)),
        Line(),
        *company_lines(ready),
    ]


def company_lines(ready: Readiness) -> list[Line]:
    """Who takes part, and with which files."""
    if ready.company is None:
        return []
    host, *clients = (each.name for each in ready.company.sets)
    followed = few(clients) if clients else "nobody"
    form = [limits(ready.staging)] if ready.staging.why else []
    said = (f"{host} serves the UPS, followed by {followed}.", *form, *ready.company.remarks)
    return [Line(text) for text in said]


def _last(last: LastPlay | None, files: str) -> str:
    if last is None:
        return "It has not been played yet."
    told = last.told(stands=last.files == files)
    order = f" ({', then '.join(last.order)})" if last.well and 0 < len(last.order) <= 4 else ""
    broken = f" ({last.broken} broken)" if last.broken else ""
    return safe_text(f"Played {told}{order if last.files == files else ''}{broken}.")


def rehearsed_line(last: LastPlay, files: str) -> str:
    """For `nutwizard status`. `files`: how they stand now."""
    return f"Rehearsed {last.told(stands=last.files == files)} ({last.scenario.value})"


def item_row(item: Item) -> str:
    """A finding in one row."""
    return f"{item.severity.value:<9} {_where(item)}{item.text}"


def item_about(item: Item, own: str) -> list[Line]:
    """A finding in full, and where what mends it is to be run."""
    at = f" (on {item.machine})" if item.mend and not mended_here(item, own) else ""
    mend = [Line(f"mend{at}: {item.mend}")] if item.mend else []
    return [Line(f"{_where(item)}{item.text}"), *mend]


def mended_here(item: Item, own: str) -> bool:
    """Whether what mends it is to be run on this machine, `own`, and not on another one."""
    return item.machine in ("", own) or step_of(item) in _OF_HOST


def step_of(item: Item) -> str:
    """The step that mends it; "" where that is something else."""
    words = item.mend.split()
    return words[2] if words[:2] == ["nutwizard", "step"] and len(words) == 3 else ""


def items_notice(items: Iterable[Item]) -> str:
    """What the person may do about what was found."""
    if any(step_of(item) for item in items):
        return "Enter or e on a finding opens the step that mends it."
    return ""


def _where(item: Item) -> str:
    return f"{item.machine}: " if item.machine else ""
