"""A small client of NUT's network protocol, so that a check can log in exactly as upsmon does.

Names and answers are RFC 9271's, in the words that NUT 2.7.4 and later speak (LOGIN, not ATTACH). Every wait,
line and list has a limit, and nothing is sent that upsd could read as another command. There is no TLS.
[ran] marks what was seen on NUT 2.8.0.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from nutwizard.engine.nut_errors import (
    AccessDenied,
    AnswerTimeout,
    Closed,
    ConnectRefused,
    ConnectTimeout,
    NameNotResolved,
    NotLoggedIn,
    NotNut,
    NutError,
    ServerError,
    TooMuch,
    UnknownCommand,
    Unreachable,
    WireUnsafe,
    server_error,
)
from nutwizard.engine.nut_protocol import MISREAD, UNSAFE, decode_line, quote_word, raw_reading, words_after

#: Seconds that close() grants the LOGOUT, also when the conversation's time is used up.
_FAREWELL: Final = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to connect, of one silence, of all once connected; bytes of a line; rows of a list."""

    connect: float = 3.0
    answer: float = 5.0
    total: float = 10.0
    line: int = 8192
    items: int = 5000


class _Line:
    """A command on its way out. Its repr never shows more than the first word, so no traceback does."""

    __slots__ = ("data",)

    def __init__(self, *words: str) -> None:
        self.data = " ".join(words).encode("ascii") + b"\n"

    def __repr__(self) -> str:
        return f"_Line({self.data.split()[0].decode('ascii')} ...)"


def open_client(
    connect: Callable[[str, int, float], socket.socket], address: str, port: int, limits: Limits
) -> NutClient:
    """Connect and return a client; every error of the network becomes a NutError with a text for a person.

    `address` is a name, an IPv4 or an IPv6 address without brackets. `connect` is the Host's, and the one to
    bound the sum: resolving a name knows no limit, and each address of a name may take `limits.connect`.
    """
    name = address if address.isprintable() else ascii(address)
    where = f"{name} port {port}"
    try:
        return NutClient(connect(address, port, limits.connect), limits)
    except socket.gaierror as error:
        why = "no name server answers" if error.errno == socket.EAI_AGAIN else "it has no address"
        raise NameNotResolved(f"The name {name} could not be resolved on this machine: {why}.") from error
    except TimeoutError as error:
        raise ConnectTimeout(f"{where} did not answer within {limits.connect:g} s.") from error
    except ConnectionRefusedError as error:
        raise ConnectRefused(f"{where} refused the connection: nothing listens there.") from error
    except OSError as error:
        raise Unreachable(f"{where} cannot be reached: {error.strerror or 'network error'}.") from error
    except ValueError as error:  # labels too long for DNS, a NUL inside
        raise NameNotResolved(f"{name} is not a possible name of a machine.") from error


