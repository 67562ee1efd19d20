"""Rules about the device of a UPS: who may use it, who else does, and which one a driver takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from nutwizard.core import paths
from nutwizard.core.facts import Kind, UsbUps
from nutwizard.core.links import LinkId
from nutwizard.core.rules.events import nut_may
from nutwizard.core.rules.rule import HOST, Look, Rule, Severity, Spot
from nutwizard.core.units import ALL_DRIVERS, APCUPSD, driver_unit
from nutwizard.formats.sections import SectionFile

#: Drivers that take a USB device; nutdrv_qx takes a serial port, too.
USB_DRIVERS = frozenset(
    "usbhid-ups blazer_usb nutdrv_qx nutdrv_atcl_usb tripplite_usb bcmxcp_usb riello_usb richcomm_usb".split()
)
#: The one vendor whose devices apcupsd takes, and NUT's drivers for its serial lines.
_APC, _APC_DRIVERS = "051d", frozenset({"apcsmart", "apcsmart-old"})
#: What tells one device from another of its kind, and what says that this is on purpose.
_SINGLE = ("serial", "bus", "busport", "device", "allow_duplicates")
#: What tells kinds apart.
_KIND = ("vendorid", "productid", "vendor", "product")
#: host=VENDOR:PRODUCT of a guest's usbN line; host= may be left out, each number may begin with 0x.
_PASSED = re.compile(r"(?:host=)?(?:0x)?([0-9a-f]{4}):(?:0x)?([0-9a-f]{4})(?:,|$)", re.IGNORECASE)


def drivers_of(look: Look) -> list[tuple[str, str]]:
    """(UPS, driver) of each section of ups.conf that names a driver."""
    named = ((name, look.ups_conf.get(name, "driver")) for name in look.ups_conf.names())
    return [(name, driver) for name, driver in named if driver]


def line_of(document: SectionFile, section: str | None, *keys: str) -> int:
    """The line of the first of these keys that the section has, the one that counts; 0 for none."""
    found = (document.entries(section, key) for key in keys)
    return next((entries[-1].line for entries in found if entries), 0)


def usb_sections(look: Look) -> list[tuple[str, str]]:
    """(UPS, driver) of the sections whose device is on USB."""
    return [
        (name, driver)
        for name, driver in drivers_of(look)
        if driver in USB_DRIVERS
        and not (driver == "nutdrv_qx" and (look.ups_conf.get(name, "port") or "").startswith("/dev/"))
    ]


def candidates(look: Look, ups: str) -> tuple[UsbUps, ...]:
    """The devices on USB that the driver of this UPS has or may take: by what it shows, by its section."""
    words = {key: values[-1].strip().lower() for key, values in look.ups_conf.values(ups).items() if values}
    shown = look.values.get(ups, {})
    words |= {key: shown[f"ups.{key}"].lower() for key in ("vendorid", "productid") if f"ups.{key}" in shown}
    return tuple(device for device in look.facts.usb() if _fits(device, words))


def vendor_of(look: Look, ups: str) -> str:
    """The USB vendor id of this UPS in small letters; "" where it is not known or not on USB."""
    shown = look.values.get(ups, {}).get("ups.vendorid", "").lower()
    if shown or ups not in dict(usb_sections(look)):
        return shown
    asked = (look.ups_conf.get(ups, "vendorid") or "").lower()
    found = {device.vendor for device in candidates(look, ups)}
    return asked or (found.pop() if len(found) == 1 else "")


def _fits(device: UsbUps, words: Mapping[str, str]) -> bool:
    """Numbers and serials are compared; the rest are patterns, which may stand for anything."""
    has = {"vendorid": device.vendor, "productid": device.product_id, "serial": device.serial}
    asked = ((words[key], text.lower()) for key, text in has.items() if key in words)
    return all(not word.isalnum() or not text or word in text for word, text in asked)


def _rights(look: Look) -> Iterator[Spot]:
    for name, driver in usb_sections(look):
        user = look.ups_conf.get(name, "user") or "".join(look.ups_conf.globals().get("user", ()))
        nodes = [each for each in candidates(look, name) if each.node is not None]
        if user not in ("", "nut") or not nodes:
            continue
        if any(nut_may(each.node, 4) and nut_may(each.node, 2) for each in nodes):
            continue
        units = (look.facts.unit(driver_unit(name)), look.facts.unit(ALL_DRIVERS))
        runs = any(unit.running for unit in units) or "ups.status" in look.values.get(name, {})
        device = nodes[0]
        yield Spot(
            f"{driver} of {name} runs as user nut, and {device.vendor}:{device.product_id} on USB belongs to"
            f" {device.node}",
            paths.UPS_CONF,
            line_of(look.ups_conf, name, "driver"),
            severity=Severity.NOTE if runs else None,
        )


def _rivals(look: Look) -> Iterator[Spot]:
    yield from _apcupsd(look)
    for name, driver in usb_sections(look):
        own = {(each.vendor, each.product_id) for each in candidates(look, name)}
        for guest in look.facts.guests():
            for passed in filter(None, (_PASSED.match(value.strip()) for value in guest.usb)):
                ids = (passed[1].lower(), passed[2].lower())
                if ids not in own:
                    continue
                device = ":".join(ids)
                message = (
                    f"guest {guest.id} is given the USB device {device}, and {driver} of {name} takes it"
                )
                fix = (
                    f"take the device from the guest: qm set {guest.id} --delete usbN, or leave the UPS to it"
                )
                severity = None if len(own) == 1 else Severity.WARNING
                yield Spot(message, f"/etc/pve/qemu-server/{guest.id}.conf", fix=fix, severity=severity)
    yield from _twice(look)


def _apcupsd(look: Look) -> Iterator[Spot]:
    unit = look.facts.unit(APCUPSD)
    usb = dict(usb_sections(look))
    wanted = [
        name
        for name, driver in drivers_of(look)
        if driver in _APC_DRIVERS or (name in usb and vendor_of(look, name) in ("", _APC))
    ]
    if unit.present and wanted and (unit.running or unit.enabled == "enabled"):
        does = "runs" if unit.running else "starts at boot"
        message = f"apcupsd {does}, and wants the same device as the driver of {', '.join(wanted)}"
        severity = None if unit.running else Severity.WARNING
        yield Spot(message, fix="systemctl disable --now apcupsd.service", severity=severity)


def _twice(look: Look) -> Iterator[Spot]:
    """More processes of a USB driver than sections. A container's processes are seen from its host, too."""
    running = [daemon.name for daemon in look.facts.daemons()]
    wanted = [driver for _, driver in usb_sections(look)]
    for driver in dict.fromkeys(wanted):
        if running.count(driver) > wanted.count(driver):
            message = (
                f"{running.count(driver)} processes of {driver} run, for {wanted.count(driver)} in ups.conf"
            )
            fix = f"see whose they are: ps -C {driver} -o pid,lstart,cgroup,args"
            yield Spot(message, fix=fix, severity=Severity.WARNING)


