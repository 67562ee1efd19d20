"""What the practice machine's NUT server and drivers have to offer, be they the real ones or simulated."""

from __future__ import annotations

import socket
from typing import Protocol

from nutwizard.engine.nut_client import Limits, NutClient
from nutwizard.engine.nut_errors import NutError
from nutwizard.engine.practice.nut import Ups


class Backend(Protocol):
    """The NUT server and its drivers, real or simulated."""

    @property
    def alive(self) -> bool: ...

    @property
    def port(self) -> int: ...

    def start(self, found: list[Ups], upsd_conf: bytes, upsd_users: bytes) -> None: ...

    def reload(self, found: list[Ups], upsd_conf: bytes, upsd_users: bytes) -> None: ...

    def stop(self) -> None: ...

    def drive(self, ups: Ups) -> None: ...

    def release(self, name: str) -> None: ...

    def pid(self, name: str) -> int: ...

    def close(self) -> None: ...


def has_data(port: int, name: str) -> bool:
    """Whether the server on loopback `port` has heard from the driver of this UPS."""
    try:
        with NutClient(
            socket.create_connection(("127.0.0.1", port), timeout=1.0), Limits(total=2.0)
        ) as client:
            return client.get_var(name, "ups.status") != "WAIT"
    except (NutError, OSError):
        return False
