"""Who is to follow this machine's UPS; and for each a folder with the answers that set it up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nutwizard.core import checks, paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.clients import (
    GENERAL,
    answers_file,
    answers_text,
    few,
    folder_of,
    folders_for,
    guest_name,
    is_ours,
    kept_server,
    list_text,
    missing_lines,
    one_spelling,
    others_logged_in,
    password_file,
    read_list,
    server_for,
    server_in,
)
from nutwizard.core.draft import PRIVATE, Draft
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.links import Expected, Link, LinkId, Server
from nutwizard.core.secret import TO_BE_GENERATED
from nutwizard.core.server import listen_lines, local_address
from nutwizard.core.site import Client, Site
from nutwizard.core.step import Step, View
from nutwizard.core.upsmon import monitors

#: What the problems are about.
_FIELD = "clients.clients"


@dataclass(frozen=True, slots=True)
class Answers:
    """The clients; none is fine: then one folder serves for any."""

    clients: tuple[Client, ...] = setting(FieldKind.ROWS, "clients", row=Client, keyed=True)


class Clients(Step[Answers]):
    """The list of clients, and the folder for each."""

    name = "clients"
    title = "Clients"
    roles = (Role.HOST,)
    after = ("client_user",)

    def paths(self, role: Role) -> tuple[str, ...]:
        return (paths.CLIENTS_LIST, paths.UPS_CONF, paths.UPSD_CONF, paths.UPSD_USERS, paths.UPSMON_CONF)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        known = _known(view)
        if known:
            return {"clients": Proposed(known, Origin.CURRENT, f"from {paths.CLIENTS_LIST}")}
        guests = _guests(view)
        if guests:
            return {"clients": Proposed(guests, Origin.DETECTED, "the guests of this Proxmox VE host")}
        return {"clients": Proposed((), Origin.GUIDE, "none: one folder for any client")}

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        guests = _guests(view)
        told = [guest for guest in view.facts.guests() if guest.known_from]
        source = {address: f", from {guest.known_from}" for guest in told for address in guest.addresses}
        named = [
            Choice(address, f"the guest {guest.name}{source.get(address, '')}")
            for guest in guests
            for address in guest.addresses
        ]
        there = [Choice(address, "logged in now") for address in others_logged_in(view) or ()]
        known = [choice.value for choice in there]
        addresses = [*there, *(choice for choice in named if choice.value not in known)]
        names = [Choice(guest.name, "a guest of this host") for guest in guests]
        return {"clients.name": tuple(names), "clients.addresses": tuple(addresses)}

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        names: set[str] = set()
        owners: dict[str, str] = {}
        asked = view.facts.runs and any(client.addresses for client in answers.clients)
        own = _own_addresses(view) if asked else set()
        for client in answers.clients:
            if client.name.lower() in names:
                yield Problem(f"there are two clients {client.name} (capitals make no difference)", _FIELD)
            names.add(client.name.lower())
            for address in client.addresses:
                first = owners.setdefault(one_spelling(address), client.name)
                if first != client.name:
                    yield Problem(f"{address} is given to {first} and to {client.name}", _FIELD)
                if one_spelling(address) in own:
                    yield Problem(f"{address} of {client.name} is an address of this machine itself", _FIELD)

    def publish(self, view: View, answers: Answers) -> Site:
        return replace(view.site, clients=answers.clients)

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        wanted = folders_for(answers.clients)
        gone = [each for each in (*_known(view), GENERAL) if each.name not in [c.name for c in wanted]]
        passwords = _passwords(draft, view)
        for client in dict.fromkeys(gone):
            _take_away(draft, view, client, passwords)
        if answers.clients:
            draft.replace(paths.CLIENTS_LIST, list_text(answers.clients).encode())
            draft.own(paths.CLIENTS_LIST, PRIVATE)
        else:
            draft.remove(paths.CLIENTS_LIST)
        users = draft.sections(paths.UPSD_USERS, users=True)
        password = users.get(view.site.client_user, "password")
        if password is None or (password != TO_BE_GENERATED and checks.password(password) is not None):
            user = view.site.client_user
            draft.note(
                f"{user} has no password that a client could use: nutwizard step client_user comes first"
            )
            return
        lacking = [client for client in wanted if _put(draft, view, client, password)]
        if lacking:
            draft.note(
                f"{few([answers_file(client) for client in lacking])} lack{'s' * (len(lacking) == 1)}"
                " `server:`: no address is known at which a client finds this machine"
            )

    def links(self, view: View) -> tuple[Link, ...]:
        ups = _watched(view)
        if not ups:
            return ()
        server = Server(*local_address(listen_lines(view.nut(paths.UPSD_CONF))))
        return tuple(
            Link(
                LinkId.LOGIN,
                f"client {client}",
                Expected(server, ups, client.name, client.addresses),
                self.name,
                awaited=True,
            )
            for client in _known(view)
        )


def _known(view: View) -> tuple[Client, ...]:
    return read_list(view.facts.file(paths.CLIENTS_LIST).data)


def _guests(view: View) -> tuple[Client, ...]:
    """This host's guests as clients, each name and each address once: a clone has those of its original."""
    guests = view.facts.guests()
    taken = _own_addresses(view) if view.facts.runs and any(guest.addresses for guest in guests) else set()
    found: dict[str, Client] = {}
    for guest in guests:
        name = guest_name(guest.name, guest.id)
        if name.lower() in found:
            name = f"{name[:53]}-{guest.id}"
        free = tuple(address for address in guest.addresses if one_spelling(address) not in taken)
        if name.lower() not in found:
            found[name.lower()] = Client(name, free)
            taken.update(map(one_spelling, free))
    return tuple(found.values())


