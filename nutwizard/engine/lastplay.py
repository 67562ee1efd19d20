"""What the last rehearsals showed, in short, kept for the overview and `nutwizard status`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nutwizard.core import paths
from nutwizard.core.facts import Door, Facts, Owner
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.core.rules.rule import Severity
from nutwizard.engine.files import PRIVATE, put
from nutwizard.engine.host import Host
from nutwizard.engine.lastproof import fingerprint

if TYPE_CHECKING:
    from nutwizard.engine.rehearsal.run import Rehearsed

_LARGEST = 64 << 10


@dataclass(frozen=True)
class LastPlay:
    """`at`: when (seconds since the epoch); `well`: it came to its end, and nothing in it was broken;
    `order`: the machines as they went down; `broken`: how many findings say that something would not have
    worked; `files`: how the files stood that it was played with.
    """

    at: float
    scenario: Scenario
    well: bool
    order: tuple[str, ...]
    broken: int
    files: str

    def value(self, files: str) -> dict[str, Any]:
        """As JSON has it. `files`: how they stand now."""
        told = {name: value for name, value in asdict(self).items() if name != "files"}
        return {**told, "order": list(self.order), "stands": self.files == files}

    def told(self, *, stands: bool) -> str:
        """In a few words. `stands`: the files are still those."""
        ended = "well" if self.well else "not well"
        return f"on {day(self.at)}: {ended if stands else 'files changed since'}"


def day(seconds: float) -> str:
    """A day as a person writes it."""
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def remember(host: Host, facts: Facts, done: Rehearsed) -> None:
    """Keep what it showed, of each scenario the last. Where that cannot be written nothing is kept."""
    if host.door is Door.OFFLINE or not host.may_write():
        return
    ended, items = done.verdict.ended, done.verdict.items
    new = LastPlay(
        host.now(),
        done.cast.scenario,
        done.verdict.well and not done.cut_off,
        tuple(sorted(ended, key=lambda name: ended[name])),
        sum(item.severity is Severity.BROKEN for item in items),
        played_files(facts),
    )
    kept = [*(each for each in last_plays(host) if each.scenario is not new.scenario), new]
    text = json.dumps([asdict(each) for each in kept])
    try:
        host.make_folder(paths.STATE, Owner("root", "root", 0o700))
        put(host, paths.REHEARSED, (f"{text}\n".encode(), PRIVATE), 0)
    except OSError:
        return


def last_plays(host: Host) -> tuple[LastPlay, ...]:
    """The last of each scenario, the oldest first; none where nothing can be read. Raises PermissionError."""
    try:
        rows = json.loads(host.read(paths.REHEARSED, _LARGEST))
        found = [_play(row) for row in rows]
    except PermissionError:
        raise
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ()
    return tuple(sorted(found, key=lambda each: each.at))


def that_counts(plays: Sequence[LastPlay], files: str) -> LastPlay | None:
    """The one to tell of: the last; but of those with the files of now one that did not end well goes first.

    A cut that goes wrong is not made good by a blip that goes well.
    """
    now = [each for each in plays if each.files == files]
    return next((each for each in reversed(now) if not each.well), next(reversed(plays), None))


def played_files(facts: Facts) -> str:
    """How the files stand that a play depends on: the firewall's are none of them."""
    ours = (each for path, each in facts.files.items() if not path.startswith(paths.PVE))
    return fingerprint(each for each in ours if each.path != paths.OUTSIDE)


def _play(row: dict[str, object]) -> LastPlay:
    """A row of the file. Raises ValueError, TypeError and KeyError for what is none."""
    order, well, broken, at = (row[name] for name in ("order", "well", "broken", "at"))
    if not (isinstance(order, list) and isinstance(well, bool) and isinstance(broken, int)):
        raise TypeError("no row of ours")
    names = tuple(str(name) for name in order)
    return LastPlay(float(str(at)), Scenario(str(row["scenario"])), well, names, broken, str(row["files"]))
