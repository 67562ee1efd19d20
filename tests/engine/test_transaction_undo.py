"""Undo: back to the byte, of the newest and of older transactions; refused when another hand was there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit, Failed, UsageError
from nutwizard.core.facts import Owner
from nutwizard.core.plan import Act, ActKind, FileChange
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from nutwizard.engine.undo import target_of, undo_plan
from tests.support.trees import (
    ACTS,
    AFTER,
    BEFORE,
    NUT,
    PATH_UNIT,
    ROOT,
    SECRET,
    ScriptedHost,
    change,
    make_tree,
    names,
    plan_of,
    state,
    whole_plan,
)

Content = tuple[bytes, Owner]
A, B, C = "/etc/nut/a", "/etc/nut/b", "/etc/nut/c"


@pytest.fixture
def root(tmp_path: Path) -> str:
    return make_tree(tmp_path / "machine")


@pytest.fixture
def abc(tmp_path: Path) -> OfflineHost:
    return OfflineHost(make_tree(tmp_path / "abc", dict.fromkeys((A, B, C), (b"0", NUT))))


def write(host: OfflineHost, *paths: str, value: bytes, acts: Sequence[Act] = ()) -> int:
    changes: list[FileChange] = []
    for path in paths:
        stat = host.stat(path)
        assert stat is not None
        changes.append(change(path, (host.read(path), stat.owner), (value, NUT)))
    return apply(host, plan_of(*changes, acts=acts), prove=lambda: ()).id


def undo(host: OfflineHost, number: int | None = None) -> Outcome:
    store = Store(host)
    plan, target = undo_plan(host, store, number), target_of(store, number)
    return apply(host, plan, prove=lambda: (), command="undo", undoes=target)


def values(host: OfflineHost) -> bytes:
    return b"".join(host.read(path) for path in (A, B, C))


def states(host: OfflineHost) -> list[str]:
    return [record.state for record in Store(host).records()]


def test_everything_comes_back(root: str) -> None:
    before, host = names(root), ScriptedHost(root)
    apply(host, whole_plan(ACTS), prove=lambda: ())
    assert state(root) == AFTER
    host.ran.clear()
    outcome = undo(host)
    assert outcome.code == Exit.DONE
    assert state(root) == BEFORE
    assert names(root) == before
    assert states(host) == ["undone", "committed"]
    assert Store(host).records()[1].undoes == 1
    assert host.acts == [
        f"stop {PATH_UNIT}",
        "stop nut-monitor.service",
        "disable nut-server.service",
        "restart nut-driver-enumerator.service",
        "restart nut-server.service",
        f"start {PATH_UNIT}",
    ]


def test_undo_writes_in_reverse_order(root: str) -> None:
    host = OfflineHost(root)
    apply(host, whole_plan(), prove=lambda: ())
    told: list[str] = []
    apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=1, report=told.append)
    assert [line.split()[1] for line in told] == list(reversed(BEFORE))


def test_an_older_one_takes_newer_ones_on_the_same_files_along(abc: OfflineHost) -> None:
    write(abc, A, value=b"1")
    write(abc, C, value=b"2")
    write(abc, A, B, value=b"3")
    write(abc, B, value=b"4")
    assert values(abc) == b"342"
    plan = undo_plan(abc, Store(abc), 1)
    assert "this undoes transactions 4, 3, 1" in plan.notes
    undo(abc, 1)
    assert values(abc) == b"002"
    assert states(abc) == ["undone", "committed", "undone", "undone", "committed"]
    assert Store(abc).touched() == {C}


def test_the_newest_twice_goes_back_twice(abc: OfflineHost) -> None:
    write(abc, A, value=b"1")
    write(abc, A, value=b"2")
    undo(abc)
    assert values(abc) == b"100"
    undo(abc)
    assert values(abc) == b"000"
    assert Store(abc).touched() == frozenset()
    with pytest.raises(UsageError, match="nothing to undo"):
        undo(abc)


def test_an_undo_can_be_undone(abc: OfflineHost) -> None:
    write(abc, A, value=b"1")
    undo(abc)
    undo(abc, 2)
    assert values(abc) == b"100"
    assert states(abc) == ["committed", "undone", "committed"]
    assert Store(abc).touched() == {A}
    undo(abc, 1)
    assert values(abc) == b"000"
    assert states(abc) == ["undone", "undone", "committed", "committed"]


def test_undo_after_undo_of_a_newer_one(abc: OfflineHost) -> None:
    write(abc, A, value=b"1")
    write(abc, A, value=b"2")
    undo(abc, 2)
    undo(abc, 1)
    assert values(abc) == b"000"


def test_there_and_back_is_marked_though_no_byte_changes(abc: OfflineHost) -> None:
    write(abc, A, value=b"1")
    write(abc, A, value=b"0")
    assert undo_plan(abc, Store(abc), 1).files == ()
    undo(abc, 1)
    assert states(abc) == ["undone", "undone", "committed"]


def test_of_several_transactions_the_oldest_decides_about_a_unit(abc: OfflineHost) -> None:
    write(abc, A, value=b"1", acts=[Act(ActKind.START, "x.service", "down")])
    write(
        abc,
        A,
        value=b"2",
        acts=[Act(ActKind.RESTART, "x.service", "changed"), Act(ActKind.RESTART, "y.service", "")],
    )
    assert sorted(map(str, undo_plan(abc, Store(abc), 1).acts)) == ["restart y.service", "stop x.service"]
    assert sorted(map(str, undo_plan(abc, Store(abc), 2).acts)) == ["restart x.service", "restart y.service"]


def test_refused_with_a_masked_diff(root: str) -> None:
    host = OfflineHost(root)
    apply(host, whole_plan(), prove=lambda: ())
    path = Path(root, "etc/nut/upsd.users")
    path.write_bytes(path.read_bytes() + b"[added]\n password = hidden-too\n")
    now = state(root)
    with pytest.raises(Failed) as error:
        undo_plan(host, Store(host))
    assert "/etc/nut/upsd.users was changed since" in error.value.text
    assert "+[added]" in error.value.text
    assert SECRET not in error.value.text
    assert "hidden-too" not in error.value.text
    assert state(root) == now


def test_refused_when_only_the_owner_changed(root: str) -> None:
    host = OfflineHost(root)
    apply(host, whole_plan(), prove=lambda: ())
    os.chown(f"{root}/etc/nut/nut.conf", 0, 0)
    with pytest.raises(Failed, match="root:nut 0640 is root:root 0640 now"):
        undo_plan(host, Store(host))


def test_refused_when_a_folder_stands_there(root: str) -> None:
    host = OfflineHost(root)
    apply(host, whole_plan(), prove=lambda: ())
    os.mkdir(f"{root}/etc/nut/left.conf")
    with pytest.raises(Failed, match=r"left\.conf is a directory now"):
        undo_plan(host, Store(host))


def test_our_copy_stays_when_it_was_changed(root: str) -> None:
    host = OfflineHost(root)
    apply(host, whole_plan(), prove=lambda: ())
    Path(root, "etc/nut/upsd.users.orig").write_bytes(b"mine now\n")
    plan = undo_plan(host, Store(host))
    assert "/etc/nut/upsd.users.orig was changed since: it stays" in plan.notes
    assert undo(host).code == Exit.DONE
    found = state(root)
    assert found.pop("/etc/nut/upsd.users.orig") == (b"mine now\n", Owner("root", "root", 0o600))
    assert found == {path: content for path, content in BEFORE.items() if not path.endswith(".orig")}


def test_our_folder_stays_when_something_else_is_in_it(root: str) -> None:
    host = OfflineHost(root)
    apply(host, whole_plan(), prove=lambda: ())
    Path(root, "etc/nutwizard/mine").write_bytes(b"")
    undo(host)
    assert os.listdir(f"{root}/etc/nutwizard") == ["mine"]


@pytest.mark.parametrize("number", [3, 0, 2])
def test_what_cannot_be_undone(abc: OfflineHost, number: int) -> None:
    write(abc, A, value=b"1")

    class Broken(OfflineHost):
        def rename(self, source: str, target: str) -> None:
            if target == A:
                raise OSError(5, "Input/output error", target)
            super().rename(source, target)

    write(Broken(abc.root), A, value=b"2")
    assert states(abc) == ["committed", "rolled back"]
    with pytest.raises(UsageError, match="is rolled back" if number == 2 else f"no transaction {number}"):
        undo_plan(abc, Store(abc), number)


def test_owner_only(root: str) -> None:
    host, path = OfflineHost(root), "/etc/nut/upssched.conf"
    before = (b"CMDSCRIPT /bin/x\n", ROOT)
    apply(host, plan_of(change(path, before, (before[0], NUT))), prove=lambda: ())
    assert os.stat(root + path).st_mode & 0o7777 == 0o640
    undo(host)
    assert state(root)[path] == before


def test_a_refusal_hides_the_passwords_of_the_other_files(tmp_path: Path) -> None:
    host = OfflineHost(make_tree(tmp_path / "machine"))
    apply(host, whole_plan(), prove=lambda: ())
    Path(host.on_disk("/etc/nut/nut.conf")).write_text(f"MODE=netserver\n# {SECRET}-new and {SECRET}-old\n")
    with pytest.raises(Failed) as caught:
        undo_plan(host, Store(host), 1)
    assert "+# ********" in caught.value.text.replace("+ #", "+#")
    assert SECRET not in caught.value.text
