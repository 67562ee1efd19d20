"""nutwizard on the machines of the lab: the guide's answers, its commands, and what may be left behind."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .dress import CHECKOUT
from .lab import BRIDGE, HOST_ADDRESS, VM_ADDRESS, Lab
from .machine import Machine, wait_until
from .startpoints import CLIENT_FILES, standalone_files, stock_files

COMMAND = (sys.executable, "-m", "nutwizard")
HOST_ANSWERS, CLIENT_ANSWERS = "/root/host.yaml", "/root/client.yaml"
PASSWORD = "/root/client.password"
#: Where a set-up may change anything: folders and files, with owners, modes and contents.
PLACES = ("/etc/nut", "/etc/nutwizard", "/usr/sbin")
#: A check tries each server once, for 3 s at most; the rest is Python and a slow machine.
CHECK_LIMIT = 8.0
#: The VM as Proxmox VE knows it.
GUEST = f"""name: debiantpl
agent: 1
onboot: 1
ipconfig0: ip={VM_ADDRESS}/24,gw=192.168.1.1
net0: virtio=BC:24:11:00:00:01,bridge=vmbr0
"""
#: The node's own address is there before upsd starts.
INTERFACES = f"""auto {BRIDGE}
iface {BRIDGE} inet static
\taddress {HOST_ADDRESS}/24
\tbridge-ports none
"""
#: Bytes of the smallest pipe.
_PIPE = 4096
_QUICK = {"POLLFREQ": 1, "POLLFREQALERT": 1, "HOSTSYNC": 3, "FINALDELAY": 1}


@dataclass(frozen=True)
class Checked:
    """What `check --json` found: its exit code, the seconds it took, its links, what its rules found."""

    code: int
    seconds: float
    links: list[dict[str, Any]]
    findings: list[dict[str, Any]]

    def having(self, status: str) -> set[str]:
        """The ids of the links in a state."""
        return {link["id"] for link in self.links if link["status"] == status}

    def broken(self) -> dict[str, tuple[str, str]]:
        """Cause and fix of each broken link by its id."""
        return {link["id"]: (link["cause"], link["fix"]) for link in self.links if link["status"] == "broken"}

    def rules(self) -> set[str]:
        """The ids of the rules that have found something."""
        return {finding["id"] for finding in self.findings}

    def link(self, subject: str) -> dict[str, Any]:
        """The one link of this subject."""
        (found,) = (link for link in self.links if link["subject"] == subject)
        return found


def host_answers(ups: str = "apc", port: int = 3493, driver: str = "usbhid-ups") -> str:
    return f"""nutwizard: 1
role: host
driver:
  ups: {ups}
  driver: {driver}
  port: auto
  description: APC Back-UPS ES 700
  offdelay: 60
  ondelay: 70
  lowbatt: 80
listen:
  addresses: [0.0.0.0]
  port: {port}
client_user:
  name: upsmonclient
  password_file: client.password
actions:
  events: [ONLINE, ONBATT, LOWBATT]
"""


def client_answers(ups: str = "apc", port: int = 3493) -> str:
    return f"""nutwizard: 1
role: client
monitor:
  ups: {ups}
  server: {HOST_ADDRESS}
  port: {port}
  user: upsmonclient
  password_file: client.password
actions:
  events: [ONLINE, ONBATT, LOWBATT]
"""


def quick(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files with an upsmon that polls every second and shuts down without ado."""
    text = files["upsmon.conf"].decode()
    for name, seconds in _QUICK.items():
        text, count = re.subn(rf"(?m)^{name} \d+$", f"{name} {seconds}", text)
        assert count == 1, name
    return {**files, "upsmon.conf": text.encode()}


