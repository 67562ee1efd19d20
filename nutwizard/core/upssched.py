"""AT lines of upssched.conf(5): what an event runs, and which timers it starts and cancels."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nutwizard.core import paths
from nutwizard.core.events import SINCE
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.site import Site, split_system
from nutwizard.core.upsmon import Monitor
from nutwizard.formats.nutfile import Entry, NutFile

#: In place of a UPS: the line is for every UPS.
ANY = "*"
EXECUTE, START, CANCEL = "EXECUTE", "START-TIMER", "CANCEL-TIMER"
#: A day: longer than any battery, and short enough to be meant.
LONGEST = 86400
_NAME = re.compile(r"[a-z0-9_]{1,40}")
#: Words of CMDSCRIPT for our script: with a merged /usr they are one file.
_OUR_PATHS = (paths.UPSSCHED_CMD, "/sbin/upssched-cmd")
_WORDS = frozenset(event.lower() for events in SINCE.values() for event in events)


def timer_name(value: str) -> str | None:
    """What is wrong with the name of a timer, which is also the word that the script gets."""
    if not _NAME.fullmatch(value):
        return "a timer's name is up to 40 small letters, digits and _ only"
    if value in _WORDS:
        return f"{value} is the word of the event {value.upper()}: the script could not tell them apart"
    return None


@dataclass(frozen=True)
class Timer:
    """One row: `event` starts it, `cancel` ends it within its `seconds`, `then` is done after them."""

    event: str = setting(FieldKind.CHOICE, "started by the event")
    name: str = setting(FieldKind.TEXT, "name, the word for the script", check=timer_name)
    seconds: int = setting(FieldKind.INTEGER, "runs for", unit="s", low=1, high=LONGEST)
    cancel: str | None = setting(FieldKind.CHOICE, "cancelled by the event", optional=True)
    then: str = setting(
        FieldKind.CHOICE,
        "then",
        choices=(
            Choice("script", "a message in the log, and your own actions"),
            Choice("fsd", "the same, and a forced shutdown: upsmon -c fsd"),
        ),
    )

    def __str__(self) -> str:
        until = f" unless {self.cancel} comes first" if self.cancel else ""
        what = "forced shutdown" if self.then == "fsd" else "run the script"
        return f"{self.name}: {self.seconds} s after {self.event}{until}: {what}"


@dataclass(frozen=True)
class Watched:
    """Whose lines are this machine's: those for `system`, the word of MONITOR, and for every UPS.

    `names`: its UPS's name and the old one; a line for one of them under another word is brought to `system`,
    unless that word is one of `others`, which other MONITOR lines have.
    """

    system: str
    names: frozenset[str]
    others: frozenset[str]

    @classmethod
    def by(cls, site: Site, monitors: Iterable[Monitor]) -> Watched:
        """From the MONITOR lines, before or after the one of this UPS gets its new word."""
        found = list(monitors)
        names = frozenset(filter(None, (site.ups, site.renamed)))
        words = {monitor.system for monitor in found}
        own = [m for m in found if m.ups in names and m.local == (site.role is Role.HOST)]
        if site.system not in words and own:
            words.discard(own[0].system)
        return cls(site.system, names, frozenset(words - {site.system}))

    def stale(self, word: str) -> bool:
        """Whether a line for this word means this UPS, and would never match it."""
        return word not in (ANY, self.system, *self.others) and _ups_of(word) in self.names

    def concerns(self, word: str) -> bool:
        """Whether a line for this word is for this machine's UPS, perhaps among others."""
        return word in (ANY, self.system) or self.stale(word)

    def alone(self, word: str) -> bool:
        """Whether a line for this word is for this UPS and no other."""
        return self.concerns(word) and (word != ANY or not self.others)


