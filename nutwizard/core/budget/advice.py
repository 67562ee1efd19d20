"""What would make a shutdown fit: an earlier start, shorter waits, more room for who is no guest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from nutwizard.core import lowbattery
from nutwizard.core.budget.battery import given, number, runtime_of, timer_seconds, without_ours
from nutwizard.core.budget.clientneeds import client_parts
from nutwizard.core.budget.guests import PATIENCE, patience
from nutwizard.core.budget.inputs import Inputs, Ups
from nutwizard.core.budget.needs import host_parts, leaving, room_of_others, silent
from nutwizard.core.budget.own import stop_limit
from nutwizard.core.budget.result import Advice, Given
from nutwizard.core.delays import MINUTE, as_counted
from nutwizard.core.facts import Kind, Role
from nutwizard.core.guests import Guest
from nutwizard.core.lowbattery import CHARGE, RUNTIME
from nutwizard.core.measured import best, guest
from nutwizard.core.timing import DEFAULTS, EXIT_SINCE
from nutwizard.core.upssched import Timer

#: A fifth more than is needed, and never less than so many seconds: what nobody foresaw.
MARGIN, LEAST = 1.2, 30
#: Advised times are multiples of this; a guest is given so many seconds.
STEP, SHORT_DOWN = 30, 60
#: Guests that get a line of their own.
MOST = 8
#: A limit above this part of the battery is passed almost with the power cut.
_TOO_EARLY = 0.8
TIMER = "onbatt_shutdown"


def advice(inputs: Inputs, has: Given, needs: float | None, worst: float | None) -> tuple[Advice, ...]:
    """What to change, the most useful first; nothing where all is well."""
    if inputs.role is Role.CLIENT:
        return tuple(_for_client(inputs, has, needs))
    return (*_for_battery(inputs, has, needs, worst), *_for_clients(inputs))


def target_of(needs: float) -> int:
    """Seconds that the battery should give for so much need, a multiple of STEP."""
    return math.ceil(max(needs * MARGIN, needs + LEAST) / STEP) * STEP


def _for_battery(inputs: Inputs, has: Given, needs: float | None, worst: float | None) -> Iterator[Advice]:
    if needs is None or inputs.ups is None:
        return
    if has.seconds is not None and has.seconds >= max(needs + LEAST, worst or 0.0):
        return
    spare = None if has.seconds is None else has.seconds - needs
    yield from _limit(inputs, inputs.ups, spare)
    yield from _timer(inputs, spare)
    yield from _guests(inputs, needs)
    yield from _agents(inputs)
    yield from _waits(inputs, needs)
    runtime = runtime_of(inputs.ups)
    if runtime is not None and runtime < target_of(needs):
        yield Advice(
            "A larger battery, or less load on this UPS",
            f"by its own estimate it lasts {runtime:.0f} s from now on, and {needs:.0f} s are needed: no"
            " earlier start is enough by itself",
        )


def _limit(inputs: Inputs, ups: Ups, spare: float | None) -> Iterator[Advice]:
    """NUT's own limit, passed early enough (ups.conf(5): ignorelb, override.battery.*.low)."""
    runtime, charge = runtime_of(ups), number(ups.values.get("battery.charge", ""))
    kind = CHARGE if ups.low.ignorelb and ups.low.kinds == (CHARGE,) and charge else RUNTIME
    target = target_of(_needed(_limited(inputs, ups, kind, 0)))
    if runtime is None or target > runtime * _TOO_EARLY:
        return
    wanted = math.ceil(target / runtime * charge) if kind == CHARGE and charge else target
    low, high = lowbattery.LIMITS[kind]
    if not low <= wanted <= high or (kind == CHARGE and wanted >= lowbattery.EARLY):
        return
    changed = _limited(inputs, ups, kind, wanted)
    left, gain = given(changed).seconds, _gain(changed, spare)
    if left is not None and (gain is None or gain > 0):
        yield Advice(
            f"Let NUT say low battery, below {wanted} {lowbattery.UNITS[kind]} of {kind}",
            f"{lowbattery.FLAG} and {lowbattery.variable(kind)} = {wanted} in ups.conf: the shutdown starts"
            f" while the battery still has {left:.0f} s",
            gain,
            step="driver",
            values={"low_battery": kind, lowbattery.FIELDS[kind]: wanted},
        )