def wizard(
    machine: Machine,
    *words: str,
    code: int | None = 0,
    timeout: float = 60.0,
    user: str | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command of nutwizard; raises AssertionError where it ends otherwise than with `code`."""
    done = machine.run([*COMMAND, *words], cwd=CHECKOUT, timeout=timeout, user=user, input=stdin)
    if code is not None:
        assert done.returncode == code, f"{machine.name}: {words}:\n{done.stdout}{done.stderr}"
    return done


def apply_host(host: Machine, answers: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    host.write(HOST_ANSWERS, answers, mode=0o600)
    return wizard(host, "apply", HOST_ANSWERS, code=code)


def apply_client(lab: Lab, answers: str) -> subprocess.CompletedProcess[str]:
    """Carry the password over from the host, as its administrator would, and apply in the VM."""
    lab.vm.write(PASSWORD, lab.host.read(PASSWORD), mode=0o600)
    lab.vm.write(CLIENT_ANSWERS, answers, mode=0o600)
    return wizard(lab.vm, "apply", CLIENT_ANSWERS)


@contextmanager
def pair(password: str, actions: str = "") -> Iterator[Lab]:
    """The guide's host and its guest, set up by nutwizard; the host knows the guest as its client.

    `password`: of the guests' user; `actions`: more of the host's answers for this step.
    """
    stock = quick(stock_files())
    with Lab(standalone_files(stock), {name: stock[name] for name in CLIENT_FILES}) as lab:
        assert lab.host.systemctl("start", "nut.target").returncode == 0
        lab.host.write("/etc/pve/qemu-server/100.conf", GUEST)
        lab.host.write("/etc/network/interfaces", INTERFACES)
        lab.host.write(PASSWORD, password, mode=0o600)
        apply_host(lab.host, f"{host_answers()}{actions}clients: {{clients: {{debiantpl: {VM_ADDRESS}}}}}\n")
        apply_client(lab, client_answers())
        wait_clients(lab)
        yield lab


def check(machine: Machine, user: str | None = None) -> Checked:
    begin = time.monotonic()
    done = wizard(machine, "check", "--json", code=None, user=user)
    assert done.stdout, done.stderr
    seconds, found = time.monotonic() - begin, json.loads(done.stdout)
    return Checked(done.returncode, seconds, found["links"], found["findings"])


def tree(machine: Machine, *folders: str) -> list[str]:
    """Every folder and file of `PLACES` in a line: path, owner, group, mode, where it leads, checksum.

    `folders`: in place of `PLACES`.
    """
    places = " ".join(folders or PLACES)
    look = f"find {places} -xdev -printf '%p %u:%g %m %y %l\\n'"
    look += f"; find {places} -xdev -type f -size -1000k -exec sha256sum {{}} +"
    return sorted(machine.run(["sh", "-c", look]).stdout.splitlines())


def clients(machine: Machine, ups: str = "apc") -> set[str]:
    return set(machine.run(["upsc", "-c", ups]).stdout.split())


def wait_clients(lab: Lab, ups: str = "apc@localhost") -> None:
    """Until both upsmons are logged in again."""
    wait_until(lambda: clients(lab.host, ups) >= {"127.0.0.1", VM_ADDRESS} or None, 15.0)


def status(machine: Machine, ups: str) -> str:
    return machine.run(["upsc", ups, "ups.status"]).stdout.strip()


def journal(machine: Machine, unit: str) -> list[str]:
    """What the machine's journal holds of a unit."""
    return machine.run(["journalctl", "-u", unit, "-o", "cat"], check=True).stdout.splitlines()


def change(machine: Machine, path: str, pattern: str, new: str) -> None:
    """Replace every match of a pattern in a file; owner and mode stay. Raises AssertionError without any."""
    owner, group, mode, _ = machine.stat(path)
    text, count = re.subn(pattern, new, machine.read(path).decode(), flags=re.MULTILINE)
    assert count, f"{path} has no {pattern}"
    machine.write(path, text, owner, group, mode)


@contextmanager
def edited(machine: Machine, path: str, pattern: str, new: str) -> Iterator[None]:
    """A file with every match of a pattern replaced; afterwards it is as before."""
    data, (owner, group, mode, _) = machine.read(path), machine.stat(path)
    change(machine, path, pattern, new)
    try:
        yield
    finally:
        machine.write(path, data, owner, group, mode)


@contextmanager
def stopped(machine: Machine, unit: str) -> Iterator[None]:
    """A unit that is stopped meanwhile."""
    assert machine.systemctl("stop", unit).returncode == 0
    try:
        yield
    finally:
        assert machine.systemctl("start", unit).returncode == 0


class Running:
    """A command of nutwizard under way in a machine, to be watched; ended on leaving."""

    def __init__(self, machine: Machine, *words: str, output: int = subprocess.DEVNULL) -> None:
        self._ended = ""
        self._stderr = os.memfd_create("stderr")
        command = machine.command([*COMMAND, *words], cwd=CHECKOUT)
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=self._stderr, start_new_session=True
        )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # nsenter and what it runs share the group
            self.process.wait(10.0)
        self._ended = self.said
        os.close(self._stderr)

    @property
    def said(self) -> str:
        """What it wrote to stderr so far."""
        # pread, since the offset belongs to the command.
        return self._ended or os.pread(self._stderr, 1 << 20, 0).decode()

    def wait_said(self, text: str, timeout: float = 20.0) -> None:
        wait_until(lambda: text in self.said or None, timeout, 0.02)


def writer_of(machine: Machine) -> str:
    """The process id of what is applying a plan, in the machine's own numbers."""
    pid = machine.read("/var/lib/nutwizard/lock").decode().strip()
    assert b"nutwizard" in machine.read(f"/proc/{pid}/cmdline")
    return pid


@contextmanager
def planned(machine: Machine, *words: str) -> Iterator[tuple[Running, list[str]]]:
    """A command that has its plan and is in the middle of showing it; the list gets what it shows.

    The plan is longer than the pipe that it is written to, and the pipe is read when the block ends.
    """
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
    shown: list[str] = []
    with open(reader, encoding="utf-8") as stream, Running(machine, *words, output=writer) as run:
        os.close(writer)
        wait_until(lambda: _waiting(reader) == _PIPE or None, 10.0)
        yield run, shown
        shown.append(stream.read())
        assert len(shown[0]) > _PIPE
        run.process.wait(10.0)


def _waiting(descriptor: int) -> int:
    """Bytes in a pipe that nobody has read."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