@dataclass(frozen=True)
class At:
    """One AT line: event type in capitals, the word for the UPS, the command and what follows it."""

    event: str
    system: str
    command: str
    rest: tuple[str, ...]
    entry: Entry

    def __str__(self) -> str:
        return " ".join(self.entry.words)

    @property
    def commanded(self) -> bool:
        """Whether it cancels with a command for when no timer runs: somebody's own idea."""
        return self.command == CANCEL and len(self.rest) > 1


def at_lines(document: NutFile, *commands: str) -> Iterator[At]:
    """The complete AT lines in file order: all, or those with one of these commands."""
    for entry in document.entries("AT"):
        if len(entry.args) >= 4 and (not commands or entry.args[2] in commands):
            yield At(entry.args[0].upper(), entry.args[1], entry.args[2], entry.args[3:], entry)


def configured(document: NutFile, watched: Watched) -> bool:
    """Whether anybody has decided already what this UPS's events do."""
    return any(watched.concerns(at.system) for at in at_lines(document))


def elsewhere(document: NutFile) -> str:
    """The script that upssched calls instead of ours, "" when it calls ours.

    A stock file, which has no AT line, calls nothing, and its CMDSCRIPT does not stay.
    """
    script = document.get("CMDSCRIPT") if document.entries("AT") else None
    return script.args[0] if script is not None and script.args[0] not in _OUR_PATHS else ""


def executed(document: NutFile, watched: Watched) -> set[str]:
    """The events of this UPS that run the script at once."""
    return {at.event for at in at_lines(document, EXECUTE) if watched.concerns(at.system)}


def timers_in(
    document: NutFile, watched: Watched, events: Collection[str], thens: Mapping[str, str]
) -> tuple[Timer, ...]:
    """The timers of this UPS that a row can hold. `thens`: what the script does, where that is known.

    Others (a name with a capital, an event of another version) are the user's alone.
    """
    found = []
    for name, at in _starts(document, watched, events).items():
        cancel = next((each.event for each in _cancels(document, watched, at, events)), None)
        found.append(Timer(at.event, name, int(at.rest[1]), cancel, thens.get(name, "script")))
    return tuple(found)


def odd_timers(document: NutFile, watched: Watched, timers: Iterable[Timer]) -> list[At]:
    """START-TIMER lines for this UPS whose word is neither one of these timers nor an event."""
    known = {timer.name for timer in timers} | _WORDS
    starts = at_lines(document, START)
    return [at for at in starts if watched.concerns(at.system) and at.rest[0] not in known]


def foreign_timers(document: NutFile, watched: Watched) -> dict[str, At]:
    """The timers of other UPSes by name: upssched knows a timer by its name alone."""
    return {at.rest[0]: at for at in at_lines(document, START) if not watched.concerns(at.system)}


def rename_stale(document: NutFile, watched: Watched) -> None:
    """Give the lines that mean this UPS its word: with another one they never match, and nothing says so."""
    for entry in document.entries("AT"):
        if len(entry.args) >= 3 and watched.stale(entry.args[1]):
            document.replace(entry, "AT", entry.args[0], watched.system, *entry.args[2:])


def put_events(document: NutFile, watched: Watched, events: Collection[str]) -> list[At]:
    """Make exactly these events run the script; other words of the user's own stay.

    The lines that are not wanted and yet stay, because they are for other UPSes too, are returned.
    """
    kept = []
    for at in list(at_lines(document, EXECUTE)):
        if at.event not in events and at.rest == (at.event.lower(),) and watched.concerns(at.system):
            if watched.alone(at.system):
                document.remove(at.entry)
            else:
                kept.append(at)
    there = executed(document, watched)
    for event in events:
        if event not in there:
            _insert_execute(document, ("AT", event, watched.system, EXECUTE, event.lower()))
    return kept


