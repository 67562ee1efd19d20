"""What a machine suggests for the firewall step: who its clients are, their addresses, the bridge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nutwizard.core import checks, paths
from nutwizard.core.allowed import Allowed, Wanted
from nutwizard.core.clients import guest_name, one_spelling, others_logged_in, read_list
from nutwizard.core.fields import Choice
from nutwizard.core.site import Client
from nutwizard.core.step import View
from nutwizard.core.upsmon import monitors

#: So many guests are asked through their agent, which takes a second each; so many neighbours are offered.
_ASKED, _NEAR = 4, 40


def as_allowed(view: View) -> tuple[Allowed, ...]:
    """The clients whose address is known, each as an alias."""
    return _as_allowed(view, clients_of(view))


def _as_allowed(view: View, clients: Iterable[Client]) -> tuple[Allowed, ...]:
    guests = {guest_name(guest.name, guest.id).lower() for guest in view.facts.guests()}
    return tuple(_one(client, guests) for client in clients if client.addresses)


def missing(view: View, found: Wanted) -> tuple[Allowed, ...]:
    """The clients that this run adds and of which no address is in the set.

    One that was a client before and is not there was left out on purpose.
    """
    import ipaddress

    entries = view.firewall().sets.get(found.ipset, [])
    before = {client.name for client in read_list(view.facts.file(paths.CLIENTS_LIST).data)}
    names = {alias for client in found.clients for alias, _ in client.aliases()}

    def there(client: Allowed) -> bool:
        own = [ipaddress.ip_address(address) for address in client.address]
        return client.name in names or any(address in entry.network for address in own for entry in entries)

    added = tuple(client for client in clients_of(view) if client.name not in before)
    return tuple(client for client in _as_allowed(view, added) if not there(client))


def _one(client: Client, guests: set[str]) -> Allowed:
    """The guide names the alias of a guest after its first network card, too."""
    name = (client.name if client.name[:1].isalpha() else f"client_{client.name}")[:54]
    name += "_net0" if client.name.lower() in guests else ""
    return Allowed(name if len(name) > 1 else f"{name}_1", client.addresses, None, None)


def clients_of(view: View) -> tuple[Client, ...]:
    """The clients as answered, else as clients.list has them."""
    return view.site.clients or read_list(view.facts.file(paths.CLIENTS_LIST).data)


def addresses_of(view: View) -> Iterator[Choice]:
    """What may be offered as the address of a client, each once."""
    seen: set[str] = set()
    there = [Choice(address, "logged in now") for address in others_logged_in(view) or ()]
    known = [Choice(a, f"the client {c.name}") for c in clients_of(view) for a in c.addresses]
    guests = view.facts.guests()
    named = [
        Choice(a, f"the guest {each.name}, {each.known_from}") for each in guests for a in each.addresses
    ]
    silent = [guest for guest in guests if guest.agent and not guest.addresses][:_ASKED]
    told = [
        Choice(a, f"the guest {each.name}, its agent") for each in silent for a in view.facts.agent(each.id)
    ]
    near = [
        Choice(each.address, f"on {each.interface or 'the network'}, {each.known_from}")
        for each in view.facts.neighbours()
    ]
    for choice in (*there, *known, *named, *told, *near[:_NEAR]):
        if choice.value not in seen:
            seen.add(choice.value)
            yield choice


def bridge_of(view: View) -> str:
    """The bridge on which upsd listens, else the first one; "" where none is known."""
    if not view.facts.runs:
        return ""
    bridges = [address for address in view.facts.addresses() if address.bridge]
    listens = [address.interface for address in bridges if address.address in view.site.listen]
    return next(iter([*listens, *(address.interface for address in bridges)]), "")


def to_let_in(view: View, found: Wanted | None) -> Iterator[tuple[str, str]]:
    """Name and address of everyone who is to come in: the clients, and those that the rules found name."""
    listed = read_list(view.facts.file(paths.CLIENTS_LIST).data)
    seen: set[str] = set()
    ruled = [(c.name, a) for c in (found.clients if found else ()) if not c.nomatch for a in c.address]
    for name, address in (*((c.name, a) for c in listed for a in c.addresses), *ruled):
        if checks.is_ip(address) and one_spelling(address) not in seen:
            seen.add(one_spelling(address))
            yield name, address


def watched_ups(view: View) -> str:
    """The UPS that this machine watches itself, by the files."""
    return next((each.ups for each in monitors(view.nut(paths.UPSMON_CONF)) if each.local), "")
