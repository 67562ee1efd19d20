"""Who says that the battery is low: the UPS itself, or NUT by the charge or the runtime.

With the flag `ignorelb` a driver drops the UPS's own LB and sets LB while battery.charge is below
battery.charge.low, or battery.runtime below battery.runtime.low (ups.conf(5)). `override.` puts our limits
in their place. Measured with NUT 2.8.0: below means less than; of several override lines of one variable the
first counts; the driver ends at its start where the UPS has neither a charge nor a runtime to compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.errors import Problem
from nutwizard.core.fields import Choice
from nutwizard.formats.sectionlines import Reading, read_ups_line
from nutwizard.formats.sections import SectionFile

DRIVER, CHARGE, RUNTIME = "driver", "charge", "runtime"
FLAG = "ignorelb"
#: The kinds with which NUT decides, in the order in which the fields are asked.
OWN_LIMIT = (CHARGE, RUNTIME)
#: The field of each, its unit, the values that it takes (lowbatt for the first), and what is suggested.
FIELDS = {CHARGE: "low_charge", RUNTIME: "low_runtime"}
UNITS = {DRIVER: "%", CHARGE: "%", RUNTIME: "s"}
LIMITS = {DRIVER: (0, 100), CHARGE: (5, 95), RUNTIME: (30, 86400)}
SUGGESTED = {CHARGE: 30, RUNTIME: 300}
_ADVICE = {CHARGE: "30 to 50 suits most", RUNTIME: "five minutes; host and guests must stop in it"}
#: From here on the shutdown begins almost with the power cut, and a second one finds the limit passed.
EARLY = 80

CHOICES = (
    Choice(DRIVER, "the UPS says when its battery is low, as in the guide"),
    Choice(CHARGE, "NUT says so, below a charge that you set"),
    Choice(RUNTIME, "NUT says so, below a runtime that you set"),
)


@dataclass(frozen=True)
class Found:
    """What a section holds. `limits`: texts of the override lines; `others`: kinds limited by `default.`."""

    lowbatt: bool = False
    ignorelb: bool = False
    limits: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def limit(self, kind: str) -> int | None:
        """Our limit of this kind as a number that its field takes; None when there is none."""
        text = self.limits.get(kind, "")
        low, high = LIMITS[kind]
        return int(text) if text.isascii() and text.isdigit() and low <= int(text) <= high else None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Who decides; both where both are limited. A bare `ignorelb` leaves the UPS its own limits."""
        if not self.ignorelb:
            return (DRIVER,)
        return tuple(kind for kind in OWN_LIMIT if kind in (*self.limits, *self.others)) or (CHARGE,)


def read(document: SectionFile, section: str | None) -> Found:
    """What decides in a section of ups.conf; without one, nothing does yet."""
    if section is None or not document.has(section):
        return Found()
    ours = {kind: _lines(document, section, variable(kind)) for kind in OWN_LIMIT}
    # Of several the first counts: it makes the variable immutable.
    limits = {kind: lines[0].values[-1] for kind, lines in ours.items() if lines and lines[0].values}
    others = [kind for kind in OWN_LIMIT if _lines(document, section, f"default.battery.{kind}.low")]
    keys = document.values(section)
    return Found("lowbatt" in keys, FLAG in keys, limits, tuple(others))


def variable(kind: str) -> str:
    """The line of ups.conf with our limit."""
    return f"override.battery.{kind}.low"


def suggestions(found: Found) -> dict[str, Proposed]:
    """The present configuration, else the guide's way; limits are proposed in any case."""
    decides = found.kinds[0]
    known = found.ignorelb or found.lowbatt
    note = f"from ups.conf{f', {FLAG}' if found.ignorelb else ''}" if known else ""
    values = {"low_battery": Proposed(decides, Origin.CURRENT if known else Origin.GUIDE, note)}
    for kind, name in FIELDS.items():
        limit = found.limit(kind)
        if limit is not None:
            values[name] = Proposed(limit, Origin.CURRENT, "from ups.conf")
        elif kind in found.kinds:
            values[name] = Proposed(None, Origin.CURRENT, "the limit in force stays")
        else:  # DETECTED: the guide knows no such value, and the note is what is shown
            values[name] = Proposed(SUGGESTED[kind], Origin.DETECTED, _ADVICE[kind])
    return values


def offers(found: Found, values: Mapping[str, str]) -> dict[str, tuple[Choice, ...]]:
    """The choices with what the UPS shows now. `values`: its variables; empty when they are not known.

    What the UPS does not report is not offered, unless it is in force: the driver would end.
    """
    lacking = [kind for kind in OWN_LIMIT if values and f"battery.{kind}" not in values]
    choices = []
    for choice in CHOICES:
        notes = [choice.note]
        if choice.value in lacking:
            if choice.value not in found.kinds:
                continue
            notes.append(f"this UPS reports no battery.{choice.value}")
        elif choice.value == DRIVER:
            notes += [f"this UPS reports no battery.{kind}" for kind in lacking if kind not in found.kinds]
        elif now := _now(values, choice.value):
            notes.append(now)
        choices.append(Choice(choice.value, "; ".join(notes)))
    beside = {FIELDS[kind]: _beside(kind, _now(values, kind)) for kind in OWN_LIMIT}
    return {"low_battery": tuple(choices), **beside}


def problems(found: Found, kind: str, charge: int | None, runtime: int | None) -> Iterable[Problem]:
    """A limit that is needed and not there: none keeps the one in force, where there is one."""
    wanted = {CHARGE: charge, RUNTIME: runtime}
    if kind in wanted and wanted[kind] is None and kind not in found.kinds:
        yield Problem(
            f"is needed with low_battery {kind}: the {kind} below which the battery counts as low, such as"
            f" {SUGGESTED[kind]} {UNITS[kind]}",
            f"driver.{FIELDS[kind]}",
        )


