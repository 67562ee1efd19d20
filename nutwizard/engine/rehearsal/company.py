"""Who takes part in a rehearsal on this machine, and with which files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nutwizard.core import paths
from nutwizard.core.clients import own_addresses
from nutwizard.core.errors import UsageError
from nutwizard.core.facts import Facts, Role
from nutwizard.core.rehearsal.rewriting import program_of
from nutwizard.core.server import local_address
from nutwizard.engine.host import Host
from nutwizard.engine.rehearsal.sets import (
    OWN_ACTIONS,
    FileSet,
    handed_over,
    implied_clients,
    listen_lines_of,
    named_apart,
    own_set,
)

_MADE_UP = (
    "The host is made up: it says what a host says, and takes this machine's password. Whether the real one"
    " does, nutwizard check shows; the order of host and clients shows in a rehearsal on the host."
)


@dataclass(frozen=True)
class Company:
    """The host's files first. `values`: what its UPS tells now; `remarks`: what to know of who is there."""

    sets: tuple[FileSet, ...]
    values: Mapping[str, str]
    remarks: tuple[str, ...] = ()


def company_of(host: Host, facts: Facts, role: Role, clients: Sequence[str]) -> Company:
    """This machine, and its clients: those named on the command line, else those that its files imply.

    Raises UsageError, AnswersError and NeedsRoot for a client that cannot be read.
    """
    own = own_set(host, facts, role, programs_of(facts))
    if role is Role.CLIENT:
        if clients:
            raise UsageError("--client names a client of this machine, and this machine is one itself.")
        made_up = FileSet("host" if own.name != "host" else "the-host", True, {})
        seen_at = tuple(each.address for each in own_addresses(facts))
        return Company((made_up, replace(own, addresses=seen_at)), {}, (_MADE_UP,))
    remarks = []
    if clients:
        others = tuple(handed_over(path, facts.nut) for path in clients)
        remarks += [each.remark for each in others]
    else:
        others, why = implied_clients(facts)
        remarks.append(
            why
            or "The clients are set up as nutwizard would do it. With their own files:"
            " nutwizard rehearse --client FOLDER"
        )
    return Company((own, *named_apart(others, own.name)), _values(facts), tuple(filter(None, remarks)))


def programs_of(facts: Facts) -> tuple[str, ...]:
    """The programs that the events of this machine call."""
    found = []
    for path, name in ((paths.UPSMON_CONF, "NOTIFYCMD"), (paths.UPSSCHED_CONF, "CMDSCRIPT")):
        program = program_of(facts.file(path).data, name)
        if not program.endswith("/upssched"):
            found.append(program)
    return (*(path for path in found if path.startswith("/")), OWN_ACTIONS)


def _values(facts: Facts) -> Mapping[str, str]:
    if not facts.runs:
        return {}
    served = facts.server(*local_address(listen_lines_of(facts)))
    return next(iter(served.values.values()), {}) if served is not None else {}
