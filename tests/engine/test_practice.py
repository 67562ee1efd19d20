"""The practice machine: two machines in a folder, a UPS that is simulated, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from nutwizard.core.facts import Door, Kind, Owner, Role
from nutwizard.engine.nut_client import Limits, open_client
from nutwizard.engine.nut_errors import ConnectRefused, DriverNotConnected, NutError
from nutwizard.engine.practice import daemons
from nutwizard.engine.practice.host import READY_PASSWORD, READY_USER, PracticeHost
from nutwizard.formats.nutfile import NutFile

NUT = Owner("root", "nut", 0o640)
ROOT = Path(__file__).parents[2]
REAL = daemons.find_programs() is not None
HOST_FILES = {
    "nut.conf": "MODE=netserver\n",
    "upsd.conf": "LISTEN 192.168.1.107 3493\nLISTEN 127.0.0.1 3493\n",
    "upsd.users": "[boss]\npassword = a1\nupsmon primary\n[vm]\npassword = b2\nupsmon secondary\n",
    "upsmon.conf": "MONITOR apc@localhost 1 boss a1 primary\n",
    "ups.conf": "[apc]\ndriver = usbhid-ups\nport = auto\noffdelay = 60\nlowbatt = 80\npollonly\n",
}
#: What lets the VM through the host's firewall.
LETS_IN = b"[RULES]\nIN ACCEPT -source 192.168.1.10 -p tcp -dport 3493\n"
CLIENT_FILES = {
    "nut.conf": "MODE=netclient\n",
    "upsmon.conf": "MONITOR apc@192.168.1.107 1 vm b2 secondary\n",
}


@dataclass
class Two:
    """Both machines in one folder."""

    host: PracticeHost
    vm: PracticeHost


@pytest.fixture(params=["real", "simulated"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name = str(request.param)
    if name == "simulated":
        monkeypatch.setattr(daemons, "find_programs", lambda: None)
    elif not REAL:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail("needs NUT: in CI nothing is skipped", pytrace=False)
        pytest.skip("needs NUT: upsd and dummy-ups not found")
    return name


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "practice")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A temporary folder that other users may enter: pytest's own are closed to them, again and again."""
    with tempfile.TemporaryDirectory(prefix="practice-test-") as name:
        os.chmod(name, 0o1777)
        yield Path(name)


@pytest.fixture
def stock(folder: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeHost]:
    """A host as after installation; nothing runs, so nothing real is needed."""
    monkeypatch.setattr(daemons, "find_programs", lambda: None)
    host = PracticeHost.open(folder, Role.HOST)
    yield host
    host.close()


@pytest.fixture
def two(backend: str, folder: str) -> Iterator[Two]:
    """A host that serves and a VM that follows, both set up by hand."""
    host = PracticeHost.open(folder, Role.HOST)
    vm = PracticeHost.open(folder, Role.CLIENT)
    for name, text in HOST_FILES.items():
        put(host, name, text)
    host.create_plain("/etc/pve/nodes/pve/host.fw", LETS_IN)
    for name, text in CLIENT_FILES.items():
        put(vm, name, text)
    systemctl(host, "restart", "nut-server", "nut-monitor")
    systemctl(vm, "restart", "nut-monitor")
    yield Two(host, vm)
    host.close()


def put(host: PracticeHost, name: str, text: str, owner: Owner = NUT) -> None:
    host.create(f"/etc/nut/{name}.new", text.encode(), owner)
    host.rename(f"/etc/nut/{name}.new", f"/etc/nut/{name}")


def systemctl(host: PracticeHost, *words: str) -> str:
    done = host.run(["/usr/bin/systemctl", *words], timeout=30)
    return done.out or f"exit {done.code}"


def journal(host: PracticeHost, unit: str) -> str:
    return host.run(["/usr/bin/journalctl", "-u", unit, "-n", "20", "-o", "cat", "--no-pager"], timeout=5).out


def shown(host: PracticeHost, unit: str) -> dict[str, str]:
    wanted = "Id,Names,LoadState,ActiveState,SubState,UnitFileState,ActiveEnterTimestamp"
    out = systemctl(host, "show", "--timestamp=unix", "-p", wanted, unit)
    return dict(line.split("=", 1) for line in out.splitlines())


def clients(host: PracticeHost, address: str = "192.168.1.107") -> list[str]:
    with open_client(host.connect, address, 3493, Limits()) as client:
        return sorted(client.clients("apc"))


