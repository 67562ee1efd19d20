"""What proves a MONITOR line: the way to the server, the login with its words, this machine's upsmon."""

from __future__ import annotations

from collections.abc import Iterable

from nutwizard.core import paths
from nutwizard.core.facts import Role
from nutwizard.core.links import Link, LinkId, LoggedIn, Login, Reachable, Server
from nutwizard.core.secret import Secret
from nutwizard.core.server import is_primary, is_secondary, listen_lines, local_address
from nutwizard.core.step import View
from nutwizard.core.upsmon import Monitor
from nutwizard.formats.sections import ROLES, SectionFile
from nutwizard.formats.words import parse

#: Characters that upsmon's line holds beside the command (measured: 490 work, 512 do not).
_LONGEST = 490


def monitor_links(monitor: Monitor, view: View) -> Iterable[Link]:
    """The links of one MONITOR line; another machine's UPS has also a way to be walked."""
    server = Server(monitor.server, monitor.port)
    primary = is_primary(monitor.word, view.facts.nut.version)
    at = f"{monitor.ups} on {monitor.server}"
    if not monitor.local:
        yield Link(LinkId.FIREWALL, at, Reachable(server, monitor.ups), "monitor")
    elif view.site.role is Role.HOST:
        server = Server(*local_address(listen_lines(view.nut(paths.UPSD_CONF))))
        if server.port != monitor.port:
            server = Server(monitor.server, monitor.port)
    why = denied(monitor, view) if monitor.local and view.site.role is Role.HOST else ""
    login = Login(server, monitor.ups, monitor.user, Secret(monitor.password), primary, why)
    yield Link(LinkId.LOGIN, f"user {monitor.user} for {at}", login, "monitor")
    yield Link(LinkId.UPSMON, f"this machine's upsmon for {at}", LoggedIn(server, monitor.ups), "services")


def denied(monitor: Monitor, view: View) -> str:
    """Why this machine's own upsd would deny the login, from upsd.users; the server itself never says."""
    users = view.sections(paths.UPSD_USERS, users=True)
    if not users.has(monitor.user):
        return f"upsd.users has no user {monitor.user} (names are case-sensitive)"
    known = users.get(monitor.user, "password")
    if known is None:
        return f"{monitor.user} has no password in upsd.users: NUT lets nobody in without one"
    if known != arrives(monitor.password):
        return f"the password of {monitor.user} in upsmon.conf is not the one in upsd.users"
    return _lacks_right(monitor, users, view.facts.nut.version)


def _lacks_right(monitor: Monitor, users: SectionFile, version: tuple[int, ...]) -> str:
    """Which right the user lacks, "" when none. `upsmon` and `actions` add up; both may name a right."""
    if not version:
        return ""
    values = users.values(monitor.user)
    rights = [word.lower() for word in values.get("upsmon", ())]
    actions = {word.lower() for word in values.get("actions", ())}
    has = f"the right {rights[-1]}" if rights and rights[-1] in ROLES else "no upsmon right"
    wants = is_primary(monitor.word, version)
    if wants and not any(is_primary(word, version) for word in rights) and "master" not in actions:
        return f"{monitor.user} has {has} in upsd.users, not primary"
    able = any(is_primary(word, version) or is_secondary(word, version) for word in rights)
    if able or "login" in actions:
        return ""
    if not rights:
        return f"{monitor.user} has no upsmon right in upsd.users"
    return f"NUT {'.'.join(map(str, version))} does not know the upsmon right of {monitor.user} in upsd.users"


def arrives(value: str) -> str | None:
    """What upsd reads of a password or user name that upsmon sends, which puts no quotes around it.

    None: no single word, or upsd goes on waiting for a closing quote. Measured with 2.7.4, 2.8.0 and 2.8.1.
    """
    found = parse(b"PASSWORD " + value.encode("ascii", "replace") + b"\n")
    if len(found) != 1 or not found[0].ended or found[0].notes or len(value) > _LONGEST:
        return None
    return found[0].words[1] if len(found[0].words) == 2 else None
