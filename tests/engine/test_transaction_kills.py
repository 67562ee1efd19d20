"""A kill -9 at every call that changes a disk, of apply, undo and recovery: all-before or all-after.

The child is a fork that wraps the system calls of `os` and kills itself before or after the n-th one.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nutwizard.core.errors import Exit
from nutwizard.core.facts import Owner
from nutwizard.core.links import LinkId, State
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.recovery import recover
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from nutwizard.engine.undo import target_of, undo_plan
from tests.support.trees import (
    ACTS,
    AFTER,
    BEFORE,
    ScriptedHost,
    finding,
    make_tree,
    names,
    state,
    whole_plan,
)

#: What changes a disk; os.open counts when it makes a file.
_CALLS = (
    "write",
    "pwrite",
    "ftruncate",
    "fsync",
    "rename",
    "unlink",
    "rmdir",
    "mkdir",
    "fchown",
    "fchmod",
    "open",
)
GOOD = (finding(LinkId.UPSD, State.PROVEN),)


def run(act: Callable[[], object], kill_at: int, *, after: bool) -> bool:
    """Fork and act; whether the child died of its own SIGKILL at call `kill_at` (from 1)."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _arm(kill_at, after=after)
            act()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _arm(kill_at: int, *, after: bool) -> None:
    left = kill_at

    def wrap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            counts = name != "open" or bool(args[1] & os.O_CREAT)
            left -= counts
            if counts and left == 0 and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*args, **kwargs)
            if counts and left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    for name in _CALLS:
        setattr(os, name, wrap(name, getattr(os, name)))


def act_apply(root: str) -> None:
    assert apply(ScriptedHost(root), whole_plan(ACTS), prove=lambda: GOOD).code == Exit.DONE


def act_undo(root: str) -> None:
    host = ScriptedHost(root)
    plan, number = undo_plan(host, Store(host)), target_of(Store(host))
    assert apply(host, plan, prove=lambda: GOOD, command="undo", undoes=number).code == Exit.DONE


def act_recover(root: str) -> None:
    host = ScriptedHost(root)
    recover(host, Store(host))


def check(root: str, befores: set[str], afters: set[str]) -> str:
    """All-before or all-after, nothing left over, nothing open; which of the two it is."""
    found = state(root)
    whole = {"before": (BEFORE, befores), "after": (AFTER, afters)}
    which = [word for word, (files, _) in whole.items() if found == files]
    assert len(which) == 1
    assert names(root) == whole[which[0]][1]
    store = Store(OfflineHost(root))
    assert store.unfinished() is None
    assert store.litter() == []
    return which[0]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory: thousands of fsyncs are not what is measured here."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        yield Path(folder)


@pytest.fixture
def worlds(memory: Path) -> tuple[str, str, set[str], set[str]]:
    """A machine before and one after the apply, with the names that are there."""
    before = make_tree(memory / "before")
    after = make_tree(memory / "applied")
    act_apply(after)
    return before, after, names(before), names(after)


def copy(source: str, target: Path) -> str:
    """A copy with owners: `source` as a fresh machine."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
    for folder, folders, files in os.walk(source):
        for name in ("", *folders, *files):
            here = os.path.join(folder, name)
            found = os.lstat(here)
            os.chown(os.path.join(target, os.path.relpath(here, source)), found.st_uid, found.st_gid)
    return str(target)


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("what", ["apply", "undo"])
def test_kill_at_every_call(
    worlds: tuple[str, str, set[str], set[str]], memory: Path, what: str, after: bool
) -> None:
    start = worlds[0] if what == "apply" else worlds[1]
    act = act_apply if what == "apply" else act_undo
    ends: list[str] = []
    for at in range(1, 1000):
        root = copy(start, memory / "run")
        if not run(lambda: act(root), at, after=after):  # noqa: B023 - called at once
            break
        act_recover(root)
        ends.append(check(root, worlds[2], worlds[3]))
        act_recover(root)
        assert check(root, worlds[2], worlds[3]) == ends[-1]
    first, last = ("before", "after") if what == "apply" else ("after", "before")
    assert len(ends) > 100
    assert ends[0] == first
    assert ends == [first] * ends.count(first) + [last] * ends.count(last)  # one turning point: the commit
    when = "after" if after else "before"
    print(f"{what}: killed {when} {len(ends)} calls, all whole, {ends.count(last)} committed")


@pytest.mark.parametrize("what", ["apply", "undo"])
def test_kill_the_recovery_too(worlds: tuple[str, str, set[str], set[str]], memory: Path, what: str) -> None:
    """Every 17th call of the apply, then every third of its recovery, and that recovery killed once more."""
    start = worlds[0] if what == "apply" else worlds[1]
    act = act_apply if what == "apply" else act_undo
    points = 0
    for at in range(5, 1000, 17):
        broken = copy(start, memory / "broken")
        if not run(lambda: act(broken), at, after=True):  # noqa: B023 - called at once
            break
        for second in range(1, 1000, 3):
            root = copy(broken, memory / "run")
            if not run(lambda: act_recover(root), second, after=bool(second % 2)):  # noqa: B023 - called at once
                break
            points += 1
            run(lambda: act_recover(root), second // 2 + 1, after=False)  # noqa: B023 - called at once
            act_recover(root)
            check(root, worlds[2], worlds[3])
    assert points > 50
    print(f"{what}: {points} recoveries killed twice, all whole")


def test_recover_says_what_it_did(worlds: tuple[str, str, set[str], set[str]], memory: Path) -> None:
    said = set()
    for at in range(1, 400, 5):
        root = copy(worlds[0], memory / "run")
        if not run(lambda: act_apply(root), at, after=False):  # noqa: B023 - called at once
            break
        host = ScriptedHost(root)
        said.add(recover(host, Store(host)))
    assert None in said  # nothing there yet
    assert "A run had been interrupted before its first change: nothing was changed." in said
    assert any(
        "Transaction 1 (apply) had been interrupted: its 8 files are as they were before." in str(s)
        for s in said
    )
    assert any("restart nut-server.service" in str(s) for s in said)


def test_recover_restarts_only_what_had_been_touched(memory: Path) -> None:
    root = make_tree(memory / "machine")

    class Killed(ScriptedHost):
        def create(self, path: str, data: bytes, owner: Owner) -> None:
            if path.startswith("/etc/nut/.ups.conf."):
                os.kill(os.getpid(), signal.SIGKILL)
            super().create(path, data, owner)

    assert run(lambda: apply(Killed(root), whole_plan(ACTS), prove=lambda: GOOD), 10_000, after=False)
    host = ScriptedHost(root)
    recover(host, Store(host))
    unit = "nut-driver-enumerator.path"
    assert host.acts == [f"stop {unit}", f"start {unit}"]
    assert state(root) == BEFORE


def test_recover_below_another_root_touches_no_unit(memory: Path) -> None:
    root = make_tree(memory / "machine")
    assert run(lambda: act_apply(root), 130, after=False)
    host = OfflineHost(root)
    assert "Units were not touched." in str(recover(host, Store(host)))
    assert state(root) == BEFORE


def test_a_signal_during_recovery_waits_for_its_end(memory: Path) -> None:
    root = make_tree(memory / "machine")
    assert run(lambda: act_apply(root), 130, after=False)
    host = ScriptedHost(root, lambda argv: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        recover(host, Store(host))
    assert state(root) == BEFORE
    assert Store(host).unfinished() is None
    Store(host).lock().release()
