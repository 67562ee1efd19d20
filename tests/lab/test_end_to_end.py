"""The guide on real NUT: host and VM, from the earlier guide's set-up to a login that is proven, and back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .lab import HOST_ADDRESS, VM_ADDRESS, Lab
from .machine import Machine, wait_until
from .startpoints import CLIENT_FILES, standalone_files, stock_files
from .wizard import (
    CHECK_LIMIT,
    CLIENT_ANSWERS,
    HOST_ANSWERS,
    PASSWORD,
    apply_client,
    apply_host,
    check,
    client_answers,
    clients,
    edited,
    host_answers,
    quick,
    status,
    stopped,
    tree,
    wait_clients,
    wizard,
)

pytestmark = pytest.mark.lab

BOTH_LINKS = {"ups", "driver", "upsd", "login", "upsmon", "events", "shutdown", "boot", "stale"}
HOST_LINKS, CLIENT_LINKS = BOTH_LINKS | {"poweroff"}, BOTH_LINKS | {"firewall"}
UPSMON_CONF, UPSSCHED_CONF = "/etc/nut/upsmon.conf", "/etc/nut/upssched.conf"
#: Who runs the script, and what it tells: both through a program that the script calls where it exists.
NOTIFY = '#!/bin/sh\nlogger -t notify "$(id -un): $1"\n'


@dataclass(frozen=True)
class Served:
    """Two machines set up with nutwizard, and what they were before."""

    lab: Lab
    host_before: list[str]
    vm_before: list[str]


@pytest.fixture(scope="module")
def standalone() -> Iterator[Served]:
    stock = quick(stock_files())
    with Lab(standalone_files(stock), {name: stock[name] for name in CLIENT_FILES}) as lab:
        assert lab.host.systemctl("start", "nut.target").returncode == 0
        for machine in (lab.host, lab.vm):
            machine.write("/usr/local/bin/notify-send-all", NOTIFY, mode=0o755)
        served = Served(lab, tree(lab.host), tree(lab.vm))
        apply_host(lab.host, host_answers())
        apply_client(lab, client_answers())
        yield served


@pytest.fixture(scope="module")
def from_stock() -> Iterator[Served]:
    stock = quick(stock_files())
    with Lab(stock, {name: stock[name] for name in CLIENT_FILES}) as lab:
        served = Served(lab, tree(lab.host), tree(lab.vm))
        apply_host(lab.host, host_answers())
        apply_client(lab, client_answers())
        yield served


def proves_itself(lab: Lab) -> None:
    """Daemons run, both are logged in, and the check on either side finds every link."""
    assert status(lab.vm, f"apc@{HOST_ADDRESS}") == "OL"
    assert clients(lab.host) == {"127.0.0.1", VM_ADDRESS}
    for machine, ids in ((lab.host, HOST_LINKS), (lab.vm, CLIENT_LINKS)):
        found = check(machine)
        assert (found.code, found.having("proven"), {link["id"] for link in found.links}) == (0, ids, ids)
        assert found.seconds < CHECK_LIMIT
        shown = wizard(machine, "check").stdout
        assert shown.startswith("[ups]---[driver]---[upsd]---")
        asked = [link for link in found.links if link["step"] != "outside"]  # what nobody has answered here
        assert shown.count("\nproven ") == len(asked)
        short = [link for link in asked if not link["values"]]
        assert [
            link for link in short if f"\nproven    {link['subject']}: {link['evidence']}\n" not in shown
        ] == []


def applies_once(machine: Machine, answers: str, units: tuple[str, ...]) -> None:
    """A second plan is empty, and a second apply touches neither files nor daemons."""
    before = tree(machine), [machine.properties(unit)["MainPID"] for unit in units]
    assert json.loads(wizard(machine, "plan", answers, "--json").stdout)["empty"] is True
    assert wizard(machine, "apply", answers).stdout == "Nothing to do: everything is in place.\n"
    assert (tree(machine), [machine.properties(unit)["MainPID"] for unit in units]) == before


def test_from_the_standalone_set_up_every_link_is_proven(standalone: Served) -> None:
    proves_itself(standalone.lab)


def test_applying_twice_does_nothing(standalone: Served) -> None:
    applies_once(standalone.lab.host, HOST_ANSWERS, ("nut-driver@apc", "nut-server", "nut-monitor"))
    applies_once(standalone.lab.vm, CLIENT_ANSWERS, ("nut-monitor",))


def test_a_wrong_password_is_denied(standalone: Served) -> None:
    lab = standalone.lab
    with edited(lab.vm, UPSMON_CONF, r"(upsmonclient) \S+", r"\1 wr0ng"):
        found = broken_one(lab.vm, "login")
    assert found == (
        "denied: user, password or role",
        "Run nutwizard check on the host: it says which. Or write both ends from one file.",
    )


@pytest.mark.parametrize(
    ("pattern", "new", "cause"),
    [
        (
            r"upsmon (\S+) master",
            "upsmon wr0ng master",
            "the password of upsmon in upsmon.conf is not the one",
        ),
        (r"upsmon (\S+) master", r"UPSMON \1 master", "upsd.users has no user UPSMON"),
        (
            r"upsmon \S+ master",
            "upsadmin 4dm1n_p4sSw0rD master",
            "upsadmin has no upsmon right in upsd.users",
        ),
    ],
)
def test_the_host_tells_which_of_them_it_is(standalone: Served, pattern: str, new: str, cause: str) -> None:
    host = standalone.lab.host
    with edited(host, UPSMON_CONF, pattern, new):
        found = broken_one(host, "login")
    assert found[0].startswith(cause)
    assert found[1] == "nutwizard step monitor"


def test_a_stopped_server_refuses(standalone: Served) -> None:
    lab = standalone.lab
    with stopped(lab.host, "nut-server"):
        cause, fix = broken_one(lab.vm, "upsd")
        on_host = check(lab.host)
    assert (cause, fix) == (
        "refused: upsd is down, or listens on loopback only",
        "Run on the host: nutwizard check",
    )
    assert on_host.code == 4
    assert on_host.broken()["upsd"] == (
        "refused: upsd does not run, or not on this address",
        "See why: journalctl -u nut-server; then: nutwizard step services",
    )
    wait_clients(lab)


def test_a_wrong_ups_name_is_told_with_the_right_one(standalone: Served) -> None:
    vm = standalone.lab.vm
    with edited(vm, UPSMON_CONF, "^MONITOR apc@", "MONITOR eaton@"):
        found = check(vm)
    assert (found.code, set(found.broken())) == (4, {"ups", "login", "upsmon", "events"})
    assert {found.broken()[id_][0] for id_ in ("ups", "login", "upsmon")} == {"unknown UPS"}
    assert found.rules() == {"NW13"}  # the AT lines are for the right one
    (ups,) = (link for link in found.links if link["id"] == "ups")
    assert ups["evidence"].endswith("the server has apc")
    assert ups["fix"] == "Take one of the names that the server has: nutwizard step monitor"


def test_a_stopped_driver_is_told_from_a_stopped_server(standalone: Served) -> None:
    lab = standalone.lab
    with stopped(lab.host, "nut-driver@apc"):
        cause, fix = broken_one(lab.vm, "driver")
        on_host = check(lab.host)
    assert cause == "the driver is not connected"
    assert "systemctl status 'nut-driver@*'" in fix
    assert (on_host.code, on_host.broken()["driver"][0]) == (4, cause)
    wait_until(lambda: status(lab.vm, f"apc@{HOST_ADDRESS}") == "OL" or None, 15.0)


def test_a_name_without_an_address_is_not_a_firewall(standalone: Served) -> None:
    vm, nowhere = standalone.lab.vm, "apc@pve.nowhere.example"
    with (
        edited(vm, UPSMON_CONF, f"^MONITOR apc@{HOST_ADDRESS}", f"MONITOR {nowhere}"),
        edited(vm, UPSSCHED_CONF, rf"^(AT \S+) apc@{HOST_ADDRESS}", rf"\1 {nowhere}"),
    ):
        cause, fix = broken_one(vm, "firewall")
    assert (cause, fix) == (
        "the name does not resolve",
        "Use the server's address in place of its name, or add it to /etc/hosts.",
    )


def broken_one(machine: Machine, id_: str) -> tuple[str, str]:
    """Cause and fix of the only link that the check finds broken; it ends with 4, and soon."""
    found = check(machine)
    assert (found.code, list(found.broken())) == (4, [id_])
    assert found.seconds < CHECK_LIMIT
    told = wizard(machine, "check", code=4).stdout
    cause, fix = found.broken()[id_]
    assert cause in told
    assert fix in told
    return cause, fix


def test_on_battery_reaches_the_script_as_user_nut_on_both(standalone: Served) -> None:
    lab = standalone.lab
    begin = time.time()
    lab.host.ups("OB DISCHRG", charge=70)
    for machine, ups in ((lab.host, "apc@localhost"), (lab.vm, f"apc@{HOST_ADDRESS}")):
        told = f"{ups}, [OB DISCHRG]:70% - WARNING - Power failure. Now running on battery."
        assert machine.wait_log(told, since=begin).tag == "upssched-cmd"
        machine.wait_log(f"nut: {told}", since=begin)
    lab.host.ups("OL", charge=100)
    for machine in (lab.host, lab.vm):
        machine.wait_log("INFO - Power supply is back online.", since=begin)


def test_another_name_and_another_port_go_everywhere(standalone: Served) -> None:
    lab = standalone.lab
    apply_host(lab.host, host_answers("eaton"))
    assert check(lab.host).having("proven") == HOST_LINKS
    assert lab.host.properties("nut-driver@eaton")["ActiveState"] == "active"
    assert lab.host.properties("nut-driver@apc")["ActiveState"] == "inactive"
    assert check(lab.vm).broken()["ups"][0] == "unknown UPS"
    apply_host(lab.host, host_answers("eaton", port=3494))
    apply_client(lab, client_answers("eaton", port=3494))
    wait_clients(lab, "eaton@localhost:3494")
    for machine, system in ((lab.host, "eaton@localhost:3494"), (lab.vm, f"eaton@{HOST_ADDRESS}:3494")):
        found = check(machine)
        assert (found.code, found.broken()) == (0, {})
        (monitor,) = lines(machine, UPSMON_CONF, "MONITOR")
        assert monitor.split()[1] == system
        assert {line.split()[2] for line in lines(machine, UPSSCHED_CONF, "AT")} == {system}
        assert status(machine, system) == "OL"
        wizard(machine, "plan", HOST_ANSWERS if machine is lab.host else CLIENT_ANSWERS)


def lines(machine: Machine, path: str, word: str) -> list[str]:
    return [line for line in machine.read(path).decode().splitlines() if line.split()[:1] == [word]]


def test_undo_is_refused_with_a_diff_after_a_change_by_hand(standalone: Served) -> None:
    vm = standalone.lab.vm
    with edited(vm, UPSMON_CONF, "^FINALDELAY 1$", "FINALDELAY 2"):
        before = tree(vm)
        done = wizard(vm, "undo", "1", code=1)
        assert tree(vm) == before
    assert f"{UPSMON_CONF} was changed since:" in done.stderr
    assert "\n-FINALDELAY 1\n+FINALDELAY 2\n" in done.stderr
    assert vm.read(PASSWORD).decode().strip() not in done.stdout + done.stderr


def test_undo_brings_everything_back_on_both(standalone: Served) -> None:
    lab = standalone.lab
    for machine, before, changes in (
        (lab.vm, standalone.vm_before, "transactions 2, 1"),
        (lab.host, standalone.host_before, "transactions 3, 2, 1"),
    ):
        done = wizard(machine, "undo", "1")
        assert changes in done.stdout
        assert tree(machine) == before
    wait_until(lambda: clients(lab.host) == {"127.0.0.1"} or None, 10.0)
    assert status(lab.host, "apc@localhost") == "OL"
    assert lab.host.properties("nut-driver@eaton")["ActiveState"] == "inactive"
    assert "refused" in lab.vm.run(["upsc", f"apc@{HOST_ADDRESS}"]).stderr


def test_from_debians_stock_files_every_link_is_proven(from_stock: Served) -> None:
    proves_itself(from_stock.lab)
    applies_once(from_stock.lab.host, HOST_ANSWERS, ("nut-driver@apc", "nut-server", "nut-monitor"))
    applies_once(from_stock.lab.vm, CLIENT_ANSWERS, ("nut-monitor",))


def test_a_forced_shutdown_runs_both_commands_the_clients_first(from_stock: Served) -> None:
    lab = from_stock.lab
    lab.host.run(["upsmon", "-c", "fsd"], check=True)
    client, server = (machine.wait_log("would run: shutdown -h +0") for machine in (lab.vm, lab.host))
    assert client.at < server.at
    assert lab.host.exists("/etc/killpower")


def test_undo_ends_at_debians_stock_files_with_no_unit_left_behind(from_stock: Served) -> None:
    host = from_stock.lab.host
    # upsd still holds the order of the test before, and a restart ends it, as the refusal says.
    assert "systemctl restart nut-server" in wizard(host, "undo", code=1).stderr
    assert host.systemctl("restart", "nut-server").returncode == 0
    wait_until(lambda: status(host, "apc@localhost") == "OL" or None, 15.0)
    wizard(host, "undo")
    assert tree(host) == from_stock.host_before
    for unit in ("nut-driver@apc", "nut-server", "nut-monitor"):
        assert host.properties(unit)["ActiveState"] == "inactive"
    assert host.run(["pgrep", "-u", "nut"]).stdout == ""