def _limited(inputs: Inputs, ups: Ups, kind: str, limit: int) -> Inputs:
    """As the step would make it: this limit alone decides, but where both were in force.

    Lines that go no longer show their limit; which one the UPS has in its place is not known here.
    """
    both = ups.low.ignorelb and len(ups.low.kinds) > 1
    limits = {**(ups.low.limits if both else {}), kind: str(limit)}
    found = replace(ups.low, ignorelb=True, lowbatt=False, limits=limits, others=())
    values = ups.values if both else without_ours(ups, lowbatt=True)
    return replace(inputs, ups=replace(ups, low=found, values=values))


def _gain(changed: Inputs, spare: float | None) -> float | None:
    """Seconds to spare that a change adds; None where it was not known how many there are."""
    has = given(changed).seconds
    return None if spare is None or has is None else has - _needed(changed) - spare


def _timer(inputs: Inputs, spare: float | None) -> Iterator[Advice]:
    """A forced shutdown after a while on battery (upssched.conf(5)), whatever the battery still has."""
    runtime, before = runtime_of(inputs.ups), timer_seconds(inputs)
    own = [each for each in inputs.timers if each.event == "ONBATT"]
    name = min(own, key=lambda each: each.seconds).name if own else TIMER
    others = tuple(each for each in inputs.timers if each.name != name)

    def with_timer(seconds: int) -> Inputs:
        return replace(inputs, timers=(*others, Timer("ONBATT", name, seconds, "ONLINE", "fsd")))

    if runtime is None:
        return
    seconds = math.floor((runtime - target_of(_needed(with_timer(STEP)))) / STEP) * STEP
    if seconds < STEP or (before is not None and seconds >= before):
        return
    changed = with_timer(seconds)
    left, gain = given(changed).seconds, _gain(changed, spare)
    if left is not None and (gain is None or gain > 0):
        yield Advice(
            f"Force the shutdown after {seconds} s on battery",
            f"a timer that ONBATT starts and ONLINE cancels: {left:.0f} s of the battery are left then. It"
            " also ends an outage that the battery would have lasted through",
            gain,
            step="actions",
            values={"timers": changed.timers[-1:]},
        )


def _guests(inputs: Inputs, needs: float) -> Iterator[Advice]:
    """Shorter time-outs: a guest that is not off by then is stopped by force (qm(1), pct(1))."""
    slow = [
        each
        for each in inputs.guests or ()
        if patience(each) > SHORT_DOWN
        and each.id not in inputs.ha
        and best(inputs.measured, guest(each.id)) is None
    ]
    slow = sorted(slow, key=lambda each: (-patience(each), each.id))[:MOST]
    if not slow:
        return
    ids = {each.id for each in slow}
    shorter = tuple(
        replace(each, down=SHORT_DOWN) if each.id in ids else each for each in inputs.guests or ()
    )
    gain = needs - _needed(replace(inputs, guests=shorter))
    if gain > 0:
        yield Advice(
            f"Shorter time-outs for guests, {SHORT_DOWN} s each where that is enough",
            "Proxmox VE stops a VM by force that is not off by then; how long one really takes, a shutdown of"
            " it shows. With the guest agent it answers at once",
            gain,
            by_hand=tuple(down_line(each) for each in slow),
        )


def _agents(inputs: Inputs) -> Iterator[Advice]:
    """With a guest agent a VM is asked from inside (qm.conf(5), agent), and need not listen to ACPI."""
    quiet = [each for each in silent(inputs) if best(inputs.measured, guest(each.id)) is None][:MOST]
    if quiet:
        yield Advice(
            "The guest agent for VMs that have none",
            "with it a VM answers Proxmox VE at once; it counts from the VM's next start on, and the guest"
            " needs the package qemu-guest-agent",
            by_hand=tuple(f"qm set {each.id} --agent enabled=1" for each in quiet),
        )


def down_line(each: Guest, down: int = SHORT_DOWN) -> str:
    """The command that sets a guest's time-out and leaves the rest of its startup line as it is."""
    tool = "pct" if each.kind is Kind.CONTAINER else "qm"
    parts = [("order", each.order), ("up", each.up), ("down", down)]
    return f"{tool} set {each.id} --startup {','.join(f'{k}={v}' for k, v in parts if v is not None)}"


def _needed(inputs: Inputs) -> float:
    parts = host_parts(inputs) if inputs.role is Role.HOST else client_parts(inputs)
    return sum(part.seconds for part in parts if not part.after)


