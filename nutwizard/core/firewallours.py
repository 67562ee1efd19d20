"""What is ours in Proxmox VE's firewall files: what a run wants there, and what is recognised as such.

Ours is what carries our mark at the end of its comment: comments are all that survives a save in the web
console. What a person has made there is recognised by name and meaning, used, and never taken away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nutwizard.core import checks
from nutwizard.core.allowed import BRIDGE, COMMENT, GROUP, MARK, Allowed, Wanted
from nutwizard.core.firewallpolicy import Entry, Network, Place, Policy, Ruled
from nutwizard.core.firewallverdict import has_port
from nutwizard.formats.pverules import Rule
from nutwizard.formats.pvewords import LOG_LEVELS


def marked(comment: str) -> bool:
    """Whether a comment is one of ours."""
    return comment.endswith(MARK)


def our_comment(text: str) -> str:
    """A comment with our mark."""
    return f"{text} {MARK}"


def plain_comment(comment: str) -> str:
    """A comment without our mark."""
    return comment.removesuffix(MARK).rstrip()


def target(word: str) -> str:
    """What -source or -dest names, without its scope."""
    return word.removeprefix("+").removeprefix("dc/")


def lets_nut_in(rule: Rule, port: int | None) -> bool:
    """Whether a rule of a group lets a set of clients reach this port (None: some port) and no other."""
    return (
        (rule.type, rule.action, rule.macro) == ("IN", "ACCEPT", "")
        and rule.source.startswith("+")
        and rule.proto.lower() in ("tcp", "6")
        and not re.search("[,:]", rule.dport)
        and bool(rule.dport)
        and (port is None or has_port(rule.dport, port))
        and not rule.sport
    )


@dataclass(frozen=True, slots=True)
class Lines:
    """The two lines that let the clients in: the group's rule and the one by which this node uses it.

    `alike`: every rule of the group that does the same. `everywhere`: the datacenter's own rules use it.
    """

    rule: Ruled | None
    node: Ruled | None
    alike: tuple[Ruled, ...] = ()
    everywhere: bool = False

    @property
    def on(self) -> bool:
        """Whether the clients are let in."""
        used = self.node.counts if self.node is not None else self.everywhere
        return used and self.rule is not None and self.rule.counts

    @property
    def places(self) -> frozenset[Place]:
        """What switching them changes."""
        return frozenset(each.place for each in (self.rule, self.node) if each is not None)


def lines_of(policy: Policy, wanted: Wanted) -> Lines:
    """The lines of what is wanted as they stand, those that are on before others; a rule of ours, or a line,
    that means something else is one too. One without our mark must mean the same.
    """
    rules = policy.groups.get(wanted.group, [])
    alike = tuple(
        ruled
        for ruled in rules
        if lets_nut_in(ruled.rule, wanted.port)
        and target(ruled.rule.source) == wanted.ipset
        and (marked(ruled.rule.comment) or ruled.rule.dest == wanted.dest)
    )
    ours = [ruled for ruled in rules if marked(ruled.rule.comment)]
    rule = _best(alike) or _best(ours)
    lines = [r for r in policy.host_rules if r.rule.type == "GROUP" and r.rule.action == wanted.group]
    same = [r for r in lines if r.rule.interface == wanted.interface or (not r.rule.interface and r.counts)]
    node = _best(same) or _best([r for r in lines if marked(r.rule.comment)])
    others = (r.rule for r in policy.cluster_rules if r.counts and r.rule.type == "GROUP")
    fits = (wanted.interface, "")
    everywhere = any(each.action == wanted.group and each.interface in fits for each in others)
    return Lines(rule, node, alike, everywhere)


def _best(ruled: Sequence[Ruled]) -> Ruled | None:
    """The first that is on, of those the one with our mark; else the first with our mark, else the first."""
    return min(ruled, key=lambda each: (not each.counts, not marked(each.rule.comment)), default=None)


def found_here(policy: Policy, port: int) -> Wanted | None:
    """What the files have already, made by us or in the web console; None where nothing lets NUT in.

    Of several groups that do the one that this node uses, else the one with the guide's name, else any. Where
    none does for this port, a rule of ours for another one: the port of upsd has changed.
    """
    lines = (*policy.host_rules, *policy.cluster_rules)
    used = [r.rule.action for r in lines if r.rule.type == "GROUP"]
    order = [*used, *(name for name in (GROUP,) if name in policy.groups), *policy.groups]
    for wanted in (port, None):
        for group in dict.fromkeys(order):
            rules = policy.groups.get(group, ())
            fits = [r for r in rules if not r.dead and lets_nut_in(r.rule, wanted)]
            if wanted is None:
                fits = [r for r in fits if marked(r.rule.comment)]
            if (best := _best(fits)) is not None:
                return _as_found(policy, group, best, port)
    return None


def _as_found(policy: Policy, group: str, ruled: Ruled, port: int) -> Wanted:
    rule = ruled.rule
    ipset = target(rule.source)
    here = (*policy.host_rules, *policy.cluster_rules)
    line = _best([r for r in here if (r.rule.type, r.rule.action) == ("GROUP", group)])
    return Wanted(
        tuple(_clients(policy, policy.sets.get(ipset, []))),
        ipset,
        group,
        line.rule.interface if line is not None else BRIDGE,
        port,
        rule.dest,
        rule.log or LOG_LEVELS[0],
        plain_comment(rule.comment) or COMMENT,
        ruled.counts and line is not None and line.counts,
        line is not None,
    )


def _clients(policy: Policy, entries: list[Entry]) -> list[Allowed]:
    """The entries that name an alias, as clients; of ours NAME_2, NAME_3 are further addresses of NAME."""
    found: dict[tuple[str, bool], Allowed] = {}
    for entry in sorted(entries, key=lambda entry: _numbered(entry.word)):
        alias = policy.aliases.get(entry.word.lower())
        if alias is None or checks.firewall_name(alias.name) is not None:
            continue
        comment = _commented(plain_comment(alias.comment))
        base, number = _numbered(alias.name)
        first = found.get((base, entry.nomatch))
        one = Allowed(alias.name, (shown(alias.network),), entry.nomatch, comment)
        further = first is not None and number == len(first.address) + 1 and first.comment == one.comment
        if first is not None and further and marked(alias.comment):
            found[base, entry.nomatch] = replace(first, address=(*first.address, *one.address))
        else:
            found[alias.name.lower(), entry.nomatch] = one
    return sorted(found.values(), key=lambda client: client.name.lower())


def shown(network: Network) -> str:
    """An address or network as Proxmox VE writes it: without /32 and /128."""
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def _commented(comment: str) -> str | None:
    return comment if comment and checks.firewall_comment(comment) is None else None


def _numbered(word: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.+)_([0-9]{1,4})", word)
    return (found[1].lower(), int(found[2])) if found else (word.lower(), 1)
