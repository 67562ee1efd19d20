"""Gathers what a budget is reckoned from: files, the server's values, the guests, what was measured.

Nothing here hangs: files are read, and the one server that matters is asked for at most as long as a check
asks. What this user may not read is named, and the rest is reckoned all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeVar

from nutwizard.core import lowbattery, paths, timing, upsschedcmd
from nutwizard.core.budget.inputs import POLLINTERVAL, Clients, Inputs, Ups
from nutwizard.core.budget.reckon import reckon
from nutwizard.core.budget.result import Budget
from nutwizard.core.clients import guest_of, read_list, same_address
from nutwizard.core.delays import CYBERPOWER
from nutwizard.core.events import events_of
from nutwizard.core.facts import Door, Facts, Kind, Role, Served
from nutwizard.core.guests import Guest
from nutwizard.core.measured import Measurement, What, newest
from nutwizard.core.rules.battery import forces
from nutwizard.core.rules.devices import vendor_of
from nutwizard.core.rules.driving import delays_of
from nutwizard.core.rules.events import calls_upssched, script_of
from nutwizard.core.rules.rule import Look
from nutwizard.core.server import listen_lines, local_address
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.core.text import Unseen
from nutwizard.core.upsmon import Monitor, local_primary
from nutwizard.core.upssched import Timer, Watched, elsewhere, timers_in
from nutwizard.engine import measured, registry
from nutwizard.engine.doctor import LIMIT, PRACTICE_LIMIT
from nutwizard.engine.guesttasks import shutdowns
from nutwizard.engine.host import Host
from nutwizard.engine.limits import ha_managed, read_limits, that_count
from nutwizard.engine.sidebyside import Jobs

T = TypeVar("T")
#: Seconds after which these drivers look at all values again, not at the status alone (usbhid-ups(8),
#: nutdrv_qx(8), blazer_usb(8): pollfreq).
_POLLFREQ = dict.fromkeys(("usbhid-ups", "nutdrv_qx"), 30)
#: They change with upsmon.conf: what was measured before it was written holds no more.
_BY_UPSMON = frozenset({What.NOTICE, What.CLIENTS, What.FINAL})


@dataclass
class _Seen:
    """What could be read so far, and what could not."""

    unseen: dict[str, None] = field(default_factory=dict)

    def of(self, read: Callable[[], T], otherwise: T) -> T:
        """What is read; `otherwise` where only root may."""
        try:
            return read()
        except Unseen as unseen:
            self.unseen[f"only root may read {unseen.path}"] = None
            return otherwise


def budget(host: Host, facts: Facts, role: Role) -> Budget:
    """The budget of this machine as its files are now. Waits for a server, bounded."""
    return reckon(gather(host, facts, role))


def gather(host: Host, facts: Facts, role: Role) -> Inputs:
    """Everything that a budget of this role is reckoned from."""
    view, seen = View(facts, Site(role), registry.asset), _Seen()
    own = seen.of(lambda: _monitor(Look(view), role), None)
    served = _served(host, view, role, own, seen)
    name = own.ups if own is not None else next(iter(served.ups), "") if served is not None else ""
    look = Look(view, values=served.values if served is not None else {})
    guests = _guests(host, facts, seen)
    counted = that_count(host, guests) if guests is not None else None
    times, lines, word = seen.of(lambda: _times(look), _Times(dict(timing.DEFAULTS), None))
    no_timers: tuple[Timer, ...] = ()
    timers = seen.of(lambda: _timers(look, own), no_timers)
    unread = _told(name, look.values.get(name, {})) if name else None
    return Inputs(
        role,
        facts.kind,
        facts.nut.version,
        times,
        lines,
        word,
        counted,
        len(guests or ()) - len(counted or ()),
        ha_managed(host) if guests else frozenset(),
        seen.of(lambda: _clients(look, role, name, served, guests or ()), Clients(known=False)),
        seen.of(lambda: _ups(look, role, name), unread),
        timers,
        not timers and seen.of(lambda: _forces(look), False),
        read_limits(host, facts.kind),
        tuple(_valid(newest((*shutdowns(host), *measured.read(host)), measured.MOST), facts)),
        tuple(seen.unseen),
        seen.of(
            lambda: tuple(each.system for each in look.monitors if own and each.system != own.system), ()
        ),
    )


def _monitor(look: Look, role: Role) -> Monitor | None:
    """The MONITOR line that counts: the own one of a host, of a client the first that leads elsewhere."""
    if role is Role.HOST:
        return local_primary(look.monitors, look.version)
    return next((each for each in look.monitors if not each.local), next(iter(look.monitors), None))


def _served(host: Host, view: View, role: Role, own: Monitor | None, seen: _Seen) -> Served | None:
    """What the server tells, None without an answer in time."""
    if not view.facts.runs or (role is Role.CLIENT and own is None):
        return None
    address = ("127.0.0.1", 3493)
    if role is Role.HOST:
        address = seen.of(lambda: local_address(listen_lines(view.nut(paths.UPSD_CONF))), address)
    elif own is not None:
        address = (own.server, own.port)
    jobs = Jobs(host, LIMIT if host.door is Door.LIVE else PRACTICE_LIMIT)
    return jobs.begin(partial(view.facts.server, *address)).value()


class _Times(NamedTuple):
    """upsmon's times in force, which of them have a line, and SHUTDOWNEXIT."""

    values: dict[str, int]
    lines: frozenset[str] | None
    exit: str = "yes"


