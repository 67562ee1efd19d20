"""`check --watch`: look again and again, and tell what changes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nutwizard import opening
from nutwizard.core.errors import Exit
from nutwizard.core.links import Finding, LinkId, State
from nutwizard.formats.safe import safe_text

if TYPE_CHECKING:
    from nutwizard.engine.session import Session

#: Seconds between two looks at everything: each of them logs in and out, and upsd writes that down.
WHOLE = 60.0

_Known = dict[tuple[LinkId, str], Finding]


def watch(session: Session, args: argparse.Namespace) -> Exit:
    """Look until Ctrl-C, or for `--for` seconds. Ctrl-C is the usual end: the code is that of a check."""
    host = session.host
    begun = host.ticks()
    looked: float | None = None
    seen: _Known | None = None
    try:
        while True:
            now = host.ticks()
            whole = looked is None or now - looked >= WHOLE
            looked = now if whole else looked
            found = {(each.link.id, each.link.subject): each for each in session.prove(quick=not whole)}
            known, seen = seen, found if whole or seen is None else seen | found
            _tell(session, args, known, seen)
            if args.watch_for is not None and host.ticks() - begun >= args.watch_for:
                break
            host.sleep(args.watch)
    except KeyboardInterrupt:
        if seen is None:
            return Exit.INTERRUPTED
    broken = any(each.state is State.BROKEN for each in (seen or {}).values())
    return Exit.BROKEN if broken else Exit.DONE


def _tell(session: Session, args: argparse.Namespace, known: _Known | None, seen: _Known) -> None:
    """One JSON object each time; for a person everything once, and then what changes."""
    if args.json:
        from nutwizard import as_json

        at = session.host.now()
        _write(as_json.watched(session.role, seen.values(), at, practice=session.practice))
    elif known is None:
        from nutwizard.wording.show import findings_text

        _write(findings_text(seen.values()).rstrip("\n"))
        opening.say(f"Looking every {args.watch:g} s; Ctrl-C ends.")
    else:
        clock = time.strftime("%H:%M:%S", time.localtime(session.host.now()))
        for line in changes(known, seen):
            _write(safe_text(f"{clock}  {line}"))


def changes(known: Mapping[tuple[LinkId, str], Finding], seen: _Known) -> list[str]:
    """A line for every link whose state is another one, that is new, or that is gone."""
    lines = []
    for key, found in seen.items():
        before = known[key].state if key in known else None
        if before is not found.state:
            was = f"{before.value} -> " if before else "new: "
            said = "; ".join(filter(None, (found.evidence, found.cause)))
            lines.append(f"{was}{found.state.value}  {found.link.subject}: {said}")
    return [*lines, *(f"gone: {found.link.subject}" for key, found in known.items() if key not in seen)]


def _write(text: str) -> None:
    """A line at once. A reader that has gone ends the watch: BrokenPipeError goes up."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
