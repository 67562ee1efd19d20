"""The budget on real NUT: read from the files and from upsd, by root and without, and nothing changes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .guided import CANARY
from .lab import Lab
from .machine import Machine
from .wizard import pair, stopped, tree, wait_clients, wizard

pytestmark = pytest.mark.lab

#: On battery for so long, and our script forces the shutdown.
TIMERS = "  timers: [{event: ONBATT, name: dying, seconds: 600, cancel: ONLINE, then: fsd}]\n"
#: A budget asks one server once, for 5 s at most; the rest is Python and a slow machine.
LIMIT = 10.0


@pytest.fixture(scope="module")
def well() -> Iterator[Lab]:
    with pair(CANARY, TIMERS) as lab:
        yield lab


def budget(machine: Machine, code: int = 0, user: str | None = None) -> dict[str, Any]:
    begin = time.monotonic()
    found: dict[str, Any] = json.loads(wizard(machine, "budget", "--json", code=code, user=user).stdout)
    assert time.monotonic() - begin < LIMIT
    return found


def seconds(found: dict[str, Any]) -> dict[str, float]:
    return {part["part"]: part["seconds"] for part in found["parts"]}


def test_a_host_and_its_guest(well: Lab) -> None:
    before = [tree(machine) for machine in (well.host, well.vm)]
    found = budget(well.host)
    assert (found["verdict"], found["starts"], found["has"]) == ("fits", "after 600 s on battery", 1230.0)
    parts = seconds(found)
    # The lab's upsmon has a FINALDELAY of 1 s and a HOSTSYNC of 3 s; the guest is a VM with NUT's own values.
    assert (parts["clients"], parts["final"], parts["guests"], parts["ups"]) == (3.0, 1.0, 180.0, 60.0)
    assert "seen" not in parts
    guest = budget(well.vm)
    assert (guest["role"], guest["verdict"], list(seconds(guest))) == (
        "client",
        "fits",
        ["notice", "final", "host"],
    )
    said = wizard(well.host, "budget").stdout
    assert said.startswith("It fits: ")
    assert [tree(machine) for machine in (well.host, well.vm)] == before


def test_without_root_nothing_is_promised(well: Lab) -> None:
    found = budget(well.host, user="daemon")
    reasons = " ".join(found["reasons"])
    assert found["verdict"] == "not known"
    # That lowbatt is set, the server tells; that it is only shown holds for whoever asks.
    assert "lowbatt only changes what is shown" in reasons
    assert "only root may read it" in reasons
    assert CANARY not in json.dumps(found)


def test_a_server_that_is_down_is_told(well: Lab) -> None:
    with stopped(well.host, "nut-server"):
        found = budget(well.host)
        assert (found["verdict"], found["has"]) == ("not known", None)
        assert any("nutwizard check" in reason or "battery.runtime" in reason for reason in found["reasons"])
        guest = budget(well.vm)
        assert guest["verdict"] == "fits"
        assert any("What the battery gives is not reckoned with" in note for note in guest["notes"])
    wait_clients(well)
