"""Our edit of Proxmox VE's firewall files: only our own lines, each where it has a meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nutwizard.core.allowed import CLIENT_COMMENT, SET_COMMENT, Wanted
from nutwizard.core.firewallours import (
    lets_nut_in,
    marked,
    node_line,
    our_comment,
    our_rule,
    shown,
    target,
)
from nutwizard.core.firewallplaces import first_section, into, merge, put, unusable
from nutwizard.core.firewallpolicy import Alias, Entry, Network, Policy, Ruled, network_of, read_policy
from nutwizard.core.paths import CLUSTER_FW
from nutwizard.formats.pvelines import Edit, Part, comment_of, header
from nutwizard.formats.pverules import Rule, read_entry


class Refused(ValueError):
    """The files cannot be edited: what stands in the way, with its line."""


def arrange(
    cluster: bytes, host: bytes, wanted: Wanted, host_file: str, elsewhere: frozenset[str] = frozenset()
) -> Policy:
    """Both files with what is wanted in them; on its own output this changes nothing. Raises Refused.

    `elsewhere`: words of other firewall files, in small letters: an alias that stands among them stays.
    """
    before = read_policy(cluster, host, host_file)
    for data, file, path in ((cluster, before.cluster, "cluster.fw"), (host, before.host, "host.fw")):
        if wrong := unusable(data, file, wanted, path):
            raise Refused(wrong)
    job = _Job(before, wanted, elsewhere)
    for stage in (job.aliases, job.entries, job.group, job.node):
        stage()
    after = job.policy
    _alive(after, wanted, job.names)
    if len(after.warnings) > len(before.warnings):
        raise Refused(f"Proxmox VE would not follow a line then: {after.warnings[-1]}")
    return after


class _Job:
    """The edit under way; each stage reads the files again, so that lines have their new places."""

    def __init__(self, policy: Policy, wanted: Wanted, elsewhere: frozenset[str]) -> None:
        self.policy, self.wanted, self.elsewhere = policy, wanted, elsewhere
        self.scope = "dc/" if policy.nftables else ""
        #: By alias in small letters: whether it is to be kept out.
        self.names: dict[str, bool] = {}
        entries = policy.sets.get(wanted.ipset, ())
        #: The person's own entries by what they hold, and every alias that the set names.
        self._theirs = {(e.network, e.nomatch): e for e in entries if not marked(e.comment)}
        self._named = {entry.word.lower() for entry in entries}

    def _take(self, edit: Edit, *, host: bool = False) -> None:
        file = self.policy.host if host else self.policy.cluster
        data = file.edited(edit).to_bytes()
        other = (self.policy.cluster if host else self.policy.host).to_bytes()
        both = (other, data) if host else (data, other)
        self.policy = read_policy(*both, self.policy.host_file)

    def aliases(self) -> None:
        """An alias for each address that the set does not hold already."""
        edit, new = Edit(), dict[str, tuple[str, str]]()
        for client in self.wanted.clients:
            for name, address in client.aliases():
                network = network_of(address)
                assert network is not None
                known = self.policy.aliases.get(name.lower())
                text = f"{name} {_short(network)} # {our_comment(client.comment or CLIENT_COMMENT)}"
                if known is not None:
                    self._known_alias(edit, known, network, text)
                if self._serves(name, network, bool(client.nomatch)):
                    continue
                if known is None:
                    new[name.lower()] = name, text
                self.names[name.lower()] = bool(client.nomatch)
        self._no_dead_alias(new)
        gone = [alias for alias in self._our_aliases() if alias.name.lower() not in self.names]
        kept = _named_elsewhere(self.policy, self.wanted) | self.elsewhere
        edit.dropped |= {alias.index for alias in gone if alias.name.lower() not in kept}
        self._drop_entries(edit)
        if new:
            self._add_aliases(edit, new)
        self._take(edit)

    def _serves(self, name: str, network: Network, nomatch: bool) -> bool:
        """Whether an entry of the person's does it already. Raises Refused where one says the opposite."""
        if other := self._theirs.get((network, not nomatch)):
            raise _opposite(other)
        return (network, nomatch) in self._theirs and name.lower() not in self._named

    def _known_alias(self, edit: Edit, known: Alias, network: Network, text: str) -> None:
        if known.network != network and not marked(known.comment):
            raise Refused(
                f"{known.place}: the alias {known.name} is {shown(known)} there, and nutwizard has not made"
                " it: give the client another name, or change the alias yourself"
            )
        if (known.network != network or marked(known.comment)) and text != known.place.text:
            _, _, rest = text.partition(" ")
            edit.replaced[known.index] = f"{known.name} {rest}"

    def _no_dead_alias(self, new: Mapping[str, tuple[str, str]]) -> None:
        for warned in self.policy.warnings:
            row = self.policy.cluster.rows[warned.place.line - 1] if warned.place.file == CLUSTER_FW else None
            if row is not None and row.part is Part.ALIASES and row.text.split()[0].lower() in new:
                raise Refused(f"{warned}: mend or remove this line first")

    def _our_aliases(self) -> list[Alias]:
        """Those that an entry of ours in the set names."""
        ours = [e for e in self.policy.sets.get(self.wanted.ipset, ()) if marked(e.comment)]
        found = (self.policy.aliases.get(entry.word.lower()) for entry in ours)
        return [alias for alias in found if alias is not None and marked(alias.comment)]

    def _drop_entries(self, edit: Edit) -> None:
        """Entries of ours whose client is gone, or is to be kept out where it was let in."""
        for entry in self.policy.sets.get(self.wanted.ipset, ()):
            word = entry.word.lower()
            wanted = self.names.get(word)
            if wanted == entry.nomatch or (wanted is None and not marked(entry.comment)):
                continue
            if not marked(entry.comment):
                raise _opposite(entry)
            edit.dropped.add(entry.index)

    def _add_aliases(self, edit: Edit, new: Mapping[str, tuple[str, str]]) -> None:
        file = self.policy.cluster
        texts = [(name.lower(), text) for name, text in new.values()]
        if found := file.headers(Part.ALIASES):
            into(file, edit, found[0], texts, lambda text: text.split()[0].lower())
            return
        at = next((i for i, part, _ in file.starts() if part is not Part.OPTIONS), len(file.rows))
        merge(edit, file.add_section(at, header(Part.ALIASES), [text for _, text in sorted(texts)]))

    def entries(self) -> None:
        """An entry of the set for each alias."""
        file, name = self.policy.cluster, self.wanted.ipset
        there = {entry.word.lower(): entry for entry in self.policy.sets.get(name, ())}
        new, edit = [], Edit()
        for client in self.wanted.clients:
            comment = our_comment(client.comment or CLIENT_COMMENT)
            for alias in (alias.lower() for alias, _ in client.aliases()):
                old = there.get(alias)
                if old is not None and marked(old.comment) and old.comment != comment:
                    code = old.place.text.partition("#")[0].rstrip()
                    edit.replaced[old.index] = f"{code} # {comment}"
                elif old is None and alias in self.names:
                    word = f"{self.scope}{self.policy.aliases[alias].name}"
                    new.append((word, f"{'!' * bool(client.nomatch)}{word} # {comment}"))
        if found := file.headers(Part.IPSET, name):
            into(file, edit, found[0], new, lambda text: text.lstrip("!").split()[0])
        else:
            behind = next(iter(file.headers(Part.ALIASES)), -1)
            before = (Part.OPTIONS, Part.IPSET)
            at = first_section(file, behind, lambda part, other: part not in before or other > name)
            head = header(Part.IPSET, name, our_comment(SET_COMMENT))
            merge(edit, file.add_section(at, head, [text for _, text in sorted(new)]))
        self._take(edit)

    def group(self) -> None:
        """The group with its one rule."""
        file, wanted = self.policy.cluster, self.wanted
        found = our_rule(self.policy, wanted.group, wanted.ipset, wanted.port)
        edit = Edit()
        if found is not None:
            put(file, edit, found, self._rule(found.rule))
            for other in self._alike(found):
                put(file, edit, other, replace(other.rule, enabled=False))
            self._take(edit)
            return
        text = str(self._rule(None))
        if heads := file.headers(Part.GROUP, wanted.group):
            if others := list(file.lines(heads[0])):
                row = others[0][1]
                raise Refused(
                    f"cluster.fw:{row.number}: the security group {wanted.group} has another rule already"
                    f" ({row.text[:60]}): take another name for the group, or change that rule yourself"
                )
            into(file, edit, heads[0], [("", text)], lambda text: text)
        else:
            behind = next(iter(file.headers(Part.IPSET, wanted.ipset)), -1)
            at = first_section(file, behind, lambda part, other: part is Part.GROUP and other > wanted.group)
            head = header(Part.GROUP, wanted.group, our_comment(wanted.comment))
            merge(edit, file.add_section(at, head, [text]))
        self._take(edit)

    def _alike(self, found: Ruled) -> list[Ruled]:
        """Rules that are on and would let the clients in all the same when this one is to be off."""
        wanted = self.wanted
        rules = [] if wanted.enabled else self.policy.groups[wanted.group]
        return [
            other
            for other in rules
            if other != found
            and other.counts
            and lets_nut_in(other.rule, wanted.port)
            and target(other.rule.source) == wanted.ipset
        ]

    def _rule(self, old: Rule | None) -> Rule:
        """The rule as it is to be; of one that is there what means the same stays as it is written."""
        wanted = self.wanted
        comment = our_comment(wanted.comment)
        new = Rule(
            wanted.enabled, "IN", "ACCEPT", source=f"+{self.scope}{wanted.ipset}", dest=wanted.dest,
            proto="tcp", dport=str(wanted.port), log=wanted.log, comment=comment,
        )  # fmt: skip
        if old is None:
            return new
        if not (lets_nut_in(old, wanted.port) and target(old.source) == wanted.ipset):
            return new
        quiet = not old.log and wanted.log == "nolog"
        kept = comment if marked(old.comment) else old.comment
        return replace(
            old, enabled=wanted.enabled, dest=wanted.dest, log="" if quiet else wanted.log, comment=kept
        )

    def node(self) -> None:
        """The line on the node: first of all rules, as the web console puts it, and always enabled."""
        file, wanted = self.policy.host, self.wanted
        edit = Edit()
        found = node_line(self.policy, wanted.group, wanted.interface)
        new = Rule(
            True, "GROUP", wanted.group, interface=wanted.interface, comment=our_comment(wanted.comment)
        )
        if found is not None:
            old = found.rule
            put(file, edit, found, new if marked(old.comment) else replace(old, enabled=True))
        elif self._everywhere():
            pass
        elif heads := file.headers(Part.RULES):
            first = next((i for i, _ in file.lines(heads[0])), None)
            if first is None:
                into(file, edit, heads[0], [("", str(new))], lambda text: text)
            else:
                edit.insert(file.above_comments(first), str(new))
        else:
            merge(edit, file.add_section(len(file.rows), header(Part.RULES), [str(new)]))
        others = (r for r in self.policy.host_rules if r.rule.type == "GROUP" and marked(r.rule.comment))
        edit.dropped |= {ruled.index for ruled in others if ruled.rule.action != wanted.group}
        self._take(edit, host=True)

    def _everywhere(self) -> bool:
        """Whether the datacenter's own rules use the group, for every node."""
        rules = (r.rule for r in self.policy.cluster_rules if r.counts and r.rule.type == "GROUP")
        fits = (self.wanted.interface, "")
        return any(rule.action == self.wanted.group and rule.interface in fits for rule in rules)


