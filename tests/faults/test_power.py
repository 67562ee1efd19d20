"""The power is cut before every call of an apply, an undo and a recovery, on ext4: what is there then."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count

import pytest

from tests.faults import gate
from tests.faults.places import Disk, private
from tests.faults.table import Table
from tests.faults.world import Act, World, do_apply, do_recover, do_undo, each_file_is_whole, recovered

pytestmark = pytest.mark.lab


def cut(disk: Disk, act: Act, at: int) -> bool:
    """Do it on a disk whose power fails before call `at`; whether it came so far."""

    def decide(call: gate.Call) -> bool:
        if call.number == at:
            disk.cut_the_power()
        return call.number == at

    with disk.on():
        ended = gate.run(lambda: act(disk.root), disk.root, decide)
        if not ended.signal:
            disk.cut_the_power()
    return bool(ended.signal)


def comes_back(disk: Disk, world: World) -> str:
    """The power is back: files are whole at once, after one start of one set, and durably so."""
    with disk.on():
        each_file_is_whole(disk.root)
        recovered(disk.root)
        disk.cut_the_power()
    with disk.on():
        return world.check(disk.root)


@pytest.mark.parametrize(
    ("what", "mount", "stride"),
    [("apply", "", 1), ("apply", "noauto_da_alloc", 2), ("undo", "", 2)],
    ids=["apply", "apply, noauto_da_alloc", "undo"],
)
def test_at_every_call(world: World, table: Table, what: str, mount: str, stride: int) -> None:
    """And after the last: what was reported as done is on the disk."""
    act, start = (do_apply, world.before) if what == "apply" else (do_undo, world.after)
    first, last = ("before", "after") if what == "apply" else ("after", "before")
    fault = f"power cut at every {'2nd ' * (stride == 2)}call of {what}, ext4 {mount}".rstrip()

    def body(table: Table) -> None:
        disk = Disk(world.folder, mount)
        disk.make(start)
        ends = []
        for at in count(1, stride):
            disk.fresh()
            more = cut(disk, act, at)
            with table.point(fault):
                ends.append(comes_back(disk, world))
            if not more:
                break
        assert len(ends) * stride > 80
        turn = ends.count(first)
        assert ends == [first] * turn + [last] * (len(ends) - turn)
        assert len(ends) - turn <= 2  # the commit is the last thing that is written

    private(body, table)


def test_during_the_recovery(world: World, table: Table) -> None:
    """After a cut in the middle of the apply (every 4th call), and before its commit (every 2nd)."""

    def body(table: Table) -> None:
        disk = Disk(world.folder)
        disk.make(world.before)
        with world.fresh(world.before) as root:
            calls = gate.run(lambda: do_apply(root), root).calls
        for first, stride in ((calls - 25, 4), (calls - 1, 2)):
            for at in count(1, stride):
                disk.fresh()
                assert cut(disk, do_apply, first)
                more = cut(disk, do_recover, at)
                with table.point("power cut in apply, and again in its recovery (sample), ext4"):
                    assert comes_back(disk, world) == "before"
                if not more:
                    break

    private(body, table)


def without_fsync(root: str) -> None:
    """What cp does."""
    for path in ("/etc/nut/ups.conf", "/etc/nut/nut.conf.bkp"):
        with open(root + path, "wb") as file:
            file.write(b"new\n")


@pytest.mark.parametrize("act", [without_fsync])
def test_the_cut_is_real(world: World, table: Table, act: Callable[[str], None]) -> None:
    """What was not synced is lost: a test that would not see that could not fail."""

    def body(table: Table) -> None:
        disk = Disk(world.folder, "noauto_da_alloc")
        disk.make(world.before)
        disk.fresh()
        assert not cut(disk, act, 1000)
        with disk.on():
            with open(f"{disk.root}/etc/nut/ups.conf", "rb") as file:
                assert file.read() != b"new\n"
            assert not os.path.exists(f"{disk.root}/etc/nut/nut.conf.bkp")

    private(body, table)
