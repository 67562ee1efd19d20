"""Reports on forced shutdowns: logs that real daemons of three versions wrote, and what may go wrong.

A file of `tests/cases/fsd/reports` holds one: `record` (the rest as in RECORD), `notes` (when, what, who),
`own`, `clients` (what was seen of a machine: `log` is a folder of tests/cases/logs, `lines` stand for one),
`today`; and what comes of it: `outcome`, `durations`, `shown`. Times are seconds since the epoch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard import as_json
from nutwizard.core.facts import Role
from nutwizard.core.fsd.moments import Times, client_moments, moments
from nutwizard.core.fsd.record import Happened, Note, Record, record_json, record_of
from nutwizard.core.fsd.report import Case, Outcome, Report, Today, make_report
from nutwizard.core.fsd.seen import Seen, Told, last_sequence, seen_of
from nutwizard.core.loglines import lines_of
from nutwizard.core.logtexts import events_of, reader
from nutwizard.core.site import Client
from nutwizard.wording.fsd import report_lines
from nutwizard.wording.layout import lines_of as shown_lines
from nutwizard.wording.layout import paint

CASES = Path(__file__).parents[1] / "cases"
NAMES = sorted(path.stem for path in (CASES / "fsd" / "reports").glob("*.yaml"))
#: The logs were recorded on this day.
DAY = datetime(2026, 11, 24, 18, 0, tzinfo=UTC).timestamp()
BEFORE, AFTER = "a" * 32, "b" * 32
VM = "192.168.1.10"
RECORD: dict[str, Any] = {
    "id": 1, "boot": BEFORE, "role": "host", "host": "pve", "systems": ["apc@localhost"], "nut": "2.8.0",
    "clients": {"debiantpl": [VM]}, "logged_in": [VM], "offdelay": 60, "ondelay": 70, "logs_command": True,
    "acknowledged": [],
}  # fmt: skip


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CASES / "fsd" / "reports" / f"{name}.yaml").read_text())
    return found


def told(spec: dict[str, Any]) -> Iterator[Told]:
    text = spec["lines"] if "lines" in spec else (CASES / "logs" / spec["log"] / "log").read_text()
    for event in events_of(lines_of(text, DAY, UTC), reader({}), 0.0, DAY):
        yield Told(event.line.at, event.kind, event.line.text)


def seen_in(spec: dict[str, Any], role: Role, machine: str) -> Seen:
    there = "lines" in spec or "log" in spec
    return Seen(
        spec.get("machine", machine),
        role,
        tuple(spec.get("addresses", ())),
        last_sequence(told(spec)) if there else (),
        "the journal" if there else "",
        spec.get("why", ""),
        spec.get("last"),
        spec.get("boot", BEFORE),
        spec.get("now", AFTER),
        float(spec.get("booted", 0)),
        spec.get("whole"),
    )


def record_in(spec: dict[str, Any]) -> Record:
    values = {**RECORD, **spec}
    role = Role(values["role"])
    times = Times(offdelay=values["offdelay"], ondelay=values["ondelay"])
    return Record(
        id=values["id"], at=float(values["at"]), boot=values["boot"], role=role, host=values["host"],
        systems=tuple(values["systems"]), nut=values["nut"],
        clients=tuple(Client(name, tuple(each)) for name, each in values["clients"].items()),
        logged_in=tuple(values["logged_in"]),
        moments=moments(times, len(values["logged_in"])) if role is Role.HOST else client_moments(5),
        offdelay=values["offdelay"], ondelay=values["ondelay"], logs_command=values["logs_command"],
        acknowledged=tuple(values["acknowledged"]),
    )  # fmt: skip


def case_in(spec: dict[str, Any]) -> Case:
    record = record_in(spec["record"])
    today = dict(spec.get("today", {}))
    for name in ("logged_in", "guests"):
        if today.get(name) is not None:
            today[name] = tuple(today[name])
    return Case(
        record,
        tuple(Note(float(at), Happened(what), who) for at, what, who in spec.get("notes", ())),
        seen_in(spec["own"], record.role, record.host),
        tuple(seen_in(each, Role.CLIENT, "debiantpl") for each in spec.get("clients", ())),
        Today(**today),
    )


def shown(made: Report) -> str:
    return paint(shown_lines(report_lines(made)), False)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str) -> None:
    spec = load(name)
    made = make_report(case_in(spec))

    assert shown(made) == spec["shown"]
    assert made.outcome.value == spec["outcome"]
    assert {what: round(seconds, 1) for what, seconds in made.durations.items()} == spec["durations"]
    assert max(map(len, spec["shown"].splitlines())) <= 120


def test_every_outcome_and_every_version_is_there() -> None:
    specs = [load(name) for name in NAMES]

    assert {spec["outcome"] for spec in specs} == {outcome.value for outcome in Outcome}
    logs = {machine.get("log") for spec in specs for machine in (spec["own"], *spec.get("clients", ()))}
    assert {
        f"{version}-{role}" for version in ("2.7.4", "2.8.0", "2.8.1") for role in ("host", "client")
    } <= logs


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_read_again(name: str) -> None:
    record = record_in(load(name)["record"])

    assert record_of(record_json(record).encode()) == record


@pytest.mark.parametrize("name", NAMES)
def test_a_handed_over_report_says_the_same(name: str) -> None:
    case = case_in(load(name))
    text = as_json.forced(make_report(case), case.own)

    assert seen_of(text.encode()) == case.own


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b'{"seen": 3}', b'{"seen": {}}', b"\xff\xfe", b"[" * 100000,
        b'{"seen": {"machine": "x", "role": "king", "addresses": [], "told": []}}',
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="this is no report"):
        seen_of(data)
    with pytest.raises(ValueError, match=r".+"):
        record_of(data)


def test_text_of_another_machine_is_made_safe() -> None:
    case = case_in(load(NAMES[0]))
    value = json.loads(as_json.forced(make_report(case), case.own))
    value["seen"]["machine"] = "x\x1b[2J\u202e"
    value["seen"]["addresses"] = ["127.0.0.1 or so", VM]

    seen = seen_of(json.dumps(value).encode())

    assert (seen.machine, seen.addresses) == ("x\\x1b[2J\\u202e", (VM,))
