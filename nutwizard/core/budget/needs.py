"""How long a host takes from the start of a shutdown until its last machine is off, part by part.

The order is NUT's own (upsmon(8), "SHUTDOWN SEQUENCE"), the seconds between were measured with 2.7.4 to
2.8.1: a secondary logs out as soon as it has started its SHUTDOWNCMD, not when it is off. So HOSTSYNC is an
upper bound that is hardly ever used up, and it gives nobody time to shut down in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nutwizard.core.budget.battery import timer_seconds
from nutwizard.core.budget.guests import Stopping, patience, stopping
from nutwizard.core.budget.inputs import Inputs
from nutwizard.core.budget.own import assumed_stop, final_part, stop_limit, told
from nutwizard.core.budget.result import Basis, Part
from nutwizard.core.clients import few
from nutwizard.core.delays import as_counted
from nutwizard.core.guests import Guest
from nutwizard.core.measured import What, best, guest
from nutwizard.core.timing import DEFAULTS

#: Seconds: what was measured further apart was not measured at one shutdown.
_ONE_RUN = 3600.0


@dataclass(frozen=True)
class Leaving:
    """How the clients leave: `expected`: seconds from FSD until the last one has started its own shutdown,
    `waited`: how long of it the host waits.
    """

    expected: float
    waited: float
    basis: Basis
    why: str


def host_parts(inputs: Inputs) -> tuple[Part, ...]:
    """The parts in their order; without that of the guests where these could not be seen."""
    seen, left = _seen(inputs), leaving(inputs)
    final = final_part(inputs)
    clients = _clients(inputs, left) if inputs.clients.any else None
    stops = guest_stops(inputs, final.seconds, left)
    guests, host = guests_part(inputs, stops), stop_part(inputs, "this host stops")
    parts = [part for part in (seen, clients, final, guests, host) if part is not None]
    if inputs.clients.away:
        begun = (seen.seconds if seen else 0.0) + left.expected
        parts += _away(inputs, begun, sum(part.seconds for part in parts))
    ups = _ups(inputs)
    return (*parts, *([ups] if ups else []))


def leaving(inputs: Inputs) -> Leaving:
    """When the clients have noticed FSD and begun to shut down; of their own times nothing is known here."""
    limit = float(inputs.times["HOSTSYNC"])
    whole, noticed = (best(inputs.measured, what) for what in (What.CLIENTS, What.NOTICE))
    poll, final = DEFAULTS["POLLFREQALERT"], DEFAULTS["FINALDELAY"]
    if whole is not None:
        expected, basis, why = whole.seconds, Basis.MEASURED, told(whole)
    elif noticed is not None:
        expected, basis = noticed.seconds + final, Basis.ASSUMED
        why = f"noticed after {noticed.seconds:.0f} s ({told(noticed)}), and their FINALDELAY {final} s"
    else:
        expected, basis = float(poll + final), Basis.ASSUMED
        why = f"POLLFREQALERT {poll} s and FINALDELAY {final} s of theirs, as NUT has them"
    return Leaving(expected, min(limit, expected), basis, f"{why}; at most HOSTSYNC {limit:.0f} s")


def guest_stops(inputs: Inputs, final: float, left: Leaving) -> tuple[Stopping, ...]:
    """The guests that count, group by group; those that are clients began while the host still waited."""
    late = max(0.0, left.expected - left.waited)
    ahead = dict.fromkeys(inputs.clients.inside, max(0.0, final - late))
    return stopping(inputs.guests or (), inputs.ha, inputs.limits.workers, inputs.measured, ahead)


def _seen(inputs: Inputs) -> Part | None:
    """From a low battery until upsmon sets FSD; a timer of upssched sets it at once."""
    if inputs.ups is None or timer_seconds(inputs) is not None:
        return None
    ups, poll = inputs.ups, inputs.times["POLLFREQALERT"]
    look, word = ups.pollinterval, "pollinterval"
    if ups.low.ignorelb and ups.pollfreq > look:
        # Charge and runtime, which NUT compares, are among the values that are asked for less often.
        look, word = ups.pollfreq, "pollfreq"
    why = f"{word} {look} s of the driver and POLLFREQALERT {poll} s of upsmon, at most"
    return Part("seen", "upsmon sees it", look + poll, Basis.CONFIGURED, why, look + poll)


def _clients(inputs: Inputs, left: Leaving) -> Part:
    worst = float(inputs.times["HOSTSYNC"])
    return Part("clients", "clients log out", left.waited, left.basis, left.why, max(worst, left.waited))


def guests_part(inputs: Inputs, stops: Sequence[Stopping]) -> Part | None:
    """How long Proxmox VE takes to stop them; None without any, or where they are measured with the host."""
    if not inputs.guests or _measured_with_guests(inputs):
        return None
    limits = stopping(inputs.guests, inputs.ha, inputs.limits.workers)
    seconds, basis, why = _guest_seconds(inputs, inputs.guests, stops)
    worst = max(seconds, limits[-1].end)
    limit = inputs.limits.guests
    if limit is not None and worst > limit:
        seconds, worst = min(seconds, limit), limit
        why = f"{why}; pve-guests.service is ended after {limit:.0f} s"
    return Part("guests", "guests stop", seconds, basis, why, worst)


def _guest_seconds(
    inputs: Inputs, guests: tuple[Guest, ...], stops: Sequence[Stopping]
) -> tuple[float, Basis, str]:
    """How long they take, and how that is known."""
    lacking = [each for each in guests if best(inputs.measured, guest(each.id)) is None]
    some, reckoned = len(lacking) < len(guests), stops[-1].end
    whole = best(inputs.measured, What.GUESTS)
    if whole is not None and (not some or not lacking or whole.seconds >= reckoned):
        return whole.seconds, Basis.MEASURED, f"all of them, {told(whole)}"
    if not lacking:
        return reckoned, Basis.MEASURED, f"each measured: {_in_turn(stops)}"
    kept = f"{len(guests) - len(lacking)} measured, the others by their time-outs" if some else "time-outs"
    return reckoned, Basis.ASSUMED, f"{kept}: {_in_turn(stops)}"


def _in_turn(stops: Sequence[Stopping]) -> str:
    """Such as "101, 102 by 180 s; then 100 by 240 s"."""
    words = [
        f"{'HA ' if each.ha else ''}{few([str(one.id) for one in each.guests])} by {each.end:.0f} s"
        for each in stops
    ]
    shown = words if len(words) <= 3 else [words[0], f"{len(words) - 2} groups", words[-1]]
    return "; then ".join(shown)


def _measured_with_guests(inputs: Inputs) -> bool:
    """Whether only the host with its guests was measured, so that the two cannot be told apart."""
    return best(inputs.measured, What.HOST) is not None and best(inputs.measured, What.GUESTS) is None


def stop_part(inputs: Inputs, what: str) -> Part:
    """The machine itself: from its last guest's end until its file systems are at rest and the hook runs."""
    limit, found = stop_limit(inputs), best(inputs.measured, What.HOST)
    guests = best(inputs.measured, What.GUESTS)
    if found is None or (guests is not None and abs(found.at - guests.at) > _ONE_RUN):
        return assumed_stop(inputs, what)
    own = max(0.0, found.seconds - guests.seconds) if guests is not None else found.seconds
    what = "host and guests stop" if inputs.guests and guests is None else what
    worst = limit + (_slowest(inputs) if guests is None else 0.0)
    return Part("host", what, own, Basis.MEASURED, told(found), max(own, worst))


