"""Which of its LISTEN lines upsd binds, by version, and whether an address is there when upsd starts.

Measured with NUT 2.7.4, 2.8.0 and 2.8.1; for later versions read in upsd's own code.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from nutwizard.core import checks, paths
from nutwizard.core.clients import one_spelling
from nutwizard.core.facts import Facts
from nutwizard.core.rules.rule import Look
from nutwizard.core.server import FIRST_LINE_DECIDES, LOOPBACK, WILDCARDS, listen_line
from nutwizard.core.site import NUT_PORT

#: From this version on any line that cannot be bound ends upsd, but for those that name loopback.
EVERY_LINE_DECIDES = (2, 8, 2)
_LET_SLIDE = ("localhost", "localhost6", "127.0.0.1", "::1")
_INTERFACES = "/etc/network/interfaces"
_UNIT = "nut-server.service"
_DROP_INS = f"/etc/systemd/system/{_UNIT}.d"
#: A folder cannot be listed: the usual names. The first is nutwizard's, the second that of systemctl edit.
_NAMES = ("nutwizard", "override", "local", "network", "10-network", "wait-online")
_UNITS = (f"/etc/systemd/system/{_UNIT}", f"/lib/systemd/system/{_UNIT}")
#: systemd gives up a unit that ends five times in ten seconds.
_PATIENT = 3
_YES = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Line:
    """One LISTEN line; `number` 0: NUT's own, where the file has none."""

    address: str
    port: int
    number: int = 0

    @property
    def wildcard(self) -> bool:
        return self.address in WILDCARDS

    @property
    def loopback(self) -> bool:
        return self.address.startswith("127.") or self.address in (*LOOPBACK, *_LET_SLIDE)

    @property
    def concrete(self) -> bool:
        """Whether it is an address of the network."""
        known = checks.is_ip(self.address.partition("%")[0])
        return known and not self.wildcard and not self.loopback


@dataclass(frozen=True)
class Socket:
    """A line as upsd binds it; one for both families may be two. `families` is empty for a name."""

    line: Line
    families: frozenset[int]

    def clashes(self, other: Socket) -> bool:
        """Whether one of the two cannot be bound while the other is."""
        same = one_spelling(self.line.address) == one_spelling(other.line.address)
        alike = same or self.line.wildcard or other.line.wildcard
        return alike and self.line.port == other.line.port and bool(self.families & other.families)


@dataclass(frozen=True)
class Outcome:
    """What upsd binds. `ends`: the line on which it ends at start, None where it runs."""

    held: tuple[Socket, ...]
    lost: tuple[Socket, ...]
    ends: Line | None


def lines_of(look: Look) -> list[Line]:
    """The LISTEN lines that can be read; NUT's own two where there is none at all."""
    entries = look.upsd.entries("LISTEN")
    good = [entry for entry in entries if entry.args and wrong_port(entry.args) == ""]
    found = [Line(*listen_line(entry.args), entry.line) for entry in good]
    readable = [line for line in found if line.address != "=" and not glued_port(line.address)]
    return readable if entries else [Line("127.0.0.1", NUT_PORT), Line("::1", NUT_PORT)]


def glued_port(address: str) -> bool:
    """Whether a port is glued to `::`, which makes an address of the two."""
    return re.fullmatch(r"::\d{3,5}", address) is not None


def wrong_port(args: Sequence[str]) -> str:
    """What upsd does with the port of a LISTEN line by its words, "" when it is one."""
    if len(args) < 2 or args[1] == "nut":
        return ""
    if args[1] and not args[1].isdigit():
        return "upsd ends at start"
    if not args[1].strip("0"):
        return "upsd takes any port that is free"
    return "" if int(args[1][:9]) <= 65535 else "upsd takes another port without a word"


def families_of(address: str, version: tuple[int, ...]) -> frozenset[int]:
    """The families, 4 and 6, that a line for this address serves; none for a name, which nobody knows."""
    before = version < FIRST_LINE_DECIDES
    if address == "*":
        return frozenset({4} if before else {4, 6})
    if address in WILDCARDS and ":" in address:
        return frozenset({4, 6} if before else {6})
    if not checks.is_ip(address.partition("%")[0]):
        return frozenset()
    return frozenset({6 if ":" in address else 4})


def outcome(look: Look, lines: Sequence[Line], absent: Collection[Line] = ()) -> Outcome:
    """What becomes of these lines, when the addresses of `absent` are not there."""
    version = look.version
    held: list[Socket] = []
    lost: list[Socket] = []
    for line in lines if version >= FIRST_LINE_DECIDES else reversed(lines):
        for socket in _sockets(line, version):
            fails = line in absent or any(socket.clashes(other) for other in held)
            (lost if fails else held).append(socket)
    bound = [socket.line for socket in held]
    ends = _ends(look, lines, [line for line in lines if line not in bound])
    return Outcome(tuple(held), tuple(lost), ends)


