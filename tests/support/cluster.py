"""A machine with /etc/pve, the FUSE stand-in, for tests of transactions there; its clocks leap together."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard.core.facts import Owner
from nutwizard.core.plan import FileChange
from nutwizard.engine.machine import OfflineHost
from tests.support.pmxcfs import NODE, Pmxcfs, mounted
from tests.support.trees import ScriptedHost, change, make_tree

CLUSTER, NEW = "/etc/pve/firewall/cluster.fw", "/etc/pve/firewall/107.fw"
HOST, HOST_ACTUAL = "/etc/pve/local/host.fw", f"/etc/pve/nodes/{NODE}/host.fw"
LOCKS = "/etc/pve/priv/lock"
OLD_RULES, NEW_RULES = b"[OPTIONS]\n", b"[OPTIONS]\nenable: 1\n"
HOST_RULES = b"[RULES]\n"
#: What a plan may think of the owner; pmxcfs decides.
OWNER = Owner("root", "root", 0o644)
BEFORE_ALL = {"cluster.fw": OLD_RULES}
AFTER_ALL = {"cluster.fw": NEW_RULES, "107.fw": b"[RULES]\n"}


class Clock:
    """The seconds of every host here, and of the stand-in's locks."""

    now = 0.0


class Leaping(OfflineHost):
    """Another machine's files; waiting takes no time."""

    def ticks(self) -> float:
        return Clock.now

    def sleep(self, seconds: float) -> None:
        Clock.now += seconds


class Live(ScriptedHost):
    """The same as a live machine."""

    def ticks(self) -> float:
        return Clock.now

    def sleep(self, seconds: float) -> None:
        Clock.now += seconds


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory: what is measured here is not the disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        yield Path(folder)


@pytest.fixture
def root(memory: Path) -> str:
    root = make_tree(memory / "machine")
    os.mkdir(f"{root}/etc/pve")
    return root


@pytest.fixture
def pve(root: str) -> Iterator[Pmxcfs]:
    if os.geteuid() or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs root and /dev/fuse")
    with mounted(Path(root, "etc/pve")) as files:
        files.clock = lambda: Clock.now
        os.mkdir(f"{root}/etc/pve/firewall")
        Path(root + CLUSTER).write_bytes(OLD_RULES)
        files.calls.clear()
        yield files


def rules() -> tuple[FileChange, FileChange]:
    return (
        change(CLUSTER, (OLD_RULES, OWNER), (NEW_RULES, OWNER)),
        change(NEW, None, (b"[RULES]\n", OWNER)),
    )


def node_rules() -> tuple[FileChange, FileChange]:
    """The two files of the firewall's step."""
    return (
        change(CLUSTER, (OLD_RULES, OWNER), (NEW_RULES, OWNER), rank=100),
        change(HOST, None, (HOST_RULES, OWNER), rank=110, actual=HOST_ACTUAL),
    )


def state(root: str) -> dict[str, bytes]:
    """What stands in /etc/pve/firewall."""
    folder = Path(root, "etc/pve/firewall")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def host_rules(root: str) -> bytes | None:
    """This node's host.fw."""
    path = Path(root + HOST_ACTUAL)
    return path.read_bytes() if path.exists() else None


def locks(root: str) -> list[str]:
    """The locks that somebody holds."""
    folder = root + LOCKS
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
