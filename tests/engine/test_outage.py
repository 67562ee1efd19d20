"""Never during an outage: who is asked, when, and what becomes of a plan that an outage stops."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard.core import errors
from nutwizard.core.errors import Exit, Failed, WizardError
from nutwizard.core.facts import Role
from nutwizard.core.links import Server
from nutwizard.core.outage import Seen
from nutwizard.core.plan import Act, ActKind, Plan
from nutwizard.core.text import FileText
from nutwizard.engine import putoff
from nutwizard.engine.host import Completed
from nutwizard.engine.journal import Journal, Mark
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.outage import Guard, in_the_way, matters, refuse
from nutwizard.engine.practice import daemons
from nutwizard.engine.practice.host import PracticeHost
from nutwizard.engine.practice.nut import Ups
from nutwizard.engine.practice.server import Serving, SimulatedServer
from nutwizard.engine.recovery import recover
from nutwizard.engine.store import Store
from nutwizard.engine.stored import Kept, from_json, to_json
from nutwizard.engine.transaction import apply
from tests.support.trees import NUT, ScriptedHost, change, make_tree, plan_of

CASES = sorted((Path(__file__).parents[1] / "cases/outage").glob("*.yaml"))
NUT_CONF = "/etc/nut/nut.conf"
OLD, NEW = b"MODE=none\n", b"MODE=new\n"
Status = Mapping[str, Any]


class Outages(ScriptedHost):
    """A machine whose servers say what `status` says; it turns at an act or at a time."""

    def __init__(self, root: str, status: Status, turns: Mapping[str, Status]) -> None:
        super().__init__(root)
        self.status, self.turns = status, dict(turns)
        self.waited = 0
        self._servers: list[SimulatedServer] = []

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        done = super().run(argv, timeout=timeout, data=data, user=user)
        if argv[1] != "show":
            self.status = self.turns.pop(" ".join(argv[1:]), self.status)
        return done

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        for when in [key for key in self.turns if re.fullmatch(r"\d+ s", key)]:
            if self.clock >= int(when.split()[0]):
                self.status = self.turns.pop(when)

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        there = self.status.get(f"{'127.0.0.1' if address == 'localhost' else address} {port}")
        if there is None:
            raise ConnectionRefusedError
        if there == "silent":
            self.waited += 1
            raise TimeoutError
        ups = {name: Ups(name, {}) for name in there}
        values = {name: {"ups.status": status} for name, status in there.items() if status is not None}
        server = SimulatedServer(Serving(ups, values, {}))
        self._servers.append(server)
        return socket.create_connection(("127.0.0.1", server.port), timeout)

    def close(self) -> None:
        for server in self._servers:
            server.close()


def act_of(text: str) -> Act:
    kind, unit = text.split()
    return Act(ActKind(kind), unit, "because")


def case_plan(case: Mapping[str, Any]) -> Plan:
    changes = [change(NUT_CONF, (OLD, NUT), (NEW, NUT))]
    for name, content in case.get("files", {}).items():
        if isinstance(content, list):
            before, after = ((text.encode(), NUT) for text in content)
            changes.append(change(f"/etc/nut/{name}", before, after))
    return Plan(Role(case["role"]), tuple(changes), tuple(map(act_of, case["acts"])))


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(request.param.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def host(case: Mapping[str, Any], tmp_path: Path) -> Iterator[Outages]:
    files = {f"/etc/nut/{name}": content for name, content in case.get("files", {}).items()}
    texts = {path: content[0] if isinstance(content, list) else content for path, content in files.items()}
    root = make_tree(
        tmp_path / "machine",
        {NUT_CONF: (OLD, NUT), **{path: (text.encode(), NUT) for path, text in texts.items()}},
    )
    machine = Outages(root, case["status"], case.get("turns", {}))
    yield machine
    machine.close()


def contains(whole: str, parts: Sequence[str]) -> None:
    for part in parts:
        assert part in whole


def test_scenario(case: Mapping[str, Any], host: Outages) -> None:
    plan, end = case_plan(case), case["end"]
    insist = case.get("on_battery", False)
    text = hint = ""
    ended: int | str
    try:
        outcome = apply(host, plan, prove=lambda: (), on_battery=insist)
        ended, text = int(outcome.code), outcome.text
    except WizardError as error:
        ended, text, hint = type(error).__name__, error.text, error.hint
    assert ended == end.get("raises", end.get("code"))
    assert host.acts == end["ran"]
    for each in plan.files:
        wanted = getattr(each, end["files"])
        assert host.read(each.path) == wanted.data
    contains(text, end.get("says", []))
    contains(hint, end.get("hint", []))
    assert host.waited == end.get("waited", 0)
    assert host.clock < 20
    store = Store(host)
    if end.get("raises") == "Failed":
        assert host.stat("/var/lib/nutwizard") is None
    else:
        assert store.load(1).on_battery is insist
        assert store.unfinished() is None
    for later in case.get("later", []):
        host.status, host.ran = later["status"], []
        said = recover(host, store, insist=later.get("insist", False)) or ""
        assert host.acts == later["ran"]
        contains(said, later.get("says", []))
        assert bool(said) == bool(later.get("says"))
        assert (putoff.waiting(host, store) is not None) == later.get("waits", False)
        assert bool(putoff.reminder(host, store)) == later.get("waits", False)


@pytest.mark.parametrize(
    ("status", "outage"),
    [
        ("OL", False),
        ("OL CHRG", False),
        ("OL BYPASS", False),
        ("OFF", False),
        ("WAIT", False),
        ("", False),
        ("OL BOOST RB", False),
        ("OB", True),
        ("OB DISCHRG", True),
        ("ALARM OB", True),
        ("OL LB", True),
        ("FSD OL", True),
        ("OL FSD", True),
        ("CAL OB LB", True),
    ],
)
def test_what_a_status_tells(status: str, outage: bool) -> None:
    assert Seen("apc", status, Server("h", 3493)).outage is outage


def test_a_status_cannot_play_with_the_terminal() -> None:
    shown = str(Seen("apc\x1b[2J", "OB \u202e" + "x" * 5000, Server("::1", 1)))
    assert shown.isprintable()
    assert "[::1] port 1" in shown
    assert len(shown) < 200


def test_what_no_outage_stops() -> None:
    """Saved answers, the folders of clients and the firewall's files are read by no daemon of NUT."""
    quiet = [change(p, None, (b"x", NUT)) for p in ("/etc/nutwizard/answers.yaml", "/etc/pve/firewall/x.fw")]
    assert not matters(plan_of(*quiet))
    assert not matters(plan_of(acts=[act_of("enable nut-server.service"), act_of("hold x.path")]))
    assert matters(plan_of(change("/usr/sbin/upssched-cmd", None, (b"x", NUT))))
    assert all(
        matters(plan_of(acts=[act_of(f"{kind} nut-server.service")])) for kind in ("start", "stop", "restart")
    )