def _in_container(look: Look) -> Iterator[Spot]:
    if look.facts.kind is Kind.CONTAINER:
        for name, driver in usb_sections(look):
            message = f"this is a container, and {driver} of {name} takes a USB device"
            yield Spot(message, paths.UPS_CONF, line_of(look.ups_conf, name, "driver"))


def _alike(look: Look) -> Iterator[Spot]:
    """Sections that may take one another's device; and one device of two of a kind."""
    sections, told = usb_sections(look), set()
    for n, (name, driver) in enumerate(sections):
        for other in (other for other, its in sections[:n] if its == driver):
            one, two = _asked(look, name), _asked(look, other)
            apart = any(one[key] != two[key] for key in one.keys() & two.keys())
            if apart or "allow_duplicates" in one.keys() | two.keys():
                continue
            told |= {name, other}
            what = "nothing tells their devices apart" if one == two else "one may take the other's device"
            severity = None if one == two else Severity.WARNING
            line = look.ups_conf.headers(name)[0]
            yield Spot(f"{other} and {name} have one driver: {what}", paths.UPS_CONF, line, severity=severity)
    for name in (name for name, _ in sections if name not in told):
        kinds = [(each.vendor, each.product_id) for each in candidates(look, name)]
        same = next((ids for ids in kinds if kinds.count(ids) > 1), None)
        if same is not None and not _asked(look, name).keys() & set(_SINGLE):
            message = f"two UPSes on USB are {':'.join(same)}, and {name} takes either of them"
            line = look.ups_conf.headers(name)[0]
            yield Spot(message, paths.UPS_CONF, line, severity=Severity.WARNING)


def _asked(look: Look, name: str) -> dict[str, str]:
    """What the section asks of its device."""
    has = look.ups_conf.values(name)
    return {key: look.ups_conf.get(name, key) or "" for key in (*_KIND, *_SINGLE) if key in has}


RULES = (
    Rule(
        "NW22",
        "user nut may not use the UPS's device",
        LinkId.DRIVER,
        Severity.BROKEN,
        "the driver runs as user nut; a device that was there before NUT came has other rights",
        _rights,
        fix="udevadm trigger --subsystem-match=usb --action=add; or take out its USB cable and plug it in",
        roles=HOST,
    ),
    Rule(
        "NW23",
        "two programs want one UPS",
        LinkId.DRIVER,
        Severity.BROKEN,
        "only one program can have a USB device or a serial line: they take it from each other",
        _rivals,
        roles=HOST,
    ),
    Rule(
        "NW24",
        "a USB driver in a container",
        LinkId.DRIVER,
        Severity.WARNING,
        "the number of a USB device changes when it is plugged in anew or reset: the container loses it",
        _in_container,
        fix="let the host serve the UPS, and make this container its client: MODE=netclient",
        roles=HOST,
    ),
    Rule(
        "NW32",
        "nothing tells two UPSes apart",
        LinkId.DRIVER,
        Severity.BROKEN,
        "a USB driver takes the first device that fits, which may be another UPS after the next start",
        _alike,
        fix="give each section what is its device's own, as nut-scanner -U shows it: serial, else bus",
        roles=HOST,
    ),
)
