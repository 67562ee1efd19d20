"""The values that steps share. One step publishes each, later steps read it."""

from __future__ import annotations

from dataclasses import dataclass

from nutwizard.core import checks
from nutwizard.core.facts import Role
from nutwizard.core.fields import FieldKind, setting
from nutwizard.core.secret import Secret

#: IANA's port for NUT.
NUT_PORT = 3493


@dataclass(frozen=True)
class Client:
    """A machine that is to follow this one's UPS. Without an address nobody can tell whether it came."""

    name: str = setting(FieldKind.TEXT, "name", check=checks.client_name)
    addresses: tuple[str, ...] = setting(
        FieldKind.TEXTS, "addresses", optional=True, check=checks.client_address
    )

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.addresses) or 'address not known'})"


@dataclass(frozen=True)
class Site:
    """Shared values, "" or empty until published.

    `ups`: name of the UPS in ups.conf, `renamed`: its old name when it gets a new one (driver step; on a
    client monitor step). `port`, `listen`: where upsd listens (listen step). `client_user`,
    `client_password`: NUT user of the VMs (client_user step). `system`: the word of the MONITOR line,
    `UPS[@HOST[:PORT]]`, which the AT lines of upssched.conf must repeat exactly (monitor step). `server`: the
    address in that word. `clients`: who is to follow this UPS (clients step).
    """

    role: Role
    ups: str = ""
    renamed: str = ""
    port: int = NUT_PORT
    listen: tuple[str, ...] = ()
    client_user: str = ""
    client_password: Secret | None = None
    server: str = ""
    system: str = ""
    clients: tuple[Client, ...] = ()


def bracketed(address: str) -> str:
    """The address as NUT wants it before a port: IPv6 in brackets."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def system_word(ups: str, server: str, port: int) -> str:
    """The first word of a MONITOR line. The port is left out where it is NUT's own."""
    tail = "" if port == NUT_PORT else f":{port}"
    return f"{ups}@{bracketed(server)}{tail}"


def split_system(word: str) -> tuple[str, str, int]:
    """`UPS[@HOST[:PORT]]` -> (ups, host, port). A missing host is localhost (upsmon.conf(5)).

    Raises ValueError when the port is no number from 1 to 65535.
    """
    ups, _, where = word.partition("@")
    host, port = where or "localhost", NUT_PORT
    if host.startswith("["):
        host, _, tail = host[1:].partition("]")
        number = tail.removeprefix(":")
    else:
        host, _, number = host.partition(":")
    if number:
        port = int(number)
        if not 1 <= port <= 65535:
            raise ValueError(f"port {port} is out of range")
    return ups, host, port
