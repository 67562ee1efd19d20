"""Files below /etc/pve: a transaction of their own, written as pmxcfs allows."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import pytest

from nutwizard import as_json
from nutwizard.core import paths
from nutwizard.core.errors import Exit, Failed, NeedsRoot
from nutwizard.core.facts import UNREADABLE, Facts, Kind
from nutwizard.core.links import Finding, LinkId, State
from nutwizard.core.plan import FileChange
from nutwizard.core.secret import Secret
from nutwizard.engine import applying
from nutwizard.engine.apart import apply_apart
from nutwizard.engine.applying import apply_parts
from nutwizard.engine.filefacts import file_fact
from nutwizard.engine.host import Stat
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.pvelost import lost
from nutwizard.engine.recovery import recover
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from nutwizard.engine.undo import target_of, undo_plan
from nutwizard.engine.wire import outcome_value, read_outcome
from nutwizard.wording.screens import put_back, told_lines
from tests.engine.test_transaction_kills import run
from tests.support.cluster import (
    AFTER_ALL,
    BEFORE_ALL,
    CLUSTER,
    HOST,
    HOST_ACTUAL,
    HOST_RULES,
    NEW,
    NEW_RULES,
    OLD_RULES,
    OWNER,
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
from tests.support.pmxcfs import LARGEST, NODE, WWW_DATA, Pmxcfs
from tests.support.trees import BEFORE, NUT, ScriptedHost, change, finding, make_tree, plan_of

__all__ = ["memory", "pve", "root"]  # fixtures


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
    assert os.readlink(f"{root}/etc/pve/local") == f"nodes/{NODE}"
    refused(errno.ENOTEMPTY, os.rmdir, f"{root}/etc/pve/firewall")
    refused(errno.EEXIST, os.mkdir, f"{root}/etc/pve/firewall")
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
    host = Live(root) if live else Leaping(root)
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
        killed = run(lambda: apply(Leaping(root), plan_of(*rules()), prove=lambda: ()), at, after=False)
        host = Leaping(root)
        recover(host, Store(host))
        assert locks(root) == []
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
    text = "pve-cluster is not running: /etc/pve is not mounted"
    assert refusal(ScriptedHost(root), *rules()) == text
    assert refusal(OfflineHost(root), *rules()) == text


def test_quorum_lost_half_way_is_named_and_recovered(root: str, pve: Pmxcfs) -> None:
    class Losing(Leaping):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            pve.quorum = False

    host = Leaping(root)
    with pytest.raises(Exception, match="no quorum: /etc/pve is read-only") as error:
        apply(Losing(root), plan_of(*rules()), prove=lambda: ())
    assert f"{CLUSTER}: no quorum" in str(error.value)
    assert locks(root) == ["firewall-cluster"]  # nobody may give it back without quorum either
    pve.quorum = True
    assert "its 2 files are as they were before" in str(recover(host, Store(host)))
    assert (state(root), locks(root)) == (BEFORE_ALL, [])


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


MODE = "/etc/nut/nut.conf"


def nut_change() -> FileChange:
    return change(MODE, BEFORE[MODE], (b"MODE=netserver\n", NUT), rank=10)


def mixed(host: OfflineHost, *changes: FileChange) -> Outcome:
    return apply_parts(host, plan_of(nut_change(), *(changes or node_rules())), prove=lambda: ())


@pytest.mark.parametrize("live", [False, True])
def test_a_mixed_plan_is_two_transactions_and_is_undone_in_reverse(
    root: str, pve: Pmxcfs, live: bool
) -> None:
    host = Live(root) if live else Leaping(root)
    outcome = mixed(host)
    assert (outcome.code, outcome.id, outcome.earlier, outcome.in_force) == (Exit.DONE, 2, (1,), (2, 1))
    assert outcome.text == "Transaction 1: 1 file changed.\nTransaction 2: 2 files changed."
    assert read_outcome(outcome_value(outcome)) == outcome
    assert json.loads(as_json.outcome(plan_of(), outcome, practice=False))["transactions"] == [1, 2]
    told = put_back(outcome, lambda words: f"nutwizard {words}")
    assert told == "To put the files back: nutwizard undo 2, then: nutwizard undo 1"
    assert [record.paths for record in Store(host).records()] == [(MODE,), (CLUSTER, HOST)]
    assert (state(root), host_rules(root)) == ({"cluster.fw": NEW_RULES}, HOST_RULES)
    for number in outcome.in_force:
        assert target_of(Store(host)) == number
        apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=number)
    assert (state(root), host_rules(root), locks(root)) == (BEFORE_ALL, None, [])
    assert host.read(MODE) == b"MODE=none\n"


def test_what_would_refuse_the_second_stops_both(root: str, pve: Pmxcfs) -> None:
    Path(root + CLUSTER).write_bytes(b"# another hand\n")
    with pytest.raises(Failed, match=f"{CLUSTER} changed since the plan was shown"):
        mixed(Leaping(root))
    pve.quorum = False
    with pytest.raises(Failed, match=r"^no quorum: /etc/pve is read-only$"):
        mixed(Leaping(root))
    assert OfflineHost(root).read(MODE) == b"MODE=none\n"
    assert not os.path.exists(f"{root}/var/lib/nutwizard")


def test_when_the_second_fails_the_first_stays_and_that_is_said(root: str, pve: Pmxcfs) -> None:
    class Failing(Leaping):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            if target == HOST_ACTUAL:
                raise OSError(errno.EIO, "Input/output error", target)

    outcome = mixed(Failing(root))
    assert (outcome.code, outcome.id, outcome.earlier, outcome.in_force) == (Exit.FAILED, 2, (1,), (1,))
    assert outcome.text == (
        "Transaction 1: 1 file changed. It stays.\n"
        f"The part below /etc/pve failed: Applying failed: {HOST_ACTUAL}: Input/output error.\n"
        "Every file below /etc/pve is as it was before."
    )
    assert told_lines(outcome)[0].text == "Not all of it worked. What happened:"
    assert (state(root), host_rules(root), locks(root)) == (BEFORE_ALL, None, [])
    assert OfflineHost(root).read(MODE) == b"MODE=netserver\n"


def test_the_worker_applies_both(root: str, pve: Pmxcfs) -> None:
    outcome = apply_apart(OfflineHost(root), plan_of(nut_change(), *node_rules()))
    assert (outcome.code, outcome.in_force) == (Exit.DONE, (2, 1))
    assert (state(root), host_rules(root)) == ({"cluster.fw": NEW_RULES}, HOST_RULES)


@pytest.mark.parametrize(
    ("outcome", "stays"),
    [
        (Outcome(Exit.DONE, "", id=1), True),
        (Outcome(Exit.FAILED, "", id=1), False),
        (Outcome(Exit.FAILED, "", id=2, earlier=(1,)), True),
    ],
)
def test_a_drawn_password_stays_with_the_transaction_that_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, stays: bool
) -> None:
    monkeypatch.setattr(applying, "carry_out", lambda *args, **more: outcome)
    host, drawn = OfflineHost(make_tree(tmp_path / "machine")), Secret("drawn", str(tmp_path / "password"))
    found = applying.write(
        host, Facts(host.door, Kind.PVE), plan_of(), [drawn], report=print, command="apply", on_battery=False
    )
    assert (tmp_path / "password").exists() is stays
    assert found.notes == ((f"a generated password lies in {drawn.file}",) if stays else ())


def test_notes_of_what_was_down_between_the_two_alone_are_dropped(root: str, pve: Pmxcfs) -> None:
    """The firewall's own link is mended by the second; what stays down is told once."""

    def prove() -> tuple[Finding, ...]:
        way = State.WAITING if state(root) != BEFORE_ALL else State.BROKEN
        return (finding(LinkId.FIREWALL, way, "closed"), finding(LinkId.UPSD, State.BROKEN, "no answer"))

    outcome = apply_parts(Live(root), plan_of(nut_change(), *node_rules()), prove=prove)
    assert outcome.notes == ("upsd: about upsd: still down, because no answer",)
    assert [each.state for each in outcome.findings] == [State.WAITING, State.BROKEN]


