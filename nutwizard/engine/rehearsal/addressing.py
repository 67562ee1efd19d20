"""Which addresses the machines of a rehearsal have: their own where they are known."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence

from nutwizard.core import paths
from nutwizard.core.checks import is_ip
from nutwizard.core.clients import own_addresses
from nutwizard.core.facts import Facts
from nutwizard.core.upsmon import Monitor, monitors
from nutwizard.engine.rehearsal.sets import FileSet
from nutwizard.formats.nutfile import NutFile

#: Where a machine has no address: RFC 5737's first network for examples.
_NOWHERE = "192.0.2.1"
#: An address without a known prefix is in a network of this size.
_PREFIX = {False: 24, True: 64}
#: From here on a client without an address gets one; at most so many are looked through.
_FROM, _MOST = 10, 1 << 16


def monitors_of(found: FileSet) -> list[Monitor]:
    """The MONITOR lines of a machine."""
    return monitors(NutFile.parse(found.data(paths.UPSMON_CONF)))


def addresses_of(facts: Facts, host: FileSet, clients: Sequence[FileSet]) -> dict[str, tuple[str, ...]]:
    """By machine its addresses, each with a prefix. The host also has those that its clients name."""
    # These facts are the client's where the host is made up.
    own = {each.address: each.prefix for each in own_addresses(facts)} if host.files else {}
    for client in clients:
        for monitor in monitors_of(client):
            if is_ip(monitor.server) and not monitor.local:
                own.setdefault(monitor.server, _PREFIX[":" in monitor.server])
    if not own:
        own[_NOWHERE] = _PREFIX[False]
    found = {host.name: tuple(f"{address}/{prefix}" for address, prefix in own.items())}
    taken = set(own) | {address for client in clients for address in client.addresses}
    for client in clients:
        wanted = client.addresses or (_free(_server_of(client, own), own, taken),)
        taken.update(wanted)
        found[client.name] = tuple(f"{each}/{_PREFIX[':' in each]}" for each in wanted)
    return found


def named_servers(client: FileSet) -> tuple[str, ...]:
    """The names, not addresses, by which a client reaches its server."""
    return tuple(sorted({m.server for m in monitors_of(client) if not m.local and not is_ip(m.server)}))


def _server_of(client: FileSet, own: Iterable[str]) -> str:
    known = list(own)
    return next((m.server for m in monitors_of(client) if m.server in known), known[0])


def _free(server: str, own: Mapping[str, int], taken: Collection[str]) -> str:
    """An address beside the server's that nobody has; the server's own network may be too small for all."""
    prefix = min(own.get(server, 24), 112 if ":" in server else 24)
    first = int(ipaddress.ip_interface(f"{server}/{prefix}").network.network_address)
    for number in range(_FROM, _MOST):
        address = str(ipaddress.ip_address(first + number))
        if address not in taken:
            return address
    raise ValueError("there is no address left for a client")
