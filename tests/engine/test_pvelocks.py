"""Proxmox VE's own locks: held around comparing and writing alone, waited for, and always given back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit, NotWhole
from nutwizard.core.facts import Owner
from nutwizard.engine import pvelocks
from nutwizard.engine.host import Completed
from nutwizard.engine.journal import Mark
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.recovery import recover
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from nutwizard.engine.undo import undo_plan
from tests.engine.test_transaction_kills import run
from tests.support.cluster import (
    BEFORE_ALL,
    CLUSTER,
    HOST_ACTUAL,
    HOST_RULES,
    LOCKS,
    NEW_RULES,
    OLD_RULES,
    OWNER,
    Clock,
    Leaping,
    Live,
    host_rules,
    locks,
    memory,
    node_rules,
    pve,
    root,
    rules,
    state,
)
from tests.support.pmxcfs import NODE, Pmxcfs
from tests.support.trees import change, plan_of

__all__ = ["memory", "pve", "root"]  # fixtures

ALL = ["firewall-cluster", f"firewall-host-{NODE}"]
BUSY = "Another change of the firewall is under way (Proxmox VE's lock firewall-cluster)."


def take(root: str, name: str = ALL[0]) -> Path:
    """Another writer takes a lock."""
    lock = Path(root + LOCKS, name)
    lock.mkdir(parents=True)
    return lock


class Watched(Leaping):
    """Calls back at each rename, removal of a file, and sleep."""

    seen: Callable[[], None] = staticmethod(lambda: None)
    slept: Callable[[], None] = staticmethod(lambda: None)

    def rename(self, source: str, target: str) -> None:
        if target.startswith("/etc/pve"):
            self.seen()
        super().rename(source, target)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.slept()


def test_both_locks_are_held_while_files_are_replaced(root: str, pve: Pmxcfs) -> None:
    held: list[list[str]] = []
    host = Watched(root)
    host.seen = lambda: held.append(locks(root))
    assert apply(host, plan_of(*node_rules()), prove=lambda: ()).code == Exit.DONE
    assert held == [ALL, ALL]
    assert locks(root) == []


def test_without_host_fw_one_lock_is_enough(root: str, pve: Pmxcfs) -> None:
    held: list[list[str]] = []
    host = Watched(root)
    host.seen = lambda: held.append(locks(root))
    assert apply(host, plan_of(*rules()), prove=lambda: ()).code == Exit.DONE
    assert held == [ALL[:1], ALL[:1]]


def test_an_undo_takes_them_as_well(root: str, pve: Pmxcfs) -> None:
    held: list[list[str]] = []
    host = Watched(root)
    apply(host, plan_of(*node_rules()), prove=lambda: ())
    host.seen = lambda: held.append(locks(root))
    lock = take(root, ALL[1])
    outcome = apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=1)
    assert "(Proxmox VE's lock firewall-host-pve1)" in outcome.text
    assert (outcome.code, held, locks(root)) == (Exit.FAILED, [], ALL[1:])
    lock.rmdir()
    assert apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=1).code == Exit.DONE
    assert (held, locks(root)) == ([ALL], [])
    assert (state(root), host_rules(root)) == (BEFORE_ALL, None)


def test_a_writer_that_lets_go_is_waited_for(root: str, pve: Pmxcfs) -> None:
    lock, start = take(root), Clock.now

    def let_go() -> None:
        if Clock.now - start > 5 and lock.exists():
            lock.rmdir()

    said: list[str] = []
    host = Watched(root)
    host.slept = let_go
    outcome = apply(host, plan_of(*node_rules()), prove=lambda: (), report=said.append)
    assert (outcome.code, host_rules(root), locks(root)) == (Exit.DONE, HOST_RULES, [])
    assert 5 < Clock.now - start < 7
    assert said.count("waiting for Proxmox VE's lock firewall-cluster") == 1


@pytest.mark.parametrize("name", ALL)
def test_a_writer_that_never_lets_go(root: str, pve: Pmxcfs, name: str) -> None:
    start = Clock.now
    take(root, name)
    outcome = apply(Leaping(root), plan_of(*node_rules()), prove=lambda: ())
    assert outcome.code == Exit.FAILED
    assert outcome.text.startswith(BUSY.replace(ALL[0], name))
    assert 9.5 < Clock.now - start < 11
    assert (state(root), host_rules(root), locks(root)) == (BEFORE_ALL, None, [name])
    assert Store(OfflineHost(root)).records()[-1].state == "rolled back"


def test_the_patience_is_an_argument(root: str, pve: Pmxcfs) -> None:
    take(root)
    start, noted = Clock.now, list[tuple[Mark, int]]()

    def note(mark: Mark, number: int) -> None:
        noted.append((mark, number))

    plan = plan_of(*node_rules())
    with pytest.raises(pvelocks.Busy, match="another change of the firewall is under way"):  # noqa: SIM117
        with pvelocks.taken(Leaping(root), plan, note, lambda text: None, 2.0):
            pytest.fail("had it")
    assert Clock.now - start == 2
    assert noted == [(Mark.LOCK, 0), (Mark.FREED, 0)]


def test_a_dead_lock_expires(root: str, pve: Pmxcfs) -> None:
    """Two at once, since both are asked about from the beginning."""
    for name in ALL:
        Path(root + LOCKS, name).mkdir(parents=True)
    start = Clock.now
    with pvelocks.taken(
        Leaping(root), plan_of(*node_rules()), lambda mark, number: None, lambda text: None, pvelocks.WAY_BACK
    ):
        assert 120 < Clock.now - start < 122
        assert locks(root) == ALL
    assert locks(root) == []


def test_a_writer_that_ignores_the_lock(root: str, pve: Pmxcfs) -> None:
    """It changes the file between the plan and the writing: it is left as it is, the other file too."""

    class Changed(Leaping):
        def create_plain(self, path: str, data: bytes) -> None:
            super().create_plain(path, data)
            if "host.fw" in path:
                Path(root + HOST_ACTUAL).write_bytes(b"# another hand\n")

    outcome = apply(Changed(root), plan_of(*node_rules()), prove=lambda: ())
    assert outcome.code == Exit.FAILED
    assert "another hand was faster" in outcome.text
    assert (state(root), host_rules(root), locks(root)) == (BEFORE_ALL, b"# another hand\n", [])


def test_the_locks_are_not_held_while_anything_is_waited_for(root: str, pve: Pmxcfs) -> None:
    for path in ("usr/sbin", "usr/bin"):
        os.makedirs(f"{root}/{path}")
    Path(root, "usr/sbin/pve-firewall").touch()
    held: list[list[str]] = []

    class Asked(Live):
        def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
            held.append(locks(root))
            return Completed(0)

    assert apply(Asked(root), plan_of(*node_rules()), prove=lambda: ()).code == Exit.DONE
    assert held
    assert not any(held)


def test_an_error_while_they_are_held_gives_them_back(root: str, pve: Pmxcfs) -> None:
    host = Watched(root)

    def broken() -> None:
        raise RuntimeError

    host.seen = broken
    with pytest.raises(RuntimeError):
        apply(host, plan_of(*node_rules()), prove=lambda: ())
    assert (state(root), host_rules(root), locks(root)) == (BEFORE_ALL, None, [])


def test_a_signal_while_they_are_held_waits(root: str, pve: Pmxcfs) -> None:
    host = Watched(root)
    host.seen = lambda: signal.raise_signal(signal.SIGTERM)
    outcome = apply(host, plan_of(*node_rules()), prove=lambda: ())
    assert (outcome.code, locks(root)) == (Exit.DONE, [])
    assert set(outcome.signals) == {signal.SIGTERM}


@pytest.mark.parametrize("second", [False, True])
def test_a_kill_while_they_are_held(root: str, pve: Pmxcfs, second: bool) -> None:
    """The left-over locks may be ours or not: recovery waits until they die, and gives them back."""

    class Killed(Leaping):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            if ("host.fw" in target) is second and target.startswith("/etc/pve"):
                os.kill(os.getpid(), signal.SIGKILL)

    assert run(lambda: apply(Killed(root), plan_of(*node_rules()), prove=lambda: ()), 10_000, after=False)
    assert (state(root), locks(root)) == ({"cluster.fw": NEW_RULES}, ALL)
    start, said = Clock.now, list[str]()
    host = Leaping(root)
    assert "its 2 files are as they were before" in str(recover(host, Store(host), said.append))
    assert 120 < Clock.now - start < 130
    assert "waiting for Proxmox VE's lock firewall-cluster" in said
    assert (state(root), host_rules(root), locks(root)) == (BEFORE_ALL, None, [])
    assert Store(host).unfinished() is None


def test_a_kill_between_the_lock_and_the_first_file(root: str, pve: Pmxcfs) -> None:
    class Killed(Leaping):
        def make_plain_folder(self, path: str) -> None:
            super().make_plain_folder(path)
            if path.endswith(ALL[1]):
                os.kill(os.getpid(), signal.SIGKILL)

    assert run(lambda: apply(Killed(root), plan_of(*node_rules()), prove=lambda: ()), 10_000, after=False)
    assert locks(root) == ALL
    host = Leaping(root)
    recover(host, Store(host))
    assert (state(root), locks(root)) == (BEFORE_ALL, [])


def test_recovery_while_another_writer_never_lets_go(root: str, pve: Pmxcfs) -> None:
    class Killed(Leaping):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            os.kill(os.getpid(), signal.SIGKILL)

    assert run(lambda: apply(Killed(root), plan_of(*rules()), prove=lambda: ()), 10_000, after=False)
    pve.lock_lives, host = 10_000, Leaping(root)
    with pytest.raises(NotWhole, match="another change of the firewall is under way") as error:
        recover(host, Store(host))
    assert f"{CLUSTER}: another" in error.value.text
    assert (state(root)["cluster.fw"], locks(root)) == (NEW_RULES, ALL[:1])
    Path(root + LOCKS, ALL[0]).rmdir()
    recover(host, Store(host))
    assert state(root) == BEFORE_ALL


def test_where_pmxcfs_is_not_there_are_no_locks(root: str) -> None:
    """A practice machine, a copy of another machine's files: nobody else writes, no lock would expire."""
    os.makedirs(f"{root}/etc/pve/nodes/{NODE}")
    os.symlink(f"nodes/{NODE}", f"{root}/etc/pve/local")
    os.mkdir(f"{root}/etc/pve/firewall")
    OfflineHost(root).create(CLUSTER, OLD_RULES, Owner("root", "root", 0o640))
    assert apply(Leaping(root), plan_of(*node_rules()), prove=lambda: ()).code == Exit.DONE
    assert host_rules(root) == HOST_RULES
    assert not os.path.exists(f"{root}/etc/pve/priv")


def test_a_lock_that_grew_old_is_left_to_itself(root: str, pve: Pmxcfs) -> None:
    """It has expired by now and may be another's."""
    said: list[str] = []
    plan = plan_of(change(CLUSTER, (OLD_RULES, OWNER), (NEW_RULES, OWNER)))
    with pvelocks.taken(Leaping(root), plan, lambda mark, number: None, said.append, 10.0):
        Clock.now += 121
    assert locks(root) == ALL[:1]
    assert said == [
        "Proxmox VE's lock firewall-cluster could not be given back (it was held for too long);"
        " it expires by itself"
    ]
