"""What a guest's configuration says of its end, and of the USB devices that it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard.engine.guests import read_guests
from nutwizard.engine.machine import OfflineHost

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "guests.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_the_end_of_a_guest_and_its_usb_devices(case: dict[str, Any], tmp_path: Path) -> None:
    for name, text in case["files"].items():
        path = tmp_path / "etc/pve" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = read_guests(OfflineHost(str(tmp_path)))
    ends = {guest.id: [guest.onboot, guest.order, guest.down] for guest in found}
    assert {id: end for id, end in ends.items() if end != [False, None, None]} == case.get("ends", {})
    assert {guest.id: list(guest.usb) for guest in found if guest.usb} == case.get("usb", {})
