"""Forget: what a transaction keeps is gone, what it did stays known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit, Failed, Locked, UsageError
from nutwizard.core.facts import Owner
from nutwizard.core.plan import Plan
from nutwizard.engine.forget import forget
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.recovery import recover
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from nutwizard.engine.undo import undo_plan
from tests.engine.test_transaction_kills import memory, run
from tests.support.trees import AFTER, BEFORE, NUT, SECRET, change, make_tree, plan_of, state, whole_plan

__all__ = ["memory"]  # a fixture

CONF = "/etc/nut/nut.conf"


@pytest.fixture
def host(memory: Path) -> OfflineHost:
    """One transaction with passwords in it, and a newer one on one of its files."""
    return made(memory / "machine")


def made(folder: Path) -> OfflineHost:
    host = OfflineHost(make_tree(folder))
    apply(host, whole_plan(), prove=lambda: ())
    apply(host, plan_of(change(CONF, AFTER[CONF], (b"MODE=none # 2\n", NUT))), prove=lambda: ())
    return host


def kept(host: OfflineHost) -> Path:
    return Path(host.root, "var/lib/nutwizard")


def with_secret(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_what_it_keeps_is_gone_and_the_rest_is_told(host: OfflineHost) -> None:
    store, now = Store(host), state(host.root)
    assert with_secret(kept(host))
    size = store.records()[0].size
    text = forget(host, store, 1)
    assert with_secret(kept(host)) == []
    assert state(host.root) == now
    first, second = store.records()
    assert (first.state, first.forgotten, second.forgotten) == ("committed", True, False)
    assert first.paths == tuple(BEFORE)
    assert f"12 kept files ({size - first.size} bytes) are removed" in text
    assert "not overwritten" in text
    assert "Other transactions keep contents of the same files: 2." in text
    assert "Copies from before the first change stay: /etc/nut/upsd.users.orig." in text
    assert store.touched() == set(BEFORE)
    assert apply(host, whole_plan_again(host), prove=lambda: ()).id == 3


def whole_plan_again(host: OfflineHost) -> Plan:
    return plan_of(change(CONF, (host.read(CONF), NUT), (b"MODE=none # 3\n", NUT)))


def test_forgetting_again_is_no_error(host: OfflineHost) -> None:
    forget(host, Store(host), 1)
    assert "was forgotten before" in forget(host, Store(host), 1)


def test_nobody_can_undo_it(host: OfflineHost) -> None:
    store = Store(host)
    forget(host, store, 1)
    with pytest.raises(UsageError, match="transaction 1 was forgotten"):
        undo_plan(host, store, 1)
    assert apply(host, undo_plan(host, store), prove=lambda: (), undoes=2).code == Exit.DONE
    with pytest.raises(UsageError, match="nothing to undo"):
        undo_plan(host, store)


def test_an_older_one_on_the_same_files_cannot_be_undone_through_it(host: OfflineHost) -> None:
    store = Store(host)
    with pytest.raises(UsageError, match="newest that can be undone") as error:
        forget(host, store, 2)
    assert error.value.hint.endswith("nutwizard forget 2 --yes")
    assert not store.records()[1].forgotten
    forget(host, store, 2, sure=True)
    with pytest.raises(UsageError, match="transaction 2 on the same files was forgotten"):
        undo_plan(host, store, 1)


def test_an_undone_one_stays_undone(host: OfflineHost) -> None:
    store = Store(host)
    apply(host, undo_plan(host, store), prove=lambda: (), undoes=2)
    forget(host, store, 2)
    forget(host, store, 3)
    assert [record.state for record in store.records()] == ["committed", "undone", "committed"]
    assert apply(host, undo_plan(host, store), prove=lambda: (), undoes=1).code == Exit.DONE
    assert state(host.root) == BEFORE


def test_never_an_unfinished_one_nor_one_that_is_not_there(host: OfflineHost) -> None:
    store = Store(host)

    class Killed(OfflineHost):
        def create(self, path: str, data: bytes, owner: Owner) -> None:
            if path.startswith("/etc/nut/"):
                os.kill(os.getpid(), 9)
            super().create(path, data, owner)

    killed = Killed(host.root)
    assert run(lambda: apply(killed, whole_plan_again(host), prove=lambda: ()), 10_000, after=False)
    for sure in (False, True):
        with pytest.raises(UsageError, match="transaction 3 is unfinished"):
            forget(host, store, 3, sure=sure)
    with pytest.raises(UsageError, match="no transaction 9"):
        forget(host, store, 9)
    assert "its 1 files are as they were" in str(recover(host, store))
    assert "1 kept files" not in forget(host, store, 3)
    assert store.records()[2].forgotten


def test_one_run_at_a_time(host: OfflineHost) -> None:
    lock = Store(host).lock()
    with pytest.raises(Locked):
        forget(host, Store(host), 1)
    lock.release()


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_every_call(host: OfflineHost, memory: Path, after: bool) -> None:
    """The files stay; what was begun to be forgotten is gone after the next start."""
    now = state(host.root)
    begun = 0
    for at in range(1, 200):
        killed = run(lambda: forget(host, Store(host), 1), at, after=after)  # noqa: B023 - called at once
        forgotten = Store(host).records()[0].forgotten
        assert Store(host).unfinished() is None
        said = recover(host, Store(host))
        assert (with_secret(kept(host)) == []) is forgotten
        assert state(host.root) == now
        if said:
            begun += 1
            assert said == "What a forgotten transaction had kept is removed now, too."
        if not killed:
            break
        if forgotten:  # afresh
            host = made(memory / f"{at}")
    assert at > 20
    assert begun > 10


def test_a_disk_that_refuses_is_told(host: OfflineHost) -> None:
    class Full(OfflineHost):
        def remove(self, path: str) -> None:
            if path.endswith("after/1"):
                raise OSError(5, "Input/output error", path)
            super().remove(path)

    with pytest.raises(Failed, match="Input/output error") as error:
        forget(Full(host.root), Store(Full(host.root)), 1)
    assert "not all of it is removed" in error.value.hint
    assert with_secret(kept(host))
    forget(host, Store(host), 1)
    assert with_secret(kept(host)) == []
