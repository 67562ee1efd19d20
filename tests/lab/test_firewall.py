"""Proxmox VE's firewall on real packets: the guide's part, from closed to open, and all of it taken back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .firewalled import (
    ANSWERS,
    CLUSTER,
    NODE_LINES,
    TIMED_OUT,
    Site,
    asks,
    changes,
    explained,
    set_up,
    site,
    wait_in,
)
from .guided import SAVED
from .lab import SECOND_ADDRESS, VM_ADDRESS
from .machine import wait_until
from .node import CLUSTER_FW, ON, TAKES
from .wizard import CHECK_LIMIT, check, wizard

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def closed() -> Iterator[Site]:
    """The guide's start: the firewall is on and says nothing. Applied, in the VM too; the rule is off."""
    with site({CLUSTER_FW: ON}) as found:
        wizard(found.lab.host, "apply", SAVED)
        set_up(found.lab.host, found.lab.vm, "debiantpl")
        yield found


def test_the_files_are_canonical(closed: Site) -> None:
    assert closed.node.files() == (CLUSTER, NODE_LINES)
    said = wizard(closed.lab.host, "plan", SAVED).stdout
    assert said.startswith("Nothing to do: everything is in place.\n")
    assert closed.lab.host.run(["ls", "/etc/pve/priv/lock"]).stdout == ""


def test_a_rule_that_is_off_is_a_timeout(closed: Site) -> None:
    host, vm = closed.lab.host, closed.lab.vm
    found = check(vm)
    assert (found.code, set(found.broken())) == (4, {"firewall"})
    assert found.broken()["firewall"][0].startswith("timed out")
    assert found.seconds < CHECK_LIMIT
    assert closed.let_in() == {"127.0.0.1"}
    assert asks(vm) == TIMED_OUT
    found = check(host)
    assert (found.code, set(found.broken())) == (4, {"firewall"})
    assert found.broken()["firewall"][1] == "nutwizard firewall enable"
    assert explained(host, VM_ADDRESS) == 4


def test_enable_changes_one_character_and_lets_the_vm_in(closed: Site) -> None:
    host, (vm, outsider) = closed.lab.host, closed.lab.vms
    wizard(host, "firewall", "enable")
    assert closed.node.files() == (CLUSTER.replace(b"|", b""), NODE_LINES)
    assert b"\n  enabled: yes\n" in host.read(SAVED)
    wait_until(lambda: check(vm).code == 0 or None, TAKES)
    wait_in(closed, VM_ADDRESS)
    for machine in (host, vm):
        found = check(machine)
        assert (found.code, found.having("broken")) == (0, set())
    (link,) = [link for link in check(host).links if link["subject"] == f"client debiantpl ({VM_ADDRESS})"]
    assert (link["status"], link["evidence"]) == ("proven", f"upsd lists {VM_ADDRESS}")
    assert explained(host, VM_ADDRESS) == 0
    assert explained(host, SECOND_ADDRESS) == 4
    assert (asks(vm), asks(outsider)) == ("OL", TIMED_OUT)


def test_a_replay_never_closes_the_port(closed: Site) -> None:
    host, opened = closed.lab.host, closed.node.files()
    host.write("/root/closing.yaml", ANSWERS, mode=0o600)
    host.write("/root/client.password", host.read("/etc/nutwizard/client.password"), mode=0o600)
    said = wizard(host, "apply", "/root/closing.yaml").stdout
    assert "Note: firewall.enabled: no of the answers file is not followed: the rule is on." in said
    assert closed.node.files() == opened


def test_disable_closes_for_new_connections(closed: Site) -> None:
    host, vm = closed.lab.host, closed.lab.vm
    answers = host.read(SAVED)
    wizard(host, "firewall", "disable")
    assert closed.node.files() == (CLUSTER, NODE_LINES)
    assert changes(answers, host.read(SAVED)) == ["-   enabled: yes", "+   enabled: no"]
    closed.node.wait_loaded()
    assert asks(vm) == TIMED_OUT
    assert closed.let_in() == {"127.0.0.1", VM_ADDRESS}  # who is in stays in


def test_check_fix_switches_the_rule_on(closed: Site) -> None:
    host, vm = closed.lab.host, closed.lab.vm
    assert vm.systemctl("stop", "nut-monitor").returncode == 0
    wait_in(closed)
    assert set(check(host).broken()) == {"firewall"}
    wizard(host, "check", "--fix", "--yes")
    assert closed.node.files() == (CLUSTER.replace(b"|", b""), NODE_LINES)
    assert b"\n  enabled: yes\n" in host.read(SAVED)
    wait_until(lambda: asks(vm) == "OL" or None, TAKES)
    wizard(vm, "check", "--fix", "--yes")  # starts upsmon
    wait_in(closed, VM_ADDRESS)
    assert [check(machine).code for machine in (host, vm)] == [0, 0]


def test_undo_in_reverse_restores_every_byte(closed: Site) -> None:
    history = wizard(closed.lab.host, "history").stdout
    ids = re.findall(r"(?m)^ *(\d+)  .*  committed  ", history)
    for number in reversed(ids):
        wizard(closed.lab.host, "undo", number)
    assert closed.now == closed.before
