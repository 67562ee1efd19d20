"""Extended attributes and access lists stay on a file through apply, roll-back, undo and recovery."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit
from nutwizard.core.facts import Owner
from nutwizard.core.plan import Plan
from nutwizard.engine import attributes
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.recovery import recover
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from nutwizard.engine.undo import target_of, undo_plan
from tests.engine.test_transaction_kills import memory, run
from tests.support.trees import AFTER, BEFORE, NUT, change, make_tree, plan_of, state, whole_plan

__all__ = ["memory"]  # a fixture

BOB = 4800
USERS, CONF, LEFT = "/etc/nut/upsd.users", "/etc/nut/nut.conf", "/etc/nut/left.conf"


def acl(user: int, group: int, mask: int, other: int, bob: int) -> bytes:
    rows = [(1, user, -1), (2, bob, BOB), (4, group, -1), (16, mask, -1), (32, other, -1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *row) for row in rows)


#: What each file has: bob may read the passwords though the group may not.
GIVEN = {
    CONF: {"user.note": b"kept by hand", "security.label": b"\0binary\xff"},
    USERS: {"system.posix_acl_access": acl(6, 0, 4, 0, bob=4)},
    LEFT: {"user.note": b"left"},
}


@pytest.fixture
def root(tmp_path: Path) -> str:
    return dressed(tmp_path / "machine")


def dressed(folder: Path) -> str:
    root = make_tree(folder)
    for path, given in GIVEN.items():
        for name, value in given.items():
            try:
                os.setxattr(root + path, name, value)
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EPERM):
                    raise
                pytest.skip(f"no {name} here: {error.strerror}")
    return root


def having(root: str, path: str) -> dict[str, bytes]:
    return {name: os.getxattr(root + path, name) for name in os.listxattr(root + path)}


def mode(root: str, path: str) -> int:
    return os.stat(root + path).st_mode & 0o7777


def plan(root: str, path: str, owner: Owner, data: bytes = b"new\n") -> Plan:
    host = OfflineHost(root)
    stat = host.stat(path)
    assert stat is not None
    return plan_of(change(path, (host.read(path), stat.owner), (data, owner)))


def test_apply_and_undo(root: str) -> None:
    host = OfflineHost(root)
    kept = {path: having(root, path) for path in GIVEN}
    first = (host.read(USERS), Owner("root", "root", mode(root, USERS)))
    whole = plan_of(
        change(CONF, BEFORE[CONF], AFTER[CONF]),
        change(USERS, first, (b"new\n", first[1])),
        change(f"{USERS}.orig", None, first, copy_of=USERS),
        change(LEFT, BEFORE[LEFT], None),
        change("/etc/nut/ups.conf", BEFORE["/etc/nut/ups.conf"], AFTER["/etc/nut/ups.conf"]),
    )
    assert apply(host, whole, prove=lambda: ()).code == Exit.DONE
    assert host.read(CONF) == AFTER[CONF][0]  # type: ignore[index]
    assert having(root, CONF) == kept[CONF]
    assert having(root, USERS) == having(root, f"{USERS}.orig") == kept[USERS]
    assert having(root, "/etc/nut/ups.conf") == {}
    assert not os.path.exists(root + LEFT)
    assert apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=1).code == Exit.DONE
    assert {path: having(root, path) for path in GIVEN} == kept
    assert host.read(LEFT) == BEFORE[LEFT][0]  # type: ignore[index]
    assert apply(host, undo_plan(host, Store(host), 2), prove=lambda: (), undoes=2).code == Exit.DONE
    assert having(root, f"{USERS}.orig") == kept[USERS]


def test_the_undo_of_several_takes_those_of_the_oldest(root: str) -> None:
    host = OfflineHost(root)
    apply(host, plan_of(change(LEFT, BEFORE[LEFT], None)), prove=lambda: ())
    apply(host, plan_of(change(LEFT, None, (b"again\n", NUT))), prove=lambda: ())
    apply(host, plan_of(change(LEFT, (b"again\n", NUT), None)), prove=lambda: ())
    undone = undo_plan(host, Store(host), 1)
    assert apply(host, undone, prove=lambda: (), undoes=1).code == Exit.DONE
    assert having(root, LEFT) == GIVEN[LEFT]


def test_a_new_mode_narrows_the_access_list(root: str) -> None:
    """chmod(2) would do the same: the mask is what the group bits say, and bob is behind it."""
    assert mode(root, USERS) == 0o640  # the mask, not the group
    apply(OfflineHost(root), plan(root, USERS, Owner("root", "root", 0o600)), prove=lambda: ())
    assert mode(root, USERS) == 0o600
    assert having(root, USERS) == {"system.posix_acl_access": acl(6, 0, 0, 0, bob=4)}


def test_at_no_moment_wider(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group that the access list keeps out never gets the temporary, not even before the list is set."""
    seen = []
    give = os.setxattr

    def watch(fd: int, name: str, value: bytes) -> None:
        seen.append((name, os.fstat(fd).st_mode & 0o7777))
        give(fd, name, value)
        seen.append((name, os.fstat(fd).st_mode & 0o7777))

    monkeypatch.setattr(os, "setxattr", watch)
    apply(OfflineHost(root), plan(root, USERS, Owner("root", "root", 0o640)), prove=lambda: ())
    assert seen == [("system.posix_acl_access", 0o600), ("system.posix_acl_access", 0o640)]


