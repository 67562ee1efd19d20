"""The screen goes away in the middle of `nutwizard apply`: on a real terminal, with the real worker."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from nutwizard.engine import files
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.store import Store
from tests.faults import gate
from tests.faults.table import Table
from tests.faults.world import copy

pytestmark = pytest.mark.lab

ASSETS = Path(__file__).parents[2] / "assets/practice"
STEP = 16  # a sample: every 16th call
WIZARD = [sys.executable, "-I", "-m", "nutwizard"]


@dataclass
class Screen:
    """A terminal with `nutwizard` on it, and whoever reads it."""

    pid: int
    master: int

    def __post_init__(self) -> None:
        self.text = b""
        self._close, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._close.is_set():
            ready, _, _ = select.select([self.master], [], [], 0.01)
            if ready:
                try:
                    self.text += os.read(self.master, 1 << 16)
                except OSError:  # EIO: nobody is on it any more
                    break
        os.close(self.master)
        self._closed.set()

    def close(self) -> None:
        """The line drops."""
        self._close.set()
        assert self._closed.wait(gate.LIMIT)
        self._thread.join(gate.LIMIT)


Fault = Callable[[Screen, gate.Call], None]


def machine(folder: Path) -> str:
    """A host in a folder, NUT just installed."""
    root = folder / "tree"
    for part in ("common", "host"):
        shutil.copytree(ASSETS / part, root, dirs_exist_ok=True)
    (root / "usr/sbin").mkdir(parents=True, exist_ok=True)
    return str(root)


def run_apply(root: str, answers: Path, at: int, fault: Fault) -> tuple[bool, Screen]:
    """`nutwizard apply` on a terminal, `fault` at call `at`: whether it came so far, and the terminal."""
    ours, theirs = socket.socketpair()
    pid, master = pty.fork()
    if pid == 0:
        try:
            gate.install(theirs)
            os.execv(WIZARD[0], [*WIZARD, "--root", root, "apply", str(answers)])
        finally:
            os._exit(99)
    theirs.close()
    screen = Screen(pid, master)
    came: list[bool] = []

    def decide(call: gate.Call) -> None:
        if call.number == at:
            came.append(True)
            fault(screen, call)

    with ours:
        gate.watch(gate.take_listener(ours), root, decide, (pid,))
    screen.close()
    reap(pid)
    return bool(came), screen


def reap(pid: int) -> None:
    until = time.monotonic() + gate.LIMIT
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        assert time.monotonic() < until
        time.sleep(0.01)


def next_start(root: str, *command: str) -> str:
    """What the next start says."""
    done = subprocess.run(
        [*WIZARD, "--root", root, *command], capture_output=True, text=True, timeout=gate.LIMIT, check=True
    )
    return done.stdout + done.stderr


def check(root: str, before: set[str]) -> str:
    """All files of the transaction as before it or as after it, and none but those."""
    host = OfflineHost(root)
    store = Store(host)
    assert store.unfinished() is None
    assert store.litter() == []
    records = store.records()
    if not records:
        assert tree(root) == before
        return "before"
    plan = store.load(records[0].id).plan
    found = [files.found(host, change.target) for change in plan.files]
    which = [
        word
        for word, wanted in (("before", files.before), ("after", files.after))
        if found == [wanted(change) for change in plan.files]
    ]
    assert len(which) == 1
    gone = {change.path for change in plan.files if change.after is None and which == ["after"]}
    new = {change.path for change in plan.files if change.before is None and which == ["after"]}
    assert tree(root) == (before - gone) | new
    return which[0]


def tree(root: str) -> set[str]:
    """Every file outside our own store."""
    return {
        f"{folder.removeprefix(root)}/{name}"
        for folder, _, names in os.walk(root)
        if not folder.startswith(f"{root}/var/lib/nutwizard")
        for name in names
    }


def hang_up(screen: Screen, _: gate.Call) -> None:
    screen.close()


def kill_the_front_end(screen: Screen, _: gate.Call) -> None:
    os.kill(screen.pid, signal.SIGKILL)


def kill_the_worker(screen: Screen, call: gate.Call) -> None:
    if call.pid != screen.pid:  # the very last call is the front end's own: it has been told
        os.kill(call.pid, signal.SIGKILL)


@pytest.fixture
def prepared(memory: Path) -> tuple[str, Path]:
    """A machine, and answers for it."""
    answers = memory / "answers.yaml"
    answers.write_text("nutwizard: 1\nrole: host\n")
    answers.chmod(0o600)
    return machine(memory), answers


@pytest.mark.parametrize("fault", [hang_up, kill_the_front_end], ids=["terminal closed", "front end killed"])
def test_the_screen_goes_away(memory: Path, table: Table, prepared: tuple[str, Path], fault: Fault) -> None:
    """The files end as planned all the same, and the next start says what became of it."""
    start, answers = prepared
    name = "terminal closed" if fault is hang_up else "front end killed"
    ends = []
    for at in count(2, STEP):
        root = copy(start, memory / "run")
        came, screen = run_apply(root, answers, at, fault)
        if not came:
            assert b"To put the files back" in screen.text
            assert check(root, tree(start)) == "after"
            break
        with table.point(f"{name} in `nutwizard apply` (every {STEP}th call)"):
            heard = b"To put the files back" in screen.text
            said = next_start(root, "history")
            ends.append(check(root, tree(start)))
            assert ends[-1] == "after"
            assert "committed" in said
            assert heard or "files changed." in said
        shutil.rmtree(root)
    assert len(ends) > 5


def test_the_worker_is_killed(memory: Path, table: Table, prepared: tuple[str, Path]) -> None:
    """SIGKILL for what `nutwizard apply` has started: it says so, and the next command puts all back."""
    start, answers = prepared
    ends = []
    for at in count(5, STEP):
        root = copy(start, memory / "run")
        came, screen = run_apply(root, answers, at, kill_the_worker)
        if not came or b"To put the files back" in screen.text:
            break
        with table.point(f"kill -9 of the worker of `nutwizard apply` (every {STEP}th call)"):
            assert b"it was killed" in screen.text
            next_start(root, "recover")
            ends.append(check(root, tree(start)))
            assert "Traceback" not in next_start(root, "history")
        shutil.rmtree(root)
    assert ends.count("before") > 5
