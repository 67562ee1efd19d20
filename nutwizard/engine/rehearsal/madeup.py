"""The host that a VM's rehearsal is played against: a small upsd that says what the play wants it to say."""

from __future__ import annotations

from collections.abc import Mapping

from nutwizard.engine.practice.nut import Ups, User
from nutwizard.engine.practice.server import Serving, SimulatedServer
from nutwizard.engine.rehearsal.part import Served


class MadeUp:
    """Serves one UPS at each of some addresses. Raises OSError where it cannot listen there."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._servers = [SimulatedServer(self._serving({}), address) for address in served.listen]

    def say(self, values: Mapping[str, str]) -> None:
        """What the UPS measures from now on."""
        for server in self._servers:
            server.serving = self._serving(values)

    def there(self) -> list[str]:
        """The addresses that are logged in."""
        return sorted({address for server in self._servers for address in server.logged_in()})

    def _serving(self, values: Mapping[str, str]) -> Serving:
        served = self._served
        users = {name: User(password, login=True) for name, password in served.users}
        found = {name: Ups(name, {"driver": "dummy-ups", "port": "made-up"}) for name in served.ups}
        return Serving(found, {name: dict(values) for name in served.ups if values}, users)