def test_when_the_second_is_not_whole_the_first_stays_as_well(root: str, pve: Pmxcfs) -> None:
    class Losing(Leaping):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            pve.quorum = target != CLUSTER

    outcome = mixed(Losing(root))
    assert (outcome.code, outcome.in_force) == (Exit.NOT_WHOLE, (1,))
    assert outcome.text.startswith(
        "Transaction 1: 1 file changed. It stays.\nThe part below /etc/pve failed:"
    )
    assert "nutwizard recover" in outcome.text


def test_when_the_first_fails_nothing_below_is_begun(root: str, pve: Pmxcfs) -> None:
    class Failing(Leaping):
        def rename(self, source: str, target: str) -> None:
            if self.read(MODE) == b"MODE=none\n":
                super().rename(source, target)
                raise OSError(errno.EIO, "Input/output error", target)
            super().rename(source, target)

    outcome = mixed(Failing(root))
    assert (outcome.code, outcome.id, outcome.in_force) == (Exit.FAILED, 1, ())
    assert outcome.text.endswith("Nothing below /etc/pve was begun.")
    assert "mkdir" not in pve.calls


def test_a_fresh_installation_gets_its_folder_and_loses_it_again(root: str, pve: Pmxcfs) -> None:
    folder = Path(root, "etc/pve/firewall")
    os.unlink(root + CLUSTER)
    os.rmdir(folder)
    first = change(CLUSTER, None, (NEW_RULES, OWNER))
    host = Leaping(root)
    assert apply(host, plan_of(first), prove=lambda: ()).code == Exit.DONE
    assert state(root) == {"cluster.fw": NEW_RULES}
    assert apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=1).code == Exit.DONE
    assert not folder.exists()
    for at in range(1, 400):
        killed = run(lambda: apply(Leaping(root), plan_of(first), prove=lambda: ()), at, after=True)
        recover(host, Store(host))
        if not killed:
            break
        if folder.exists():
            assert state(root) == {"cluster.fw": NEW_RULES}
            apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=target_of(Store(host)))
        assert not folder.exists()
    assert at > 30


