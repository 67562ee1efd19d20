"""What a person is told of Proxmox VE's firewall: what is, what becomes of each client, the way by hand."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from nutwizard.core import checks
from nutwizard.core.allowed import BRIDGE, CLIENT_COMMENT, SET_COMMENT, Wanted
from nutwizard.core.clients import few
from nutwizard.core.firewallours import marked
from nutwizard.core.firewallpolicy import Place, Policy
from nutwizard.core.firewallverdict import Packet, Verdict, verdict
from nutwizard.core.links import ENABLE, LetIn, Server
from nutwizard.core.server import WILDCARDS
from nutwizard.formats.pvelines import Part, comment_of

#: So many clients are told one by one.
_MOST = 5
_OFF = "Nothing is closed now: {}. The rules wait until you switch it on (nutwizard does not: it would change"
_OFF += " the access to every node). Web console: {}"


def asked(policy: Policy, source: str, port: int, interface: str) -> Verdict:
    """What becomes of a client's packet while the firewall is as the files say, a trial counted as on."""
    packet = Packet(source, port, interface)
    return verdict(policy, packet, float(policy.enable or 0))


def notes(
    before: Policy, after: Policy, wanted: Wanted, state: str, listen: Sequence[str], *, changed: bool
) -> list[str]:
    """What stands beside the diff. `state`: the datacenter's firewall as in the facts."""
    said = list(_theirs(after, wanted))
    if not changed:
        return said
    told = list(_as_it_is(after, state, listen))
    if state == "on" and after.host_on:
        told += _clients(before, after, wanted)
    return told + said


def _as_it_is(policy: Policy, state: str, listen: Sequence[str]) -> Iterator[str]:
    """The cases in which these rules are not what decides, each with what the person may do."""
    everywhere = any(word in WILDCARDS for word in listen)
    if state != "on":
        yield _OFF.format(f"Proxmox VE's firewall is {off_words(state)}", "Datacenter > Firewall > Options")
    elif not policy.host_on:
        yield _OFF.format("this node's firewall is off", "NODE > Firewall > Options")
    elif policy.policy_in == "ACCEPT":
        yield (
            "policy_in is ACCEPT in cluster.fw: whoever no rule drops comes in, with or without these rules."
            " To let nobody else in, set Input Policy to DROP in Datacenter > Firewall > Options"
        )
    if everywhere and (state != "on" or not policy.host_on):
        yield "upsd listens on every address: while the firewall is off, whoever finds it may ask it"
    if policy.nftables:
        yield (
            "nftables: 1 in host.fw: names are written with dc/, and proxmox-firewall gives up a whole file"
            " at its first bad line"
        )
        yield from (f"proxmox-firewall stops here: {warned}" for warned in policy.warnings)


def off_words(state: str) -> str:
    """ "off", with the cause in brackets, of a datacenter's firewall that is not on."""
    _, colon, cause = state.partition(": ")
    return f"off ({cause})" if colon else "off"


def _clients(before: Policy, after: Policy, wanted: Wanted) -> Iterator[str]:
    """What becomes of each client's packet, before and after."""
    everyone = [
        (client.name, address)
        for client in wanted.clients
        if not client.nomatch
        for address in client.address
        if checks.is_ip(address)
    ]
    interface = wanted.interface or BRIDGE
    for name, address in everyone[:_MOST]:
        was = asked(before, address, wanted.port, interface)
        becomes = asked(after, address, wanted.port, interface)
        if was.lets_in and becomes.lets_in:
            continue
        yield f"{name} ({address}): {was.action} now, then {becomes.action}: {_says(becomes)}"
    own = [e for e in before.sets.get(wanted.ipset, ()) if marked(e.comment) and not e.nomatch]
    kept = {entry.word.lower() for entry in after.sets.get(wanted.ipset, ())}
    if gone := [entry.word for entry in own if entry.word.lower() not in kept]:
        yield f"no longer among the clients, and kept out then: {few(gone)}"
    if len(everyone) > _MOST:
        left = [asked(after, address, wanted.port, interface).lets_in for _, address in everyone[_MOST:]]
        yield f"of {len(left)} more clients {sum(left)} are let in then"


def _says(found: Verdict) -> str:
    if found.off:
        return f"{' and '.join(map(_short, found.off))} is switched off; {ENABLE} opens it"
    return f"{_short(found.place)}: {found.why}" if found.place else found.why


def _short(place: Place) -> str:
    return f"{place.file.rpartition('/')[2]}:{place.line}"


