"""Whom Proxmox VE's firewall is to let in, and under which names: what the firewall step asks and writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nutwizard.core import checks
from nutwizard.core.fields import FieldKind, setting

MARK = "(nutwizard)"
#: The guide's names; 18 characters are the most that a group's name may have.
IPSET, GROUP, BRIDGE = "k3s_nodes_net0_ips", "nut_port_accept_in", "vmbr0"
COMMENT, CLIENT_COMMENT, SET_COMMENT = "NUT port", "NUT client", "NUT clients"


@dataclass(frozen=True)
class Allowed:
    """A client that is let in, or with `nomatch` kept out of a network that another one lets in.

    `address`: addresses or networks, each with an alias of its own: the name, and the name with _2, _3 ...
    """

    name: str = setting(FieldKind.TEXT, "name", check=checks.firewall_name)
    address: tuple[str, ...] = setting(FieldKind.TEXTS, "address", check=checks.network)
    nomatch: bool | None = setting(FieldKind.BOOLEAN, "nomatch", optional=True)
    comment: str | None = setting(FieldKind.TEXT, "comment", optional=True, check=checks.firewall_comment)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nomatch", self.nomatch or None)
        whole = tuple(word.removesuffix("/128" if ":" in word else "/32") for word in self.address)
        object.__setattr__(self, "address", whole)
        if self.comment == CLIENT_COMMENT or str(self.comment).lower() in ("null", "none", "~"):
            object.__setattr__(self, "comment", None)

    def __str__(self) -> str:
        return f"{'!' * bool(self.nomatch)}{self.name} ({', '.join(self.address) or 'no address'})"

    def aliases(self) -> Iterator[tuple[str, str]]:
        """The name and the address of each of its aliases."""
        for number, address in enumerate(self.address, 1):
            yield f"{self.name}_{number}" if number > 1 else self.name, address


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to stand in the files. `interface` and `dest`: "" for any; `enabled`: the clients are let in.

    `used`: of what was found, whether this node uses the group; other nodes share cluster.fw.
    """

    clients: tuple[Allowed, ...]
    ipset: str
    group: str
    interface: str
    port: int
    dest: str
    log: str
    comment: str
    enabled: bool
    used: bool = True