def _times(look: Look) -> _Times:
    found = {name: timing.seconds(look.upsmon, name) for name in timing.DEFAULTS}
    ours = {name: max(0, value) for name, value in found.items() if value is not None}
    entry = look.upsmon.get("SHUTDOWNEXIT")
    known = entry is not None and look.version >= timing.EXIT_SINCE
    word = timing.exit_word(entry.args[0]) if known and entry is not None else "yes"
    return _Times({**timing.DEFAULTS, **ours}, frozenset(ours), word)


def _guests(host: Host, facts: Facts, seen: _Seen) -> tuple[Guest, ...] | None:
    """The guests of a Proxmox VE host; None where they cannot be seen."""
    if facts.kind is not Kind.PVE:
        return ()
    try:
        there = host.stat(paths.PVE_LOCAL) is not None
        for folder in ("qemu-server", "lxc"):
            host.names(f"{paths.PVE}/{folder}")
    except OSError:
        seen.unseen[f"only root may read {paths.PVE}"] = None
        return None
    guests = facts.guests()
    if not guests and not there:
        seen.unseen[f"{paths.PVE} is not mounted"] = None
        return None
    return guests


def _clients(look: Look, role: Role, name: str, served: Served | None, guests: Iterable[Guest]) -> Clients:
    """Those of clients.list; without one those that are logged in now."""
    if role is not Role.HOST:
        return Clients()
    listed = read_list(look.facts.file(paths.CLIENTS_LIST).data)
    pairs = [(each.name, guest_of(each, guests)) for each in listed]
    if not listed and served is not None:
        own = [each.address for each in look.facts.addresses()]
        there = dict.fromkeys(served.clients.get(name, ()))
        others = [a for a in there if not a.startswith("127.") and not any(same_address(a, b) for b in own)]
        by = {address: each for each in guests for address in each.addresses}
        pairs = [(a, by.get(a)) for a in others if a != "::1"]
    inside = frozenset(each.id for _, each in pairs if each is not None)
    away = tuple(word for word, each in pairs if each is None)
    return Clients(inside, away, known=bool(listed) or served is not None)


def _ups(look: Look, role: Role, name: str) -> Ups | None:
    """The UPS that is watched, with what ups.conf makes of it."""
    values = look.values.get(name, {})
    if role is not Role.HOST:
        return _told(name, values) if name else None
    if not look.ups_conf.has(name):
        return None
    driver = look.ups_conf.get(name, "driver") or ""
    off, on = delays_of(look, name)
    return Ups(
        name,
        driver,
        vendor_of(look, name) == CYBERPOWER,
        off,
        on,
        _number(look, name, "pollinterval", POLLINTERVAL),
        _number(look, name, "pollfreq", _POLLFREQ.get(driver, 0)),
        lowbattery.read(look.ups_conf, name),
        values,
    )


def _told(name: str, values: Mapping[str, str]) -> Ups:
    """The UPS by what the server tells of it and its driver alone, where ups.conf is not here to be read."""
    off, on, poll, every = (
        int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
        for text in (
            values.get(f"driver.parameter.{key}", "")
            for key in ("offdelay", "ondelay", "pollinterval", "pollfreq")
        )
    )
    driver = values.get("driver.name", "")
    low = lowbattery.Found(
        "driver.parameter.lowbatt" in values, values.get(f"driver.flag.{lowbattery.FLAG}") == "enabled"
    )
    return Ups(
        name,
        driver,
        values.get("ups.vendorid", "").lower() == CYBERPOWER,
        off,
        on,
        POLLINTERVAL if poll is None else poll,
        _POLLFREQ.get(driver, 0) if every is None else every,
        low,
        values,
    )


def _number(look: Look, name: str, key: str, default: int) -> int:
    everywhere = look.ups_conf.globals().get(key, ("",))[-1:]
    text = look.ups_conf.get(name, key) or "".join(everywhere)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else default


def _timers(look: Look, own: Monitor | None) -> tuple[Timer, ...]:
    """The timers at whose end our script forces a shutdown."""
    if own is None or not calls_upssched(look) or elsewhere(look.upssched):
        return ()
    others = frozenset(each.system for each in look.monitors) - {own.system}
    watched = Watched(own.system, frozenset({own.ups}), others)
    script = look.facts.file(paths.UPSSCHED_CMD)
    thens = upsschedcmd.timers_of(script.data)
    found = timers_in(look.upssched, watched, events_of(look.version), thens)
    return tuple(each for each in found if each.then == "fsd")


def _forces(look: Look) -> bool:
    """Whether a script of the user's own speaks of a forced shutdown."""
    script = script_of(look)
    ours = script is not None and script.content is not None and upsschedcmd.HEAD in script.content.data
    return forces(look) and not ours


def _valid(found: Iterable[Measurement], facts: Facts) -> Iterable[Measurement]:
    known = facts.files.get(paths.UPSMON_CONF)
    changed = known.changed if known is not None else 0.0
    return (each for each in found if each.what not in _BY_UPSMON or each.at >= changed)
