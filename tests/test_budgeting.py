"""`nutwizard budget` on practice machines, and taking its advice as an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard.core import paths
from nutwizard.core.budget.result import Advice, Basis
from nutwizard.core.errors import Exit
from nutwizard.core.facts import PRACTICE, Owner
from nutwizard.core.measured import How, Measurement, What
from nutwizard.core.upssched import Timer
from nutwizard.engine import measured
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.session import Session
from nutwizard.wording.layout import cells
from tests.support.practice_commands import copied, forbid_the_real_root, runner, set_up
from tests.test_cli import Run
from tests.tui.screens import open_session


@pytest.fixture(autouse=True)
def _no_real_root(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_the_real_root(monkeypatch)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A practice host that nutwizard has set up."""
    return set_up(tmp_path_factory, "role: host\n")


@pytest.fixture
def host(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeHost]:
    yield from copied(ready, tmp_path, monkeypatch)


@pytest.fixture
def run(host: PracticeHost, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_the_practice_machine_has_a_budget_that_does_not_fit(run: Run) -> None:
    code, out, _ = run("budget")
    assert code == Exit.BROKEN
    assert out.startswith(f"{PRACTICE}\nIT DOES NOT FIT: 172 s lack.\n")
    for words in ("guests stop           180 s", "101 by 180 s", "qm set 101 --startup down=60"):
        assert words in out
    assert "nutwizard --practice step driver (low_battery runtime, low_runtime 390)" in " ".join(out.split())
    assert max(map(cells, out.splitlines())) <= 80
    assert "\x1b" not in out


def test_a_client_has_its_own_budget(run: Run) -> None:
    code, out, _ = run("budget", "--role", "client")
    assert code == Exit.DONE
    assert "It fits" in out
    assert "this machine stops" in out


def test_measured_times_take_the_place_of_assumed_ones(host: PracticeHost, run: Run) -> None:
    at = host.now() - 1.0
    changed = host.stat(paths.UPSMON_CONF)
    assert changed is not None
    assert measured.add(
        host,
        (
            Measurement(What.GUESTS, 22.0, at, How.FSD),
            Measurement(What.HOST, 41.0, at, How.FSD),
            Measurement(What.FINAL, 5.5, changed.changed - 1.0, How.FSD),
        ),
    )
    code, out, _ = run("budget", "--json")
    found = json.loads(out)
    parts = {part["part"]: (part["seconds"], part["basis"]) for part in found["parts"]}
    assert code == Exit.DONE
    assert (found["verdict"], found["needs"], found["spare"]) == ("fits", 63.0, 57.0)
    assert parts["guests"] == (22.0, Basis.MEASURED)
    assert parts["host"] == (19.0, Basis.MEASURED)
    # Measured before upsmon.conf was written: with which FINALDELAY, nobody knows.
    assert parts["final"] == (5.0, Basis.CONFIGURED)


def changed_by(session: Session) -> set[str]:
    return {change.path for change in session.plan().files}


def advice_of(host: PracticeHost, step: str) -> Advice:
    return next(each for each in open_session(host).budget().advice if each.step == step)


def test_taken_advice_is_an_answer_and_makes_it_fit(host: PracticeHost, run: Run) -> None:
    session, advice = open_session(host), advice_of(host, "driver")
    assert paths.UPS_CONF not in changed_by(session)
    assert session.take(advice) == ()
    assert session.proposals("driver")["low_runtime"].value == 390
    assert paths.UPS_CONF in changed_by(session)
    before = host.read(paths.UPS_CONF)
    assert b"ignorelb" not in before  # nothing is written before somebody says so
    assert session.apply(lambda text: None).code in (Exit.DONE, Exit.BROKEN)
    assert b"override.battery.runtime.low = 390" in host.read(paths.UPS_CONF)
    found = session.budget()
    assert (found.verdict.value, found.has.seconds) == ("fits", 390.0)


def test_a_timer_is_added_beside_those_that_are_there(host: PracticeHost) -> None:
    session, advice = open_session(host), advice_of(host, "actions")
    mine = Timer("ONBATT", "long", 120, "ONLINE", "script")
    assert session.answer("actions", {"timers": (mine,)}) == ()
    assert session.take(advice) == ()
    timers = session.proposals("actions")["timers"].value
    assert [timer.name for timer in timers] == ["long", "onbatt_shutdown"]
    assert session.take(advice) == ()
    assert session.proposals("actions")["timers"].value == timers
    assert session.apply(lambda text: None).code in (Exit.DONE, Exit.BROKEN)
    found = session.budget()
    assert found.has.starts == "after 1470 s on battery"
    assert found.verdict.value == "fits"


def test_advice_that_a_step_refuses_is_not_taken(host: PracticeHost) -> None:
    host.remove(paths.UPSSCHED_CMD)
    host.create(paths.UPSSCHED_CMD, b"#!/bin/sh\n", Owner("root", "root", 0o755))
    session = open_session(host)
    advice = next(each for each in session.budget().advice if each.step == "actions")
    problems = session.take(advice)
    assert problems
    assert "your own script" in problems[0].text
    assert paths.UPSSCHED_CONF not in changed_by(session)
