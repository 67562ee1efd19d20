"""What Proxmox VE's firewall makes of a packet, for a person."""

from __future__ import annotations

from nutwizard.core.firewallpolicy import Place
from nutwizard.core.firewallverdict import Packet, Verdict
from nutwizard.core.shown import safe_text

_ENDS = {"ACCEPT": "is let in", "DROP": "is dropped in silence: the sender times out", "REJECT": "is refused"}


def verdict_text(packet: Packet, found: Verdict) -> str:
    """The verdict, the line that decides, what is switched off, and the lines that are not followed."""
    to = f"{packet.dest} port {packet.port}" if packet.dest else f"port {packet.port}"
    lines = [
        f"{found.action}: TCP from {packet.source} to {to} through {packet.interface} {_ENDS[found.action]}.",
        f"  firewall   {'on' if found.firewall else 'off'}",
        f"  because    {found.why}",
    ]
    lines += [f"  line       {_placed(found.place)}"] if found.place else []
    lines += [f"  used by    {_placed(found.via)}"] if found.via else []
    lines += [f"  off        {_placed(place)}" for place in found.off]
    if found.off:
        lines.append("  Switched on, this would let it in.")
    if found.warnings:
        lines += ["", "Lines that Proxmox VE does not follow:"]
        lines += [f"  {warned.place}: {warned.text}" for warned in found.warnings]
    return safe_text("\n".join(lines))


def _placed(place: Place) -> str:
    return f"{place}  {place.text[:80]}".rstrip()
