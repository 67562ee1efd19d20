"""Proxmox VE's policy for packets to a node, as rules of nftables: what real packets are judged by.

The order is that of the host's zone. Nothing of nutwizard's own verdict is used, since this is what the tests
hold it against; the files are read by `read_policy` alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from nutwizard.core.firewallpolicy import Entry, Network, Policy, Ruled
from nutwizard.formats.pverules import Rule, is_name

TABLE = "inet pvefw"
_GONE = f"table {TABLE}\ndelete table {TABLE}\n"
_MANAGEMENT = "tcp dport { 8006, 5900-5999, 3128, 22, 60000-60050 }"
_ACTIONS = {
    "ACCEPT": ("accept",),
    "DROP": ("drop",),
    "REJECT": ("meta l4proto tcp reject with tcp reset", "reject"),
}
_MACROS = {
    "SSH": ("tcp dport 22",),
    "HTTP": ("tcp dport 80",),
    "HTTPS": ("tcp dport 443",),
    "Web": ("tcp dport { 80, 443 }",),
    "SMTP": ("tcp dport 25",),
    "DNS": ("tcp dport 53", "udp dport 53"),
    "Ping": ("icmp type echo-request",),
}
_FAMILIES = {4: "ip", 6: "ip6"}


def ruleset(policy: Policy, now: float, local: Sequence[str]) -> str:
    """What `nft -f -` takes: the table anew, or its end where packets are not filtered.

    `local`: the node's own networks. Raises KeyError for a macro that is not known here.
    """
    if not policy.on(now):
        return _GONE
    return f"{_GONE}table {TABLE} {{\n{''.join(_sets(policy))}{_chain(policy, local)}}}\n"


def _sets(policy: Policy) -> Iterator[str]:
    """Two for each of the policy's and each family: what it holds, and what it does not hold after all."""
    for name, entries in policy.sets.items():
        for version in _FAMILIES:
            own = [entry for entry in entries if entry.network.version == version]
            yes = [entry.network for entry in own if not entry.nomatch]
            for kind, networks in (("yes", yes), ("no", list(_kept_out(own)))):
                words = ", ".join(map(str, networks))
                elements = f"elements = {{ {words} }}" if words else ""
                flags = f"type ipv{version}_addr\nflags interval\nauto-merge\n{elements}"
                yield f"set {_named(name, version, kind)} {{\n{flags}\n}}\n"


def _kept_out(entries: Sequence[Entry]) -> Iterator[Network]:
    """The networks of the nomatch entries, without those that a longer entry lets in again."""
    for entry in entries:
        if not entry.nomatch:
            continue
        left: list[Network] = [entry.network]
        for other in entries:
            if not other.nomatch and other.network.prefixlen > entry.network.prefixlen:
                left = [piece for network in left for piece in _without(network, other.network)]
        yield from left


def _without(network: Network, hole: Network) -> Iterable[Network]:
    if isinstance(network, ipaddress.IPv4Network) and isinstance(hole, ipaddress.IPv4Network):
        return network.address_exclude(hole) if hole.subnet_of(network) else [network]
    if isinstance(network, ipaddress.IPv6Network) and isinstance(hole, ipaddress.IPv6Network):
        return network.address_exclude(hole) if hole.subnet_of(network) else [network]
    return [network]


def _named(name: str, version: int, kind: str) -> str:
    return f"s_{name}_{version}_{kind}"


def _chain(policy: Policy, local: Sequence[str]) -> str:
    lines = ["type filter hook input priority 0; policy accept;", 'iifname "lo" accept']
    lines += ["ct state established,related accept", "meta l4proto { icmp, ipv6-icmp } accept"]
    if "blacklist" in policy.sets:
        lines += [f"{where} drop" for where in _in_set("blacklist", "saddr")]
    for rules in (policy.host_rules, policy.cluster_rules):
        lines += _rules(policy, rules)
    lines += [f"{where} {_MANAGEMENT} accept" for where in _managers(policy, local)]
    lines += _ACTIONS[policy.policy_in]
    return "chain input {\n" + "".join(f"{line}\n" for line in lines) + "}\n"


def _managers(policy: Policy, local: Sequence[str]) -> Iterator[str]:
    """Who may reach Proxmox VE's own ports."""
    alias = policy.aliases.get("local_network")
    for word in [str(alias.network)] if alias else local:
        yield from _at([word], "saddr")
    if "management" in policy.sets:
        yield from _in_set("management", "saddr")


def _rules(policy: Policy, rules: Sequence[Ruled], through: str = "") -> Iterator[str]:
    for ruled in rules:
        rule = ruled.rule
        if not ruled.counts:
            continue
        interface = through or (f'iifname "{rule.interface}" ' if rule.interface else "")
        if rule.type == "GROUP":
            yield from _rules(policy, policy.groups.get(rule.action, ()), interface)
        elif rule.type == "IN":
            for where in _where(policy, rule):
                yield from (f"{interface}{where} {action}" for action in _ACTIONS[rule.action])


def _where(policy: Policy, rule: Rule) -> Iterator[str]:
    """The conditions of a rule: several where it has to be said for each family of addresses."""
    services = _MACROS[rule.macro] if rule.macro else (_service(rule),)
    sources = list(_address(policy, rule.source, "saddr"))
    targets = list(_address(policy, rule.dest, "daddr"))
    for service in services:
        for source in sources:
            for target in targets:
                if not source or not target or source.split()[0] == target.split()[0]:
                    yield " ".join(filter(None, (source, target, service)))


def _service(rule: Rule) -> str:
    if not rule.proto:
        return ""
    ports = [("sport", rule.sport), ("dport", rule.dport)]
    said = [f"{rule.proto} {where} {{ {words.replace(':', '-')} }}" for where, words in ports if words]
    return " ".join(said) or f"meta l4proto {rule.proto}"


def _address(policy: Policy, word: str, where: str) -> Iterator[str]:
    """One condition for each family; a single empty one where any address fits."""
    plain = word.removeprefix("+").removeprefix("dc/")
    if not word:
        yield ""
    elif word.startswith("+"):
        yield from _in_set(plain, where)
    elif is_name(word):
        yield from _at([str(policy.aliases[plain.lower()].network)], where)
    else:
        yield from _at([part for part in word.split(",") if part], where)


def _in_set(name: str, where: str) -> Iterator[str]:
    for version, family in _FAMILIES.items():
        yes, no = (_named(name, version, kind) for kind in ("yes", "no"))
        yield f"{family} {where} @{yes} {family} {where} != @{no}"


def _at(words: Sequence[str], where: str) -> Iterator[str]:
    for version, family in _FAMILIES.items():
        own = [word for word in words if (":" in word) == (version == 6)]
        if own:
            yield f"{family} {where} {{ {', '.join(map(_strict, own))} }}"


def _strict(word: str) -> str:
    """Host bits are cut: of nft's own way of reading them nothing shall depend."""
    return word if "-" in word else str(ipaddress.ip_network(word, strict=False))
