"""Budgets as data: a machine in a few lines, and what its budget comes to.

A case of `tests/cases/budget/*.yaml` has `name` and `machine`, and any of `parts` (seconds by part, in their
order), `basis` and `sources` (by part: how it is known, words of why), `needs`, `worst`, `cut`, `has`,
`verdict`, `starts`, `says` (in reasons and notes), `advice` (of each the beginning of `what`, then `buys`,
`values`, `by_hand` where they are given).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nutwizard.core.budget.inputs import Clients, Inputs, Limits, Ups
from nutwizard.core.facts import Kind, Role
from nutwizard.core.guests import Guest
from nutwizard.core.lowbattery import Found
from nutwizard.core.measured import How, Measurement
from nutwizard.core.timing import DEFAULTS
from nutwizard.core.upssched import Timer

FOLDER = Path(__file__).parents[1] / "cases" / "budget"
#: An APC as usbhid-ups shows it, full and on line power.
VALUES = {
    "ups.status": "OL",
    "battery.charge": "100",
    "battery.runtime": "1830",
    "battery.runtime.low": "120",
}


@dataclass(frozen=True)
class Case:
    """`inputs`: the machine; `expect`: what the case says of its budget."""

    name: str
    inputs: Inputs
    expect: Mapping[str, Any]


def cases() -> list[Case]:
    """Every case of every file."""
    found = []
    for file in sorted(FOLDER.glob("*.yaml")):
        for spec in yaml.safe_load(file.read_text()):
            name = f"{file.stem}: {spec.pop('name')}"
            found.append(Case(name, machine(spec.pop("machine")), spec))
    return found


def machine(spec: Mapping[str, Any]) -> Inputs:
    """The machine that these lines describe; what they leave out is as NUT and Proxmox VE have it."""
    ups = spec.get("ups", {})
    guests = spec.get("guests", [])
    return Inputs(
        Role(spec.get("role", "host")),
        Kind(spec.get("kind", "pve")),
        tuple(spec.get("version", (2, 8, 0))),
        {**DEFAULTS, **spec.get("times", {})},
        frozenset(spec.get("times", {})),
        spec.get("exit", "yes"),
        None if guests is None else tuple(map(_guest, guests)),
        spec.get("idle", 0),
        frozenset(spec.get("ha", ())),
        _clients(spec.get("clients", {"inside": [100]})),
        None if ups is None else _ups(ups),
        tuple(Timer("ONBATT", f"t{n}", n, "ONLINE", "fsd") for n in spec.get("timers", ())),
        spec.get("forces", False),
        Limits(**spec.get("limits", {})),
        tuple(_measured(what, value) for what, value in spec.get("measured", {}).items()),
        tuple(spec.get("unseen", ())),
        tuple(spec.get("others", ())),
    )


def _guest(spec: Mapping[str, Any]) -> Guest:
    return Guest(
        **{"kind": Kind.VM, "agent": True, **spec, **({"kind": Kind(spec["kind"])} if "kind" in spec else {})}
    )


def _clients(spec: Mapping[str, Any] | None) -> Clients:
    if spec is None:
        return Clients(known=False)
    return Clients(frozenset(spec.get("inside", ())), tuple(spec.get("away", ())))


def _ups(spec: Mapping[str, Any]) -> Ups:
    values = {
        name: str(value) for name, value in {**VALUES, **spec.get("values", {})}.items() if value is not None
    }
    limits = {kind: str(n) for kind, n in spec.get("limits", {}).items()}
    return Ups(
        "apc",
        spec.get("driver", "usbhid-ups"),
        spec.get("cyberpower", False),
        spec.get("offdelay", 60),
        spec.get("ondelay", 70),
        spec.get("pollinterval", 2),
        spec.get("pollfreq", 30),
        Found(spec.get("lowbatt", False), spec.get("ignorelb", False), limits),
        values,
    )


def _measured(what: str, value: Any) -> Measurement:
    """`what: seconds`, or `what: [seconds, how]`, or with `at` behind them."""
    given: list[Any] = value if isinstance(value, list) else [value]
    rest: list[Any] = ["fsd", 1000]
    seconds, how, at = given + rest[len(given) - 1 :]
    return Measurement(what, float(seconds), float(at), How(how))
