"""A connection whose making is bounded as a whole: resolving the name, and all of its addresses together."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from nutwizard.engine.dial import dial
from tests.support.real_nut import free_port

LIMIT = 0.4


@contextmanager
def full_queue() -> Iterator[tuple[str, int]]:
    """An address that never answers: its queue is full, so the kernel drops what comes."""
    with ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()


def resolving(monkeypatch: pytest.MonkeyPatch, *found: tuple[int, Any]) -> None:
    """Every name has these addresses."""
    rows = [(family, socket.SOCK_STREAM, 0, "", where) for family, where in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)


def inet(where: tuple[str, int]) -> tuple[int, Any]:
    return socket.AF_INET, where


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)
def test_it_connects(family: socket.AddressFamily, address: str) -> None:
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        with dial(address, port, LIMIT) as link:
            assert link.getpeername()[:2] == (address, port)
            assert link.family is family


def test_a_name() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        dial("localhost", server.getsockname()[1], 2) as link,
    ):
        assert link.getpeername()[0] == "127.0.0.1"


def test_refused() -> None:
    with pytest.raises(ConnectionRefusedError):
        dial("127.0.0.1", free_port(), LIMIT)


def test_silence_ends_at_the_limit() -> None:
    begin = time.monotonic()
    with full_queue() as (address, port), pytest.raises(TimeoutError):
        dial(address, port, LIMIT)
    assert LIMIT - 0.1 < time.monotonic() - begin < LIMIT + 0.5


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def sleeps(*_: object, **__: object) -> list[object]:
        released.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", sleeps)
    begin = time.monotonic()
    try:
        with pytest.raises(socket.gaierror, match=r"within 0\.4 s") as caught:
            dial("nas.example", 3493, LIMIT)
        assert caught.value.errno == socket.EAI_AGAIN
        assert LIMIT - 0.1 < time.monotonic() - begin < LIMIT + 0.5
    finally:
        released.set()


def test_resolving_counts_into_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_queue() as where:

        def slow(*_: object, **__: object) -> list[object]:
            time.sleep(0.3)
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", where)]

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            dial("nas.example", where[1], LIMIT)
        assert time.monotonic() - begin < LIMIT + 0.25


def test_the_error_of_the_name_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror) as caught:
        dial("nas.example", 3493, LIMIT)
    assert caught.value.errno == socket.EAI_NONAME


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..b", "a\0b", "\udcff"])
def test_names_that_cannot_be(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    begin = time.monotonic()
    with pytest.raises(socket.gaierror) as caught:
        dial(name, 3493, 5)
    assert caught.value.errno == socket.EAI_NONAME
    assert time.monotonic() - begin < 1
    assert capfd.readouterr().err == ""  # no traceback of the thread


def test_a_name_without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch)
    with pytest.raises(socket.gaierror):
        dial("nas.example", 3493, LIMIT)


def test_the_second_address_is_used_when_the_first_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        resolving(monkeypatch, inet(("127.0.0.1", free_port())), inet(server.getsockname()))
        with dial("nas.example", 3493, LIMIT) as link:
            assert link.getpeername() == server.getsockname()


def test_the_second_address_is_used_when_the_first_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = time.monotonic()
    with full_queue() as silent, socket.create_server(("127.0.0.1", 0)) as server:
        resolving(monkeypatch, inet(silent), inet(server.getsockname()))
        with dial("nas.example", 3493, LIMIT) as link:
            assert link.getpeername() == server.getsockname()
    assert time.monotonic() - begin < LIMIT


def test_the_second_address_is_used_where_the_kernel_lacks_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, kind)

    with socket.create_server(("127.0.0.1", 0)) as server:
        where = server.getsockname()
        resolving(monkeypatch, (socket.AF_INET6, ("::1", where[1], 0, 0)), inet(where))
        monkeypatch.setattr(socket, "socket", without_ipv6)
        with dial("nas.example", 3493, LIMIT) as link:
            assert link.getpeername() == where


def test_many_silent_addresses_end_at_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_queue() as silent:
        resolving(monkeypatch, *[inet(silent)] * 8)
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            dial("nas.example", 3493, LIMIT)
        assert LIMIT - 0.1 < time.monotonic() - begin < LIMIT + 0.5


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_no_socket_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []
    real = socket.socket

    def kept(family: int, kind: int) -> socket.socket:
        made.append(real(family, kind))
        return made[-1]

    resolving(monkeypatch, *[inet(("127.0.0.1", free_port()))] * 3)
    monkeypatch.setattr(socket, "socket", kept)
    with pytest.raises(ConnectionRefusedError):
        dial("nas.example", 3493, LIMIT)
    assert [sock.fileno() for sock in made] == [-1, -1, -1]
