"""ups.conf: the UPS, its driver, and when it cuts and gives power."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nutwizard.core import checks, lowbattery, paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.delays import CYBERPOWER, GUIDE, corrected, delay_problems, driver_problems, guide_delays
from nutwizard.core.draft import Draft
from nutwizard.core.drivers import lists, refused, untried
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Facts, Role, UsbUps
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.links import DriverData, Link, LinkId, Server
from nutwizard.core.server import listen_lines, local_address
from nutwizard.core.site import Site
from nutwizard.core.step import Step, View
from nutwizard.formats.sections import SectionFile

#: Name that the guide gives the UPS of a vendor (USB vendor ids of usb.ids).
VENDORS = {"051d": "apc", "0463": "eaton", CYBERPOWER: "cyberpower"}


def _with(kind: str) -> tuple[str, str]:
    return ("low_battery", kind)


def _limit(kind: str, label: str) -> Any:
    low, high = lowbattery.LIMITS[kind]
    unit, only = lowbattery.UNITS[kind], _with(kind)
    return setting(FieldKind.INTEGER, label, unit=unit, low=low, high=high, optional=True, only_with=only)


@dataclass(frozen=True, slots=True)
class Answers:
    """The section of the UPS; None: no line. Delays in s (blazer's ondelay: minutes), lowbatt in per cent.

    `low_charge`, `low_runtime`: the limits below which NUT says low battery; None: the one in force stays.
    """

    ups: str = setting(FieldKind.TEXT, "UPS name", check=checks.ups_name)
    driver: str = setting(FieldKind.TEXT, "driver", check=checks.driver_name)
    port: str = setting(FieldKind.TEXT, "port", check=checks.nut_text)
    description: str = setting(FieldKind.TEXT, "description", check=checks.nut_text)
    offdelay: int | None = setting(FieldKind.INTEGER, "offdelay", unit="s", low=0, high=7200, optional=True)
    ondelay: int | None = setting(FieldKind.INTEGER, "ondelay", unit="s", low=-1, high=9999, optional=True)
    low_battery: str = setting(FieldKind.CHOICE, "low battery", choices=lowbattery.CHOICES)
    lowbatt: int | None = _limit(lowbattery.DRIVER, "lowbatt")
    low_charge: int | None = _limit(lowbattery.CHARGE, "low charge")
    low_runtime: int | None = _limit(lowbattery.RUNTIME, "low runtime")


class Driver(Step[Answers]):
    """The section of the UPS."""

    name = "driver"
    title = "UPS driver"
    roles = (Role.HOST,)
    after = ("mode",)

    def paths(self, role: Role) -> tuple[str, ...]:
        return (paths.NUT_CONF, paths.UPS_CONF, paths.UPSD_CONF)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        found = view.sections(paths.UPS_CONF)
        section = _section(found, given)
        values = {
            **(
                _from_usb(view.facts, given.get("ups"))
                if section is None
                else _from_file(found, section, view.facts)
            ),
            **lowbattery.suggestions(lowbattery.read(found, section)),
        }
        driver, described = given.get("driver"), given.get("description", "")
        if driver is None and not _says_cyberpower(described):
            return values
        cyberpower = _says_cyberpower(described) or _is_cyberpower(view, values["ups"].value)
        delays = guide_delays(driver or values["driver"].value, view.facts, cyberpower)
        return {
            **values,
            **{key: new for key, new in delays.items() if values[key].origin is not Origin.CURRENT},
        }

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        found = view.sections(paths.UPS_CONF)
        section = _section(found, given)
        served = view.facts.server(*local_address(listen_lines(view.nut(paths.UPSD_CONF))))
        values = served.values.get(section or given.get("ups", ""), {}) if served is not None else {}
        return {
            "driver": tuple(Choice(name) for name in view.facts.nut.drivers),
            **lowbattery.offers(lowbattery.read(found, section), values),
        }

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        cyberpower = _says_cyberpower(answers.description) or _is_cyberpower(view, answers.ups)
        yield from driver_problems(view.facts, answers.driver, _numbers(answers))
        yield from delay_problems(answers.driver, answers.offdelay, answers.ondelay, cyberpower)
        found = view.sections(paths.UPS_CONF)
        low = lowbattery.read(found, _renamed(found, answers) or answers.ups)
        yield from lowbattery.problems(low, answers.low_battery, answers.low_charge, answers.low_runtime)
        if not found.has(answers.ups) and _renamed(found, answers) is None and found.names():
            same = [n for n in found.names() if found.get(n, "port") == answers.port == "auto"]
            if same:
                yield Problem(
                    f"{paths.UPS_CONF} has {', '.join(same)} on port auto already:"
                    " two drivers would fight for one device",
                    "driver.ups",
                )

    def publish(self, view: View, answers: Answers) -> Site:
        old = _renamed(view.sections(paths.UPS_CONF), answers)
        return replace(view.site, ups=answers.ups, renamed=old or "")

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        _serve(draft)
        document = draft.sections(paths.UPS_CONF)
        old = _renamed(document, answers)
        if old is not None:
            document.rename(old, answers.ups)
            draft.explain(paths.UPS_CONF, f"the UPS {old} is called {answers.ups} now")
        before = lowbattery.read(document, answers.ups)
        wanted = _lines(answers)
        if not document.has(answers.ups):
            lines = [(key, value) for key, value in wanted.items() if value is not None]
            document.add(answers.ups, [*lines, *lowbattery.new_lines(answers.low_battery, _low(answers))])
        else:
            ends = _ends_at(view, document, answers)
            document.comment_out(answers.ups, ends)
            for key in ends:
                draft.explain(paths.UPS_CONF, f"{answers.driver} has no {key} and ends at it")
            for key, value in wanted.items():
                _put(document, answers.ups, key, value)
            unlisted = lists(view.facts, answers.driver, "lowbatt") is False
            for why in lowbattery.edit(document, answers.ups, answers.low_battery, _low(answers), unlisted):
                draft.explain(paths.UPS_CONF, why)
        after = lowbattery.read(document, answers.ups)
        for note in lowbattery.notes(before, after, answers.low_battery, _low(answers)):
            draft.note(note)
        draft.readable_by_nut(paths.UPS_CONF)

    def links(self, view: View) -> tuple[Link, ...]:
        document = view.sections(paths.UPS_CONF)
        server = Server(*local_address(listen_lines(view.nut(paths.UPSD_CONF))))
        return tuple(
            Link(
                LinkId.DRIVER,
                f"UPS {name}, driver {document.get(name, 'driver') or 'missing'}",
                _data(view.facts, document, name, server),
                self.name,
            )
            for name in document.names()
        )


def _data(facts: Facts, document: SectionFile, name: str, server: Server) -> DriverData:
    """What upsd shows when the driver runs on this section."""
    low = lowbattery.read(document, name)
    ended = _ended(facts, document, name)
    shown = lowbattery.expected(low)
    return DriverData(server, name, _expected(document, name), ended, shown, lowbattery.compared(low))


def _section(found: SectionFile, given: Mapping[str, Any]) -> str | None:
    """The section that the answers are about: the named one, the only one under a new name, or the first."""
    names, wanted = found.names(), given.get("ups")
    if wanted is None or wanted in names:
        return wanted or next(iter(names), None)
    same = len(names) == 1 and all(
        given.get(key) in (None, found.get(names[0], key)) for key in ("driver", "port")
    )
    return names[0] if same else None


def _from_file(found: SectionFile, name: str, facts: Facts) -> Mapping[str, Proposed]:
    """What ups.conf holds; the guide's delays where the driver takes them and the file has none."""
    from_file = {"ups": name, "driver": found.get(name, "driver"), "port": found.get(name, "port")}
    from_file["description"] = found.get(name, "desc")
    values = {
        key: Proposed(value, Origin.CURRENT, "from ups.conf") for key, value in from_file.items() if value
    }
    driver = from_file["driver"] or "usbhid-ups"
    values.setdefault("driver", Proposed(driver, Origin.GUIDE))
    values.setdefault("port", Proposed("auto", Origin.GUIDE))
    values.setdefault("description", Proposed(f"UPS {name}", Origin.GUIDE))
    cyberpower = found.get(name, "vendorid") == CYBERPOWER
    for key, guide in guide_delays(driver, facts, cyberpower).items():
        text = found.get(name, key)
        in_file = int(text) if text is not None and text.lstrip("-").isdigit() else None
        values[key] = Proposed(in_file, Origin.CURRENT, "from ups.conf") if in_file is not None else guide
    return corrected(driver, values, cyberpower)


def _from_usb(facts: Facts, wanted: str | None) -> Mapping[str, Proposed]:
    """From the first UPS on USB, else the guide's example."""
    device = next(iter(facts.usb()), UsbUps("", ""))
    origin = Origin.DETECTED if device.vendor else Origin.GUIDE
    text = " ".join(part for part in (device.maker, device.product) if part)
    name = VENDORS.get(device.vendor, "ups" if device.vendor else "apc")
    described = text if text and checks.nut_text(text) is None else f"UPS {wanted or name}"
    return {
        "ups": Proposed(name, origin),
        "driver": Proposed("usbhid-ups", origin),
        "port": Proposed("auto", origin),
        "description": Proposed(described, origin),
        **guide_delays("usbhid-ups", facts, device.vendor == CYBERPOWER),
    }


def _numbers(answers: Answers) -> dict[str, int | None]:
    """The lines with a number that the driver takes; lowbatt only where the answers are about it."""
    found = {"offdelay": answers.offdelay, "ondelay": answers.ondelay}
    return found | ({"lowbatt": answers.lowbatt} if answers.low_battery == lowbattery.DRIVER else {})


def _lines(answers: Answers) -> dict[str, str | None]:
    """The lines with a value; None: no such line. Who says low battery has lines of its own."""
    numbers = {key: None if value is None else str(value) for key, value in _numbers(answers).items()}
    return {"driver": answers.driver, "port": answers.port, "desc": answers.description, **numbers}


def _low(answers: Answers) -> int | None:
    """The limit that belongs to who says low battery."""
    return {lowbattery.CHARGE: answers.low_charge, lowbattery.RUNTIME: answers.low_runtime}.get(
        answers.low_battery
    )


def _put(document: SectionFile, section: str, key: str, value: str | None) -> None:
    if value is not None:
        document.set(section, key, value)
    elif document.get(section, key) is not None:
        document.unset(section, key)


def _ends_at(view: View, document: SectionFile, answers: Answers) -> tuple[str, ...]:
    """The lines that end the driver. One that runs on the file has taken them all."""
    if document.get(answers.ups, "driver") == answers.driver and not untried(view.facts, answers.ups):
        return ()
    return refused(view.facts, answers.driver, document.values(answers.ups))


def _ended(facts: Facts, document: SectionFile, name: str) -> str:
    """Why a driver that does not run has ended, where its section tells; else ""."""
    driver = document.get(name, "driver") or ""
    found = refused(facts, driver, document.values(name)) if untried(facts, name) else ()
    return f"{driver} has no {' and no '.join(found)} and ends at it" if found else ""


def _serve(draft: Draft) -> None:
    """With MODE=none a UPS in ups.conf makes every plain reboot cut the power (measured)."""
    document = draft.shell(paths.NUT_CONF)
    if document.get("MODE") in (None, "none"):
        document.set("MODE", "netserver")
        why = "with MODE=none and a UPS in ups.conf a plain reboot would cut the power"
        draft.explain(paths.NUT_CONF, why)
        draft.readable_by_nut(paths.NUT_CONF)


def _renamed(found: SectionFile, answers: Answers) -> str | None:
    """The old name when the file's only UPS, on the same driver and port, is to be called otherwise."""
    names = found.names()
    if len(names) != 1 or names[0] == answers.ups:
        return None
    same = (found.get(names[0], "driver"), found.get(names[0], "port")) == (answers.driver, answers.port)
    return names[0] if same else None


def _expected(document: SectionFile, name: str) -> dict[str, str]:
    """`driver.parameter.*` that the running driver must show."""
    return {key: value for key in GUIDE if (value := document.get(name, key)) is not None}


def _is_cyberpower(view: View, ups: str) -> bool:
    found = view.sections(paths.UPS_CONF)
    if found.has(ups):
        return found.get(ups, "vendorid") == CYBERPOWER
    return any(device.vendor == CYBERPOWER for device in view.facts.usb())


def _says_cyberpower(description: str) -> bool:
    return "cyberpower" in description.lower().replace(" ", "")


STEP = Driver()
