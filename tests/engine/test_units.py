"""Acts on units, with systemd's habits as they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from nutwizard.core.plan import Act, ActKind
from nutwizard.engine.host import Completed
from nutwizard.engine.units import backwards, complaint, perform
from tests.support.trees import ScriptedHost


class StartLimit:
    """A unit that has started too often: a start is refused until the failures are forgotten."""

    def __init__(self) -> None:
        self.hit = True

    def __call__(self, argv: Sequence[str]) -> Completed | None:
        if argv[1] == "reset-failed":
            self.hit = False
        if argv[1] in ("start", "restart") and self.hit:
            return Completed(1, err=f"Job for {argv[2]} failed because the control process exited.\n")
        return None


@pytest.mark.parametrize("kind", [ActKind.START, ActKind.RESTART])
def test_a_unit_at_its_start_limit_starts_all_the_same(tmp_path: Path, kind: ActKind) -> None:
    act = Act(kind, "nut-server.service", "a test")
    assert complaint(act, perform(ScriptedHost(str(tmp_path), StartLimit()), act)) == ""


def test_a_unit_that_is_not_loaded_cannot_be_forgotten(tmp_path: Path) -> None:
    def script(argv: Sequence[str]) -> Completed | None:
        return Completed(1, err="Unit x.service not loaded.\n") if argv[1] == "reset-failed" else None

    act = Act(ActKind.START, "x.service", "a test")
    assert complaint(act, perform(ScriptedHost(str(tmp_path), script), act)) == ""


@pytest.mark.parametrize("kind", [k for k in ActKind if k not in (ActKind.START, ActKind.RESTART)])
def test_other_acts_forget_nothing(tmp_path: Path, kind: ActKind) -> None:
    host = ScriptedHost(str(tmp_path))
    perform(host, Act(kind, "nut-server.service", "a test"))
    assert [line.split()[1] for line in host.ran] == [
        {"hold": "stop", "release": "start"}.get(kind.value, kind.value)
    ]


def test_the_way_back_gives_its_own_reasons() -> None:
    forward = [
        Act(ActKind.HOLD, "x.path", "it would fire"),
        Act(ActKind.ENABLE, "a.service", "it has to come back"),
        Act(ActKind.START, "a.service", "it does not run"),
        Act(ActKind.RESTART, "b.service", "b.conf changed"),
        Act(ActKind.RELEASE, "x.path", "it watches ups.conf again"),
    ]
    assert [(str(act), act.why) for act in backwards(forward)] == [
        ("hold x.path", "it would fire"),
        ("stop a.service", "it did not run before"),
        ("disable a.service", "it was not enabled before"),
        ("restart b.service", "b.conf changed"),
        ("release x.path", "it watches ups.conf again"),
    ]
