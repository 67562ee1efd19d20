"""Where a line of ours goes in Proxmox VE's firewall files, as the web console would put it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from nutwizard.core.allowed import Wanted
from nutwizard.core.firewallpolicy import Ruled
from nutwizard.formats.pvelines import Edit, FirewallFile, Part
from nutwizard.formats.pverules import Rule


def put(file: FirewallFile, edit: Edit, old: Ruled, new: Rule) -> None:
    """Give a rule's line another meaning; where only the switch differs, only its mark comes or goes."""
    if replace(old.rule, enabled=new.enabled) == new:
        if old.rule.enabled != new.enabled:
            before, text, after = file.rows[old.index].raw.decode().rstrip("\n").partition(old.place.text)
            edit.replaced[old.index] = f"{before}{'|' * (not new.enabled)}{text.removeprefix('|')}{after}"
    else:
        edit.replaced[old.index] = str(new)


def into(
    file: FirewallFile, edit: Edit, head: int, texts: Iterable[tuple[str, str]], key: Callable[[str], str]
) -> None:
    """Put lines into a section, in the order in which Proxmox VE keeps them."""
    keys = {i: key(row.text) for i, row in file.lines(head)}
    for name, text in sorted(texts):
        at, crowded = file.place_in(head, name, keys)
        if not keys and crowded and at not in edit.before:
            edit.insert(at, "")
        edit.insert(at, text)


def first_section(file: FirewallFile, behind: int, fits: Callable[[Part, str], bool]) -> int:
    """The first section behind a header that fits; the end where none does."""
    return next((i for i, part, name in file.starts() if i > behind and fits(part, name)), len(file.rows))


def merge(edit: Edit, other: Edit) -> None:
    """Add the lines that another change of the same file puts in."""
    for index, texts in other.before.items():
        edit.insert(index, *texts)


def unusable(data: bytes, file: FirewallFile, wanted: Wanted, path: str) -> str:
    """Why a file is left to its owner."""
    if data.startswith(b"\xef\xbb\xbf"):
        return f"{path} begins with a byte order mark: Proxmox VE does not find its first section"
    if b"\r" in data:
        return f"{path} has Windows line ends: Proxmox VE does not find its sections"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return f"{path}:{line}: this is not UTF-8 text"
    ours = (Part.ALIASES, ""), (Part.IPSET, wanted.ipset), (Part.GROUP, wanted.group)
    for part, name in ours:
        if len(found := file.headers(part, name)) > 1:
            second = file.rows[found[1]]
            return f"{path}:{second.number}: {second.text[:60]} stands here a second time: make one of them"
    return ""
