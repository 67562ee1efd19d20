"""A plan as it is kept: plan.json holds names, owners and reasons; contents lie apart, one file each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nutwizard.core.facts import Owner, Role
from nutwizard.core.links import LinkId
from nutwizard.core.plan import Act, ActKind, FileChange, Plan
from nutwizard.core.text import FileText
from nutwizard.engine.attributes import Attributes

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A plan and how it came to be applied. `started`: seconds since the epoch.

    `undoes`: the transaction that was to be undone; `takes_back`: itself and all that are undone with it.
    `proven`: the links that were proven before it; None where nobody could look.
    `attributes`: the extended attributes of the plan's files by number; they lie beside the contents.
    `on_battery`: whether an outage was to stop nothing, which holds for the way back, too.
    `folders`: those below /etc/pve that come, or that go when nothing is left in them.
    The contents in `plan` are placeholders without bytes until `with_contents`.
    """

    plan: Plan
    command: str
    started: int
    undoes: int | None = None
    takes_back: tuple[int, ...] = ()
    proven: frozenset[LinkId] | None = None
    attributes: Mapping[int, Attributes] = field(default_factory=dict)
    on_battery: bool = False
    folders: tuple[str, ...] = ()

    def with_contents(self, read: Callable[[str], bytes]) -> Kept:
        """The same with real bytes, read from "before/N" and "after/N". Raises OSError."""
        files = []
        for number, change in enumerate(self.plan.files):
            before = _filled(change.before, read, f"before/{number}")
            after = _filled(change.after, read, f"after/{number}")
            files.append(replace(change, before=before, after=after))
        return replace(self, plan=replace(self.plan, files=tuple(files)))


def _filled(content: FileText | None, read: Callable[[str], bytes], name: str) -> FileText | None:
    return None if content is None else FileText(content.path, read(name))


def to_json(kept: Kept) -> bytes:
    """plan.json, without one byte of contents."""
    plan = kept.plan
    value = {
        "version": _VERSION,
        "command": kept.command,
        "started": kept.started,
        "undoes": kept.undoes,
        "takes_back": kept.takes_back,
        "proven": None if kept.proven is None else sorted(kept.proven),
        "on_battery": kept.on_battery,
        "folders": kept.folders,
        "role": plan.role.value,
        "files": [_file_row(change) for change in plan.files],
        "acts": [
            {"kind": act.kind.value, "unit": act.unit, "why": act.why, "steps": act.steps}
            for act in plan.acts
        ],
        "notes": plan.notes,
    }
    return json.dumps(value, indent=1).encode() + b"\n"


def _file_row(change: FileChange) -> dict[str, Any]:
    return {
        "path": change.path,
        "actual": change.actual,
        "before": _owner_row(change.owner_before, there=change.before is not None),
        "after": _owner_row(change.owner_after, there=change.after is not None),
        "steps": change.steps,
        "why": change.why,
        "rank": change.rank,
        "copy_of": change.copy_of,
    }


def _owner_row(owner: Owner | None, *, there: bool) -> list[str | int] | None:
    if owner is None or not there:
        return None
    return [owner.user, owner.group, owner.mode]


def from_json(data: bytes) -> Kept:
    """Raises ValueError when plan.json is damaged or comes from a newer version."""
    try:
        value = json.loads(data)
        if value["version"] != _VERSION:
            raise ValueError(f"version {value['version']} is not {_VERSION}")
        plan = Plan(
            Role(value["role"]),
            tuple(_file(row) for row in value["files"]),
            tuple(Act(ActKind(r["kind"]), r["unit"], r["why"], tuple(r["steps"])) for r in value["acts"]),
            tuple(value["notes"]),
        )
        undoes, takes_back = value["undoes"], tuple(value["takes_back"])
        proven = None if value["proven"] is None else frozenset(map(LinkId, value["proven"]))
        on_battery = value.get("on_battery", False) is True
        kept = Kept(plan, value["command"], value["started"], undoes, takes_back, proven)
        return replace(kept, on_battery=on_battery, folders=tuple(value.get("folders", ())))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _file(row: dict[str, Any]) -> FileChange:
    path = row["path"]
    before, after = (Owner(*row[when]) if row[when] else None for when in ("before", "after"))
    return FileChange(
        path=path,
        actual=row["actual"],
        before=FileText(path, b"") if before else None,
        after=FileText(path, b"") if after else None,
        owner_before=before,
        owner_after=after,
        steps=tuple(row["steps"]),
        why=tuple(row["why"]),
        rank=row["rank"],
        copy_of=row["copy_of"],
    )
