"""Applies that meet an outage on real NUT: refused before it, stopped within it, and done when it is over."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from .lab import HOST_ADDRESS, Lab
from .machine import Machine, wait_until
from .startpoints import CLIENT_FILES, stock_files
from .wizard import (
    CLIENT_ANSWERS,
    HOST_ANSWERS,
    Running,
    apply_client,
    apply_host,
    check,
    client_answers,
    host_answers,
    quick,
    status,
    tree,
    wait_clients,
    wizard,
)

pytestmark = pytest.mark.lab

UPSMON_CONF = "/etc/nut/upsmon.conf"
UNITS = {"host": ("nut-driver@apc", "nut-server", "nut-monitor"), "client": ("nut-monitor",)}
#: In place of systemctl: after the command that GATE names it waits until GATE is gone, for 30 s at most.
GATE, REAL = "/run/lab-gate", "/usr/lib/lab/systemctl"
GATEKEEPER = f"""#!/bin/sh
{REAL} "$@"
code=$?
if [ "$(cat {GATE} 2>/dev/null)" = "$*" ]; then
    touch {GATE}.reached
    tries=0
    while [ -e {GATE} ] && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
fi
exit $code
"""


@pytest.fixture(scope="module")
def served() -> Iterator[Lab]:
    """Both machines set up; the answers are changed afterwards, so that there is something to do."""
    stock = quick(stock_files())
    with Lab(stock, {name: stock[name] for name in CLIENT_FILES}) as lab:
        apply_host(lab.host, host_answers())
        apply_client(lab, client_answers())
        wait_clients(lab)
        for machine in (lab.host, lab.vm):
            machine.run(["install", "-D", "/usr/bin/systemctl", REAL], check=True)
            machine.write("/usr/bin/systemctl", GATEKEEPER, mode=0o755)
        lab.host.write(HOST_ANSWERS, host_answers().replace("lowbatt: 80", "lowbatt: 40"), mode=0o600)
        lab.vm.write(CLIENT_ANSWERS, client_answers().replace("LOWBATT]", "LOWBATT, COMMBAD]"), mode=0o600)
        yield lab


@contextmanager
def ups(lab: Lab, says: str, charge: int) -> Iterator[None]:
    """The UPS says so meanwhile; upsd shows it when the block begins and when it has ended."""
    shown(lab, says, charge)
    try:
        yield
    finally:
        shown(lab, "OL", 100)


def shown(lab: Lab, says: str, charge: int) -> None:
    lab.host.ups(says, charge=charge)
    wait_until(lambda: status(lab.host, "apc@localhost") == says or None, 15.0)


def pids(machine: Machine, role: str) -> list[str]:
    return [machine.properties(unit)["MainPID"] for unit in UNITS[role]]


def refused(machine: Machine, role: str, *words: str) -> str:
    """A command that ends with 1; no file and no daemon was touched."""
    before, running = tree(machine), pids(machine, role)
    kept = machine.snapshot("/var/lib/nutwizard")
    done = wizard(machine, *words, code=1)
    assert (tree(machine), pids(machine, role), machine.snapshot("/var/lib/nutwizard")) == (
        before,
        running,
        kept,
    )
    print(f"{machine.name}: nutwizard {' '.join(words)}\n{done.stderr}")
    return done.stderr


def stopped_at(
    machine: Machine, command: str, meanwhile: Callable[[], None], *words: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of nutwizard, do something directly after one of its calls of systemctl, let it end."""
    machine.write(GATE, f"{command}\n")
    with Running(machine, *words, output=subprocess.PIPE) as run:
        wait_until(lambda: machine.exists(f"{GATE}.reached") or None, 30.0)
        meanwhile()
        machine.run(["rm", GATE, f"{GATE}.reached"], check=True)
        out, _ = run.process.communicate(timeout=60.0)
        print(f"{machine.name}: nutwizard {' '.join(words)}\n{out.decode()}{run.said}")
        return subprocess.CompletedProcess(words, run.process.returncode, out.decode(), run.said)


def test_refused_on_battery_on_both_sides(served: Lab) -> None:
    with ups(served, "OB DISCHRG", 70):
        told = refused(served.vm, "client", "apply", CLIENT_ANSWERS)
        assert f"UPS apc on {HOST_ADDRESS} port 3493 runs on battery (ups.status: OB DISCHRG)." in told
        told = refused(served.host, "host", "apply", HOST_ANSWERS)
        assert "UPS apc on this machine's upsd (127.0.0.1 port 3493) runs on battery" in told
        assert "for longer than their DEADTIME" in told
        for machine, role in ((served.vm, "client"), (served.host, "host")):
            assert "Not during an outage" in refused(machine, role, "undo")
        assert wizard(served.vm, "plan", CLIENT_ANSWERS, code=3).stderr == ""
        found = check(served.vm).links
        assert any("OB DISCHRG" in link["evidence"] for link in found)


