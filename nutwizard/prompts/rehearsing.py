"""A rehearsal in the plain front end: which one is asked, its lines come as they happen, then the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nutwizard.core.errors import Exit, WizardError
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.engine.outcome import Outcome
from nutwizard.prompts.asker import Asker
from nutwizard.wording import rehearsing
from nutwizard.wording.contract import GuidedSession
from nutwizard.wording.layout import Line
from nutwizard.wording.rehearsed import Timeline, head_lines, item_lines, verdict_lines

if TYPE_CHECKING:
    from nutwizard.core.rehearsal.moments import Moment
    from nutwizard.engine.rehearsal.ready import Prepared

_BACK = Choice("back", "to the question before")


def offer(session: GuidedSession, asker: Asker, outcome: Outcome) -> None:
    """After a set-up that is proven: play one, if the person wants that. Ctrl-C and no more input mean no."""
    if session.role is not Role.HOST or outcome.code is not Exit.DONE or outcome.signals:
        return
    ready = session.readiness()
    if ready.why or ready.lacks:
        return
    asker.say([Line(), Line(rehearsing.ABOUT)])
    try:
        wanted = asker.confirm(rehearsing.QUESTION, False)
    except KeyboardInterrupt:
        return
    if wanted:
        _play(session, asker, Scenario.CUT)


def rehearse(session: GuidedSession, asker: Asker) -> None:
    """Let the person choose and watch, until that is enough; or say why nothing can be played."""
    ready = session.readiness()
    if ready.why:
        asker.page([Line(), *rehearsing.impossible_lines(ready.why), Line()])
        return
    if ready.lacks:
        lacks = [line for item in ready.lacks for line in item_lines(item)]
        asker.page([Line(), Line(rehearsing.NOT_READY), *lacks, Line()])
        return
    rows = (*(Choice(each.value, each.words) for each in Scenario), _BACK)
    picked = Scenario.CUT.value
    while True:  # every turn waits for the person
        picked = asker.choose(rehearsing.WHICH, rows, picked)
        if picked == _BACK.value:
            return
        _play(session, asker, Scenario(picked))
        picked = _BACK.value


def _play(session: GuidedSession, asker: Asker, scenario: Scenario) -> None:
    """One of them. Ctrl-C ends it at once."""
    timelines: list[Timeline] = []

    def begins(prepared: Prepared) -> None:
        staging, limit = prepared.staging, prepared.caster.limit
        asker.say([Line(), *head_lines(prepared.wanted, prepared.company, staging, limit)])
        names = [each.name for each in prepared.company.sets]
        timelines.append(Timeline(names, lambda line: asker.say([line]), staging.form))

    def told(moment: Moment) -> None:
        timelines[0].moment(moment)

    try:
        done = session.rehearse(scenario, begins=begins, told=told)
    except KeyboardInterrupt:
        asker.say(f"\n{rehearsing.ENDED}")
    except WizardError as error:
        asker.page("\n".join(filter(None, (error.text, error.hint))))
    else:
        timelines[0].close()
        asker.page([*verdict_lines(done), Line()])