def refused(host: PracticeHost, address: str, port: int = 3493) -> type[Exception]:
    with pytest.raises((OSError, NutError)) as caught:
        host.connect(address, port, 2.0).close()
    return caught.type


def until(what: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


# the folder


def test_looks_like_debian_after_installation(stock: PracticeHost) -> None:
    assert (stock.door, stock.label) == (Door.PRACTICE, "the practice machine")
    assert stock.kind()[0] is Kind.PVE
    assert b"MODE=none" in stock.read("/etc/nut/nut.conf")
    for name in ("nut.conf", "ups.conf", "upsd.conf", "upsd.users", "upsmon.conf", "upssched.conf"):
        found = stock.stat(f"/etc/nut/{name}")
        assert found is not None
        assert found.owner == NUT
    assert stock.real("/bin/upssched-cmd") == "/usr/bin/upssched-cmd"
    assert "usbhid-ups" in stock.names("/lib/nut")
    assert [(one.vendor, one.product_id) for one in stock.usb()] == [("051d", "0002")]
    assert any(one.bridge and one.address == "192.168.1.107" for one in stock.addresses())


def test_stock_files_say_what_debians_say(stock: PracticeHost) -> None:
    words = [entry.words for entry in NutFile.parse(stock.read("/etc/nut/upsmon.conf")).entries()]
    assert words == [
        ("MINSUPPLIES", "1"),
        ("SHUTDOWNCMD", "/sbin/shutdown -h +0"),
        ("POLLFREQ", "5"),
        ("POLLFREQALERT", "5"),
        ("HOSTSYNC", "15"),
        ("DEADTIME", "15"),
        ("POWERDOWNFLAG", "/etc/killpower"),
        ("RBWARNTIME", "43200"),
        ("NOCOMMWARNTIME", "300"),
        ("FINALDELAY", "5"),
    ]
    upssched = NutFile.parse(stock.read("/etc/nut/upssched.conf")).entries()
    assert [entry.words for entry in upssched] == [("CMDSCRIPT", "/bin/upssched-cmd")]
    assert NutFile.parse(stock.read("/etc/nut/upsd.conf")).entries() == []


def test_stock_files_are_in_our_own_words(
    stock: PracticeHost, debian_stock: Callable[[str], Mapping[str, bytes]]
) -> None:
    """No comment of more than four words stands in Debian's files, which are under another licence."""
    theirs = re.sub(rb"[\s#]+", b" ", b" ".join(debian_stock("2.8.0").values())).lower()
    for name in stock.names("/etc/nut"):
        for line in stock.read(f"/etc/nut/{name}").splitlines():
            words = line.lstrip(b"# ").lower().split()
            if line.startswith(b"#") and len(words) > 4:
                assert b" ".join(words) not in theirs, f"{name}: {line!r}"


def test_everything_is_private_and_owned_on_paper(stock: PracticeHost, folder: str) -> None:
    for above, folders, files in os.walk(folder):
        for path in (Path(above, name) for name in (*folders, *files)):
            if not path.is_symlink():
                assert stat.S_IMODE(path.stat().st_mode) in (0o600, 0o700), path
    stock.make_folder("/etc/nutwizard", Owner("root", "root", 0o700))
    stock.create("/etc/nutwizard/x", b"", Owner("root", "root", 0o600))
    stock.own("/etc/nutwizard/x", Owner("nut", "nut", 0o664))
    stock.rename("/etc/nutwizard/x", "/etc/nutwizard/y")
    again = PracticeHost.open(folder, Role.HOST).stat("/etc/nutwizard/y")
    assert again is not None
    assert again.owner == Owner("nut", "nut", 0o664)
    with pytest.raises(OSError, match="no user or group"):
        stock.own("/etc/nutwizard/y", Owner("nobody-knows", "nut", 0o600))
    stock.remove("/etc/nutwizard/y")
    stock.create("/etc/nutwizard/y", b"", Owner("root", "root", 0o640))
    assert stock.stat("/etc/nutwizard/y").owner.user == "root"  # type: ignore[union-attr]


def test_reset_brings_the_first_state_back(stock: PracticeHost, folder: str) -> None:
    before = stock.read("/etc/nut/ups.conf")
    put(stock, "ups.conf", "[x]\ndriver = usbhid-ups\nport = auto\n")
    stock.reset()
    assert stock.read("/etc/nut/ups.conf") == before
    assert "nut-driver@x" not in systemctl(stock, "show", "-p", "Id", "nut-*")
    assert Path(folder).is_dir()


def test_a_folder_with_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("mine")
    with pytest.raises(OSError, match="holds other files"):
        PracticeHost.open(str(tmp_path), Role.HOST)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_no_other_program_runs(stock: PracticeHost) -> None:
    assert stock.run(["/bin/sh", "-c", "exit 0"], timeout=5).code == -1
    assert stock.run(["systemctl", "show"], timeout=5).code == -1
    assert stock.run(["/usr/bin/systemctl", "rm", "x"], timeout=5).code == 1


# units


def test_units_before_the_set_up(stock: PracticeHost) -> None:
    assert shown(stock, "nut-client")["Names"] == "nut-monitor.service nut-client.service"
    assert shown(stock, "nut-driver.service")["LoadState"] == "not-found"
    assert shown(stock, "ups-monitor")["LoadState"] == "masked"
    server = shown(stock, "nut-server")
    assert (server["LoadState"], server["ActiveState"], server["UnitFileState"]) == (
        "loaded",
        "inactive",
        "enabled",
    )
    assert server["ActiveEnterTimestamp"] == ""
    assert re.fullmatch(r"@\d+", shown(stock, "nut-driver-enumerator.path")["ActiveEnterTimestamp"])
    assert systemctl(stock, "start", "nut-nothing") == "exit 5"
    assert systemctl(stock, "disable", "nut-monitor") == "exit 0"
    assert shown(stock, "nut-monitor")["UnitFileState"] == "disabled"


@pytest.mark.parametrize(
    ("file", "text", "state", "reason"),
    [
        ("nut.conf", "MODE=none\n", "inactive", "disabled by MODE=none"),
        ("nut.conf", "MODE = netserver\n", "failed", "no valid MODE"),
        ("nut.conf", "MODE=netserver\r\n", "failed", "no valid MODE"),
        ("ups.conf", "[apc]\ndriver = usbhid-ups\n", "failed", "no section with a driver and a port"),
        ("upsd.conf", "LISTEN 10.9.8.7\n", "failed", "not listening on 10.9.8.7 port 3493"),
        ("upsd.conf", "LISTEN 127.0.0.1\nLISTEN 10.9.8.7\n", "failed", "not listening"),
        ("upsd.conf", "LISTEN nowhere\n", "failed", "cannot be resolved"),
        ("upsd.conf", "LISTEN 10.9.8.7\nLISTEN 127.0.0.1\n", "active", "listening on 127.0.0.1"),
    ],
)
def test_the_server_starts_only_when_it_can(
    stock: PracticeHost, file: str, text: str, state: str, reason: str
) -> None:
    for name, good in HOST_FILES.items():
        put(stock, name, good)
    put(stock, file, text)
    assert systemctl(stock, "restart", "nut-server") == "exit 0"  # Type=simple tells nothing
    assert shown(stock, "nut-server")["ActiveState"] == state
    assert reason in journal(stock, "nut-server")
    if state != "active":
        assert refused(stock, "127.0.0.1") is ConnectionRefusedError


def test_an_unreadable_ups_conf_ends_the_server(stock: PracticeHost) -> None:
    for name, good in HOST_FILES.items():
        put(stock, name, good)
    stock.own("/etc/nut/ups.conf", Owner("root", "root", 0o640))
    systemctl(stock, "restart", "nut-server")
    assert shown(stock, "nut-server")["ActiveState"] == "failed"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("MINSUPPLIES 1\n", "insufficient power"),
        ("MONITOR apc@localhost 0 u p primary\n", "insufficient power"),
        ("MONITOR apc@localhost 1 u\n", "too few words"),
    ],
)
def test_the_monitor_needs_a_valid_monitor_line(stock: PracticeHost, text: str, reason: str) -> None:
    put(stock, "nut.conf", "MODE=standalone\n")
    put(stock, "upsmon.conf", text)
    systemctl(stock, "start", "nut-monitor")
    assert shown(stock, "nut-monitor")["ActiveState"] == "failed"
    assert reason in journal(stock, "nut-monitor")