def _theirs(policy: Policy, wanted: Wanted) -> Iterator[str]:
    """Entries of the set that are not ours: they stay, and they count."""
    own = {name.lower() for client in wanted.clients for name, _ in client.aliases()}
    entries = [e for e in policy.sets.get(wanted.ipset, ()) if not marked(e.comment)]
    others = [entry for entry in entries if entry.word.lower() not in own]
    for nomatch, what in ((False, "lets in too"), (True, "keeps out")):
        words = [f"{entry.word} (line {entry.place.line})" for entry in others if entry.nomatch is nomatch]
        if words:
            yield f"the IPSet {wanted.ipset} {what}: {few(words)}; not nutwizard's, so it stays"
    for index, part, name in policy.cluster.starts():
        head = policy.cluster.rows[index]
        left = part in (Part.IPSET, Part.GROUP) and name not in (wanted.ipset, wanted.group)
        if left and marked(comment_of(head.text)):
            yield f"{head.text[:60]} of an earlier run stays, another node may use it (line {head.number})"


def let_in(
    policy: Policy, server: Server, ups: str, address: str, *, interface: str, ours: frozenset[Place]
) -> LetIn:
    """What the files say of one client. `ours`: the lines that our own switch changes."""
    found = asked(policy, address, server.port, interface)
    line = _short(found.place) if found.place else ""
    if found.lets_in:
        return LetIn(server, ups, address, line=line or found.why)
    if found.off and ours.issuperset(found.off):
        switched = " and ".join(f"{_short(place)} ({place.text[:40]} ...)" for place in found.off)
        return LetIn(server, ups, address, f"{switched} is switched off", ENABLE)
    closed = f"{line}: {found.why}" if line else f"port {server.port} is closed: {found.why}"
    return LetIn(server, ups, address, closed, "nutwizard step firewall")


def by_hand(wanted: Wanted, host_file: str) -> str:
    """The same in the web console and as pvesh lines, with these values. Markdown."""
    node = host_file.split("/")[-2]
    aliases = [pair for client in wanted.clients for pair in client.aliases()]
    clicks = [
        *(f"Datacenter > Firewall > Alias > Add: Name {n}, IP/CIDR {a}" for n, a in aliases),
        f"Datacenter > Firewall > IPSet > Create: Name {wanted.ipset}",
        *(f"the set {wanted.ipset}, Add: IP/CIDR {n}{_nomatch(wanted, n)}" for n, _ in aliases),
        f"Datacenter > Firewall > Security Group > Create: Name {wanted.group}",
        f"the group {wanted.group}, Add: Direction in, Action ACCEPT, Enable {_yes(wanted.enabled)},"
        f" Protocol tcp, Source +{wanted.ipset}, Destination {wanted.dest or 'empty'},"
        f" Dest. port {wanted.port}, Log level {wanted.log}, Comment {wanted.comment}",
        f"{node} > Firewall > Insert: Security Group: {wanted.group},"
        f" Interface {wanted.interface or 'empty'}, Enable yes",
    ]
    numbered = [f"{number}. {click}" for number, click in enumerate(clicks, 1)]
    lines = [f"    {' '.join(map(shlex.quote, words))}" for words in _pvesh(wanted, node)]
    return "\n".join(
        [
            "In the web console:", "", *numbered, "",
            "Or as root on the host (look first what is there: a rule that is made twice stands twice):", "",
            *lines, "",
        ]
    )  # fmt: skip


def _pvesh(wanted: Wanted, node: str) -> Iterator[list[str]]:
    firewall = ["pvesh", "create", "/cluster/firewall"]

    def create(path: str, *words: str) -> list[str]:
        return [*firewall[:2], f"{firewall[2]}/{path}", *words]

    aliases = [(n, a, c) for c in wanted.clients for n, a in c.aliases()]
    for name, address, client in aliases:
        comment = client.comment or CLIENT_COMMENT
        yield create("aliases", "--name", name, "--cidr", address, "--comment", comment)
    yield create("ipset", "--name", wanted.ipset, "--comment", SET_COMMENT)
    for name, _, client in aliases:
        kept_out = ["--nomatch", "1"] if client.nomatch else []
        yield create(f"ipset/{wanted.ipset}", "--cidr", name, *kept_out)
    yield create("groups", "--group", wanted.group, "--comment", wanted.comment)
    dest = ["--dest", wanted.dest] if wanted.dest else []
    yield create(
        f"groups/{wanted.group}", "--type", "in", "--action", "ACCEPT", "--enable", str(int(wanted.enabled)),
        "--proto", "tcp", "--source", f"+{wanted.ipset}", *dest, "--dport", str(wanted.port),
        "--log", wanted.log, "--comment", wanted.comment,
    )  # fmt: skip
    iface = ["--iface", wanted.interface] if wanted.interface else []
    rules = f"/nodes/{node}/firewall/rules"
    yield [
        "pvesh", "create", rules, "--type", "group", "--action", wanted.group, *iface, "--enable", "1",
        "--comment", wanted.comment,
    ]  # fmt: skip


def _nomatch(wanted: Wanted, name: str) -> str:
    out = {alias for client in wanted.clients if client.nomatch for alias, _ in client.aliases()}
    return ", nomatch" if name in out else ""


def _yes(value: bool) -> str:
    return "yes" if value else "no"
