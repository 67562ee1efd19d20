"""What is wrong with a name, an address or a text, as a sentence; None when nothing is. By whitelists."""

from __future__ import annotations

import re

from nutwizard.formats.words import encode, wire_problem

#: ups.conf headers with other characters are ignored or split (measured, NUT 2.7.4 to 2.8.1).
_UPS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_DRIVER = re.compile(r"[a-z0-9][a-z0-9_+-]{0,31}")


def ups_name(value: str) -> str | None:
    """A UPS's name in ups.conf."""
    if _UPS_NAME.fullmatch(value):
        return None
    return "a UPS name is letters, digits and . _ - only, and begins with a letter or digit"


def driver_name(value: str) -> str | None:
    """A driver: the name of a program below /lib/nut."""
    if _DRIVER.fullmatch(value):
        return None
    return "a driver is the name of a program in /lib/nut, such as usbhid-ups"


def client_name(value: str) -> str | None:
    """A client's name: it becomes the name of a folder, and may become an alias of Proxmox VE's firewall."""
    if _CLIENT_NAME.fullmatch(value):
        return None
    return "a client's name is up to 63 letters, digits and _ - only, and begins with a letter or digit"


def client_address(value: str) -> str | None:
    """An address that a client has on the network."""
    import ipaddress

    if not is_ip(value):
        return f'"{value[:60]}" is not an IP address'
    found = ipaddress.ip_address(value)
    if found.is_unspecified or found.is_loopback or found.is_multicast:
        return f"{value} is no address of another machine"
    return None


def nut_text(value: str) -> str | None:
    """A text that NUT's configuration files can hold."""
    try:
        encode(value)
    except ValueError as error:
        return str(error)
    return None if value.strip() else "it is empty"


def user_name(value: str) -> str | None:
    """A user of upsd.users: sent over the network like its password, and in brackets in the file."""
    if not value:
        return "it is empty"
    if "]" in value:
        return "a NUT user name cannot hold ]"
    return wire_problem(value)


def password(value: str) -> str | None:
    """A password that survives NUT's configuration files and its network protocol."""
    return "it is empty" if not value else wire_problem(value)


def is_ip(value: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    import ipaddress

    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value


def listen_address(value: str) -> str | None:
    """An address for LISTEN: an IP address, since a name that does not resolve at boot ends upsd."""
    return None if is_ip(value) else f'"{value[:60]}" is not an IP address'


def server_address(value: str) -> str | None:
    """Where a client finds the server: an IP address or a host name."""
    if is_ip(value) or (_HOST_NAME.fullmatch(value) and not re.fullmatch(r"[0-9.]+", value)):
        return None
    return f'"{value[:60]}" is neither an IP address nor a host name'


def firewall_name(value: str) -> str | None:
    """An alias of Proxmox VE's firewall."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{1,63}", value):
        return None
    return "a name here is 2 to 64 letters, digits and _ - only, and begins with a letter"


def ipset_name(value: str) -> str | None:
    """An IPSet: Proxmox VE keeps its name in small letters and would not find it with capitals."""
    if wrong := firewall_name(value):
        return wrong
    return None if value == value.lower() else "a set's name has small letters only: +NAME is not found else"


def group_name(value: str) -> str | None:
    """A security group: its name becomes part of the name of a chain, which has a limit."""
    if len(value) > 18:
        return f"{len(value)} characters: a security group's name has at most 18"
    if wrong := firewall_name(value):
        return wrong
    return None if value == value.lower() else "a group's name has small letters only: it is not found else"


def interface(value: str) -> str | None:
    """A network interface by its name."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{1,19}([:.][0-9]+)?", value) and len(value) <= 20:
        return None
    return "an interface is given by its name, such as vmbr0: no address"


def network(value: str) -> str | None:
    """An address or a network for Proxmox VE's firewall."""
    import ipaddress

    try:
        found = ipaddress.ip_network("" if "%" in value else value)
    except ValueError:
        return f'"{value[:60]}" is neither an address nor a network such as 192.168.1.0/24'
    if found.prefixlen == 0:
        return "a network of the length /0 is everybody: a set does not take it"
    return None


def destination(value: str) -> str | None:
    """Where a rule lets packets go: an address, a network, an alias, or a set with its +."""
    if firewall_name(value.removeprefix("+").removeprefix("dc/")) is None:
        return None
    return network(value)


def firewall_comment(value: str) -> str | None:
    """A comment at the end of a line: behind a line break or a second # it would be something else."""
    if not value.isprintable() or "#" in value:
        return "a comment is one line without #"
    if value != value.strip() or len(value) > 100:
        return "a comment has up to 100 characters and no blanks around it"
    return None
