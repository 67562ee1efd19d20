"""ups.conf: the UPS, its driver, and when it cuts and gives power."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nutwizard.core import checks, paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.draft import Draft
from nutwizard.core.drivers import DELAYS, options_of, refused, untried
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Facts, Role, UsbUps
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.links import DriverData, Link, LinkId, Server
from nutwizard.core.server import listen_lines, local_address
from nutwizard.core.site import Site
from nutwizard.core.step import Step, View
from nutwizard.formats.sections import SectionFile

#: The guide's values: seconds, seconds, per cent.
GUIDE = {"offdelay": 60, "ondelay": 70, "lowbatt": 80}
#: Seconds after which CyberPower's firmware rounds down: whole minutes (usbhid-ups(8)).
CYBERPOWER, MINUTE = "0764", 60
#: Name that the guide gives the UPS of a vendor (USB vendor ids of usb.ids).
VENDORS = {"051d": "apc", "0463": "eaton", CYBERPOWER: "cyberpower"}
#: Drivers whose ondelay counts in minutes and whose offdelay must be 12 to 600 s (blazer_usb(8)).
BLAZER = ("blazer_usb", "blazer_ser")


@dataclass(frozen=True, slots=True)
class Answers:
    """The section of the UPS. Delays in s (blazer's ondelay: minutes), lowbatt in per cent; None: no line."""

    ups: str = setting(FieldKind.TEXT, "UPS name", check=checks.ups_name)
    driver: str = setting(FieldKind.TEXT, "driver", check=checks.driver_name)
    port: str = setting(FieldKind.TEXT, "port", check=checks.nut_text)
    description: str = setting(FieldKind.TEXT, "description", check=checks.nut_text)
    offdelay: int | None = setting(FieldKind.INTEGER, "offdelay", unit="s", low=0, high=7200, optional=True)
    ondelay: int | None = setting(FieldKind.INTEGER, "ondelay", unit="s", low=-1, high=9999, optional=True)
    lowbatt: int | None = setting(FieldKind.INTEGER, "lowbatt", unit="%", low=0, high=100, optional=True)


class Driver(Step[Answers]):
    """The section of the UPS."""

    name = "driver"
    title = "UPS driver"
    roles = (Role.HOST,)
    after = ("mode",)

    def paths(self, role: Role) -> tuple[str, ...]:
        return (paths.UPS_CONF, paths.UPSD_CONF)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        found = view.sections(paths.UPS_CONF)
        section = _section(found, given)
        values = (
            _from_usb(view.facts, given.get("ups"))
            if section is None
            else _from_file(found, section, view.facts)
        )
        driver, described = given.get("driver"), given.get("description", "")
        if driver is None and not _says_cyberpower(described):
            return values
        cyberpower = _says_cyberpower(described) or _is_cyberpower(view, values["ups"].value)
        delays = _guide_delays(driver or values["driver"].value, view.facts, cyberpower)
        return {
            **values,
            **{key: new for key, new in delays.items() if values[key].origin is not Origin.CURRENT},
        }

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        return {"driver": tuple(Choice(name) for name in view.facts.nut.drivers)}

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        yield from _driver_problems(view.facts, answers)
        yield from _delay_problems(
            answers, _says_cyberpower(answers.description) or _is_cyberpower(view, answers.ups)
        )
        found = view.sections(paths.UPS_CONF)
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
        document = draft.sections(paths.UPS_CONF)
        old = _renamed(document, answers)
        if old is not None:
            document.rename(old, answers.ups)
            draft.explain(paths.UPS_CONF, f"the UPS {old} is called {answers.ups} now")
        wanted = {
            "driver": answers.driver,
            "port": answers.port,
            "desc": answers.description,
            **_delays(answers),
        }
        if not document.has(answers.ups):
            document.add(answers.ups, [(key, value) for key, value in wanted.items() if value is not None])
        else:
            ends = _ends_at(view, document, answers)
            document.comment_out(answers.ups, ends)
            for key in ends:
                draft.explain(paths.UPS_CONF, f"{answers.driver} has no {key} and ends at it")
            for key, value in wanted.items():
                _put(document, answers.ups, key, value)
        draft.readable_by_nut(paths.UPS_CONF)

    def links(self, view: View) -> tuple[Link, ...]:
        document = view.sections(paths.UPS_CONF)
        server = Server(*local_address(listen_lines(view.nut(paths.UPSD_CONF))))
        return tuple(
            Link(
                LinkId.DRIVER,
                f"UPS {name}, driver {document.get(name, 'driver') or 'missing'}",
                DriverData(server, name, _expected(document, name), _ended(view.facts, document, name)),
                self.name,
            )
            for name in document.names()
        )


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
    for key, guide in _guide_delays(driver, facts, cyberpower).items():
        text = found.get(name, key)
        in_file = int(text) if text is not None and text.lstrip("-").isdigit() else None
        values[key] = Proposed(in_file, Origin.CURRENT, "from ups.conf") if in_file is not None else guide
    return values


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
        **_guide_delays("usbhid-ups", facts, device.vendor == CYBERPOWER),
    }


