"""The model of NUT against the real NUT: every case that does not depend on a script, as it was recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import pytest

from nutwizard.core.rehearsal.form import Form
from nutwizard.engine.rehearsal import run
from tests.support.rehearsal_cases import Case, cases
from tests.support.rehearsal_recording import RECORDED, as_recorded

CASES = [case for case in cases() if case.modelled]
#: Of these the order is compared.
COMPARED = ("UPS", "EVENT", "CALLED", "END", "HOOK", "CUT")
#: The daemons' start, and the words of a made-up driver: a model has none of it to tell.
LEFT_OUT = ("NO_DRIVER", "LOGGED_IN")
#: Seconds: what is closer together in a recording may come the other way round in the next.
APART = 1.2
#: Seconds within which a machine goes down as it was recorded: a poll of a second, and what upsmon rounds.
CLOSE = 1.3

Row = tuple[str, str, str]


def recorded(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{case.name}.json").read_text())
    return found


def modelled(case: Case) -> dict[str, Any]:
    return as_recorded(run.rehearse(case.caster(), form=Form.MODEL))


def rows(seen: Mapping[str, Any]) -> dict[Row, float]:
    """The first time of everything that is compared: (machine, what, kind or text)."""
    out: dict[Row, float] = {}
    for at, machine, what, kind, text, _ in seen["moments"]:
        if what in COMPARED and kind not in LEFT_OUT:
            out.setdefault((machine, what, kind or text), at)
    return out


def streams(found: Mapping[Row, float]) -> dict[str, list[Row]]:
    """By who writes it, in order: upsmon of a machine, its calls, the host's upsd."""
    out: dict[str, list[Row]] = {}
    for row in sorted(found, key=lambda row: found[row]):
        machine, what, kind = row
        who = "upsd" if kind == "SET_FSD" else f"{machine} {'calls' if what == 'CALLED' else ''}"
        out.setdefault(who, []).append(row)
    return out


def contradictions(real: Mapping[Row, float], model: Mapping[Row, float]) -> Iterator[tuple[Row, Row]]:
    """What clearly came one way round with real NUT, and comes the other way round in the model."""
    for one, other in combinations(sorted(real, key=lambda row: real[row]), 2):
        if real[other] - real[one] > APART and model[other] < model[one]:
            yield one, other


def broken(seen: Mapping[str, Any]) -> list[str]:
    return sorted(text for text in seen["findings"] if text.startswith("broken "))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_as_recorded(case: Case) -> None:
    real, model = recorded(case), modelled(case)
    expected, found = rows(real), rows(model)
    assert streams(found) == streams(expected)
    assert list(contradictions(expected, found)) == []
    assert broken(model) == broken(real)
    assert model["ended"].keys() == real["ended"].keys()
    for name, at in real["ended"].items():
        assert abs(model["ended"][name] - at) < CLOSE, name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_judged_as_the_real_one(case: Case) -> None:
    """What a case expects of the verdict on NUT's own play, but for what a script says and how it ends."""
    done = run.rehearse(case.caster(), form=Form.MODEL)
    assert done.verdict.well is case.expect["well"]
    ended = sorted(done.verdict.ended, key=lambda name: done.verdict.ended[name])
    assert ended == case.expect.get("order", ended)


def test_every_case_is_recorded() -> None:
    assert sorted(file.stem for file in RECORDED.glob("*.json")) == sorted(case.name for case in cases())


def test_what_is_not_known_is_said() -> None:
    """A script that is not nutwizard's own may do anything: the model does not say that it does nothing."""
    case = next(case for case in cases() if case.name == "timer-shuts-down")
    found = as_recorded(run.rehearse(case.caster(), form=Form.MODEL))["findings"]
    assert any(
        re.match("note all: if the timers of pve, vm1 shut nobody down: everybody", one) for one in found
    )
    assert any(re.match("note all: the script of pve, vm1 did not run", one) for one in found)


def test_a_real_time_play_takes_no_time() -> None:
    """The user's own intervals: a timer of 300 s is over in less than a second, and its moment says 300 s."""
    case = next(case for case in cases() if case.name == "timer-of-ours")
    done = run.rehearse(Case(case.name, {**case.spec, "real_time": True}).caster(), form=Form.MODEL)
    assert done.pace.real
    assert done.took < 5
    assert 300 < done.verdict.ended["vm1"] < done.verdict.ended["pve"] < 340
