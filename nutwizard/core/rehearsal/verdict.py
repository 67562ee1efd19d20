"""What a rehearsal showed: who went down before whom, what would not have worked, and which step mends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nutwizard.core.logtexts import Kind
from nutwizard.core.rehearsal.cast import Cast, Item
from nutwizard.core.rehearsal.moments import Moment, What
from nutwizard.core.rehearsal.seen import Seen
from nutwizard.core.rules.rule import Severity


@dataclass(frozen=True)
class Verdict:
    """`ended`: seconds at which each machine's SHUTDOWNCMD ran. `items`: worst first. `spans`: what took how
    many seconds. `well`: nothing in it is broken.
    """

    ended: Mapping[str, float]
    items: tuple[Item, ...]
    spans: Mapping[str, float]

    @property
    def well(self) -> bool:
        return not any(item.severity is Severity.BROKEN for item in self.items)


def judge(cast: Cast, moments: Sequence[Moment]) -> Verdict:
    """Judge what was seen."""
    ended: dict[str, float] = {}
    for moment in moments:
        if moment.what is What.END:
            ended.setdefault(moment.machine, moment.at)
    seen = Seen(cast, moments, ended)
    found = [*seen.broken_off(), *seen.daemons(), *seen.scripts()]
    if seen.served:  # else nothing else can have worked
        found += [*seen.logins(), *seen.losses(), *seen.endings(), *seen.power(), *seen.events()]
    rank = list(Severity)
    unique = dict.fromkeys(sorted(found, key=lambda item: rank.index(item.severity)))
    return Verdict(ended, tuple(unique), spans(cast, moments, ended))


def spans(cast: Cast, moments: Iterable[Moment], ended: Mapping[str, float]) -> dict[str, float]:
    """Seconds in the play: from FSD until the last client noticed ("notice") and until the SHUTDOWNCMD of the
    first and the last client and of the host; of the host alone from its SHUTDOWN event until its SHUTDOWNCMD
    ("final").
    """
    set_at = next((m.at for m in moments if m.what is What.EVENT and m.kind is Kind.SET_FSD), None)
    if set_at is None:
        return {}
    names = {member.name for member in cast.clients}
    noticed: dict[str, float] = {}
    for moment in moments:
        if moment.machine in names and moment.kind is Kind.FSD:
            noticed.setdefault(moment.machine, moment.at)
    out = sorted(ended[name] for name in names & ended.keys())
    found = {"notice": max(noticed.values())} if noticed else {}
    found |= {"first client": out[0], "last client": out[-1]} if out else {}
    found |= {"host": ended[cast.host.name]} if cast.host.name in ended else {}
    out_at = {name: at - set_at for name, at in found.items()}
    told = next((m.at for m in moments if m.machine == cast.host.name and m.kind is Kind.SHUTDOWN), None)
    if told is not None and cast.host.name in ended:
        out_at["final"] = ended[cast.host.name] - told
    return out_at
