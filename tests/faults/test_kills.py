"""kill -9 before every system call that changes a disk: of apply, undo, roll-back and recovery; and again.

A kill after a call is the kill before the next one: nothing changes a disk between them.
"""

from __future__ import annotations

from itertools import count

import pytest

from nutwizard.core.errors import Exit
from nutwizard.core.links import Finding, LinkId, State
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.transaction import apply
from tests.faults import gate
from tests.faults.table import Table
from tests.faults.world import Act, Observer, World, do_apply, do_recover, do_undo, killed, recovered
from tests.support.trees import ACTS, AFTER, ScriptedHost, finding, whole_plan


def lost_link(root: str) -> Outcome:
    """An apply on a machine that runs: once its files are new, a link that was proven is broken."""
    host = ScriptedHost(root)

    def prove() -> tuple[Finding, ...]:
        new = host.read("/etc/nut/ups.conf") == AFTER["/etc/nut/ups.conf"][0]  # type: ignore[index]
        return (finding(LinkId.UPSD, State.BROKEN if new else State.PROVEN),)

    return apply(host, whole_plan(ACTS), prove=prove)


def sweep(world: World, table: Table, fault: str, act: Act, start: str) -> list[str]:
    """Kill `act` before each of its calls, recover, and look; what each point ended as."""
    ends: list[str] = []
    with Observer(world.folder, table) as observer:
        for at in count(1):
            with world.fresh(start, f"run{at}") as root, observer.looks_at(root):
                if not killed(act, root, at):
                    return ends
                with table.point(fault):
                    recovered(root)
                    ends.append(world.check(root))
    raise AssertionError("unreachable")


@pytest.mark.parametrize("what", ["apply", "undo"])
def test_at_every_call(world: World, table: Table, what: str) -> None:
    act, start = (do_apply, world.before) if what == "apply" else (do_undo, world.after)
    ends = sweep(world, table, f"kill -9 at every call of {what}", act, start)
    first, last = ("before", "after") if what == "apply" else ("after", "before")
    assert len(ends) > 80
    turn = ends.count(first)
    assert ends == [first] * turn + [last] * (len(ends) - turn)  # one turning point: the commit
    assert len(ends) - turn <= 2
    with world.fresh(start) as root:
        assert gate.run(lambda: act(root), root).code == Exit.DONE
        assert world.check(root) == last


def test_at_every_call_of_a_roll_back(world: World, table: Table) -> None:
    with world.fresh(world.before) as root:
        ended = gate.run(lambda: lost_link(root), root)
        assert isinstance(ended.value, Outcome)
        assert ended.value.code == Exit.FAILED
        assert "proven before, broken now" in ended.value.text
    ends = sweep(
        world, table, "kill -9 at every call of an apply that is rolled back", lost_link, world.before
    )
    assert len(ends) > 150
    assert set(ends) == {"before"}


@pytest.mark.parametrize("what", ["apply", "undo"])
def test_at_every_call_of_the_recovery(world: World, table: Table, what: str) -> None:
    """From the point where most is to be put back: everything is written, only the commit is missing."""
    act, start = (do_apply, world.before) if what == "apply" else (do_undo, world.after)
    with world.fresh(start) as root:
        calls = gate.run(lambda: act(root), root).calls
    with world.fresh(start, "broken") as broken:
        assert killed(act, broken, calls - 1)
        ends = sweep(world, table, f"kill -9 at every call of the recovery of {what}", do_recover, broken)
    assert len(ends) > 40
    assert set(ends) == {"before" if what == "apply" else "after"}


@pytest.mark.parametrize("what", ["apply", "undo"])
def test_three_kills(world: World, table: Table, what: str) -> None:
    """A sample: every 13th call of apply or undo, every 5th of its recovery, and the next recovery too."""
    act, start = (do_apply, world.before) if what == "apply" else (do_undo, world.after)
    points = 0
    for at in count(3, 13):
        with world.fresh(start, "broken") as broken:
            if not killed(act, broken, at):
                break
            for second in count(1, 5):
                with world.fresh(broken) as root:
                    if not killed(do_recover, root, second):
                        break
                    with table.point(f"kill -9 in {what}, in its recovery and in the next (sample)"):
                        killed(do_recover, root, second // 2 + 1)
                        recovered(root)
                        world.check(root)
                        points += 1
    assert points > 20