def test_a_folder_that_was_there_stays(root: str, pve: Pmxcfs) -> None:
    os.unlink(root + CLUSTER)
    host = Leaping(root)
    apply(host, plan_of(change(CLUSTER, None, (NEW_RULES, OWNER))), prove=lambda: ())
    apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=1)
    assert state(root) == {}


def test_a_file_that_another_hand_has_changed_since_is_not_undone(root: str, pve: Pmxcfs) -> None:
    host = Leaping(root)
    apply(host, plan_of(*node_rules()), prove=lambda: ())
    Path(root + HOST_ACTUAL).write_bytes(b"[RULES]\nIN ACCEPT\n")
    with pytest.raises(Failed, match=f"{HOST} was changed since"):
        undo_plan(host, Store(host))


def test_recovery_writes_nothing_into_an_empty_folder(root: str, pve: Pmxcfs) -> None:
    """pve-cluster is stopped: what is put back would lie on the root disk, below the mount."""

    class Killed(Leaping):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            os.kill(os.getpid(), 9)

    assert run(lambda: apply(Killed(root), plan_of(*rules()), prove=lambda: ()), 10_000, after=False)

    class Unmounted(Leaping):
        def stat(self, path: str, *, follow: bool = True) -> Stat | None:
            return None if path.startswith("/etc/pve/") else super().stat(path, follow=follow)

    host = Unmounted(root)
    with pytest.raises(Exception, match="pve-cluster is not running: /etc/pve is not mounted"):
        recover(host, Store(host))
    recover(Leaping(root), Store(host))
    assert (state(root), locks(root)) == (BEFORE_ALL, [])


def test_a_change_that_a_power_cut_has_lost_is_told_once(root: str, pve: Pmxcfs) -> None:
    host = Leaping(root)
    store = Store(host)
    assert lost(host, store) == ""
    mixed(host)
    assert lost(host, store) == ""
    os.unlink(root + HOST_ACTUAL)
    assert lost(host, store) == (
        "The firewall's change of transaction 2 (apply) is not there: a power cut may have lost it, or"
        " someone put it back. Look at: nutwizard plan, or: nutwizard step firewall"
    )
    assert lost(host, store) == ""


def test_what_was_undone_or_went_on_is_not_lost(root: str, pve: Pmxcfs) -> None:
    host = Leaping(root)
    apply(host, plan_of(*node_rules()), prove=lambda: ())
    Path(root + CLUSTER).write_bytes(NEW_RULES + b"# more\n")
    assert lost(host, Store(host)) == ""
    Path(root + CLUSTER).write_bytes(NEW_RULES)
    apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=1)
    assert lost(host, Store(host)) == ""
    pve.disconnect()
    assert lost(host, Store(host)) == ""


def test_reading_what_the_cluster_keeps(root: str, pve: Pmxcfs) -> None:
    host = OfflineHost(root)
    missing = file_fact(host, HOST)
    assert (missing.exists, missing.path, missing.actual) == (False, HOST, HOST_ACTUAL)
    Path(root + CLUSTER).write_bytes(
        b"# 64 bytes in a line, many lines, as a list of addresses has\n" * 16_000
    )
    assert file_fact(host, CLUSTER).data == Path(root + CLUSTER).read_bytes()
    Path(root + CLUSTER).write_bytes(b"\n" * 60_001)
    assert file_fact(host, CLUSTER).kind == UNREADABLE
    pve.disconnect()
    found = file_fact(host, CLUSTER)
    assert (found.kind, found.content, found.exists) == (UNREADABLE, None, True)


def test_who_may_not_read_the_cluster_needs_root(root: str) -> None:
    class Closed(OfflineHost):
        def read(self, path: str, limit: int = 1) -> bytes:
            raise PermissionError(errno.EACCES, "Permission denied", path)

    os.mkdir(f"{root}/etc/pve/firewall")
    Path(root + CLUSTER).write_bytes(OLD_RULES)
    with pytest.raises(NeedsRoot):
        file_fact(Closed(root), paths.CLUSTER_FW)
