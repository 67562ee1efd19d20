"""The unit that recovers at boot: there while a transaction is open, and never otherwise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit
from nutwizard.core.plan import Plan
from nutwizard.engine import boot, pvelocks
from nutwizard.engine.host import Completed
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.recovery import recover
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from nutwizard.engine.undo import target_of, undo_plan
from tests.engine.test_transaction_kills import act_recover, memory, run
from tests.support.trees import ACTS, AFTER, BEFORE, ScriptedHost, make_tree, state, whole_plan

__all__ = ["memory"]  # a fixture

JOURNAL = "/var/lib/nutwizard/transactions/000001/journal"
ANALYZE = "/usr/bin/systemd-analyze"


@pytest.fixture
def root(memory: Path) -> str:
    """A machine that systemd has booted, with one UPS."""
    root = make_tree(memory / "machine")
    os.makedirs(f"{root}/run/systemd/system")
    os.makedirs(f"{root}/etc/systemd/system/nut-driver.target.wants")
    os.symlink(
        "/lib/systemd/system/nut-driver@.service",
        f"{root}/etc/systemd/system/nut-driver.target.wants/nut-driver@apc.service",
    )
    return root


def units(root: str) -> list[str]:
    base = Path(root, "etc/systemd/system")
    return sorted(str(path.relative_to(base)) for path in base.rglob("*recover*"))


BOTH = ["multi-user.target.wants/nutwizard-recover.service", "nutwizard-recover.service"]


def test_there_before_the_first_act_and_gone_after_the_end(root: str) -> None:
    seen = []

    def script(argv: Sequence[str]) -> Completed | None:
        seen.append(units(root))
        return None

    assert apply(ScriptedHost(root, script), whole_plan(ACTS), prove=lambda: ()).code == Exit.DONE
    assert seen[0] == []  # asked for the failed units, before anything begins
    assert seen[1] == seen[-1] == BOTH
    assert units(root) == []


def test_gone_after_a_roll_back(root: str) -> None:
    class Failing(ScriptedHost):
        def rename(self, source: str, target: str) -> None:
            if target.endswith("/ups.conf"):
                assert units(root) == BOTH
                raise OSError(5, "Input/output error", target)
            super().rename(source, target)

    assert apply(Failing(root), whole_plan(ACTS), prove=lambda: ()).code == Exit.FAILED
    assert units(root) == []


@pytest.mark.parametrize("what", ["offline", "practice", "no systemd"])
def test_only_where_systemd_boots_this_machine(root: str, what: str) -> None:
    kind = OfflineHost if what == "offline" else ScriptedHost
    host = kind(root)
    if what == "no systemd":
        os.rmdir(f"{root}/run/systemd/system")
    if what == "practice":
        from nutwizard.core.facts import Door

        host.door = Door.PRACTICE
    boot.arm(host, whole_plan(), JOURNAL)
    assert units(root) == []


def test_it_is_durable_before_the_first_rename(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
    apply(ScriptedHost(root), whole_plan(ACTS), prove=lambda: ())
    first = log.index(("rename", "/etc/nut/nut.conf"))
    unit = log.index(("rename", boot.FILE))
    link = log.index(("fsync", "/etc/systemd/system/multi-user.target.wants"))
    assert log[unit - 1] == ("fsync", f"/etc/systemd/system/.{boot.UNIT}.new")
    assert log[unit + 1] == ("fsync", "/etc/systemd/system")
    assert unit < link < first
    committed = [number for number, entry in enumerate(log) if entry == ("fsync", JOURNAL)][-1]
    assert ("fsync", "/etc/systemd/system") in log[committed:]  # and only then it goes
    assert ("fsync", "/etc/systemd/system") not in log[first:committed]


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_leaves_it_exactly_while_it_is_needed(root: str, after: bool) -> None:
    """Once a file may differ the unit is there; the next start leaves none of it."""
    open_ones = 0
    for at in range(1 + after, 400, 2):
        host = ScriptedHost(root)
        killed = run(lambda: apply(host, whole_plan(ACTS), prove=lambda: ()), at, after=after)  # noqa: B023
        changed = state(root) != BEFORE
        if Store(host).unfinished() is not None and changed:
            open_ones += 1
            assert units(root) == BOTH
            assert Path(root + JOURNAL).parent.is_dir()
        act_recover(root)
        assert units(root) == []
        if state(root) == AFTER:
            number = target_of(Store(host))
            apply(host, undo_plan(host, Store(host)), prove=lambda: (), undoes=number)
            assert units(root) == []
        if not killed:
            break
    assert at > 100
    assert open_ones > 20


def test_at_boot_files_alone(root: str) -> None:
    """NUT's units wait for this: whoever waited for them here would wait for ever."""

    def script(argv: Sequence[str]) -> Completed | None:
        if argv[1:] == ["start", "nut-monitor.service"]:
            os.kill(os.getpid(), 9)
        return None

    assert run(
        lambda: apply(ScriptedHost(root, script), whole_plan(ACTS), prove=lambda: ()), 10_000, after=False
    )
    assert state(root) == AFTER
    host = ScriptedHost(root)
    said = recover(host, Store(host), booting=True)
    assert said is not None
    assert said.endswith("Then: disable nut-server.service.")
    assert state(root) == BEFORE
    assert host.acts == ["disable nut-server.service"]
    assert units(root) == []
    assert recover(host, Store(host), booting=True) is None


