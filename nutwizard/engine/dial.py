"""A TCP connection whose whole making is bounded: the name's resolution too, and all addresses together."""

from __future__ import annotations

import socket
import threading
import time

_Where = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
_Found = list[tuple[socket.AddressFamily, _Where]]


def dial(address: str, port: int, timeout: float) -> socket.socket:
    """Connect within `timeout` s in all.

    Raises OSError as the system gives it: socket.gaierror for a name, TimeoutError, ConnectionRefusedError.
    """
    end = time.monotonic() + timeout
    last: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    found = _resolve(address, port, timeout)
    for index, (family, where) in enumerate(found):
        # A share for each: the first of a name's addresses may be one that drops.
        share = (end - time.monotonic()) / (len(found) - index)
        try:
            return _connected(family, where, max(0.01, share))
        except OSError as error:  # also a family that this kernel does not have
            last = error
    raise last


def _connected(family: socket.AddressFamily, where: _Where, timeout: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock


def _resolve(address: str, port: int, timeout: float) -> _Found:
    """The addresses of a name. getaddrinfo(3) knows no limit: it runs in a thread that is left behind."""
    answer: list[_Found | OSError] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
            answer.append([(family, where) for family, _, _, _, where in found])
        except OSError as error:
            answer.append(error)
        except ValueError:  # labels too long for DNS, a NUL inside
            answer.append(socket.gaierror(socket.EAI_NONAME, "not a possible name"))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    if not answer:
        raise socket.gaierror(socket.EAI_AGAIN, f"no name server answered within {timeout:g} s")
    if isinstance(answer[0], OSError):
        raise answer[0]
    return answer[0]
