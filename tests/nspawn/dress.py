"""What a rig's machines differ in from those of the lab: nothing stands in for systemd, and sshd runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.lab.boot import FileSpec, Spec
from tests.lab.dress import MANAGERS, OFF_SWITCHES, file_spec, host_spec, needed_folders, vm_spec
from tests.lab.lab import VM_NAMES

HOST_NAME, VM_NAME = "pve", VM_NAMES[0]
CLIENT_UNITS = ["nut.target", "nut-monitor.service", "ssh.service"]
#: As Debian's packages enable them.
UNITS = {
    HOST_NAME: [
        *CLIENT_UNITS,
        "nut-server.service",
        "nut-driver.target",
        "nut-driver-enumerator.path",
        "nut-driver-enumerator.service",
    ],
    VM_NAME: CLIENT_UNITS,
}
_STAND_INS = {
    *(f"/usr/bin/{name}" for name in MANAGERS),
    *(f"/sbin/{name}" for name in OFF_SWITCHES),
    "/usr/bin/wall",
}
#: What this computer has of its own: other services, its keys, its logs, its users' files.
_OWN = [
    "/etc/fstab",
    "/etc/machine-id",
    "/etc/network/interfaces",
    "/etc/nutwizard",
    *(f"/etc/rc{level}.d" for level in "0123456S"),
    "/etc/ssh",
    "/etc/systemd/system",
    "/root",
    "/var/lib/dbus/machine-id",
    "/var/lib/nutwizard",
    "/var/lib/systemd",
    "/var/log/journal",
]
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
_SSHD = f"""HostKey {_HOST_KEY}
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM yes
"""


#: What makes units at boot: systemd's own stay.
_GENERATORS = Path("/usr/lib/systemd/system-generators")


def specs(secret_key: bytes, public_key: bytes) -> list[Spec]:
    """Host and VM with Debian's stock NUT files; one key is that of both machines and of who may log in."""
    return [
        _real(spec, number, secret_key, public_key) for number, spec in enumerate((host_spec(), vm_spec()))
    ]


def _real(spec: Spec, number: int, secret_key: bytes, public_key: bytes) -> Spec:
    kept = [file for file in spec["files"] if file["path"] not in _STAND_INS]
    files = [*kept, *_own_files(number, secret_key, public_key)]
    foreign = [str(path) for path in _GENERATORS.iterdir() if not path.name.startswith("systemd-")]
    hide = [*spec["hide"], *_OWN, *foreign]
    hidden = {path for path in needed_folders() if path.startswith(tuple(f"{own}/" for own in _OWN))}
    return Spec({**spec, "hide": hide, "files": files, "binds": sorted({*spec["binds"], *hidden})})


def _own_files(number: int, secret_key: bytes, public_key: bytes) -> Iterable[FileSpec]:
    yield file_spec("/etc/machine-id", f"{number + 1:032x}\n", mode=0o444)
    yield file_spec("/etc/ssh/sshd_config", _SSHD)
    yield file_spec(_HOST_KEY, secret_key, mode=0o600)
    yield file_spec("/root/.ssh/authorized_keys", public_key, mode=0o600)
    # systemd would empty /tmp at boot, and the checkout may lie there.
    yield file_spec("/etc/tmpfiles.d/tmp.conf", "")