def test_below_another_root_nobody_is_asked(tmp_path: Path) -> None:
    class Deaf(OfflineHost):
        def connect(self, address: str, port: int, timeout: float) -> socket.socket:
            raise AssertionError("asked")

    root = make_tree(tmp_path / "m", {"/etc/nut/upsmon.conf": (b"MONITOR a@b 1 c d slave\n", NUT)})
    guard = refuse(Deaf(root), plan_of(change(NUT_CONF, None, (NEW, NUT))), insist=False)
    assert guard.look() is None


def test_files_that_cannot_be_read_name_nobody(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "m", {})
    os.mkdir(f"{root}/etc/nut/upsmon.conf")
    guard = Guard(ScriptedHost(root), Plan(Role.CLIENT, acts=(act_of("restart nut-monitor.service"),)))
    assert guard.look() is None


def test_the_option_is_kept_for_the_way_back() -> None:
    plan = Plan(Role.CLIENT, (change(NUT_CONF, None, (NEW, NUT)),))
    assert from_json(to_json(Kept(plan, "apply", 1, on_battery=True))).on_battery
    assert not from_json(to_json(Kept(plan, "apply", 1))).on_battery
    older = to_json(Kept(plan, "apply", 1)).replace(b' "on_battery": false,\n', b"")
    assert b"on_battery" not in older
    assert not from_json(older).on_battery


