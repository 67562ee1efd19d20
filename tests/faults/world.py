"""Machines to break: before a plan and after it, fresh copies, and what "whole" means."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nutwizard.core.errors import Exit, WizardError
from nutwizard.engine import files
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.recovery import recover
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from nutwizard.engine.undo import target_of, undo_plan
from tests.faults import gate
from tests.faults.table import Table
from tests.support.trees import AFTER, BEFORE, make_tree, names, state, whole_plan

Act = Callable[[str], object]
#: Every file that is there before has it, with its path as the value.
ATTRIBUTE = "user.note"


def do_apply(root: str) -> Outcome:
    """The plan from BEFORE to AFTER."""
    return apply(OfflineHost(root), whole_plan(), prove=lambda: ())


def do_undo(root: str) -> Outcome:
    """What `nutwizard undo` does."""
    host = OfflineHost(root)
    plan, number = undo_plan(host, Store(host)), target_of(Store(host))
    return apply(host, plan, prove=lambda: (), command="undo", undoes=number)


def do_recover(root: str) -> str | None:
    """What the next start does first."""
    host = OfflineHost(root)
    return recover(host, Store(host))


def each_file_is_whole(root: str) -> None:
    """Each live file is the old one or the new one, with its owner and mode."""
    for path, found in state(root).items():
        assert found in (BEFORE[path], AFTER[path]), path


def told(ended: gate.Ended) -> tuple[int, str]:
    """Exit code and text of an apply that ended by itself: its outcome, or the error that it raised."""
    assert ended.signal == 0
    value = ended.value
    if isinstance(value, Outcome):
        return int(value.code), value.text
    assert isinstance(value, WizardError), value
    return ended.code, f"{value.text}\n{value.hint}"


def recovered(root: str) -> None:
    """Recover once, and hear the right sentence."""
    store = Store(OfflineHost(root))
    litter, unfinished = store.litter(), store.unfinished()
    said = do_recover(root) or ""
    assert ("before its first change: nothing was changed." in said) == bool(litter)
    assert ("files are as they were before." in said) == bool(unfinished)
    assert bool(said) == bool(litter or unfinished)
    assert do_recover(root) is None


@dataclass(frozen=True)
class World:
    """A machine before and one after the plan, with the names that are there."""

    folder: Path
    before: str
    after: str
    befores: set[str]
    afters: set[str]

    @classmethod
    def make(cls, folder: Path) -> World:
        before = make_tree(folder / "before")
        for path, content in BEFORE.items():
            if content:
                os.setxattr(before + path, ATTRIBUTE, path.encode())
        after = copy(before, folder / "after")
        assert do_apply(after).code == Exit.DONE
        return cls(folder, before, after, names(before), names(after))

    @contextmanager
    def fresh(self, start: str, name: str = "run") -> Iterator[str]:
        """A copy of `start` as a machine of its own."""
        root = copy(start, self.folder / name)
        try:
            yield root
        finally:
            shutil.rmtree(root)

    def check(self, root: str) -> str:
        """All-before or all-after, nothing left over, nothing open, backups whole; which of the two it is."""
        found = state(root)
        which = [word for word, files in (("before", BEFORE), ("after", AFTER)) if found == files]
        assert len(which) == 1, f"neither all-before nor all-after: {found}"
        assert names(root) == {"before": self.befores, "after": self.afters}[which[0]]
        there = {path for path in BEFORE if BEFORE[path] and found[path]}
        assert {path: os.getxattr(root + path, ATTRIBUTE).decode() for path in there} == {p: p for p in there}
        store = Store(OfflineHost(root))
        assert store.unfinished() is None
        assert store.litter() == []
        for record in store.records():
            self._backups(root, store, record.id, undoes=record.undoes is not None)
        return which[0]

    def _backups(self, root: str, store: Store, number: int, *, undoes: bool) -> None:
        """What is kept is the old set and the new, whole, and nothing else."""
        old, new = (AFTER, BEFORE) if undoes else (BEFORE, AFTER)
        plan = store.load(number).plan
        assert {change.path: files.before(change) for change in plan.files} == old
        assert {change.path: files.after(change) for change in plan.files} == new
        folder = Path(root + store.folder(number))
        there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        wanted = {
            f"{when}/{index}"
            for index, change in enumerate(plan.files)
            for when, content in (("before", change.before), ("after", change.after))
            if content
        }
        kept = {name for name in there if not name.endswith(".attributes")}
        assert kept == wanted | {"plan.json", "journal"}
        assert {name.removesuffix(".attributes") for name in there - kept} <= wanted


def copy(source: str, target: Path) -> str:
    """A copy with owners, modes and extended attributes."""
    shutil.copytree(source, target, symlinks=True)
    for folder, folders, there in os.walk(source):
        for name in ("", *folders, *there):
            here = os.path.join(folder, name)
            found = os.lstat(here)
            os.lchown(os.path.join(target, os.path.relpath(here, source)), found.st_uid, found.st_gid)
    return str(target)


def killed(act: Act, root: str, at: int) -> bool:
    """Do it and kill it before call `at`; whether it came so far. It died of SIGKILL, or ended by itself."""
    ended = gate.run(lambda: act(root), root, lambda call: call.number == at)
    assert ended.signal in (0, signal.SIGKILL)
    assert bool(ended.signal) == (ended.calls == at) or ended.calls < at
    return ended.signal == signal.SIGKILL


class Observer:
    """A process that reads the live files all the while: each is always the old one or the new one, whole.

    What is looked at is `folder`/current, a link that `looks_at` sets.
    """

    def __init__(self, folder: Path, table: Table) -> None:
        self._folder, self._table = folder, table
        self._link = folder / "current"

    @contextmanager
    def looks_at(self, root: str) -> Iterator[None]:
        """This machine, as long as it stands."""
        self._link.symlink_to(root)
        try:
            yield
        finally:
            self._link.unlink()

    def __enter__(self) -> Observer:
        self._reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(self._reader)
                _observe(str(self._link), writer)
            finally:
                os._exit(1)
        os.close(writer)
        return self

    def __exit__(self, *error: object) -> None:
        os.kill(self._pid, signal.SIGTERM)
        with os.fdopen(self._reader, "rb") as pipe:
            seen = json.loads(pipe.read())
        os.waitpid(self._pid, 0)
        self._table.reads += seen["reads"]
        self._table.torn += len(seen["torn"])
        assert seen["reads"] > 0
        assert not seen["torn"], seen["torn"][:5]


def _observe(link: str, writer: int) -> None:
    """Read until SIGTERM comes; then tell."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    os.nice(10)  # it is to look between, not instead
    reads, torn = 0, []
    while signal.SIGTERM not in signal.sigpending() and os.getppid() != 1:
        try:
            folder = os.open(link, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        for path in BEFORE:
            found = _seen(folder, path)
            reads += 1
            wanted = {_plain(BEFORE[path]), _plain(AFTER[path])}
            if found not in wanted and not (found is None and _moved_on(link, folder)):
                torn.append(f"{path}: {found!r}")
        os.close(folder)
    os.write(writer, json.dumps({"reads": reads, "torn": torn[:100]}).encode())
    os._exit(0)


def _seen(folder: int, path: str) -> tuple[bytes, int] | None:
    """Contents and mode of what stands there."""
    try:
        fd = os.open(path[1:], os.O_RDONLY, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        return os.read(fd, 1 << 16), os.fstat(fd).st_mode & 0o7777
    finally:
        os.close(fd)


def _plain(content: files.Content) -> tuple[bytes, int] | None:
    return (content[0], content[1].mode) if content else None


def _moved_on(link: str, folder: int) -> bool:
    """Whether the machine that is looked at has been another for some time: this one is being removed."""
    try:
        return os.stat(link).st_ino != os.fstat(folder).st_ino
    except FileNotFoundError:
        return True
