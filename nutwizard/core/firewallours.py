"""What is ours in Proxmox VE's firewall files: what a run wants there, and what is recognised as such.

Ours is what carries our mark at the end of its comment: comments are all that survives a save in the web
console. What a person has made there is recognised by name and meaning, used, and never taken away.
"""

from __future__ import annotations

import re
from dataclasses import replace

from nutwizard.core import checks
from nutwizard.core.allowed import BRIDGE, COMMENT, GROUP, MARK, Allowed, Wanted
from nutwizard.core.firewallpolicy import Alias, Entry, Policy, Ruled
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


def lets_nut_in(rule: Rule, port: int) -> bool:
    """Whether a rule of a group lets a set of clients reach this port and no other."""
    return (
        (rule.type, rule.action, rule.macro) == ("IN", "ACCEPT", "")
        and rule.source.startswith("+")
        and rule.proto.lower() in ("tcp", "6")
        and not re.search("[,:]", rule.dport)
        and bool(rule.dport)
        and has_port(rule.dport, port)
        and not rule.sport
    )


def our_rule(policy: Policy, group: str, ipset: str, port: int) -> Ruled | None:
    """The rule of a group that does what ours is to do, else one with our mark."""
    rules = policy.groups.get(group, [])
    same = (r for r in rules if lets_nut_in(r.rule, port) and target(r.rule.source) == ipset)
    return next(same, None) or next((r for r in rules if marked(r.rule.comment)), None)


def node_line(policy: Policy, group: str, interface: str) -> Ruled | None:
    """The line of host.fw that uses the group: for this interface or for any, else one with our mark."""
    lines = [r for r in policy.host_rules if r.rule.type == "GROUP" and r.rule.action == group]
    same = (r for r in lines if r.rule.interface in (interface, ""))
    return next(same, None) or next((r for r in lines if marked(r.rule.comment)), None)


def found_here(policy: Policy, port: int) -> Wanted | None:
    """What the files have already, made by us or in the web console; None where nothing lets NUT in.

    Of several groups that do the one that this node uses, else the one with the guide's name, else any.
    """
    lines = (*policy.host_rules, *policy.cluster_rules)
    used = [r.rule.action for r in lines if r.rule.type == "GROUP"]
    order = [*used, *(name for name in (GROUP,) if name in policy.groups), *policy.groups]
    for group in dict.fromkeys(order):
        for ruled in policy.groups.get(group, ()):
            if not ruled.dead and lets_nut_in(ruled.rule, port):
                return _as_found(policy, group, ruled, port)
    return None


def _as_found(policy: Policy, group: str, ruled: Ruled, port: int) -> Wanted:
    rule = ruled.rule
    ipset = target(rule.source)
    lines = (*policy.host_rules, *policy.cluster_rules)
    line = next((r for r in lines if (r.rule.type, r.rule.action) == ("GROUP", group)), None)
    return Wanted(
        tuple(_clients(policy, policy.sets.get(ipset, []))),
        ipset,
        group,
        line.rule.interface if line is not None else BRIDGE,
        port,
        rule.dest,
        rule.log or LOG_LEVELS[0],
        plain_comment(rule.comment) or COMMENT,
        rule.enabled,
    )


def _clients(policy: Policy, entries: list[Entry]) -> list[Allowed]:
    """The entries that name an alias, as clients; NAME_2 of ours is a further address of NAME."""
    found: dict[tuple[str, bool], Allowed] = {}
    for entry in sorted(entries, key=lambda entry: _numbered(entry.word)):
        alias = policy.aliases.get(entry.word.lower())
        if alias is None or checks.firewall_name(alias.name) is not None:
            continue
        base = _base(alias)
        first = found.get((base.lower(), entry.nomatch))
        if first is not None:
            found[base.lower(), entry.nomatch] = replace(first, address=(*first.address, shown(alias)))
            continue
        comment = plain_comment(alias.comment)
        client = Allowed(alias.name, (shown(alias),), entry.nomatch, _commented(comment))
        found[alias.name.lower(), entry.nomatch] = client
    return sorted(found.values(), key=lambda client: client.name.lower())


def shown(alias: Alias) -> str:
    """An alias's address as Proxmox VE writes it: without /32 and /128."""
    network = alias.network
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def _commented(comment: str) -> str | None:
    return comment if comment and checks.firewall_comment(comment) is None else None


def _base(alias: Alias) -> str:
    found = re.fullmatch(r"(.+)_(\d+)", alias.name)
    return found[1] if found and marked(alias.comment) else alias.name


def _numbered(word: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.+)_([0-9]{1,4})", word)
    return (found[1].lower(), int(found[2])) if found else (word.lower(), 1)
