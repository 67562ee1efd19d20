"""Others at the same time: a second run, an editor, signals, a screen that goes away."""

# ruff: noqa: B023 - functions made in a loop are called in the same round

from __future__ import annotations

import os
import signal
from functools import partial
from itertools import count

import pytest

from nutwizard.core.errors import Exit, Locked, Unfinished
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from tests.faults import gate
from tests.faults.table import Table
from tests.faults.world import (
    ATTRIBUTE,
    Observer,
    World,
    do_apply,
    do_recover,
    killed,
    recovered,
    told,
)
from tests.support.trees import BEFORE, state, whole_plan

CONF = "/etc/nut/ups.conf"  # the last that is written
FIRST = "/etc/nut/nut.conf"
FOREIGN = b"# another hand\n"


def another_hand(root: str, path: str) -> None:
    """What an editor does: a new file in the place of the old one, with its owner and mode."""
    found = os.stat(root + path)
    new = f"{root}{path}.other"
    with open(new, "wb") as file:
        file.write(FOREIGN)
        os.fchown(file.fileno(), found.st_uid, found.st_gid)
        os.fchmod(file.fileno(), found.st_mode & 0o7777)
    os.rename(new, root + path)


def contents(root: str, path: str) -> bytes:
    with open(root + path, "rb") as file:
        return file.read()


def test_a_file_changes_meanwhile(world: World, table: Table) -> None:
    """At every call of an apply: what the other hand wrote stays, and all of ours is put back.

    One moment is left: between the last look and the rename that follows it.
    """
    lost = []
    for at in count(1):
        seen: list[gate.Call] = []

        def decide(call: gate.Call) -> None:
            if call.number == at:
                seen.append(call)
                another_hand(root, CONF)

        with (
            world.fresh(world.before) as root,
            table.point("a file changed by another at every call of apply") as point,
        ):
            code, text = told(gate.run(lambda: do_apply(root), root, decide))
            if not seen:
                point.injected = False
                assert code == Exit.DONE
                break
            if contents(root, CONF) != FOREIGN:
                lost.append((seen[0].name, seen[0].path.removeprefix(root)))
            elif code == Exit.FAILED:
                assert f"{CONF} changed since the plan was shown" in text
                another_hands_file_aside(root)
                assert world.check(root) == "before"
            else:
                assert code == Exit.DONE
    assert lost == [("rename", CONF)]


def another_hands_file_aside(root: str) -> None:
    """Put back the file that the other hand changed: all else is compared."""
    content = BEFORE[CONF]
    assert content is not None
    with open(root + CONF, "r+b") as file:
        file.truncate(0)
        file.write(content[0])
    os.setxattr(root + CONF, ATTRIBUTE, CONF.encode())


def test_files_that_were_written_change_too(world: World, table: Table) -> None:
    """Another hand in a file that is already new and in one that is not: the first cannot be put back."""
    codes = []
    for at in count(1):
        last_look: list[bool] = []

        def decide(call: gate.Call) -> None:
            if call.number == at:
                last_look.append(call.name == "rename" and call.path == root + FIRST)
                another_hand(root, FIRST)
                another_hand(root, CONF)

        fault = "two files changed by another at every call of apply"
        with world.fresh(world.before) as root, table.point(fault) as point:
            ended = gate.run(lambda: do_apply(root), root, decide)
            if ended.calls < at:
                point.injected = False
                break
            code, text = told(ended)
            codes.append(code)
            if code == Exit.NOT_WHOLE:
                assert f"{FIRST} was changed by another hand since: it is left as it is" in text
                assert "before" in text.splitlines()[-1]
            assert do_recover(root) is None
            assert Store(OfflineHost(root)).unfinished() is None
            found = state(root)
            if code != Exit.DONE:
                others = {path for path in BEFORE if found[path] != BEFORE[path]}
                assert others <= {FIRST, CONF}
            assert contents(root, FIRST) == FOREIGN or last_look == [True]
    assert set(codes) == {Exit.DONE, Exit.FAILED, Exit.NOT_WHOLE}


def test_two_runs_at_once(world: World, table: Table) -> None:
    """A second run comes at every call of the first: it is told who is at work (exit 7), or it was first."""
    refused: list[bool] = []
    for at in count(1):
        second: list[object] = []

        def decide(call: gate.Call) -> None:
            if call.number == at:
                try:
                    second.append(do_apply(root))
                except Locked as error:
                    second.append(error)
                    refused.append(f"process {call.pid}" in error.text)

        fault = "a second run at every call of apply"
        with world.fresh(world.before) as root, table.point(fault) as point:
            code, text = told(gate.run(lambda: do_apply(root), root, decide))
            if not second:
                point.injected = False
                break
            if isinstance(second[0], Locked):
                assert second[0].code == 7
                assert code == Exit.DONE
            else:
                assert isinstance(second[0], Outcome)
                assert (second[0].code, code) == (Exit.DONE, Exit.FAILED if at <= 6 else Exit.DONE)
                assert code == Exit.DONE or "changed since the plan was shown" in text
            assert world.check(root) == "after"
    assert len(refused) > 80
    assert refused.count(False) <= 2  # taken, and the pid not written yet


