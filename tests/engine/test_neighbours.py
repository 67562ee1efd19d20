"""Addresses of guests whose configuration fixes none: the neighbour table, leases, the guest agent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nutwizard.core.facts import Door, Kind, Lazy
from nutwizard.core.guests import CONFIGURATION, IPAM, LEASE, NEIGHBOURS, Guest, Neighbour, usable
from nutwizard.engine import guests, neighbours
from nutwizard.engine.agent import AgentAsker
from nutwizard.engine.detect import detect
from nutwizard.engine.guests import read_guests
from nutwizard.engine.host import Completed
from nutwizard.engine.leases import read_leases
from nutwizard.engine.machine import LiveHost, OfflineHost
from nutwizard.engine.neighbours import read_neighbours
from tests.engine.test_detect import Silent

CASES = Path(__file__).parents[1] / "cases" / "neighbours"
NOW = datetime(2026, 11, 27, 11, 55, tzinfo=UTC).timestamp()
IP = "/usr/sbin/ip -j -s neigh show"
QM = "/usr/sbin/qm guest cmd"
#: Of the guests in the recordings.
CARD = "bc:24:11:aa:00:0"
ODD_STATES: tuple[Any, ...] = (None, [], [1], [[]], "STALE", ["STALE", "NOARP"], ["PERMANENT"], ["NOARP"])
GUESTS = (
    Guest(100, Kind.VM, "web", mac=CARD + "1", agent=True),
    Guest(101, Kind.VM, "without"),
    Guest(102, Kind.VM, "second", agent=True),
)


class Node(OfflineHost):
    """The files of a folder as a live machine's, at a fixed time; commands answer as told."""

    door = Door.LIVE

    def __init__(self, root: Path, answers: Mapping[str, str | Completed] | None = None) -> None:
        super().__init__(str(root))
        self.answers = dict(answers or {})
        self.ran: list[str] = []

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        assert 0 < timeout <= (20 if "systemctl" in argv[0] else 4)
        self.ran.append(" ".join(argv))
        found = next((answer for start, answer in self.answers.items() if self.ran[-1].startswith(start)), "")
        if isinstance(found, Completed):
            return found
        return Completed(0, found) if found else Completed(-1, err="not there")

    def now(self) -> float:
        return NOW


def put(root: Path, path: str, text: str | bytes) -> None:
    where = root / path.lstrip("/")
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(text.encode() if isinstance(text, str) else text)


def recorded(name: str) -> str:
    return (CASES / name).read_text()


def node(root: Path, table: str | Completed = "", **files: str) -> Node:
    """A node with the program ip. `files`: leases by the server's name."""
    put(root, "/usr/sbin/ip", "")
    places = {
        "dnsmasq": "/var/lib/misc/dnsmasq.leases",
        "zone": "/var/lib/misc/dnsmasq.zint.leases",
        "other": "/var/lib/dnsmasq/any.leases",
        "dhcpd": "/var/lib/dhcp/dhcpd.leases",
        "ipam": "/etc/pve/sdn/pve-ipam-state.json",
        "old_ipam": "/etc/pve/priv/ipam.db",
    }
    for name, text in files.items():
        put(root, places[name], text)
    return Node(root, {IP: table} if table else {})


def row(address: str, number: int, state: str = "STALE", **more: Any) -> dict[str, Any]:
    told = {"dst": address, "dev": "vmbr0", "lladdr": f"{CARD}{number}", "confirmed": 60, "state": [state]}
    return told | more


def vm(root: Path, number: int, card: int, bridge: str = "vmbr0", more: str = "") -> None:
    text = f"name: g{number}\nnet0: virtio={CARD.upper()}{card},bridge={bridge},firewall=1\n{more}"
    put(root, f"/etc/pve/qemu-server/{number}.conf", text)


def guests_of(host: Node) -> list[tuple[int, tuple[str, ...], str]]:
    found = read_guests(host, lambda: read_neighbours(host))
    return [(guest.id, guest.addresses, guest.known_from) for guest in found]


def test_the_neighbour_table_as_ip_prints_it(tmp_path: Path) -> None:
    host = node(tmp_path, recorded("neigh.json"))
    assert read_neighbours(host) == (
        Neighbour("192.168.1.20", CARD + "1", "vmbr0", NEIGHBOURS),
        Neighbour("fd00::20", CARD + "1", "vmbr0", NEIGHBOURS),
        Neighbour("10.5.0.9", CARD + "8", "vmbr0.5", NEIGHBOURS),
        Neighbour("192.168.1.53", CARD + "1", "vmbr0", NEIGHBOURS),
        Neighbour("192.168.1.52", CARD + "7", "vmbr0", NEIGHBOURS),
        Neighbour("fd00::1", CARD + "9", "vmbr0", NEIGHBOURS),
    )
    assert host.ran == [IP]