def _guide_delays(driver: str, facts: Facts, cyberpower: bool) -> dict[str, Proposed]:
    """The guide's values for what the driver takes, in the units and steps of the device."""
    options = options_of(facts, driver)
    values: dict[str, int | None] = {
        key: value if key in options.names else None for key, value in GUIDE.items()
    }
    if values["ondelay"] is not None:
        if cyberpower:
            values["ondelay"] = 2 * MINUTE
        elif driver in BLAZER:
            values["ondelay"] = 3
        elif driver == "nutdrv_qx":
            values["ondelay"] = 180
    notes = {key: "" if key in options.names else f"{driver} has no {key}" for key in GUIDE}
    return {key: Proposed(value, Origin.GUIDE, notes[key]) for key, value in values.items()}


def _delays(answers: Answers) -> dict[str, str | None]:
    pairs = (("offdelay", answers.offdelay), ("ondelay", answers.ondelay), ("lowbatt", answers.lowbatt))
    return {key: None if value is None else str(value) for key, value in pairs}


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


def _driver_problems(facts: Facts, answers: Answers) -> Iterable[Problem]:
    if facts.runs and facts.nut.drivers and answers.driver not in facts.nut.drivers:
        yield Problem(f"there is no driver {answers.driver} in /lib/nut", "driver.driver")
        return
    options = options_of(facts, answers.driver)
    if not options.known and answers.driver not in DELAYS:
        return
    for key, value in _delays(answers).items():
        if value is not None and key not in options.names:
            yield Problem(
                f"{answers.driver} has no variable {key}: the driver would end at once, with exit code 0."
                f" Leave it out (none)",
                f"driver.{key}",
            )


def _delay_problems(answers: Answers, cyberpower: bool) -> Iterable[Problem]:
    off, on = answers.offdelay, answers.ondelay
    seconds = on * MINUTE if on is not None and answers.driver in BLAZER else on
    if off is not None and seconds is not None and seconds > 0 and seconds <= off:
        yield Problem(
            f"ondelay ({seconds} s) must be greater than offdelay ({off} s), or the UPS may stay off",
            "driver.ondelay",
        )
    if answers.driver in BLAZER and off is not None and not 12 <= off <= 600:
        yield Problem(
            f"{answers.driver} ends at once with an offdelay outside 12 to 600 s", "driver.offdelay"
        )
    for key, value in (("offdelay", off), ("ondelay", on)):
        if cyberpower and value is not None and value > 0 and value % MINUTE:
            yield Problem(
                f"CyberPower rounds {key} down to whole minutes: take a multiple of 60 (60 and 120)",
                f"driver.{key}",
            )


STEP = Driver()
