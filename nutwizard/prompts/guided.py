"""The guided run: overview, steps, review, apply, result. Nothing is written before a yes at the screens."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any

from nutwizard.core.errors import AnswersError, Exit, UsageError
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice
from nutwizard.core.plan import NOTHING, FileChange, Plan
from nutwizard.core.secret import Secret
from nutwizard.engine import registry
from nutwizard.prompts import pages, writing
from nutwizard.prompts.asker import Asker, Back
from nutwizard.wording import reading, screens, show
from nutwizard.wording.contract import GuidedSession, OtherRole
from nutwizard.wording.layout import Line, Tone, markdown

#: How often a step is asked again because of what is wrong with its answers, before going back is offered.
TRIES = 3
#: Changed lines that a step shows of its own; the review has them all.
SHORT = 12

_SWITCH = {
    Role.HOST: "as a host instead: the UPS is connected here",
    Role.CLIENT: "as a client instead: it follows another machine's UPS",
}
#: The place behind the last step.
REVIEW = "review"
BACK = Choice("back", "one step back")
QUIT = Choice("quit", "leave; nothing is written")


class Move(Enum):
    """Where to go from a screen."""

    NEXT = auto()
    AGAIN = auto()
    BACK = auto()
    QUIT = auto()


class _Quit(Exception):
    """The person leaves; `code` ends the command."""

    def __init__(self, code: Exit) -> None:
        self.code = code


def run(session: GuidedSession, asker: Asker, *, only: tuple[str, ...] = ()) -> Exit:
    """Ask, show, write, prove. With `only`, ask just these steps. Returns the exit code of the command.

    Raises UsageError for a step that this role does not have, OtherRole, and what `session.apply` raises.
    """
    if unknown := [name for name in only if name not in session.steps]:
        raise UsageError(
            f"No such step here: {', '.join(unknown)}", f"The steps are {', '.join(session.steps)}."
        )
    try:
        plan = _decide(session, asker, only)
    except KeyboardInterrupt:
        asker.say("\nNothing was written.")
        return Exit.INTERRUPTED
    except _Quit as left:
        asker.say(NOTHING if left.code is Exit.DONE else "Nothing was written.")
        return left.code
    return writing.write(session, asker, plan, offers=not only)


def _decide(session: GuidedSession, asker: Asker, only: tuple[str, ...]) -> Plan:
    """From the overview to a yes at the screens. Raises _Quit on every other way out."""
    steps, at = only, 0 if only else -1
    if session.first and not only:
        title = registry.topics(session.role)["overview"]
        asker.page([*screens.head(session, title), *reading.body_lines("overview", session.role)])
    while True:  # every turn waits for the person
        if at < 0:
            steps, at = (only, 0) if only else _overview(session, asker)
            session.narrow(() if steps == session.steps else steps)
        elif at < len(steps):
            session.stay(steps[at])
            move = _step(session, asker, steps[at])
            at = _moved(at, move, first=0 if only else -1)
        else:
            session.stay(REVIEW)
            plan = _review(session, asker)
            if plan is not None:
                return plan
            at = len(steps) - 1


def _moved(at: int, move: Move, first: int) -> int:
    if move is Move.QUIT:
        raise _Quit(Exit.INTERRUPTED)
    return {Move.NEXT: at + 1, Move.BACK: max(first, at - 1)}.get(move, at)


def _overview(session: GuidedSession, asker: Asker) -> tuple[tuple[str, ...], int]:
    """What was found and what there is to do. The steps that are to be asked, and at which to begin."""
    states = {step: session.state(step) for step in session.steps}
    asker.page(screens.overview_lines(session, states))
    resumes = session.resumed > 0 and session.place in (*session.steps, REVIEW)
    settled = all(state == "in place" for state in states.values())
    if settled:
        asker.page("Everything is in place. To see that it works: prove, below.")
    other = Role.CLIENT if session.role is Role.HOST else Role.HOST
    rows = (
        *((_kept(session),) if resumes else ()),
        Choice("continue", "all steps, one after the other"),
        Choice("one", "one step only"),
        QUIT,
        Choice("switch", _SWITCH[other]),
        *pages.LOOKS.values(),
        *((Choice("forget", "the answers kept from before"),) if session.resumed else ()),
    )
    todo = next((step for step, state in states.items() if state != "in place"), session.steps[0])
    steps = [Choice(step, f"{session.title(step)}, {state}") for step, state in states.items()]
    while True:  # every turn waits for the person
        default = "kept" if resumes else "quit" if settled else "continue"
        picked = asker.choose("What now?", rows, default)
        if picked == "quit":
            raise _Quit(Exit.DONE if settled else Exit.INTERRUPTED)
        if picked == "continue":
            return session.steps, 0
        if picked == "kept":
            return session.steps, (*session.steps, REVIEW).index(session.place)
        if picked == "forget":
            session.start_over()
            return _overview(session, asker)
        if picked == "switch":
            raise OtherRole(other)
        if picked in pages.LOOKS:
            pages.look(picked, session, asker)
            continue
        picked = asker.choose("Which step?", (*steps, Choice("back", "to the question before")), todo)
        if picked != "back":
            return (picked,), 0


def _kept(session: GuidedSession) -> Choice:
    """To where the person was, with the answers that were given then."""
    where = session.title(session.place) if session.place in session.steps else "the review"
    count = f"{session.resumed} answer{'s' * (session.resumed != 1)}"
    return Choice("kept", f"go on at {where}, with {count} kept from before")


def _step(session: GuidedSession, asker: Asker, step: str) -> Move:
    """One step: its page, its fields, what it would change."""
    number = f"{session.steps.index(step) + 1} of {len(session.steps)}"
    page = session.page(step)
    asker.page(screens.head(session, f"{number}  {session.title(step)}", session.state(step)))
    notice = session.step_notice(step)
    asker.page([*([Line(notice), Line()] if notice else ()), *markdown(page.intro)])
    names = [field.name for field in session.fields(step)]
    if names:
        asker.page([Line(), Line(asker.keys, Tone.PLAIN), Line()])
    given: dict[str, Any] = {}
    for _ in range(TRIES):
        if not _ask_fields(session, asker, step, names, given):
            return Move.BACK
        problems = session.answer(step, dict(given))
        if not problems:
            return _changes(session, asker, step)
        asker.page(
            [
                Line("That does not work:"),
                *(Line(f"  - {screens.problem_text(problem, step)}") for problem in problems),
            ]
        )
        own = [problem.field.removeprefix(f"{step}.") for problem in problems]
        names = [field.name for field in session.fields(step) if field.name in own]
        if not names:
            break
    return _stuck(asker)


def _ask_fields(
    session: GuidedSession, asker: Asker, step: str, names: Sequence[str], given: dict[str, Any]
) -> bool:
    """Ask these fields in order, into `given`; False when the person goes back from the first one."""
    fields = {field.name: field for field in session.fields(step)}
    help = session.page(step).help
    at, way = 0, 1
    while at < len(names):  # every turn waits for the person, or moves on
        if at < 0:
            return False
        name = names[at]
        # Asked anew for each field: what is proposed may follow from the fields before it.
        so_far = _settled(given)
        proposals = session.proposals(step, so_far)
        if not fields[name].applies({other: found.value for other, found in proposals.items()}):
            given.pop(name, None)
            at += way
            continue
        hints = session.hints(step, so_far).get(name, ())
        if (change := session.preview(step, so_far).get(name)) is not None:
            asker.page([Line(), *show.change_lines(change), Line()])
        try:
            given[name] = asker.ask(fields[name], proposals.get(name), help.get(name, ""), hints)
            way = 1
        except Back:
            way = -1
        at += way
    return True


def _settled(given: dict[str, Any]) -> dict[str, Any]:
    """What was given, without secrets that are drawn at apply: they are proposed again as that."""
    return {name: value for name, value in given.items() if not (isinstance(value, Secret) and value.pending)}


def _stuck(asker: Asker) -> Move:
    picked = asker.choose("What now?", (Choice("again", "this step from its start"), BACK, QUIT), "again")
    return {"again": Move.AGAIN, "back": Move.BACK}.get(picked, Move.QUIT)


def _changes(session: GuidedSession, asker: Asker, step: str) -> Move:
    """Show what this step alone changes, and wait for the person."""
    changes = session.step_changes(step)
    lines = [line for change in changes for line in show.change_lines(change)]
    rows = [Choice("next", "go on"), Choice("again", "this step once more"), BACK, QUIT]
    if by_hand := session.by_hand(step):
        rows.insert(1, Choice("manual", "the same by hand, with these values"))
    if not lines:
        acts = screens.acts_of(session, step)
        asker.page([Line(), Line("This step would do:" if acts else "This step changes nothing."), *acts])
        if session.fields(step):
            return Move.NEXT
    else:
        acts = screens.acts_of(session, step)
        asker.page([Line(), Line("This step would change:"), *_glance(changes, lines), *acts])
        if len(lines) > SHORT:
            rows.insert(1, Choice("diff", "all lines"))
    while True:  # every turn waits for the person
        picked = asker.choose("What now?", rows, "next")
        if picked not in ("diff", "manual"):
            return {"next": Move.NEXT, "again": Move.AGAIN, "back": Move.BACK}.get(picked, Move.QUIT)
        asker.page(lines if picked == "diff" else markdown(by_hand))


def _glance(changes: Sequence[FileChange], lines: list[Line]) -> list[Line]:
    """The lines if they are few; else those that change, as far as there is room."""
    if len(lines) <= SHORT:
        return lines
    brief = [line for change in changes for line in show.change_lines(change, brief=True)]
    more = len(brief) - SHORT
    return [*brief[:SHORT], Line(f"... {more} more lines")] if more > 0 else brief


def _review(session: GuidedSession, asker: Asker) -> Plan | None:
    """The whole plan and the question whether to write it; None: back. Raises _Quit."""
    try:
        plan = session.plan()
    except AnswersError as error:
        _refused(session, asker, error)
        return None
    if plan.empty:
        asker.page([*screens.head(session, "Review"), *show.plan_lines(plan)[1:]])
        raise _Quit(Exit.DONE)
    asker.page(screens.review_lines(session, plan))
    rows = (
        Choice("diff", "every changed line"),
        Choice("write", "write the files, restart, prove"),
        BACK,
        QUIT,
    )
    default = "diff"
    while True:  # every turn waits for the person
        picked = asker.choose("What now?", rows, default)
        if picked == "back":
            return None
        if picked == "quit":
            raise _Quit(Exit.INTERRUPTED)
        if picked == "diff":
            asker.page(show.plan_lines(plan))
            default = "write"
        elif asker.confirm("Write this now?", False):
            if not (outage := session.outage()):
                return plan
            asker.page(f"{outage}\nThen write again, or start with --on-battery. Nothing was written yet.")


def _refused(session: GuidedSession, asker: Asker, error: AnswersError) -> None:
    """Answers of steps that were not asked now do not work. Raises _Quit."""
    lines = [Line(f"  - {screens.problem_text(problem)}") for problem in error.problems]
    asker.page([*screens.head(session, "Review", "not yet"), Line("There is no plan yet:"), *lines])
    if error.hint:
        asker.page(error.hint)
    if asker.choose("What now?", (BACK, QUIT), "back") == "quit":
        raise _Quit(error.code)
