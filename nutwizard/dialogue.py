"""The commands that ask: the guided run, one step, and a replay that asks some of its steps."""

from __future__ import annotations

import argparse
import os
import sys

from nutwizard import commands, opening, replayed
from nutwizard.core.answers import AnswersSet
from nutwizard.core.errors import Exit, NeedsRoot, UsageError
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice
from nutwizard.engine import aftermath, registry
from nutwizard.engine.detect import Sources
from nutwizard.engine.host import Host
from nutwizard.prompts.asker import Asker, make_asker
from nutwizard.wording.contract import OtherRole


def guided(args: argparse.Namespace) -> Exit:
    """The guided run for this machine. Without root or NUT the practice machine is offered, never taken."""
    asker = _asker(args)
    try:
        return _guided(args, asker)
    except (NeedsRoot, UsageError) as error:
        if args.practice or args.root != "/" or not _interactive(args):
            raise
        asker.say(f"{error.text}\n{error.hint}\n")
        if not asker.confirm("Look around on a practice machine instead? Nothing there is protected.", False):
            return error.code
    args.practice = True
    return _guided(args, asker)


def _guided(args: argparse.Namespace, asker: Asker) -> Exit:
    from nutwizard.prompts import guided as front_end

    while True:  # every turn waits for the person
        host, sources = opening.open_host(args, quiet=True)
        opening.writing(host, on_battery=args.on_battery)
        role = opening.proposed_role(args, host, sources) or _ask_role(asker)
        try:
            session = opening.open_session(host, sources, role, save=True, on_battery=args.on_battery)
            return _ended(host, front_end.run(session, asker))
        except OtherRole as other:
            args.role = other.role.value


def step(args: argparse.Namespace) -> Exit:
    """One step again."""
    from nutwizard.prompts import guided as front_end

    asker = _asker(args)
    host, sources = opening.open_host(args, quiet=True)
    opening.writing(host, on_battery=args.on_battery)
    role = opening.proposed_role(args, host, sources) or _ask_role(asker)
    names = commands.steps_of(args.name, tuple(found.name for found in registry.steps_of(role)))
    given = replayed.typed_password(role) if args.password_stdin else None
    session = opening.open_session(
        host, sources, role, named=given, save=True, only=names, on_battery=args.on_battery
    )
    return _ended(host, front_end.run(session, asker, only=names))


def ask_some(args: argparse.Namespace, host: Host, sources: Sources, named: AnswersSet) -> Exit:
    """A replay that asks the steps of --ask."""
    from nutwizard.prompts import guided as front_end

    assert named.role is not None
    names = commands.steps_of(args.ask, tuple(found.name for found in registry.steps_of(named.role)))
    session = opening.open_session(host, sources, named.role, named=named, on_battery=args.on_battery)
    return _ended(host, front_end.run(session, _asker(args), only=names))


def _ended(host: Host, code: Exit) -> Exit:
    """The dialogue has shown its result: the next start need not."""
    aftermath.told(host)
    return code


def _interactive(args: argparse.Namespace) -> bool:
    return args.plain or (sys.stdin.isatty() and sys.stdout.isatty())


def _asker(args: argparse.Namespace) -> Asker:
    """The prompts for this terminal. Raises UsageError where nobody can be asked."""
    if not _interactive(args):
        raise UsageError(
            "This asks questions and needs a terminal.",
            "Without one: nutwizard apply ANSWERS, or --plain to be asked line by line over a pipe",
        )
    return make_asker(args.plain, os.environ, sys.stdin, sys.stdout)


def _ask_role(asker: Asker) -> Role:
    answer = asker.choose(
        "What does this machine do?",
        [
            Choice("host", "the UPS is connected here; it serves the UPS to others"),
            Choice("client", "it follows the UPS of another machine"),
        ],
        "client",
    )
    return Role(answer)
