"""`nutwizard rehearse`: NUT's own chain with the user's own files, on copies, with no real shutdown."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from nutwizard import checking, commands, opening
from nutwizard.core.errors import Exit, NeedsRoot, UsageError
from nutwizard.core.facts import Door, Facts, Role
from nutwizard.core.measured import How, Measurement
from nutwizard.core.measured import What as Part
from nutwizard.core.rehearsal.form import Form
from nutwizard.core.rehearsal.moments import Moment, What
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.engine import carry, measured
from nutwizard.engine.host import Host
from nutwizard.engine.rehearsal.casting import Wanted
from nutwizard.engine.rehearsal.ready import Prepared, prepare
from nutwizard.engine.rehearsal.run import Rehearsed
from nutwizard.wording.rehearsed import Timeline, head_lines, verdict_lines

if TYPE_CHECKING:
    from nutwizard.engine.detect import Sources
    from nutwizard.engine.host import Host

#: What says nothing of the machines.
_UNTOLD = (What.STAGE, What.DAEMON, What.WALL)


def rehearse(args: argparse.Namespace) -> Exit:
    """Play a power cut and judge it. Nothing outside the play is touched."""
    host, sources = opening.open_host(args)
    role, facts = _looked_at(args, host, sources)
    carry.require_nut(host.label, facts, role)
    wanted = Wanted(Scenario(args.scenario), real_time=args.real_time, verbatim=args.verbatim)
    prepared = prepare(host, facts, role, wanted, args.client)
    form = prepared.staging.form
    if form is Form.MODEL and wanted.verbatim:
        raise UsageError(
            f"--verbatim runs your SHUTDOWNCMD, and here only a model can play: {prepared.staging.why}.",
            "Without --verbatim the model plays.",
        )
    done = _played(args, host, prepared)
    if wanted.real_time and done.verdict.well and form is not Form.MODEL:
        measured.add(host, _measurements(done, host.now()))
    return Exit.DONE if done.verdict.well and not done.cut_off else Exit.BROKEN


def _measurements(done: Rehearsed, now: float) -> list[Measurement]:
    """What a play in real time has measured for the budget; a compressed one has its own intervals."""
    words = {"notice": Part.NOTICE, "last client": Part.CLIENTS, "final": Part.FINAL}
    found = done.verdict.spans
    return [
        Measurement(part, found[name], now, How.REHEARSAL) for name, part in words.items() if name in found
    ]


def _looked_at(args: argparse.Namespace, host: Host, sources: Sources) -> tuple[Role, Facts]:
    """The role and the facts; without root as far as every file can be read. Raises NeedsRoot where not."""
    try:
        opening.read_only(host)
        role = checking.role_of(args, host, sources)
        return role, carry.facts_for(host, sources, role)
    except NeedsRoot as error:
        if host.door is not Door.LIVE:
            raise
        raise NeedsRoot(
            f"A rehearsal plays with NUT's own files. {str(error).rstrip('.')}. On the practice machine it"
            " plays without root: nutwizard rehearse --practice"
        ) from None


def _played(args: argparse.Namespace, host: Host, prepared: Prepared) -> Rehearsed:
    """Play it, and show it as it happens, or all of it as JSON at the end."""
    if args.json:
        done = prepared.play(host, lambda moment: None)
        commands.show_text(as_json(done, practice=args.practice))
        return done
    staging = prepared.staging
    opening.show_lines(head_lines(prepared.wanted, prepared.company, staging, prepared.caster.limit))
    names = [each.name for each in prepared.company.sets]
    timeline = Timeline(names, lambda line: opening.show_lines([line]), staging.form)
    done = prepared.play(host, timeline.moment)
    timeline.close()
    opening.show_lines(verdict_lines(done))
    return done


def as_json(done: Rehearsed, *, practice: bool) -> str:
    """The fields that README lists for `rehearse --json`.

    Times are seconds of the play from the first thing that happens to the UPS.
    """
    verdict = done.verdict
    told = {
        "scenario": done.cast.scenario.value,
        "practice": practice,
        "form": done.form.value,
        "well": verdict.well and not done.cut_off,
        "cut_off": done.cut_off,
        "factor": done.pace.factor,
        "seconds": round(done.took, 1),
        "machines": [
            {"name": each.name, "host": each.host, "down_at": _rounded(verdict.ended.get(each.name))}
            for each in done.cast.members
        ],
        "moments": [_moment(each) for each in done.moments if each.what not in _UNTOLD],
        "findings": [
            {"severity": each.severity.value, "machine": each.machine or None, "message": each.text}
            | {"fix": each.mend or None}
            for each in verdict.items
        ],
        "spans": {name: _rounded(seconds) for name, seconds in verdict.spans.items()},
    }
    return json.dumps(told, indent=2)


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "at": _rounded(moment.at),
        "machine": moment.machine or None,
        "what": moment.what.name.lower(),
        "event": moment.kind.name if moment.kind is not None else None,
        "user": moment.user or None,
        "code": moment.code,
        "text": moment.text,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
