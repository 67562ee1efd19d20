"""The practice host as a Proxmox VE node: its cluster files, and the firewall that its VM has to pass."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard.core.facts import Kind, Owner, Role
from nutwizard.core.firewallpolicy import read_policy
from nutwizard.core.paths import CLUSTER_FW, HOST_FW, UPS_CONF, UPSD_CONF
from nutwizard.engine.detect import detect
from nutwizard.engine.firewall import read_firewall
from nutwizard.engine.found import found_here
from nutwizard.engine.guests import read_guests
from nutwizard.engine.nut_client import Limits, open_client
from nutwizard.engine.nut_errors import ConnectRefused, ConnectTimeout, NutError
from nutwizard.engine.practice import daemons, gate
from nutwizard.engine.practice.host import PracticeHost
from tests.engine.test_practice import CLIENT_FILES, HOST_FILES, put, systemctl

ADDRESS, PORT = "192.168.1.107", 3493
VM, OWN = "192.168.1.10", "127.0.0.1"
RULE = "IN ACCEPT -source +nut_clients -p tcp -dport 3493"
#: Where the file of the node really lies.
NODE_FW = "/etc/pve/nodes/pve/host.fw"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated server, and no long wait for what is dropped."""
    monkeypatch.setattr(daemons, "find_programs", lambda: None)
    monkeypatch.setattr(gate, "LONGEST_WAIT", 0.2)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "practice")


@pytest.fixture
def host(folder: str) -> Iterator[PracticeHost]:
    """A host whose NUT was set up by hand, and nothing in its firewall."""
    machine = PracticeHost.open(folder, Role.HOST)
    for name, text in HOST_FILES.items():
        put(machine, name, text)
    systemctl(machine, "restart", "nut-server", "nut-monitor")
    yield machine
    machine.close()


@pytest.fixture
def vm(host: PracticeHost, folder: str) -> PracticeHost:
    """Its VM, set up by hand."""
    machine = PracticeHost.open(folder, Role.CLIENT)
    for name, text in CLIENT_FILES.items():
        put(machine, name, text)
    systemctl(machine, "restart", "nut-monitor")
    return machine


def edit(host: PracticeHost, path: str, text: str) -> None:
    """Replace a file below /etc/pve as nutwizard does: a new file beside it, and a rename."""
    host.create_plain(f"{path}.new", text.encode())
    host.rename(f"{path}.new", path)


def open_the_port(host: PracticeHost, rule: str = RULE) -> None:
    before, rest = host.read(CLUSTER_FW).decode().split("[RULES]", 1)
    names = "practice_vm_net0 192.168.1.10\n\n[IPSET nut_clients]\n\npractice_vm_net0\n\n"
    edit(host, CLUSTER_FW, f"{before.rstrip()}\n{names}[RULES]{rest}\n[group nut_in]\n\n{rule}\n")
    edit(host, NODE_FW, "[RULES]\n\nGROUP nut_in -i vmbr0\n")


def switch(host: PracticeHost, old: str, new: str) -> None:
    text = host.read(CLUSTER_FW).decode()
    assert text.count(f"\n{old}") == 1
    edit(host, CLUSTER_FW, text.replace(f"\n{old}", f"\n{new}"))


def clients(machine: PracticeHost) -> list[str]:
    with open_client(machine.connect, ADDRESS, PORT, Limits()) as client:
        return sorted(client.clients("apc"))


def failure(machine: PracticeHost, timeout: float = 0.1) -> type[Exception]:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the type is what is asked for
        machine.connect(ADDRESS, PORT, timeout).close()
    return caught.type


def journal(machine: PracticeHost) -> str:
    words = ["/usr/bin/journalctl", "-u", "nut-monitor", "-o", "cat", "--no-pager"]
    return machine.run(words, timeout=5).out


def aged(folder: str) -> None:
    """Make the practice folder that of a version without a firewall."""
    shutil.rmtree(f"{folder}/host/etc/pve")
    os.mkdir(f"{folder}/host/etc/pve")


def again(folder: str, role: Role, monkeypatch: pytest.MonkeyPatch) -> PracticeHost:
    """What the next process sees."""
    monkeypatch.setattr("nutwizard.engine.practice.host._worlds", {})
    return PracticeHost.open(folder, role)


# the node


