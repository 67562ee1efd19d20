"""Would Proxmox VE's firewall let a TCP packet in, and which line decides?

The order is that of the host's zone as measured: the set `blacklist`; the rules of host.fw; those of
cluster.fw; the management ports for the node's own network and the set `management`; then policy_in. The
first that fits decides.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nutwizard.core.firewallpolicy import Network, Place, Policy, Ruled, Warned, ranges
from nutwizard.core.paths import CLUSTER_FW
from nutwizard.formats.pverules import is_name

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Ports that Proxmox VE opens to the node's own network by itself: NUT's is not among them.
MANAGEMENT = ((8006, 8006), (5900, 5999), (3128, 3128), (22, 22), (60000, 60050))
#: Names of ports as Debian's /etc/services has them; a port of another name fits nothing here.
SERVICES: Mapping[str, int] = {
    "nut": 3493, "ssh": 22, "http": 80, "https": 443, "domain": 53, "smtp": 25, "snmp": 161, "nfs": 2049,
}  # fmt: skip
#: Ports of the macros that have one or two. None of Proxmox VE's macros is about NUT or its port.
_MACROS: Mapping[str, tuple[int, ...]] = {
    "SSH": (22,), "HTTP": (80,), "HTTPS": (443,), "Web": (80, 443), "SMTP": (25,), "DNS": (53,),
}  # fmt: skip
_SAYS: Mapping[str, str] = {
    "ACCEPT": "this rule lets it in",
    "DROP": "this rule drops it without an answer",
    "REJECT": "this rule refuses it with an answer",
}


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a TCP connection to this node.

    `interface`: through which it comes; `dest`: the node's address, "" where it is not known: then a rule
    with a destination counts as one that fits. `local`: the node's own networks.
    """

    source: str
    port: int
    interface: str = "vmbr0"
    dest: str = ""
    local: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`action`: ACCEPT, DROP or REJECT. `firewall`: whether packets to this node are filtered at all.

    `place`: the line that decides, None where none does; `via`: the line on the node that uses its group.
    `why`: a sentence. `off`: lines that would let the packet in and are switched off.
    """

    action: str
    firewall: bool
    why: str
    place: Place | None = None
    via: Place | None = None
    warnings: tuple[Warned, ...] = ()
    off: tuple[Place, ...] = ()

    @property
    def lets_in(self) -> bool:
        return self.action == "ACCEPT"


def verdict(policy: Policy, packet: Packet, now: float) -> Verdict:
    """What becomes of the packet at that moment (epoch seconds). Raises ValueError for a bad address."""
    source = ipaddress.ip_address(packet.source)
    warnings = tuple(policy.warnings)
    if not policy.cluster_on(now):
        why = "the firewall of the datacenter is off: every port is open"
        return Verdict("ACCEPT", False, why, _option(policy, "enable"), warnings=warnings)
    if not policy.host_on:
        why = "the firewall of this node is off: every port is open"
        return Verdict("ACCEPT", False, why, _option(policy, "enable", host=True), warnings=warnings)
    return _Walk(policy, packet, source, warnings).verdict()


def _option(policy: Policy, name: str, *, host: bool = False) -> Place | None:
    """The last line that sets this option."""
    file, path = (policy.host, policy.host_file) if host else (policy.cluster, CLUSTER_FW)
    rows = [row for row in file.rows if row.part == "options" and row.kind == "line"]
    found = [row for row in rows if row.text.lower().startswith(f"{name}:")]
    return Place(path, found[-1].number, found[-1].text) if found else None


@dataclass(frozen=True, slots=True)
class _Walk:
    policy: Policy
    packet: Packet
    source: IpAddress
    warnings: tuple[Warned, ...]

    def verdict(self) -> Verdict:
        black = self.policy.held("blacklist").closest(self.source)
        if black is not None and not black.nomatch:
            why = "the set blacklist drops it before any rule"
            return Verdict("DROP", True, why, black.place, warnings=self.warnings)
        for rules in (self.policy.host_rules, self.policy.cluster_rules):
            for ruled, via in self._flat(rules):
                if self._fits(ruled):
                    action = ruled.rule.action
                    return self._end(action, _SAYS[action], ruled.place, via.place if via else None)
        if found := self._management():
            return found
        name = self.policy.policy_in
        place = _option(self.policy, "policy_in")
        return self._end(name, f"no rule fits, and the policy for incoming packets is {name}", place)

    def _end(self, action: str, why: str, place: Place | None, via: Place | None = None) -> Verdict:
        off = () if action == "ACCEPT" else self._off()
        return Verdict(action, True, why, place, via, self.warnings, off)

    def _flat(self, rules: Sequence[Ruled], *, off: bool = False) -> Iterator[tuple[Ruled, Ruled | None]]:
        """The rules in force with the group's line above them; with `off` also those switched off."""
        for ruled in rules:
            if ruled.dead or not (off or ruled.counts) or not self._comes_through(ruled.rule.interface):
                continue
            if ruled.rule.type != "GROUP":
                yield ruled, None
                continue
            for inner in self.policy.groups.get(ruled.rule.action, ()):
                if not inner.dead and (off or inner.counts):
                    yield inner, ruled

    def _off(self) -> tuple[Place, ...]:
        """The lines of the first rule that would let it in if they were not switched off."""
        for rules in (self.policy.host_rules, self.policy.cluster_rules):
            for ruled, via in self._flat(rules, off=True):
                if not self._fits(ruled):
                    continue
                lines = [line.place for line in (ruled, via) if line is not None and not line.rule.enabled]
                if not lines:
                    return ()  # this one decides before any below it
                if ruled.rule.action == "ACCEPT":
                    return tuple(lines)
        return ()

    def _comes_through(self, interface: str) -> bool:
        return not interface or interface == self.packet.interface

    def _fits(self, ruled: Ruled) -> bool:
        rule = ruled.rule
        if rule.type != "IN" or (rule.proto and rule.proto.lower() not in ("tcp", "6")):
            return False
        if rule.macro and self.packet.port not in _MACROS.get(rule.macro, ()):
            return False
        if rule.sport or (rule.dport and not has_port(rule.dport, self.packet.port)):
            return False  # the sender's port is another one each time
        return self._from(rule.source, self.source) and self._to(rule.dest)

    def _to(self, word: str) -> bool:
        if word and self.packet.dest:
            return self._from(word, ipaddress.ip_address(self.packet.dest))
        ends = [ends for part in word.split(",") if (ends := ranges(part))]
        return not ends or any(first.version == self.source.version for first, *_ in ends)

    def _from(self, word: str, address: IpAddress) -> bool:
        """Whether an address is what -source or -dest names."""
        if not word:
            return True
        plain = word.removeprefix("+").removeprefix("dc/")
        if word.startswith("+"):
            entry = self.policy.held(plain).closest(address)
            return entry is not None and not entry.nomatch
        if is_name(word):
            return address in self.policy.aliases[plain.lower()].network
        return any(_between(address, ranges(part)) for part in word.split(",") if part)

    def _management(self) -> Verdict | None:
        if not any(low <= self.packet.port <= high for low, high in MANAGEMENT):
            return None
        entry = self.policy.held("management").closest(self.source)
        if entry is not None and not entry.nomatch:
            return self._end("ACCEPT", "the set management opens Proxmox VE's own ports", entry.place)
        alias = self.policy.aliases.get("local_network")
        if alias is not None and self.source in alias.network:
            return self._end("ACCEPT", "the node's own network may use this port", alias.place)
        if alias is None and any(self.source in network for network in _networks(self.packet.local)):
            return self._end("ACCEPT", "the node's own network may use this port", None)
        return None


def has_port(words: str, port: int) -> bool:
    """Whether a list of ports, ranges A:B and names of services holds a port."""
    for word in words.split(","):
        low, colon, high = word.partition(":")
        if colon and low.isdigit() and high.isdigit() and int(low) <= port <= int(high):
            return True
        if not colon and (int(low) if low.isdigit() else SERVICES.get(low)) == port:
            return True
    return False


def _between(address: IpAddress, ends: Sequence[IpAddress]) -> bool:
    return bool(ends) and ends[0].version == address.version and int(ends[0]) <= int(address) <= int(ends[1])


def _networks(words: Sequence[str]) -> list[Network]:
    return [ipaddress.ip_network(word, strict=False) for word in words]
