"""Read the facts of a machine, once, through its host."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Protocol

from nutwizard.core import paths
from nutwizard.core.facts import (
    Address,
    Daemon,
    Door,
    DriverOptions,
    Facts,
    FileFact,
    Kind,
    Lazy,
    Listener,
    Nut,
    Role,
    UnitFact,
    UsbUps,
)
from nutwizard.core.guests import Guest, Neighbour
from nutwizard.core.text import UNSEEN
from nutwizard.core.units import units_of
from nutwizard.engine.asked import ServerAsker
from nutwizard.engine.filefacts import file_fact, seen_fact
from nutwizard.engine.firewall import other_words, read_firewall
from nutwizard.engine.guests import read_guests
from nutwizard.engine.host import Host
from nutwizard.engine.programs import program_fact
from nutwizard.engine.roles import proposed_role
from nutwizard.formats.sections import SectionFile

#: dpkg's table of a large host has about 3 MB.
_DPKG_STATUS, _DPKG_LIMIT = "/var/lib/dpkg/status", 64 << 20
_PACKAGES = ("nut-client", "nut-server", "nut", "pve-manager")
_NO_DRIVERS = ("upsd", "upsmon", "cgi-bin")
#: What systemctl is asked about each unit.
_PROPERTIES = "Id,Names,LoadState,ActiveState,UnitFileState,ActiveEnterTimestamp"


class Sources(Protocol):
    """What only a running machine knows. Each is asked at most once, when first needed."""

    def kind(self) -> tuple[Kind, str]: ...

    def addresses(self) -> tuple[Address, ...]: ...

    def listeners(self) -> tuple[Listener, ...]: ...

    def daemons(self) -> tuple[Daemon, ...]: ...

    def booted(self) -> float: ...

    def usb(self) -> tuple[UsbUps, ...]: ...

    def driver_options(self, driver: str) -> DriverOptions: ...


def detect(
    host: Host,
    sources: Sources,
    role: Role | None,
    managed: Iterable[str],
    touched: frozenset[str],
    *,
    partly: bool = False,
) -> Facts:
    """The facts for this role (None: as the machine proposes). `managed` are the paths that the steps name.

    Raises NeedsRoot when a managed file may not be read; `partly`: then it counts as not seen.
    """
    packages = _packages(host)
    kind, evidence = _kind(sources, packages)
    fact = seen_fact if partly else file_fact
    files = {path: fact(host, path) for path in _with_copies(managed)}
    role = role or proposed_role(kind) or Role.CLIENT
    asked = _later(host, sources, fact)
    return Facts(
        **asked,
        door=host.door,
        kind=kind,
        kind_evidence=evidence,
        hostname=_first_line(host, "/etc/hostname"),
        system=_system_name(host),
        pve=packages.get("pve-manager", ""),
        nut=_nut(host, packages),
        files=files,
        units={} if host.door is Door.OFFLINE else _units(host, role, files),
        touched=touched,
        free=_free(host),
    )


def _later(host: Host, sources: Sources, fact: Callable[[Host, str], FileFact]) -> dict[str, Any]:
    """What is read when it is first asked for, by its name in Facts."""
    neighbours, guests = _nearby(host)
    return {
        "addresses": Lazy(sources.addresses),
        "listeners": Lazy(sources.listeners),
        "daemons": Lazy(sources.daemons),
        "booted": Lazy(sources.booted),
        "usb": Lazy(sources.usb),
        "driver_options": sources.driver_options,
        "server": ServerAsker(host),
        "guests": guests,
        "neighbours": neighbours,
        "agent": _agent(host, guests),
        "firewall": Lazy(lambda: read_firewall(host)),
        "firewall_words": Lazy(lambda: other_words(host)),
        "read": cache(lambda path: fact(host, path)),
        "program": cache(lambda path: program_fact(host, path)),
    }


def _kind(sources: Sources, packages: dict[str, str]) -> tuple[Kind, str]:
    kind, evidence = sources.kind()
    if kind is Kind.UNKNOWN and "pve-manager" in packages:
        return Kind.PVE, "the package pve-manager is installed"
    return kind, evidence


def _nearby(host: Host) -> tuple[Lazy[tuple[Neighbour, ...]], Lazy[tuple[Guest, ...]]]:
    """The neighbours on this host's bridges, and its guests, who may be among them."""

    def read() -> tuple[Neighbour, ...]:
        from nutwizard.engine.neighbours import read_neighbours

        return read_neighbours(host)

    neighbours = Lazy(read)
    return neighbours, Lazy(lambda: read_guests(host, neighbours))


