"""What a Proxmox VE node has beside a host of the lab: /etc/pve, its guests, and a firewall that filters."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from .dress import CHECKOUT
from .lab import VM_ADDRESSES, VM_NAMES, Lab
from .machine import Machine, interpreter, wait_until
from .pvefirewall import LOADED, SAYS, SAYS_OF_OURS, digest

CLUSTER_FW, HOST_FW = "/etc/pve/firewall/cluster.fw", "/etc/pve/nodes/pve/host.fw"
#: The firewall is on, and nothing else is said.
ON = b"[OPTIONS]\n\nenable: 1\n\n"
#: Seconds until a change of the files is in force.
TAKES = 15.0
_PROGRAM = "/usr/sbin/pve-firewall"
_CODE = f"""#!{interpreter()} -IS
import sys
sys.path[:0] = {[str(CHECKOUT), str(CHECKOUT / "tests")]}
from lab.pvefirewall import main
sys.exit(main(sys.argv))
"""
_LIMIT = 10.0


class Node:
    """The host of a lab as a node; `node` gives one."""

    def __init__(self, host: Machine) -> None:
        self.host = host

    def files(self) -> tuple[bytes, bytes]:
        """cluster.fw and host.fw; one that is not there reads as an empty one."""
        return self.read(CLUSTER_FW), self.read(HOST_FW)

    def read(self, path: str) -> bytes:
        return self.host.read(path) if self.host.exists(path) else b""

    def write(self, path: str, data: bytes) -> None:
        """Replace a file as Proxmox VE does: beside it, then renamed; owner and mode are not ours to give."""
        script = f"cat >{path}.tmp.1 && mv {path}.tmp.1 {path}"
        self.host.run(["sh", "-c", script], input=data, timeout=_LIMIT, check=True)

    def complains(self, always: str = "", of_ours: str = "") -> None:
        """What `pve-firewall compile` says from now on, and what only once nutwizard's lines are there."""
        self.host.write(str(SAYS), always)
        self.host.write(str(SAYS_OF_OURS), of_ours)

    def wait_loaded(self) -> None:
        """Until the rules in force are those of the files. Raises TimeoutError."""
        wanted = digest(*self.files())
        wait_until(lambda: self.read(str(LOADED)).decode() == wanted or None, TAKES)


@contextmanager
def node(lab: Lab, files: Mapping[str, bytes]) -> Iterator[Node]:
    """Make the lab's host a node, with cluster.fw and host.fw by their paths; each guest is one of its VMs.

    What is started here is ended with it, or with the machine.
    """
    host = lab.host
    host.run(["mknod", "-m", "666", "/dev/fuse", "c", "10", "229"], check=True)
    host.write(_PROGRAM, _CODE, mode=0o755)
    placed = {path.removeprefix("/etc/pve/"): data for path, data in files.items()}
    placed |= {f"qemu-server/{100 + n}.conf": _guest(n) for n in range(len(lab.vms))}
    placed["local/pve-ssl.pem"] = b""
    with ExitStack() as stack:
        mounted = stack.enter_context(running(host, [_PROGRAM, "cluster-files"]))
        encoded = {path: base64.b64encode(data).decode() for path, data in placed.items()}
        begin(mounted, json.dumps(encoded))
        stack.enter_context(running(host, [_PROGRAM, "daemon"]))
        made = Node(host)
        made.wait_loaded()
        yield made


def _guest(number: int) -> bytes:
    mac = f"BC:24:11:00:00:{number + 1:02X}"
    return (
        f"name: {VM_NAMES[number]}\nipconfig0: ip={VM_ADDRESSES[number]}/24,gw=192.168.1.1\n"
        f"net0: virtio={mac},bridge=vmbr0,firewall=1\n"
    ).encode()


@contextmanager
def running(host: Machine, argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the machine; one that is not there any more at the end has failed.

    Raises AssertionError with what it said.
    """
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            host.command(argv), stdin=pipe, stdout=pipe, stderr=errors, start_new_session=True
        )
        try:
            yield process
            assert process.poll() is None, os.pread(errors.fileno(), 1 << 16, 0).decode()
        finally:
            _end(process)


def begin(process: subprocess.Popen[bytes], line: str = "") -> None:
    """Give a program its first line of input, and wait until it is ready. Raises AssertionError."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(_LIMIT), "it says nothing"
    assert process.stdout.readline() == b"ready\n"


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # nsenter and what it runs share the group
        process.wait(_LIMIT)