@pytest.mark.parametrize(
    "answer",
    [
        Completed(-1, timed_out=True),
        Completed(1, "[]", "Object neigh is unknown"),
        "nonsense",
        '{"dst": "192.168.1.2"}',
        json.dumps([None, 7, [], {}, row("192.168.1.2", 1, dev="../x"), row("192.168.1.2", 1, dev=None)]),
        json.dumps([row("192.168.1.2", 1) | {"state": each} for each in ODD_STATES]),
        json.dumps([row("192.168.1.2", 1, lladdr=each) for each in (None, 1, "", "ab:cd", "1.2.3.4")]),
        json.dumps([row(each, 1) for each in ("169.254.1.1", "fe80::1", "ff02::1", "0.0.0.0", "::1", "x")]),
        json.dumps([row("192.168.1.2", 1, dev="eno1"), row("192.168.1.2", 1, dev="fwbr100i0")]),
    ],
    ids=lambda _: "answer",
)
def test_what_says_nothing_is_passed_over(answer: str | Completed, tmp_path: Path) -> None:
    assert read_neighbours(node(tmp_path, answer)) == ()


def test_without_ip_and_below_another_root_nothing_is_asked(tmp_path: Path) -> None:
    bare = Node(tmp_path, {IP: recorded("neigh.json")})
    assert read_neighbours(bare) == ()
    assert bare.ran == []
    node(tmp_path)
    assert read_neighbours(OfflineHost(str(tmp_path))) == ()
    put(tmp_path / "older", "/sbin/ip", "")
    assert read_neighbours(old := Node(tmp_path / "older", {"/sbin/ip": recorded("neigh.json")}))
    assert old.ran == [IP.replace("/usr", "")]


def test_the_table_of_this_machine_can_be_read() -> None:
    assert all(usable(each.address) == each.address for each in read_neighbours(LiveHost()))


def test_a_bridge_is_known_by_the_kernel_or_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "sys/class/net/vnet1/bridge").mkdir(parents=True)
    names = ["vnet1", "vnet1.7", "vmbr12", "vmbr0v5", "vmbr", "eth0.1"]
    rows = [row(f"192.168.1.{number}", 1, dev=name) for number, name in enumerate(names, start=1)]
    found = read_neighbours(node(tmp_path, json.dumps(rows)))
    assert [each.interface for each in found] == ["vnet1", "vnet1.7", "vmbr12"]
    (tmp_path / "sys/class/net/vmbr0v5/bridge").mkdir(parents=True)
    assert "vmbr0v5" in [each.interface for each in read_neighbours(node(tmp_path, json.dumps(rows)))]


def test_leases_as_the_servers_write_them(tmp_path: Path) -> None:
    files = {name: recorded(f"{name}.leases") for name in ("dnsmasq", "dhcpd")}
    assert read_leases(node(tmp_path, **files, ipam=recorded("ipam.json"))) == (
        Neighbour("192.168.1.77", CARD + "2", "", LEASE),
        Neighbour("192.168.1.113", CARD + "1", "", LEASE),
        Neighbour("192.168.1.100", CARD + "1", "", LEASE),
        Neighbour("192.168.1.101", CARD + "2", "", LEASE),
        Neighbour("10.10.0.20", CARD + "4", "", IPAM),
        Neighbour("192.168.1.20", CARD + "5", "", IPAM),
        Neighbour("fd10::20", CARD + "4", "", IPAM),
    )


def test_every_file_of_dnsmasq_is_read_and_the_old_ipam_only_alone(tmp_path: Path) -> None:
    line = f"0 {CARD.upper()}1 10.0.0.%d * *\n"
    host = node(tmp_path, dnsmasq=line % 1, zone=line % 2, other=line % 3, old_ipam=recorded("ipam.json"))
    put(tmp_path, "/var/lib/misc/dnsmasq.leases.bak", line % 4)
    assert [each.address for each in read_leases(host) if each.known_from == LEASE] == [
        "10.0.0.1", "10.0.0.2", "10.0.0.3",
    ]  # fmt: skip
    assert IPAM in [each.known_from for each in read_leases(host)]
    put(tmp_path, "/etc/pve/sdn/pve-ipam-state.json", "{}")
    assert IPAM not in [each.known_from for each in read_leases(host)]