def new_lines(kind: str, limit: int | None) -> list[tuple[str, str | None]]:
    """The lines of a new section; a flag has no value."""
    return [] if limit is None else [(FLAG, None), (variable(kind), str(limit))]


def edit(document: SectionFile, section: str, kind: str, limit: int | None, unlisted: bool) -> list[str]:
    """Make `kind` the one that decides, below `limit` (None: the limit in force); why lines change.

    A switch takes the lines of the other kinds out; where both limits were in force, the other stays. So does
    a lowbatt that stood beside ignorelb before, unless the driver has no such variable (`unlisted`).
    """
    found = read(document, section)
    if kind == DRIVER:
        return _leave_to_ups(document, section) if found.ignorelb else []
    switches, moves = kind not in found.kinds, limit is not None and limit != found.limit(kind)
    for other in OWN_LIMIT:
        if switches and other != kind:
            _remove(document, section, other)
    why = []
    if found.lowbatt and (unlisted or not found.ignorelb):
        document.unset(section, "lowbatt")
        why.append(f"lowbatt has no say beside {FLAG}: its line goes")
    if not found.ignorelb:
        document.set_flag(section, FLAG)
    if limit is not None and moves:
        _put(document, section, kind, limit)
    if switches or moves:
        why.append(f"NUT itself says low battery (LB), below {limit} {UNITS[kind]} of {kind}")
    return why


def _leave_to_ups(document: SectionFile, section: str) -> list[str]:
    document.set_flag(section, FLAG, on=False)
    for kind in OWN_LIMIT:
        _remove(document, section, kind)
    return [f"the UPS itself says when its battery is low: {FLAG} and NUT's limits go"]


def notes(before: Found, after: Found, kind: str, limit: int | None) -> Iterable[str]:
    """What a person should know of the section as it becomes. `limit`: that of `kind`."""
    if kind == DRIVER:
        return
    both = [each for each in OWN_LIMIT if each in after.kinds]
    if len(both) > 1:
        yield (
            "ups.conf limits the charge and the runtime: NUT says low battery (LB) when either is below its"
            " limit. Both lines stay."
        )
    if kind == CHARGE and limit is not None and limit >= EARLY:
        yield (
            f"low_charge {limit} % is early: after an outage the host is up again below it, and the next"
            " blink of the mains shuts it down at once, with most of the battery unused. 30 to 50"
            " % suits most."
        )
    if not before.ignorelb:
        yield f"With {FLAG} the UPS's own low battery signal counts no more: NUT compares the {kind}."
    if kind not in before.kinds:
        yield (
            f"Where the UPS reports no battery.{kind} this limit is never passed, and the driver may end at"
            " its start. upsc shows what it reports."
        )


def expected(found: Found) -> dict[str, str]:
    """Variables that the driver must show when it runs on this section; "": it must not have it."""
    if not found.ignorelb:
        return {f"driver.flag.{FLAG}": ""}
    limits = {f"battery.{kind}.low": text for kind, text in found.limits.items()}
    return {f"driver.flag.{FLAG}": "enabled", **limits}


def compared(found: Found) -> tuple[str, ...]:
    """The variables that the section limits: a UPS that reports none of them is never low."""
    limited = [kind for kind in OWN_LIMIT if kind in (*found.limits, *found.others)]
    return tuple(f"battery.{kind}" for kind in limited) if found.ignorelb else ()


def _now(values: Mapping[str, str], kind: str) -> str:
    """Such as "now: charge 100 %, runtime 23 min, load 14 %", that of `kind` first; "" when not known."""
    numbers = {name: _number(values.get(name)) for name in ("battery.charge", "battery.runtime", "ups.load")}
    runtime = numbers["battery.runtime"]
    parts = {
        CHARGE: None if numbers["battery.charge"] is None else f"charge {numbers['battery.charge']} %",
        RUNTIME: None if runtime is None else f"runtime {_duration(runtime)}",
        "load": None if numbers["ups.load"] is None else f"load {numbers['ups.load']} %",
    }
    shown = [parts.pop(kind), *parts.values()]
    return f"now: {', '.join(filter(None, shown))}" if any(shown) else ""


def _beside(kind: str, now: str) -> tuple[Choice, ...]:
    """What stands beside the field of a limit: a sensible value, and what the UPS shows now."""
    return (Choice(str(SUGGESTED[kind]), "; ".join(filter(None, (_ADVICE[kind], now)))),)


def _duration(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def _number(text: str | None) -> int | None:
    """A whole number of what the UPS reports; what is none is not shown."""
    whole = (text or "").partition(".")[0]
    return int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 10 else None


def _lines(document: SectionFile, section: str, wanted: str) -> list[Reading]:
    """The lines of a variable: NUT takes `override.` and `default.` lines in any case."""
    readings = [read_ups_line(entry.words) for entry in document.entries(section)]
    return [line for line in readings if line.key.lower() == wanted]


def _remove(document: SectionFile, section: str, kind: str) -> None:
    for line in _lines(document, section, variable(kind)):
        document.unset(section, line.key)


def _put(document: SectionFile, section: str, kind: str, limit: int) -> None:
    """Our limit, in place; several lines become one, since NUT takes the first of them."""
    lines = _lines(document, section, variable(kind))
    if len(lines) > 1:
        _remove(document, section, kind)
    document.set(section, lines[0].key if len(lines) == 1 else variable(kind), str(limit))