def test_looks_as_a_mounted_cluster_file_system(host: PracticeHost) -> None:
    disk = host.on_disk("/etc/pve")
    links = {name: os.readlink(f"{disk}/{name}") for name in ("local", "qemu-server", "lxc")}
    assert links == {"local": "nodes/pve", "qemu-server": "nodes/pve/qemu-server", "lxc": "nodes/pve/lxc"}
    assert host.real(HOST_FW) == NODE_FW
    assert host.stat(NODE_FW) is None
    assert read_firewall(host) == "on"
    policy = read_policy(host.read(CLUSTER_FW), b"")
    assert policy.warnings == []
    assert len(policy.cluster_rules) == 1
    assert b"# ssh from the house" in host.read(CLUSTER_FW)


def test_owners_are_those_of_the_cluster_file_system(host: PracticeHost) -> None:
    host.create_plain(f"{NODE_FW}.new", b"")
    host.make_plain_folder("/etc/pve/priv/lock/firewall-cluster")
    host.set_times("/etc/pve/priv/lock/firewall-cluster", 0)
    found = {
        path: stat.owner
        for path in (NODE_FW + ".new", CLUSTER_FW, "/etc/pve", "/etc/pve/priv/lock/firewall-cluster")
        if (stat := host.stat(path)) is not None
    }
    assert found == {
        NODE_FW + ".new": Owner("root", "www-data", 0o640),
        CLUSTER_FW: Owner("root", "www-data", 0o640),
        "/etc/pve": Owner("root", "www-data", 0o755),
        "/etc/pve/priv/lock/firewall-cluster": Owner("root", "www-data", 0o700),
    }
    host.own(CLUSTER_FW, Owner("root", "root", 0o600))
    assert host.stat(CLUSTER_FW).owner == found[CLUSTER_FW]  # type: ignore[union-attr]
    host.remove("/etc/pve/priv/lock/firewall-cluster")
    assert host.names("/etc/pve/priv/lock") == []


def test_guest_and_firewall_are_found(host: PracticeHost) -> None:
    found = [(guest.id, guest.kind, guest.name, guest.bridge, guest.addresses) for guest in read_guests(host)]
    assert found == [(101, Kind.VM, "practice-vm", "vmbr0", (VM,))]
    facts = detect(host, host, Role.HOST, (UPS_CONF, UPSD_CONF), frozenset())
    assert facts.kind is Kind.PVE
    rows = {what: value for what, value, _ in found_here(facts, Role.HOST)}
    assert rows["guests"] == "1: practice-vm"
    assert rows["firewall"] == "on"


# the way of a packet


def test_closed_then_open_then_closed(host: PracticeHost, vm: PracticeHost) -> None:
    assert failure(vm) is gate.Dropped
    open_the_port(host)
    assert clients(vm) == [OWN, VM]
    switch(host, RULE, f"|{RULE}")
    assert issubclass(failure(vm), TimeoutError)
    switch(host, f"|{RULE}", RULE)
    assert clients(vm) == [OWN, VM]
    edit(host, NODE_FW, "[RULES]\n\n|GROUP nut_in -i vmbr0\n")
    assert issubclass(failure(vm), TimeoutError)


@pytest.mark.parametrize(
    ("rule", "how"),
    [
        ("IN REJECT -p tcp -dport 3493", ConnectRefused),
        ("IN DROP -p tcp -dport 3493", ConnectTimeout),
        ("IN ACCEPT -source 192.168.1.11 -p tcp -dport 3493", ConnectTimeout),
        ("IN ACCEPT -source 192.168.1.0/24 -dest 192.168.1.107 -p tcp -dport nut", None),
        ("IN ACCEPT -i vmbr1 -p tcp -dport 3493", ConnectTimeout),
    ],
)
def test_the_rule_decides(
    host: PracticeHost, vm: PracticeHost, rule: str, how: type[NutError] | None
) -> None:
    edit(host, NODE_FW, f"[RULES]\n{rule}\n")
    if how is None:
        assert clients(vm) == [OWN, VM]
    else:
        with pytest.raises(how):
            clients(vm)


@pytest.mark.parametrize(
    "change", [(CLUSTER_FW, "[OPTIONS]\nenable: 0\n"), (NODE_FW, "[OPTIONS]\nenable: 0\n")]
)
def test_a_firewall_that_is_off_filters_nothing(
    host: PracticeHost, vm: PracticeHost, change: tuple[str, str]
) -> None:
    edit(host, *change)
    assert clients(vm) == [OWN, VM]


def test_without_the_files_nothing_is_filtered(host: PracticeHost, vm: PracticeHost) -> None:
    host.remove(CLUSTER_FW)
    assert clients(vm) == [OWN, VM]