def _own_addresses(view: View) -> set[str]:
    return {one_spelling(address.address) for address in view.facts.addresses()}


def _watched(view: View) -> str:
    """The UPS that the clients follow, as the files have it: the one that this machine itself watches."""
    names = view.sections(paths.UPS_CONF).names()
    own = [m.ups for m in monitors(view.nut(paths.UPSMON_CONF)) if m.local and m.ups in names]
    return next(iter([*own, *names]), "")


def _put(draft: Draft, view: View, client: Client, password: str) -> bool:
    """The two files of a client; answers that a person has added to stay. True: new answers lack a server."""
    path = answers_file(client)
    found = view.facts.file(path)
    server = kept_server(found.data) or server_for(view.facts, view.site.listen, client)
    text = answers_text(client, view.site, server or server_in(found.data))
    if not found.exists or is_ours(found.data):
        draft.replace(path, text.encode())
    elif missing := missing_lines(found.data, text):
        draft.note(f"{path} was changed by hand and stays; it lacks: {'; '.join(missing)}")
    changed = draft.changed(path)
    draft.own(path, PRIVATE)
    draft.replace(password_file(client), f"{password}\n".encode())
    draft.own(password_file(client), PRIVATE)
    return changed and not server_in(draft.bytes(path) or b"")


def _take_away(draft: Draft, view: View, client: Client, passwords: set[str]) -> None:
    """Remove the files of a client that is no longer one, unless a person has changed them."""
    answers, secret = (view.facts.file(path) for path in (answers_file(client), password_file(client)))
    told = secret.data.decode("utf-8", "replace").removesuffix("\n")
    changed = (answers.exists and not is_ours(answers.data)) or (secret.exists and told not in passwords)
    if changed:
        draft.note(
            f"{folder_of(client)} was changed by hand: it stays, though {client.name} is no client now"
        )
        return
    for path in (answers.path, secret.path):
        draft.remove(path)


def _passwords(draft: Draft, view: View) -> set[str]:
    """The passwords that a client's file may hold of ours: those of upsd.users, before and after."""
    before = view.sections(paths.UPSD_USERS, users=True)
    after = draft.sections(paths.UPSD_USERS, users=True)
    found = [users.get(name, "password") for users in (before, after) for name in users.names()]
    return {password for password in found if password is not None}


STEP = Clients()
