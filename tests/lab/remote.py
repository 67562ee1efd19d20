"""A real sshd in a machine, and the host's root who may log in there: as an administrator has it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from .dress import CHECKOUT
from .lab import Lab
from .machine import Machine, wait_until
from .wizard import COMMAND

_KEY = "/root/.ssh/id_ed25519"
_CONFIG = """ListenAddress {address}
HostKey /root/hostkey
PidFile /run/sshd-lab.pid
AuthorizedKeysFile /root/.ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
"""
#: A person says yes once; nobody is asked here.
_CLIENT = "StrictHostKeyChecking accept-new\nBatchMode yes\nConnectTimeout 5\n"
_LOGIN_PID = "/run/login.pid"


@contextmanager
def sshd(lab: Lab, guest: Machine, address: str) -> Iterator[None]:
    """An sshd on an address of the guest, or of the host itself, that lets the host's root in by key.

    It is ended by its own number.
    """
    host = lab.host
    if not host.exists(_KEY):
        host.run(["install", "-d", "-m", "700", "/root/.ssh"], check=True)
        _keygen(host, _KEY)
        host.write("/root/.ssh/config", _CLIENT, mode=0o600)
    guest.run(["install", "-d", "-m", "755", "/run/sshd"], check=True)
    _keygen(guest, "/root/hostkey")
    guest.write("/root/.ssh/authorized_keys", host.read(f"{_KEY}.pub"), mode=0o600)
    guest.write("/root/sshd_config", _CONFIG.format(address=address), mode=0o600)
    guest.run(["/usr/sbin/sshd", "-f", "/root/sshd_config", "-E", "/root/sshd.log"], check=True)
    pid = wait_until(lambda: _pid(guest), 5.0)
    try:
        yield
    finally:
        guest.run(["kill", pid], check=True)
        wait_until(lambda: guest.run(["test", "-e", f"/proc/{pid}"]).returncode or None, 5.0)


def login(host: Machine, address: str, *words: str, term: str = "xterm-256color") -> list[str]:
    """The command line with which the host's root starts nutwizard there, in a terminal of that machine."""
    inside = f"cd {CHECKOUT} && exec {shlex.join([*COMMAND, *words])}"
    line = f"echo $$ >{_LOGIN_PID}; exec ssh -tt root@{address} {shlex.quote(inside)}"
    return host.command(["sh", "-c", line], env={"TERM": term})


def cut(host: Machine) -> None:
    """Kill the ssh client of the last login: the line is lost."""
    host.run(["kill", "-9", host.read(_LOGIN_PID).decode().strip()], check=True)


def _pid(guest: Machine) -> str | None:
    return guest.read("/run/sshd-lab.pid").decode().strip() if guest.exists("/run/sshd-lab.pid") else None


def _keygen(machine: Machine, path: str) -> None:
    machine.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
