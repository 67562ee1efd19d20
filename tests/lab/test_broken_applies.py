"""Applies that go wrong on a host that serves: what was healthy is healthy again, and every byte is back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from .lab import Lab
from .machine import Machine, wait_until
from .startpoints import standalone_files, stock_files
from .wizard import (
    HOST_ANSWERS,
    PASSWORD,
    Running,
    apply_host,
    check,
    clients,
    host_answers,
    journal,
    planned,
    quick,
    status,
    tree,
    wizard,
    writer_of,
)

pytestmark = pytest.mark.lab

UNITS = ("nut-driver@apc", "nut-server", "nut-monitor", "nut-driver-enumerator.path")
UPSMON_CONF = "/etc/nut/upsmon.conf"
PORT = 3494
#: Takes every connection and hangs up: what a program does that is no NUT server.
SQUATTER = f"""
import socket, sys, threading
with socket.create_server(("0.0.0.0", {PORT})) as server:
    def serve():
        while True:
            server.accept()[0].close()
    threading.Thread(target=serve, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    """The host of the earlier guide, served by real daemons that no test may leave broken."""
    stock = quick(stock_files())
    stock["ups.conf"] = stock["ups.conf"].replace(b"\nmaxretry = 3", b"\nmaxretry = 1")
    with Lab(standalone_files(stock)) as lab:
        assert lab.host.systemctl("start", "nut.target").returncode == 0
        assert lab.host.systemctl("start", "nut-driver-enumerator.path").returncode == 0
        serves(lab.host)
        yield lab.host


def serves(host: Machine) -> None:
    """Driver, upsd and upsmon run and know each other; what watches ups.conf is on."""
    wait_until(lambda: (status(host, "apc"), clients(host)) == ("OL", {"127.0.0.1"}) or None, 15.0)
    assert [host.properties(unit)["ActiveState"] for unit in UNITS] == ["active"] * len(UNITS)


@contextmanager
def squatted(host: Machine) -> Iterator[None]:
    """Another program holds the port."""
    command = host.command([sys.executable, "-c", SQUATTER])
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as squatter:
        assert squatter.stdout is not None
        assert squatter.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            squatter.communicate(timeout=5.0)


def test_a_port_that_another_program_takes_meanwhile_is_rolled_back(host: Machine) -> None:
    before = tree(host)
    host.write(HOST_ANSWERS, host_answers(port=PORT), mode=0o600)
    with ExitStack() as meanwhile, planned(host, "apply", HOST_ANSWERS) as (run, shown):
        meanwhile.enter_context(squatted(host))
    assert run.process.returncode == 1
    assert tree(host) == before
    serves(host)
    assert not host.exists(PASSWORD)
    assert "upsd: upsd on 192.168.1.107 port 3494: proven before, broken now: " in shown[0]
    assert "The journal of nut-server.service:" in shown[0]
    assert "not listening on 0.0.0.0 port 3494" in shown[0]
    assert "Every file is as it was before. The old configuration runs again." in shown[0]


def test_a_file_that_changes_after_the_plan_was_shown_stops_it(host: Machine) -> None:
    host.write(HOST_ANSWERS, host_answers(), mode=0o600)
    data = host.read(UPSMON_CONF)
    with planned(host, "apply", HOST_ANSWERS) as (run, _):
        host.write(UPSMON_CONF, data + b"# by hand\n", group="nut", mode=0o640)
        changed = tree(host)
    assert run.process.returncode == 1
    assert f"{UPSMON_CONF} changed since the plan was shown" in run.said
    assert tree(host) == changed
    assert not host.exists(PASSWORD)
    host.write(UPSMON_CONF, data, group="nut", mode=0o640)


@pytest.mark.parametrize("moment", ["writing /etc/nut/upsd.conf", "restart nut-monitor.service"])
def test_a_killed_run_is_told_and_recovered(host: Machine, moment: str) -> None:
    before = tree(host)
    host.write(HOST_ANSWERS, host_answers(), mode=0o600)
    with Running(host, "apply", HOST_ANSWERS) as run:
        run.wait_said(moment)
        host.run(["kill", "-KILL", writer_of(host)], check=True)
        assert run.process.wait(10.0) == 6
    assert "Run: nutwizard recover" in run.said
    assert b"\nMODE=netserver\n" in host.read("/etc/nut/nut.conf")
    for command in (("plan", HOST_ANSWERS), ("check",), ("history",)):
        assert "was interrupted" in wizard(host, *command, code=6).stderr
    assert "(apply) had been interrupted" in wizard(host, "recover").stdout
    assert tree(host) == before
    serves(host)
    assert wizard(host, "recover").stdout.startswith("There is nothing to recover")
    host.run(["rm", "-f", PASSWORD], check=True)


def test_one_run_at_a_time_and_the_path_unit_stays_out_of_it(host: Machine) -> None:
    host.write(HOST_ANSWERS, host_answers(), mode=0o600)
    enumerated, driven = starts(host, "nut-driver-enumerator"), starts(host, "nut-driver@apc")
    with Running(host, "apply", HOST_ANSWERS) as first:
        first.wait_said("waiting for the links to be proven")
        pid = writer_of(host)
        host.run(["kill", "-STOP", pid], check=True)
        second = wizard(host, "apply", HOST_ANSWERS, code=7)
        host.run(["kill", "-CONT", pid], check=True)
        assert f"another run of nutwizard is at work (process {pid})" in second.stderr
        assert first.process.wait(30.0) == 0, first.said
    serves(host)
    time.sleep(1.0)  # what watches ups.conf would have seen the writing long ago
    assert starts(host, "nut-driver-enumerator") == enumerated + 1
    assert starts(host, "nut-driver@apc") <= driven + 2  # by the enumerator, and by the plan itself
    host.write("/etc/nut/ups.conf", host.read("/etc/nut/ups.conf"), group="nut", mode=0o640)
    wait_until(lambda: starts(host, "nut-driver-enumerator") == enumerated + 2 or None, 5.0)


def starts(host: Machine, unit: str) -> int:
    """How often a unit was started since the machine booted."""
    return sum(line.startswith("Starting ") for line in journal(host, unit))


def ended(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str] | None:
    return done if done.returncode == 0 else None


def test_a_run_ends_well_without_its_terminal(host: Machine) -> None:
    with Running(host, "undo") as run:
        run.wait_said("restart nut-server.service")
        assert b"\nMODE=standalone\n" in host.read("/etc/nut/nut.conf")
    assert "another run of nutwizard is at work" in wizard(host, "history", code=7).stderr
    first = wait_until(lambda: ended(wizard(host, "history", code=None)), 20.0, 0.5)
    assert "ended when nobody was listening" in first.stderr
    assert "files changed" in first.stderr
    assert "nobody was listening" not in wizard(host, "history").stderr
    last = json.loads(wizard(host, "history", "--json").stdout)["transactions"][-1]
    assert (last["command"], last["state"]) == ("undo", "committed")
    serves(host)


def test_what_was_down_before_is_committed_and_told(host: Machine) -> None:
    host.run(["chmod", "0", "/lib/nut/dummy-ups"], check=True)
    host.systemctl("restart", "nut-driver@apc")
    found = check(host)
    assert (found.code, set(found.broken())) == (4, {"driver"})
    done = apply_host(host, host_answers(port=PORT))
    assert (
        "driver: UPS apc, driver usbhid-ups: still down, because the driver is not connected" in done.stdout
    )
    assert b"\nLISTEN 0.0.0.0 3494\n" in host.read("/etc/nut/upsd.conf")
    found = check(host)
    assert (found.code, set(found.broken())) == (4, {"driver"})
    last = json.loads(wizard(host, "history", "--json").stdout)["transactions"][-1]
    assert last["state"] == "committed"
