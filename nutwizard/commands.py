"""The commands that never ask: plan, apply, check, undo, history, forget, recover."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from nutwizard import opening
from nutwizard.core.errors import AnswersError, Exit, NeedsRoot, Problem, UsageError
from nutwizard.core.facts import PRACTICE, Door, Role
from nutwizard.core.links import State
from nutwizard.core.plan import NOTHING
from nutwizard.engine import aftermath
from nutwizard.engine.store import Store

if TYPE_CHECKING:
    from nutwizard.core.answers import AnswersSet
    from nutwizard.core.plan import Plan
    from nutwizard.engine.host import Host
    from nutwizard.engine.outcome import Outcome
    from nutwizard.engine.session import Session


def plan(args: argparse.Namespace) -> Exit:
    """Show what a replay would change."""
    named, role = _replay(args)
    host, sources = opening.open_host(args)
    opening.read_only(host)
    found = opening.open_session(host, sources, role, named=named).plan()
    if args.json:
        from nutwizard import as_json

        _print(as_json.plan(found, practice=host.door is Door.PRACTICE))
    else:
        _print(_plan_text(found))
    return Exit.DONE if found.empty else Exit.WOULD_CHANGE


def apply(args: argparse.Namespace) -> Exit:
    """Replay an answers file; with --ask, ask some steps first."""
    named, role = _replay(args)
    host, sources = opening.open_host(args)
    opening.writing(host)
    if args.ask is not None:
        from nutwizard import dialogue

        return dialogue.ask_some(args, host, sources, named)
    session = opening.open_session(host, sources, role, named=named)
    found = session.plan()
    if not args.json:
        _print(_plan_text(found))
    if found.empty:
        if args.json:
            from nutwizard import as_json
            from nutwizard.engine.outcome import Outcome

            _print(as_json.outcome(found, Outcome(Exit.DONE, NOTHING), practice=session.practice))
        return Exit.DONE
    outcome = session.apply(opening.say)
    _report(args, session, found, outcome)
    aftermath.told(host)
    return outcome.code


def check(args: argparse.Namespace) -> Exit:
    """Prove the connection, link by link."""
    host, sources = opening.open_host(args)
    opening.read_only(host)
    role = opening.proposed_role(args, host, sources)
    if role is None:
        raise UsageError(
            "It is not clear whether this machine serves a UPS or follows a server.",
            "Say it: nutwizard check --role host, or --role client",
        )
    findings = opening.open_session(host, sources, role, asked=False).prove()
    if args.json:
        from nutwizard import as_json

        _print(as_json.findings(role, findings, practice=host.door is Door.PRACTICE))
    else:
        from nutwizard.prompts.show import findings_text

        _print(findings_text(findings))
    return Exit.BROKEN if any(found.state is State.BROKEN for found in findings) else Exit.DONE


def undo(args: argparse.Namespace) -> Exit:
    """Put the files of a transaction back."""
    host, sources = opening.open_host(args)
    opening.writing(host)
    from nutwizard.engine.carry import carry_out, facts_for
    from nutwizard.engine.undo import target_of, undo_plan

    store = Store(host)
    number = target_of(store, args.id)
    found = undo_plan(host, store, number)
    _print(_plan_text(found))
    facts = facts_for(host, sources, found.role)
    outcome = carry_out(host, facts, found, report=opening.say, command="undo", undoes=number)
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

        _print(as_json.history(records, practice=host.door is Door.PRACTICE))
    else:
        from nutwizard.prompts.show import history_text

        _print(history_text(records, host.now()))
    return Exit.DONE


def forget(args: argparse.Namespace) -> Exit:
    """Remove what a transaction keeps: old contents, and the passwords in them."""
    host, _ = opening.open_host(args)
    opening.writing(host)
    from nutwizard.engine.forget import forget as run
    from nutwizard.formats.safe import safe_text

    _print(safe_text(run(host, Store(host), args.id, sure=args.yes)))
    return Exit.DONE


def recover(args: argparse.Namespace) -> Exit:
    """Finish or undo what an interrupted run left, and nothing else."""
    host, _ = opening.open_host(args)
    _needs_root(host)
    from nutwizard.engine.recovery import recover as run

    done = run(host, Store(host), opening.say, booting=args.boot)
    _print(done or "There is nothing to recover: no run was interrupted.")
    return Exit.DONE


def _replay(args: argparse.Namespace) -> tuple[AnswersSet, Role]:
    """The answers file of the command line; its role is that of everything that follows."""
    named = opening.named_answers(args.answers, Role(args.role) if args.role else None)
    assert named.role is not None
    args.role = named.role.value
    return named, named.role


def _needs_root(host: Host) -> None:
    if not host.may_write():
        raise NeedsRoot("The history can be read by root only.")


def _plan_text(found: Plan) -> str:
    if found.empty and not found.notes:
        return NOTHING
    import os

    from nutwizard.prompts.show import plan_text, wants_color

    return plan_text(found, color=wants_color(sys.stdout, os.environ))


def _report(args: argparse.Namespace, session: Session, found: Plan, outcome: Outcome) -> None:
    if args.json:
        from nutwizard import as_json

        _print(as_json.outcome(found, outcome, practice=session.practice))
        return
    from nutwizard.prompts.show import findings_text

    if outcome.findings:
        _print(findings_text(outcome.findings))
    _say_outcome(args, outcome, found)
    if session.practice:
        _print(PRACTICE)


def _say_outcome(args: argparse.Namespace, outcome: Outcome, found: Plan) -> None:
    from nutwizard.formats.safe import safe_text

    for text in (*outcome.notes, outcome.text):
        _print(safe_text(text))
    if outcome.id and found.files and outcome.code == Exit.DONE:
        where = " --practice" if args.practice else f" --root {args.root}" if args.root != "/" else ""
        _print(f"To put the files back: nutwizard{where} undo {outcome.id}")
    sys.stdout.flush()


def _print(text: str) -> None:
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
