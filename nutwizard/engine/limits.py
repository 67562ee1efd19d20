"""How long systemd and Proxmox VE wait at a shutdown, from their files; which guests run, and which HA has.

Everything is read, nothing is asked: a file that cannot be read counts as not there.
"""

from __future__ import annotations

import math
import re

from nutwizard.core import paths
from nutwizard.core.budget.inputs import STOP, Limits
from nutwizard.core.budget.spans import setting, span
from nutwizard.core.facts import Door, Kind
from nutwizard.core.guests import Guest
from nutwizard.engine.host import Host

#: From the weakest on (systemd-system.conf(5)); of drop-ins of one name that of the folder named last counts.
_SYSTEM = ("/usr/lib/systemd", "/lib/systemd", "/etc/systemd", "/run/systemd")
_UNIT = "pve-guests.service"
_UNITS = ("/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system", "/etc/systemd/system")
_DATACENTER, _RESOURCES = f"{paths.PVE}/datacenter.cfg", f"{paths.PVE}/ha/resources.cfg"
_LARGEST, _MOST = 256 << 10, 50
_RESOURCE = re.compile(r"(?:vm|ct):\s*([1-9][0-9]{2,8})\s*")
#: Where a running VM leaves its process number, and a running container its control group.
_PIDS, _GROUPS = "/run/qemu-server", "/sys/fs/cgroup/lxc"


def read_limits(host: Host, kind: Kind) -> Limits:
    """The limits of this machine."""
    stop, stop_from = _stop(host)
    if kind is not Kind.PVE:
        return Limits(stop, stop_from)
    guests, guests_from = _guests(host)
    return Limits(stop, stop_from, guests, guests_from, _workers(host))


def ha_managed(host: Host) -> frozenset[int]:
    """The guests that Proxmox VE's HA stack looks after; one that it ignores is not among them."""
    found: set[int] = set()
    last = 0
    for line in _text(host, _RESOURCES).splitlines():
        if head := _RESOURCE.fullmatch(line):
            last = int(head[1])
            found.add(last)
        elif line.split() == ["state", "ignored"]:
            found.discard(last)
    return frozenset(found)


def that_count(host: Host, guests: tuple[Guest, ...]) -> tuple[Guest, ...]:
    """The guests that run or start with the host; where it cannot be seen which run, all of them."""
    if host.door is not Door.LIVE:
        return guests
    try:
        pids = set(host.names(_PIDS)) if host.stat(_PIDS) else None
        groups = set(host.names(_GROUPS)) if host.stat(_GROUPS) else None
    except OSError:
        return guests
    return tuple(each for each in guests if each.onboot or _runs(host, each, pids, groups))


def _runs(host: Host, guest: Guest, pids: set[str] | None, groups: set[str] | None) -> bool:
    """Whether it runs; it does where nothing tells."""
    if guest.kind is Kind.CONTAINER:
        return groups is None or str(guest.id) in groups
    if pids is None or f"{guest.id}.pid" not in pids:
        return pids is None
    number = _text(host, f"{_PIDS}/{guest.id}.pid").strip()
    try:
        return not number.isdigit() or host.stat(f"/proc/{number}") is not None
    except OSError:
        return True


def _stop(host: Host) -> tuple[float | None, str]:
    """DefaultTimeoutStopSec, and the file that sets it."""
    found, where = STOP, ""
    for path in [f"{folder}/system.conf" for folder in _SYSTEM] + _drop_ins(host, _SYSTEM, "system.conf.d"):
        value = setting([_text(host, path)], "Manager", ("DefaultTimeoutStopSec",))
        seconds = span(value)
        if seconds is not None:
            found, where = seconds, path
    return (None if found == math.inf else found), where


def _guests(host: Host) -> tuple[float | None, str]:
    """How long the task that stops all guests may take; assumed is for ever, which is what its unit says."""
    unit = [path for folder in _UNITS if _text(host, path := f"{folder}/{_UNIT}")][-1:]
    found, where = math.inf, ""
    for path in [*unit, *_drop_ins(host, _UNITS, f"{_UNIT}.d")]:
        seconds = span(setting([_text(host, path)], "Service", ("TimeoutStopSec", "TimeoutSec")))
        if seconds is not None:
            found, where = seconds, path
    return (None if found == math.inf else found), where


def _workers(host: Host) -> int | None:
    """How many guests are stopped side by side: as datacenter.cfg says, else as many as there are CPUs."""
    words = re.search(r"(?m)^max_workers:\s*([1-9][0-9]{0,3})\s*$", _text(host, _DATACENTER))
    if words:
        return int(words[1])
    if host.door is not Door.LIVE:
        return None
    return len(re.findall(r"(?m)^processor\s*:", _text(host, "/proc/cpuinfo"))) or None


def _drop_ins(host: Host, folders: tuple[str, ...], name: str) -> list[str]:
    """The paths of the drop-ins in the order in which they are read; one name stands once."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            names = host.names(f"{folder}/{name}")
        except OSError:
            names = []
        found |= {each: f"{folder}/{name}/{each}" for each in names[:_MOST] if each.endswith(".conf")}
    return [found[each] for each in sorted(found)]


def _text(host: Host, path: str) -> str:
    try:
        return host.read(path, _LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""
