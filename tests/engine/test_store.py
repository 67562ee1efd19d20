"""The store and its journal: what is read back, what damage does, what reading leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nutwizard.core.errors import Failed, Locked, NeedsRoot
from nutwizard.core.facts import Role
from nutwizard.core.plan import Plan
from nutwizard.core.text import FileText
from nutwizard.engine import stored
from nutwizard.engine.journal import Journal, Mark
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.recovery import recover
from nutwizard.engine.store import Store
from nutwizard.engine.stored import Kept
from nutwizard.engine.transaction import apply
from tests.support.trees import ACTS, BEFORE, SECRET, make_tree, whole_plan

STATE = "var/lib/nutwizard"
FIRST = f"{STATE}/transactions/000001"


@pytest.fixture
def root(tmp_path: Path) -> str:
    return make_tree(tmp_path / "machine")


@pytest.fixture
def applied(root: str) -> str:
    apply(OfflineHost(root), whole_plan(ACTS), prove=lambda: ())
    return root


def test_reading_makes_nothing(root: str) -> None:
    host = OfflineHost(root)
    store = Store(host)
    assert (store.records(), store.unfinished(), store.touched(), recover(host, store)) == (
        [],
        None,
        frozenset(),
        None,
    )
    assert os.listdir(f"{root}/var/lib") == []


def test_a_record_tells_the_transaction(applied: str) -> None:
    [record] = Store(OfflineHost(applied)).records()
    assert (record.id, record.state, record.role, record.command) == (1, "committed", Role.HOST, "apply")
    assert record.paths == tuple(BEFORE)
    assert record.acts == ACTS
    assert abs(record.started - OfflineHost(applied).now()) < 60
    assert record.size == sum(
        path.stat().st_size for path in Path(applied, FIRST).rglob("*") if path.is_file()
    )
    assert Store(OfflineHost(applied)).touched() == set(BEFORE)


def test_a_plan_is_kept_whole_and_without_contents() -> None:
    kept = Kept(whole_plan(ACTS), "undo", 1_700_000_000, 3, (3, 2))
    data = stored.to_json(kept)
    assert SECRET.encode() not in data
    contents: dict[str, FileText | None] = {}
    for number, change in enumerate(kept.plan.files):
        contents |= {f"before/{number}": change.before, f"after/{number}": change.after}
    assert stored.from_json(data).with_contents(lambda name: contents[name].data) == kept  # type: ignore[union-attr]


def test_other_users_are_told_to_be_root() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        host = OfflineHost(make_tree(Path(folder, "machine")))
        apply(host, whole_plan(), prove=lambda: ())
        for ask in (Store(host).records, Store(host).unfinished, Store(host).touched):
            child = os.fork()
            if child == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                try:
                    ask()
                except NeedsRoot as error:
                    os._exit(error.code)
                finally:
                    os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8


def test_folders_of_the_store_are_closed_again(root: str) -> None:
    os.makedirs(f"{root}/{STATE}")
    os.chmod(f"{root}/{STATE}", 0o777)
    os.chown(f"{root}/{STATE}", 4800, 4800)
    Store(OfflineHost(root)).prepare()
    found = os.stat(f"{root}/{STATE}")
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (0, 0, 0o700)


def test_a_file_where_the_store_should_be(root: str) -> None:
    Path(root, STATE).write_bytes(b"")
    with pytest.raises(Failed, match="is not a folder"):
        apply(OfflineHost(root), whole_plan(), prove=lambda: ())


def test_the_lock_frees_itself_when_its_holder_dies(root: str) -> None:
    store = Store(OfflineHost(root))
    store.prepare()
    hold = (
        "import sys, time; from nutwizard.engine.machine import OfflineHost;"
        "from nutwizard.engine.store import Store;"
        "lock = Store(OfflineHost(sys.argv[1])).lock(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, root], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Locked, match=f"process {holder.pid}"):
            store.lock()
        holder.kill()
        holder.wait(10)
    store.lock().release()


@pytest.mark.parametrize("damage", [b"", b"\x00\xff", b"[]", b"{}", b'{"version": 2}', b"[" * 5000])
def test_a_damaged_plan_is_named(applied: str, damage: bytes) -> None:
    Path(applied, FIRST, "plan.json").write_bytes(damage)
    with pytest.raises(
        Failed, match=r"what is kept in /var/lib/nutwizard/transactions/000001 cannot be read"
    ):
        Store(OfflineHost(applied)).records()


def test_a_missing_backup_is_named(applied: str) -> None:
    os.unlink(f"{applied}/{FIRST}/before/0")
    with pytest.raises(Failed, match="000001 cannot be read: No such file"):
        Store(OfflineHost(applied)).load(1)


def test_ids_count_on(applied: str) -> None:
    os.mkdir(f"{applied}/{STATE}/transactions/000041")
    os.mkdir(f"{applied}/{STATE}/transactions/notes")
    store = Store(OfflineHost(applied))
    assert [record.id for record in store.records()] == [1]
    assert store.begin(Kept(Plan(Role.HOST), "apply", 0))[0] == 42
    assert recover(OfflineHost(applied), store) is not None


class TestJournal:
    PATH = "/var/lib/journal"

    def journal(self, root: str) -> Journal:
        return Journal(OfflineHost(root), self.PATH)

    def test_lines_are_read_back(self, root: str) -> None:
        journal = self.journal(root)
        assert (journal.ready, journal.decision, journal.finished) == (False, None, False)
        journal.note(Mark.READY)
        journal.note(Mark.FILE, 0)
        journal.note(Mark.FILE, 2)
        journal.note(Mark.ACT, 1)
        for one in (journal, self.journal(root)):
            assert one.ready
            assert not one.finished
            assert one.begun(Mark.FILE) == {0, 2}
            assert one.begun(Mark.ACT) == {1}

    def test_the_last_decision_counts(self, root: str) -> None:
        for mark, finished in ((Mark.COMMITTED, True), (Mark.ROLLING_BACK, False), (Mark.ROLLED_BACK, True)):
            self.journal(root).note(mark)
            assert (self.journal(root).decision, self.journal(root).finished) == (mark, finished)

    def test_every_cut_of_the_last_line_is_ignored_and_written_over(self, root: str) -> None:
        journal = self.journal(root)
        journal.note(Mark.READY)
        start = Path(root + self.PATH).stat().st_size
        journal.note(Mark.COMMITTED)
        whole = Path(root + self.PATH).read_bytes()
        for cut in range(start, len(whole) - 1):
            Path(root + self.PATH).write_bytes(whole[:cut])
            again = self.journal(root)
            assert (again.ready, again.finished) == (True, False)
            again.note(Mark.ROLLED_BACK)
            assert self.journal(root).decision is Mark.ROLLED_BACK
        Path(root + self.PATH).write_bytes(whole[:-1])
        assert self.journal(root).finished  # only the line end is missing

    def test_any_changed_byte_is_seen(self, root: str) -> None:
        self.journal(root).note(Mark.COMMITTED)
        whole = Path(root + self.PATH).read_bytes()
        for at in range(len(whole) - 1):
            Path(root + self.PATH).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert not self.journal(root).finished

    def test_garbage_is_no_line(self, root: str) -> None:
        Path(root + self.PATH).write_bytes(b"\x00" * 4096 + b"\nhello\n00000000 \n\n")
        assert not self.journal(root).ready