def _short(network: Network) -> str:
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def _opposite(entry: Entry) -> Refused:
    return Refused(f"{entry.place}: {entry.place.text[:60]} says the opposite: change it yourself")


def _named_elsewhere(policy: Policy, wanted: Wanted) -> set[str]:
    """The aliases, in small letters, that something beside our own entries names."""
    lines = (row for row in policy.cluster.rows if row.kind == "line" and row.part is Part.IPSET)
    words = {
        read_entry(row.text)[1]
        for row in lines
        if not (row.name == wanted.ipset and marked(comment_of(row.text)))
    }
    rules = [*policy.host_rules, *policy.cluster_rules, *(r for g in policy.groups.values() for r in g)]
    words |= {word for r in rules for word in (r.rule.source, r.rule.dest)}
    return {target(word).lower() for word in words}


def _alive(policy: Policy, wanted: Wanted, names: Mapping[str, bool]) -> None:
    """Raises Refused where something of ours would be dead: it stands above what it names."""
    words = {entry.word.lower() for entry in policy.sets.get(wanted.ipset, ())}
    lost = [name for name in names if name not in words]
    if lost:
        raise Refused(f"the IPSet {wanted.ipset} stands above the alias {lost[0]}: move [ALIASES] to the top")
    rule = our_rule(policy, wanted.group, wanted.ipset, wanted.port)
    if rule is None or rule.dead:
        where = f"{rule.place}: {rule.dead}" if rule is not None else f"the group {wanted.group} has no rule"
        above = rule is not None and wanted.ipset in rule.dead
        advice = f": move the IPSet {wanted.ipset} above the group {wanted.group}" if above else ""
        raise Refused(f"{where}{advice}")
