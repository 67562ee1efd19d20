"""Links of the chain of protection and what a probe found about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nutwizard.core.secret import Secret


class LinkId(StrEnum):
    """The links, in the order of the chain from UPS to powered-off load."""

    UPS = "ups"
    DRIVER = "driver"
    UPSD = "upsd"
    FIREWALL = "firewall"
    LOGIN = "login"
    UPSMON = "upsmon"
    EVENTS = "events"
    SHUTDOWN = "shutdown"
    POWEROFF = "poweroff"
    BOOT = "boot"
    STALE = "stale"


class State(StrEnum):
    """What a probe can say of a link."""

    PROVEN = "proven"
    BROKEN = "broken"
    WAITING = "waiting"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Server:
    """Where a NUT server is to be asked."""

    address: str
    port: int


@dataclass(frozen=True)
class DriverData:
    """upsd has fresh data of `ups`, and the driver runs with these `driver.parameter.*` values.

    `ended` says why there would be no driver, where ups.conf tells: upsd never does. `variables`: what upsd
    shows when the driver runs on ups.conf as it is; "" for one that it must not show. `compared`: variables
    with a limit in ups.conf, of which the UPS must report one.
    """

    server: Server
    ups: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    ended: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    compared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listens:
    """upsd answers on this address."""

    server: Server


@dataclass(frozen=True)
class Reachable:
    """The server can be reached from here: name, TCP, NUT's protocol, the UPS, its data, in this order."""

    server: Server
    ups: str


@dataclass(frozen=True)
class Login:
    """`user` can log in for `ups`, with primary rights where asked. A login that was made is taken back.

    `denied` says why it would be denied, where this machine's own upsd.users tells: the server never does.
    """

    server: Server
    ups: str
    user: str
    password: Secret
    primary: bool = False
    denied: str = ""


@dataclass(frozen=True)
class LoggedIn:
    """An upsmon of this machine is in the server's list of clients of `ups`."""

    server: Server
    ups: str


@dataclass(frozen=True)
class Expected:
    """The client `name` is in the server's list of clients of `ups`, under one of its addresses.

    It comes when it likes: one that is not there is waited for, never broken.
    """

    server: Server
    ups: str
    name: str
    addresses: tuple[str, ...] = ()


#: What mends a rule of the firewall that is there and off.
ENABLE = "nutwizard firewall enable"


@dataclass(frozen=True)
class LetIn:
    """Proxmox VE's firewall lets `address` reach upsd, by its files; who is logged in from there has come in.

    `closed`: which line keeps it out, and `fix`; `open`: why nobody is kept out; `line`: what opens it.
    """

    server: Server
    ups: str
    address: str = ""
    closed: str = ""
    fix: str = ""
    open: str = ""
    line: str = ""


@dataclass(frozen=True)
class Told:
    """What the files alone tell, at once: nothing is connected. `fix` "": the link's step mends it."""

    state: State = State.PROVEN
    evidence: str = ""
    cause: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Examined:
    """What no single probe tells: the rules, and what was tried on this machine, decide it."""


Target = DriverData | Listens | Reachable | Login | LoggedIn | Expected | LetIn | Told | Examined


@dataclass(frozen=True)
class Link:
    """One link to be proven: what it is about in words, the probe's target, and the step that mends it.

    `awaited`: it depends on another machine that may come at any time, or on what a person answered: no
    verdict on a change rests on it.
    """

    id: LinkId
    subject: str
    target: Target
    step: str
    awaited: bool = False


@dataclass(frozen=True)
class Finding:
    """What a probe found: state, evidence, and for a broken link the cause and the next thing to do."""

    link: Link
    state: State
    evidence: str = ""
    cause: str = ""
    fix: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
