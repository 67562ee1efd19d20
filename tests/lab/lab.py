"""A host, its guests, and the wires between them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType

from .dress import host_spec, vm_spec
from .machine import Booted

HOST_ADDRESS = "192.168.1.107"
#: Of the guests, in their order.
VM_ADDRESSES = ("192.168.1.10", "192.168.1.11")
VM_ADDRESS, SECOND_ADDRESS = VM_ADDRESSES
VM_NAMES = ("debiantpl", "second")
BRIDGE, VM_END = "vmbr0", "eth0"
LIMIT = 10.0


class Lab:
    """`host`, a Proxmox VE look-alike with a UPS, and its guests `vms`, the first also as `vm`.

    Nothing outside is touched. `host_files` and `vm_files` are the files of /etc/nut by name, Debian's stock
    ones by default; `guests`: how many there are.
    """

    def __init__(
        self,
        host_files: Mapping[str, bytes] | None = None,
        vm_files: Mapping[str, bytes] | None = None,
        guests: int = 1,
    ) -> None:
        specs = [host_spec(host_files)]
        for name, address in list(zip(VM_NAMES, VM_ADDRESSES, strict=True))[:guests]:
            specs.append(vm_spec(vm_files, name, address))
        self._specs = specs
        self._running = ExitStack()

    def __enter__(self) -> Lab:
        """Boot all and connect them; raises RuntimeError where a machine does not come up."""
        with ExitStack() as started:
            machines = []
            for spec in self._specs:
                machines.append(Booted(spec))
                started.callback(machines[-1].close)
            self.host, *self.vms = machines
            self.vm = self.vms[0]
            self._connect()
            self._running = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

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
        guests = {str(vm.pid): address for vm, address in zip(self.vms, VM_ADDRESSES, strict=False)}
        for machine, batch in zip((self.host, *self.vms), wiring(guests), strict=True):
            command = ["nsenter", f"--target={machine.pid}", "-n", "ip", "-batch", "-"]
            done = subprocess.run(command, input=batch.encode(), capture_output=True, timeout=LIMIT)
            if done.returncode != 0:
                raise RuntimeError(
                    f"network of {machine.name}: {done.stderr.decode('utf-8', 'replace').strip()}"
                )


def wiring(guests: Mapping[str, str]) -> list[str]:
    """The lines for `ip -batch`, the host's and then each guest's; `guests`: network namespace to address."""
    host = f"link set lo up\nlink add {BRIDGE} type bridge forward_delay 0\n"
    for number, guest in enumerate(guests):
        tap = f"tap{100 + number}i0"
        host += (
            f"link add {tap} type veth peer name {VM_END} netns {guest}\nlink set {tap} master {BRIDGE} up\n"
        )
    host += f"addr add {HOST_ADDRESS}/24 dev {BRIDGE}\nlink set {BRIDGE} up\n"
    return [host, *(_guest_end(address) for address in guests.values())]


def _guest_end(address: str) -> str:
    return f"link set lo up\naddr add {address}/24 dev {VM_END}\nlink set {VM_END} up\n"
