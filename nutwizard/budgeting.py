"""`nutwizard budget`: what a shutdown needs against what the battery gives. It changes nothing."""

from __future__ import annotations

import argparse
import json

from nutwizard import checking, commands, opening
from nutwizard.core.errors import Exit, NeedsRoot
from nutwizard.core.facts import Door
from nutwizard.engine import carry


def budget(args: argparse.Namespace) -> Exit:
    """The budget of this machine. Exit code 4 where it does not fit; 0 where it fits, or nobody can tell."""
    host, sources = opening.open_host(args)
    from nutwizard.core.budget.result import Verdict
    from nutwizard.engine.budget import budget as reckoned
    from nutwizard.wording.budget import budget_text, budget_value

    try:
        opening.read_only(host)
    except NeedsRoot:
        opening.say("Without root: what only root may read is left out, and named.")
    role = checking.role_of(args, host, sources)
    facts = carry.facts_for(host, sources, role, partly=not host.may_write())
    carry.require_nut(host.label, facts, role)
    found = reckoned(host, facts, role)
    if args.json:
        value = budget_value(found, practice=host.door is Door.PRACTICE)
        commands.show_text(json.dumps(value, indent=2))
    else:
        commands.show_text(budget_text(found, opening.machine_option(args)))
    return Exit.BROKEN if found.verdict is Verdict.TOO_LONG else Exit.DONE
