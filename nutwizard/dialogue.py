"""The commands that ask: the guided run, one step, and a replay that asks some of its steps.

Three carriers ask the same questions in the same order and make the same plan: screens (Textual), prompts
with arrow keys (`--plain`), numbered lines (a dumb terminal, ACCESSIBLE=1, `--plain` over a pipe).
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import cached_property

from nutwizard import commands, opening, replayed
from nutwizard.core.answers import AnswersSet
from nutwizard.core.errors import Exit, NeedsRoot, UsageError
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice
from nutwizard.crash import ScreensBroke
from nutwizard.engine import aftermath, registry
from nutwizard.engine.detect import Sources
from nutwizard.engine.host import Host
from nutwizard.engine.session import Session
from nutwizard.prompts.asker import Asker, make_asker, wants_plain
from nutwizard.wording.contract import OtherRole


class Person:
    """Who is asked, and by what. Raises UsageError where nobody can be asked."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.reachable = args.plain or (sys.stdin.isatty() and sys.stdout.isatty())
        if not self.reachable:
            raise UsageError(
                "This asks questions and needs a terminal.",
                "Without one: nutwizard apply ANSWERS, or --plain to be asked line by line over a pipe",
            )
        self._mouse = args.mouse
        self._heard: list[str] = []
        self._screens = not args.plain and not wants_plain(os.environ, sys.stdin, sys.stdout)

    @cached_property
    def asker(self) -> Asker:
        """The prompts for this terminal; before the screens come up they ask what comes first."""
        return make_asker(os.environ, sys.stdin, sys.stdout)

    def hear(self, text: str) -> None:
        """What is said before the dialogue: at once, and again on the first screen, which covers it."""
        opening.say(text)
        self._heard.append(text)

    def converse(self, session: Session, only: tuple[str, ...] = ()) -> Exit:
        """The dialogue from its first question to its result. Raises OtherRole."""
        if self._screens:
            from nutwizard.tui.run import run

            opening.loaded()
            ended = run(
                session,
                only=only,
                mouse=self._mouse,
                hint=opening.hint(session.host),
                heard=self._heard,
            )
            self._heard = []
            if ended.crashed is not None:
                raise ScreensBroke(ended.writing) from ended.crashed
            if ended.text:
                opening.write(sys.stdout, ended.text.rstrip("\n"))
            code = ended.code
        else:
            from nutwizard.prompts.guided import run as ask

            opening.loaded()
            code = ask(session, self.asker, only=only)
        aftermath.told(session.host)  # the dialogue has shown its result: the next start need not
        return code


def guided(args: argparse.Namespace) -> Exit:
    """The guided run for this machine. Without root or NUT the practice machine is offered, never taken."""
    person = Person(args)
    try:
        return _guided(args, person)
    except (NeedsRoot, UsageError) as error:
        if args.practice or args.root != "/":
            raise
        person.asker.say(f"{error.text}\n{error.hint}\n")
        question = "Look around on a practice machine instead? Nothing there is protected."
        if not person.asker.confirm(question, False):
            return error.code
    args.practice = True
    return _guided(args, person)


def _guided(args: argparse.Namespace, person: Person) -> Exit:
    while True:  # every turn waits for the person
        host, sources = opening.open_host(args, quiet=True)
        opening.writing(host, on_battery=args.on_battery, say=person.hear)
        role = opening.proposed_role(args, host, sources) or _ask_role(person.asker)
        try:
            session = opening.open_session(host, sources, role, save=True, on_battery=args.on_battery)
            return person.converse(session)
        except OtherRole as other:
            args.role = other.role.value


def step(args: argparse.Namespace) -> Exit:
    """One step again."""
    person = Person(args)
    host, sources = opening.open_host(args, quiet=True)
    opening.writing(host, on_battery=args.on_battery, say=person.hear)
    role = opening.proposed_role(args, host, sources) or _ask_role(person.asker)
    names = commands.steps_of(args.name, tuple(found.name for found in registry.steps_of(role)))
    given = replayed.typed_password(role) if args.password_stdin else None
    session = opening.open_session(
        host, sources, role, named=given, save=True, only=names, on_battery=args.on_battery
    )
    return person.converse(session, names)


def ask_some(args: argparse.Namespace, host: Host, sources: Sources, named: AnswersSet) -> Exit:
    """A replay that asks the steps of --ask."""
    assert named.role is not None
    names = commands.steps_of(args.ask, tuple(found.name for found in registry.steps_of(named.role)))
    person = Person(args)
    session = opening.open_session(host, sources, named.role, named=named, on_battery=args.on_battery)
    return person.converse(session, names)


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
