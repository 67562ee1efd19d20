"""A job for the worker and its answer, as JSON lines over a pipe. Nothing of it is written to a disk.

The job carries real bytes, passwords among them: besides the files, only the pipe may hold them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from nutwizard.core import errors
from nutwizard.core.errors import Exit, WizardError
from nutwizard.core.links import Finding, Link, LinkId, State, Told
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.stored import Kept, from_json, to_json

_ERRORS: Mapping[str, type[WizardError]] = {
    kind.__name__: kind
    for kind in (
        errors.Failed,
        errors.Locked,
        errors.NeedsRoot,
        errors.NotWhole,
        errors.Unfinished,
        errors.UsageError,
    )
}


def job_line(root: str, kept: Kept) -> bytes:
    """The machine ("/" or a folder), and a plan with its contents."""
    contents = {
        f"{when}/{number}": base64.b64encode(text.data).decode()
        for number, change in enumerate(kept.plan.files)
        for when, text in (("before", change.before), ("after", change.after))
        if text is not None
    }
    return _line({"root": root, "kept": json.loads(to_json(kept)), "contents": contents})


def read_job(line: bytes) -> tuple[str, Kept]:
    """The job of `job_line`. Raises ValueError when it is not whole."""
    value = json.loads(line)
    contents: Mapping[str, str] = value["contents"]
    kept = from_json(json.dumps(value["kept"]).encode())
    return value["root"], kept.with_contents(lambda name: base64.b64decode(contents[name]))


def progress_line(text: str) -> bytes:
    """One act as it happens."""
    return _line({"report": text})


def outcome_line(outcome: Outcome) -> bytes:
    """The end of a job that was begun."""
    return _line({"outcome": outcome_value(outcome)})


def error_line(error: WizardError) -> bytes:
    """The end of a job that could not begin, or is not whole."""
    return _line({"error": {"kind": type(error).__name__, "text": error.text, "hint": error.hint}})


def read_answer(line: bytes) -> str | Outcome | WizardError:
    """A progress text, the outcome, or the error. Raises ValueError for anything else."""
    value = json.loads(line)
    if "report" in value:
        return str(value["report"])
    if "outcome" in value:
        return read_outcome(value["outcome"])
    error = value["error"]
    return _ERRORS.get(error["kind"], WizardError)(error["text"], error["hint"])


def outcome_value(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON values."""
    return {
        "code": int(outcome.code),
        "text": outcome.text,
        "id": outcome.id,
        "earlier": list(outcome.earlier),
        "notes": list(outcome.notes),
        "signals": list(outcome.signals),
        "findings": [
            {
                "id": found.link.id.value,
                "subject": found.link.subject,
                "step": found.link.step,
                "awaited": found.link.awaited,
                "state": found.state.value,
                "evidence": found.evidence,
                "cause": found.cause,
                "fix": found.fix,
                "values": dict(found.values),
            }
            for found in outcome.findings
        ],
    }


def read_outcome(value: Mapping[str, Any]) -> Outcome:
    """The outcome of `outcome_value`; what its links were aimed at stays behind."""
    findings = tuple(
        Finding(
            Link(LinkId(row["id"]), row["subject"], Told(), row["step"], row["awaited"]),
            State(row["state"]),
            row["evidence"],
            row["cause"],
            row["fix"],
            row["values"],
        )
        for row in value["findings"]
    )
    return Outcome(
        Exit(value["code"]),
        value["text"],
        findings,
        value["id"],
        tuple(value["notes"]),
        tuple(value["signals"]),
        tuple(value["earlier"]),
    )


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
