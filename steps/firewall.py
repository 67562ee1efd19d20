"""Proxmox VE's firewall: an alias for each client, an IPSet, a security group, and its line on the node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nutwizard.core import checks, paths
from nutwizard.core.allowed import BRIDGE, COMMENT, GROUP, IPSET, Allowed, Wanted
from nutwizard.core.allowing import (
    addresses_of,
    as_allowed,
    bridge_of,
    clients_of,
    missing,
    to_let_in,
    watched_ups,
)
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.clients import one_spelling
from nutwizard.core.draft import CLUSTER_OWNER, Draft
from nutwizard.core.errors import Problem
from nutwizard.core.facts import UNREADABLE, Role
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.links import LetIn, Link, LinkId, Server
from nutwizard.core.server import listen_lines, local_address
from nutwizard.core.step import Step, View
from nutwizard.formats.pvewords import LOG_LEVELS

if TYPE_CHECKING:
    from nutwizard.core.firewallpolicy import Policy

_ONLY = ("rules", True)
_LEVELS = tuple(
    Choice(
        level, {"nolog": "the guide's", "info": "the most that NUT needs"}.get(level, "louder than NUT needs")
    )
    for level in LOG_LEVELS
)


@dataclass(frozen=True, slots=True)
class Answers:
    """`rules`: whether they are to be written at all; without them the others mean nothing (None).

    `interface` and `destination`: None for any. `enabled`: the rule in the group; the node's line always is.
    """

    rules: bool = setting(FieldKind.BOOLEAN, "write the rules")
    clients: tuple[Allowed, ...] = setting(
        FieldKind.ROWS, "clients", row=Allowed, keyed=True, only_with=_ONLY
    )
    ipset: str = setting(FieldKind.TEXT, "IPSet", check=checks.ipset_name, only_with=_ONLY)
    group: str = setting(FieldKind.TEXT, "security group", check=checks.group_name, only_with=_ONLY)
    interface: str | None = setting(
        FieldKind.TEXT, "interface", check=checks.interface, optional=True, only_with=_ONLY
    )
    port: int = setting(FieldKind.INTEGER, "port", low=1, high=65535, only_with=_ONLY)
    destination: str | None = setting(
        FieldKind.TEXT, "destination", check=checks.destination, optional=True, only_with=_ONLY
    )
    log: str = setting(FieldKind.CHOICE, "log level", choices=_LEVELS, only_with=_ONLY)
    comment: str = setting(FieldKind.TEXT, "comment", check=checks.firewall_comment, only_with=_ONLY)
    enabled: bool = setting(FieldKind.BOOLEAN, "rule on", only_with=_ONLY)


class Firewall(Step[Answers]):
    """The rules that let the clients reach upsd."""

    name = "firewall"
    title = "Firewall"
    roles = (Role.HOST,)
    after = ("clients", "timing")

    def paths(self, role: Role) -> tuple[str, ...]:
        return (paths.CLUSTER_FW, paths.HOST_FW, paths.CLIENTS_LIST, paths.UPSD_CONF, paths.UPSMON_CONF)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        if not _usable(view):
            return {**_guide(view), "rules": Proposed(False, Origin.CURRENT, _why_not(view))}
        from nutwizard.core.firewallours import found_here

        found = found_here(view.firewall(), view.site.port)
        if found is not None and found.used:
            return _current(found, view, switching=given.keys() == {"enabled"})
        proposed = _guide(view)
        if found is not None:  # of another node of the cluster
            named = ("ipset", "group", "comment")
            shared = {name: getattr(found, name) for name in named}
            proposed |= {name: Proposed(v, Origin.CURRENT, "from cluster.fw") for name, v in shared.items()}
        clients = proposed["clients"].value
        asked = bool(given.keys() - {"rules"})
        on = view.facts.firewall() == "on"
        wrong = "" if asked or not on or not clients else _refusal(view, proposed)
        note = "" if asked else wrong or _first_said(view, clients)
        rules = asked or (on and bool(clients) and not wrong)
        return {**proposed, "rules": Proposed(rules, Origin.GUIDE, note)}

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        names = [Choice(client.name, "a client or guest") for client in clients_of(view)]
        bridges = dict.fromkeys(address.interface for address in view.facts.addresses() if address.bridge)
        return {
            "clients.name": tuple(names),
            "clients.address": tuple(addresses_of(view)),
            "interface": tuple(Choice(name, "a bridge of this host") for name in bridges),
        }

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        if not answers.rules:
            return
        if not _usable(view):
            yield Problem(_why_not(view), "firewall.rules")
        if answers.port != view.site.port:
            yield Problem(
                f"{answers.port} is not the port of upsd: it listens on {view.site.port}",
                "firewall.port",
                other="listen.port",
            )
        names: dict[str, str] = {}
        owners: dict[str, str] = {}
        for client in answers.clients:
            if not client.address:
                yield Problem(f"{client.name} has no address", "firewall.clients")
            for name, address in client.aliases():
                if names.setdefault(name.lower(), client.name) != client.name or len(name) > 64:
                    yield Problem(f"the name {name} is taken twice, or too long", "firewall.clients")
                first = owners.setdefault(one_spelling(address), client.name)
                if first != client.name:
                    yield Problem(f"{address} is given to {first} and to {client.name}", "firewall.clients")
        if len(names) < sum(len(client.address) for client in answers.clients):
            yield Problem("two clients have one name (capitals make no difference)", "firewall.clients")

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        if not answers.rules:
            return
        from nutwizard.core.firewalledit import arrange
        from nutwizard.core.firewallsays import notes

        draft.editing = "Proxmox VE's firewall"
        before = view.firewall()
        files = (draft.bytes(paths.CLUSTER_FW) or b"", draft.bytes(paths.HOST_FW) or b"")
        elsewhere = view.facts.firewall_words()
        try:
            after = arrange(*files, _wanted(answers), before.host_file, elsewhere)
        except ValueError as error:
            raise ValueError(f"{error}. By hand: nutwizard firewall manual") from None
        for path, file in ((paths.CLUSTER_FW, after.cluster), (paths.HOST_FW, after.host)):
            draft.replace(path, file.to_bytes())
            if draft.changed(path) and not view.facts.file(path).exists:
                draft.own(path, CLUSTER_OWNER)
        changed = draft.changed(paths.CLUSTER_FW) or draft.changed(paths.HOST_FW)
        listen = view.site.listen or [address for address, _ in listen_lines(view.nut(paths.UPSD_CONF))]
        for text in notes(before, after, _wanted(answers), view.facts.firewall(), listen, changed=changed):
            draft.note(text)

    def notice(self, view: View) -> str:
        if not _usable(view):
            return _why_not(view)
        state = view.facts.firewall()
        from nutwizard.core.firewallsays import off_words

        off = f"Proxmox VE's firewall is {off_words(state)}" if state != "on" else ""
        if not off and not view.firewall().host_on:
            off = "the firewall of this node is off (host.fw)"
        if not off:
            return ""
        return f"{off}: every port is open. yes: prepare the rules anyway, no: not now"

    def by_hand(self, view: View, values: Mapping[str, Any]) -> str:
        from nutwizard.core.firewallsays import by_hand

        shown = dict(values) if values.get("rules") else {n: p.value for n, p in _guide(view).items()}
        wanted = _wanted(Answers(**{**shown, "rules": True}))
        return by_hand(wanted, view.firewall().host_file)

    def links(self, view: View) -> tuple[Link, ...]:
        facts = view.facts
        state = facts.firewall()
        ups = watched_ups(view)
        if not state or not _usable(view) or not ups:
            return ()
        from nutwizard.core.firewallours import found_here, lines_of
        from nutwizard.core.firewallsays import let_in

        lines = listen_lines(view.nut(paths.UPSD_CONF))
        server = Server(*local_address(lines))
        if state != "on" or not view.firewall().host_on:
            why = "Proxmox VE's firewall is off: every port is open"
            return (Link(LinkId.FIREWALL, "Proxmox VE's firewall", LetIn(server, ups, open=why), self.name),)
        found = found_here(view.firewall(), server.port)
        ours = lines_of(view.firewall(), found).places if found else frozenset()
        interface = (found.interface if found else "") or bridge_of(view) or BRIDGE
        return tuple(
            Link(
                LinkId.FIREWALL,
                f"port {server.port} for {name} ({address})",
                let_in(view.firewall(), server, ups, address, interface=interface, ours=ours),
                self.name,
                awaited=True,
            )
            for name, address in to_let_in(view, found)
        )


def _usable(view: View) -> bool:
    """Whether the cluster's file system is there and can be read."""
    files = (view.facts.file(paths.CLUSTER_FW), view.facts.file(paths.HOST_FW))
    return view.facts.firewall() != "" and not any(file.kind == UNREADABLE for file in files)


