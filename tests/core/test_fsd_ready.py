"""What has to be so before a forced shutdown, machine by machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard.core.facts import Door, Lazy
from nutwizard.core.fsd.items import items
from nutwizard.core.fsd.ready import Person, Ready, Standing, asked, blocked
from nutwizard.core.paths import CLIENTS_LIST
from nutwizard.core.rules.rule import Look
from tests.support.rule_cases import look_at

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "fsd" / "ready.yaml").read_text(encoding="utf-8")
)
PROVEN = [{"link": "ups", "state": "proven"}, {"link": "upsmon", "state": "proven", "target": "LoggedIn"}]
GUESTS = [{"id": 100, "name": "web", "onboot": True}]


def ready_of(case: dict[str, Any]) -> Ready:
    """A sound machine, where the case says nothing else."""
    spec = {key: value for key, value in case.items() if key not in ("name", "base", "ready", "expect")}
    files = {CLIENTS_LIST: "web 192.168.1.10\n", **spec.pop("files", {})}
    look = named(look_at(case["base"], {"findings": PROVEN, "guests": GUESTS, "files": files, **spec}))
    known: dict[str, Any] = {
        "logged_in": {"apc": ["127.0.0.1", "192.168.1.10"]},
        "loads": "nothing",
        "people": [],
    }
    known |= case.get("ready", {})
    people = known.pop("people")
    return Ready(look, people=None if people is None else tuple(Person(*each) for each in people), **known)


def named(look: Look) -> Look:
    facts = replace(look.facts, hostname="pve")
    return replace(look, view=replace(look.view, facts=facts, parsed={}))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    found = items(ready_of(case))

    assert {item.key: item.standing.value for item in found if item.standing is not Standing.MET} == case[
        "expect"
    ]
    assert len({item.key for item in found}) == len(found)
    assert all(item.title and item.evidence for item in found)
    assert all(item.fix for item in (*blocked(found), *asked(found)) if not item.key.startswith("link:"))


def test_every_thing_is_seen_met_and_not_met() -> None:
    kinds: dict[str, set[Standing]] = {}
    for case in CASES:
        for item in items(ready_of(case)):
            kinds.setdefault(item.key.partition(":")[0], set()).add(item.standing)

    alone = {"stranger", "link", "name"}
    assert {kind for kind, seen in kinds.items() if Standing.MET not in seen} <= alone
    assert {kind for kind, seen in kinds.items() if seen == {Standing.MET}} <= alone


def test_what_is_no_real_machine_is_in_the_way() -> None:
    ready = ready_of(CASES[0])
    for door in (Door.PRACTICE, Door.OFFLINE):
        facts = replace(ready.look.facts, door=door, guests=Lazy.of(()))
        view = replace(ready.look.view, facts=facts, parsed={})
        found = items(replace(ready, look=replace(ready.look, view=view)))

        assert [item.key for item in blocked(found)] == ["machine"]


def test_a_host_without_a_name_fires_nothing() -> None:
    ready = ready_of(CASES[0])
    view = replace(ready.look.view, facts=replace(ready.look.facts, hostname=""), parsed={})

    assert [item.key for item in blocked(items(replace(ready, look=replace(ready.look, view=view))))] == [
        "name"
    ]
