"""What can go wrong in a conversation with a NUT server, told apart by class and by a stable id.

No error carries text that the peer sent: a hostile peer may echo the password that it was given.
The codes are those of RFC 9271 and of NUT's own protocol page. [ran] marks what was seen on NUT 2.8.0.
"""

from __future__ import annotations

from typing import ClassVar, Final


class NutError(Exception):
    """A conversation that failed: `cause` is its stable id, `text` says to a person what is wrong."""

    cause: ClassVar[str] = "nut"
    default: ClassVar[str] = "The conversation with the NUT server failed."

    def __init__(self, text: str = "") -> None:
        self.text = text or self.default
        super().__init__(self.text)


class NameNotResolved(NutError):
    """The server's name has no address."""

    cause = "name-not-resolved"


class ConnectTimeout(NutError):
    """Nothing answered: most often a firewall that drops, or a machine that is off."""

    cause = "connect-timeout"


class ConnectRefused(NutError):
    """The machine is there, and nothing listens on that address and port."""

    cause = "connect-refused"


class Unreachable(NutError):
    """Any other error of the network."""

    cause = "unreachable"


class Closed(NutError):
    """The server hung up; upsd does so at MAXCONN, and when it is restarted."""

    cause = "closed"
    default = "The server closed the connection in the middle of the conversation."


class AnswerTimeout(NutError):
    """An answer, or the whole conversation, took longer than its limit."""

    cause = "answer-timeout"


class NotNut(NutError):
    """An answer that the protocol does not know at this place."""

    cause = "not-nut"
    default = "The answer is not one that a NUT server gives; perhaps another program owns this port."


class TooMuch(NutError):
    """A line or a list longer than its limit."""

    cause = "too-much"


class WireUnsafe(NutError):
    """Refused, not sent: upsd would have read something else, more than one command, or nothing at all."""

    cause = "wire-unsafe"


class NotLoggedIn(NutError):
    """Asked too early."""

    cause = "not-logged-in"
    default = "This can be asked only after a login."


class ServerError(NutError):
    """An `ERR` answer. `code` is a word of the protocol, or `UNLISTED` for a word that no NUT documents."""

    cause = "server-error"
    default = ""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text or self.default or f"The NUT server answered with the error {code}.")
        self.code = code


class AccessDenied(ServerError):
    """Wrong password, unknown user and missing right look the same, and all show only at LOGIN [ran]."""

    cause = "access-denied"
    default = (
        "The NUT server denied access: the user, the password or the user's role is wrong. "
        "It does not say which; a check on the server itself can."
    )


class UnknownUps(ServerError):
    """No section of that name in the server's ups.conf; LOGIN says so before it looks at the user [ran]."""

    cause = "unknown-ups"
    default = "The NUT server has no UPS of this name."


class DriverNotConnected(ServerError):
    """upsd runs, the driver does not. LOGIN and LIST CLIENT work all the same [ran]."""

    cause = "driver-not-connected"
    default = "The NUT server runs, but the driver of this UPS does not."


class DataStale(ServerError):
    """The driver has been silent for longer than MAXAGE of upsd.conf."""

    cause = "data-stale"
    default = "The driver of this UPS no longer sends fresh data to the NUT server."


class VarNotSupported(ServerError):
    """The driver publishes no such variable."""

    cause = "var-not-supported"
    default = "This UPS does not report that variable."


class InvalidArgument(ServerError):
    """upsd counted other words than it wanted."""

    cause = "invalid-argument"
    default = "The NUT server could not use what was sent to it."


class AlreadyLoggedIn(ServerError):
    """One connection logs in to one UPS, once."""

    cause = "already-logged-in"
    default = "This connection is logged in already."


class UnknownCommand(ServerError):
    """An older server: 2.7.4 says so to PRIMARY."""

    cause = "unknown-command"
    default = "The NUT server does not know this command."


_CLASSES: Final[dict[str, type[ServerError]]] = {
    "ACCESS-DENIED": AccessDenied,
    "ALREADY-LOGGED-IN": AlreadyLoggedIn,
    "DATA-STALE": DataStale,
    "DRIVER-NOT-CONNECTED": DriverNotConnected,
    "INVALID-ARGUMENT": InvalidArgument,
    "UNKNOWN-COMMAND": UnknownCommand,
    "UNKNOWN-UPS": UnknownUps,
    "VAR-NOT-SUPPORTED": VarNotSupported,
}
_OTHER_CODES: Final = frozenset(
    {
        "ALREADY-SET-PASSWORD",
        "ALREADY-SET-USERNAME",
        "ALREADY-SSL-MODE",
        "CMD-NOT-SUPPORTED",
        "FEATURE-NOT-CONFIGURED",
        "FEATURE-NOT-SUPPORTED",
        "INSTCMD-FAILED",
        "INVALID-PASSWORD",
        "INVALID-USERNAME",
        "INVALID-VALUE",
        "PASSWORD-REQUIRED",
        "READONLY",
        "SET-FAILED",
        "TOO-LONG",
        "USERNAME-REQUIRED",
    }
)


def server_error(words: list[str]) -> ServerError | None:
    """The error that the answer `ERR CODE ...` stands for; None for any other answer."""
    if len(words) < 2 or words[0] != "ERR":
        return None
    code = words[1]
    if code in _CLASSES:
        return _CLASSES[code](code)
    return ServerError(code if code in _OTHER_CODES else "UNLISTED")