def test_a_driver_with_an_unknown_variable_is_tried_again_and_again(two: Two) -> None:
    put(two.host, "ups.conf", "[apc]\ndriver = apcsmart\nport = auto\nlowbatt = 80\n")
    assert shown(two.host, "nut-driver@apc")["SubState"] == "auto-restart"
    assert "lowbatt" in journal(two.host, "nut-driver@*")
    with (
        open_client(two.host.connect, "localhost", 3493, Limits()) as client,
        pytest.raises(DriverNotConnected),
    ):
        client.list_vars("apc")
    put(two.host, "ups.conf", HOST_FILES["ups.conf"])
    assert shown(two.host, "nut-driver@apc")["ActiveState"] == "active"


def test_a_held_path_unit_does_not_fire(stock: PracticeHost) -> None:
    systemctl(stock, "stop", "nut-driver-enumerator.path")
    put(stock, "ups.conf", HOST_FILES["ups.conf"])
    assert "nut-driver@apc" not in systemctl(stock, "show", "-p", "Id", "nut-*")
    systemctl(stock, "restart", "nut-driver-enumerator.service")
    assert shown(stock, "nut-driver@apc")["UnitFileState"] == "enabled"
    script = ["/usr/libexec/nut-driver-enumerator.sh", "--get-service-for-device", "apc"]
    assert stock.run(script, timeout=5).out == "nut-driver@apc.service\n"
    put(stock, "ups.conf", "maxretry = 3\n")
    systemctl(stock, "restart", "nut-driver-enumerator.service")
    assert stock.run(script, timeout=5).code == 1


