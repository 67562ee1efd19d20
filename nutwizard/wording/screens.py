"""The screens of the guided run as lines: overview, review, result, what comes next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from nutwizard.core import paths
from nutwizard.core.clients import reachable
from nutwizard.core.errors import AnswersError, Exit, Problem
from nutwizard.core.facts import PRACTICE, Door, Role
from nutwizard.core.links import State
from nutwizard.core.plan import Plan
from nutwizard.core.secret import Secret
from nutwizard.core.site import NUT_PORT
from nutwizard.engine.listing.logs import log_commands
from nutwizard.engine.outcome import Outcome
from nutwizard.wording import rehearsing, show
from nutwizard.wording.client_end import client_lines
from nutwizard.wording.contract import GuidedSession
from nutwizard.wording.host_end import host_lines
from nutwizard.wording.layout import WIDEST, Line, Tone

_WIDTH = 75
_RULE = Line("-" * _WIDTH, Tone.TITLE)
#: Values of the UPS that the result shows; `nutwizard check` has them all.
_VALUES = 6
#: What the overview says first.
PROMISE = (
    "nutwizard asks step by step and shows what each step would change. It writes nothing before you say so"
    " at the review. Then it writes, restarts what must restart, and proves that it works. Allow 15"
    " minutes for a host, 5 for a VM."
)


def head(session: GuidedSession, left: str, right: str = "") -> list[Line]:
    """Where the person is; on a practice machine, that nothing is protected."""
    practice = [Line(PRACTICE)] if session.practice else []
    gap = " " * max(2, _WIDTH - len(left) - len(right))
    return [Line(), *practice, Line(f"{left}{gap}{right}".rstrip(), Tone.TITLE), _RULE]


def overview_lines(session: GuidedSession, states: Mapping[str, str]) -> list[Line]:
    """What will happen, what was found and how that is known, the steps with their state."""
    found = session.found()
    wide = min(44, max((len(f"{what} {value}") for what, value, _ in found), default=0))
    titles = max(len(session.title(step)) for step in session.steps)
    return [
        *head(session, "nutwizard", machine_name(session)),
        Line(PROMISE),
        Line("Found here"),
        *(_known(f"  {what} {value}", how, wide + 2) for what, value, how in found),
        Line("Steps"),
        *(Line(f"  {n} {session.title(step):<{titles}}  {state}")
          for n, (step, state) in enumerate(states.items(), 1)),
    ]  # fmt: skip


def machine_name(session: GuidedSession) -> str:
    """The machine in a title: name, system, role."""
    facts = session.facts
    system = f"Proxmox VE {facts.pve}" if facts.pve else facts.system or facts.kind.words
    return " - ".join(filter(None, (facts.hostname, system, session.role.value)))


def _known(what: str, how: str, wide: int) -> Line:
    """What was found and how that is known: in a column where that fits, else close up."""
    column = f"{what:<{wide}}  ({how})"
    return Line((column if len(column) <= WIDEST else f"{what}  ({how})") if how else what)


def review_lines(session: GuidedSession, plan: Plan) -> list[Line]:
    """What would be written, and what cannot be taken back."""
    saves = any(change.path == paths.SAVED_ANSWERS for change in plan.files)
    replay = Line(f"  {replay_command(session)}", Tone.PLAIN)
    return [
        *head(session, "Review", counted_plan(plan)),
        *show.summary_lines(plan),
        Line(),
        Line(f"Restarts cannot be undone; the files can: {command(session, 'undo')}"),
        *((Line("From then on the same without questions:"), replay) if saves else ()),
    ]


def counted_plan(plan: Plan) -> str:
    """How much it is: "6 files, 3 units - nothing is written yet"."""
    files = counted(sum(not change.copy_of for change in plan.files), "file")
    units = counted(len({act.unit for act in plan.acts}), "unit")
    return f"{files}, {units} - nothing is written yet"


def counted(number: int, one: str, several: str = "") -> str:
    """ "1 file", "2 files"."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def replay_command(session: GuidedSession) -> str:
    """The command line that repeats this run from the saved answers."""
    return command(session, f"apply {shlex.quote(_root(session) + paths.SAVED_ANSWERS)}")


def acts_of(session: GuidedSession, step: str) -> list[Line]:
    """What this step does to units and what it wants to be told, as far as there is a plan."""
    try:
        plan = session.plan()
    except AnswersError:
        return []
    acts = [Line(f"  {act}: {act.why}") for act in plan.acts if step in act.steps]
    return [*acts, *(Line(f"Note: {note}") for note in session.step_notes(step))]


def command(session: GuidedSession, words: str) -> str:
    """The command line that does the same on this machine."""
    practice = " --practice" if session.practice else ""
    root = _root(session)  # without it, an undo would be one of the live machine
    return f"nutwizard{practice}{f' --root {shlex.quote(root)}' if root else ''} {words}"


def _root(session: GuidedSession) -> str:
    """The folder that holds the machine's files, "" on the machine itself."""
    return str(getattr(session.host, "root", "DIR")) if session.facts.door is Door.OFFLINE else ""


def problem_text(problem: Problem, step: str = "") -> str:
    """What is wrong, behind the file and the field that it is about.

    A field of the step at hand goes unnamed where the text begins with it.
    """
    field = problem.field.removeprefix(f"{step}.") if step else problem.field
    return ": ".join(
        filter(None, (problem.place, "" if problem.text.startswith(field) else field, problem.text))
    )


