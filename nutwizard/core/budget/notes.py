"""What a budget says beside its numbers: what may go wrong although it fits, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator

from nutwizard.core.budget.battery import at_low, number, runtime_of
from nutwizard.core.budget.clientneeds import lead
from nutwizard.core.budget.guests import PATIENCE
from nutwizard.core.budget.inputs import Inputs, Ups
from nutwizard.core.budget.needs import leaving, room_of_others, silent
from nutwizard.core.budget.own import stop_limit
from nutwizard.core.budget.result import Basis, Given, Part
from nutwizard.core.clients import few
from nutwizard.core.delays import BLAZER, MINUTE
from nutwizard.core.facts import Role
from nutwizard.core.lowbattery import RUNTIME
from nutwizard.core.measured import What, best
from nutwizard.core.timing import DEFAULTS

#: Seconds: less to spare, and any surprise uses it up.
CLOSE = 30.0


def notes_of(
    inputs: Inputs, parts: tuple[Part, ...], has: Given, worst: float | None, cut: float | None
) -> Iterator[str]:
    """What else deserves a thought, the gravest first."""
    yield from _status(inputs)
    if inputs.unseen:
        yield f"Not seen: {'; '.join(inputs.unseen)}"
    needs = sum(part.seconds for part in parts if not part.after)
    if has.seconds is not None and worst is not None and needs <= has.seconds:
        yield from _close(inputs, has.seconds, needs, worst, cut)
    yield from _host_notes(inputs, parts) if inputs.role is Role.HOST else _client_notes(inputs, parts)
    if inputs.role is Role.HOST and has.seconds is not None and has.basis is not Basis.CONFIGURED:
        load = number(inputs.ups.values.get("ups.load", "")) if inputs.ups is not None else None
        now = f" at a load of {load:.0f} %" if load is not None else ""
        yield f"The battery's time is the UPS's own estimate{now}: a worn battery gives less"
    if has.seconds is not None and cut is not None and needs <= has.seconds:
        yield from _afterwards(inputs, has.seconds - cut)
    if inputs.others and inputs.ups is not None:
        yield f"upsmon.conf also watches {few(inputs.others)}: this is about {inputs.ups.name} alone"
    yield (
        f"Should this machine lose sight of the UPS on battery, it shuts down DEADTIME"
        f" {inputs.times['DEADTIME']} s later, whatever the battery has"
    )


def _status(inputs: Inputs) -> Iterator[str]:
    words = set(inputs.ups.values.get("ups.status", "").split()) if inputs.ups is not None else set()
    if "FSD" in words:
        yield "FSD is set at this moment: whoever connects shuts down"
    elif "OB" in words:
        yield "The UPS is on battery at this moment: its values are those of now"


def _afterwards(inputs: Inputs, left: float) -> Iterator[str]:
    """When the UPS gives power again, and what a second cut finds."""
    ups = inputs.ups
    if inputs.role is not Role.HOST or ups is None or ups.ondelay is None or ups.ondelay <= 0:
        return
    seconds = ups.ondelay * MINUTE if ups.driver in BLAZER else ups.ondelay
    boot = best(inputs.measured, What.BOOT)
    serves = f", and upsd answers {boot.seconds:.0f} s later" if boot is not None else ""
    yield (
        f"The UPS gives power again {seconds} s after the hook at the earliest (ondelay){serves}. A second"
        f" cut soon afterwards finds a battery with about {max(0.0, left):.0f} s"
    )


def _close(inputs: Inputs, seconds: float, needs: float, worst: float, cut: float | None) -> Iterator[str]:
    """It fits, but only if nothing uses up its limits, or but for the UPS's own waiting."""
    whose = "the battery gives" if inputs.role is Role.HOST else "there are"
    if worst > seconds:
        yield (
            f"If everybody used up his limit it would take {worst:.0f} s, and {whose} {seconds:.0f} s:"
            f" {worst - seconds:.0f} s too long"
        )
    elif seconds - needs < CLOSE:
        yield f"Only {seconds - needs:.0f} s to spare"
    if cut is not None and cut > seconds and inputs.role is Role.HOST:
        yield (
            "All machines are off in time, but the battery may be empty before the UPS's offdelay is over:"
            " that harms no machine"
        )


