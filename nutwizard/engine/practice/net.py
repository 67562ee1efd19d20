"""The practice machines' network: addresses that exist nowhere, carried over loopback."""

from __future__ import annotations

import errno
import os
import socket
import threading
from contextlib import suppress

from nutwizard.core.facts import Address, Role

HOST_ADDRESS = "192.168.1.107"
VM_ADDRESS = "192.168.1.10"
_NETWORK = "192.168.1."
LOOPBACK = ("127.0.0.1", "::1")
#: Loopback addresses that stand for practice addresses as the source of a connection; all of 127/8 is ours.
_SOURCES = {
    HOST_ADDRESS: "127.0.7.107",
    VM_ADDRESS: "127.0.7.10",
    "::1": "127.0.7.1",
    "127.0.0.1": "127.0.0.1",
}
_SHOWN = {source.encode(): address.encode() for address, source in _SOURCES.items()}
_PIECE = 65536
#: No line of the protocol is longer.
_LONGEST_LINE = 8192

ADDRESSES = {
    Role.HOST: (
        Address("lo", "127.0.0.1", 8),
        Address("lo", "::1", 128),
        Address("vmbr0", HOST_ADDRESS, 24, bridge=True),
    ),
    Role.CLIENT: (
        Address("lo", "127.0.0.1", 8),
        Address("lo", "::1", 128),
        Address("eth0", VM_ADDRESS, 24),
    ),
}


def resolve(name: str, hosts: bytes) -> tuple[str, ...]:
    """The addresses of a name or an address, IPv6 first as getaddrinfo(3) has it. Raises socket.gaierror."""
    import ipaddress

    with suppress(ValueError):
        return (str(ipaddress.ip_address(name)),)
    found = host_names(hosts).get(name.lower(), ())
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return found


def host_names(hosts: bytes) -> dict[str, tuple[str, ...]]:
    """The names of an /etc/hosts (hosts(5)) with their addresses, IPv6 first."""
    table: dict[str, tuple[str, ...]] = {}
    for line in hosts.decode("ascii", "replace").splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            table[name.lower()] = (*table.get(name.lower(), ()), address)
    return {name: tuple(sorted(found, key=lambda one: ":" not in one)) for name, found in table.items()}


def owner_of(address: str, here: Role) -> Role:
    """Whose address it is, seen from the machine `here`. Raises OSError for one that no machine has."""
    if address in LOOPBACK or any(address == one.address for one in ADDRESSES[here]):
        return here
    for role, addresses in ADDRESSES.items():
        if any(address == one.address for one in addresses):
            return role
    code = errno.EHOSTUNREACH if address.startswith(_NETWORK) else errno.ENETUNREACH
    raise OSError(code, os.strerror(code))


def dial(address: str, here: Role, port: int, timeout: float) -> socket.socket:
    """A connection to the server on loopback `port`; its source address tells that `here` has made it."""
    own = next(one.address for one in ADDRESSES[here] if not one.loopback)
    source = _SOURCES[address if address in LOOPBACK else own]
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class PracticeSocket(socket.socket):
    """One end of a connection in the practice network, which knows its practice addresses."""

    _ends: tuple[tuple[str, int], tuple[str, int]]

    def getsockname(self) -> tuple[str, int]:
        return self._ends[0]

    def getpeername(self) -> tuple[str, int]:
        return self._ends[1]


def through_relay(server: socket.socket, address: str, port: int) -> socket.socket:
    """A socket that speaks to `server` and sees practice addresses where the server lists loopback ones."""
    source, source_port = server.getsockname()[:2]
    pair, far = socket.socketpair()
    near = PracticeSocket(fileno=pair.detach())
    near._ends = ((_SHOWN[source.encode()].decode(), source_port), (address, port))
    near.settimeout(server.gettimeout())
    server.settimeout(None)
    for target, arguments in ((_upstream, (far, server)), (_downstream, (server, far))):
        threading.Thread(target=target, args=arguments, daemon=True, name="practice-relay").start()
    return near


def _upstream(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    _end(source, target)


def _downstream(source: socket.socket, target: socket.socket) -> None:
    rest = b""
    with suppress(OSError):
        while data := source.recv(_PIECE):
            *lines, rest = (rest + data).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                break
            target.sendall(b"".join(_shown(line) + b"\n" for line in lines))
    _end(source, target)


def _end(*sockets: socket.socket) -> None:
    """Wake the other direction, which then ends too; descriptors go with the last thread that holds them."""
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _shown(line: bytes) -> bytes:
    words = line.split(b" ")
    if words[0] == b"CLIENT" and words[-1] in _SHOWN:
        return b" ".join([*words[:-1], _SHOWN[words[-1]]])
    return line
