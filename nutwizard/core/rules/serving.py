"""Rules about where upsd listens, and whom Proxmox VE's firewall lets in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nutwizard.core import checks, paths
from nutwizard.core.allowed import BRIDGE
from nutwizard.core.allowing import bridge_of
from nutwizard.core.clients import few, one_spelling, read_list
from nutwizard.core.facts import Role
from nutwizard.core.links import ENABLE, LetIn, LinkId
from nutwizard.core.rules.listening import (
    Line,
    Outcome,
    binds_anything,
    decisive,
    families_of,
    glued_port,
    is_fixed,
    is_restarted,
    lines_of,
    outcome,
    own_addresses,
    waits_for_network,
)
from nutwizard.core.rules.rule import HOST, Look, Rule, Severity, Spot
from nutwizard.core.server import FIRST_LINE_DECIDES
from nutwizard.core.site import Client
from nutwizard.core.upsmon import Monitor

#: TEST-NET-2 (RFC 5737): stands for anybody.
_ANYBODY = "198.51.100.77"
_TIME_OUT = re.compile(r"timed? ?out|time-out|did not answer", re.IGNORECASE)
_WAIT = (
    "Put [Unit], Wants=network-online.target and After=network-online.target, a line each, into"
    " /etc/systemd/system/nut-server.service.d/nutwizard.conf, then: systemctl daemon-reload"
)


def _at_boot(look: Look) -> Iterator[Spot]:
    """Addresses that are not there, or may not be there yet when upsd starts."""
    lines = lines_of(look)
    own = own_addresses(look.facts)
    asked = [line for line in lines if line.concrete and not binds_anything(look.facts, line.address)]
    gone = [line for line in asked if own and one_spelling(line.address) not in own]
    yield from _absent(look, lines, gone)
    if waits_for_network(look.facts):
        return
    usual = outcome(look, lines)
    bound = [socket.line for socket in usual.held]
    for line in asked:
        if line in gone or line not in bound:
            continue
        fixed = is_fixed(look.facts, line.address)
        if fixed is False:
            yield from _late(look, lines, line)
        elif fixed and not usual.lost:
            yield from _wrong_order(look, lines, line)


def _absent(look: Look, lines: Sequence[Line], gone: Sequence[Line]) -> Iterator[Spot]:
    result = outcome(look, lines, gone)
    served = any(not socket.line.loopback for socket in result.held)
    for line in gone:
        then = "upsd ends at start" if result.ends else "upsd does not listen there"
        severity = Severity.WARNING if served and not result.ends else Severity.BROKEN
        message = f"this machine does not have the address {line.address}: {then}"
        yield Spot(message, paths.UPSD_CONF, line.number, severity=severity)


def _late(look: Look, lines: Sequence[Line], line: Line) -> Iterator[Spot]:
    ends = outcome(look, lines, [line]).ends is not None
    if ends and is_restarted(look.facts):
        return
    then = "upsd ends then" if ends else "upsd runs without it then, until it is restarted"
    if ends and len(lines) > 1 and decisive(look, lines) == line:
        then += f", since its {_which(look)} LISTEN line must work"
    message = f"{line.address} may come up after upsd, which does not wait for the network: {then}"
    yield Spot(message, paths.UPSD_CONF, line.number, _WAIT, Severity.WARNING)


def _wrong_order(look: Look, lines: Sequence[Line], line: Line) -> Iterator[Spot]:
    """A line that must work, and may not, where another one always would."""
    sure = next((other for other in lines if other.loopback or other.wildcard), None)
    if decisive(look, lines) == line and sure is not None:
        message = (
            f"upsd ends when its {_which(look)} LISTEN line cannot be bound: it is for {line.address},"
            f" and should be for {sure.address}"
        )
        yield Spot(message, paths.UPSD_CONF, line.number, severity=Severity.WARNING)


def _which(look: Look) -> str:
    return "first" if look.version >= FIRST_LINE_DECIDES else "last"


def _rivals(look: Look) -> Iterator[Spot]:
    """Lines that cannot be bound because of one another."""
    lines = lines_of(look) if look.version else []
    result = outcome(look, lines)
    pairs = [(socket, next(o for o in result.held if socket.clashes(o))) for socket in result.lost]
    for lost, held in sorted(pairs, key=lambda pair: not pair[0].line.wildcard):
        beside = f"beside {held.line.address} upsd cannot bind {lost.line.address} on port {lost.line.port}"
        then, severity = "it works in this order of the lines alone", Severity.WARNING
        if result.ends is not None:
            then, severity = "it ends at start", Severity.BROKEN
        elif lost.line.wildcard:
            then, severity = _without(look, result, lost.families)
        elif not held.line.wildcard:
            continue  # one address twice: one of the two lines is enough
        if then:
            yield Spot(f"{beside}: {then}", paths.UPSD_CONF, lost.line.number, severity=severity)
        return


def _without(look: Look, result: Outcome, families: frozenset[int]) -> tuple[str, Severity]:
    """What it means that a wildcard of these families is lost; "" where nothing is."""
    held = [socket.line for socket in result.held]
    open_ones = [socket for socket in result.held if not socket.line.loopback]
    served = frozenset(family for socket in open_ones for family in socket.families)
    if not open_ones or 4 in families - served:
        return f"nobody comes in from the network{' over IPv4' if open_ones else ''}", Severity.BROKEN
    if refused := [m for m in look.monitors if m.local and not _serves(look, held, m)]:
        return f"this machine's own upsmon, which asks {refused[0].server}, is refused", Severity.BROKEN
    if missing := families - served:
        needed = any(_families(client.addresses) <= missing for client in _clients(look))
        return "nobody comes in over IPv6", Severity.BROKEN if needed else Severity.NOTE
    if any(socket.line.wildcard for socket in open_ones):
        return "", Severity.NOTE
    return f"it listens on {few([line.address for line in held])} alone", Severity.WARNING


def _families_served(look: Look) -> Iterator[Spot]:
    """Who asks where nothing listens: a family of addresses, or this machine's own upsmon."""
    entries, lines = look.upsd.entries("LISTEN"), lines_of(look)
    for entry in entries:
        if entry.args and glued_port(entry.args[0]):
            message = f"{entry.args[0]} is one address: a port stands behind a blank, as in LISTEN :: 3493"
            yield Spot(message, paths.UPSD_CONF, entry.line, severity=Severity.BROKEN)
    if len(lines) < len(entries):
        return  # some cannot be read: upsd ends, or listens elsewhere
    open_ones = [line for line in lines if not line.loopback]
    served = frozenset(f for line in open_ones for f in families_of(line.address, look.version) or (4, 6))
    for client in _clients(look):
        families = _families(client.addresses)
        if not families & served:
            known = " and ".join(f"IPv{family}" for family in sorted(families))
            message = f"the client {client.name} has {known} alone: no LISTEN line but loopback serves it"
            yield Spot(message, paths.UPSD_CONF, severity=Severity.WARNING)
    for monitor in look.monitors:
        if _asks_here(look, monitor) and not _serves(look, lines, monitor):
            message = (
                f"upsd does not listen on {monitor.server}, where this machine's own upsmon asks for"
                f" {monitor.system}"
            )
            yield Spot(message, paths.UPSD_CONF, severity=Severity.BROKEN)