@pytest.mark.parametrize(
    ("server", "text"),
    [
        ("dnsmasq", f"{int(NOW) - 1} {CARD}1 10.0.0.1 * *\n"),
        ("dnsmasq", f"0 06-{CARD}1 10.0.0.1 * *\n0 {CARD}1\n\n0 {CARD}1 web * *\nx {CARD}1 10.0.0.1 * *\n"),
        ("dnsmasq", f"{'9' * 20} {CARD}1 10.0.0.1 * *\n0 {CARD}1 10.0.0.1 \n\0\x1b[31m\n"),
        ("dhcpd", "}\nlease {\nhardware ethernet;\n binding state active;\n}\n"),
        ("dhcpd", "lease 10.0.0.1 {\n binding state active;\n hardware ethernet;\n}\n"),
        ("dhcpd", f"lease 10.0.0.1 {{\n binding state active;\n hardware token-ring {CARD}1;\n}}\n"),
        ("dhcpd", f"lease 10.0.0.1 {{\n binding state expired;\n hardware ethernet {CARD}1;\n}}\n"),
        ("dhcpd", f"lease 10.0.0.1 {{\n}}\nbinding state active;\nhardware ethernet {CARD}1;\n"),
        ("ipam", "nonsense"),
        ("ipam", '{"zones":[]}'),
        ("ipam", '{"zones":{"z":{"subnets":{"s":{"ips":[1]},"t":7,"u":{"ips":{"10.0.0.1":8}}}},"y":1}}'),
        ("ipam", '{"zones":{"z":{"subnets":{"s":{"ips":{"10.0.0.1":{"mac":5}}}}}}}'),
        ("ipam", '{"zones":{"z":{"subnets":{"s":{"ips":{"x":{"mac":"bc:24:11:aa:00:01"}}}}}}}'),
    ],
    ids=lambda word: word if word.isalpha() else "",
)
def test_a_lease_that_is_over_or_odd_is_none(server: str, text: str, tmp_path: Path) -> None:
    assert read_leases(node(tmp_path, **{server: text})) == ()


def test_what_is_large_or_deep_is_passed_over_at_once(tmp_path: Path) -> None:
    line = f"0 {CARD}1 10.0.0.1 * *\n"
    deep = "[" * 100_000
    host = node(
        tmp_path, deep, dnsmasq=line * 40_000, dhcpd="lease 10.0.0.1 {\n" * 60_000, ipam='{"zones":' * 100_000
    )
    host.answers[QM] = deep
    assert read_neighbours(host) == ()
    assert AgentAsker(host, Lazy.of(GUESTS))(100) == ()
    put(tmp_path, "/var/lib/misc/dnsmasq.leases", line * 30_000)
    assert len(read_neighbours(host)) == 1


@pytest.mark.parametrize(
    ("ends", "lasts"),
    [
        ("ends never;", True),
        ("", True),
        ("ends 5 2026/11/27 11:55:01;", True),
        ("ends 5 2026/11/27 11:54:59;", False),
        (f"ends epoch {int(NOW) + 1}; # Fri Nov 27", True),
        (f"ends epoch {int(NOW) - 1};", False),
        ("ends epoch;", False),
        ("ends soon;", False),
        ("ends 5 2026/13/27 11:55:01;", False),
    ],
)
def test_how_long_a_lease_of_dhcpd_lasts(ends: str, lasts: bool, tmp_path: Path) -> None:
    text = f"lease 10.0.0.1 {{\n  {ends}\n  binding state active;\n  hardware ethernet {CARD}1;\n}}\n"
    assert bool(read_leases(node(tmp_path, dhcpd=text))) is lasts


def test_files_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    host = node(tmp_path, dhcpd=recorded("dhcpd.leases"))
    (tmp_path / "var/lib/misc/dnsmasq.leases").mkdir(parents=True)
    (tmp_path / "var/lib/dnsmasq").symlink_to("dnsmasq")
    assert {each.address for each in read_leases(host)} == {"192.168.1.100", "192.168.1.101"}

    class Closed(Node):
        def read(self, path: str, limit: int = 0) -> bytes:
            raise PermissionError(path)

        def names(self, path: str) -> list[str]:
            raise PermissionError(path)

        def stat(self, path: str, *, follow: bool = True) -> None:
            raise PermissionError(path)

    assert read_neighbours(Closed(tmp_path, {IP: recorded("neigh.json")})) == ()


