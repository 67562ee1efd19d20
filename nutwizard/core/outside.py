"""What no program can see of a site, as a person answered it: a small file of `name value` lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

YES, NO, UNKNOWN = "yes", "no", "unknown"


@dataclass(frozen=True)
class Outside:
    """Each "yes", "no" or "unknown". `switch`: the network between this host and its clients is on the UPS;
    `restart`: this host starts by itself when its power comes back (BIOS); `load`: this host itself is on a
    battery outlet of the UPS that it watches.
    """

    switch: str = UNKNOWN
    restart: str = UNKNOWN
    load: str = UNKNOWN


def read_outside(data: bytes) -> Outside:
    """The answers of the file; what it does not say, or says in other words, is unknown."""
    found: dict[str, str] = {}
    for line in data.decode("ascii", "replace").splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and words[1] in (YES, NO):
            found[words[0]] = words[1]
    known: Mapping[str, str] = {each.name: found[each.name] for each in fields(Outside) if each.name in found}
    return replace(Outside(), **known)


def outside_text(answers: Outside) -> bytes:
    """The file that says these answers."""
    lines = [
        "# What no program can see; nutwizard step outside asks for it.",
        *(f"{each.name} {getattr(answers, each.name)}" for each in fields(Outside)),
    ]
    return "".join(f"{line}\n" for line in lines).encode()
