"""An independent witness, strace: what is durable before what, and that the gate misses no call."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit
from nutwizard.engine.files import temporary
from tests.faults import gate
from tests.faults.world import World, do_apply
from tests.support.trees import AFTER, BEFORE, state

_LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_PATH = re.compile(r'<(/[^<>]*)>|"(/[^"]*)"')
#: Calls that change nothing on a disk, whatever they are given.
_READING = set(
    "access chdir close close_range dup fadvise64 fcntl fgetxattr flistxattr fstat fstatfs getcwd getdents64"
    " getxattr ioctl lgetxattr listxattr llistxattr lseek lstat mmap newfstatat open openat pread64 read"
    " readlink readlinkat stat statfs statx".split()
)


@dataclass(frozen=True)
class Event:
    """One successful call on the machine's files; `paths` are the machine's own."""

    name: str
    paths: tuple[str, ...]
    text: str

    @property
    def path(self) -> str:
        return self.paths[-1]

    @property
    def creates(self) -> bool:
        return self.name == "openat" and "O_CREAT" in self.text


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """A whole apply under strace."""
    folder = tmp_path_factory.mktemp("strace")
    world = World.make(folder)
    out, code = (
        folder / "log",
        "import sys; sys.path.insert(0, sys.argv[2])\nfrom tests.faults.world import do_apply",
    )
    code += f"\nsys.exit(int(do_apply(sys.argv[1]).code != {int(Exit.DONE)}))"
    python = [sys.executable, "-I", "-c", code, world.before, str(Path(__file__).parents[2])]
    argv = ["strace", "-f", "-y", "-s", "0", "-e", "trace=%file,%desc,sync,syncfs", "-o", str(out), *python]
    subprocess.run(argv, check=True, timeout=gate.LIMIT)
    assert state(world.before) == AFTER
    return [event for line in out.read_text().splitlines() if (event := read(line, world.before)) is not None]


def read(line: str, root: str) -> Event | None:
    """A line of the log, if it is about a file below `root`."""
    assert "unfinished ..." not in line, "one thread alone writes: no call is cut in two"
    found = _LINE.match(line)
    if found is None or int(found[3]) < 0:
        return None
    paths = tuple(
        path for pair in _PATH.findall(found[2]) if (path := pair[0] or pair[1]).startswith(f"{root}/")
    )
    return Event(found[1], tuple(path[len(root) :] for path in paths), found[2]) if paths else None


def changing(log: list[Event]) -> list[Event]:
    """Those that change the disk."""
    return [event for event in log if event.creates or event.name not in _READING]


def the_one(log: list[Event], name: str, path: str) -> int:
    """Where the only such call stands."""
    found = [at for at, event in enumerate(log) if event.name in name.split("|") and event.path == path]
    assert len(found) == 1, (name, path, found)
    return found[0]


def last(log: list[Event], name: str, path: str, before: int) -> int:
    """Where the last such call before `before` stands."""
    return max(at for at, event in enumerate(log[:before]) if event.name == name and event.path == path)


@pytest.mark.parametrize("path", [path for path in AFTER if AFTER[path] != BEFORE[path] and AFTER[path]])
def test_write_fsync_rename_fsync(log: list[Event], path: str) -> None:
    temp, log = temporary(path, 1), changing(log)
    created, renamed = the_one(log, "openat", temp), the_one(log, "rename", path)
    assert log[renamed].paths == (temp, path)
    synced = last(log, "fsync", temp, renamed)
    touching = [
        at for at, event in enumerate(log) if temp in event.paths and event.name != "fsync" and at != renamed
    ]
    assert touching[0] == created
    assert {log[at].name for at in touching} >= {"openat", "write"}
    assert max(touching) < synced < renamed  # owner, mode and attributes too
    assert log[renamed + 1].name == "fsync"
    assert log[renamed + 1].path == os.path.dirname(path)


def test_a_removed_file(log: list[Event]) -> None:
    log = changing(log)
    gone = the_one(log, "unlink", "/etc/nut/left.conf")
    assert (log[gone + 1].name, log[gone + 1].path) == ("fsync", "/etc/nut")


def test_all_is_kept_before_the_first_change(log: list[Event]) -> None:
    """Every file and folder of the store is synced, and so is the name that leads to it; the journal last."""
    log = changing(log)
    store = "/var/lib/nutwizard"
    first = min(at for at, event in enumerate(log) if event.path.startswith("/etc/"))
    made = {e.path: at for at, e in reversed(list(enumerate(log[:first]))) if e.creates or e.name == "mkdir"}
    kept = [(at, path) for path, at in made.items() if "/transactions/" in path]
    assert sum("/before/" in path and path[-1].isdigit() for _, path in kept) == sum(
        map(bool, BEFORE.values())
    )
    assert sum("/after/" in path for _, path in kept) == sum(map(bool, AFTER.values()))
    assert {f"{store}/transactions/000001/{name}" for name in ("plan.json", "journal")} <= {
        p for _, p in kept
    }
    for at, path in kept:
        later = log[at:first]
        assert any(e.name == "fsync" and e.path == os.path.dirname(path) for e in later), path
        wrote = [n for n, e in enumerate(later) if e.name == "write" and e.path == path]
        synced = [n for n, e in enumerate(later) if e.name == "fsync" and e.path == path]
        assert not wrote or max(wrote) < max(synced), path


def test_each_act_is_in_the_journal_first(log: list[Event]) -> None:
    """A line, durable, before each change; and the commit is the last that is written."""
    log = changing(log)
    journal = "/var/lib/nutwizard/transactions/000001/journal"
    acts = [at for at, e in enumerate(log) if e.name in ("rename", "unlink") and e.path.startswith("/etc/")]
    assert len(acts) == sum(BEFORE[path] != AFTER[path] for path in AFTER)
    for previous, at in zip([0, *acts], acts, strict=False):
        synced = last(log, "fsync", journal, at)
        assert previous < last(log, "write", journal, at) < synced < at
        assert not any(e.path.startswith("/etc/") and e.path != os.path.dirname(log[previous].path)
                       for e in log[previous + 1 : synced])  # fmt: skip
    assert [(e.name, e.path) for e in log[-2:]] == [("write", journal), ("fsync", journal)]


def test_nothing_is_made_readable_for_others(log: list[Event]) -> None:
    """Every file is made with 0600 or less, exclusively, and no symlink in its place is followed."""
    made = [event for event in log if event.creates]
    for event in made:
        mode = int(event.text.rsplit(", ", 1)[1], 8)
        assert mode & 0o077 == 0, event
        assert "O_NOFOLLOW" in event.text
        assert "O_EXCL" in event.text or event.path.endswith(("/journal", "/lock"))
    assert len(made) > 20


def test_the_gate_misses_nothing(log: list[Event], world: World) -> None:
    """The same calls in the same order."""
    seen: list[tuple[str, str]] = []
    with world.fresh(world.before) as root:
        gate.run(
            lambda: do_apply(root), root, lambda call: seen.append((call.name, call.path.removeprefix(root)))
        )
    assert [(event.name, event.path) for event in changing(log)] == seen
    assert len(seen) > 100