def test_what_a_folder_hands_down_does_not_come_instead(root: str) -> None:
    os.setxattr(f"{root}/etc/nut", "system.posix_acl_default", acl(7, 5, 5, 0, bob=4))
    apply(OfflineHost(root), plan(root, CONF, NUT), prove=lambda: ())
    assert having(root, CONF) == GIVEN[CONF]
    assert mode(root, CONF) == 0o640


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_loses_none(memory: Path, after: bool) -> None:
    root = dressed(memory / "machine")
    host = OfflineHost(root)
    kept = {path: having(root, path) for path in GIVEN}
    users = (host.read(USERS), Owner("root", "root", mode(root, USERS)))
    changes = [
        change(USERS, users, (b"new\n", users[1])) if each.path == USERS else each
        for each in whole_plan().files
        if each.path != f"{USERS}.orig"
    ]
    committed = 0
    for at in range(1, 400, 2):
        killed = run(lambda: apply(host, plan_of(*changes), prove=lambda: ()), at, after=after)
        recover(host, Store(host))
        now = {path: having(root, path) for path in GIVEN if os.path.exists(root + path)}
        assert now == {path: kept[path] for path in now}
        if host.read(CONF) == AFTER[CONF][0]:  # type: ignore[index]
            committed += 1
            number = target_of(Store(host))
            apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=number)
        assert {path: having(root, path) for path in GIVEN} == kept
        assert state(root)[LEFT] == BEFORE[LEFT]
        if not killed:
            break
    assert at > 60
    assert committed


def test_a_roll_back_keeps_them(root: str) -> None:
    class Failing(OfflineHost):
        def rename(self, source: str, target: str) -> None:
            if target.endswith("/ups.conf"):
                raise OSError(errno.EIO, "Input/output error", target)
            super().rename(source, target)

    host = Failing(root)
    users = (host.read(USERS), Owner("root", "root", mode(root, USERS)))
    whole = plan_of(
        change(USERS, users, (b"new\n", users[1])),
        change(LEFT, BEFORE[LEFT], None),
        change("/etc/nut/ups.conf", BEFORE["/etc/nut/ups.conf"], AFTER["/etc/nut/ups.conf"]),
    )
    kept = {path: having(root, path) for path in GIVEN}
    assert apply(host, whole, prove=lambda: ()).code == Exit.FAILED
    assert {path: having(root, path) for path in GIVEN} == kept


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Path]:
    """A file system without extended attributes."""
    place = tmp_path / "ramfs"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "ramfs", "none", place], timeout=10, capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no ramfs here: {done.stderr!r}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], timeout=10, check=True)


def test_a_file_system_without_them_is_no_error(plain: Path) -> None:
    with pytest.raises(OSError, match="not supported"):
        os.setxattr(plain, "user.x", b"1")
    root = make_tree(plain / "machine")
    host = OfflineHost(root)
    assert host.attributes(CONF) == {}
    assert apply(host, whole_plan(), prove=lambda: ()).code == Exit.DONE
    assert apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=1).code == Exit.DONE
    assert state(root) == BEFORE


def test_digests_of_the_contents_are_not_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"")
    listed = ["security.ima", "security.evm", "trusted.overlay.opaque", "security.label", "user.a"]
    monkeypatch.setattr(os, "listxattr", lambda fd: listed)
    monkeypatch.setattr(os, "getxattr", lambda fd, name: name.encode())
    with path.open() as file:
        found = attributes.read(file.fileno())
    assert found == {"security.label": b"security.label", "user.a": b"user.a"}


def test_kept_and_read_back() -> None:
    given = {"user.x": bytes(range(256)), attributes.ACL: acl(6, 4, 4, 0, bob=4)}
    assert attributes.from_json(attributes.to_json(given)) == given
    for damaged in (b"[]", b"{", b'{"user.x": 1}', b'{"user.x": "?"}'):
        with pytest.raises(ValueError):  # noqa: PT011 - what is wrong with it helps nobody
            attributes.from_json(damaged)