def put_timers(
    document: NutFile, watched: Watched, timers: Collection[Timer], events: Collection[str]
) -> list[At]:
    """Make exactly these timers the ones of this UPS, of those that rows can hold.

    The lines that would go and yet stay are returned: those for other UPSes too, and a CANCEL-TIMER with a
    command of its own.
    """
    wanted = {timer.name for timer in timers}
    kept = []
    for old in timers_in(document, watched, events, {}):
        if old.name not in wanted:
            kept += _remove(document, watched, old.name, events)
    for timer in timers:
        before = _starts(document, watched, events).get(timer.name)
        cancels = _cancels(document, watched, before, events) if before is not None else []
        start = _put_start(document, watched, timer, before)
        _put_cancel(document, watched, timer, start, cancels)
    return kept


def timer_lines(system: str, timers: Iterable[Timer]) -> list[str]:
    """The lines of a file that holds nothing else for these timers."""
    out = []
    for timer in timers:
        out.append(f"AT {timer.event} {system} {START} {timer.name} {timer.seconds}")
        if timer.cancel:
            out.append(f"AT {timer.cancel} {system} {CANCEL} {timer.name}")
    return out


def _starts(document: NutFile, watched: Watched, events: Collection[str]) -> dict[str, At]:
    """By its name the line of each timer of this UPS that a row can hold; of several the first."""
    found: dict[str, At] = {}
    for at in at_lines(document, START):
        name, seconds = at.rest[0], at.rest[1] if len(at.rest) > 1 else ""
        if not watched.concerns(at.system) or at.event not in events or timer_name(name) is not None:
            continue
        if re.fullmatch(r"[0-9]{1,5}", seconds) and 1 <= int(seconds) <= LONGEST:
            found.setdefault(name, at)
    return found


def _cancels(document: NutFile, watched: Watched, start: At, events: Collection[str]) -> list[At]:
    """The lines that cancel this timer and of which a row can hold one.

    One for the event that starts it, too, begins it anew: that is the user's alone.
    """
    found = [at for at in at_lines(document, CANCEL) if at.rest[0] == start.rest[0]]
    return [at for at in found if watched.concerns(at.system) and at.event in {*events} - {start.event}]


def _remove(document: NutFile, watched: Watched, name: str, events: Collection[str]) -> list[At]:
    """Take out the line that starts it and the one that cancels it."""
    start = _starts(document, watched, events)[name]
    cancels = _cancels(document, watched, start, events)[:1]
    kept = []
    for at in [start, *cancels]:
        if watched.alone(at.system) and not at.commanded:
            document.remove(at.entry)
        else:
            kept.append(at)
    return kept


def _put_start(document: NutFile, watched: Watched, timer: Timer, at: At | None) -> Entry:
    tail = (START, timer.name, str(timer.seconds))
    if at is None:
        lines = document.entries("AT")
        return document.insert_after(lines[-1] if lines else None, "AT", timer.event, watched.system, *tail)
    if (at.event, at.rest[1:2]) != (timer.event, (tail[-1],)):
        document.replace(at.entry, "AT", timer.event, at.system, *tail, *at.rest[2:])
    return at.entry


def _put_cancel(
    document: NutFile, watched: Watched, timer: Timer, start: Entry, cancels: Sequence[At]
) -> None:
    """The line of its cancel; one with a command of the user's own is never changed."""
    if any(at.event == timer.cancel for at in cancels):
        return
    plain = next((at for at in cancels if not at.commanded), None)
    if timer.cancel is None and plain is not None:
        document.remove(plain.entry)
    elif timer.cancel is not None and plain is not None:
        document.replace(plain.entry, "AT", timer.cancel, plain.system, CANCEL, timer.name)
    elif timer.cancel is not None:
        document.insert_after(start, "AT", timer.cancel, watched.system, CANCEL, timer.name)


def _insert_execute(document: NutFile, words: tuple[str, ...]) -> None:
    """Behind the other lines that run the script, before the timers."""
    same = list(at_lines(document, EXECUTE))
    lines = document.entries("AT")
    if same:
        document.insert_after(same[-1].entry, *words)
    elif lines:
        document.insert_before(lines[0], *words)
    else:
        document.append(*words)


def _ups_of(system: str) -> str:
    try:
        return split_system(system)[0]
    except ValueError:
        return ""
