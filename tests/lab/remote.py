"""A real sshd in a guest, and the host's root who may log in there: as an administrator has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .lab import Lab
from .machine import Machine, wait_until

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


@contextmanager
def sshd(lab: Lab, guest: Machine, address: str) -> Iterator[None]:
    """An sshd on the guest's address that lets the host's root in by key; ended by its own number."""
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


def _pid(guest: Machine) -> str | None:
    return guest.read("/run/sshd-lab.pid").decode().strip() if guest.exists("/run/sshd-lab.pid") else None


def _keygen(machine: Machine, path: str) -> None:
    machine.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