def test_what_is_dropped_is_waited_for(vm: PracticeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.monotonic()
    failure(vm, 0.15)
    assert 0.15 <= time.monotonic() - begun < 2.0
    waits: list[float] = []
    monkeypatch.setattr(gate, "LONGEST_WAIT", 3.0)
    monkeypatch.setattr(time, "sleep", waits.append)
    failure(vm, 60.0)
    assert max(waits) == 3.0


def test_another_port_is_dropped_before_anything_listens_there(host: PracticeHost, vm: PracticeHost) -> None:
    with pytest.raises(gate.Dropped):
        vm.connect(ADDRESS, 4000, 0.1)
    for port in (22, 8006):  # the person's own rule, and what Proxmox VE opens to the node's own network
        with pytest.raises(ConnectionRefusedError):
            vm.connect(ADDRESS, port, 0.1)
    with pytest.raises(ConnectionRefusedError):
        vm.connect("127.0.0.1", PORT, 0.1)


@pytest.mark.parametrize("address", [OWN, ADDRESS, "pve"])
def test_the_host_always_reaches_itself(host: PracticeHost, address: str) -> None:
    edit(host, NODE_FW, "[RULES]\nIN DROP\n")
    with open_client(host.connect, address, PORT, Limits()) as client:
        assert client.get_var("apc", "ups.status") == "OL"


# the VM's login


def test_the_login_comes_and_goes(host: PracticeHost, vm: PracticeHost) -> None:
    begun = time.monotonic()
    assert clients(host) == [OWN]
    assert clients(host) == [OWN]
    assert time.monotonic() - begun < 2.0  # the VM's attempts hold up nobody
    assert journal(vm).count("connect failed") == 1
    open_the_port(host)
    assert clients(host) == [OWN, VM]
    assert "established" in journal(vm)
    switch(host, RULE, f"|{RULE}")
    assert clients(host) == [OWN, VM]  # who is connected stays so
    systemctl(vm, "restart", "nut-monitor")
    assert clients(host) == [OWN]
    switch(host, f"|{RULE}", RULE)
    assert clients(host) == [OWN, VM]


def test_while_one_waits_others_go_on(
    host: PracticeHost, vm: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[list[str]] = []
    monkeypatch.setattr("nutwizard.engine.practice.world.time.sleep", lambda _: reached.append(clients(host)))
    failure(vm)
    assert reached == [[OWN]]


# which host has which firewall


def test_a_vm_that_is_practised_alone_is_let_in(folder: str) -> None:
    vm = PracticeHost.open(folder, Role.CLIENT)
    try:
        assert clients(vm) == [OWN]
        assert "firewall" not in vm.client_hint()
        host = PracticeHost.open(folder, Role.HOST)
        assert read_policy(host.read(CLUSTER_FW), host.read(HOST_FW)).warnings == []
    finally:
        vm.close()


def test_the_hint_tells_of_a_closed_firewall(host: PracticeHost, vm: PracticeHost) -> None:
    assert "its firewall keeps this VM out" in vm.client_hint()
    open_the_port(host)
    assert "firewall" not in vm.client_hint()


@pytest.mark.parametrize("role", Role)
def test_an_older_host_that_serves_goes_on_letting_its_vm_in(
    host: PracticeHost, vm: PracticeHost, folder: str, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm.close()
    aged(folder)
    machine = again(folder, role, monkeypatch)
    try:
        assert clients(machine) == [OWN, VM]
        assert read_firewall(PracticeHost.open(folder, Role.HOST)) == "on"
    finally:
        machine.close()


def test_an_older_host_that_does_not_serve_is_closed(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PracticeHost.open(folder, Role.HOST)
    aged(folder)
    assert failure(again(folder, Role.CLIENT, monkeypatch)) is gate.Dropped
    parts = {f"{name}{part}" for name in ("host", "vm") for part in ("", ".owners.json", ".units.json")}
    assert set(os.listdir(folder)) == {*parts, ".lock", "practice-machine"}


def test_what_lies_in_an_older_host_is_left_alone(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PracticeHost.open(folder, Role.HOST)
    aged(folder)
    Path(folder, "host/etc/pve/mine").write_text("x")
    assert again(folder, Role.HOST, monkeypatch).names("/etc/pve") == ["mine"]
    assert failure(PracticeHost.open(folder, Role.CLIENT)) is ConnectionRefusedError