def _host_notes(inputs: Inputs, parts: tuple[Part, ...]) -> Iterator[str]:
    """About the clients, then the guests, then what starts the shutdown."""
    yield from _about_clients(inputs, parts)
    yield from _about_guests(inputs, parts)
    if inputs.forces and not inputs.timers:
        yield "A script of your own may force the shutdown earlier: that is not reckoned with"
    runtime = runtime_of(inputs.ups)
    if runtime is not None and inputs.ups is not None and inputs.ups.low.ignorelb:
        yield from _passed(inputs.ups, runtime)


def _about_clients(inputs: Inputs, parts: tuple[Part, ...]) -> Iterator[str]:
    clients, left, limit = inputs.clients, leaving(inputs), inputs.times["HOSTSYNC"]
    if clients.any and left.expected > limit:
        yield (
            f"HOSTSYNC {limit} s is shorter than the clients take to begin ({left.expected:.0f} s): the host"
            " goes on before they have started to shut down"
        )
    room = room_of_others(inputs, parts)
    if clients.away and room < stop_limit(inputs):
        yield (
            f"{few(clients.away)}: no guest of this host, so nobody waits for its end. It has {room:.0f} s"
            " for sure, from its own SHUTDOWNCMD until the UPS cuts the power; who takes longer is cut off"
        )
    if not clients.known:
        yield "Which clients there are is not known; one is assumed"


def _about_guests(inputs: Inputs, parts: tuple[Part, ...]) -> Iterator[str]:
    if quiet := silent(inputs):
        names = few([str(each.id) for each in quiet])
        yield f"VM without a guest agent: {names}. Without an answer to ACPI it uses up all of its time-out"
    if any(each.id in inputs.ha for each in inputs.guests or ()):
        yield "HA's guests do not follow the startup order: assumed is that their time comes in addition"
    if inputs.idle:
        many = f"{inputs.idle} guest{'s' * (inputs.idle != 1)}"
        yield f"Left out, since they neither run nor start with this host: {many}"
    limit = inputs.limits.guests
    if limit is not None and any(part.key == "guests" and part.worst >= limit for part in parts):
        yield (
            f"pve-guests.service is ended after {limit:.0f} s ({inputs.limits.guests_from}): guests that"
            " still run then are killed"
        )


def _passed(ups: Ups, runtime: float) -> Iterator[str]:
    """A limit of the runtime that the full battery does not reach."""
    low = ups.low.limit(RUNTIME)
    if low is not None and low >= runtime:
        yield (
            f"The limit of {low} s is above the {runtime:.0f} s that the battery has now: the shutdown begins"
            " with the power cut"
        )


def _client_notes(inputs: Inputs, parts: tuple[Part, ...]) -> Iterator[str]:
    battery = at_low(inputs.ups) if inputs.ups is not None else None
    if battery is None or battery.seconds is None:
        why = battery.why if battery is not None else "upsmon.conf follows no server yet"
        yield f"What the battery gives is not reckoned with: {why}"
    sync = DEFAULTS["HOSTSYNC"]
    if lead(parts) > sync:
        yield (
            f"This machine logs out {lead(parts):.0f} s after FSD. A host with NUT's own HOSTSYNC goes on"
            f" after {sync} s: take a shorter FINALDELAY here, or a longer HOSTSYNC there"
        )
    yield from _about_guests(inputs, parts)
    if inputs.kind not in PATIENCE and inputs.exit == "yes":
        yield "The host does not wait until this machine is off, only until it begins (SHUTDOWNEXIT yes)"
