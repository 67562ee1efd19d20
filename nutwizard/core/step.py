"""What a step is: one page of the guide, with its fields, its edit and its proof."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nutwizard.core import paths
from nutwizard.core.answers import Proposed
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Facts, Role
from nutwizard.core.fields import Choice
from nutwizard.core.links import Link
from nutwizard.core.plan import FileChange
from nutwizard.core.site import Site
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile
from nutwizard.formats.shellfile import ShellFile

if TYPE_CHECKING:
    from nutwizard.core.draft import Draft
    from nutwizard.core.firewallpolicy import Policy

A = TypeVar("A")
D = TypeVar("D")


@dataclass(frozen=True)
class View:
    """What a step may look at: facts, the values that earlier steps published, and the texts of assets.

    The documents are the files as found, parsed once, for reading only: a step writes through its draft.
    """

    facts: Facts
    site: Site
    asset: Callable[[str], str] = field(default=lambda name: "", compare=False)
    parsed: dict[tuple[str, bool], Any] = field(default_factory=dict, compare=False, repr=False)

    def nut(self, path: str) -> NutFile:
        """upsd.conf, upsmon.conf or upssched.conf as found."""
        return self._once(path, False, NutFile.parse)

    def sections(self, path: str, *, users: bool = False) -> SectionFile:
        """ups.conf, or with `users` upsd.users, as found."""
        return self._once(path, users, lambda data: SectionFile.parse(data, users=users))

    def shell(self, path: str) -> ShellFile:
        """nut.conf as found."""
        return self._once(path, False, ShellFile.parse)

    def firewall(self) -> Policy:
        """What Proxmox VE's firewall makes of cluster.fw and host.fw as found."""
        if (paths.CLUSTER_FW, False) not in self.parsed:
            from nutwizard.core.firewallpolicy import read_policy  # costs, and only a host needs it

            cluster, host = self.facts.file(paths.CLUSTER_FW), self.facts.file(paths.HOST_FW)
            self.parsed[paths.CLUSTER_FW, False] = read_policy(cluster.data, host.data, host.actual)
        found: Policy = self.parsed[paths.CLUSTER_FW, False]
        return found

    def _once(self, path: str, users: bool, parse: Callable[[bytes], D]) -> D:
        if (path, users) not in self.parsed:
            self.parsed[path, users] = parse(self.facts.file(path).data)
        found: D = self.parsed[path, users]
        return found


class Step(Generic[A]):
    """One page of the guide. A module `steps/NAME.py` holds one as `STEP`; `steps/NAME.md` is its page.

    Every method is pure: facts, site and answers in, values or edits of the draft out.
    """

    name: str
    title: str
    roles: tuple[Role, ...] = (Role.HOST, Role.CLIENT)
    after: tuple[str, ...] = ()

    def paths(self, role: Role) -> tuple[str, ...]:
        """The files that the step reads or edits."""
        return ()

    def answers_type(self, role: Role) -> type[A]:
        """The frozen dataclass of this step's answers."""
        raise NotImplementedError

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        """A value for every field: from the current configuration first, then detected, then the guide's.

        `given` holds what was decided for this step already: the password of a user depends on which user.
        """
        return {}

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        """What this machine offers for fields that take choices (or suggestions for texts).

        `given` as in `suggest`: the names of a server's UPSes depend on which server.
        """
        return {}

    def preview(self, view: View, values: Mapping[str, Any]) -> Mapping[str, FileChange]:
        """By field a file as one answer would make it, for who is to decide: shown before it is asked.

        `values` holds one for every field.
        """
        return {}

    def notice(self, view: View) -> str:
        """What is true of this machine and has to be known before the fields are answered, or ""."""
        return ""

    def by_hand(self, view: View, values: Mapping[str, Any]) -> str:
        """What leads to the same without nutwizard, with these values: a text to copy from, or "".

        `values` holds one for every field.
        """
        return ""

    def check(self, view: View, answers: A) -> Iterable[Problem]:
        """What is wrong with the answers together, or with what the step would have to edit."""
        return ()

    def publish(self, view: View, answers: A) -> Site:
        """The site with the values that this step owns."""
        return view.site

    def edit(self, draft: Draft, view: View, answers: A) -> None:
        """Edit the draft; idempotent: on its own output it changes nothing."""

    def links(self, view: View) -> tuple[Link, ...]:
        """What proves, on the machine as `view.facts` shows it, that this step holds."""
        return ()