def _waits(inputs: Inputs, needs: float) -> Iterator[Advice]:
    """FINALDELAY and HOSTSYNC where they are longer than anybody needs (upsmon.conf(5))."""
    usual, final, sync = DEFAULTS["FINALDELAY"], inputs.times["FINALDELAY"], inputs.times["HOSTSYNC"]
    if final > usual and not inputs.clients.away:
        times = {**inputs.times, "FINALDELAY": usual}
        gain = needs - _needed(replace(inputs, times=times))
        if gain > 0:
            why = (
                "it waits between the SHUTDOWN event and SHUTDOWNCMD; no guest needs it, since Proxmox VE"
                " waits for its guests"
            )
            yield _time("FINALDELAY", usual, final, why, buys=gain, of="battery")
    wanted = max(DEFAULTS["HOSTSYNC"], math.ceil(leaving(inputs).expected) + 5)
    if inputs.clients.any and sync > wanted + LEAST:
        why = "it counts only where a client does not log out, and gives nobody time to shut down in"
        yield _time("HOSTSYNC", wanted, sync, why, buys=sync - wanted, of="the worst case")


def _time(name: str, value: int, now: int, why: str, *, buys: float, of: str) -> Advice:
    """Another value for one of upsmon's times."""
    what = f"{name} {value} s in place of {now} s"
    return Advice(what, why, buys, of, "timing", {name.lower(): value})


def _for_clients(inputs: Inputs) -> Iterator[Advice]:
    """What gives the clients the time that they need, at the battery's cost."""
    left, limit = leaving(inputs), inputs.times["HOSTSYNC"]
    if inputs.clients.any and left.expected > limit:
        why = "so that the host waits until every client has begun to shut down"
        wanted = math.ceil(left.expected) + 5
        yield _time("HOSTSYNC", wanted, limit, why, buys=wanted - limit, of="the clients")
    ups = inputs.ups
    if ups is not None and ups.cyberpower and ups.offdelay is not None:
        counted = as_counted(ups.driver, max(0, ups.offdelay), True)
        if 0 < ups.offdelay < MINUTE:
            yield Advice(
                f"offdelay {MINUTE} in place of {ups.offdelay}",
                "CyberPower counts whole minutes: this one becomes 0, and the power may be cut at once",
                MINUTE - counted,
                of="the end of this host",
                step="driver",
                values={"offdelay": MINUTE, "ondelay": 2 * MINUTE},
            )
    yield from _others(inputs)


def _others(inputs: Inputs) -> Iterator[Advice]:
    """For clients that are no guests: nobody waits for their end but FINALDELAY and the offdelay."""
    room, need = room_of_others(inputs, host_parts(inputs)), stop_limit(inputs)
    if not inputs.clients.away or room >= need:
        return
    wanted = math.ceil(inputs.times["FINALDELAY"] + need - room)
    final = inputs.times["FINALDELAY"]
    why = (
        "the host begins its own shutdown later, so that machines that are no guests of it have"
        f" {need:.0f} s; the battery has to last longer by as much"
    )
    yield _time("FINALDELAY", wanted, final, why, buys=wanted - final, of="the clients")
    yield Advice(
        "SHUTDOWNEXIT no on those clients, and here a HOSTSYNC as long as the slowest of them takes",
        "from NUT 2.8.1 on: upsmon stays logged in until its machine stops it, and this host waits so long;"
        " 2.8.0 and older ignore it",
        need - room,
        of="the clients",
        by_hand=("nutwizard step timing",),
    )


def _for_client(inputs: Inputs, has: Given, needs: float | None) -> Iterator[Advice]:
    """On a machine that follows."""
    usual, final = DEFAULTS["FINALDELAY"], inputs.times["FINALDELAY"]
    tight = needs is not None and has.seconds is not None and has.seconds < needs + LEAST
    if final > usual and (tight or final >= DEFAULTS["HOSTSYNC"]):
        why = "this machine begins to shut down sooner, and the host waits less for it"
        yield _time("FINALDELAY", usual, final, why, buys=final - usual, of="this machine")
    if needs is not None and tight:
        yield from _guests(inputs, needs)
    if inputs.kind not in PATIENCE and tight and inputs.exit == "yes" and inputs.version >= EXIT_SINCE:
        yield Advice(
            "SHUTDOWNEXIT no, and on the host a HOSTSYNC as long as this machine takes",
            "upsmon stays logged in until this machine stops it, and the host waits so long",
            needs,
            of="this machine",
            step="timing",
            values={"shutdown_exit": "no"},
        )
