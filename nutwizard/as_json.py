"""Results as JSON. README documents the shapes; secrets are masked as in the text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nutwizard.core.facts import Owner, Role
from nutwizard.core.links import Finding, State
from nutwizard.core.plan import FileChange, Plan
from nutwizard.formats.redact import diff

if TYPE_CHECKING:
    from nutwizard.engine.outcome import Outcome
    from nutwizard.engine.store import Record


def plan(found: Plan, *, practice: bool) -> str:
    """`role`, `empty`, `files`, `acts`, `notes`, `practice`."""
    return _text(_plan(found) | {"practice": practice})


def outcome(found: Plan, done: Outcome, *, practice: bool) -> str:
    """`code`, `text`, `transaction`, `notes`, `links`, `plan`, `practice`."""
    return _text(
        {
            "code": int(done.code),
            "text": done.text,
            "transaction": done.id or None,
            "notes": list(done.notes),
            "links": [_finding(each) for each in done.findings],
            "plan": _plan(found),
            "practice": practice,
        }
    )


def findings(role: Role, found: Iterable[Finding], *, practice: bool) -> str:
    """`role`, `links`; a link has id, subject, status, evidence, cause, fix, step, values."""
    links = [_finding(each) for each in found]
    broken = [link for link in links if link["status"] == State.BROKEN]
    return _text({"role": role.value, "practice": practice, "broken": len(broken), "links": links})


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


def _plan(found: Plan) -> dict[str, Any]:
    return {
        "role": found.role.value,
        "empty": found.empty,
        "files": [_change(change) for change in found.files],
        "acts": [{"act": str(act.kind), "unit": act.unit, "why": act.why} for act in found.acts],
        "notes": list(found.notes),
    }


def _change(change: FileChange) -> dict[str, Any]:
    before = change.before.data if change.before else None
    after = change.after.data if change.after else None
    lines = [] if change.copy_of else diff(change.path, before, after)
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
        "values": dict(found.values),
    }


def _text(value: Any) -> str:
    return json.dumps(value, indent=2)
