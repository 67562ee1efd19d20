"""What a NUT server tells everyone: its UPSes with their values, and who is logged in. Each is asked once."""

from __future__ import annotations

from contextlib import suppress

from nutwizard.core.facts import Door, Served
from nutwizard.engine.host import Host

#: Seconds for the connection, one silence, and the whole: a person waits for it at a prompt.
_CONNECT, _ANSWER, _TOTAL = 2.0, 2.0, 4.0


class ServerAsker:
    """Asks servers without a login; below another root nothing is connected to."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._known: dict[tuple[str, int], Served | None] = {}

    def __call__(self, address: str, port: int) -> Served | None:
        """What the server told; None when it does not answer in time or is no NUT server."""
        if self._host.door is Door.OFFLINE:
            return None
        if (address, port) not in self._known:
            self._known[address, port] = self._ask(address, port)
        return self._known[address, port]

    def _ask(self, address: str, port: int) -> Served | None:
        from nutwizard.engine.nut_client import Limits, open_client
        from nutwizard.engine.nut_errors import NutError

        limits = Limits(connect=_CONNECT, answer=_ANSWER, total=_TOTAL)
        values: dict[str, dict[str, str]] = {}
        clients: dict[str, tuple[str, ...]] = {}
        try:
            with open_client(self._host.connect, address, port, limits) as client:
                names = client.ups_names()
                for name in names:
                    with suppress(NutError):  # a UPS whose driver is away has no values; the others do
                        values[name] = client.list_vars(name)
                    with suppress(NutError):
                        clients[name] = tuple(dict.fromkeys(client.clients(name)))
        except NutError:
            return None
        return Served(names, values, clients)