def test_refused_with_a_low_battery(served: Lab) -> None:
    """Nobody watches: an upsmon that saw this would shut its machine down."""
    for machine in (served.host, served.vm):
        machine.systemctl("stop", "nut-monitor")
    with ups(served, "OB LB DISCHRG", 5):
        told = refused(served.vm, "client", "apply", CLIENT_ANSWERS)
        assert "runs on battery, and the battery is low (ups.status: OB LB DISCHRG)" in told
        assert "shuts its machine down within half a minute" in told
        assert "the battery is low" in refused(served.host, "host", "apply", HOST_ANSWERS)
    for machine in (served.host, served.vm):
        machine.systemctl("start", "nut-monitor")
    wait_clients(served)


def test_an_outage_between_writing_and_restart_puts_the_files_back(served: Lab) -> None:
    vm = served.vm
    vm.systemctl("disable", "nut-monitor")
    before, running = tree(vm), pids(vm, "client")
    try:
        done = stopped_at(
            vm,
            "enable nut-monitor.service",
            lambda: shown(served, "OB DISCHRG", 70),
            "apply",
            CLIENT_ANSWERS,
        )
        assert done.returncode == 1
        assert (tree(vm), pids(vm, "client")) == (before, running)
        assert "Stopped before restart nut-monitor.service: UPS apc on" in done.stdout
        assert "Every file is as it was before. No unit had been restarted." in done.stdout
        assert wizard(vm, "recover").stdout.startswith("There is nothing to recover")
    finally:
        shown(served, "OL", 100)
    assert vm.properties("nut-monitor")["UnitFileState"] == "disabled"


def test_units_that_were_restarted_already_wait_for_its_end(served: Lab) -> None:
    host = served.host
    before, server = tree(host), host.properties("nut-server")["MainPID"]
    try:
        done = stopped_at(
            host,
            "restart nut-driver@apc.service",
            lambda: shown(served, "OB DISCHRG", 70),
            "apply",
            HOST_ANSWERS,
        )
        assert done.returncode == 5
        assert "Stopped before restart nut-server.service" in done.stderr
        assert "Put off until the outage is over: restart nut-driver" in done.stderr
        assert "or by hand: systemctl restart nut-driver" in done.stderr
        assert tree(host) == before
        assert host.properties("nut-server")["MainPID"] == server
        driver = host.properties("nut-driver@apc")["MainPID"]
        assert driver_low(host) == "40"
        again = wizard(host, "recover", code=5)
        print(again.stdout)
        assert "Not during an outage" in again.stdout
        assert "Put off until the outage is over" in wizard(host, "check", code=None).stderr
        assert "Not during an outage" in wizard(host, "apply", HOST_ANSWERS, code=1).stderr
        assert host.properties("nut-driver@apc")["MainPID"] == driver
    finally:
        shown(served, "OL", 100)
    assert "Transaction 2 had put off because of an outage" in wizard(host, "recover").stdout
    wait_until(lambda: driver_low(host) == "80" or None, 15.0)
    assert tree(host) == before
    wait_clients(served)
    assert check(host).code == 0


def driver_low(host: Machine) -> str:
    return host.run(["upsc", "apc", "driver.parameter.lowbatt"]).stdout.strip()


def test_who_insists_goes_through(served: Lab) -> None:
    with ups(served, "OB DISCHRG", 70):
        wizard(served.vm, "apply", CLIENT_ANSWERS, "--on-battery")
        wizard(served.host, "--on-battery", "apply", HOST_ANSWERS)
        wait_until(lambda: driver_low(served.host) == "40" or None, 15.0)
        assert "NOTIFYFLAG COMMBAD SYSLOG+EXEC\n" in served.vm.read(UPSMON_CONF).decode()
        assert "Not during an outage" in refused(served.vm, "client", "undo")
        wizard(served.vm, "undo", "--on-battery")
    wait_clients(served)
    assert (check(served.host).code, check(served.vm).code) == (0, 0)


def test_refused_against_an_order_that_was_left_behind(served: Lab) -> None:
    host, vm = served.host, served.vm
    host.write(HOST_ANSWERS, host_answers(), mode=0o600)
    host.run(["upsmon", "-c", "fsd"], check=True)
    for machine in (vm, host):
        machine.wait_log("would run: shutdown -h +0")
    assert set(status(host, "apc@localhost").split()) == {"FSD", "OL"}
    told = refused(vm, "client", "apply", CLIENT_ANSWERS)
    assert "has the order to shut down, FSD (ups.status: FSD OL)" in told
    assert "\non the server and before anything else" in told
    told = refused(host, "host", "apply", HOST_ANSWERS)
    assert "\nhere and before anything else, since an upsmon that starts earlier obeys it:" in told
    host.systemctl("restart", "nut-server")
    wait_until(lambda: status(host, "apc@localhost") == "OL" or None, 15.0)
    wizard(host, "apply", HOST_ANSWERS)
    wizard(vm, "apply", CLIENT_ANSWERS)
    wait_clients(served)
