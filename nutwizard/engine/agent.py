"""What the QEMU guest agent tells of a VM's addresses. It is asked through Proxmox VE's own command."""

from __future__ import annotations

import json
from typing import Any

from nutwizard.core.facts import Door, Lazy
from nutwizard.core.guests import Guest, usable
from nutwizard.engine.host import Host

_QM = "/usr/sbin/qm"
#: Seconds: the command itself takes one, an agent that is away is given up on by Proxmox VE after three.
_LIMIT = 4.0
#: Of one guest: machines with containers have an address for each of their own networks.
_MOST, _MOST_IPV6 = 8, 2


class AgentAsker:
    """Asks each guest once, and only one whose configuration says that an agent is there."""

    def __init__(self, host: Host, guests: Lazy[tuple[Guest, ...]]) -> None:
        self._host, self._guests = host, guests
        self._known: dict[int, tuple[str, ...]] = {}

    def __call__(self, number: int) -> tuple[str, ...]:
        """The addresses of a guest, those of its first network card first; none when it does not answer."""
        if self._host.door is not Door.LIVE:
            return ()
        if number not in self._known:
            guest = next((each for each in self._guests() if each.id == number), None)
            self._known[number] = self._ask(guest) if guest is not None and guest.agent else ()
        return self._known[number]

    def _ask(self, guest: Guest) -> tuple[str, ...]:
        command = [_QM, "guest", "cmd", str(guest.id), "network-get-interfaces"]
        answer = self._host.run(command, timeout=_LIMIT)
        return _addresses(answer.out, guest.mac) if answer.code == 0 else ()


def _addresses(text: str, mac: str) -> tuple[str, ...]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    cards = [card for card in told if isinstance(card, dict)] if isinstance(told, list) else []
    cards.sort(key=lambda card: not mac or str(card.get("hardware-address")).lower() != mac)
    found = list(dict.fromkeys(address for card in cards for address in _of_card(card)))
    surplus = [address for address in found if ":" in address][_MOST_IPV6:]
    return tuple(address for address in found if address not in surplus)[:_MOST]


def _of_card(card: dict[str, Any]) -> list[str]:
    entries = card.get("ip-addresses")
    if not isinstance(entries, list):
        return []
    words = [usable(entry.get("ip-address")) for entry in entries if isinstance(entry, dict)]
    return [word for word in words if word]