def test_a_practice_machine_asks_its_own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its UPS is on battery once ups.conf says so: practice shows what would happen."""
    monkeypatch.setattr(daemons, "find_programs", lambda: None)
    folder = str(tmp_path / "practice")
    vm, server = PracticeHost.open(folder, Role.CLIENT), PracticeHost.open(folder, Role.HOST)
    try:
        path, conf = "/etc/nut/upsmon.conf", "/etc/nut/ups.conf"
        line = b"MONITOR apc@192.168.1.107 1 vm pw slave\n"
        plan = Plan(Role.CLIENT, (change(path, (vm.read(path), NUT), (line, NUT)),))
        assert in_the_way(vm, plan, insist=False) == ""
        text = server.read(conf) + b'override.ups.status = "OB DISCHRG"\n'
        server.remove(conf)
        server.create(conf, text, NUT)
        server.run(["/usr/bin/systemctl", "restart", "nut-driver@apc.service"], timeout=10)
        assert "UPS apc on 192.168.1.107 port 3493 runs on battery" in in_the_way(vm, plan, insist=False)
        with pytest.raises(Failed, match="Not during an outage"):
            apply(vm, plan, prove=lambda: ())
        assert in_the_way(vm, plan, insist=True) == ""
    finally:
        vm.close()


RESTARTS = (act_of("restart nut-server.service"), act_of("restart nut-monitor.service"))
UPSD_CONF = "/etc/nut/upsd.conf"


@pytest.fixture
def interrupted(tmp_path: Path) -> Iterator[Outages]:
    """A host whose run was killed after the first of two restarts; its UPS is on battery now."""
    root = make_tree(tmp_path / "m", {NUT_CONF: (NEW, NUT), UPSD_CONF: (b"LISTEN 127.0.0.1 3493\n", NUT)})
    machine = Outages(root, {"127.0.0.1 3493": {"apc": "OB"}}, {})
    store = Store(machine)
    store.prepare()
    plan = plan_of(change(NUT_CONF, (OLD, NUT), (NEW, NUT)), acts=RESTARTS)
    _, journal = store.begin(Kept(plan, "apply", 1))
    journal.note(Mark.FILE, 0)
    journal.note(Mark.ACT, 0)
    yield machine
    machine.close()


def test_recovery_puts_files_back_and_units_off(interrupted: Outages) -> None:
    store = Store(interrupted)
    said = recover(interrupted, store) or ""
    assert interrupted.read(NUT_CONF) == OLD
    assert interrupted.acts == []
    contains(
        said,
        [
            "Transaction 1 (apply) had been interrupted: its 1 files are as they were before.\n",
            "Not during an outage: UPS apc on this machine's upsd (127.0.0.1 port 3493) runs on battery",
            "Put off until the outage is over: restart nut-server.service.\nThen: nutwizard recover (",
        ],
    )
    assert store.unfinished() is None
    assert "systemctl restart nut-server.service" in putoff.reminder(interrupted, store)
    interrupted.status = {"127.0.0.1 3493": {"apc": "OL"}}
    recover(interrupted, store)
    assert interrupted.acts == ["restart nut-server.service"]
    assert recover(interrupted, store) is None


def test_recovery_obeys_who_insists(interrupted: Outages) -> None:
    recover(interrupted, Store(interrupted), insist=True)
    assert interrupted.acts == ["restart nut-server.service"]
    assert putoff.waiting(interrupted, Store(interrupted)) is None


def test_at_boot_nothing_is_asked_and_nothing_waits(interrupted: Outages) -> None:
    said = recover(interrupted, Store(interrupted), booting=True) or ""
    assert "Units start on them." in said
    assert interrupted.acts == []
    assert putoff.waiting(interrupted, Store(interrupted)) is None


def test_an_outage_that_ends_between_two_kills_leaves_nothing_to_wait_for(interrupted: Outages) -> None:
    """Killed after it had noted what it puts off: the next start decides anew."""
    journal = Store(interrupted).journal(1)
    journal.note(Mark.ROLLING_BACK)
    journal.note(Mark.PUT_OFF, 0)
    interrupted.status = {}
    recover(interrupted, Store(interrupted))
    assert interrupted.acts == ["restart nut-server.service"]
    assert putoff.waiting(interrupted, Store(interrupted)) is None


def test_a_boot_has_done_what_was_put_off(interrupted: Outages) -> None:
    recover(interrupted, Store(interrupted))
    assert putoff.waiting(interrupted, Store(interrupted)) is not None
    os.makedirs(f"{interrupted.root}/proc")
    Path(interrupted.root, "proc/stat").write_text("cpu 1 2\nbtime 4102444800\nprocesses 1\n")
    assert putoff.waiting(interrupted, Store(interrupted)) is None
    assert recover(interrupted, Store(interrupted)) is None


def test_a_later_transaction_on_units_has_done_it_too(interrupted: Outages) -> None:
    store = Store(interrupted)
    recover(interrupted, store)
    quiet = plan_of(change("/etc/nutwizard/answers.yaml", None, (b"x\n", NUT)))
    apply(interrupted, quiet, prove=lambda: ())
    assert putoff.waiting(interrupted, store) is not None
    apply(interrupted, plan_of(acts=RESTARTS), prove=lambda: (), on_battery=True)
    assert putoff.waiting(interrupted, store) is None


def test_what_was_forgotten_is_done_all_the_same(interrupted: Outages) -> None:
    store = Store(interrupted)
    recover(interrupted, store)
    store.forget(1)
    assert "had put off" in (recover(interrupted, store, insist=True) or "")
    assert interrupted.acts == ["restart nut-server.service"]


def test_a_journal_that_is_full_leaves_it_open(interrupted: Outages, monkeypatch: pytest.MonkeyPatch) -> None:
    note = Journal.note

    def full(self: Journal, mark: Mark, number: int | None = None) -> None:
        if mark is Mark.PUT_OFF:
            raise OSError(28, "No space left on device")
        note(self, mark, number)

    monkeypatch.setattr(Journal, "note", full)
    with pytest.raises(errors.NotWhole, match="the journal: No space left on device"):
        recover(interrupted, Store(interrupted))
    assert Store(interrupted).unfinished() is not None
    assert interrupted.read(NUT_CONF) == OLD


def test_an_undo_asks_for_the_server_it_leads_back_to(tmp_path: Path) -> None:
    lines = [f"MONITOR apc@192.168.1.{n} 1 u p slave\n".encode() for n in (1, 2)]
    path = "/etc/nut/upsmon.conf"
    root = make_tree(tmp_path / "m", {path: (lines[0], NUT)})
    machine = Outages(root, {"192.168.1.1 3493": {"apc": "OB LB"}}, {})
    from nutwizard.engine.undo import undo_plan

    restart = (act_of("restart nut-monitor.service"),)
    plan = Plan(Role.CLIENT, (change(path, (lines[0], NUT), (lines[1], NUT)),), restart)
    assert apply(machine, plan, prove=lambda: (), on_battery=True).code is Exit.DONE
    back = undo_plan(machine, Store(machine))
    assert back.files[0].after == FileText(path, lines[0])
    with pytest.raises(Failed, match=r"UPS apc on 192\.168\.1\.1 port 3493 runs on battery"):
        apply(machine, back, prove=lambda: (), command="undo", undoes=1)
    assert machine.read(path) == lines[1]
    assert apply(machine, back, prove=lambda: (), command="undo", undoes=1, on_battery=True).code is Exit.DONE
    machine.close()
