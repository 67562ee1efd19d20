"""Two machines and the wire between them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from types import TracebackType

from .dress import host_spec, vm_spec
from .machine import Machine

HOST_ADDRESS, VM_ADDRESS = "192.168.1.107", "192.168.1.10"
BRIDGE, HOST_END, VM_END = "vmbr0", "tap100i0", "eth0"
LIMIT = 10.0


class Lab:
    """`host`, a Proxmox VE look-alike with a UPS, and `vm`, its guest; nothing outside is touched.

    `host_files` and `vm_files` are the files of /etc/nut by name, Debian's stock ones by default.
    """

    def __init__(
        self, host_files: Mapping[str, bytes] | None = None, vm_files: Mapping[str, bytes] | None = None
    ) -> None:
        self._files = (host_files, vm_files)

    def __enter__(self) -> Lab:
        """Boot both and connect them; raises RuntimeError where a machine does not come up."""
        self.host = Machine(host_spec(self._files[0]))
        try:
            self.vm = Machine(vm_spec(self._files[1]))
            try:
                self._connect()
            except BaseException:
                self.vm.close()
                raise
        except BaseException:
            self.host.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.vm.close()
        self.host.close()

    def drop_port(self, port: int = 3493) -> None:
        """The host swallows packets to a TCP port: a client's connection times out (after 3 s here)."""
        rules = f"""
            table inet lab {{
                chain input {{
                    type filter hook input priority 0
                    iifname != "lo" tcp dport {port} drop
                }}
            }}
        """
        self.open_port()
        self._nft(rules)

    def open_port(self) -> None:
        """Undo `drop_port`."""
        self._nft("table inet lab\ndelete table inet lab\n")

    def _nft(self, rules: str) -> None:
        self.host.run(["nft", "-f", "-"], input=rules, timeout=LIMIT, check=True)

    def _connect(self) -> None:
        # With the network namespace alone entered, `netns PID` means a process of this computer.
        host_side = f"""
            link set lo up
            link add {BRIDGE} type bridge
            link add {HOST_END} type veth peer name {VM_END} netns {self.vm.pid}
            link set {HOST_END} master {BRIDGE} up
            addr add {HOST_ADDRESS}/24 dev {BRIDGE}
            link set {BRIDGE} up
        """
        vm_side = f"""
            link set lo up
            addr add {VM_ADDRESS}/24 dev {VM_END}
            link set {VM_END} up
        """
        for machine, batch in ((self.host, host_side), (self.vm, vm_side)):
            command = ["nsenter", f"--target={machine.pid}", "-n", "ip", "-batch", "-"]
            done = subprocess.run(command, input=batch.encode(), capture_output=True, timeout=LIMIT)
            if done.returncode != 0:
                raise RuntimeError(
                    f"network of {machine.name}: {done.stderr.decode('utf-8', 'replace').strip()}"
                )