def _slowest(inputs: Inputs) -> float:
    """By their time-outs, when the last guest is off."""
    stops = stopping(inputs.guests or (), inputs.ha, inputs.limits.workers)
    return stops[-1].end if stops else 0.0


def _away(inputs: Inputs, begun: float, host_off: float) -> list[Part]:
    """Clients that are no guests of this host, where they may still be stopping when it is off."""
    longer = begun + stop_limit(inputs) - host_off
    if longer <= 0:
        return []
    why = f"{few(inputs.clients.away)}: {stop_limit(inputs):.0f} s from the SHUTDOWNCMD of their own"
    return [Part("away", "other machines stop", longer, Basis.ASSUMED, why, longer)]


def _ups(inputs: Inputs) -> Part | None:
    """The offdelay, which counts from the hook: nothing runs any more, and the battery goes on."""
    ups = inputs.ups
    if ups is None or ups.offdelay is None:
        return None
    off = as_counted(ups.driver, max(0, ups.offdelay), ups.cyberpower)
    why = f"offdelay {ups.offdelay} s"
    if off != ups.offdelay:
        why = f"{why}, which the device rounds down to {off} s"
    return Part("ups", "the UPS waits", off, Basis.CONFIGURED, why, off, after=True)


def room_of_others(inputs: Inputs, parts: Sequence[Part]) -> float:
    """Seconds that a client which is no guest has at least, from its SHUTDOWNCMD until the power is cut.

    Only what is sure counts: the host may be quicker than its limits.
    """
    sure = [part for part in parts if part.key in ("final", "ups")]
    sure += [part for part in parts if part.key in ("guests", "host") and part.basis is Basis.MEASURED]
    return sum(part.seconds for part in sure)


def silent(inputs: Inputs) -> list[Guest]:
    """VMs without a guest agent and without a time-out of their own: they may use up all of it."""
    return [
        each
        for each in inputs.guests or ()
        if each.kind == "vm" and not each.agent and each.down is None and patience(each)
    ]