def test_guests_get_what_is_seen_at_their_card(tmp_path: Path) -> None:
    vm(tmp_path, 100, 1)
    vm(tmp_path, 101, 2)
    vm(tmp_path, 102, 8)  # seen in a VLAN of the bridge
    vm(tmp_path, 103, 7, bridge="vmbr1")  # seen on another bridge
    vm(tmp_path, 104, 4, bridge="vnet1")
    vm(tmp_path, 105, 5)  # what is kept for it, another has
    vm(tmp_path, 106, 9, more="ipconfig0: ip=10.0.0.6/24\n")
    card = f"name=eth0,bridge=vmbr0,hwaddr={CARD.upper()}7,ip=dhcp"
    put(tmp_path, "/etc/pve/lxc/107.conf", f"hostname: ct\nnet0: {card}\n")
    host = node(
        tmp_path, recorded("neigh.json"), dnsmasq=recorded("dnsmasq.leases"), ipam=recorded("ipam.json")
    )
    assert guests_of(host) == [
        (100, ("192.168.1.20", "fd00::20"), NEIGHBOURS),
        (101, ("192.168.1.77",), LEASE),
        (102, ("10.5.0.9",), NEIGHBOURS),
        (103, (), ""),
        (104, ("10.10.0.20", "fd10::20"), IPAM),
        (105, (), ""),
        (106, ("10.0.0.6",), CONFIGURATION),
        (107, ("192.168.1.52",), NEIGHBOURS),
    ]
    assert host.ran == [IP]


def test_where_every_address_is_fixed_nobody_is_asked(tmp_path: Path) -> None:
    vm(tmp_path, 100, 1, more="ipconfig0: ip=10.0.0.6/24\n")
    put(tmp_path, "/etc/pve/qemu-server/101.conf", "name: without a card\n")
    host = node(tmp_path, recorded("neigh.json"))
    assert [guest.addresses for guest in read_guests(host, lambda: read_neighbours(host))] == [
        ("10.0.0.6",),
        (),
    ]
    assert host.ran == []


FROM_TABLE: dict[str, tuple[list[Any], str, tuple[str, ...]]] = {
    "confirmed later": ([row("10.0.0.1", 1), row("10.0.0.2", 1, confirmed=59)], "", ("10.0.0.2",)),
    "no age": ([row("10.0.0.1", 1, confirmed=None), row("10.0.0.2", 1)], "", ("10.0.0.2",)),
    "leased too": ([row("10.0.0.1", 1, confirmed=1), row("10.0.0.2", 1)], "10.0.0.2", ("10.0.0.2",)),
    "now": ([row("10.0.0.1", 1, "REACHABLE"), row("10.0.0.2", 1)], "10.0.0.2", ("10.0.0.1",)),
    "two of IPv6": (
        [row(f"fd00::{number}", 1, confirmed=9 - number) for number in (1, 2, 3)],
        "",
        ("fd00::3", "fd00::2"),
    ),
    "capitals": ([row("10.0.0.1", 1, lladdr=CARD.upper() + "1")], "", ("10.0.0.1",)),
    "another's by its configuration": ([row("10.0.0.9", 1)], "", ()),
}


@pytest.mark.parametrize("why", FROM_TABLE)
def test_which_address_counts(why: str, tmp_path: Path) -> None:
    rows, lease, addresses = FROM_TABLE[why]
    vm(tmp_path, 100, 1)
    vm(tmp_path, 101, 3, more="ipconfig0: ip=10.0.0.9/24\n")
    given = f"0 {CARD}1 {lease} * *\n" if lease else ""
    found = guests_of(node(tmp_path, json.dumps(rows), dnsmasq=given))
    assert found[0] == (100, addresses, NEIGHBOURS if addresses else "")


def test_each_family_comes_from_where_it_is_known(tmp_path: Path) -> None:
    vm(tmp_path, 100, 1)
    host = node(tmp_path, json.dumps([row("fd00::1", 1)]), dnsmasq=f"0 {CARD}1 10.0.0.2 * *\n")
    assert guests_of(host) == [(100, ("10.0.0.2", "fd00::1"), f"{LEASE} and {NEIGHBOURS}")]


def test_two_guests_with_one_card_do_not_share_an_address(tmp_path: Path) -> None:
    vm(tmp_path, 100, 1)
    vm(tmp_path, 101, 1)
    rows = [row("10.0.0.1", 1, "REACHABLE"), row("10.0.0.2", 1)]
    found = guests_of(node(tmp_path, json.dumps(rows)))
    assert [addresses for _, addresses, _ in found] == [("10.0.0.1",), ("10.0.0.2",)]
    rows = [row("10.0.0.1", 1), row("10.0.0.1", 3, "REACHABLE", dev="vmbr1")]
    assert [each.mac for each in read_neighbours(node(tmp_path, json.dumps(rows)))] == [CARD + "3"]