def result_lines(session: GuidedSession, outcome: Outcome, plan: Plan) -> list[Line]:
    """The result, what every link of the chain says, where things are kept, and what to do next."""
    taken_back = outcome.code is Exit.FAILED and not outcome.earlier
    counted = "" if taken_back else show.counted(outcome.findings)
    out = [*head(session, "Result", f"links: {counted}" if counted else ""), *told_lines(outcome)]
    if outcome.findings:
        out += [Line(), *([Line("Before it was taken back:")] if taken_back else [])]
        out += show.finding_lines(outcome.findings, _VALUES)
    return out + finish_lines(session, outcome, plan)


def told_lines(outcome: Outcome) -> list[Line]:
    """What the transaction says of itself."""
    begins = "Not all of it worked." if outcome.earlier else "It did not work, and was taken back."
    failed = [Line(f"{begins} What happened:"), Line()]
    told = [Line(outcome.text), *(Line(f"Note: {note}") for note in outcome.notes)]
    return [*failed, *told] if outcome.code is Exit.FAILED else told


def protected_lines(session: GuidedSession, outcome: Outcome) -> list[Line]:
    """What is protected now, in words, as far as the links have proven it."""
    broken = [finding for finding in outcome.findings if finding.state is State.BROKEN]
    waiting = [finding for finding in outcome.findings if finding.state is State.WAITING]
    if session.practice:
        told = "This was practice: nothing is protected. On the real machine the same screens follow."
    elif broken:
        told = f"Not protected yet: {broken[0].link.subject}: {broken[0].cause or broken[0].evidence}"
    elif not outcome.findings:
        told = "Nothing has been proven here yet."
    elif session.role is Role.CLIENT:
        told = "This machine follows its server: when the server's battery is low, it shuts itself down."
    else:
        told = "This host serves its UPS: when the battery is low, it tells its clients and shuts down last."
    came = [Line(f"Waits for: {finding.link.subject}") for finding in waiting]
    counted = show.counted(outcome.findings)
    return [Line(told), *([Line(f"Links: {counted}.")] if counted else []), *came]


def finish_lines(session: GuidedSession, outcome: Outcome, plan: Plan) -> list[Line]:
    """Where the answers are saved, what comes next here and on the other side, how to undo."""
    out = []
    if outcome.code in (Exit.DONE, Exit.BROKEN):
        own = [c.path for c in plan.files if c.path.startswith(paths.OWN + "/") and c.after is not None]
        others = (paths.CLIENTS + "/", paths.CLIENTS_LIST, paths.OUTSIDE)
        kept = [path for path in own if not path.startswith(others)]
        if kept:
            out += [Line(), Line(f"Saved for a replay: {', '.join(kept)}")]
        out += next_lines(session, outcome)
    out += _places(session)
    if outcome.in_force:
        out.append(Line(put_back(outcome, lambda words: command(session, words))))
    return out


def put_back(outcome: Outcome, line: Callable[[str], str]) -> str:
    """What puts the files back. `line` makes a command line of nutwizard's words."""
    return f"To put the files back: {', then: '.join(line(f'undo {id}') for id in outcome.in_force)}"


def next_lines(session: GuidedSession, outcome: Outcome) -> list[Line]:
    """What the person does after a success, on this machine and on the other side."""
    check = [
        Line(f"To prove it again at any time: {command(session, 'check')}"),
        Line(f"Whether the battery lasts for a shutdown: {command(session, 'budget')}"),
    ]
    if session.role is Role.CLIENT:
        return [*client_lines(session, outcome.findings), Line(), *check]
    if "client_user" not in session.steps:
        return [Line(), *check]
    broken = any(finding.state is State.BROKEN for finding in outcome.findings)
    first = "First mend what is broken above. Then" if broken else "Next"
    password = _value(session, "client_user", "password")
    file = password.file if isinstance(password, Secret) and password.file else paths.CLIENT_PASSWORD
    port = _value(session, "listen", "port") or NUT_PORT
    addresses = reachable(session.facts, _value(session, "listen", "addresses") or ())
    copied = host_lines(session, first)
    other = "For a client without nutwizard (a NAS, another system), what it is to be told:"
    return [
        *_closed(session),
        *copied,
        Line(),
        Line(
            other
            if copied
            else f"{first}, in each VM: install nut-client and nutwizard, run nutwizard, and answer:"
        ),
        Line(f"  server    {' or '.join(addresses) or 'the address of this host'}, port {port}"),
        Line(f"  UPS name  {_value(session, 'driver', 'ups') or ''}"),
        Line(f"  user      {_value(session, 'client_user', 'name') or ''}"),
        Line(f"  password  it is in {file} on this machine"),
        *([] if outcome.code is Exit.BROKEN else rehearsing.next_lines(command(session, "rehearse"))),
        *check,
    ]


def _closed(session: GuidedSession) -> list[Line]:
    """While the firewall's rule is off: what that looks like in a client, and how it is opened."""
    if session.rule_state() != "off":
        return []
    return [
        Line(),
        Line(
            "The firewall still keeps the clients out: its rule is prepared, and off. Until it is on, a"
            " client's check says timed out. To let them in:"
        ),
        Line(f"  {command(session, 'firewall enable')}", Tone.COPY),
    ]


def _places(session: GuidedSession) -> list[Line]:
    """Where the log is, and what lists every file with its copies."""
    logs = log_commands(session.facts.door, session.role, _root(session))
    return [
        *(Line(f"The log: {each.command}") for each in logs[:1]),
        Line(f"Every file, its copies and where the log is: {command(session, 'paths')}"),
    ]


def _value(session: GuidedSession, step: str, name: str) -> Any:
    """The value in force, "" where this role has no such field."""
    proposal = session.proposals(step).get(name) if step in session.steps else None
    return proposal.value if proposal else ""
