"""Apply: what is written, in which order, and what takes it back."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from nutwizard.core.errors import Exit, Failed, Locked, NeedsRoot, NotWhole, Unfinished
from nutwizard.core.facts import Owner
from nutwizard.core.links import Finding, LinkId, State
from nutwizard.core.plan import Act, ActKind
from nutwizard.engine.host import Completed
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
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
    finding,
    make_tree,
    names,
    plan_of,
    state,
    whole_plan,
)

NUT_CONF = "/etc/nut/nut.conf"
Findings = tuple[Finding, ...]


def nothing() -> Findings:
    return ()


@pytest.fixture
def root(tmp_path: Path) -> str:
    return make_tree(tmp_path / "machine")


class Health:
    """Links that depend on the files: what `when_new` says once nut.conf is the new one."""

    def __init__(self, root: str, old: Findings, new: Findings | Callable[[], Findings]) -> None:
        self.root, self.old, self.new = root, old, new

    def __call__(self) -> Findings:
        if OfflineHost(self.root).read(NUT_CONF) == BEFORE[NUT_CONF][0]:  # type: ignore[index]
            return self.old
        return self.new() if callable(self.new) else self.new


GOOD = (finding(LinkId.UPSD, State.PROVEN),)
BAD = (finding(LinkId.UPSD, State.BROKEN, "upsd does not answer"),)


def test_offline_all_kinds_of_change(root: str) -> None:
    before = names(root)
    outcome = apply(OfflineHost(root), whole_plan(ACTS), prove=lambda: pytest.fail("asked"))
    assert (outcome.code, outcome.id, outcome.findings) == (Exit.DONE, 1, ())
    assert "units were not touched" in outcome.notes
    assert state(root) == AFTER
    web = {f"etc/nutwizard/clients{rest}" for rest in ("", "/web", "/web/client.password")}
    own = {"etc/nutwizard", "etc/nutwizard/client.password", "etc/nut/upsd.users.orig", *web}
    assert names(root) == (before | own) - {"etc/nut/left.conf"}
    folder = os.stat(f"{root}/etc/nutwizard")
    assert (folder.st_uid, folder.st_gid, folder.st_mode & 0o7777) == (0, 0, 0o700)
    assert os.stat(f"{root}/etc/nut/upssched.conf").st_gid == 4712


def test_the_store_is_closed_and_keeps_real_bytes_apart(root: str) -> None:
    apply(OfflineHost(root), whole_plan(ACTS), prove=nothing)
    base = Path(root, "var/lib/nutwizard")
    holding = set()
    for path in [base, *base.rglob("*")]:
        found = path.stat()
        assert (found.st_uid, found.st_mode & 0o077) == (0, 0), path
        if path.is_file() and SECRET.encode() in path.read_bytes():
            holding.add(str(path.relative_to(base / "transactions/000001")))
    assert holding == {"before/1", "after/1", "after/2", "after/5", "after/7"}
    assert (base / "transactions/000001/before/1").read_bytes() == BEFORE["/etc/nut/upsd.users"][0]  # type: ignore[index]


def test_acts_run_around_the_files_and_in_order(root: str) -> None:
    seen: list[str] = []

    def script(argv: Sequence[str]) -> None:
        if argv[1] != "show":
            seen.append("new" if state(root) == AFTER else "old")

    host = ScriptedHost(root, script)
    told: list[str] = []
    outcome = apply(host, whole_plan(ACTS), prove=Health(root, BAD, GOOD), report=told.append)
    assert outcome.code == Exit.DONE
    assert host.acts == [
        f"stop {PATH_UNIT}",
        "enable nut-server.service",
        "restart nut-driver-enumerator.service",
        "restart nut-server.service",
        "start nut-monitor.service",
        f"start {PATH_UNIT}",
    ]
    assert seen[0] == "old"
    assert set(seen[1:]) == {"new"}
    assert [line for line in told if line.startswith(("writing", "removing"))] == [
        f"{'writing' if AFTER[path] else 'removing'} {path}" for path in BEFORE
    ]
    assert host.clock >= 3  # still so after 3 s


def test_everything_is_durable_in_order(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept files and their folders before the first rename; then file, rename, folder."""
    log: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def log_fsync(fd: int) -> None:
        log.append(("fsync", os.readlink(f"/proc/self/fd/{fd}").removeprefix(root)))
        fsync(fd)

    def log_rename(source: str, target: str) -> None:
        log.append(("rename", target.removeprefix(root)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", log_fsync)
    monkeypatch.setattr(os, "rename", log_rename)
    apply(OfflineHost(root), whole_plan(), prove=nothing)
    renames = [index for index, (call, _) in enumerate(log) if call == "rename"]
    assert [log[index][1] for index in renames] == [path for path in BEFORE if AFTER[path]]
    for index in renames:
        path = log[index][1]
        folder, name = os.path.split(path)
        assert log[index - 1] == ("fsync", f"{folder}/.{name}.nutwizard-1")
        assert log[index + 1] == ("fsync", folder)
    kept = "/var/lib/nutwizard/transactions/000001"
    before = [path for _, path in log[: renames[0]]]
    last = {path: index for index, path in enumerate(before)}
    for folder, names_in_it in (("before", "01346"), ("after", "0123567")):
        assert all(last[f"{kept}/{folder}/{name}"] < last[f"{kept}/{folder}"] for name in names_in_it)
        assert last[f"{kept}/{folder}"] < last[f"{kept}/journal"]
    assert last[f"{kept}/plan.json"] < last[kept]
    assert last["/var/lib/nutwizard/transactions"] < last[kept]


def test_what_was_proven_and_is_broken_is_taken_back(root: str) -> None:
    def script(argv: Sequence[str]) -> Completed | None:
        if argv[0].endswith("journalctl"):
            return Completed(0, "Can't open ups.conf\n\x1b[2Jboo\n")
        return None

    host = ScriptedHost(root, script)
    before = names(root)
    told: list[str] = []
    outcome = apply(host, whole_plan(ACTS), prove=Health(root, GOOD, BAD), wait=20, report=told.append)
    assert outcome.code == Exit.FAILED
    assert state(root) == BEFORE
    back = [line.removeprefix("putting back ") for line in told if line.startswith("putting back")]
    assert back == list(reversed(BEFORE))
    assert names(root) == before
    assert "upsd does not answer" in outcome.text
    assert "Can't open ups.conf" in outcome.text
    assert "\\x1b[2Jboo" in outcome.text
    assert host.acts[6:] == [
        f"stop {PATH_UNIT}",
        "stop nut-monitor.service",
        "disable nut-server.service",
        "restart nut-driver-enumerator.service",
        "restart nut-server.service",
        f"start {PATH_UNIT}",
    ]
    assert [record.state for record in Store(host).records()] == ["rolled back"]


def test_a_slow_start_gets_the_whole_wait(root: str) -> None:
    block = "Id=nut-driver@apc.service\nActiveState={}\n"

    def script(argv: Sequence[str]) -> Completed | None:
        active = "active" if host.clock > 90 else "activating"
        return Completed(0, block.format(active)) if argv[1] == "show" else None

    host = ScriptedHost(root, script)
    outcome = apply(
        host, whole_plan(ACTS), prove=Health(root, GOOD, lambda: GOOD if host.clock > 90 else BAD)
    )
    assert outcome.code == Exit.DONE
    assert 93 <= host.clock < 100


def test_what_does_not_move_is_not_waited_for(root: str) -> None:
    host = ScriptedHost(root)
    outcome = apply(host, whole_plan(ACTS), prove=Health(root, GOOD, BAD))
    assert outcome.code == Exit.FAILED
    assert state(root) == BEFORE
    assert 25 <= host.clock < 70


def test_one_good_moment_is_not_enough(root: str) -> None:
    host = ScriptedHost(root)
    outcome = apply(
        host, whole_plan(ACTS), prove=Health(root, GOOD, lambda: GOOD if host.clock < 2 else BAD), wait=20
    )
    assert outcome.code == Exit.FAILED
    assert state(root) == BEFORE


def test_a_unit_that_systemd_gave_up_is_not_waited_for(root: str) -> None:
    def script(argv: Sequence[str]) -> Completed | None:
        active = "failed" if state(root) == AFTER else "active"
        return (
            Completed(0, f"Id=nut-driver@apc.service\nActiveState={active}\n") if argv[1] == "show" else None
        )

    host = ScriptedHost(root, script)
    outcome = apply(host, whole_plan(ACTS), prove=Health(root, GOOD, BAD))
    assert outcome.code == Exit.FAILED
    assert host.clock < 10
    assert "journalctl -u nut-driver@apc.service -n 20 -o cat --no-pager" in host.ran


def test_a_driver_that_fails_again_and_again_is_not_waited_for(root: str) -> None:
    block = "Id=nut-driver@apc.service\nActiveState=activating\nSubState={}\n"

    def script(argv: Sequence[str]) -> Completed | None:
        sub = "auto-restart" if host.clock % 60 < 15 else "start"
        changed = state(root) == AFTER and argv[1] == "show"
        return Completed(0, block.format(sub)) if changed else None

    host = ScriptedHost(root, script)
    outcome = apply(host, whole_plan(ACTS), prove=Health(root, GOOD, BAD))
    assert outcome.code == Exit.FAILED
    assert state(root) == BEFORE
    assert host.clock < 70


def test_a_unit_that_had_failed_long_ago_is_no_reason_to_give_up(root: str) -> None:
    block = "Id=nut-driver@old.service\nActiveState=failed\nSubState=failed\n"
    host = ScriptedHost(root, lambda argv: Completed(0, block) if argv[1] == "show" else None)
    outcome = apply(
        host, whole_plan(ACTS), prove=Health(root, GOOD, lambda: GOOD if host.clock > 20 else BAD)
    )
    assert outcome.code == Exit.DONE


def test_down_before_and_still_down_is_committed_and_told(root: str) -> None:
    host = ScriptedHost(root)
    outcome = apply(host, whole_plan(ACTS), prove=Health(root, BAD, BAD))
    assert outcome.code == Exit.DONE
    assert state(root) == AFTER
    assert "upsd: about upsd: still down, because upsd does not answer" in outcome.notes
    assert host.clock < 20


def test_one_broken_address_breaks_the_link(root: str) -> None:
    mixed = (*GOOD, *BAD)
    assert (
        apply(ScriptedHost(root), whole_plan(), prove=Health(root, GOOD, mixed), wait=5).code == Exit.FAILED
    )
    assert apply(ScriptedHost(root), whole_plan(), prove=Health(root, mixed, mixed), wait=5).code == Exit.DONE


def test_proven_before_and_unknown_after_is_committed_and_told(root: str) -> None:
    new = (finding(LinkId.UPSD, State.WAITING),)
    outcome = apply(ScriptedHost(root), whole_plan(), prove=Health(root, GOOD, new), wait=5)
    assert outcome.code == Exit.DONE
    assert "upsd: about upsd: waiting since the change" in outcome.notes


def test_a_unit_that_refuses_is_told_but_proof_decides(root: str) -> None:
    def script(argv: Sequence[str]) -> Completed | None:
        if argv[1] == "enable":
            return Completed(1, err="Failed to enable unit: Unit file nut-server.service does not exist.\n")
        return Completed(-1, timed_out=True) if argv[1] == "restart" and "server" in argv[2] else None

    outcome = apply(ScriptedHost(root, script), whole_plan(ACTS), prove=Health(root, GOOD, GOOD))
    assert outcome.code == Exit.DONE
    assert (
        "enable nut-server.service: Failed to enable unit: Unit file nut-server.service does not exist."
        in outcome.notes
    )
    assert "restart nut-server.service: not ended within 150 s" in outcome.notes


def test_still_broken_with_the_old_files_is_not_whole(root: str) -> None:
    looks = iter([GOOD])
    with pytest.raises(NotWhole, match="upsd is still broken"):
        apply(ScriptedHost(root), whole_plan(ACTS), prove=lambda: next(looks, BAD), wait=5)
    assert state(root) == BEFORE


@pytest.mark.parametrize("number", range(len(BEFORE)))
def test_a_file_changed_since_stops_before_anything(root: str, number: int) -> None:
    path = list(BEFORE)[number]
    Path(root + path).parent.mkdir(exist_ok=True, parents=True)
    Path(root + path).write_bytes(b"another hand\n")
    found = state(root)
    host = ScriptedHost(root)
    with pytest.raises(Failed, match="changed since the plan was shown"):
        apply(host, whole_plan(ACTS), prove=nothing)
    assert state(root) == found
    assert host.acts == []
    assert Store(host).records() == []


def test_an_owner_changed_since_stops_too(root: str) -> None:
    os.chmod(f"{root}{NUT_CONF}", 0o600)
    with pytest.raises(Failed, match=r"nut\.conf changed since"):
        apply(OfflineHost(root), whole_plan(), prove=nothing)


def test_a_change_while_writing_is_never_overwritten(root: str) -> None:
    class Editor(OfflineHost):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            if target == NUT_CONF:
                Path(f"{root}/etc/nut/upssched.conf").write_bytes(b"mine\n")

    outcome = apply(Editor(root), whole_plan(), prove=nothing)
    assert outcome.code == Exit.FAILED
    assert "upssched.conf changed since" in outcome.text
    found = state(root)
    assert found.pop("/etc/nut/upssched.conf") == (b"mine\n", ROOT)
    assert found == {path: content for path, content in BEFORE.items() if path != "/etc/nut/upssched.conf"}


def test_roll_back_leaves_what_another_hand_wrote_and_says_so(root: str) -> None:
    class Editor(OfflineHost):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            if target.endswith("/ups.conf"):
                Path(f"{root}{NUT_CONF}").write_bytes(b"mine\n")
                raise OSError(errno.EIO, "Input/output error", target)

    with pytest.raises(NotWhole, match=r"nut\.conf was changed by another hand since") as error:
        apply(Editor(root), whole_plan(), prove=nothing)
    assert "/var/lib/nutwizard/transactions/000001/before" in error.value.hint
    found = state(root)
    assert found.pop(NUT_CONF) == (b"mine\n", NUT)
    assert found == {path: content for path, content in BEFORE.items() if path != NUT_CONF}


class Failing(ScriptedHost):
    """Fails at the n-th write with an errno; or from there on always."""

    def __init__(self, root: str, at: int, number: int, *, always: bool = False) -> None:
        super().__init__(root)
        self.left, self.number, self.always = at, number, always

    def _maybe(self, path: str) -> None:
        self.left -= 1
        if self.left == 0 or (self.always and self.left < 0):
            raise OSError(self.number, os.strerror(self.number), path)

    def create(self, path: str, data: bytes, owner: Owner) -> None:
        self._maybe(path)
        super().create(path, data, owner)

    def append(self, path: str, data: bytes) -> None:
        self._maybe(path)
        super().append(path, data)

    def rename(self, source: str, target: str) -> None:
        self._maybe(target)
        super().rename(source, target)

    def remove(self, path: str) -> None:
        self._maybe(path)
        super().remove(path)


def test_every_write_may_fail_once(tmp_path: Path) -> None:
    plan = whole_plan(ACTS)
    failed = 0
    for at in range(1, 100):
        root = make_tree(tmp_path / str(at))
        before, host = names(root), Failing(root, at, errno.ENOSPC)
        try:
            outcome = apply(host, plan, prove=lambda: GOOD)
        except Failed as error:
            outcome = Outcome(error.code, error.text)
        if host.left > 0:
            assert outcome.code == Exit.DONE
            break
        failed += 1
        assert outcome.code == Exit.FAILED
        assert "No space left on device" in outcome.text
        assert state(root) == BEFORE
        assert names(root) == before
        assert Store(host).unfinished() is None
    assert failed > 30


def test_a_disk_that_stays_dead_is_not_whole_and_recoverable(root: str) -> None:
    host = Failing(root, 22, errno.EROFS, always=True)
    with pytest.raises(NotWhole, match="Read-only file system"):
        apply(host, whole_plan(), prove=nothing)
    with pytest.raises(Unfinished):
        apply(OfflineHost(root), plan_of(), prove=nothing, undoes=1)


def test_any_other_error_rolls_back_and_is_raised(root: str) -> None:
    looks = iter([GOOD])

    def prove() -> Findings:
        if found := next(looks, ()):
            return found
        raise ZeroDivisionError

    host = ScriptedHost(root)
    with pytest.raises(ZeroDivisionError):
        apply(host, whole_plan(), prove=prove)
    assert state(root) == BEFORE
    assert Store(host).records()[0].state == "rolled back"


def test_nothing_to_do_keeps_nothing(root: str) -> None:
    assert apply(OfflineHost(root), plan_of(), prove=nothing).id == 0
    assert not os.path.exists(f"{root}/var/lib/nutwizard")


def test_needs_root(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OfflineHost, "may_write", lambda self: False)
    with pytest.raises(NeedsRoot):
        apply(OfflineHost(root), whole_plan(), prove=nothing)


def test_two_runs_at_once(root: str) -> None:
    host = OfflineHost(root)
    Store(host).prepare()
    lock = Store(host).lock()
    with pytest.raises(Locked, match=f"process {os.getpid()}"):
        apply(OfflineHost(root), whole_plan(), prove=nothing)
    assert state(root) == BEFORE
    lock.release()
    assert apply(OfflineHost(root), whole_plan(), prove=nothing).code == Exit.DONE


def test_signals_wait_and_are_told(root: str) -> None:
    def script(argv: Sequence[str]) -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM) if argv[1] == "stop" else ():
            os.kill(os.getpid(), number)

    old = [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)]
    outcome = apply(ScriptedHost(root, script), whole_plan(ACTS[:1]), prove=lambda: GOOD)
    assert outcome.code == Exit.DONE
    assert set(outcome.signals) == {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}
    assert any("SIGHUP" in note for note in outcome.notes)
    assert [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)] == old


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.EIO, "x"), ValueError("closed file")])
def test_a_screen_that_is_gone_stops_nothing(root: str, error: Exception) -> None:
    told: list[str] = []

    def report(text: str) -> None:
        told.append(text)
        raise error

    assert apply(OfflineHost(root), whole_plan(), prove=nothing, report=report).code == Exit.DONE
    assert len(told) == 1


