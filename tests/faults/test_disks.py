"""Calls that fail, as on a dying disk, a full one, one that refuses: all is put back, nothing called good."""

# ruff: noqa: B023 - functions made in a loop are called in the same round

from __future__ import annotations

import errno
import os
import resource
from functools import partial
from itertools import count

import pytest

from nutwizard.core.errors import Exit
from tests.faults import gate
from tests.faults.table import Table
from tests.faults.world import World, do_apply, do_recover, do_undo, each_file_is_whole, told
from tests.support.trees import AFTER

FAILED, DONE, NOT_WHOLE = Exit.FAILED, Exit.DONE, Exit.NOT_WHOLE


def test_a_call_fails_once(world: World, table: Table) -> None:
    """Each call of an apply fails once: with EIO, and (every 4th) with what a full or refusing disk says.

    No fsync that failed is made again and called good: nothing is committed.
    """
    for error, first, stride in (
        (errno.EIO, 1, 1),
        (errno.ENOSPC, 1, 4),
        (errno.EDQUOT, 2, 4),
        (errno.EPERM, 3, 4),
    ):
        fault = f"{errno.errorcode[error]} at {'every' if stride == 1 else 'every 4th'} call of apply, once"
        for at in count(first, stride):
            hit: list[gate.Call] = []
            with world.fresh(world.before) as root, table.point(fault) as point:
                ended = gate.run(lambda: do_apply(root), root, partial(fail_at, at, error, hit))
                code, text = told(ended)
                if hit:
                    assert (code, os.strerror(error) in text) == (FAILED, True), (hit, code, text)
                    assert world.check(root) == "before"
                    assert do_recover(root) is None
                else:
                    point.injected = False
                    assert world.check(root) == "after"
            if not hit:
                break


def fail_at(at: int, error: int, hit: list[gate.Call], call: gate.Call) -> gate.Fail | None:
    if call.number != at:
        return None
    hit.append(call)
    return gate.Fail(error)


@pytest.mark.parametrize("what", ["apply", "undo"])
def test_a_disk_dies(world: World, table: Table, what: str) -> None:
    """From some call on all that changes the disk fails: it is told, and the next start puts all back."""
    act, start = (do_apply, world.before) if what == "apply" else (do_undo, world.after)
    first, last = ("before", "after") if what == "apply" else ("after", "before")
    codes = []
    for at in count(1, 1 if what == "apply" else 2):
        fault = f"EIO at every call from one on, {what}"
        with world.fresh(start) as root, table.point(fault) as point:
            ended = gate.run(
                lambda: act(root), root, lambda call: gate.Fail(errno.EIO) if call.number >= at else None
            )
            code, text = told(ended)
            codes.append(code)
            each_file_is_whole(root)
            do_recover(root)
            if code == DONE:
                point.injected = False
                assert world.check(root) == last
                break
            assert os.strerror(errno.EIO) in text
            assert world.check(root) == first or (code == NOT_WHOLE and at >= ended.calls - 20)
    assert set(codes) == {FAILED, NOT_WHOLE, DONE}


def test_every_fsync_fails_from_one_on(world: World, table: Table) -> None:
    """Writing works and syncing does not: nothing may be called durable."""
    for at in count(1):
        seen: list[int] = []

        def decide(call: gate.Call) -> gate.Fail | None:
            if call.name != "fsync":
                return None
            seen.append(call.number)
            return gate.Fail(errno.EIO) if len(seen) >= at else None

        fault = "EIO at every fsync from one on, apply"
        with world.fresh(world.before) as root, table.point(fault) as point:
            code, _ = told(gate.run(lambda: do_apply(root), root, decide))
            point.injected = len(seen) >= at
            assert (code == DONE) == (not point.injected)
            do_recover(root)
            world.check(root)
        if not point.injected:
            break
    assert at > 40


def test_the_journal_cannot_be_written(world: World, table: Table) -> None:
    """The file system of the journal dies, that of the files does not; and a kill at every third call after.

    The commit may then be on the disk or not: files never become another set than the one it stands for.
    """
    journal = "/var/lib/nutwizard/transactions/000001/journal"
    with world.fresh(world.before) as root:
        calls: list[gate.Call] = []
        gate.run(lambda: do_apply(root), root, calls.append)
        lines = [call.number for call in calls if call.path == root + journal]
    for first in lines:
        stride = 3 if first in lines[-3:] else 1000
        for more in count(1000 if stride == 1000 else 1, stride):

            def decide(call: gate.Call) -> gate.Fail | bool | None:
                if call.number == first + more:
                    return True
                bad = call.number >= first and call.path == root + journal
                return gate.Fail(errno.EIO) if bad else None

            with (
                world.fresh(world.before) as root,
                table.point("EIO at every call on the journal from one on"),
            ):
                ended = gate.run(lambda: do_apply(root), root, decide)
                assert (
                    ended.signal or "the journal" in told(ended)[1] or "Input/output error" in told(ended)[1]
                )
                do_recover(root)
                world.check(root)
            if not ended.signal:
                break


def test_a_rename_across_devices(world: World, table: Table) -> None:
    for number in count(1):
        renames: list[gate.Call] = []

        def decide(call: gate.Call) -> gate.Fail | None:
            if not call.name.startswith("rename"):
                return None
            renames.append(call)
            return gate.Fail(errno.EXDEV) if len(renames) == number else None

        with world.fresh(world.before) as root, table.point("EXDEV at every rename") as point:
            code, text = told(gate.run(lambda: do_apply(root), root, decide))
            if len(renames) < number:
                point.injected = False
                break
            assert (code, os.strerror(errno.EXDEV) in text) == (FAILED, True), text
            assert world.check(root) == "before"
    assert number == 1 + sum(content is not None for content in AFTER.values())


def test_short_writes(world: World, table: Table) -> None:
    """RLIMIT_FSIZE: the write that crosses it is short, the next fails. No part is taken for the whole."""

    def limited(root: str, size: int) -> object:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return do_apply(root)

    sizes = [*range(1, 64), *range(64, 4096, 96)]
    codes = []
    for size in sizes:
        with world.fresh(world.before) as root, table.point("RLIMIT_FSIZE: short writes") as point:
            code, text = told(gate.run(partial(limited, root, size), root))
            each_file_is_whole(root)
            codes.append(code)
            point.injected = code != DONE
            assert code == DONE or "File too large" in text
            do_recover(root)
            assert world.check(root) == ("after" if code == DONE else "before")
    assert codes[0] == FAILED
    assert codes[-1] == DONE
