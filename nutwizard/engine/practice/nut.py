"""What the practice machine's NUT makes of its files, as NUT 2.8.0 was measured to do. Pure functions."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nutwizard.core.site import NUT_PORT
from nutwizard.core.upsmon import Monitor, monitors
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile
from nutwizard.formats.shellfile import MODES
from nutwizard.formats.words import encode

#: Variables of ups.conf that belong to every driver of NUT 2.8.0 (ups.conf(5)).
_FRAMEWORK = frozenset(
    (
        *("driver", "port", "desc", "sdorder", "sddelay", "maxstartdelay", "nolock", "ignorelb"),
        *("pollinterval", "synchronous", "user", "group", "debug_min"),
    )
)
_MODE = re.compile(
    rb"""^[ \t]*(?:export[ \t]+)?MODE=(?:"([^"]*)"|'([^']*)'|([^\s;\#]*))(\r?)""", re.MULTILINE
)
_OVERRIDE = re.compile(r"(?:default|override)\.([A-Za-z0-9._-]+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
#: What the simulated UPS tells: an APC Back-UPS ES 700 on mains power.
_VARIABLES = {
    "battery.charge": "100",
    "battery.charge.low": "10",
    "battery.charge.warning": "50",
    "battery.runtime": "1830",
    "battery.runtime.low": "120",
    "battery.type": "PbAc",
    "battery.voltage": "13.5",
    "battery.voltage.nominal": "12.0",
    "device.mfr": "APC",
    "device.model": "Back-UPS ES 700G",
    "device.serial": "PRACTICE0001",
    "device.type": "ups",
    "input.transfer.high": "266",
    "input.transfer.low": "180",
    "input.voltage": "230.0",
    "input.voltage.nominal": "230",
    "ups.beeper.status": "enabled",
    "ups.delay.shutdown": "20",
    "ups.delay.start": "30",
    "ups.load": "14",
    "ups.mfr": "APC",
    "ups.model": "Back-UPS ES 700G",
    "ups.productid": "0002",
    "ups.serial": "PRACTICE0001",
    "ups.vendorid": "051d",
    "ups.status": "OL",
}
_CONSEQUENCES = {
    "lowbatt": "battery.charge.low",
    "offdelay": "ups.delay.shutdown",
    "ondelay": "ups.delay.start",
}
#: (address, port) pairs, in order.
Listening = dict[tuple[str, int], None]


@dataclass(frozen=True, slots=True)
class Ups:
    """One section of ups.conf: values that count, flags, and the words before the first section."""

    name: str
    values: Mapping[str, str]
    flags: frozenset[str] = frozenset()
    common: Mapping[str, str] = field(default_factory=dict)

    @property
    def driver(self) -> str:
        return self.values.get("driver", "")

    @property
    def usable(self) -> bool:
        """Whether upsd takes it: a driver and a port are named. Its name becomes that of a file."""
        return bool(self.driver and self.values.get("port") and _NAME.fullmatch(self.name))


@dataclass(frozen=True, slots=True)
class User:
    """What upsd lets a user do. No password: no login."""

    password: str = field(default="", repr=False)
    login: bool = False
    primary: bool = False


class Fatal(Exception):
    """The program does not start, and its journal says why. `clean`: its exit code is 0 nevertheless."""

    def __init__(self, text: str, *, clean: bool = False) -> None:
        super().__init__(text)
        self.clean = clean


def check_mode(nut_conf: bytes, program: str) -> None:
    """Whether Debian's wrapper runs upsd or upsmon. Raises Fatal."""
    found = _MODE.findall(nut_conf)
    mode = b"".join(found[-1]).decode("ascii", "replace") if found else ""
    if mode not in MODES:
        raise Fatal(f"nut.conf names no valid MODE, so {program} is not started")
    if mode == "none" or (mode == "netclient" and program == "upsd"):
        raise Fatal(f"{program} is disabled by MODE={mode} in nut.conf", clean=True)


def read_ups(ups_conf: bytes) -> list[Ups]:
    """The sections of ups.conf, merged and in order."""
    document = SectionFile.parse(ups_conf)
    common = {key: values[-1] for key, values in document.globals().items() if values}
    found = []
    for name in document.names():
        items = document.values(name)
        values = {key: values[-1] for key, values in items.items() if values}
        flags = frozenset(key for key, values in items.items() if not values)
        found.append(Ups(name, values, flags, common))
    return found


def check_driver(ups: Ups, drivers: Mapping[str, frozenset[str]]) -> None:
    """Whether the driver starts. Raises Fatal; an unknown variable ends a driver with exit code 0."""
    if not ups.usable:
        raise Fatal(f"section [{ups.name}] of ups.conf names no driver or no port")
    known = drivers.get(ups.driver)
    if known is None:
        raise Fatal(f"there is no driver {ups.driver} in /lib/nut")
    for name in sorted({*ups.values, *ups.flags}):
        if name not in _FRAMEWORK and name not in known and not _OVERRIDE.fullmatch(name):
            raise Fatal(f"{name} is not a variable that the driver {ups.driver} knows", clean=True)


def published(ups: Ups) -> dict[str, str]:
    """The variables that upsd has of the simulated UPS behind this driver."""
    found = dict(_VARIABLES)
    for option, variable in _CONSEQUENCES.items():
        if option in ups.values:
            found[variable] = ups.values[option]
    for key, value in ups.values.items():
        if match := _OVERRIDE.fullmatch(key):
            # The simulated device reports all that it has: a default only fills what it lacks.
            if key.startswith("override.") or match[1] not in found:
                found[match[1]] = value
        elif key not in ("driver", "desc"):
            found[f"driver.parameter.{key}"] = value
    found |= {f"driver.flag.{flag}": "enabled" for flag in ups.flags}
    found.setdefault("driver.parameter.pollinterval", ups.common.get("pollinterval", "2"))
    return found | {"driver.name": ups.driver, "driver.version": "2.8.0"}


def read_users(upsd_users: bytes) -> dict[str, User]:
    """The users as upsd knows them, leaks through repeated sections included."""
    found = {}
    for name, values in SectionFile.parse(upsd_users, users=True).effective_users().items():
        words = {word.lower() for key in ("upsmon", "actions") for word in values.get(key, ())}
        primary = bool(words & {"primary", "master"})
        login = primary or bool(words & {"secondary", "slave", "login"})
        found[name] = User("".join(values.get("password", ())[:1]), login, primary)
    return found


def bound(upsd_conf: bytes, own: frozenset[str], names: Mapping[str, tuple[str, ...]]) -> Listening:
    """Where upsd 2.8.0 ends up listening. Raises Fatal.

    It goes through the LISTEN lines from the last to the first; only the one tried first must succeed.
    """
    lines = [entry.args for entry in NutFile.parse(upsd_conf).entries("LISTEN") if entry.args]
    found: Listening = {}
    for number, words in enumerate(reversed(lines or [("127.0.0.1",), ("::1",)])):
        if len(words) > 1 and not words[1].isdigit():
            raise Fatal(f"LISTEN: {words[1]} is not a port")
        address = _listen_address(words[0], names)
        port = int(words[1]) % 65536 if len(words) > 1 else NUT_PORT
        free = not any(port == other and _clash(address, taken) for taken, other in found)
        if free and (address in own or address in ("0.0.0.0", "::")):
            found[address, port] = None
        elif number == 0:
            raise Fatal(f"not listening on {address} port {port}: no address could be bound")
    return found


def _listen_address(word: str, names: Mapping[str, tuple[str, ...]]) -> str:
    if word == "*":
        return "0.0.0.0"
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        if word not in names:
            raise Fatal(f"LISTEN: the name {word} cannot be resolved") from None
        return names[word][0]


def _clash(one: str, other: str) -> bool:
    """Whether two addresses cannot be bound on one port; [::] takes IPv4 as well."""
    if "::" in (one, other) or one == other:
        return True
    return "0.0.0.0" in (one, other) and ":" not in one + other


def reaches(listening: Listening, address: str, port: int) -> bool:
    """Whether a connection to this address of the machine is accepted."""
    wildcards = ("::",) if ":" in address else ("0.0.0.0", "::")
    return any((candidate, port) in listening for candidate in (address, *wildcards))


def read_monitors(upsmon_conf: bytes) -> list[Monitor]:
    """The MONITOR lines of upsmon.conf. Raises Fatal where upsmon ends at start."""
    document = NutFile.parse(upsmon_conf)
    if any(len(entry.args) < 5 for entry in document.entries("MONITOR")):
        raise Fatal("a MONITOR line of upsmon.conf has too few words")
    found = monitors(document)
    power = sum(int(each.entry.args[1]) for each in found if each.entry.args[1].isdigit())
    least = document.get("MINSUPPLIES")
    needed = int(least.args[0]) if least is not None and least.args[0].isdigit() else 1
    if not found or power < needed:
        raise Fatal("upsmon.conf has no MONITOR lines that feed this machine: insufficient power configured")
    return found


def real_upsd_conf(upsd_conf: bytes, port: int) -> bytes:
    """upsd.conf for the real upsd: as it is, but for where it listens (loopback only) and keeps its files."""
    document = NutFile.parse(upsd_conf)
    for entry in document.entries():
        if entry.name in ("LISTEN", "STATEPATH", "DATAPATH") or entry.name.startswith("CERT"):
            document.remove(entry)
    document.append("LISTEN", "127.0.0.1", str(port))
    return document.to_bytes()


def real_ups_conf(found: list[Ups]) -> bytes:
    """ups.conf for the real upsd and dummy-ups, which publishes what the driver named in the file would."""
    lines = ["maxretry = 1", "pollinterval = 1"]
    for ups in found:
        if ups.usable:
            lines += [f"[{ups.name}]", "driver = dummy-ups", f"port = {ups.name}.dev", "mode = dummy-once"]
            lines += [f"desc = {encode(ups.values['desc'])}"] if "desc" in ups.values else []
            told = published(ups)
            lines += [f"override.{name} = {encode(told[name])}" for name in told if name != "ups.status"]
    return "\n".join([*lines, ""]).encode("ascii")
