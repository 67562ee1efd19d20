"""What is known before a test: the examination, who is logged in to upsd and here, what is half-way."""

from __future__ import annotations

from collections.abc import Mapping

from nutwizard.core import paths
from nutwizard.core.errors import WizardError
from nutwizard.core.facts import Facts, Role
from nutwizard.core.fsd.ready import Ready
from nutwizard.core.rules.rule import Look
from nutwizard.core.server import listen_lines, local_address
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.core.text import Unseen
from nutwizard.engine import registry
from nutwizard.engine.doctor import Examination
from nutwizard.engine.fsd.people import own_terminal, people
from nutwizard.engine.fsd.records import Records
from nutwizard.engine.host import Host
from nutwizard.engine.nut_client import Limits, open_client
from nutwizard.engine.nut_errors import NutError
from nutwizard.engine.store import Store

#: upsd is asked again and again: each time briefly.
BRIEF = Limits(connect=1.0, answer=1.0, total=2.0)


def ready_for(host: Host, role: Role, found: Examination) -> Ready:
    """From what an examination found just now; the rest is asked here."""
    look = Look(View(found.facts, Site(role), registry.asset), found.findings, found.values)
    told = upsd_says(host, found.facts) if role is Role.HOST else None
    try:
        loads = Records(host).loads()
    except PermissionError:
        loads = ""
    return Ready(
        look,
        root=host.may_write(),
        logged_in=None if told is None else told[1],
        people=people(host, own_terminal()),
        loads=loads,
        unfinished=_unfinished(host),
        needs=_needs(host, found.facts, role),
    )


def _needs(host: Host, facts: Facts, role: Role) -> float | None:
    """Seconds until the last machine is off, as the budget reckons them; None where that is not known."""
    from nutwizard.engine.budget import budget

    try:
        return budget(host, facts, role).needs
    except (WizardError, Unseen):
        return None


def upsd_says(host: Host, facts: Facts) -> tuple[Mapping[str, str], Mapping[str, tuple[str, ...]]] | None:
    """By UPS its ups.status and who is logged in, as this host's own upsd says now; None: no answer."""
    address, port = local_address(listen_lines(View(facts, Site(Role.HOST)).nut(paths.UPSD_CONF)))
    return server_says(host, address, port)


def server_says(
    host: Host, address: str, port: int, only: str = ""
) -> tuple[Mapping[str, str], Mapping[str, tuple[str, ...]]] | None:
    """As `upsd_says`, of any server; `only`: of this UPS alone."""
    status: dict[str, str] = {}
    clients: dict[str, tuple[str, ...]] = {}
    try:
        with open_client(host.connect, address, port, BRIEF) as client:
            for ups in [only] if only else client.ups_names():
                clients[ups] = tuple(client.clients(ups))
                status[ups] = client.get_var(ups, "ups.status")
    except (NutError, ValueError):
        return (status, clients) if status else None
    return status, clients


def _unfinished(host: Host) -> str:
    """Which change was interrupted; "" for none."""
    try:
        record = Store(host).unfinished()
    except WizardError as error:
        return error.text
    return f"transaction {record.id} was interrupted" if record is not None else ""
