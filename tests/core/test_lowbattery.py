"""Who says low battery: what is offered beside the UPS's present values, and what the driver must show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from nutwizard.core import lowbattery, paths
from nutwizard.core.facts import Door, Facts, FileFact, Kind, Nut, Role, Served
from nutwizard.core.fields import fields_of
from nutwizard.core.links import DriverData
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.core.text import FileText
from nutwizard.engine import registry
from nutwizard.engine.planner import Planner
from nutwizard.formats.sections import SectionFile

DRIVER = next(step for step in registry.steps_of(Role.HOST) if step.name == "driver")
FULL = {"battery.charge": "100", "battery.runtime": "1384.5", "ups.load": "14", "ups.status": "OL"}
SECTION = b"[apc]\ndriver = usbhid-ups\nport = auto\n"
LIMITED = SECTION + b"ignorelb\noverride.battery.charge.low = 50\n"


def fact(path: str, data: bytes) -> FileFact:
    return FileFact(path, "file", path, FileText(path, data))


def view(values: Mapping[str, str] | None, ups_conf: bytes = SECTION) -> tuple[View, list[tuple[str, int]]]:
    """What the step sees of a machine whose upsd shows these values, and the servers that were asked."""
    asked: list[tuple[str, int]] = []

    def server(address: str, port: int) -> Served | None:
        asked.append((address, port))
        return None if values is None else Served({"apc": "", "other": ""}, {"apc": values})

    files = {
        paths.UPS_CONF: fact(paths.UPS_CONF, ups_conf),
        paths.UPSD_CONF: fact(paths.UPSD_CONF, b"LISTEN 192.168.1.107 3494\nLISTEN 127.0.0.1 3494\n"),
        paths.NUT_CONF: fact(paths.NUT_CONF, b"MODE=netserver\n"),
    }
    facts = Facts(Door.LIVE, Kind.PVE, nut=Nut((2, 8, 0)), files=files, server=server)
    return View(facts, Site(Role.HOST)), asked


def offered(values: Mapping[str, str] | None, ups_conf: bytes = SECTION) -> dict[str, str]:
    found, asked = view(values, ups_conf)
    choices = DRIVER.choices(found, {})
    assert asked == [("127.0.0.1", 3494)]
    return {choice.value: choice.note for choice in choices["low_battery"]}


def test_the_present_values_stand_beside_the_choices() -> None:
    notes = offered(FULL)
    assert list(notes) == ["driver", "charge", "runtime"]
    assert notes["charge"].endswith("; now: charge 100 %, runtime 23 min, load 14 %")
    assert notes["runtime"].endswith("; now: runtime 23 min, charge 100 %, load 14 %")
    assert "now:" not in notes["driver"]


def test_they_stand_beside_the_limits() -> None:
    choices = DRIVER.choices(view({**FULL, "battery.runtime": "90"})[0], {})
    ((charge,), (runtime,)) = (choices[name] for name in ("low_charge", "low_runtime"))
    assert (charge.value, runtime.value) == ("30", "300")
    assert charge.note.endswith("now: charge 100 %, runtime 90 s, load 14 %")
    assert runtime.note.endswith("now: runtime 90 s, charge 100 %, load 14 %")


@pytest.mark.parametrize("values", [None, {}])
def test_without_a_server_or_a_driver_all_is_offered_and_nothing_claimed(
    values: Mapping[str, str] | None,
) -> None:
    assert list(offered(values)) == ["driver", "charge", "runtime"]
    assert not any("now:" in note or "reports no" in note for note in offered(values).values())


def test_what_the_ups_does_not_report_is_not_offered() -> None:
    notes = offered({"battery.charge": "100", "ups.status": "OL"})
    assert list(notes) == ["driver", "charge"]
    assert notes["driver"].endswith("this UPS reports no battery.runtime")
    assert notes["charge"].endswith("now: charge 100 %")
    assert list(offered({"ups.status": "OL"})) == ["driver"]


def test_what_is_in_force_is_always_offered() -> None:
    notes = offered({"ups.status": "OL"}, LIMITED)
    assert list(notes) == ["driver", "charge"]
    assert notes["charge"].endswith("this UPS reports no battery.charge")


@pytest.mark.parametrize("word", ["\x1b[2J", "9" * 40, "-1", "", "many"])
def test_a_value_that_is_no_number_is_not_shown(word: str) -> None:
    notes = offered({"battery.charge": word, "battery.runtime": "600", "ups.load": word})
    assert notes["charge"].endswith("; now: runtime 10 min")


def test_neither_a_plan_nor_a_proposal_connects_to_anything() -> None:
    found, asked = view(FULL, LIMITED)
    copies = {path: FileFact(path, actual=path) for path in (paths.UPS_CONF + end for end in paths.COPIES)}
    facts = replace(found.facts, files={**found.facts.files, **copies})
    walk = Planner([DRIVER], facts, Role.HOST, lambda _: "").walk([])
    assert (walk.problems, walk.answers["driver"].low_charge) == ([], 50)
    assert [change.path for change in walk.draft.plan().files if not change.copy_of] == [paths.UPS_CONF]
    assert DRIVER.suggest(found, {"low_battery": "runtime"})["low_runtime"].value == 300
    assert asked == []


def target(ups_conf: bytes) -> DriverData:
    (link,) = DRIVER.links(view(None, ups_conf)[0])
    assert isinstance(link.target, DriverData)
    return link.target


def test_the_driver_must_show_the_limits_of_the_file() -> None:
    found = target(LIMITED + b"override.battery.runtime.low = 240\n")
    assert found.variables == {
        "driver.flag.ignorelb": "enabled",
        "battery.charge.low": "50",
        "battery.runtime.low": "240",
    }
    assert found.compared == ("battery.charge", "battery.runtime")


def test_the_driver_must_not_drop_the_signal_of_the_ups_where_the_file_does_not_say_so() -> None:
    found = target(SECTION + b"override.battery.charge.low = 50\n")
    assert (found.variables, found.compared) == ({"driver.flag.ignorelb": ""}, ())


def test_with_the_flag_alone_the_limits_are_the_ups_s() -> None:
    found = target(SECTION + b"ignorelb\n")
    assert (found.variables, found.compared) == ({"driver.flag.ignorelb": "enabled"}, ())


def test_every_suggestion_is_a_value_of_its_field() -> None:
    fields = {field.name: field for field in fields_of(DRIVER.answers_type(Role.HOST))}
    for kind, name in lowbattery.FIELDS.items():
        assert fields[name].read(str(lowbattery.SUGGESTED[kind])) == lowbattery.SUGGESTED[kind]
        assert fields[name].spec.only_with == ("low_battery", kind)
    assert fields["lowbatt"].spec.only_with == ("low_battery", "driver")


@pytest.mark.parametrize("kind", lowbattery.OWN_LIMIT)
def test_there_and_back_leaves_the_file_as_it_was(kind: str) -> None:
    before = (
        b"# mine\r\n[apc] # here\r\n\tdriver = usbhid-ups\r\n\tpollinterval = 5\r\n\r\n[b]\r\nignorelb\r\n"
    )
    document = SectionFile.parse(before)
    assert lowbattery.edit(document, "apc", kind, 40, False)
    assert lowbattery.read(document, "apc").kinds == (kind,)
    assert lowbattery.edit(document, "apc", kind, 40, False) == []
    assert lowbattery.edit(document, "apc", "driver", None, False)
    assert document.to_bytes() == before