def _why_not(view: View) -> str:
    for path in (paths.CLUSTER_FW, paths.HOST_FW):
        if view.facts.file(path).kind == UNREADABLE:
            return f"{path} cannot be read: pve-cluster is not running, or it is no file of up to 1 MiB"
    return f"{paths.PVE} is not mounted: this is no Proxmox VE host, or pve-cluster is not running"


def _first_said(view: View, clients: tuple[Allowed, ...]) -> str:
    if view.facts.firewall() != "on":
        return "Proxmox VE's firewall is off: every port is open"
    return "" if clients else "no address of a client is known yet"


def _current(found: Wanted, view: View, *, switching: bool) -> dict[str, Proposed]:
    note = "from cluster.fw and host.fw"
    current = {
        "rules": True,
        "ipset": found.ipset,
        "group": found.group,
        "interface": found.interface or None,
        "port": view.site.port,
        "destination": found.dest or None,
        "log": found.log,
        "comment": found.comment,
    }
    late = () if switching else missing(view, found)
    clients = (*found.clients, *late)
    kept = Origin.YOURS if found.enabled else Origin.CURRENT
    return {
        **{name: Proposed(value, Origin.CURRENT, note) for name, value in current.items()},
        "clients": Proposed(clients, Origin.CURRENT, f"{note}, and clients added since" if late else note),
        "enabled": Proposed(found.enabled, kept, "the rule is on" if found.enabled else note),
    }