# the whole


def test_both_machines_are_logged_in_and_see_the_ups(two: Two, backend: str) -> None:
    assert clients(two.vm) == ["127.0.0.1", "192.168.1.10"]
    assert until(lambda: status(two.vm) == "OL")
    with open_client(two.vm.connect, "pve", 3493, Limits()) as client:
        assert client.own_address == "192.168.1.10"
        assert ("simulated" in client.version()) is (backend == "simulated")
        values = client.list_vars("apc")
        assert client.ups_names() == {"apc": "Description unavailable"}
    wanted = {
        "battery.charge.low": "80",
        "driver.name": "usbhid-ups",
        "driver.parameter.lowbatt": "80",
        "driver.parameter.offdelay": "60",
        "driver.parameter.port": "auto",
        "driver.flag.pollonly": "enabled",
        "ups.mfr": "APC",
    }
    assert {name: values.get(name) for name in wanted} == wanted
    names = {daemon.name for daemon in two.host.daemons()}
    assert names == {"usbhid-ups", "upsd", "upsmon"}
    assert {(one.address, one.port) for one in two.host.listeners()} == {
        ("127.0.0.1", 3493),
        ("192.168.1.107", 3493),
    }
    assert two.vm.listeners() == ()


def status(host: PracticeHost) -> str:
    with open_client(host.connect, "192.168.1.107", 3493, Limits()) as client:
        return client.get_var("apc", "ups.status")


def test_wrong_password_or_role_is_not_listed(two: Two) -> None:
    put(two.vm, "upsmon.conf", "MONITOR apc@192.168.1.107 1 vm wrong secondary\n")
    systemctl(two.vm, "restart", "nut-monitor")
    assert clients(two.vm) == ["127.0.0.1"]
    assert "denied" in journal(two.vm, "nut-monitor")
    assert shown(two.vm, "nut-monitor")["ActiveState"] == "active"
    put(two.host, "upsmon.conf", "MONITOR apc@localhost 1 vm b2 primary\n")
    systemctl(two.host, "restart", "nut-monitor")
    assert clients(two.vm) == ["127.0.0.1"]
    assert "no primary rights" in journal(two.host, "nut-monitor")


def test_rights_are_those_of_the_file(two: Two) -> None:
    with open_client(two.vm.connect, "192.168.1.107", 3493, Limits()) as client:
        client.login("apc", "vm", "b2")
        assert clients(two.vm) == ["127.0.0.1", "192.168.1.10", "192.168.1.10"]
        assert not client.has_primary_rights("apc")
    with open_client(two.host.connect, "localhost", 3493, Limits()) as client:
        client.login("apc", "boss", "a1")
        assert client.has_primary_rights("apc")


