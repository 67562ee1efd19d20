"""What an edit of Proxmox VE's firewall must not do: leave ours dead, or change what others' lines do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from nutwizard.core.allowed import Wanted
from nutwizard.core.firewallours import lines_of, marked, target
from nutwizard.core.firewallpolicy import Policy, Warned
from nutwizard.core.paths import CLUSTER_FW
from nutwizard.formats.pvelines import Part, comment_of
from nutwizard.formats.pverules import read_entry


class Refused(ValueError):
    """The files cannot be edited: what stands in the way, with its line."""


def named_elsewhere(policy: Policy, wanted: Wanted) -> set[str]:
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


def no_other_lines(before: Policy, after: Policy, wanted: Wanted, names: Mapping[str, bool]) -> None:
    """Raises Refused where a line that Proxmox VE follows now would be dead then, or one that is dead and not
    about our clients would come alive: nobody has asked for that.
    """
    old, new = (Counter(map(_known_by, policy.warnings)) for policy in (before, after))
    for warned in after.warnings:
        if new[_known_by(warned)] > old[_known_by(warned)]:
            raise Refused(f"Proxmox VE would not follow a line then: {warned}")
    for warned in before.warnings:
        if old[_known_by(warned)] > new[_known_by(warned)] and not _meant(warned, before, wanted, names):
            text = f"{warned.text}; with our lines it would count: mend or remove it first"
            raise Refused(f"{warned.place}: {warned.place.text[:60]}: {text}")


def _known_by(warned: Warned) -> tuple[str, str, str]:
    return warned.place.file, warned.place.text, warned.text


def _meant(warned: Warned, policy: Policy, wanted: Wanted, names: Mapping[str, bool]) -> bool:
    """Whether a dead line is ours, an entry of our set for a client, or uses our group on this node."""
    place = warned.place
    if marked(comment_of(place.text)):
        return True
    if place.file != CLUSTER_FW:
        return place.text.partition("#")[0].split()[:2] == ["GROUP", wanted.group]
    row = policy.cluster.rows[place.line - 1]
    nomatch, word = read_entry(place.text)
    ours = row.part is Part.IPSET and row.name == wanted.ipset
    return ours and names.get(word.removeprefix("dc/").lower()) == nomatch


def alive(policy: Policy, wanted: Wanted, names: Mapping[str, bool]) -> None:
    """Raises Refused where something of ours would be dead: it stands above what it names."""
    words = {entry.word.lower() for entry in policy.sets.get(wanted.ipset, ())}
    lost = [name for name in names if name not in words]
    if lost:
        raise Refused(f"the IPSet {wanted.ipset} stands above the alias {lost[0]}: move [ALIASES] to the top")
    rule = lines_of(policy, wanted).rule
    if rule is None or rule.dead:
        where = f"{rule.place}: {rule.dead}" if rule is not None else f"the group {wanted.group} has no rule"
        above = rule is not None and wanted.ipset in rule.dead
        advice = f": move the IPSet {wanted.ipset} above the group {wanted.group}" if above else ""
        raise Refused(f"{where}{advice}")
