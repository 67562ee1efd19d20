"""Files below /etc/pve: a transaction of their own, written as pmxcfs allows."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit, Failed
from nutwizard.core.facts import Owner
from nutwizard.core.plan import FileChange
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.recovery import recover
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from nutwizard.engine.undo import target_of, undo_plan
from tests.engine.test_transaction_kills import memory, run
from tests.support.pmxcfs import LARGEST, WWW_DATA, Pmxcfs, mounted
from tests.support.trees import BEFORE, NUT, ScriptedHost, change, make_tree, plan_of

__all__ = ["memory"]  # a fixture

CLUSTER, NEW = "/etc/pve/firewall/cluster.fw", "/etc/pve/firewall/107.fw"
OLD_RULES, NEW_RULES = b"[OPTIONS]\n", b"[OPTIONS]\nenable: 1\n"
#: What a plan may think of the owner; pmxcfs decides.
OWNER = Owner("root", "root", 0o644)


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
        os.mkdir(f"{root}/etc/pve/firewall")
        Path(root + CLUSTER).write_bytes(OLD_RULES)
        files.calls.clear()
        yield files


def rules() -> tuple[FileChange, FileChange]:
    return (
        change(CLUSTER, (OLD_RULES, OWNER), (NEW_RULES, OWNER)),
        change(NEW, None, (b"[RULES]\n", OWNER)),
    )


def state(root: str) -> dict[str, bytes]:
    folder = Path(root, "etc/pve/firewall")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


BEFORE_ALL = {"cluster.fw": OLD_RULES}
AFTER_ALL = {"cluster.fw": NEW_RULES, "107.fw": b"[RULES]\n"}


def test_the_file_system_has_the_rules(root: str, pve: Pmxcfs) -> None:
    """The stand-in answers as the real one did."""
    path = root + CLUSTER
    other = f"{root}/etc/pve/other"

    def refused(number: int, call: object, *args: object, **more: object) -> None:
        with pytest.raises(OSError, match=re.escape(os.strerror(number))):
            call(*args, **more)  # type: ignore[operator]

    os.chmod(path, 0o640)
    refused(errno.EPERM, os.chmod, path, 0o600)
    os.chown(path, 0, WWW_DATA)
    os.chown(path, -1, -1)
    refused(errno.EPERM, os.chown, path, 0, 0)
    refused(errno.ENOSYS, os.symlink, "x", other)
    refused(errno.EPERM, os.link, path, other)
    refused(errno.ENOTSUP, os.setxattr, path, "user.x", b"1")
    refused(errno.ENOTSUP, os.listxattr, path)
    refused(errno.EOPNOTSUPP, os.open, f"{root}/etc/pve", os.O_TMPFILE | os.O_WRONLY, 0o600)
    refused(errno.EFBIG, Path(other).write_bytes, bytes(LARGEST + 1))
    os.utime(path, (0, 0))
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    os.close(fd)
    os.rename(other, path)
    found = os.stat(path)
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777, found.st_nlink) == (0, WWW_DATA, 0o640, 1)
    pve.quorum = False
    assert os.stat(path).st_mode & 0o7777 == 0o440
    refused(errno.EACCES, os.unlink, path)
    pve.disconnect()
    refused(errno.ENOTCONN, os.stat, path)


@pytest.mark.parametrize("live", [False, True])
def test_apply_and_undo(root: str, pve: Pmxcfs, live: bool) -> None:
    host = ScriptedHost(root) if live else OfflineHost(root)
    assert apply(host, plan_of(*rules()), prove=lambda: ()).code == Exit.DONE
    assert state(root) == AFTER_ALL
    assert apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=1).code == Exit.DONE
    assert state(root) == BEFORE_ALL
    assert not {"setattr", "setxattr", "symlink", "link", "tmpfile"} & pve.calls.keys()
    assert Path(root, "var/lib/nutwizard/transactions/000001/before/0").read_bytes() == OLD_RULES


def test_a_failure_is_rolled_back(root: str, pve: Pmxcfs) -> None:
    class Failing(OfflineHost):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            if target == NEW:
                raise OSError(errno.EIO, "Input/output error", target)

    outcome = apply(Failing(root), plan_of(*rules()), prove=lambda: ())
    assert (outcome.code, state(root)) == (Exit.FAILED, BEFORE_ALL)


def test_a_kill_at_every_call(root: str, pve: Pmxcfs) -> None:
    ends = []
    for at in range(1, 400):
        killed = run(lambda: apply(OfflineHost(root), plan_of(*rules()), prove=lambda: ()), at, after=False)
        host = OfflineHost(root)
        recover(host, Store(host))
        ends.append(state(root))
        assert ends[-1] in (BEFORE_ALL, AFTER_ALL)
        if ends[-1] == AFTER_ALL:
            number = target_of(Store(host))
            apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=number)
            assert state(root) == BEFORE_ALL
        if not killed:
            break
    assert len(ends) > 40
    assert ends[0] == BEFORE_ALL
    assert ends[-1] == AFTER_ALL


def refusal(host: OfflineHost, *changes: FileChange) -> str:
    with pytest.raises(Failed) as error:
        apply(host, plan_of(*changes), prove=lambda: ())
    assert not os.path.exists(f"{host.root}/var/lib/nutwizard")
    return error.value.text


def test_a_plan_that_mixes_is_refused(root: str) -> None:
    nut = change("/etc/nut/nut.conf", BEFORE["/etc/nut/nut.conf"], (b"x", NUT))
    text = refusal(OfflineHost(root), rules()[0], nut)
    assert (
        text
        == f"{CLUSTER} and /etc/nut/nut.conf: files below /etc/pve are a transaction apart: split the plan"
    )


def test_no_quorum_is_named(root: str, pve: Pmxcfs) -> None:
    pve.quorum = False
    assert refusal(OfflineHost(root), *rules()) == "no quorum: /etc/pve is read-only"
    assert state(root) == BEFORE_ALL


def test_a_daemon_that_is_gone_is_named(root: str, pve: Pmxcfs) -> None:
    pve.disconnect()
    assert refusal(OfflineHost(root), *rules()) == "pve-cluster is not running"


def test_a_daemon_that_was_stopped_leaves_an_empty_folder(root: str) -> None:
    assert refusal(ScriptedHost(root), *rules()) == "pve-cluster is not running: /etc/pve is not mounted"


def test_quorum_lost_half_way_is_named_and_recovered(root: str, pve: Pmxcfs) -> None:
    class Losing(OfflineHost):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            pve.quorum = False

    host = OfflineHost(root)
    with pytest.raises(Exception, match="no quorum: /etc/pve is read-only") as error:
        apply(Losing(root), plan_of(*rules()), prove=lambda: ())
    assert f"{CLUSTER}: no quorum" in str(error.value)
    pve.quorum = True
    assert "its 2 files are as they were before" in str(recover(host, Store(host)))
    assert state(root) == BEFORE_ALL


def test_the_database_is_synced_before_the_commit(
    root: str, pve: Pmxcfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.makedirs(f"{root}/var/lib/pve-cluster")
    Path(root, "var/lib/pve-cluster/config.db-wal").write_bytes(b"wal")
    synced: list[str] = []
    fsync = os.fsync

    def log(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}").removeprefix(root))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", log)
    apply(OfflineHost(root), plan_of(*rules()), prove=lambda: ())
    assert synced[-3:] == [
        "/var/lib/pve-cluster/config.db-wal",
        "/var/lib/pve-cluster",
        "/var/lib/nutwizard/transactions/000001/journal",
    ]
    assert synced.index("/etc/pve/firewall") < len(synced) - 3
