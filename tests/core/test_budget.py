"""Budgets, case by case, and what must hold of every one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutwizard.core.budget.guests import patience, stopping
from nutwizard.core.budget.inputs import Clients, Inputs, Limits, Ups
from nutwizard.core.budget.reckon import reckon
from nutwizard.core.budget.result import Advice, Budget, Verdict
from nutwizard.core.facts import Kind, Role
from nutwizard.core.guests import Guest
from nutwizard.core.lowbattery import Found
from nutwizard.core.measured import How, Measurement, What, guest
from nutwizard.core.timing import DEFAULTS
from nutwizard.core.upssched import Timer
from tests.support.budget_cases import Case, cases

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    found, expect = reckon(case.inputs), dict(case.expect)
    advice = expect.pop("advice", None)
    assert seen_of(found, expect) == expect
    if advice is not None:
        assert [told(one, wanted) for one, wanted in zip(found.advice, advice, strict=True)] == advice


def seen_of(found: Budget, expect: dict[str, Any]) -> dict[str, Any]:
    """What the case asks for, as it is."""
    text = " ".join((*found.reasons, *found.notes))
    parts = {part.key: part for part in found.parts}
    known: dict[str, Any] = {
        "parts": {key: round(part.seconds, 1) for key, part in parts.items()},
        "basis": {key: parts[key].basis.value for key in expect.get("basis", ())},
        "sources": {
            key: words if words in parts[key].why else parts[key].why
            for key, words in expect.get("sources", {}).items()
        },
        "needs": found.needs and round(found.needs, 1),
        "worst": found.worst and round(found.worst, 1),
        "cut": found.cut,
        "has": found.has.seconds,
        "starts": found.has.starts,
        "verdict": found.verdict.value,
        "says": [words if words in text else text for words in expect.get("says", ())],
    }
    return {key: known[key] for key in expect}


def told(one: Advice, wanted: dict[str, Any]) -> dict[str, Any]:
    """The same of a piece of advice; rows as their text."""
    known: dict[str, Any] = {
        "what": wanted["what"] if one.what.startswith(wanted["what"]) else one.what,
        "buys": one.buys,
        "values": {name: list(map(str, v)) if isinstance(v, tuple) else v for name, v in one.values.items()},
        "by_hand": list(one.by_hand),
    }
    return {key: known[key] for key in wanted}


GUESTS = st.builds(
    Guest,
    id=st.integers(100, 120),
    kind=st.sampled_from([Kind.VM, Kind.CONTAINER]),
    agent=st.booleans(),
    down=st.none() | st.integers(0, 400),
    order=st.none() | st.integers(0, 4),
)
MEASURED = st.builds(
    Measurement,
    what=st.sampled_from([What.NOTICE, What.CLIENTS, What.FINAL, What.GUESTS, *map(guest, range(100, 121))]),
    seconds=st.floats(0, 400),
    at=st.floats(0, 1e6),
    how=st.sampled_from(How),
)
UPSES = st.builds(
    Ups,
    name=st.just("apc"),
    driver=st.sampled_from(["usbhid-ups", "blazer_usb", "nutdrv_qx", "snmp-ups"]),
    cyberpower=st.booleans(),
    offdelay=st.none() | st.integers(0, 700),
    pollfreq=st.integers(0, 60),
    low=st.builds(
        Found,
        lowbatt=st.booleans(),
        ignorelb=st.booleans(),
        limits=st.dictionaries(st.sampled_from(["charge", "runtime"]), st.integers(5, 95).map(str)),
    ),
    values=st.fixed_dictionaries(
        {
            "ups.status": st.sampled_from(["OL", "OB", "OL CHRG", ""]),
            "battery.charge": st.integers(1, 100).map(str),
        },
        optional={
            name: st.integers(0, 4000).map(str)
            for name in ("battery.runtime", "battery.runtime.low", "battery.charge.low")
        },
    ),
)
HOSTS = st.builds(
    Inputs,
    role=st.just(Role.HOST),
    kind=st.just(Kind.PVE),
    times=st.fixed_dictionaries({name: st.integers(0, 200) for name in DEFAULTS}),
    guests=st.lists(GUESTS, max_size=6, unique_by=lambda each: each.id).map(tuple),
    ha=st.frozensets(st.integers(100, 120), max_size=3),
    clients=st.builds(
        Clients,
        inside=st.frozensets(st.integers(100, 120), max_size=3),
        away=st.sampled_from([(), ("nas",)]),
        known=st.booleans(),
    ),
    ups=st.none() | UPSES,
    timers=st.lists(st.integers(1, 900), max_size=2, unique=True).map(
        lambda many: tuple(Timer("ONBATT", f"t{n}", n, "ONLINE", "fsd") for n in many)
    ),
    limits=st.builds(
        Limits,
        stop=st.none() | st.floats(0, 300),
        guests=st.none() | st.floats(0, 500),
        workers=st.none() | st.integers(1, 4),
    ),
    measured=st.lists(MEASURED, max_size=6).map(tuple),
)
MANY = settings(max_examples=120, deadline=None)


def needs(inputs: Inputs) -> float:
    found = reckon(inputs).needs
    assert found is not None
    return found


def at_least(later: float, before: float) -> bool:
    """No less, but for the rounding of sums."""
    return later >= before - 1e-6


@MANY
@given(HOSTS, GUESTS)
def test_more_guests_never_need_less_time(inputs: Inputs, more: Guest) -> None:
    others = tuple(each for each in inputs.guests or () if each.id != more.id)
    fewer = replace(inputs, guests=others)
    assert at_least(needs(replace(inputs, guests=(*others, more))), needs(fewer))


@MANY
@given(HOSTS, st.integers(0, 300))
def test_a_longer_finaldelay_never_needs_less_time(inputs: Inputs, more: int) -> None:
    times = {**inputs.times, "FINALDELAY": inputs.times["FINALDELAY"] + more}
    assert at_least(needs(replace(inputs, times=times)), needs(inputs))


@MANY
@given(HOSTS, st.integers(0, 300))
def test_a_longer_hostsync_never_needs_less_time(inputs: Inputs, more: int) -> None:
    times = {**inputs.times, "HOSTSYNC": inputs.times["HOSTSYNC"] + more}
    assert at_least(needs(replace(inputs, times=times)), needs(inputs))


@MANY
@given(HOSTS, st.integers(0, 20), st.integers(0, 300))
def test_a_longer_time_out_never_needs_less_time(inputs: Inputs, which: int, more: int) -> None:
    longer = tuple(
        replace(each, down=patience(each) + more) if each.id == 100 + which else each
        for each in inputs.guests or ()
    )
    assert at_least(needs(replace(inputs, guests=longer)), needs(inputs))


@MANY
@given(HOSTS, st.integers(0, 4000))
def test_a_larger_battery_never_has_less_time(inputs: Inputs, more: int) -> None:
    ups = inputs.ups
    runtime = ups.values.get("battery.runtime") if ups is not None else None
    if ups is None or runtime is None:
        return
    larger = replace(ups, values={**ups.values, "battery.runtime": str(int(runtime) + more)})
    before, later = reckon(inputs).has.seconds, reckon(replace(inputs, ups=larger)).has.seconds
    assert before is None or (later is not None and later >= before)


@MANY
@given(HOSTS)
def test_every_budget_is_whole(inputs: Inputs) -> None:
    found = reckon(inputs)
    assert found.needs == pytest.approx(sum(part.seconds for part in found.parts if not part.after))
    assert found.worst is not None
    assert found.needs is not None
    assert at_least(found.worst, found.needs)
    assert all(part.seconds >= 0 and part.why for part in found.parts)
    assert found.verdict is Verdict.UNKNOWN or found.spare is not None
    if found.spare is not None:
        assert (found.verdict is Verdict.FITS) == (found.spare >= 0)
    assert bool(found.reasons) == (found.verdict is not Verdict.FITS)
    for each in found.advice:
        assert bool(each.step) == bool(each.values)
        assert each.buys is None or each.buys > 0


@MANY
@given(HOSTS)
def test_an_earlier_start_that_is_advised_is_early_enough(inputs: Inputs) -> None:
    """Whoever takes the first advice of the driver's or the actions' step has a battery that lasts."""
    for each in reckon(inputs).advice:
        ups = inputs.ups
        if each.step == "actions":
            new = each.values["timers"][0]
            kept = tuple(timer for timer in inputs.timers if timer.name != new.name)
            changed = replace(inputs, timers=(*kept, new))
        elif each.step == "driver" and ups is not None and "low_battery" in each.values:
            kind = each.values["low_battery"]
            both = ups.low.ignorelb and len(ups.low.kinds) > 1
            limits = {**(ups.low.limits if both else {}), kind: str(each.values[f"low_{kind}"])}
            changed = replace(inputs, ups=replace(ups, low=Found(ignorelb=True, limits=limits)))
        else:
            continue
        assert reckon(changed).verdict is Verdict.FITS


def test_the_host_waits_for_nobody_who_is_off_already() -> None:
    """A client's own shutdown and Proxmox VE's wait for it are one stretch of time, counted once."""
    one = (Guest(100, Kind.VM),)
    measured = (Measurement(guest(100), 40.0, 1.0, How.GUEST),)
    assert stopping(one, (), None, measured)[-1].end == 40.0
    assert stopping(one, (), None, measured, {100: 15.0})[-1].end == 25.0
    assert stopping(one, (), None, measured, {100: 60.0})[-1].end == 0.0
