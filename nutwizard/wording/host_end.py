"""The end of a host's run: how the clients are set up, with the folders that were written for them."""

from __future__ import annotations

from collections.abc import Sequence

from nutwizard.core.clients import GENERAL, few, folder_of
from nutwizard.core.facts import Door
from nutwizard.core.site import Client
from nutwizard.engine.handover import ADDRESS, checkout, commands
from nutwizard.wording.contract import GuidedSession
from nutwizard.wording.layout import Line, Tone

#: So many clients get their commands in full; the others differ in folder and address alone.
_MOST = 3
#: So many of the others are named.
_NAMED = 9


def host_lines(session: GuidedSession, first: str) -> list[Line]:
    """The commands for each client that has a folder; [] where none has. `first`: what comes before them."""
    clients = session.clients()
    if not clients:
        return []
    if session.facts.door is not Door.LIVE:
        folders = few([session.host.on_disk(folder_of(client)) for client in clients])
        return [Line(), Line(f"The answers for the clients: {folders}")]
    program = checkout()
    return [
        Line(),
        Line(f"{first}, for each client, on this machine as root:"),
        *(line for client in clients[:_MOST] for line in _one(client, program)),
        *_others(clients[_MOST:]),
        Line(),
        *_needs(program, any(not client.addresses for client in clients[:_MOST])),
    ]


def _one(client: Client, program: str) -> list[Line]:
    who = "Any client" if client == GENERAL else f"Client {client}"
    return [Line(), Line(who), *(Line(each, Tone.COPY) for each in commands(client, program))]


def _others(clients: Sequence[Client]) -> list[Line]:
    if not clients:
        return []
    named = few([f"{client} from {folder_of(client)}" for client in clients], _NAMED)
    return [Line(), Line(f"In the same way: {named}.")]


def _needs(program: str, nameless: bool) -> list[Line]:
    """What must be there before the commands work."""
    python = "python3 3.11 or newer, and for the first start a way to PyPI" if program else ""
    how = "" if program else "nutwizard itself, installed there as it was here"
    return [
        *([Line(f"{ADDRESS} stands for the client's address.")] if nameless else []),
        Line(
            f"The client needs the package nut-client, a login of root over ssh, and {python or how}."
            " Its folder holds the password: it is for root alone, there as here."
        ),
    ]