def _agent(host: Host, guests: Lazy[tuple[Guest, ...]]) -> Callable[[int], tuple[str, ...]]:
    """Asks a guest through its agent, once."""

    @cache
    def ask(number: int) -> tuple[str, ...]:
        from nutwizard.engine.agent import AgentAsker

        return AgentAsker(host, guests)(number)

    return ask


def _with_copies(managed: Iterable[str]) -> list[str]:
    own = (paths.SAVED_ANSWERS, paths.CLIENT_PASSWORD, paths.MONITOR_PASSWORD)
    named = dict.fromkeys([*managed, *own])
    copies = [path + ending for path in named if path.startswith(paths.NUT + "/") for ending in paths.COPIES]
    return [*named, *copies]


def _packages(host: Host) -> dict[str, str]:
    """Versions of the packages that matter, from dpkg's own table: dpkg-query takes ten times as long."""
    try:
        table = b"\n" + host.read(_DPKG_STATUS, _DPKG_LIMIT) + b"\n\n"
    except OSError:
        return {}
    found = {}
    for name in _PACKAGES:
        for head in re.finditer(b"\nPackage: %s\n" % name.encode(), table):  # one for each architecture
            stanza = table[head.start() : table.index(b"\n\n", head.end() - 1) + 1]
            version = re.search(rb"\nVersion: (\S+)", stanza)
            if version and re.search(rb"\nStatus: \S+ ok installed\n", stanza):
                found[name] = version[1].decode("ascii", "replace")
    return found


def _nut(host: Host, packages: dict[str, str]) -> Nut:
    text = packages.get("nut-client") or packages.get("nut-server", "")
    known_from = "dpkg" if text else ""
    if not text and host.door is Door.LIVE:
        text, known_from = _asked_version(host)
    numbers = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", text)
    drivers = {name for folder in paths.DRIVER_FOLDERS for name in host.names(folder)} - set(_NO_DRIVERS)
    return Nut(
        version=tuple(map(int, numbers[1].split("."))) if numbers else (),
        known_from=known_from,
        packages={name: version for name, version in packages.items() if name.startswith("nut")},
        user=_has_name(host, "/etc/passwd", "nut"),
        group=_has_name(host, "/etc/group", "nut"),
        upssched=next((p for p in ("/usr/sbin/upssched", "/sbin/upssched") if host.stat(p)), ""),
        drivers=tuple(sorted(drivers)),
    )


def _asked_version(host: Host) -> tuple[str, str]:
    """From the programs themselves, for a NUT that dpkg does not know."""
    for program in ("/usr/bin/upsc", "/bin/upsc", "/usr/sbin/upsd", "/sbin/upsd"):
        if host.stat(program) is None:
            continue
        answer = host.run([program, "-V"], timeout=5)
        if number := re.search(r"\b(\d+\.\d+(?:\.\d+)*)", answer.out + answer.err):
            return number[1], f"{program} -V"
    return "", ""


def _units(host: Host, role: Role, files: dict[str, FileFact]) -> dict[str, UnitFact]:
    """The state of every unit of this role, in one call."""
    known = files.get(paths.UPS_CONF)
    ups = SectionFile.parse(known.data).names() if known is not None and known.kind != UNSEEN else ()
    names = units_of(role, ups)
    answer = host.run(
        ["/usr/bin/systemctl", "show", "--timestamp=unix", "-p", _PROPERTIES, *names], timeout=20
    )
    found: dict[str, UnitFact] = {}
    for asked, block in zip(names, re.split(r"\n\s*\n", answer.out.strip()), strict=False):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        found[asked] = UnitFact(
            asked,
            values.get("LoadState", "not-found"),
            values.get("ActiveState", "unknown"),
            values.get("UnitFileState", ""),
            _since(values.get("ActiveEnterTimestamp", "")),
        )
    return found


def _since(text: str) -> float | None:
    return float(text[1:]) if re.fullmatch(r"@\d+", text) else None


def _free(host: Host) -> int:
    """Free bytes where the state folder is, or will be."""
    try:
        return host.free(paths.STATE if host.stat(paths.STATE) else "/")[0]
    except OSError:
        return 0


def _first_line(host: Host, path: str) -> str:
    try:
        return host.read(path).decode("utf-8", "replace").strip().partition("\n")[0]
    except OSError:
        return ""


def _system_name(host: Host) -> str:
    try:
        text = host.read("/etc/os-release").decode("utf-8", "replace")
    except OSError:
        return ""
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.MULTILINE)
    return name[1] if name else ""


def _has_name(host: Host, table: str, name: str) -> bool:
    try:
        return re.search(rb"^%s:" % name.encode(), host.read(table), re.MULTILINE) is not None
    except OSError:
        return False
