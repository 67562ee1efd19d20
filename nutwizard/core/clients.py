"""The clients of this machine's UPS: the list of them, and the folder with the answers that each is given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nutwizard.core import checks, paths
from nutwizard.core.facts import Address, Facts
from nutwizard.core.guests import Guest
from nutwizard.core.server import WILDCARDS, listen_lines, local_address
from nutwizard.core.site import Client, Site
from nutwizard.core.step import View
from nutwizard.core.text import yaml_word

#: The one folder for any client, where none is named.
GENERAL = Client("client", ())
_HEAD = (
    "# The clients of this machine's UPS: a name and its addresses. nutwizard check looks for them.\n"
    "# To change it: nutwizard step clients\n"
)
#: The shape of what is written here, whatever the values: anything more is a person's own.
_OURS = re.compile(
    r"# Answers of nutwizard for [^\n]*\nnutwizard: 1\nrole: client\nmonitor:\n"
    r"(?:  (?:ups|server|port|user|password_file): [^\n]*\n)+"
)


def read_list(data: bytes) -> tuple[Client, ...]:
    """The clients of clients.list. A line that names none (a bad name, no address) is passed over."""
    found: dict[str, Client] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, *addresses = line.partition("#")[0].split() or [""]
        if checks.client_name(name) is None:
            good = tuple(address for address in addresses if checks.client_address(address) is None)
            found.setdefault(name, Client(name, good))
    return tuple(found.values())


def list_text(clients: Iterable[Client]) -> str:
    """clients.list with these clients."""
    return _HEAD + "".join(f"{' '.join([client.name, *client.addresses])}\n" for client in clients)


def folder_of(client: Client) -> str:
    """The folder that is carried over to the client."""
    return f"{paths.CLIENTS}/{client.name}"


def answers_file(client: Client) -> str:
    """The answers file in that folder."""
    return f"{folder_of(client)}/answers.yaml"


def password_file(client: Client) -> str:
    """The password's own file beside it."""
    return f"{folder_of(client)}/client.password"


def folders_for(clients: tuple[Client, ...]) -> tuple[Client, ...]:
    """Who gets a folder: each client, or a general one where none is known."""
    return clients or (GENERAL,)


def answers_text(client: Client, site: Site, server: str) -> str:
    """The answers with which nutwizard sets the client up; without `server` it has to be put in there."""
    who = "any client" if client == GENERAL else f"the client {client}"
    values = {
        "ups": yaml_word(site.ups),
        "server": yaml_word(server) if server else "",
        "port": str(site.port),
        "user": yaml_word(site.client_user),
        "password_file": "client.password",
    }
    lines = [f"  {name}: {value}" for name, value in values.items() if value]
    head = [f"# Answers of nutwizard for {who}. There: nutwizard apply THIS_FILE"]
    return "\n".join([*head, "nutwizard: 1", "role: client", "monitor:", *lines, ""])


def is_ours(data: bytes) -> bool:
    """Whether an answers file of a client is one that nutwizard has written, with nothing added."""
    return _OURS.fullmatch(data.decode("utf-8", "replace")) is not None


def server_in(data: bytes) -> str:
    """The server that an answers file of ours names, "" when it names none."""
    found = re.search(r"(?m)^  server: (.*)$", data.decode("utf-8", "replace")) if is_ours(data) else None
    word = found[1].strip().strip('"') if found else ""
    return word if checks.server_address(word) is None else ""


def missing_lines(data: bytes, text: str) -> list[str]:
    """Our lines that an answers file changed by a person does not have; the server may be another."""
    has = [line.split() for line in data.decode("utf-8", "replace").splitlines()]
    ours = [line.strip() for line in text.splitlines() if line.startswith("  ")]
    return [line for line in ours if line.split() not in has and not line.startswith("server:")]


def kept_server(data: bytes) -> str:
    """The same where it is a name: only a person can have put one there."""
    word = server_in(data)
    return "" if checks.is_ip(word) else word


def reachable(facts: Facts, listen: Iterable[str]) -> list[str]:
    """Where others find this server: bridges first; a wildcard stands for every address of its kind."""
    found: list[str] = []
    words = tuple(listen)
    here = own_addresses(facts) if any(word in WILDCARDS for word in words) else []
    for word in words:
        if word in WILDCARDS:
            found += [a.address for a in here if (":" in a.address) == (":" in word)]
        elif not word.startswith("127.") and word != "::1":
            found.append(word)
    return list(dict.fromkeys(found))


def server_for(facts: Facts, listen: Iterable[str], client: Client) -> str:
    """Which address of this server a client is given; "" when none can be told (another root).

    The one in a network of the client's, else the one on the bridge that its guest is on, else the first.
    """
    found = reachable(facts, listen)
    if len(found) < 2:
        return next(iter(found), "")
    own = {address.address: address for address in own_addresses(facts)}
    near = [a for a in found if a in own and _same_network(own[a], client.addresses)]
    if not near and client != GENERAL:
        bridges = {guest.bridge for guest in facts.guests() if _is(guest.name, guest.addresses, client)}
        near = [a for a in found if a in own and own[a].interface in bridges]
    return next(iter(near or found), "")


def others_logged_in(view: View) -> list[str] | None:
    """The addresses of other machines that are logged in to this one's upsd; None when it does not answer.

    This waits for upsd the first time.
    """
    served = view.facts.server(*local_address(listen_lines(view.nut(paths.UPSD_CONF))))
    if served is None:
        return None
    own = [address.address for address in view.facts.addresses()]
    there = dict.fromkeys(address for each in served.clients.values() for address in each)
    return [a for a in there if checks.client_address(a) is None and not any(same_address(a, b) for b in own)]


def guest_name(text: str, number: int) -> str:
    """A guest's name as a client's: what it cannot hold becomes a hyphen; if nothing is left, its number."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:63]
    return name or f"guest-{number}"


def same_address(one: str, other: str) -> bool:
    """Whether two texts mean the same IP address (fd00::0:1 and fd00::1, ::ffff:192.0.2.1 and 192.0.2.1)."""
    return one_spelling(one) == one_spelling(other)


def own_addresses(facts: Facts) -> list[Address]:
    """This machine's addresses that others can use, bridges first; none below another root."""
    if not facts.runs:
        return []
    here = [a for a in facts.addresses() if not a.loopback and not a.address.lower().startswith("fe80:")]
    return sorted(here, key=lambda address: not address.bridge)


def _same_network(own: Address, addresses: Iterable[str]) -> bool:
    import ipaddress

    network = ipaddress.ip_interface(f"{own.address}/{own.prefix}").network
    return own.prefix > 0 and any(ipaddress.ip_address(each) in network for each in addresses)


def guest_of(client: Client, guests: Iterable[Guest]) -> Guest | None:
    """The guest of this host that a client is; None for another machine."""
    return next((each for each in guests if _is(each.name, each.addresses, client)), None)


def _is(name: str, addresses: Iterable[str], client: Client) -> bool:
    """Whether a guest is this client: by an address, else by its name."""
    same = any(same_address(one, other) for one in addresses for other in client.addresses)
    return same or guest_name(name, 0).lower() == client.name.lower()


def few(words: Sequence[str], most: int = 3) -> str:
    """The words in a row; of more than `most` the first ones, and how many there are besides."""
    left = len(words) - most
    return ", ".join(words[:most]) + (f" and {left} more" if left > 0 else "")


def one_spelling(text: str) -> str:
    """An IP address as every spelling of it is compared; another text as it is."""
    import ipaddress

    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
