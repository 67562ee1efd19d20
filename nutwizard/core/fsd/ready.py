"""What has to be so before a forced shutdown is tested, with its evidence: met, to acknowledge, in the way.

Nothing here fires anything; whoever does asks for the host's name besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from nutwizard.core import paths
from nutwizard.core.clients import read_list, same_address
from nutwizard.core.rules.rule import Look
from nutwizard.core.server import is_primary
from nutwizard.core.site import Client
from nutwizard.core.upsmon import Monitor


class Standing(StrEnum):
    """How one thing stands: it is so; a person has to acknowledge that it is not; it keeps the test away."""

    MET = "met"
    ASKED = "to acknowledge"
    BLOCKS = "in the way"


@dataclass(frozen=True)
class Item:
    """One precondition. `key`: a word that never changes; `evidence`: what was found; `fix`: what to do."""

    key: str
    title: str
    standing: Standing
    evidence: str
    fix: str = ""


@dataclass(frozen=True)
class Person:
    """Somebody who is logged in on this machine: name; terminal and from where, "" if not known."""

    name: str
    terminal: str
    origin: str = ""

    def __str__(self) -> str:
        on = f" on {self.terminal}" if self.terminal else ""
        return f"{self.name}{on}" + (f" from {self.origin}" if self.origin else "")


@dataclass(frozen=True)
class Ready:
    """What is known before the test.

    `look`: the examination; `root`: whether this user is root; `logged_in`: by UPS who is logged in to this
    host's upsd, None where it does not tell; `people`: who else is logged in here, None where nothing tells;
    `loads`: what else hangs on the UPS, as a person said, "" where nobody was asked; `unfinished`: which
    change was interrupted, "" for none; `needs`: seconds that the shutdown takes until the UPS cuts the
    power, None where nothing tells.
    """

    look: Look
    root: bool = True
    logged_in: Mapping[str, tuple[str, ...]] | None = None
    people: tuple[Person, ...] | None = ()
    loads: str = ""
    unfinished: str = ""
    needs: float | None = None

    @property
    def watched(self) -> list[Monitor]:
        """The MONITOR lines whose UPS gets FSD: those of this machine's own upsd, as primary."""
        version = self.look.version
        return [each for each in self.look.monitors if each.local and is_primary(each.word, version)]

    @property
    def clients(self) -> tuple[Client, ...]:
        """Who is expected to follow this host's UPS."""
        known = self.look.facts.files.get(paths.CLIENTS_LIST)
        return read_list(known.data) if known is not None else ()

    @property
    def others(self) -> list[str]:
        """The addresses of other machines that are logged in, each once."""
        own = [each.address for each in self.look.facts.addresses()]
        there = dict.fromkeys(each for found in (self.logged_in or {}).values() for each in found)
        return [
            each
            for each in there
            if not each.startswith("127.") and each != "::1" and not any(same_address(each, a) for a in own)
        ]

    def status(self, ups: str) -> str:
        """ups.status as upsd tells it, "" where it does not."""
        return self.look.values.get(ups, {}).get("ups.status", "")


def blocked(found: Iterable[Item]) -> list[Item]:
    """What keeps the test away."""
    return [item for item in found if item.standing is Standing.BLOCKS]


def asked(found: Iterable[Item]) -> list[Item]:
    """What a person has to acknowledge, one by one."""
    return [item for item in found if item.standing is Standing.ASKED]


def flag_of(look: Look) -> str:
    """The file by which upsmon tells the hook to have the power cut, by its own default where none is set."""
    entry = look.upsmon.get("POWERDOWNFLAG")
    return (entry.args[0] if entry is not None and entry.args else "") or paths.KILLPOWER


def strangers(ready: Ready) -> list[str]:
    """Who is logged in and was not expected."""
    known = [own for client in ready.clients for own in client.addresses]
    return [each for each in ready.others if not any(same_address(each, own) for own in known)]
