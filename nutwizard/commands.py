"""The commands that never ask: plan, apply, undo, history, paths, forget, recover."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from nutwizard import opening
from nutwizard.core.errors import AnswersError, Exit, NeedsRoot, Problem
from nutwizard.core.facts import PRACTICE, Door
from nutwizard.core.plan import NOTHING
from nutwizard.engine import aftermath
from nutwizard.engine.store import Store
from nutwizard.replayed import open_replay

if TYPE_CHECKING:
    from nutwizard.core.plan import Plan
    from nutwizard.engine.host import Host
    from nutwizard.engine.outcome import Outcome
    from nutwizard.engine.session import Session


def plan(args: argparse.Namespace) -> Exit:
    """Show what a replay would change."""
    named, role, host, sources = open_replay(args)
    opening.read_only(host)
    found = opening.open_session(host, sources, role, named=named).plan()
    if args.json:
        from nutwizard import as_json

        show_text(as_json.plan(found, practice=host.door is Door.PRACTICE))
    else:
        show_text(plan_words(found))
    return Exit.DONE if found.empty else Exit.WOULD_CHANGE


def apply(args: argparse.Namespace) -> Exit:
    """Replay an answers file; with --ask, ask some steps first."""
    named, role, host, sources = open_replay(args)
    opening.writing(host, on_battery=args.on_battery)
    if args.ask is not None:
        from nutwizard import dialogue

        return dialogue.ask_some(args, host, sources, named)
    session = opening.open_session(host, sources, role, named=named, on_battery=args.on_battery)
    found = session.plan()
    if not args.json:
        show_text(plan_words(found))
    if found.empty:
        if args.json:
            from nutwizard import as_json
            from nutwizard.engine.outcome import Outcome

            done = Outcome(Exit.DONE, NOTHING)
            show_text(as_json.outcome(found, done, practice=session.practice, clients=session.clients()))
        return Exit.DONE
    outcome = session.apply(opening.say)
    report(args, session, found, outcome)
    aftermath.told(host)
    return outcome.code


def undo(args: argparse.Namespace) -> Exit:
    """Put the files of a transaction back."""
    host, sources = opening.open_host(args)
    opening.writing(host, on_battery=args.on_battery)
    from nutwizard.engine.carry import carry_out, facts_for
    from nutwizard.engine.undo import target_of, undo_plan

    store = Store(host)
    number = target_of(store, args.id)
    found = undo_plan(host, store, number)
    facts = facts_for(host, sources, found.role)
    show_text(plan_words(found.hiding(facts.texts)))
    outcome = carry_out(
        host,
        facts,
        found,
        report=opening.say,
        command="undo",
        undoes=number,
        on_battery=args.on_battery,
    )
    _say_outcome(args, outcome, found)
    aftermath.told(host)
    return outcome.code


def history(args: argparse.Namespace) -> Exit:
    """List the transactions."""
    host, _ = opening.open_host(args)
    _needs_root(host)
    opening.read_only(host)
    records = Store(host).records()
    if args.json:
        from nutwizard import as_json

        show_text(as_json.history(records, practice=host.door is Door.PRACTICE))
    else:
        from nutwizard.wording.show import history_text

        show_text(history_text(records, host.now()))
    return Exit.DONE


def paths(args: argparse.Namespace) -> Exit:
    """List every file and folder that is concerned. Without root: as far as this user may see them."""
    host, sources = opening.open_host(args)
    from nutwizard.engine.listing.listed import fallback_role, list_paths
    from nutwizard.engine.roles import proposed_role as by_kind

    unseen = []
    try:
        opening.read_only(host)
    except NeedsRoot:
        unseen.append("whether a change was interrupted")
    try:
        role = opening.proposed_role(args, host, sources)
    except NeedsRoot:
        role = by_kind(sources.kind()[0])
    if role is None:
        role = fallback_role(host)
        opening.say(f"Listed as for a {role}: it is not clear what this machine is. --role says otherwise.")
    found = list_paths(host, role, unseen)
    if args.json:
        from nutwizard import as_json

        show_text(as_json.paths(found, host.now(), practice=host.door is Door.PRACTICE))
    else:
        from nutwizard.wording.pathtable import table_text

        show_text(table_text(found, host.now()))
    return Exit.DONE


def forget(args: argparse.Namespace) -> Exit:
    """Remove what a transaction keeps: old contents, and the passwords in them."""
    host, _ = opening.open_host(args)
    opening.writing(host, on_battery=args.on_battery)
    from nutwizard.engine.forget import forget as run
    from nutwizard.formats.safe import safe_text

    show_text(safe_text(run(host, Store(host), args.id, sure=args.yes)))
    return Exit.DONE


def recover(args: argparse.Namespace) -> Exit:
    """Finish or undo what an interrupted run left, and nothing else."""
    host, _ = opening.open_host(args)
    _needs_root(host)
    from nutwizard.engine.recovery import recover as run

    store = Store(host)
    done = run(host, store, opening.say, booting=args.boot, insist=args.on_battery)
    show_text(done or "There is nothing to recover: no run was interrupted.")
    from nutwizard.engine.putoff import waiting

    return Exit.NOT_WHOLE if waiting(host, store) else Exit.DONE


def _needs_root(host: Host) -> None:
    if not host.may_write():
        raise NeedsRoot("The history can be read by root only.")


def plan_words(found: Plan) -> str:
    """The plan as it is printed, in colour where that is wanted."""
    if found.empty and not found.notes:
        return NOTHING
    import os

    from nutwizard.wording.show import plan_text, wants_color

    return plan_text(found, color=wants_color(sys.stdout, os.environ))


def report(args: argparse.Namespace, session: Session, found: Plan, outcome: Outcome) -> None:
    """Print how an apply ended: as JSON, or what was found, told, and what comes next."""
    if args.json:
        from nutwizard import as_json

        show_text(as_json.outcome(found, outcome, practice=session.practice, clients=session.clients()))
        return
    from nutwizard.wording.show import findings_text

    if outcome.findings:
        show_text(findings_text(outcome.findings))
    _say_outcome(args, outcome, found)
    if outcome.code is Exit.DONE:
        from nutwizard.wording.layout import lines_of, paint
        from nutwizard.wording.screens import next_lines

        show_text(paint(lines_of(next_lines(session, outcome)), False))
    if session.practice:
        show_text(PRACTICE)


def _say_outcome(args: argparse.Namespace, outcome: Outcome, found: Plan) -> None:
    from nutwizard.formats.safe import safe_text

    for text in (*outcome.notes, outcome.text):
        show_text(safe_text(text))
    if outcome.in_force and found.files:
        from nutwizard.wording.screens import put_back

        where = opening.machine_option(args)
        show_text(put_back(outcome, lambda words: f"nutwizard{where} {words}"))
    sys.stdout.flush()


def show_text(text: str) -> None:
    """Print a result."""
    opening.write(sys.stdout, text.rstrip("\n"))


def steps_of(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The steps of `--ask a,b`. Raises AnswersError for one that this role does not have."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise AnswersError(
            [Problem(f"no such step: {', '.join(wrong) or text}; there are {', '.join(known)}")]
        )
    return names
