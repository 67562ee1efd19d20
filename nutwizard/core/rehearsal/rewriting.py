"""The files as they play: the user's own, but for the driver, the times, and what ends a machine."""

from __future__ import annotations

from nutwizard.core import timing
from nutwizard.core.rehearsal.pace import SCALED, Pace
from nutwizard.core.upssched import START, at_lines
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile

#: What the part of every driver reads itself (ups.conf(5)); the rest is for the UPS's own driver.
_FRAMEWORK = frozenset({"desc", "ignorelb", "sdorder", "synchronous"})
_OWN = ("default.", "override.")
#: NUT's values for battery.charge.low and battery.runtime.low are the UPS's; an override is below no charge.
_LEVELS = ("battery.charge", "battery.runtime")
DRIVER = "dummy-ups"
_SHELLS = ("sh", "bash", "dash", "env", "python3", "perl")


def ups_conf(data: bytes) -> bytes:
    """ups.conf with every UPS played by dummy-ups, which reads `NAME.dev` beside it."""
    document = SectionFile.parse(data)
    for key in document.globals():
        if key in ("chroot", "driverpath", "user", "group", "statepath"):
            continue
        document.unset(None, key)
    document.set(None, "maxretry", "1")
    for name in document.names():
        for key in document.values(name):
            if key not in _FRAMEWORK and not key.startswith(_OWN) and key not in ("driver", "port"):
                document.unset(name, key)
        document.set(name, "driver", DRIVER)
        document.set(name, "port", device_of(name))
        document.set(name, "pollinterval", "1")
    return _ended(document.to_bytes())


def device_of(ups: str) -> str:
    """The file that dummy-ups reads for a UPS, in /etc/nut."""
    return f"{ups}.dev"


def levels_below(data: bytes, ups: str) -> dict[str, str]:
    """What makes NUT itself say LB: with ignorelb the first limit that it compares with, less one.

    Empty where the UPS decides.
    """
    document = SectionFile.parse(data)
    if not document.flag(ups, "ignorelb"):
        return {}
    for name in _LEVELS:
        for kind in ("override", "default"):
            limit = document.get(ups, f"{kind}.{name}.low")
            if limit is not None and limit.isascii() and limit.isdigit():
                return {name: str(max(0, int(limit) - 1))}
    return {}


def upsmon_conf(data: bytes, pace: Pace, end: str) -> bytes:
    """upsmon.conf at this pace. `end`: the command in place of SHUTDOWNCMD, "" to keep the user's."""
    document = NutFile.parse(data)
    for name in SCALED if pace.factor > 1 else ():
        value = timing.seconds(document, name)
        value = timing.DEFAULTS[name] if value is None else value
        _put(document, name, str(pace.seconds(name, value)))
    if end and document.get("SHUTDOWNCMD") is not None:  # without one nothing ends the machine
        _put(document, "SHUTDOWNCMD", end)
    return _ended(document.to_bytes())


def upssched_conf(data: bytes, pace: Pace) -> bytes:
    """upssched.conf at this pace."""
    document = NutFile.parse(data)
    for at in list(at_lines(document, START)):
        if len(at.rest) > 1 and at.rest[1].isascii() and at.rest[1].isdigit():
            seconds = str(pace.timer(int(at.rest[1])))
            document.replace(at.entry, *at.entry.words[:5], seconds, *at.rest[2:])
    return document.to_bytes()


def timer_seconds(data: bytes) -> tuple[int, ...]:
    """The seconds of every timer in an upssched.conf."""
    found = (at.rest[1] for at in at_lines(NutFile.parse(data), START) if len(at.rest) > 1)
    return tuple(int(word) for word in found if word.isascii() and word.isdigit() and len(word) < 7)


def times_of(data: bytes) -> dict[str, int]:
    """The times of upsmon in an upsmon.conf, NUT's own where it says none."""
    document = NutFile.parse(data)
    found = {name: timing.seconds(document, name) for name in SCALED}
    return {name: timing.DEFAULTS[name] if value is None else value for name, value in found.items()}


def word_of(data: bytes, name: str) -> str:
    """The first word of what stands behind a name, "" where there is no such line."""
    return next(iter(command_of(data, name).split()), "")


def program_of(data: bytes, name: str) -> str:
    """The program of such a command; of `sh SCRIPT` the script."""
    words = [word for word in command_of(data, name).split() if not word.startswith("-")]
    shell = len(words) > 1 and words[0].rpartition("/")[2] in _SHELLS
    return words[1 if shell else 0] if words else ""


def command_of(data: bytes, name: str) -> str:
    """What stands behind a name, as NUT takes it: one word; "" where there is no such line."""
    entry = NutFile.parse(data).get(name)
    return entry.args[0] if entry is not None and entry.args else ""


def _put(document: NutFile, name: str, value: str) -> None:
    """Behind every other line of that name, so that it is the one that counts."""
    for entry in document.entries(name):
        document.comment_out(entry)
    document.append(name, value)


def _ended(data: bytes) -> bytes:
    """A last line without an end may be lost."""
    return data if data.endswith(b"\n") else data + b"\n"
