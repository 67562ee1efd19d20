"""Our edit of Proxmox VE's firewall files: only our own lines, each where it has a meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nutwizard.core.allowed import CLIENT_COMMENT, SET_COMMENT, Wanted
from nutwizard.core.firewallfit import Refused, alive, named_elsewhere, no_other_lines
from nutwizard.core.firewallours import (
    lets_nut_in,
    lines_of,
    marked,
    our_comment,
    shown,
    target,
)
from nutwizard.core.firewallplaces import first_section, into, merge, put, unusable
from nutwizard.core.firewallpolicy import Alias, Entry, Network, Policy, network_of, read_policy
from nutwizard.core.paths import CLUSTER_FW
from nutwizard.formats.pvelines import Edit, Part, header
from nutwizard.formats.pverules import Rule, is_name, read_entry


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
    alive(after, wanted, job.names)
    no_other_lines(before, after, wanted, job.names)
    return after


class _Job:
    """The edit under way; each stage reads the files again, so that lines have their new places."""

    def __init__(self, policy: Policy, wanted: Wanted, elsewhere: frozenset[str]) -> None:
        self.policy, self.wanted, self.elsewhere = policy, wanted, elsewhere
        self.scope = "dc/" if policy.nftables else ""
        self.was_on = lines_of(policy, wanted).on
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
                text = f"{name} {shown(network)} # {our_comment(client.comment or CLIENT_COMMENT)}"
                if known is not None:
                    self._known_alias(edit, known, network, text)
                if self._serves(name, network, bool(client.nomatch)):
                    continue
                if known is None:
                    new[name.lower()] = name, text
                self.names[name.lower()] = bool(client.nomatch)
        self._no_dead_alias(new)
        gone = [alias for alias in self._our_aliases() if alias.name.lower() not in self.names]
        kept = named_elsewhere(self.policy, self.wanted) | self.elsewhere
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
                f"{known.place}: the alias {known.name} is {shown(known.network)} there, and nutwizard"
                " has not made it: give the client another name, or change the alias yourself"
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
            if not is_name(word):
                continue  # an address itself: no client's entry is one
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
            into(file, edit, found[0], new, lambda text: read_entry(text)[1])
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
        lines = lines_of(self.policy, wanted)
        edit = Edit()
        if lines.rule is not None:
            on = lines.rule.rule.enabled and (wanted.enabled or not self.was_on)
            put(file, edit, lines.rule, self._rule(lines.rule.rule, wanted.enabled or on))
            for other in lines.alike if self.was_on and not wanted.enabled else ():
                if other != lines.rule and other.counts:
                    put(file, edit, other, replace(other.rule, enabled=False))
            self._take(edit)
            return
        text = str(self._new_rule(wanted.enabled))
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

    def _new_rule(self, enabled: bool) -> Rule:
        wanted = self.wanted
        return Rule(
            enabled, "IN", "ACCEPT", source=f"+{self.scope}{wanted.ipset}", dest=wanted.dest, proto="tcp",
            dport=str(wanted.port), log=wanted.log, comment=our_comment(wanted.comment),
        )  # fmt: skip

    def _rule(self, old: Rule, enabled: bool) -> Rule:
        """The rule as it is to be: of one without our mark the switch alone, of ours what it says too."""
        wanted = self.wanted
        if not marked(old.comment):
            return replace(old, enabled=enabled)
        if not (lets_nut_in(old, wanted.port) and target(old.source) == wanted.ipset):
            return self._new_rule(enabled)
        log = "" if not old.log and wanted.log == "nolog" else wanted.log
        comment = our_comment(wanted.comment)
        return replace(old, enabled=enabled, dest=wanted.dest, log=log, comment=comment)

    def node(self) -> None:
        """The line on the node, first of all rules, as the web console puts it.

        It is enabled, as in the guide; but not beside a rule that is on (for another node) and is not wanted.
        """
        file, wanted = self.policy.host, self.wanted
        edit, lines = Edit(), lines_of(self.policy, wanted)
        open_ = lines.rule is not None and lines.rule.counts
        new = Rule(
            wanted.enabled or not open_, "GROUP", wanted.group, interface=wanted.interface,
            comment=our_comment(wanted.comment),
        )  # fmt: skip
        if lines.node is not None:
            old = lines.node.rule
            enabled = wanted.enabled or old.enabled
            put(file, edit, lines.node, replace(new if marked(old.comment) else old, enabled=enabled))
        elif lines.everywhere:
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
        edit.dropped |= {ruled.index for ruled in others if ruled != lines.node}
        self._take(edit, host=True)


def _opposite(entry: Entry) -> Refused:
    return Refused(f"{entry.place}: {entry.place.text[:60]} says the opposite: change it yourself")