def _asks_here(look: Look, monitor: Monitor) -> bool:
    """Whether a MONITOR line is for this machine; one for another port may be for a tunnel."""
    same_port = any(line.port == monitor.port for line in lines_of(look))
    return same_port and (monitor.local or one_spelling(monitor.server) in own_addresses(look.facts))


def _serves(look: Look, lines: Sequence[Line], monitor: Monitor) -> bool:
    """Whether one of the lines is for the address that a MONITOR line of this machine asks."""
    wanted = _families((monitor.server,)) or frozenset({4, 6})
    for line in lines:
        families = families_of(line.address, look.version) or frozenset({4, 6})
        fits = line.wildcard or (line.loopback and monitor.local) or not line.concrete
        same = one_spelling(line.address) == one_spelling(monitor.server)
        if line.port == monitor.port and (same or (fits and families & wanted)):
            return True
    return False


def _clients(look: Look) -> list[Client]:
    """The clients whose addresses are known."""
    listed = read_list(look.facts.file(paths.CLIENTS_LIST).data)
    return [client for client in listed if client.addresses]


def _families(addresses: Sequence[str]) -> frozenset[int]:
    known = [one_spelling(address) for address in addresses if checks.is_ip(address)]
    return frozenset(6 if ":" in address else 4 for address in known)


def _closed(look: Look) -> Iterator[Spot]:
    """Who is kept out, as found; and on a host whoever is let in though the firewall is on."""
    for found in look.broken(LinkId.FIREWALL):
        if isinstance(found.link.target, LetIn):
            yield Spot(f"{found.link.target.address} is kept out: {found.evidence}", fix=found.fix)
        elif _TIME_OUT.search(f"{found.evidence} {found.cause}"):
            message = f"no answer ({found.link.subject}): a firewall drops the packets, or the machine is off"
            yield Spot(message, fix=f"On the host: {ENABLE}")
    if look.role is Role.HOST and look.facts.firewall() == "on":
        yield from _open_to_anybody(look)


def _open_to_anybody(look: Look) -> Iterator[Spot]:
    lines = [line for line in lines_of(look) if not line.loopback]
    policy = look.view.firewall()
    if not lines or not policy.host_on:
        return
    from nutwizard.core.firewallsays import asked

    here = {one_spelling(a.address): a.interface for a in look.facts.addresses()} if look.facts.runs else {}
    own = (here[one_spelling(line.address)] for line in lines if one_spelling(line.address) in here)
    interface = next(own, "") or bridge_of(look.view) or BRIDGE
    found = asked(policy, _ANYBODY, lines[0].port, interface)
    if found.firewall and found.lets_in:
        message = f"anybody who reaches {interface} is let in to port {lines[0].port}: {found.why}"
        file, number = (found.place.file, found.place.line) if found.place else (paths.CLUSTER_FW, 0)
        yield Spot(message, file, number, severity=Severity.WARNING)


RULES = (
    Rule(
        "NW11",
        "an address that may not be there when upsd starts",
        LinkId.UPSD,
        Severity.BROKEN,
        "upsd binds its addresses once, at its start; one that it cannot bind is lost, or ends it",
        _at_boot,
        step="listen",
        roles=HOST,
    ),
    Rule(
        "NW17",
        "the firewall keeps a client out, or lets anybody in",
        LinkId.FIREWALL,
        Severity.BROKEN,
        "a client whose packets are dropped sees a server that does not answer",
        _closed,
        step="firewall",
        echoes=True,
    ),
    Rule(
        "NW33",
        "nothing listens where it is asked",
        LinkId.UPSD,
        Severity.BROKEN,
        "a LISTEN line serves the addresses of its own family, and only * and :: in some versions both",
        _families_served,
        step="listen",
        roles=HOST,
    ),
    Rule(
        "NW35",
        "LISTEN lines that shut each other out",
        LinkId.UPSD,
        Severity.BROKEN,
        "a wildcard and an address of its family cannot share a port: up to NUT 2.8.0 the last line wins,"
        " from 2.8.1 on the first, and from 2.8.2 on upsd may end",
        _rivals,
        step="listen",
        roles=HOST,
    ),
)
