"""What upsd's status says of an outage, and what a person is told of it: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nutwizard.core.facts import Role
from nutwizard.core.links import Server
from nutwizard.core.plan import Act
from nutwizard.core.site import bracketed
from nutwizard.formats.safe import safe_text

_FSD, _BATTERY, _LOW, _LINE = "FSD", "OB", "LB", "OL"
#: Characters of a status that are shown; a real one has less than 40.
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """The status of one UPS, in upsd's words, and who said so; `own`: this machine's upsd."""

    ups: str
    status: str
    server: Server
    own: bool = False

    @property
    def words(self) -> frozenset[str]:
        return frozenset(self.status.split())

    @property
    def outage(self) -> bool:
        """On battery, battery low, or an order to shut down."""
        return bool(self.words & {_FSD, _BATTERY, _LOW})

    def __str__(self) -> str:
        address = f"{bracketed(self.server.address)} port {self.server.port}"
        where = f"this machine's upsd ({address})" if self.own else address
        return safe_text(
            f"UPS {self.ups} on {where} {_state(self.words)} (ups.status: {self.status[:_LONGEST]})"
        )


@dataclass(frozen=True, slots=True)
class Outage:
    """Why nothing is restarted now: at least one UPS whose status says so."""

    role: Role
    seen: tuple[Seen, ...]

    @property
    def told(self) -> str:
        """What was asked, and what it answered."""
        return "; ".join(dict.fromkeys(map(str, self.seen)))

    @property
    def danger(self) -> str:
        """What would happen: of the worst status."""
        return _danger(max((seen.words for seen in self.seen), key=_gravity), self.role)

    @property
    def text(self) -> str:
        """Why not now."""
        return f"Not during an outage: {self.told}.\n{self.danger}"

    @property
    def hint(self) -> str:
        """What to do after a refusal."""
        again = "Then run the same again; --on-battery does it all the same."
        return f"Nothing was changed. {self.way_out}\n{again}"

    @property
    def way_out(self) -> str:
        """How it ends: with the mains, or by a restart of upsd where it holds an order of its own."""
        if not any(_FSD in seen.words for seen in self.seen):
            return "Wait until the mains are back and the battery is not low: nutwizard check shows it."
        where = "here" if any(seen.own and _FSD in seen.words for seen in self.seen) else "on the server"
        return (
            "If no shutdown is under way, the order was left behind: only a restart of upsd ends it,"
            f"\n{where} and before anything else, since an upsmon that starts earlier obeys it:"
            "\n  systemctl restart nut-server\nnutwizard check shows the status."
        )


def put_off_text(acts: Iterable[Act]) -> str:
    """Acts that wait for the end of an outage."""
    return f"Put off until the outage is over: {', '.join(map(str, acts))}."


def put_off_hint(acts: Iterable[Act]) -> str:
    """How what was put off is done."""
    by_hand = "; ".join(f"systemctl {act}" for act in acts)
    return f"Then: nutwizard recover (it asks upsd again first), or by hand: {by_hand}"


def _gravity(words: frozenset[str]) -> tuple[bool, bool, bool]:
    return _FSD in words, words >= {_BATTERY, _LOW}, _BATTERY in words


def _state(words: frozenset[str]) -> str:
    if _FSD in words:
        return "has the order to shut down, FSD"
    if words >= {_BATTERY, _LOW}:
        return "runs on battery, and the battery is low"
    return "runs on battery" if _BATTERY in words else "has a low battery"


def _danger(words: frozenset[str], role: Role) -> str:
    if _FSD in words:
        still = ", even with the mains there" if _LINE in words else ""
        return f"An upsmon that starts against this order shuts its machine down within seconds{still}."
    if words >= {_BATTERY, _LOW}:
        return "An upsmon that starts now shuts its machine down within half a minute."
    if _BATTERY not in words:
        return "When the mains fail now, the shutdown begins at once, and it would meet half a change."
    if role is Role.HOST:
        return (
            "Clients that miss upsd or its data on battery for longer than their DEADTIME (15 s by default)"
            " shut down, and an upsmon that starts on a low battery shuts its machine down."
        )
    return "Nobody watches while upsmon restarts; one that starts on a low battery shuts its machine down."
