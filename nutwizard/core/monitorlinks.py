"""What proves a MONITOR line: the way to the server, the login with its words, this machine's upsmon."""

from __future__ import annotations

from collections.abc import Iterable

from nutwizard.core import paths
from nutwizard.core.facts import Role
from nutwizard.core.links import Link, LinkId, LoggedIn, Login, Reachable, Server
from nutwizard.core.secret import Secret
from nutwizard.core.server import is_primary, listen_lines, local_address, upsmon_right
from nutwizard.core.step import View
from nutwizard.core.upsmon import Monitor


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
    denied = _denied(monitor, view) if monitor.local and view.site.role is Role.HOST else ""
    login = Login(server, monitor.ups, monitor.user, Secret(monitor.password), primary, denied)
    yield Link(LinkId.LOGIN, f"user {monitor.user} for {at}", login, "monitor")
    yield Link(LinkId.UPSMON, f"this machine's upsmon for {at}", LoggedIn(server, monitor.ups), "services")


def _denied(monitor: Monitor, view: View) -> str:
    """Why this machine's own upsd would deny the login, from upsd.users; the server itself never says."""
    users = view.sections(paths.UPSD_USERS, users=True)
    if not users.has(monitor.user):
        return f"upsd.users has no user {monitor.user} (names are case-sensitive)"
    if users.get(monitor.user, "password") != monitor.password:
        return f"the password of {monitor.user} in upsmon.conf is not the one in upsd.users"
    right = upsmon_right(users, monitor.user)
    if not is_primary(right, view.facts.nut.version) and is_primary(monitor.word, view.facts.nut.version):
        has = f"the right {right}" if right else "no upsmon right"
        return f"{monitor.user} has {has} in upsd.users, not primary"
    return ""
