"""What the tests of the firewall share: a node with answers that wait to be replayed, what its guests see."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from .guided import SAVED
from .lab import HOST_ADDRESS, VM_ADDRESS, Lab
from .machine import Machine, wait_until
from .node import ON, TAKES, Node, node
from .startpoints import CLIENT_FILES, stock_files
from .wizard import clients, host_answers, quick, tree, wizard

FOLDERS = "/etc/nutwizard/clients"
ANSWERS = (
    host_answers() + f"clients: {{clients: {{debiantpl: {VM_ADDRESS}}}}}\nfirewall: {{enabled: false}}\n"
)
RULE = b"IN ACCEPT -source +k3s_nodes_net0_ips -p tcp -dport 3493 -log nolog # NUT port (nutwizard)\n"
CLUSTER = (
    ON
    + b"""[ALIASES]

debiantpl_net0 192.168.1.10 # NUT client (nutwizard)

[IPSET k3s_nodes_net0_ips] # NUT clients (nutwizard)

debiantpl_net0 # NUT client (nutwizard)

[group nut_port_accept_in] # NUT port (nutwizard)

|"""
    + RULE
    + b"\n"
)
NODE_LINES = b"[RULES]\n\nGROUP nut_port_accept_in -i vmbr0 # NUT port (nutwizard)\n\n"
TIMED_OUT = "Error: Connection failure: Connection timed out\n"


@dataclass(frozen=True)
class Site:
    """A node and its two guests. `before`: all that a set-up may change, as it was."""

    lab: Lab
    node: Node
    before: tuple[list[str], tuple[bytes, bytes]]

    @property
    def now(self) -> tuple[list[str], tuple[bytes, bytes]]:
        return tree(self.lab.host), self.node.files()

    def let_in(self) -> set[str]:
        return clients(self.lab.host, "apc@localhost")


@contextmanager
def site(files: Mapping[str, bytes], answers: str = ANSWERS) -> Iterator[Site]:
    """A node with these files, and answers that wait to be replayed."""
    stock = quick(stock_files())
    with (
        Lab(stock, {name: stock[name] for name in CLIENT_FILES}, guests=2) as lab,
        node(lab, files) as made,
    ):
        lab.host.run(["install", "-d", "-m", "700", "/etc/nutwizard"], check=True)
        lab.host.write(SAVED, answers, mode=0o600)
        yield Site(lab, made, (tree(lab.host), made.files()))


def set_up(host: Machine, guest: Machine, name: str) -> None:
    """Replay the folder that the host wrote for a client."""
    for file in ("answers.yaml", "client.password"):
        guest.write(f"/root/{name}/{file}", host.read(f"{FOLDERS}/{name}/{file}"), mode=0o600)
    wizard(guest, "apply", f"/root/{name}/answers.yaml")


def asks(guest: Machine) -> str:
    """The status that a guest reads, else what upsc complains about."""
    done = guest.run(["upsc", f"apc@{HOST_ADDRESS}", "ups.status"])
    return done.stdout.strip() or done.stderr


def explained(host: Machine, address: str) -> int:
    return wizard(host, "firewall", "explain", "--from", address, code=None).returncode


def wait_in(found: Site, *addresses: str) -> None:
    """Until upsd lists these clients and no other. Raises TimeoutError."""
    wait_until(lambda: found.let_in() == {"127.0.0.1", *addresses} or None, TAKES)


def changes(before: bytes, after: bytes) -> list[str]:
    """The lines that went and came."""
    lines = difflib.ndiff(before.decode().splitlines(), after.decode().splitlines())
    return [line for line in lines if line[0] in "-+"]