def test_the_lock_of_a_killed_run(world: World, table: Table) -> None:
    """It is free at once: the next run refuses for the open transaction or goes on, never for the lock."""
    for at in count(2, 3):
        with (
            world.fresh(world.before) as root,
            table.point("a lock left by kill -9 (every 3rd call)") as point,
        ):
            if not killed(do_apply, root, at):
                point.injected = False
                break
            finished = Store(OfflineHost(root)).unfinished() is None
            committed = state(root) != BEFORE and finished
            if committed:
                continue
            if not finished:
                with pytest.raises(Unfinished):
                    do_apply(root)
                recovered(root)
            assert do_apply(root).code == Exit.DONE
            assert world.check(root) == "after"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal(world: World, table: Table, number: signal.Signals) -> None:
    """At every call of an apply (SIGTERM) or every 3rd: before its first change it may end at once, then it
    ends what it does.
    """
    finished = 0
    start, stride, often = {
        signal.SIGTERM: (1, 1, "every"),
        signal.SIGHUP: (1, 3, "every 3rd"),
        signal.SIGINT: (2, 3, "every 3rd"),
    }[number]
    with Observer(world.folder, table) as observer:
        for at in count(start, stride):
            fault = f"{number.name} at {often} call of apply"
            with (
                world.fresh(world.before, f"run{at}") as root,
                observer.looks_at(root),
                table.point(fault) as point,
            ):
                ended = gate.run(lambda: do_apply(root), root, partial(send, at, number))
                if isinstance(ended.value, Outcome):
                    finished += 1
                    assert ended.value.code == Exit.DONE
                    if at > ended.calls:
                        point.injected = False
                        break
                    assert ended.value.signals == (number,)
                    assert any(number.name in note for note in ended.value.notes)
                    assert world.check(root) == "after"
                else:
                    assert ended.signal == number or ended.code == Exit.INTERRUPTED
                    recovered(root)
                    assert world.check(root) == "before"
    assert finished > 25


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_during_recovery(world: World, table: Table, number: signal.Signals) -> None:
    """It waits for the end of the recovery, and takes effect then."""
    with world.fresh(world.before, "whole") as root:
        calls = gate.run(lambda: do_apply(root), root).calls
    with world.fresh(world.before, "broken") as broken:
        assert killed(do_apply, broken, calls - 1)
        for at in count(1):
            fault = f"{number.name} at every call of a recovery"
            with world.fresh(broken) as root, table.point(fault) as point:
                ended = gate.run(lambda: do_recover(root), root, partial(send, at, number))
                if at > ended.calls:
                    point.injected = False
                    break
                assert ended.signal == number or ended.code == Exit.INTERRUPTED
                if ended.calls > 10:
                    assert Store(OfflineHost(root)).unfinished() is None
                do_recover(root)
                assert world.check(root) == "before"


def send(at: int, number: int, call: gate.Call) -> None:
    if call.number == at:
        os.kill(call.pid, number)


def reporting(root: str, into: int, not_ours: int) -> Outcome:
    """An apply that tells a pipe; the reading end that it has inherited is closed first."""
    os.close(not_ours)

    def report(text: str) -> None:
        os.write(into, text.encode())

    return apply(OfflineHost(root), whole_plan(), prove=lambda: (), report=report)


def test_the_report_pipe_breaks(world: World, table: Table) -> None:
    """Who listens goes away at every call: nothing is told any more, and all is done."""
    for at in count(1, 2):
        reader, writer = os.pipe()

        def decide(call: gate.Call, at: int, pipe: int) -> None:
            if call.number == at:
                os.close(pipe)

        with (
            world.fresh(world.before) as root,
            table.point("the report pipe breaks at every 2nd call of apply") as point,
        ):
            ended = gate.run(
                partial(reporting, root, writer, reader), root, partial(decide, at=at, pipe=reader)
            )
            os.close(writer)
            point.injected = at <= ended.calls
            assert told(ended)[0] == Exit.DONE
            assert world.check(root) == "after"
        if at > ended.calls:
            os.close(reader)
            break
