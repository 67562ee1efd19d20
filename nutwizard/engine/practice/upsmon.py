"""A stand-in for upsmon on a practice machine: it logs in as upsmon does, and stays logged in.

What it logs has the form of upsmon's own lines, with our words for the reason.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nutwizard.core.server import is_primary
from nutwizard.core.upsmon import Monitor
from nutwizard.engine.nut_client import Limits, NutClient, open_client
from nutwizard.engine.nut_errors import (
    AccessDenied,
    ConnectRefused,
    ConnectTimeout,
    NameNotResolved,
    NutError,
    Unreachable,
)

#: The NUT that the practice machine plays.
VERSION = (2, 8, 0)
#: Seconds: everything is on loopback.
_LIMITS = Limits(connect=2.0, answer=3.0, total=5.0)

_NO_CONNECTION = (NameNotResolved, ConnectRefused, ConnectTimeout, Unreachable)

Connect = Callable[[str, int, float], socket.socket]


@dataclass(slots=True)
class _Login:
    monitor: Monitor
    client: NutClient | None = None
    sock: socket.socket | None = None
    said: str = field(default="")


class Upsmon:
    """The logins of one upsmon; `say` writes its journal, once for each change of fortune."""

    def __init__(self, monitors: Sequence[Monitor], connect: Connect, say: Callable[[str], None]) -> None:
        self._logins = [_Login(monitor) for monitor in monitors]
        self._connect = connect
        self._say = say

    def poll(self) -> None:
        """Log in where a login is missing; bounded, never raises for a server that refuses."""
        for login in self._logins:
            if login.sock is not None and _alive(login.sock):
                continue
            self._drop(login)
            said = self._log_in(login)
            if said != login.said:
                login.said = said
                self._say(said)

    def close(self) -> None:
        """Log out everywhere."""
        for login in self._logins:
            self._drop(login)

    def _log_in(self, login: _Login) -> str:
        monitor, made = login.monitor, list[socket.socket]()

        def connect(address: str, port: int, timeout: float) -> socket.socket:
            made.append(self._connect(address, port, timeout))
            return made[-1]

        what = f"UPS {monitor.ups}@{monitor.server}"
        client = None
        try:
            client = open_client(connect, monitor.server, monitor.port, _LIMITS)
            client.login(monitor.ups, monitor.user, monitor.password)
            primary = client.has_primary_rights(monitor.ups) if is_primary(monitor.word, VERSION) else True
        except NutError as error:
            if client is not None:
                client.close()
            return _failure(monitor.system, error)
        login.client, login.sock = client, made[-1]
        if login.said and primary:
            return f"Communications with UPS {monitor.system} established"
        return (
            f"logged in on {what}" if primary else f"{what}: no primary rights, {monitor.user} is a secondary"
        )

    def _drop(self, login: _Login) -> None:
        if login.client is not None:
            login.client.close()
        login.client = login.sock = None


def _failure(system: str, error: NutError) -> str:
    if isinstance(error, _NO_CONNECTION):
        return f"UPS [{system}]: connect failed: {error.text}"
    if isinstance(error, AccessDenied):
        return f"Login on UPS [{system}] failed - got [access denied]"
    return f"Poll UPS [{system}] failed - {error.text}"


def _alive(sock: socket.socket) -> bool:
    """Whether the server still holds the connection: it says nothing unasked, so data or an end mean no."""
    try:
        sock.setblocking(False)
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