def _guide(view: View) -> dict[str, Proposed]:
    """The guide's values, with this machine's clients and bridge."""
    clients = as_allowed(view)
    bridge = bridge_of(view)
    at = Proposed(bridge, Origin.DETECTED, "the bridge upsd listens on") if bridge else None
    return {
        "clients": Proposed(clients, Origin.DETECTED, "the clients with a known address"),
        "ipset": Proposed(IPSET, Origin.GUIDE),
        "group": Proposed(GROUP, Origin.GUIDE),
        "interface": at or Proposed(BRIDGE, Origin.GUIDE),
        "port": Proposed(view.site.port, Origin.CURRENT, "as upsd listens"),
        "destination": Proposed(None, Origin.GUIDE),
        "log": Proposed(LOG_LEVELS[0], Origin.GUIDE),
        "comment": Proposed(COMMENT, Origin.GUIDE),
        "enabled": Proposed(False, Origin.GUIDE, "first closed, to see what that looks like in the VM"),
    }


def _wanted(answers: Answers) -> Wanted:
    return Wanted(
        answers.clients,
        answers.ipset,
        answers.group,
        answers.interface or "",
        answers.port,
        answers.destination or "",
        answers.log,
        answers.comment,
        answers.enabled,
    )


def _refusal(view: View, proposed: Mapping[str, Proposed]) -> str:
    """Why the files could not take the guide's rules; "" when they can."""
    from nutwizard.core.firewalledit import arrange

    values = {name: found.value for name, found in proposed.items()}
    policy: Policy = view.firewall()
    files = policy.cluster.to_bytes(), policy.host.to_bytes()
    try:
        arrange(*files, _wanted(Answers(rules=True, **values)), policy.host_file)
    except ValueError as error:
        return str(error)
    return ""


STEP = Firewall()
