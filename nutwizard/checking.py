"""`nutwizard check` and `nutwizard status`: prove the chain, say what breaks it, and mend that if asked."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from nutwizard import __version__, commands, opening
from nutwizard.core import paths
from nutwizard.core.errors import Exit, NeedsRoot, UsageError
from nutwizard.core.facts import Door, Role
from nutwizard.engine import carry

if TYPE_CHECKING:
    from nutwizard.engine.detect import Sources
    from nutwizard.engine.doctor import Examination
    from nutwizard.engine.fsd.records import Result
    from nutwizard.engine.host import Host
    from nutwizard.mend import Mender


def check(args: argparse.Namespace) -> Exit:
    """Prove the chain, link by link; what a user without root may not see is told as such."""
    _sensible(args)
    host, sources = opening.open_host(args)
    if args.watch is not None:
        return _watched(args, host, sources)
    mender = _mender(args, host, sources) if args.fix else None
    role, found = look(args, host, sources)
    tell(args, host, role, found)
    if args.html is not None:
        _keep_proof(args, host, role, found)
    if mender is not None and found.broken:
        return mender.mend(role, found)
    if mender is not None:
        opening.say("Nothing is broken: --fix changes nothing.")
    return Exit.BROKEN if found.broken else Exit.DONE


def status(args: argparse.Namespace) -> Exit:
    """One line: protected or not, and since when that is proven. Reads what the last check has kept."""
    host, sources = opening.open_host(args, quiet=True)
    from nutwizard.engine.lastplay import last_plays, played_files, that_counts
    from nutwizard.engine.lastproof import last_proof, protects, stands
    from nutwizard.wording.proof import status_line
    from nutwizard.wording.rehearsing import rehearsed_line

    if not host.may_write():
        raise NeedsRoot("The last check is kept for root only.")
    proof, plays = last_proof(host), last_plays(host)
    why = files = never = ""
    if proof is not None or plays:
        role = role_of(args, host, sources)
        facts = carry.facts_for(host, sources, role)
        why, files = stands(host, proof, facts) if proof is not None else "", played_files(facts)
        never = "Never rehearsed"
    practice, last, (tested, told) = host.door is Door.PRACTICE, that_counts(plays, files), _tested(host)
    if args.json:
        from nutwizard import as_json

        commands.show_text(
            as_json.status(proof, why, practice=practice, tested=tested, last=last, files=files)
        )
    else:
        line = status_line(proof, why, host.now(), practice=practice)
        rehearsed = rehearsed_line(last, files) if last is not None else never
        commands.show_text(". ".join(filter(None, (line, rehearsed, told))))
    return Exit.DONE if protects(proof, why) else Exit.BROKEN


def _tested(host: Host) -> tuple[Result | None, str]:
    """What came of the last test of a forced shutdown, and a sentence about it; (None, "") without any."""
    if host.stat(paths.FSD) is None:
        return None, ""
    from nutwizard.engine.fsd.records import Records
    from nutwizard.wording.fsd import tested_line

    result = Records(host).result()
    return result, tested_line(result)


def look(args: argparse.Namespace, host: Host, sources: Sources) -> tuple[Role, Examination]:
    """Examine the machine. Raises Unfinished, Locked, UsageError as every command that reads."""
    from nutwizard.engine.lastproof import examine_and_keep

    fixes = getattr(args, "fix", False) or (args.command == "fsd" and not args.show)
    try:
        opening.read_only(host, about_fsd=not fixes)  # who writes has been reminded
    except NeedsRoot:
        if not getattr(args, "quiet", False):
            opening.say("Without root: whether a change was interrupted is not known.")
    role = role_of(args, host, sources)
    facts = carry.facts_for(host, sources, role, partly=not host.may_write())
    carry.require_nut(host.label, facts, role)
    return role, examine_and_keep(host, facts, role)


def role_of(args: argparse.Namespace, host: Host, sources: Sources) -> Role:
    """The role, also where only root may read what tells it. Raises UsageError where nothing does."""
    from nutwizard.engine.roles import proposed_role as by_kind

    try:
        role = opening.proposed_role(args, host, sources)
    except NeedsRoot:
        role = by_kind(sources.kind()[0])
    if role is None:
        raise UsageError(
            "It is not clear whether this machine serves a UPS or follows a server.",
            f"Say it: nutwizard {args.command} --role host, or --role client",
        )
    return role


def _sensible(args: argparse.Namespace) -> None:
    if args.watch_for is not None and args.watch is None:
        raise UsageError("--for says how long --watch goes on: it needs --watch")
    if args.watch is not None and (args.fix or args.quiet or args.html is not None):
        raise UsageError("--watch goes with none of --fix, --quiet and --html")
    if args.fix and args.json:
        raise UsageError("--fix shows what it would change and asks: it does not go with --json")
    if args.password_stdin and not args.fix:
        raise UsageError("--password-stdin gives the password that --fix may need: it needs --fix")
    if args.yes and not args.fix:
        raise UsageError("--yes answers the question of --fix: it needs --fix")


def _watched(args: argparse.Namespace, host: Host, sources: Sources) -> Exit:
    from nutwizard import watching

    opening.read_only(host)
    session = opening.open_session(host, sources, role_of(args, host, sources), asked=False)
    return watching.watch(session, args)


def tell(args: argparse.Namespace, host: Host, role: Role, found: Examination) -> None:
    """Print what was found, in the form that the options ask for."""
    if args.json:
        from nutwizard import as_json

        commands.show_text(as_json.examination(role, found, practice=host.door is Door.PRACTICE))
        return
    from nutwizard.wording.checked import examination_text, quiet_text

    text = quiet_text(found) if args.quiet else examination_text(found)
    if text:
        commands.show_text(_as_called(args, text))


def _as_called(args: argparse.Namespace, text: str) -> str:
    """What is to be run next, on the machine that was looked at."""
    where = opening.machine_option(args)
    return re.sub(r"(?m)(^ +mend: .*?\bnutwizard)(?= [a-z])", rf"\1{where}", text) if where else text


def _keep_proof(args: argparse.Namespace, host: Host, role: Role, found: Examination) -> None:
    from nutwizard.engine.keeping import keep
    from nutwizard.wording.proof import proof_html

    page = proof_html(role, found, host.now(), version=__version__, practice=host.door is Door.PRACTICE)
    keep(args.html, page)
    opening.say(f"The proof is in {args.html}.")


def _mender(args: argparse.Namespace, host: Host, sources: Sources) -> Mender:
    from nutwizard.mend import Mender

    mender = Mender(args, host, sources)
    opening.writing(host, on_battery=args.on_battery)
    return mender
