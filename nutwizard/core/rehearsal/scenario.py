"""What the UPS does in a rehearsal, and what is to come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Scenario(StrEnum):
    """`cut`: the mains are gone until the battery is low; `blip`: for two seconds; `fsd`: a forced shutdown
    is asked for, as the test of the guide does; `timer`: the mains are gone, and the battery lasts;
    `return`: they come back when everybody is on the way down.
    """

    CUT = "cut"
    BLIP = "blip"
    FSD = "fsd"
    TIMER = "timer"
    RETURN = "lowbatt-on-return"

    @property
    def words(self) -> str:
        """For a person."""
        return _WORDS[self]


_WORDS = {
    Scenario.CUT: "the mains fail, and the battery runs low",
    Scenario.BLIP: "the mains fail for two seconds",
    Scenario.FSD: "a forced shutdown, as in the test of the guide",
    Scenario.TIMER: "the mains fail, and the battery outlasts every timer",
    Scenario.RETURN: "the mains come back when everybody is on the way down",
}
#: Seconds before the first turn, and of a blip.
_LEAD, BLIP = 0.5, 2
#: What a low battery measures where the UPS does not tell its limits (NUT's own values of usbhid-ups).
_LOW = {"battery.charge": "20", "battery.runtime": "120"}
#: Without a timer nothing happens on battery; this long is looked.
_QUIET = 4.0


@dataclass(frozen=True)
class Cue:
    """`after` so many seconds the UPS says `status`; with `ending` as soon as a machine goes down, and after
    that time at the latest. `low`: the battery is low from then on.
    """

    after: float
    status: str
    low: bool = False
    ending: bool = False


def cues(scenario: Scenario, until_low: float) -> tuple[Cue, ...]:
    """What the UPS does. `until_low`: seconds on battery until it is low."""
    out = Cue(_LEAD, "OB DISCHRG")
    low = Cue(until_low, "OB LB DISCHRG", low=True)
    return {
        Scenario.CUT: (out, low),
        Scenario.BLIP: (out, Cue(BLIP, "OL CHRG")),
        Scenario.FSD: (),
        Scenario.TIMER: (out,),
        Scenario.RETURN: (out, low, Cue(15.0, "OL CHRG LB", low=True, ending=True)),
    }[scenario]


def told_off(scenario: Scenario, given: tuple[Cue, ...]) -> tuple[Cue, ...]:
    """The cues as a made-up host plays them: it sets FSD itself where a real one's upsmon would."""
    if ends(scenario) is not True:
        return given
    before, after = (given[:2], given[2:]) if given else ((), ())
    status = before[-1].status if before else "OL"
    low = any(cue.low for cue in before)
    return (
        *before,
        Cue(1.0, f"FSD {status}", low=low),
        *(replace(c, status=f"FSD {c.status}") for c in after),
    )


def ends(scenario: Scenario) -> bool | None:
    """Whether the machines are to go down in it; None: as the timers say."""
    return {Scenario.BLIP: False, Scenario.TIMER: None}.get(scenario, True)


def values_at(cue: Cue, values: Mapping[str, str], by_level: Mapping[str, str]) -> dict[str, str]:
    """The variables of the UPS at a cue. `by_level`: where ignorelb makes NUT compare, what is below a limit.

    The status says LB only where the UPS itself decides.
    """
    words = [word for word in cue.status.split() if word != "LB" or not by_level]
    low = {name: values.get(f"{name}.low", least) for name, least in _LOW.items()} if cue.low else {}
    return {**values, "ups.status": " ".join(words), **low, **(by_level if cue.low else {})}


def watched_for(timers: float) -> float:
    """Seconds after the last turn in which something may still begin."""
    return timers + _QUIET