class NutClient:
    """One conversation with upsd over a connected socket, which it owns and closes.

    Every method sends one command and raises a NutError when the answer is not the one hoped for. After an
    ERR answer (ServerError) or a refusal to send (WireUnsafe) the conversation goes on; after any other error
    it is over. `limits.total` counts from construction.
    """

    def __init__(
        self, sock: socket.socket, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sock = sock
        self._limits = limits
        self._clock = clock
        self._end = clock() + limits.total
        self._received = bytearray()
        self._in_step = True
        self._login_sent = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def own_address(self) -> str:
        """This side's address, as the server lists it in LIST CLIENT."""
        return str(self._sock.getsockname()[0])

    def version(self) -> str:
        """What the server says of itself, for example `Network UPS Tools upsd 2.8.0 - http://...`.

        The text is free, so an unfamiliar one counts only if the server also knows NETVER: else NotNut.
        """
        text = " ".join(self._ask(_Line("VER")))
        if "network ups tools" not in text.lower() and not self._knows_netver():
            raise NotNut
        return text

    def ups_names(self) -> dict[str, str]:
        """Name and description of every UPS, in the server's order."""
        return dict(self._list("UPS", values=2))

    def get_var(self, ups: str, name: str) -> str:
        """One variable. Just after upsd has started `ups.status` may be `WAIT`: no data yet [ran]."""
        command = _Line("GET", "VAR", quote_word(ups), quote_word(name))
        return self._ask(command, "VAR", ups, name, values=1)[0]

    def list_vars(self, ups: str) -> dict[str, str]:
        """All variables of a UPS."""
        return dict(self._list("VAR", ups, values=2))

    def clients(self, ups: str) -> list[str]:
        """The addresses logged in to a UPS, in the server's order; logged in twice stands twice."""
        return [address for (address,) in self._list("CLIENT", ups, values=1)]

    def login(self, ups: str, user: str, password: str) -> None:
        """Log in as upsmon does: USERNAME and PASSWORD bare, then LOGIN, which alone is judged [ran].

        It counts as a running client until logout() or close(). One attempt per connection: upsd takes a user
        name only once [ran]. Raises WireUnsafe, nothing sent, where upsmon's login could not work either.
        """
        reading = raw_reading(password)
        secret = None if reading is None else _Line("PASSWORD", password)
        changed = password != reading or user != raw_reading(user)
        del password, reading  # from here on no frame of a traceback shows it
        if secret is None:
            raise WireUnsafe(UNSAFE.format("password"))
        if raw_reading(user) is None:
            raise WireUnsafe(UNSAFE.format("user name"))
        command = _Line("LOGIN", quote_word(ups))
        self._ask(_Line("USERNAME", user), "OK")
        self._ask(secret, "OK")
        self._login_sent = True
        try:
            self._ask(command, "OK")
        except ServerError as error:
            self._login_sent = False
            if changed and isinstance(error, AccessDenied):
                raise AccessDenied(error.code, f"{error.text} {MISREAD}") from None
            raise

    def has_primary_rights(self, ups: str) -> bool:
        """Whether the user logged in may be the primary (master) of a UPS. Asking changes nothing [ran]."""
        if not self._login_sent:
            raise NotLoggedIn
        target = quote_word(ups)
        try:
            try:
                self._ask(_Line("PRIMARY", target), "OK")
            except UnknownCommand:  # NUT 2.7.4
                self._ask(_Line("MASTER", target), "OK")
        except AccessDenied:
            return False
        return True

    def logout(self) -> None:
        """Say goodbye, after which the server has forgotten the login; the conversation is over."""
        with suppress(Closed):  # gone is what was asked for
            self._ask(_Line("LOGOUT"), "OK")
        self._in_step = self._login_sent = False

    def close(self) -> None:
        """Log out if a login was sent, within a second, and close the socket. Never raises."""
        try:
            if self._login_sent:
                self._end = self._clock() + _FAREWELL
                self._sock.settimeout(_FAREWELL)
                with suppress(NutError, OSError):
                    if self._in_step:
                        self.logout()
                    else:
                        self._sock.sendall(b"LOGOUT\n")
        finally:
            self._login_sent = self._in_step = False
            self._sock.close()

    def _knows_netver(self) -> bool:
        try:
            answer = self._ask(_Line("NETVER"))
        except UnknownCommand:
            return True
        except NutError:
            return False
        return len(answer) == 1 and re.fullmatch(r"[0-9]+(\.[0-9]+)+", answer[0]) is not None

    def _list(self, kind: str, *of: str, values: int) -> list[list[str]]:
        """The rows of LIST, each reduced to the `values` words after its kind and UPS."""
        self._send(_Line("LIST", kind, *map(quote_word, of)))
        if words_after(self._next(), ("BEGIN", "LIST", kind, *of), 0) is None:
            raise NotNut
        rows: list[list[str]] = []
        while words_after(words := self._next(), ("END", "LIST", kind, *of), 0) is None:
            if len(rows) >= self._limits.items:
                raise TooMuch(f"The server lists more than {self._limits.items} rows.")
            row = words_after(words, (kind, *of), values)
            if row is None:
                raise NotNut
            rows.append(row)
        self._in_step = True
        return rows

    def _ask(self, command: _Line, *head: str, values: int | None = None) -> list[str]:
        """Send a command; the words of its one-line answer after those expected. Raises NotNut for others."""
        self._send(command)
        rest = words_after(self._next(), head, values)
        if rest is None:
            raise NotNut
        self._in_step = True
        return rest

    def _send(self, command: _Line) -> None:
        if not self._in_step:
            raise Closed("This conversation with the NUT server is already over.")
        self._in_step = False
        if self._received:  # more came than was asked for: what follows would be read as the next answer
            raise NotNut
        self._sock.settimeout(self._patience())
        try:
            self._sock.sendall(command.data)
        except OSError as error:
            raise self._failure(error) from None

    def _next(self) -> list[str]:
        """The words of the next line. Keeps no local that a traceback could show: it may be an echo."""
        words = decode_line(self._read_line())
        error = NotNut() if not words else server_error(words)
        if words and error is None:
            return words
        del words
        self._in_step = isinstance(error, ServerError)
        raise error or NotNut

    def _read_line(self) -> bytes:
        while (end := self._received.find(b"\n")) < 0 and len(self._received) <= self._limits.line:
            self._sock.settimeout(self._patience())
            before = len(self._received)
            try:
                self._received += self._sock.recv(4096)
            except OSError as error:
                raise self._failure(error) from None
            if len(self._received) == before:
                raise Closed
        if not 0 <= end <= self._limits.line:
            raise TooMuch(f"The server sent a line of more than {self._limits.line} bytes.")
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _patience(self) -> float:
        """Seconds that the next wait may take; none left is an AnswerTimeout."""
        rest = self._end - self._clock()
        if rest <= 0:
            raise self._late()
        return min(rest, self._limits.answer)

    def _failure(self, error: OSError) -> NutError:
        if isinstance(error, TimeoutError):
            return self._late()
        if isinstance(error, ConnectionError):
            return Closed()
        return Unreachable(f"The connection broke: {error.strerror or 'network error'}.")

    def _late(self) -> AnswerTimeout:
        if self._clock() < self._end:
            return AnswerTimeout(f"The server is connected but was silent for {self._limits.answer:g} s.")
        return AnswerTimeout(f"The conversation with the server took longer than {self._limits.total:g} s.")
