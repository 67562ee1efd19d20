"""`nutwizard fsd` and `nutwizard fsd report`: the real test of a forced shutdown, with a safety catch."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from nutwizard import checking, commands, opening
from nutwizard.core.errors import Exit, Failed, NeedsRoot, UsageError
from nutwizard.core.facts import Door, Facts, Role
from nutwizard.core.fsd.items import items
from nutwizard.core.fsd.ready import blocked
from nutwizard.core.rules.rule import Look
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.engine import carry, registry
from nutwizard.wording import fsd as wording
from nutwizard.wording.layout import WIDEST, fitted, lines_of, paint

if TYPE_CHECKING:
    from nutwizard.engine.detect import Sources
    from nutwizard.engine.host import Host


def fsd(args: argparse.Namespace) -> Exit:
    """Show what has to be so and what will happen; ask; fire. On a client: wait and watch."""
    _sensible(args)
    if args.what == "report":
        return _report(args)
    host, sources = opening.open_host(args)
    if host.door is Door.OFFLINE:
        raise UsageError("The files of a folder cannot be shut down: fsd needs the running machine.")
    if not host.may_write():
        raise NeedsRoot("Only root may read what tells whether that would end well, and fire it.")
    role = checking.role_of(args, host, sources)
    if args.show:
        return _show(args, host, sources)
    if role is Role.CLIENT:
        return _follow(args, host, sources)
    return _test(args, host, sources)


def _sensible(args: argparse.Namespace) -> None:
    if args.what != "report" and args.client:
        raise UsageError("--client gives a client's report to nutwizard fsd report")
    if args.what == "report" and args.show:
        raise UsageError("--show is for nutwizard fsd, before a test")
    if args.json and args.what != "report":
        raise UsageError("nutwizard fsd asks and shows: only nutwizard fsd report goes with --json")


def _show(args: argparse.Namespace, host: Host, sources: Sources) -> Exit:
    """Preconditions and sequence, and nothing else."""
    from nutwizard.engine.fsd.asking import ready_for

    role, found = checking.look(args, host, sources)
    ready = ready_for(host, role, found)
    rows = items(ready)
    commands.show_text(paint(lines_of(wording.ready_lines(ready, rows)), False))
    return Exit.BROKEN if blocked(rows) else Exit.DONE


def _test(args: argparse.Namespace, host: Host, sources: Sources) -> Exit:
    """Ask everything, and fire. Only a person at a terminal gets so far."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "A forced shutdown is only fired by a person at a terminal.",
            "Without one: nutwizard fsd --show tells what stands in the way and what would happen",
        )
    opening.writing(host, on_battery=args.on_battery)
    from nutwizard.engine.fsd.asking import ready_for
    from nutwizard.prompts.asker import make_asker
    from nutwizard.prompts.firing import converse

    role, found = checking.look(args, host, sources)
    asker = make_asker(os.environ, sys.stdin, sys.stdout)
    opening.loaded()
    return converse(host, ready_for(host, role, found), asker)


def _follow(args: argparse.Namespace, host: Host, sources: Sources) -> Exit:
    """On a client: wait for the FSD of its host."""
    from nutwizard.engine.fsd.following import count_down, follow

    if host.door is Door.PRACTICE:
        commands.show_text(wording.PRACTICE_END)
        return Exit.DONE
    opening.writing(host, on_battery=args.on_battery)
    look = Look(View(_facts(host, sources, Role.CLIENT), Site(Role.CLIENT), registry.asset))

    def tell(text: str) -> None:
        commands.show_text(paint([part for line in lines_of(text) for part in fitted(line, WIDEST)], False))

    record = follow(host, look, tell)
    if record is None:
        raise Failed("No FSD came.", "Nothing has happened to this machine.")
    count_down(host, look, record, tell)
    return Exit.FAILED


def _facts(host: Host, sources: Sources, role: Role) -> Facts:
    facts = carry.facts_for(host, sources, role)
    carry.require_nut(host.label, facts, role)
    return facts


def _report(args: argparse.Namespace) -> Exit:
    """What became of the newest test. Exit code 4 where it did not end well, or that is not known."""
    host, sources = opening.open_host(args)
    if not host.may_write():
        raise NeedsRoot("Only root may read what is kept of a test, and the journal.")
    if host.door is not Door.LIVE:
        raise UsageError("No forced shutdown is tested here: this is no running machine.")
    opening.read_only(host, about_fsd=False)
    role = checking.role_of(args, host, sources)
    from nutwizard.engine.fsd.reporting import keep_measured, read_clients, report_on

    made, own = report_on(host, _facts(host, sources, role), role, read_clients(args.client or ()))
    keep_measured(host, made)
    if args.json:
        from nutwizard import as_json

        commands.show_text(as_json.forced(made, own))
    else:
        commands.show_text(paint(lines_of(wording.report_lines(made)), False))
    return Exit.DONE if wording.ended_well(made) else Exit.BROKEN
