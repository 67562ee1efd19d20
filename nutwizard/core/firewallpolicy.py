"""What Proxmox VE's firewall makes of cluster.fw and host.fw: names, rules, and the lines that are dead.

A line that names what stands further down is dead without a word of the daemon; so this reads in its order.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nutwizard.core.firewallsets import Held
from nutwizard.core.paths import CLUSTER_FW, HOST_FW
from nutwizard.formats.pvelines import FirewallFile, Part, Row
from nutwizard.formats.pverules import Rule, is_name, read_alias, read_entry, read_rule

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Any larger number than 1 is a time (epoch seconds): it is on until so long after it.
_TRIAL = 60.0
_NO_ADDRESS = "it is no address and no network"
_SWITCHES = (
    "nosmurfs tcpflags ndp log_nf_conntrack nf_conntrack_allow_invalid protection_synflood nftables".split()
)
_HOST_OPTION = re.compile(
    rf"(enable|{'|'.join(_SWITCHES)}):\s*[01]"
    r"|(log_level_(in|out|forward)|tcp_flags_log_level|smurf_log_level):\s*[a-z]*"
    r"|(nf_conntrack_[a-z_]+|protection_synflood_(rate|burst)):\s*\S+",
    re.IGNORECASE | re.ASCII,
)
_CLUSTER_OPTION = re.compile(
    r"enable:\s*\d+|ebtables:\s*[01]|policy_(in|out|forward):\s*(ACCEPT|DROP|REJECT)|log_ratelimit:\s*\S+",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A line of one of the two files; `line` counts from 1."""

    file: str
    line: int
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Warned:
    """A line that Proxmox VE does not follow, and why."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a set that counts. `word`: the address or alias as written, without its scope."""

    place: Place
    index: int
    nomatch: bool
    word: str
    network: Network
    comment: str


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias. `name`: as written; names are compared in small letters."""

    place: Place
    index: int
    name: str
    network: Network
    comment: str


@dataclass(frozen=True, slots=True)
class Ruled:
    """A rule and where it stands. `dead`: why it does nothing though it is there, "" for one that counts."""

    place: Place
    index: int
    rule: Rule
    dead: str = ""

    @property
    def counts(self) -> bool:
        return self.rule.enabled and not self.dead


@dataclass
class Policy:
    """Both files as the daemon reads them. `aliases` by name in small letters, `sets` and `groups` by name.

    `host_on`: the firewall of this node; `nftables`: it is run by proxmox-firewall, which gives up a whole
    file at the first line that it cannot read.
    """

    cluster: FirewallFile
    host: FirewallFile
    host_file: str = HOST_FW
    enable: int | None = None
    policy_in: str = "DROP"
    host_on: bool = True
    nftables: bool = False
    aliases: dict[str, Alias] = field(default_factory=dict)
    sets: dict[str, list[Entry]] = field(default_factory=dict)
    groups: dict[str, list[Ruled]] = field(default_factory=dict)
    cluster_rules: list[Ruled] = field(default_factory=list)
    host_rules: list[Ruled] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    _held: dict[str, Held] = field(default_factory=dict, repr=False, compare=False)

    def held(self, name: str) -> Held:
        """A set, to be asked for addresses; an empty one where there is none of this name."""
        if name not in self._held:
            self._held[name] = Held(self.sets.get(name, ()))
        return self._held[name]

    def on(self, now: float) -> bool:
        """Whether packets to this node are filtered at that moment (epoch seconds)."""
        return self.cluster_on(now) and self.host_on

    def cluster_on(self, now: float) -> bool:
        """Whether the datacenter's firewall is on."""
        since = self.enable or 0
        return since == 1 or (since > 1 and now - since <= _TRIAL)


def read_policy(cluster: bytes, host: bytes, host_file: str = HOST_FW) -> Policy:
    """Read both files; any bytes. A file that is not there reads as an empty one."""
    found = Policy(FirewallFile.parse(cluster), FirewallFile.parse(host, host=True), host_file)
    _Reader(found, found.cluster, CLUSTER_FW).read()
    _Reader(found, found.host, host_file).read()
    for ruled in (*found.host_rules, *found.cluster_rules):
        if ruled.counts and ruled.rule.type == "GROUP" and ruled.rule.action not in found.groups:
            text = f"there is no security group {ruled.rule.action}"
            found.warnings.append(Warned(ruled.place, text))
    found.warnings.sort(key=lambda warned: (warned.place.file != CLUSTER_FW, warned.place.line))
    return found


def network_of(word: str) -> Network | None:
    """The address or network of a text; host bits are allowed. None when it is neither."""
    try:
        return None if "%" in word else ipaddress.ip_network(word, strict=False)
    except ValueError:
        return None


