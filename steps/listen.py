"""upsd.conf: the addresses on which upsd listens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nutwizard.core import checks, paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.draft import Draft
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.links import Link, LinkId, Listens, Server
from nutwizard.core.server import (
    FIRST_LINE_DECIDES,
    LOOPBACK,
    WILDCARDS,
    listen_line,
    listen_lines,
    local_address,
)
from nutwizard.core.site import NUT_PORT, Site
from nutwizard.core.step import Step, View
from nutwizard.formats.nutfile import Entry, NutFile


@dataclass(frozen=True, slots=True)
class Answers:
    """`addresses`: IP addresses for LISTEN; `port`: TCP port (upsd silently wraps above 65535)."""

    addresses: tuple[str, ...] = setting(FieldKind.TEXTS, "addresses", check=checks.listen_address)
    port: int = setting(FieldKind.INTEGER, "port", low=1, high=65535)


class Listen(Step[Answers]):
    """The LISTEN lines."""

    name = "listen"
    title = "Listen address"
    roles = (Role.HOST,)
    after = ("driver",)

    def paths(self, role: Role) -> tuple[str, ...]:
        return (paths.UPSD_CONF,)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        entries = view.nut(paths.UPSD_CONF).entries("LISTEN")
        lines = listen_lines(view.nut(paths.UPSD_CONF)) if entries else []
        port = (
            Proposed(lines[0][1], Origin.CURRENT, "from upsd.conf")
            if lines
            else Proposed(NUT_PORT, Origin.GUIDE)
        )
        open_ones = [address for address, _ in lines if address not in LOOPBACK]
        usable = all(checks.listen_address(address) is None for address, _ in lines)
        addresses = tuple(dict.fromkeys(address for address, _ in lines))
        if open_ones and usable and not _clash(addresses, view.facts.nut.version):
            return {"addresses": Proposed(addresses, Origin.CURRENT, "from upsd.conf"), "port": port}
        return {"addresses": _from_bridge(view), "port": port}

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        own = tuple(
            Choice(a.address, f"{a.interface}{', a bridge' if a.bridge else ''}")
            for a in view.facts.addresses()
            if not a.loopback and not a.address.lower().startswith("fe80")
        )
        everywhere = Choice("0.0.0.0", "every IPv4 address of this machine, as in the guide")
        return {"addresses": (*own, everywhere, Choice("127.0.0.1", "this machine alone"))}

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        if not answers.addresses:
            yield Problem("at least one address is needed", "listen.addresses")
        if clash := _clash(answers.addresses, view.facts.nut.version):
            yield Problem(
                f"{clash[0]} and {clash[1]} on one port: upsd would bind only one of them, without an error",
                "listen.addresses",
            )
        if _ordered(answers, view.facts.nut.version) == listen_lines(view.nut(paths.UPSD_CONF)):
            return  # as upsd runs now: nothing to ask the machine about
        yield from _taken(view, answers.port)
        own = {a.address for a in view.facts.addresses()} if view.facts.runs else set()
        for address in answers.addresses:
            if own and address not in own and address not in WILDCARDS and address not in LOOPBACK:
                yield Problem(
                    f"this machine does not have the address {address}: upsd would not start",
                    "listen.addresses",
                )

    def publish(self, view: View, answers: Answers) -> Site:
        return replace(view.site, port=answers.port, listen=answers.addresses)

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        document = draft.nut(paths.UPSD_CONF)
        wanted = _ordered(answers, view.facts.nut.version)
        _rewrite(document, wanted)
        draft.readable_by_nut(paths.UPSD_CONF)

    def links(self, view: View) -> tuple[Link, ...]:
        lines = listen_lines(view.nut(paths.UPSD_CONF))
        own = [a.address for a in view.facts.addresses() if not a.loopback and ":" not in a.address]
        servers: list[Server] = []
        for address, port in lines:
            if address in ("0.0.0.0", "*"):
                servers += [Server(found, port) for found in (local_address(lines)[0], *own)]
            else:
                servers.append(Server("::1" if address in WILDCARDS else address, port))
        unique = dict.fromkeys(servers)
        return tuple(
            Link(LinkId.UPSD, f"upsd on {server.address} port {server.port}", Listens(server), self.name)
            for server in unique
        )


def _from_bridge(view: View) -> Proposed:
    """The address of a bridge, else of any interface, and loopback; without either the guide's wildcard."""
    found = [a for a in view.facts.addresses() if not a.loopback and ":" not in a.address]
    best = next((a for a in found if a.bridge), next(iter(found), None))
    if best is None:
        return Proposed(("0.0.0.0",), Origin.GUIDE)
    return Proposed((best.address, "127.0.0.1"), Origin.DETECTED, f"address of {best.interface}")


def _taken(view: View, port: int) -> Iterable[Problem]:
    """Another program on the port: upsd would not start."""
    for found in view.facts.listeners():
        if found.port == port and found.process not in ("", "upsd"):
            yield Problem(f"{found.process} listens on port {port} already ({found.address})", "listen.port")
            return


def _family(address: str) -> int:
    return 6 if ":" in address else 4


def _clash(addresses: Iterable[str], version: tuple[int, ...]) -> tuple[str, str] | None:
    """A wildcard and what cannot share its port: an address of its family; up to 2.8.0 another wildcard, and
    beside `::`, which takes IPv4 too there (measured), any address.
    """
    given = list(dict.fromkeys(addresses))
    before = version < FIRST_LINE_DECIDES
    for wildcard in (a for a in given if a in WILDCARDS):
        for other in given:
            both = other in WILDCARDS and other != wildcard and before
            taken = _family(other) == _family(wildcard) or (wildcard.startswith("::") and before)
            if both or (other not in WILDCARDS and taken):
                return wildcard, other
    return None


def _ordered(answers: Answers, version: tuple[int, ...]) -> list[tuple[str, int]]:
    """The lines to write: loopback added where the host's own upsmon needs it, and in the place that decides.

    upsd ends when the last line (from 2.8.1 on: the first) cannot be bound; loopback always can be.
    """
    addresses = list(dict.fromkeys(answers.addresses))
    if not any(a in WILDCARDS or a in LOOPBACK for a in addresses):
        addresses.append("127.0.0.1")
    own = [a for a in addresses if a in LOOPBACK]
    rest = [a for a in addresses if a not in LOOPBACK]
    lines = own + rest if version >= FIRST_LINE_DECIDES else rest + own
    return [(address, answers.port) for address in lines]


def _rewrite(document: NutFile, wanted: list[tuple[str, int]]) -> None:
    """Lines that no longer hold become comments in place, as in the guide; new ones come behind."""
    entries = document.entries("LISTEN")
    if entries and listen_lines(document) == wanted:
        return
    keep = _kept(entries, wanted)
    last: Entry | None = None
    for address, port in wanted:
        if (address, port) in keep:
            last = keep[address, port]
            continue
        args = ("LISTEN", address, str(port))
        last = document.insert_near(*args) if last is None else document.insert_after(last, *args)
    for entry in entries:
        if entry not in keep.values():
            document.comment_out(entry)


def _kept(entries: list[Entry], wanted: list[tuple[str, int]]) -> dict[tuple[str, int], Entry]:
    """The lines that may stay: the first of the wanted ones, in their order, so that the rest can follow."""
    kept: dict[tuple[str, int], Entry] = {}
    for entry in entries:
        line = listen_line(entry.args) if entry.args else ("", 0)
        if wanted[len(kept) : len(kept) + 1] == [line]:
            kept[line] = entry
    return kept


STEP = Listen()