def test_many_guests_and_many_neighbours(tmp_path: Path) -> None:
    macs = [f"bc:24:11:00:{n >> 8:02x}:{n & 255:02x}" for n in range(2 * neighbours.MOST)]
    for number, mac in enumerate(macs[: guests.MOST], start=100):
        text = f"net0: virtio={mac.upper()},bridge=vmbr0\n"
        put(tmp_path, f"/etc/pve/qemu-server/{number}.conf", text)
    rows = [row(f"10.0.{n >> 8}.{n & 255}", 0, lladdr=mac) for n, mac in enumerate(macs, start=1)]
    host = node(tmp_path, json.dumps(rows))
    found = guests_of(host)
    assert len(found) == guests.MOST
    assert all(addresses for _, addresses, _ in found)
    assert len(read_neighbours(host)) == neighbours.MOST
    assert host.ran == [IP] * 2


def test_the_agent_is_asked_once_and_only_where_it_is_on(tmp_path: Path) -> None:
    host = Node(tmp_path, {QM: recorded("agent.json")})
    ask = AgentAsker(host, Lazy.of(GUESTS))
    assert ask(100) == ask(100) == ("192.168.1.20", "2001:db8::20", "fd00::20", "172.17.0.1")
    assert ask(101) == ask(999) == ()
    assert host.ran == [f"{QM} 100 network-get-interfaces"]
    assert ask(102) == ("172.17.0.1", "192.168.1.20", "2001:db8::20", "fd00::20")


@pytest.mark.parametrize(
    "answer",
    [
        Completed(-1, timed_out=True),
        Completed(255, "", "QEMU guest agent is not running"),
        "nonsense",
        "{}",
        '[1, {}, {"ip-addresses": 7}, {"ip-addresses": [1, {"ip-address": 5}, {"ip-address": "fe80::1%5"}]}]',
    ],
    ids=lambda _: "answer",
)
def test_an_agent_that_tells_nothing_is_not_asked_again(answer: str | Completed, tmp_path: Path) -> None:
    host = Node(tmp_path, {QM: answer})
    ask = AgentAsker(host, Lazy.of(GUESTS))
    assert ask(100) == ask(100) == ()
    assert len(host.ran) == 1


def test_an_agent_may_tell_of_many_networks(tmp_path: Path) -> None:
    cards = [
        {"ip-addresses": [{"ip-address": f"172.17.{n}.1"}, {"ip-address": "172.17.0.1"}]} for n in range(99)
    ]
    assert AgentAsker(Node(tmp_path, {QM: json.dumps(cards)}), Lazy.of(GUESTS))(100) == tuple(
        f"172.17.{n}.1" for n in range(8)
    )


@pytest.mark.parametrize(
    ("value", "on"),
    [
        ("1", True),
        ("enabled=1,fstrim_cloned_disks=1", True),
        ("1,type=virtio", True),
        ("type=isa,enabled=1", True),
        ("yes", True),
        ("0", False),
        ("enabled=0", False),
        ("type=isa", False),
        ("", False),
    ],
)
def test_whether_a_configuration_has_the_agent(value: str, on: bool, tmp_path: Path) -> None:
    vm(tmp_path, 100, 1, more=f"agent: {value}\n")
    put(tmp_path, "/etc/pve/lxc/101.conf", f"agent: {value}\n")
    assert [guest.agent for guest in read_guests(Node(tmp_path))] == [on, False]


def test_facts_ask_the_table_once_and_the_agent_not_at_all(tmp_path: Path) -> None:
    vm(tmp_path, 100, 1, more="agent: 1\n")
    host = node(tmp_path, recorded("neigh.json"))
    host.answers[QM] = recorded("agent.json")
    facts = detect(host, Silent(Kind.PVE), None, (), frozenset())
    host.ran.clear()
    assert facts.guests()[0].addresses == ("192.168.1.20", "fd00::20")
    assert len(facts.neighbours()) == 6
    assert facts.guests()[0].mac == CARD + "1"
    assert host.ran == [IP]
    assert facts.agent(100)[0] == "192.168.1.20"
    offline = detect(OfflineHost(str(tmp_path)), Silent(Kind.PVE), None, (), frozenset())
    assert (offline.neighbours(), offline.agent(100), offline.guests()[0].addresses) == ((), (), ())