def test_no_secret_in_what_is_said(root: str) -> None:
    plan = whole_plan(ACTS)
    told: list[str] = []
    outcome = apply(ScriptedHost(root), plan, prove=Health(root, GOOD, BAD), wait=5, report=told.append)
    assert outcome.code == Exit.FAILED
    assert SECRET not in repr((plan, outcome, told))


def chattr(change: str, path: str) -> None:
    done = subprocess.run(["chattr", change, path], timeout=10, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no such attributes here: {done.stderr!r}")


class TestPreflight:
    """Refused by name before the first write."""

    def refused(self, root: str, *changes: object, host: OfflineHost | None = None) -> str:
        before = names(root)
        with pytest.raises(Failed) as error:
            apply(host or OfflineHost(root), plan_of(*changes), prove=nothing)  # type: ignore[arg-type]
        assert names(root) == before
        assert not os.path.exists(f"{root}/var/lib/nutwizard/transactions")
        return error.value.text

    def test_what_is_no_file(self, root: str) -> None:
        os.mkfifo(f"{root}/etc/nut/fifo")
        os.mkdir(f"{root}/etc/nut/folder")
        os.mknod(f"{root}/etc/nut/device", 0o20600, os.makedev(1, 3))
        wanted = (b"x", NUT)
        text = self.refused(
            root, *(change(f"/etc/nut/{name}", None, wanted) for name in ("fifo", "folder", "device"))
        )
        for name, kind in (("fifo", "fifo"), ("folder", "directory"), ("device", "device")):
            assert f"/etc/nut/{name} is a {kind}: only a regular file is changed" in text

    def test_hard_links(self, root: str) -> None:
        os.link(f"{root}{NUT_CONF}", f"{root}/etc/nut/twin")
        assert f"{NUT_CONF} has 2 hard links" in self.refused(
            root, change(NUT_CONF, BEFORE[NUT_CONF], (b"x", NUT))
        )

    def test_larger_than_a_mebibyte(self, root: str) -> None:
        os.truncate(f"{root}{NUT_CONF}", (1 << 20) + 1)
        assert f"{NUT_CONF} has 1048577 bytes, more than 1 MiB" in self.refused(
            root, change(NUT_CONF, BEFORE[NUT_CONF], (b"x", NUT))
        )

    def test_foreign_owner_unless_a_rule_mends_it(self, root: str) -> None:
        bob = Owner("bob", "nut", 0o640)
        os.chown(f"{root}{NUT_CONF}", 4800, 4712)
        assert f"{NUT_CONF} belongs to bob" in self.refused(
            root, change(NUT_CONF, (b"MODE=none\n", bob), (b"x", bob))
        )
        mended = change(NUT_CONF, (b"MODE=none\n", bob), (b"x", NUT))
        assert apply(OfflineHost(root), plan_of(mended), prove=nothing).code == Exit.DONE

    @pytest.mark.parametrize(("letter", "word"), [("i", "immutable"), ("a", "append-only")])
    @pytest.mark.parametrize("path", [NUT_CONF, "/etc/nut", "/var/lib"])
    def test_attributes_that_stop_even_root(self, root: str, letter: str, word: str, path: str) -> None:
        chattr(f"+{letter}", root + path)
        try:
            text = self.refused(root, *whole_plan().files)
        finally:
            chattr(f"-{letter}", root + path)
        assert f"{path} has the attribute {word}: " in text
        assert f"chattr -{letter}" in text
        assert text.count(word) == 1

    @pytest.mark.parametrize("path", ["/etc/nut", "/var/lib"])
    def test_a_mount_that_is_read_only(self, root: str, path: str) -> None:
        where = root + path
        try:
            subprocess.run(["mount", "--bind", where, where], check=True, timeout=10, capture_output=True)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no mount here: {error.stderr!r}")
        try:
            remount = ["mount", "-o", "remount,ro,bind", where]
            subprocess.run(remount, check=True, timeout=10, capture_output=True)
            text = self.refused(root, *whole_plan().files)
        finally:
            subprocess.run(["umount", where], check=True, timeout=10)
        assert text.count(f"{path}: the file system is mounted read-only at {where}: ") == 1

    def test_missing_folder(self, root: str) -> None:
        assert "the folder /etc/none is missing" in self.refused(
            root, change("/etc/none/x", None, (b"", ROOT))
        )

    def test_the_same_file_twice(self, root: str) -> None:
        os.symlink("nut.conf", f"{root}/etc/nut/alias.conf")
        one, two = BEFORE[NUT_CONF], (b"x", NUT)
        alias = change("/etc/nut/alias.conf", one, two, actual=NUT_CONF)
        assert "are the same file" in self.refused(root, change(NUT_CONF, one, two), alias)

    def test_room(self, root: str) -> None:
        class Full(OfflineHost):
            def free(self, path: str) -> tuple[int, int]:
                return 4096, 3

        text = self.refused(root, *whole_plan().files, host=Full(root))
        assert "bytes are needed, 4096 are free" in text
        assert "has room for 3" in text

    def test_uncounted_inodes_are_no_lack(self, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
        btrfs = SimpleNamespace(
            f_blocks=1 << 20, f_bavail=1 << 20, f_frsize=4096, f_favail=0, f_files=0, f_flag=0
        )
        monkeypatch.setattr(os, "statvfs", lambda path: btrfs)
        assert apply(OfflineHost(root), whole_plan(), prove=nothing).code == Exit.DONE


class TestSymlinks:
    def link(self, root: str) -> None:
        os.makedirs(f"{root}/srv")
        os.rename(f"{root}{NUT_CONF}", f"{root}/srv/nut.conf")
        os.symlink("/srv/nut.conf", f"{root}{NUT_CONF}")

    def plan(self) -> object:
        return plan_of(change(NUT_CONF, BEFORE[NUT_CONF], (b"MODE=netserver\n", NUT), actual="/srv/nut.conf"))

    def test_the_link_stays_and_what_it_leads_to_is_written(self, root: str) -> None:
        self.link(root)
        assert apply(OfflineHost(root), self.plan(), prove=nothing).code == Exit.DONE  # type: ignore[arg-type]
        assert os.readlink(f"{root}{NUT_CONF}") == "/srv/nut.conf"
        assert Path(root, "srv/nut.conf").read_bytes() == b"MODE=netserver\n"

    def test_not_through_a_folder_that_others_write(self, root: str) -> None:
        self.link(root)
        os.chmod(f"{root}/srv", 0o777)
        with pytest.raises(Failed, match="not root's alone"):
            apply(OfflineHost(root), self.plan(), prove=nothing)  # type: ignore[arg-type]

    def test_a_link_that_leads_elsewhere_now(self, root: str) -> None:
        self.link(root)
        Path(root, "srv/other").write_bytes(b"MODE=none\n")
        os.unlink(f"{root}{NUT_CONF}")
        os.symlink("/srv/other", f"{root}{NUT_CONF}")
        with pytest.raises(Failed, match="leads to /srv/other now"):
            apply(OfflineHost(root), self.plan(), prove=nothing)  # type: ignore[arg-type]


def test_ranks_order_the_writing(root: str) -> None:
    first, second = whole_plan().files[:2]
    plan = plan_of(
        replace(first, rank=9), replace(second, rank=1), acts=[Act(ActKind.RESTART, "x.service", "why")]
    )
    told: list[str] = []
    apply(OfflineHost(root), plan, prove=nothing, report=told.append)
    assert told == [f"writing {second.path}", f"writing {first.path}"]