def text_of(plan: Plan, root: str) -> str:
    boot.arm(ScriptedHost(root), plan, JOURNAL)
    return Path(root + boot.FILE).read_text()


def test_what_it_says(root: str) -> None:
    lines = text_of(whole_plan(), root).splitlines()
    assert os.stat(root + boot.FILE).st_mode & 0o7777 == 0o644
    assert os.readlink(root + boot.LINK) == boot.FILE
    assert (
        "Before=nut-driver-enumerator.service nut-driver.target nut-server.service nut-monitor.service"
        " nut-driver@apc.service" in lines
    )
    assert "After=local-fs.target" in lines
    assert f"ConditionPathExists={JOURNAL}" in lines
    assert f'ExecStart="{sys.executable}" -I -m nutwizard recover --boot' in lines
    assert os.path.isabs(sys.executable)


def test_files_of_the_cluster_wait_for_it() -> None:
    text = boot.unit_text("/usr/bin/python3", JOURNAL, [], cluster=True)
    assert "After=pve-cluster.service\n" in text
    limit = re.search(r"^TimeoutStartSec=(\d+)$", text, re.MULTILINE)
    assert limit is not None
    assert int(limit[1]) > 2 * pvelocks.WAY_BACK
    assert "Before=" not in text


@pytest.mark.skipif(not os.path.exists(ANALYZE), reason="no systemd-analyze here")
@pytest.mark.parametrize("cluster", [False, True])
def test_systemd_understands_it(tmp_path: Path, cluster: bool) -> None:
    odd = tmp_path / "100% of it"
    odd.mkdir()
    os.symlink("/bin/true", odd / "python")
    unit = tmp_path / boot.UNIT
    unit.write_text(boot.unit_text(f"{odd}/python", JOURNAL, ["nut-driver@apc.service"], cluster=cluster))
    done = subprocess.run(
        [ANALYZE, "verify", "--man=no", unit], capture_output=True, text=True, timeout=30, check=False
    )
    assert [line for line in done.stderr.splitlines() if boot.UNIT in line] == []
    unit.write_text(unit.read_text().replace(f'"{tmp_path}', '"/none'))
    done = subprocess.run(
        [ANALYZE, "verify", "--man=no", unit], capture_output=True, text=True, timeout=30, check=False
    )
    assert "is not executable" in done.stderr  # it does look
