"""The pages on the command line: `nutwizard explain [TOPIC]`, without root and without NUT."""

from __future__ import annotations

import argparse

from nutwizard import opening
from nutwizard.core.errors import Exit, NeedsRoot, UsageError
from nutwizard.core.facts import Role
from nutwizard.engine import registry


def explain(args: argparse.Namespace) -> Exit:
    """Print a page, or the list of pages. Raises UsageError for a topic that there is not."""
    from nutwizard.wording import reading

    role = _role(args)
    if args.topic is None:
        opening.show_lines(reading.list_lines(role))
        return Exit.DONE
    found = registry.topics(role)
    if args.topic not in found:
        other = Role.CLIENT if role is Role.HOST else Role.HOST
        if args.topic not in registry.topics(other):
            raise UsageError(f"There is no page {args.topic}.", f"The pages are {', '.join(found)}.")
        role = other
        opening.say(f"This is a step of a {role} alone.")
    opening.show_lines(reading.topic_lines(args.topic, role))
    return Exit.DONE


def _role(args: argparse.Namespace) -> Role:
    """The role asked for, else the one of this machine, as far as this user may look."""
    if args.role:
        return Role(args.role)
    host, sources = opening.open_host(args, quiet=True)
    try:
        found = opening.proposed_role(args, host, sources)
    except NeedsRoot:
        found = None
    if found is None:
        opening.say("As a host reads it. For a machine that follows one: --role client")
    return found or Role.HOST
