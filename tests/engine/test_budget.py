"""The limits of systemd and Proxmox VE from a machine's files; time spans; what a budget is gathered from."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard.core import paths
from nutwizard.core.budget.inputs import Inputs, Limits
from nutwizard.core.budget.reckon import reckon
from nutwizard.core.budget.result import Verdict
from nutwizard.core.budget.spans import span
from nutwizard.core.facts import Door, FileFact, Kind, Role, Served
from nutwizard.core.guests import Guest
from nutwizard.core.measured import How, Measurement, newest
from nutwizard.core.text import UNSEEN
from nutwizard.engine import budget, measured
from nutwizard.engine.guesttasks import shutdowns
from nutwizard.engine.limits import ha_managed, read_limits, that_count
from nutwizard.engine.machine import OfflineHost
from tests.support.rule_cases import look_at

FOLDER = Path(__file__).parents[1] / "cases"
CASES, GATHERED = (yaml.safe_load((FOLDER / f"{name}.yaml").read_text()) for name in ("limits", "gathered"))
GUESTS = (
    Guest(100, Kind.VM, onboot=True),
    Guest(101, Kind.VM),
    Guest(102, Kind.VM),
    Guest(103, Kind.CONTAINER),
)


class Live(OfflineHost):
    """A live machine in a folder."""

    door = Door.LIVE

    def may_write(self) -> bool:
        return True


def lay_out(root: Path, files: dict[str, str]) -> Live:
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Live(str(root))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_limits(case: dict[str, Any], tmp_path: Path) -> None:
    host = lay_out(tmp_path, case["files"])
    assert asdict(read_limits(host, Kind.PVE)) == asdict(Limits()) | case["limits"]
    assert sorted(ha_managed(host)) == case.get("ha", [])
    if "counts" in case:
        assert [each.id for each in that_count(host, GUESTS)] == case["counts"]


def test_a_plain_machine_has_no_limit_of_guests(tmp_path: Path) -> None:
    host = lay_out(tmp_path, {"/lib/systemd/system/pve-guests.service": "[Service]\nTimeoutSec=5\n"})
    assert read_limits(host, Kind.PLAIN) == Limits()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("1min 30s", 90.0),
        ("1min30s", 90.0),
        ("2 h", 7200.0),
        ("1.5s", 1.5),
        ("500ms", 0.5),
        ("infinity", math.inf),
        ("0", math.inf),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("5 parsecs", None),
    ],
)
def test_spans(text: str, seconds: float | None) -> None:
    assert span(text) == (pytest.approx(seconds) if seconds is not None else None)


def gathered(tmp_path: Path, case: dict[str, Any]) -> Inputs:
    """What is gathered of a machine of the rules' cases, whose server tells the values of that case."""
    keys = ("name", "base", "clients", "no_pve", "silent", "measured", "at", "expect")
    look = look_at(case["base"], {key: value for key, value in case.items() if key not in keys})
    clients = {ups: tuple(case.get("clients", ())) for ups in look.values}
    served = None if case.get("silent") else Served(dict.fromkeys(look.values, ""), look.values, clients)
    facts = replace(look.facts, server=lambda address, port: served)
    host = lay_out(tmp_path, {} if case.get("no_pve") else {"/etc/pve/local/pve-ssl.pem": ""})
    at = facts.file(paths.UPSMON_CONF).changed + 86400 * case.get("at", 0)
    rows = [Measurement(what, seconds, at, How.FSD) for what, seconds in case.get("measured", {}).items()]
    (tmp_path / "etc").mkdir(exist_ok=True)
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    (tmp_path / "var/lib").mkdir(parents=True)
    assert measured.add(host, rows)
    return budget.gather(host, facts, look.role)


@pytest.mark.parametrize("case", GATHERED, ids=lambda case: case["name"])
def test_what_a_budget_is_gathered_from(case: dict[str, Any], tmp_path: Path) -> None:
    found = gathered(tmp_path, case)
    ups = None if found.ups is None else asdict(found.ups)
    known: dict[str, Any] = {
        "ups": ups and {key: ups[key] for key in case["expect"].get("ups") or ()},
        "low": found.ups and [found.ups.low.lowbatt, found.ups.low.ignorelb],
        "times": found.times,
        "exit": found.exit,
        "guests": None if found.guests is None else [each.id for each in found.guests],
        "inside": sorted(found.clients.inside),
        "away": list(found.clients.away),
        "known": found.clients.known,
        "timers": list(map(str, found.timers)),
        "forces": found.forces,
        "unseen": list(found.unseen),
        "measured": [each.what for each in found.measured],
    }
    assert {key: known[key] for key in case["expect"]} == case["expect"]
    assert reckon(found).parts


def test_without_root_the_rest_is_reckoned(tmp_path: Path) -> None:
    look = look_at("host-2.8.0", {})
    hidden = {
        path: FileFact(path, UNSEEN, path) if path.startswith(paths.NUT) else file
        for path, file in look.facts.files.items()
    }
    served = Served({"apc": ""}, look.values, {"apc": ()})
    facts = replace(look.facts, files=hidden, server=lambda address, port: served)
    found = reckon(budget.gather(lay_out(tmp_path, {"/etc/pve/local/x": ""}), facts, Role.HOST))
    assert found.verdict is Verdict.UNKNOWN
    assert "only root may read it" in " ".join(found.reasons)
    assert {part.key for part in found.parts} == {"seen", "clients", "final", "guests", "host", "ups"}


def test_a_server_that_hangs_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look, ended = look_at("host-2.8.0", {}), threading.Event()

    def hang(address: str, port: int) -> Served | None:
        ended.wait(30)
        return None

    monkeypatch.setattr(budget, "LIMIT", 0.3)
    begun = time.monotonic()
    try:
        found = budget.gather(
            lay_out(tmp_path, {"/etc/pve/local/x": ""}), replace(look.facts, server=hang), Role.HOST
        )
    finally:
        ended.set()
    assert time.monotonic() - begun < 5
    assert reckon(found).has.why == "the server tells nothing of the UPS now: nutwizard check"


def test_a_guests_own_shutdowns_are_measured_by_the_list_of_tasks(tmp_path: Path) -> None:
    """The newest counts; what was stopped by force, failed or is no shutdown does not."""
    at = "69C1BF74"
    index = f"""UPID:pve:00346023:085B9838:{at}:qmshutdown:112:root@pam: {int(at, 16) + 70:08X} OK
UPID:pve:00346024:085B9838:{at}:vzshutdown:200:ops@pve!api: {int(at, 16) + 4:08X} OK
UPID:pve:00346025:085B9838:{at}:qmshutdown:113:root@pam: {int(at, 16) + 180:08X} VM quit/powerdown failed
UPID:pve:00346026:085B9838:{at}:qmstop:114:root@pam: {int(at, 16) + 1:08X} OK
UPID:pve:00346027:085B9838:{at}:qmshutdown:112:root@pam: {int(at, 16) + 90:08X} OK
no task
"""
    host = lay_out(tmp_path, {"/var/log/pve/tasks/index": index})
    found = newest(shutdowns(host), 9)
    assert {each.what: each.seconds for each in found} == {"guest.112": 90.0, "guest.200": 4.0}
    assert {each.how for each in found} == {How.GUEST}
    assert list(shutdowns(lay_out(tmp_path / "other", {}))) == []