def test_users_are_read_again_at_a_reload(two: Two) -> None:
    put(two.host, "upsd.users", HOST_FILES["upsd.users"].replace("b2", "c3"))
    systemctl(two.host, "reload", "nut-server")

    def denied() -> bool:
        with open_client(two.vm.connect, "192.168.1.107", 3493, Limits()) as client:
            try:
                client.login("apc", "vm", "c3")
            except NutError:
                return False
            return True

    assert until(denied)
    assert "127.0.0.1" in clients(two.vm)  # who was logged in stays


def test_closed_users_file_denies_every_login(two: Two) -> None:
    two.host.own("/etc/nut/upsd.users", Owner("root", "root", 0o640))
    systemctl(two.host, "restart", "nut-server")
    assert clients(two.vm) == []


@pytest.mark.parametrize(
    ("lines", "reached"),
    [
        ("", {"127.0.0.1", "::1", "localhost"}),
        ("LISTEN 0.0.0.0\n", {"127.0.0.1", "localhost", "192.168.1.107", "pve"}),
        ("LISTEN 0.0.0.0\nLISTEN 127.0.0.1\n", {"127.0.0.1", "localhost"}),
        ("LISTEN 192.168.1.107\n", {"192.168.1.107", "pve"}),
        ("LISTEN localhost\n", {"::1", "localhost"}),
        ("LISTEN ::\n", {"127.0.0.1", "::1", "localhost", "192.168.1.107", "pve"}),
        ("LISTEN 127.0.0.1 4000\n", set()),
    ],
)
def test_only_addresses_that_listen_answer(stock: PracticeHost, lines: str, reached: set[str]) -> None:
    for name, text in {**HOST_FILES, "upsd.conf": lines}.items():
        put(stock, name, text)
    systemctl(stock, "restart", "nut-server")
    for address in ("127.0.0.1", "::1", "localhost", "192.168.1.107", "pve"):
        if address in reached:
            stock.connect(address, 3493, 2.0).close()
        else:
            assert refused(stock, address) is ConnectionRefusedError, address


def test_what_is_not_in_the_practice_network_is_out_of_reach(stock: PracticeHost) -> None:
    assert refused(stock, "no-such-name") is socket.gaierror
    assert refused(stock, "192.168.1.50") is OSError
    assert refused(stock, "8.8.8.8") is OSError


def test_a_client_can_be_practised_alone(backend: str, folder: str) -> None:
    vm = PracticeHost.open(folder, Role.CLIENT)
    try:
        assert vm.kind()[0] is Kind.VM
        assert READY_USER in vm.client_hint()
        assert READY_PASSWORD in vm.client_hint()
        with open_client(vm.connect, "192.168.1.107", 3493, Limits()) as client:
            assert client.get_var("apc", "ups.status") == "OL"
            client.login("apc", READY_USER, READY_PASSWORD)
            assert sorted(client.clients("apc")) == ["127.0.0.1", "192.168.1.10"]
        assert refused(vm, "127.0.0.1") is ConnectionRefusedError
        assert vm.names("/lib/nut") == []
        assert shown(vm, "nut-server")["LoadState"] == "not-found"
    finally:
        vm.close()


def test_a_host_that_is_not_set_up_refuses_its_client(stock: PracticeHost, folder: str) -> None:
    vm = PracticeHost.open(folder, Role.CLIENT)
    assert "set it up first" in vm.client_hint()
    stock.create_plain("/etc/pve/nodes/pve/host.fw", LETS_IN)
    with pytest.raises(ConnectRefused):
        open_client(vm.connect, "192.168.1.107", 3493, Limits())


# what is left behind

HOLD = """
import sys, time
from nutwizard.core.facts import Role
from nutwizard.engine.practice import daemons
from nutwizard.engine.nut_client import Limits, open_client
from nutwizard.engine.practice import PracticeHost
folder, how = sys.argv[1:]
if how == "simulated":
    daemons.find_programs = lambda: None
vm = PracticeHost.open(folder, Role.CLIENT)
with open_client(vm.connect, "192.168.1.107", 3493, Limits()) as client:
    print(client.get_var("apc", "ups.status"), client.version(), flush=True)
sys.stdin.read()
"""


def start(folder: Path, backend: str, *prefix: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [*prefix, sys.executable, "-c", HOLD, str(folder), backend],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": os.defpath,
            "TMPDIR": str(folder.parent),
            "HOME": "/nonexistent",
        },
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    assert first.startswith("OL ")
    assert ("simulated" in first) is (backend == "simulated")
    return child


