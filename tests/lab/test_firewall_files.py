"""Proxmox VE's firewall with files that a person has made: kept, recognised, and put back on a complaint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .firewalled import (
    ANSWERS,
    CLUSTER,
    NODE_LINES,
    RULE,
    TIMED_OUT,
    Site,
    asks,
    changes,
    set_up,
    site,
    wait_in,
)
from .guided import SAVED
from .lab import SECOND_ADDRESS, VM_ADDRESS
from .node import CLUSTER_FW, HOST_FW, ON
from .wizard import check, host_answers, wizard

pytestmark = pytest.mark.lab

SAMPLES = Path(__file__).parents[1] / "cases/firewall/samples"
OWN_CLUSTER = b"""# the firewall of the house
[OPTIONS]

policy_in: DROP
# on since the move
enable: 1

[ALIASES]

# the desk
desk 192.168.1.50 # my desk

[RULES]

# never from there
IN DROP -source 192.168.1.66 -p tcp -dport 22 -log nolog # no
|IN ACCEPT -source desk -p tcp -dport 8006 -log nolog
"""
OWN_HOST = b"""[OPTIONS]

log_level_in: nolog

[RULES]

IN ACCEPT -source desk -p tcp -dport 9100 -log nolog # metrics
"""
COMPLAINT = (
    "/etc/pve/firewall/cluster.fw (line 15) - errors in rule parameters: IN ACCEPT -source"
    " +k3s_nodes_net0_ips -p tcp -dport 3493 -log nolog # NUT port (nutwizard)\n"
    "  source: no such ipset 'k3s_nodes_net0_ips'\n"
)
OLD_COMPLAINT = "/etc/pve/firewall/cluster.fw (line 3): can't parse option 'policy_inn: DROP'\n"


def test_lines_of_ones_own_stay_byte_for_byte() -> None:
    open_at_once = ANSWERS.replace("enabled: false", "enabled: true")
    with site({CLUSTER_FW: OWN_CLUSTER, HOST_FW: OWN_HOST}, open_at_once) as found:
        host, (vm, outsider) = found.lab.host, found.lab.vms
        wizard(host, "apply", SAVED)
        cluster, node_lines = found.node.files()
        for before, after in ((OWN_CLUSTER, cluster), (OWN_HOST, node_lines)):
            assert {line[0] for line in changes(before, after)} == {"+"}
        assert RULE.rstrip() in cluster.splitlines()
        assert node_lines.index(b"GROUP nut_port_accept_in") < node_lines.index(b"IN ACCEPT -source desk")
        set_up(host, vm, "debiantpl")
        wait_in(found, VM_ADDRESS)
        assert (check(host).code, asks(outsider)) == (0, TIMED_OUT)
        for number in ("2", "1"):
            wizard(host, "undo", number)
        assert found.now == found.before


@pytest.fixture(scope="module")
def clicked() -> Iterator[Site]:
    """The guide's files as made in the web console, its rule off, beside answers that name the client."""
    files = {CLUSTER_FW: (SAMPLES / "cluster.fw").read_bytes(), HOST_FW: (SAMPLES / "host.fw").read_bytes()}
    with site(files) as found:
        wizard(found.lab.host, "apply", SAVED)
        set_up(found.lab.host, found.lab.vm, "debiantpl")
        yield found


def test_what_was_clicked_is_used_as_it_is(clicked: Site) -> None:
    host, vm = clicked.lab.host, clicked.lab.vm
    assert clicked.node.files() == clicked.before[1]
    assert asks(vm) == TIMED_OUT
    wizard(host, "firewall", "enable")
    opened = (SAMPLES / "cluster-on.fw").read_bytes(), clicked.before[1][1]
    assert clicked.node.files() == opened
    wait_in(clicked, VM_ADDRESS)
    assert check(vm).code == 0


def test_a_second_client_is_an_alias_and_an_entry(clicked: Site) -> None:
    host, second, before = clicked.lab.host, clicked.lab.vms[1], clicked.node.files()
    names = f"clients: {{clients: {{debiantpl: {VM_ADDRESS}, second: {SECOND_ADDRESS}}}}}\n"
    host.write("/etc/nutwizard/two.yaml", host_answers() + names, mode=0o600)
    assert asks(second) == TIMED_OUT
    wizard(host, "apply", "/etc/nutwizard/two.yaml")
    cluster, node_lines = clicked.node.files()
    assert changes(before[0], cluster) == [
        f"+ second_net0 {SECOND_ADDRESS} # NUT client (nutwizard)",
        "+ second_net0 # NUT client (nutwizard)",
    ]
    assert node_lines == before[1]
    set_up(host, second, "second")
    wait_in(clicked, VM_ADDRESS, SECOND_ADDRESS)
    assert (check(host).code, check(second).code) == (0, 0)


def test_a_new_complaint_puts_both_files_back() -> None:
    with site({CLUSTER_FW: ON}) as found:
        found.node.complains(of_ours=COMPLAINT)
        done = wizard(found.lab.host, "apply", SAVED, code=1)
        assert found.node.files() == (ON, b"")
        assert not found.lab.host.exists(HOST_FW)
        said = " ".join((done.stdout + done.stderr).split())
        assert "no such ipset 'k3s_nodes_net0_ips'" in said
        assert "It stays." in said
        assert b"LISTEN 0.0.0.0 3493" in found.lab.host.read("/etc/nut/upsd.conf")
        assert found.lab.host.run(["ls", "/etc/pve/priv/lock"]).stdout == ""
        found.node.complains(always=OLD_COMPLAINT)
        wizard(found.lab.host, "apply", SAVED)
        assert found.node.files() == (CLUSTER, NODE_LINES)
