"""What check shows of the logs on both sides after a real outage of the connection."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .lab import HOST_ADDRESS, VM_ADDRESS, Lab
from .machine import Machine, wait_until
from .startpoints import CLIENT_FILES, stock_files
from .wizard import (
    apply_client,
    apply_host,
    client_answers,
    edited,
    host_answers,
    journal,
    quick,
    stopped,
    wait_clients,
    wizard,
)

pytestmark = pytest.mark.lab

SYSTEM = f"apc@{HOST_ADDRESS}"
#: upsmon notices a server that has fallen silent after 10 s, and tries again every 5 s plus 3 s of waiting.
PATIENCE = 40.0


@pytest.fixture(scope="module")
def served() -> Iterator[Lab]:
    stock = quick(stock_files())
    with Lab(stock, {name: stock[name] for name in CLIENT_FILES}) as lab:
        apply_host(lab.host, host_answers())
        apply_client(lab, client_answers())
        wait_clients(lab)
        yield lab


def logged(machine: Machine) -> dict[str, Any]:
    """The log as `check --json` has it."""
    found: dict[str, Any] = json.loads(wizard(machine, "check", "--json", code=None).stdout)["log"]
    return found


def wait_said(machine: Machine, text: str, times: int = 1) -> None:
    """Until the machine's upsmon has said it so often."""
    wait_until(
        lambda: sum(text in line for line in journal(machine, "nut-monitor")) >= times or None, PATIENCE, 0.5
    )


def last(log: dict[str, Any], event: str) -> dict[str, Any]:
    """The last row of an event."""
    rows: list[dict[str, Any]] = [row for row in log["events"] if row["event"] == event]
    assert rows, [row["text"] for row in log["events"]]
    return rows[-1]


def test_a_firewall_that_drops_is_in_the_clients_log_alone(served: Lab) -> None:
    host, vm = served.host, served.vm
    own = 'NOTIFYMSG COMMBAD "%s ist weg, warte"'
    with edited(vm, "/etc/nut/upsmon.conf", "^NOTIFYMSG COMMBAD .*$", own):
        assert vm.systemctl("restart", "nut-monitor").returncode == 0
        wait_clients(served)
        dropped = time.time()
        served.drop_port()
        wait_said(vm, "connect failed: ", 2)
        opened = time.time()
        during = logged(host)
        served.open_port()
        wait_said(vm, "(re-)established", 1)
        after, shown = logged(vm), wizard(vm, "check").stdout

    failed, lost, well = (last(after, each) for each in ("connect failed", "communications lost",
                                                         "communications established"))  # fmt: skip
    assert failed["count"] >= 2
    assert dropped < failed["first"] < failed["last"] < opened + 5 < well["last"] + 10
    assert failed["last"] < well["first"] == well["last"]
    assert failed["reason"] == "Connection failure: Connection timed out"
    assert (lost["ups"], lost["text"]) == (SYSTEM, f"{SYSTEM} ist weg, warte")
    assert (well["ups"], well["text"]) == (SYSTEM, f"UPS {SYSTEM}: Communications (re-)established.")
    assert f"{failed['count']} times: UPS [{SYSTEM}]: connect failed: " in shown

    # The check itself logs in and out while the log is read.
    news = {row["event"] for row in during["events"] if row["last"] > dropped}
    assert news <= {"logged in", "logged in and out"}
    assert any("firewall" in text for text in during["remarks"])
    assert (
        "A packet that a firewall drops never reaches upsd: nothing of it is here."
        in wizard(host, "check").stdout
    )
    again = next(row for row in logged(host)["events"] if login_of_the_vm(row))
    assert again["last"] >= opened
    assert (again["user"], again["ups"]) == ("upsmonclient", "apc")


def login_of_the_vm(row: dict[str, Any]) -> bool:
    return bool(row["event"] == "logged in" and row["address"] == VM_ADDRESS)


def test_without_a_journal_the_file_tells_the_same(served: Lab) -> None:
    host, vm = served.host, served.vm
    begin = time.time()
    for machine in (host, vm):
        machine.run(["mv", "/usr/bin/journalctl", "/root/journalctl"], check=True)
    try:
        with stopped(host, "nut-server"):
            wait_until(
                lambda: (
                    vm.read("/var/log/syslog").count(
                        b"connect failed: Connection failure: Connection refused"
                    )
                    >= 2
                    or None
                ),
                PATIENCE,
            )
        wait_clients(served)
        in_vm, on_host = logged(vm), logged(host)
    finally:
        for machine in (host, vm):
            machine.run(["mv", "/root/journalctl", "/usr/bin/journalctl"], check=True)
    assert {in_vm["source"], on_host["source"]} == {"/var/log/syslog"}
    refused = last(in_vm, "connect failed")
    assert refused["reason"] == "Connection failure: Connection refused"
    assert refused["count"] >= 2
    assert (
        int(begin) <= refused["first"] < refused["last"] <= last(in_vm, "communications established")["last"]
    )
    assert any(login_of_the_vm(row) and row["last"] >= int(begin) for row in on_host["events"])


def test_on_battery_and_back(served: Lab) -> None:
    served.host.ups("OB DISCHRG")
    wait_said(served.vm, "On battery.")
    served.host.ups("OL")
    wait_said(served.vm, "On line power.")
    for machine in (served.host, served.vm):
        log = logged(machine)
        assert last(log, "on battery")["last"] < last(log, "on line")["last"]