def family(pid: int) -> set[int]:
    """The processes below `pid`."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, todo = set[int](), [pid]
    while todo:
        above = todo.pop()
        below = {child for child, parent in parents.items() if parent == above} - found
        found |= below
        todo += below
    return found


def listening(pids: set[int]) -> list[str]:
    """Hexadecimal addresses, as the kernel shows them, on which these processes listen."""
    sockets = set[str]()
    for pid in pids:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since the folder was read
                sockets.add(os.readlink(fd))
    found = []
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            words = row.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                found.append(words[1].partition(":")[0])
    return found


def gone(pids: set[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() and state(pid) != "Z" for pid in pids)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.kill()
    child.wait(10)
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, None], ids=["kill", "term", "end"])
def test_nothing_stays_when_the_process_goes(
    backend: str, shared: Path, number: signal.Signals | None
) -> None:
    child = start(shared / "practice", backend)
    try:
        below = family(child.pid)
        assert len(below) == (3 if backend == "real" else 0)  # the watcher, a driver, upsd
        assert set(listening({child.pid, *below})) == {"0100007F"}
        if number is None:
            assert child.stdin is not None
            child.stdin.close()
        else:
            child.send_signal(number)
        child.wait(10)
        assert until(lambda: gone(below))
        assert until(lambda: [path.name for path in shared.iterdir()] == ["practice"])
    finally:
        end(child)


@pytest.mark.parametrize("backend", ["real"], indirect=True)
@pytest.mark.usefixtures("backend")
def test_daemons_die_with_a_killed_watcher_and_come_back(folder: str) -> None:
    before = family(os.getpid())
    vm = PracticeHost.open(folder, Role.CLIENT)
    try:
        assert status(vm) == "OL"
        below = family(os.getpid()) - before
        watcher = next(pid for pid in below if "watch.py" in Path(f"/proc/{pid}/cmdline").read_text())
        os.kill(watcher, signal.SIGKILL)
        assert until(lambda: gone(below))
        assert status(vm) == "OL"
    finally:
        vm.close()


def test_a_second_process_goes_on_where_the_first_ended(two: Two, folder: str) -> None:
    two.host.close()
    probe = HOLD.replace("sys.stdin.read()", "").replace(
        "print(", "time.sleep(0); print(sorted(client.clients('apc')), "
    )
    how = "simulated" if daemons.find_programs() is None else "real"
    done = subprocess.run(
        [sys.executable, "-c", probe, folder, how],
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("['127.0.0.1', '192.168.1.10'] OL"), done.stderr


def test_another_process_restarts_what_this_one_runs(two: Two, folder: str) -> None:
    script = (
        "import sys\n"
        "from nutwizard.core.facts import Role\n"
        "from nutwizard.engine.practice import PracticeHost\n"
        "host = PracticeHost.open(sys.argv[1], Role.HOST)\n"
        "host.run(['/usr/bin/systemctl', 'stop', 'nut-server'], timeout=30)\n"
    )
    assert clients(two.vm)
    subprocess.run(
        [sys.executable, "-c", script, folder],
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        check=True,
        timeout=60,
    )
    assert refused(two.vm, "192.168.1.107") is ConnectionRefusedError


@pytest.mark.lab
def test_works_for_a_user_without_rights(backend: str, shared: Path) -> None:
    child = start(
        shared / "practice", backend, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"
    )
    try:
        below = family(child.pid)
        assert set(listening({child.pid, *below})) == {"0100007F"}
        owners = {path.stat().st_uid for path in shared.rglob("*") if path.exists()}
        assert owners == {(shared / "practice").stat().st_uid} != {0}
        child.kill()
        assert until(lambda: gone(below))
        assert until(lambda: [path.name for path in shared.iterdir()] == ["practice"])
    finally:
        end(child)


def test_no_password_in_the_journal_or_the_owners(two: Two, folder: str) -> None:
    put(two.vm, "upsmon.conf", "MONITOR apc@192.168.1.107 1 vm canary-secret secondary\n")
    systemctl(two.vm, "restart", "nut-monitor")
    clients(two.vm)
    tables = json.loads(Path(folder, "vm.units.json").read_text())
    assert "canary-secret" not in json.dumps(tables["journal"])
    assert "canary-secret" not in Path(folder, "vm.owners.json").read_text()
