"""What a check costs: `python -m tests.bench.check`, as root, on a machine of the lab with real NUT.

It prints the seconds of the whole command on a healthy host with 1, 10 and 100 clients logged in, and
with an upsd that does not answer any more.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.dress import CHECKOUT
from tests.lab.guided import begun, start
from tests.lab.lab import HOST_ADDRESS, Lab
from tests.lab.machine import interpreter
from tests.lab.wizard import (
    COMMAND,
    PASSWORD,
    apply_client,
    apply_host,
    client_answers,
    host_answers,
    wait_clients,
)

RUNS = 5
#: Logs in from every address that it is given, says so, and stays until its standard input ends.
HOLD = """
import socket, sys
held = []
for address in sys.argv[3:]:
    one = socket.create_connection((sys.argv[1], 3493), 5, (address, 0))
    for line in ("USERNAME upsmonclient", f"PASSWORD {sys.argv[2]}", "LOGIN apc"):
        one.sendall(line.encode() + b"\\n")
        assert one.recv(100).startswith(b"OK")
    held.append(one)
print("held", flush=True)
sys.stdin.read()
"""


def addresses(count: int) -> list[str]:
    return [f"192.168.1.{number}" for number in range(110, 110 + count)]


@contextmanager
def clients(lab: Lab, count: int) -> Iterator[None]:
    """So many more clients, each from an address of its own, expected by the host."""
    password = lab.host.read(PASSWORD).decode().strip()
    own = addresses(count)
    batch = "".join(f"addr add {each}/24 dev eth0\n" for each in own)
    lab.vm.run(["ip", "-batch", "-"], input=batch, check=True)
    expected = "".join(f"c{n} {each}\n" for n, each in enumerate(own))
    lab.host.write("/etc/nutwizard/clients.list", expected, mode=0o600)
    command = lab.vm.command([interpreter(), "-ISc", HOLD, HOST_ADDRESS, password, *own])
    holding = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert holding.stdout is not None
        assert holding.stdout.readline() == b"held\n"
        yield
    finally:
        holding.communicate(timeout=10)
        lab.vm.run(["ip", "-batch", "-"], input=batch.replace("addr add", "addr del"), check=True)


def seconds(lab: Lab, code: int) -> list[float]:
    """Of the whole command, several times; raises AssertionError where it finds something else."""
    took = []
    for _ in range(RUNS):
        begin = time.monotonic()
        done = lab.host.run([*COMMAND, "check"], cwd=CHECKOUT, timeout=30)
        took.append(time.monotonic() - begin)
        assert done.returncode == code, done.stdout + done.stderr
    return took


def row(what: str, took: list[float]) -> None:
    print(f"{what:<24} {min(took):6.2f} {statistics.median(took):6.2f} {max(took):6.2f}", flush=True)


def main() -> None:
    with start() as lab:
        begun(lab)
        apply_host(lab.host, host_answers())
        apply_client(lab, client_answers())
        wait_clients(lab)
        print(f"{'check, seconds':<24} {'min':>6} {'median':>6} {'max':>6}")
        for count in (1, 10, 100):
            with clients(lab, count):
                row(f"{count} clients", seconds(lab, 0))
        pid = int(lab.host.properties("nut-server")["MainPID"])
        lab.host.run(["kill", f"-{signal.SIGSTOP.value}", str(pid)], check=True)
        row("upsd hangs", seconds(lab, 4))
        lab.host.run(["kill", f"-{signal.SIGCONT.value}", str(pid)], check=True)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("This needs root: it starts machines of its own.")
    main()
