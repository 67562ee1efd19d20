"""`nutwizard test-event EVENT`: what would arrive where, without anything having happened."""

from __future__ import annotations

import argparse

from nutwizard import checking, commands, opening
from nutwizard.core.errors import Exit, NeedsRoot
from nutwizard.core.rules.rule import Look
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.engine import carry, registry


def test_event(args: argparse.Namespace) -> Exit:
    """Send the event and tell what became of it."""
    host, sources = opening.open_host(args)
    if not host.may_write():
        raise NeedsRoot("Only root may become user nut, as whom upssched and the script run.")
    opening.read_only(host)
    role = checking.role_of(args, host, sources)
    facts = carry.facts_for(host, sources, role)
    carry.require_nut(host.label, facts, role)
    from nutwizard.engine.testevent import send
    from nutwizard.wording.sent import sent_text

    sent = send(host, Look(View(facts, Site(role), registry.asset)), args.event, sure=args.yes)
    commands.show_text(sent_text(sent))
    return Exit.BROKEN if sent.wrong else Exit.DONE