def _sockets(line: Line, version: tuple[int, ...]) -> Iterator[Socket]:
    families = families_of(line.address, version)
    if line.address == "*" and len(families) > 1:
        yield from (Socket(line, frozenset({family})) for family in (6, 4))
    else:
        yield Socket(line, families)


def _ends(look: Look, lines: Sequence[Line], failed: Sequence[Line]) -> Line | None:
    if not failed:
        return None
    if look.version < EVERY_LINE_DECIDES:
        decides = decisive(look, lines)
        return decides if decides in failed else None
    if len(failed) == len(lines):
        return lines[0]
    strict = [line for line in failed if line.address not in _LET_SLIDE]
    return strict[0] if strict and not _lenient(look) else None


def decisive(look: Look, lines: Sequence[Line]) -> Line | None:
    """The one line that must be bound, in versions that look at one alone."""
    if look.version >= EVERY_LINE_DECIDES or not look.version or not lines:
        return None
    return lines[0] if look.version >= FIRST_LINE_DECIDES else lines[-1]


def _lenient(look: Look) -> bool:
    """Whether upsd runs on without some of its lines; the environment, which nut.conf sets, counts first."""
    entry = look.upsd.get("ALLOW_NOT_ALL_LISTENERS")
    word = look.view.shell(paths.NUT_CONF).get("ALLOW_NOT_ALL_LISTENERS") or (entry.args[0] if entry else "")
    return word.lower() in _YES or (word.isdigit() and int(word) > 0)


def own_addresses(facts: Facts) -> frozenset[str]:
    """This machine's addresses, each in one spelling; none where nothing runs."""
    here = facts.addresses() if facts.runs else ()
    return frozenset(one_spelling(address.address) for address in here)


def binds_anything(facts: Facts, address: str) -> bool:
    """Whether the kernel lets a program listen on an address that is not there (ip_nonlocal_bind)."""
    family = "ipv6" if ":" in address else "ipv4"
    return text_of(facts, f"/proc/sys/net/{family}/ip_nonlocal_bind").strip() == "1"


def is_fixed(facts: Facts, address: str) -> bool | None:
    """Whether ifupdown gives the address to an interface, which it does before upsd starts.

    None where nobody can tell: there is no file of ifupdown, and the machine does not run.
    """
    text = text_of(facts, _INTERFACES)
    if not text and not facts.runs:
        return None
    known = [a.interface for a in facts.addresses() if a.address == address] if facts.runs else []
    more = [word for line in _rows(text) if line[0] == "source" for word in line[1:]]
    named = [path for path in more if "*" not in path and path.startswith("/")]
    guessed = ("sdn", "setup", "50-cloud-init", *(f"{name}{end}" for name in known for end in ("", ".cfg")))
    paths_ = [*named, *(f"{_INTERFACES}.d/{name}" for name in guessed)] if text else []
    texts = [text, *(text_of(facts, path) for path in dict.fromkeys(paths_))]
    words = {word.partition("/")[0] for one in texts for line in _rows(one) for word in line[1:]}
    return one_spelling(address) in {one_spelling(word) for word in words}


def waits_for_network(facts: Facts) -> bool:
    """Whether the unit of upsd, or a drop-in of it, comes after network-online.target."""
    return any("network-online.target" in value for name, value in _settings(facts) if name == "After")


def is_restarted(facts: Facts) -> bool:
    """Whether systemd starts upsd again, often enough to outlast a slow network, when it ends."""
    found = dict(_settings(facts))
    patient = re.match(r"\d+", found.get("RestartSec", ""))
    unlimited = found.get("StartLimitIntervalSec", found.get("StartLimitInterval")) in ("0", "0s")
    often = unlimited or (patient is not None and int(patient[0]) >= _PATIENT)
    return found.get("Restart") in ("always", "on-failure") and often


def _settings(facts: Facts) -> Iterator[tuple[str, str]]:
    """The settings of the unit and its drop-ins, in systemd's order."""
    texts = [text for path in _UNITS if (text := text_of(facts, path))][:1]
    texts += [text_of(facts, f"{_DROP_INS}/{name}.conf") for name in sorted(_NAMES)]
    for text in texts:
        for line in text.replace("\\\n", " ").splitlines():
            name, equals, value = line.partition("=")
            if equals and not name.lstrip().startswith(("#", ";")):
                yield name.strip(), value.strip()


def _rows(text: str) -> list[list[str]]:
    """The lines of a file of ifupdown as words."""
    rows = (line.split() for line in text.replace("\\\n", " ").splitlines())
    return [row for row in rows if row and not row[0].startswith("#")]


def text_of(facts: Facts, path: str) -> str:
    """A file outside the managed ones; "" where it is missing or cannot be read."""
    content = facts.program(path).content
    return content.data.decode("utf-8", "replace") if content is not None else ""
