"""What was found on this machine, as rows for a person, each with how it is known."""

from __future__ import annotations

import time
from collections.abc import Iterator

from nutwizard.core import paths
from nutwizard.core.facts import Facts, Kind, Role
from nutwizard.core.server import listen_lines
from nutwizard.core.standing import in_short
from nutwizard.engine.host import Host
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile

Row = tuple[str, str, str]
#: Columns of the guests' names; the others are counted.
_GUESTS = 50


def found_here(facts: Facts, role: Role) -> list[Row]:
    """(what, value, how it is known), rows without a value left out."""
    rows = [
        ("machine", f"{facts.hostname or '?'}, {facts.kind.words}", facts.kind_evidence),
        ("system", facts.system, "/etc/os-release"),
        ("Proxmox VE", facts.pve, "dpkg"),
        *(_node_rows(facts) if facts.kind is Kind.PVE else ()),
        ("NUT", facts.nut.text, facts.nut.known_from),
        *(_host_rows(facts) if role is Role.HOST else ()),
        ("NUT runs", _daemons(facts), "its processes"),
        ("up since", _moment(facts.booted()), "its boot time"),
        ("free for backups", f"{facts.free >> 20} MiB" if facts.free else "", paths.STATE),
    ]
    return [row for row in rows if row[1]]


def tested_here(host: Host) -> list[Row]:
    """When a forced shutdown was tested here and how that ended; nothing where none was."""
    try:
        if host.stat(paths.FSD) is None:
            return []
        from nutwizard.engine.fsd.records import Records

        result = Records(host).result()
    except OSError:
        return []
    return [] if result is None else [("FSD test", f"{_moment(result.at)}: {result.outcome.value}", "")]


def rehearsed_here(host: Host, facts: Facts) -> list[Row]:
    """What the last rehearsal with the files as they are showed."""
    from nutwizard.engine.lastplay import last_plays, played_files, that_counts

    try:
        files = played_files(facts)
        last = that_counts(last_plays(host), files)
    except PermissionError:
        return []
    if last is None:
        return [("rehearsed", "never", "")]
    return [("rehearsed", last.told(stands=last.files == files), last.scenario.value)]


def _node_rows(facts: Facts) -> Iterator[Row]:
    """What is known of a Proxmox VE node beside NUT."""
    guests = [guest.name or str(guest.id) for guest in facts.guests()]
    told = f"{len(guests)}: {in_short(guests, _GUESTS)}" if guests else ""
    yield "guests", told, "/etc/pve/qemu-server and lxc"
    yield "firewall", facts.firewall(), "of the datacenter, /etc/pve/firewall/cluster.fw"


def _host_rows(facts: Facts) -> Iterator[Row]:
    document = SectionFile.parse(facts.file(paths.UPS_CONF).data)
    drivers = [f"{name} ({document.get(name, 'driver')})" for name in document.names()]
    yield "UPS", ", ".join(drivers), "ups.conf"
    plugged = [" ".join((found.maker, found.product)).strip() for found in facts.usb()]
    yield "on USB", ", ".join(plugged), "/sys/bus/usb"
    bridges = [a for a in facts.addresses() if a.bridge and ":" not in a.address]
    yield "bridge", ", ".join(f"{a.interface} {a.address}/{a.prefix}" for a in bridges), "its addresses"
    ports = {port for _, port in listen_lines(NutFile.parse(facts.file(paths.UPSD_CONF).data))}
    listening = [
        f"{it.address}:{it.port} {it.process}".strip() for it in facts.listeners() if it.port in ports
    ]
    yield "listening", ", ".join(listening), "its sockets"


def _daemons(facts: Facts) -> str:
    users: dict[str, list[str]] = {}
    for daemon in facts.daemons():
        if daemon.user not in users.setdefault(daemon.name, []):
            users[daemon.name].append(daemon.user)
    return ", ".join(f"{name} as {' and '.join(who)}" for name, who in sorted(users.items()))


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else ""
