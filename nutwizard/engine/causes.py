"""Why a server could not be asked, and what to do next, in words."""

from __future__ import annotations

from collections.abc import Mapping

from nutwizard.engine.nut_errors import (
    AccessDenied,
    AnswerTimeout,
    Closed,
    ConnectRefused,
    ConnectTimeout,
    DataStale,
    DriverNotConnected,
    NameNotResolved,
    NotNut,
    NutError,
    UnknownUps,
    Unreachable,
)

STEP_DRIVER = "nutwizard step driver"

#: Cause and what to do next, by class of error.
CAUSES: Mapping[type[NutError], tuple[str, str]] = {
    NameNotResolved: (
        "the name does not resolve",
        "Use the server's address in place of its name, or add it to /etc/hosts.",
    ),
    ConnectTimeout: (
        "timed out: a firewall drops the packets, or the machine is off",
        "On the host: nutwizard check, it names the line. nutwizard firewall enable switches the rule on; by"
        " hand it is in Datacenter > Firewall > Security Group, nut_port_accept_in.",
    ),
    ConnectRefused: (
        "refused: upsd is down, or listens on loopback only",
        "Run on the host: nutwizard check",
    ),
    Unreachable: ("there is no way to the server", "Check the network between the two: ip route, ping."),
    NotNut: ("another program answers on this port", "Check address and port: nutwizard step monitor"),
    Closed: (
        "the server hung up",
        "Run the check again; if it stays: journalctl -u nut-server on the server",
    ),
    AnswerTimeout: ("the server does not answer", "On the host: systemctl restart nut-server"),
    UnknownUps: ("unknown UPS", "Take one of the names that the server has: nutwizard step monitor"),
    DriverNotConnected: (
        "the driver is not connected",
        "On the host: systemctl status 'nut-driver@*'; nutwizard step driver",
    ),
    DataStale: (
        "the data is stale",
        "On the host look at cable and driver: journalctl -u 'nut-driver@*'; nutwizard step driver",
    ),
    AccessDenied: (
        "denied: user, password or role",
        "Run nutwizard check on the host: it says which. Or write both ends from one file.",
    ),
}

#: The same where the server is this machine's own: it is not sent to itself, and not through PVE's firewall.
OWN: Mapping[type[NutError], tuple[str, str]] = {
    ConnectTimeout: (
        "timed out: what listens there hangs, or a firewall on this machine drops the packets",
        "See who listens: ss -ltnp; then: systemctl restart nut-server",
    ),
    ConnectRefused: (
        "refused: upsd does not run, or not on this address",
        "See why: journalctl -u nut-server; then: nutwizard step services",
    ),
}


def known_cause(error: NutError, *, own: bool) -> tuple[str, str] | None:
    """Cause and what to do next; None for an error that speaks for itself. `own`: this machine's server."""
    causes = {**CAUSES, **OWN} if own else CAUSES
    return next((pair for kind, pair in causes.items() if isinstance(error, kind)), None)
