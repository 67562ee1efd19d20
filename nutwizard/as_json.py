"""Results as JSON. README documents the shapes; secrets are masked as in the text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nutwizard.core.clients import folder_of
from nutwizard.core.facts import Owner, Role
from nutwizard.core.links import Finding, State
from nutwizard.core.plan import FileChange, Plan
from nutwizard.core.shown import diff_of, safe_text
from nutwizard.core.site import Client

if TYPE_CHECKING:
    from nutwizard.core.firewallpolicy import Place
    from nutwizard.core.firewallverdict import Packet, Verdict
    from nutwizard.core.fsd.report import Report
    from nutwizard.core.fsd.seen import Seen
    from nutwizard.core.rules.rule import Trouble
    from nutwizard.engine.doctor import Examination
    from nutwizard.engine.fsd.records import Result
    from nutwizard.engine.lastplay import LastPlay
    from nutwizard.engine.lastproof import LastProof
    from nutwizard.engine.listing.listed import PathList
    from nutwizard.engine.listing.rows import PathRow
    from nutwizard.engine.logs import Log
    from nutwizard.engine.outcome import Outcome
    from nutwizard.engine.store import Record


def plan(found: Plan, *, practice: bool) -> str:
    """`role`, `empty`, `files`, `acts`, `notes`, `practice`."""
    return _text(_plan(found) | {"practice": practice})


def outcome(found: Plan, done: Outcome, *, practice: bool, clients: Sequence[Client] = ()) -> str:
    """`code`, `text`, `transaction`, `transactions`, `notes`, `links`, `clients`, `plan`, `practice`."""
    return _text(
        {
            "code": int(done.code),
            "text": done.text,
            "transaction": done.id or None,
            "transactions": list(reversed(done.in_force)),
            "notes": list(done.notes),
            "links": [_finding(each) for each in done.findings],
            "clients": [
                {"name": each.name, "addresses": list(each.addresses), "folder": folder_of(each)}
                for each in clients
            ],
            "plan": _plan(found),
            "practice": practice,
        }
    )


def examination(role: Role, found: Examination, *, practice: bool) -> str:
    """`role`, `practice`, `broken`, `links`, `findings`, `unseen`, `log`.

    A link has id, subject, status, evidence, cause, fix, step, values; a finding id, severity, link, file,
    line, message, cause, fix, step.
    """
    links = [_finding(each) for each in found.findings]
    return _text(
        {
            "role": role.value,
            "practice": practice,
            "broken": sum(link["status"] == State.BROKEN for link in links),
            "links": links,
            "findings": [_trouble(each) for each in found.troubles],
            "unseen": list(found.unseen),
            "log": None if found.log is None else _log(found.log),
        }
    )


def status(
    proof: LastProof | None,
    why: str,
    *,
    practice: bool,
    tested: Result | None = None,
    last: LastPlay | None = None,
    files: str = "",
) -> str:
    """`protected`, `why`, `at`, `since`, `counts`, `broken`, `forced`, `rehearsed`, `practice`; times in
    seconds since the epoch. `files`: how they stand now.
    """
    from nutwizard.engine.lastproof import protects

    return _text(
        {
            "protected": protects(proof, why),
            "why": why or (None if proof is not None else "nothing was checked yet"),
            "at": proof.at if proof is not None else None,
            "since": (proof.since or None) if proof is not None else None,
            "counts": proof.counts if proof is not None else {},
            "broken": list(proof.broken) if proof is not None else [],
            "forced": None if tested is None else {"at": tested.at, "outcome": tested.outcome.value},
            "rehearsed": last.value(files) if last is not None else None,
            "practice": practice,
        }
    )


def forced(made: Report, seen: Seen) -> str:
    """As `core.fsd.value.report_value`."""
    from nutwizard.core.fsd.value import report_value

    return _text(report_value(made, seen))


def _trouble(found: Trouble) -> dict[str, Any]:
    return {
        "id": found.rule.id,
        "severity": found.severity.value,
        "link": found.rule.link.value,
        "file": found.spot.file or None,
        "line": found.spot.line or None,
        "message": found.spot.message,
        "cause": found.rule.cause,
        "fix": found.fix or None,
        "step": found.rule.step or None,
    }


def verdict(packet: Packet, found: Verdict, *, practice: bool) -> str:
    """`verdict`, `firewall`, `why`, `deciding`, `via`, `off`, `warnings`, `packet`, `practice`.

    A line is `file`, `line`, `text`; `deciding` and `via` are null where no line decides.
    """
    return _text(
        {
            "verdict": found.action,
            "firewall": "on" if found.firewall else "off",
            "why": found.why,
            "deciding": _line(found.place),
            "via": _line(found.via),
            "off": [_line(place) for place in found.off],
            "warnings": [
                {"file": each.place.file, "line": each.place.line, "text": safe_text(each.text)}
                for each in found.warnings
            ],
            "packet": {"from": packet.source, "port": packet.port, "interface": packet.interface}
            | ({"to": packet.dest} if packet.dest else {}),
            "practice": practice,
        }
    )


def _line(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"file": place.file, "line": place.line, "text": safe_text(place.text)}


def watched(role: Role, found: Iterable[Finding], at: float, *, practice: bool) -> str:
    """One look of `check --watch`, on one line: `at` (seconds since the epoch), then as `findings`."""
    links = [_finding(each) for each in found]
    broken = sum(link["status"] == State.BROKEN for link in links)
    value = {"at": round(at, 3), "role": role.value, "practice": practice, "broken": broken, "links": links}
    return json.dumps(value)


def history(records: Sequence[Record], *, practice: bool) -> str:
    """`transactions`, newest last, and `practice`."""
    return _text(
        {
            "practice": practice,
            "transactions": [
                {
                    "id": each.id,
                    "started": each.started,
                    "state": each.state,
                    "role": each.role.value,
                    "command": each.command,
                    "paths": list(each.paths),
                    "acts": [str(act) for act in each.acts],
                    "bytes": each.size,
                    "undoes": each.undoes,
                    "forgotten": each.forgotten,
                }
                for each in records
            ],
        }
    )


def paths(found: PathList, now: float, *, practice: bool) -> str:
    """`role`, `practice`, `paths`, `logs`, `transactions`, `unseen`. `now`: seconds since the epoch."""
    kept = {"count": found.kept[0], "bytes": found.kept[1]} if found.kept else None
    return _text(
        {
            "role": found.role.value,
            "practice": practice,
            "paths": [_path(row, now) for row in found.rows],
            "logs": [{"what": each.what, "command": each.command} for each in found.logs],
            "transactions": kept,
            "unseen": list(found.unseen),
        }
    )


def _path(row: PathRow, now: float) -> dict[str, Any]:
    return {
        "group": row.group.value,
        "kind": row.kind.value,
        "path": row.path,
        "there": row.there.value,
        "owner": _owner(row.owner),
        "purpose": row.purpose,
        "leads_to": row.leads_to or None,
        "backups": [
            {
                "path": each.path,
                "owner": _owner(each.owner),
                "age": max(0, int(now - each.changed)),
                "wrong": each.wrong or None,
            }
            for each in row.backups
        ],
        "wrong": [*(["it is missing"] if row.lacking else []), *row.wrong],
        "absent": row.absent or None,
        "note": row.note or None,
    }


def _log(log: Log) -> dict[str, Any]:
    return {
        "source": log.source or None,
        "why": log.why or None,
        "begin": log.begin,
        "end": log.end,
        "left_out": log.left_out,
        "events": [
            {
                "event": row.kind.value,
                "first": row.first,
                "last": row.last,
                "count": row.count,
                "ups": row.ups or None,
                "user": row.user or None,
                "address": row.address or None,
                "reason": row.reason or None,
                "text": row.text,
            }
            for row in log.rows
        ],
        "remarks": list(log.remarks),
    }


def _plan(found: Plan) -> dict[str, Any]:
    return {
        "role": found.role.value,
        "empty": found.empty,
        "files": [_change(change) for change in found.files],
        "acts": [{"act": str(act.kind), "unit": act.unit, "why": act.why} for act in found.acts],
        "notes": list(found.notes),
    }


def _change(change: FileChange) -> dict[str, Any]:
    lines = [] if change.copy_of else diff_of(change)
    return {
        "path": change.path,
        "actual": change.actual,
        "copy_of": change.copy_of or None,
        "owner_before": _owner(change.owner_before),
        "owner_after": _owner(change.owner_after),
        "steps": list(change.steps),
        "why": list(change.why),
        "diff": [line.text if line.kind == "@" else line.kind + line.text for line in lines],
    }


def _owner(owner: Owner | None) -> str | None:
    return None if owner is None else str(owner)


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "id": found.link.id.value,
        "subject": found.link.subject,
        "status": found.state.value,
        "evidence": found.evidence,
        "cause": found.cause or None,
        "fix": found.fix or None,
        "step": found.link.step,
        "awaited": found.link.awaited,
        "values": dict(found.values),
    }


def _text(value: Any) -> str:
    return json.dumps(value, indent=2)