class _Reader:
    """One pass over one file, in its order."""

    def __init__(self, policy: Policy, file: FirewallFile, path: str) -> None:
        self.policy, self.file, self.path = policy, file, path
        self._words: dict[str, set[str]] = {}

    def read(self) -> None:
        readers = {
            Part.OPTIONS: self._option,
            Part.ALIASES: self._alias,
            Part.IPSET: self._entry,
            Part.RULES: self._rule,
            Part.GROUP: self._rule,
            None: self._stray,
        }
        for index, row in enumerate(self.file.rows):
            if row.kind == "header":
                self._begin(row)
            elif row.kind == "line":
                readers[row.part](index, row)

    def _begin(self, row: Row) -> None:
        """A second section of one name takes the place of the first."""
        if row.part is None:
            self._warn(row, "its name is too long or none, so all of this section is skipped")
        elif row.part is Part.IPSET:
            self.policy.sets[row.name] = []
            self._words[row.name] = set()
        elif row.part is Part.GROUP:
            self.policy.groups[row.name] = []

    def _place(self, row: Row) -> Place:
        return Place(self.path, row.number, row.text)

    def _warn(self, row: Row, text: str) -> None:
        self.policy.warnings.append(Warned(self._place(row), text))

    def _stray(self, index: int, row: Row) -> None:
        self._warn(row, "it stands in no section")

    def _option(self, index: int, row: Row) -> None:
        known = _HOST_OPTION if self.file.host else _CLUSTER_OPTION
        if not known.fullmatch(row.text):
            self._warn(row, "this option cannot be read")
            return
        name, _, value = row.text.partition(":")
        name, value = name.lower(), value.strip()
        if self.file.host and name == "enable":
            self.policy.host_on = value == "1"
        elif self.file.host and name == "nftables":
            self.policy.nftables = value == "1"
        elif name == "enable":
            self.policy.enable = int(value[:15])
        elif name == "policy_in":
            self.policy.policy_in = value.upper()

    def _alias(self, index: int, row: Row) -> None:
        found = read_alias(row.text)
        network = network_of(found[1]) if found else None
        if found is None or network is None:
            self._warn(row, _NO_ADDRESS if found else "an alias is a name, one blank, an address")
            return
        comment = row.text.partition("#")[2].strip()
        alias = Alias(self._place(row), index, found[0], network, comment)
        self.policy.aliases[found[0].lower()] = alias

    def _entry(self, index: int, row: Row) -> None:
        nomatch, word = read_entry(row.text)
        seen = self._words[row.name]
        network, wrong = self._network(word)
        if word in seen and not wrong:
            wrong = "it stands in this set already"
        elif network is not None and network.prefixlen == 0:
            wrong = "a set takes no network of the length /0"
        if wrong or network is None:
            self._warn(row, wrong)
            return
        seen.add(word)
        comment = row.text.partition("#")[2].strip()
        plain = word.removeprefix("dc/")
        self.policy.sets[row.name].append(Entry(self._place(row), index, nomatch, plain, network, comment))

    def _network(self, word: str) -> tuple[Network | None, str]:
        """What an entry stands for, and what is wrong with it."""
        if network := network_of(word):
            return network, ""
        alias = self.policy.aliases.get(word.removeprefix("dc/").lower()) if is_name(word) else None
        if alias is None:
            return None, "there is no such alias further up" if is_name(word) else _NO_ADDRESS
        return alias.network, ""

    def _rule(self, index: int, row: Row) -> None:
        try:
            rule = read_rule(row.text)
        except ValueError as error:
            self._warn(row, str(error))
            return
        wrong = next(self._wrong(rule, in_group=row.part is Part.GROUP), "")
        if wrong:
            self._warn(row, wrong)
        ruled = Ruled(self._place(row), index, rule, wrong)
        if row.part is Part.GROUP:
            self.policy.groups[row.name].append(ruled)
        else:
            (self.policy.host_rules if self.file.host else self.policy.cluster_rules).append(ruled)

    def _wrong(self, rule: Rule, *, in_group: bool) -> Iterator[str]:
        """Why a rule that can be read is dead."""
        if in_group and rule.type == "GROUP":
            yield "a group takes no other group"
        if in_group and rule.interface:
            yield "inside a group no rule takes -i: the group's own line on the node has it"
        for word in (rule.source, rule.dest):
            if wrong := self._reference(word):
                yield wrong

    def _reference(self, word: str) -> str:
        """What is wrong with what -source or -dest names, "" when nothing is."""
        plain = word.removeprefix("+").removeprefix("dc/")
        if word.startswith("+"):
            return "" if plain in self.policy.sets else f"there is no IPSet {plain[:64]} further up"
        if is_name(word):
            known = plain.lower() in self.policy.aliases
            return "" if known else f"there is no alias {plain[:64]} further up (a set is named with a +)"
        wrong = [part for part in word.split(",") if part and not ranges(part)]
        return f"{wrong[0][:60]} is no address and no network" if wrong else ""


def ranges(word: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...]:
    """First and last address of an address, a network or a range A-B; empty when it is none of them."""
    first, dash, last = word.partition("-")
    try:
        if dash:
            return ipaddress.ip_address(first), ipaddress.ip_address(last)
        network = ipaddress.ip_network(word, strict=False)
    except ValueError:
        return ()
    return network[0], network[-1]
