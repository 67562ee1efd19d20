"""The fields of the timing step by version, and what it proposes and why."""

from __future__ import annotations

from nutwizard.core import paths
from nutwizard.core.answers import Origin
from nutwizard.core.facts import Door, Facts, FileFact, Kind, Nut, Owner, Role
from nutwizard.core.programs import ProgramFact
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.core.text import FileText
from nutwizard.engine import registry
from nutwizard.engine.planner import Planner

STEP = next(step for step in registry.all_steps() if step.name == "timing")
MONITOR = b"MONITOR apc@192.0.2.1 1 user word-1 secondary\n"


def facts(data: bytes = b"", version: tuple[int, ...] = (2, 8, 1)) -> Facts:
    path = paths.UPSMON_CONF
    found = FileFact(path, "file", path, FileText(path, data), Owner("root", "nut", 0o640))
    script = ProgramFact("", "file", Owner("root", "root", 0o755), {}, FileText("", b"poweroff\n"))
    return Facts(Door.OFFLINE, Kind.VM, nut=Nut(version), files={path: found}, program=lambda path: script)


def test_a_field_is_asked_from_its_version_on() -> None:
    for version, asked in (((2, 7, 4), False), ((2, 8, 0), False), ((2, 8, 1), True), ((2, 8, 3), True)):
        found = facts(version=version)
        planner = Planner([STEP], found, Role.CLIENT, registry.asset)
        names = [field.name for field in planner.fields(STEP, View(found, Site(Role.CLIENT)))]
        assert ("shutdown_exit" in names) is asked
        assert len(names) == 6 + asked


def origins(data: bytes) -> dict[str, tuple[object, Origin, str]]:
    proposed = STEP.suggest(View(facts(data), Site(Role.CLIENT)), {})
    return {name: (found.value, found.origin, found.note) for name, found in proposed.items()}


def test_where_a_value_comes_from() -> None:
    found = origins(MONITOR + b"HOSTSYNC 20\nPOLLFREQ 999\nSHUTDOWNCMD /opt/off\nSHUTDOWNEXIT off\n")
    assert found["hostsync"] == (20, Origin.CURRENT, "from upsmon.conf")
    assert found["finaldelay"] == (5, Origin.CURRENT, "NUT's own, since upsmon.conf has none")
    assert found["pollfreq"] == (5, Origin.GUIDE, "upsmon.conf has 999, which is out of range")
    assert found["shutdown_exit"] == ("no", Origin.CURRENT, "from upsmon.conf")
    own = "from upsmon.conf, your own; it ends in a shutdown"
    assert found["shutdown_command"] == ("/opt/off", Origin.CURRENT, own)


def test_debians_own_lines_are_nobodys_decision() -> None:
    found = origins(b'SHUTDOWNCMD "/sbin/shutdown -h +0"\nHOSTSYNC 15\nDEADTIME 20\n')
    assert {name for name, (_, origin, _) in found.items() if origin is Origin.CURRENT} == {"deadtime"}
