"""Rules about what happens at an event: upsmon calls upssched, which calls the script, all as user nut."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from nutwizard.core import paths
from nutwizard.core.events import events_of
from nutwizard.core.facts import Door, Owner
from nutwizard.core.links import LinkId
from nutwizard.core.programs import UNKNOWN, ProgramFact
from nutwizard.core.rules.rule import Look, Rule, Severity, Spot
from nutwizard.core.shutdown import PATH
from nutwizard.core.upssched import ANY, CANCEL, START, At, at_lines
from nutwizard.formats.nutfile import Entry

#: upsmon compares them letter by letter.
_FLAGS = frozenset({"SYSLOG", "WALL", "EXEC", "IGNORE"})
#: Folders below /run that Debian's packages make at each boot.
_KEPT_IN_RUN = ("nut", "nut/upssched")
_HEADS = ("CMDSCRIPT", "PIPEFN", "LOCKFN")
#: The events of later versions are not known.
_NEWEST = (2, 8, 5)
#: What the guide's script calls to tell everybody who is logged in.
_HELPER = "notify-send-all"


def nut_may(owner: Owner | None, bit: int) -> bool:
    """Whether user nut has this right (4 read, 2 write, 1 run or enter) on what belongs to this owner."""
    if owner is None:
        return False
    shift = 6 if owner.user == "nut" else 3 if owner.group == "nut" else 0
    return bool(owner.mode >> shift & bit)


def calls_upssched(look: Look) -> bool:
    """Whether upsmon hands events to upssched at all."""
    return _program(look.upsmon.get("NOTIFYCMD")).rsplit("/", 1)[-1] == "upssched"


def _program(entry: Entry | None) -> str:
    """The program in the command of a line; "" without one."""
    return next(iter(entry.args[0].split()), "") if entry is not None else ""


def script_of(look: Look) -> ProgramFact | None:
    """What upssched calls; None without a CMDSCRIPT. A name alone is looked for as the shell does."""
    name = _program(look.upssched.get("CMDSCRIPT"))
    if not name or "/" in name:
        return look.facts.program(name) if name else None
    found = (look.facts.program(f"{folder}/{name}") for folder in PATH)
    return next((each for each in found if each.kind != "missing"), ProgramFact(name, "missing"))


def as_nut(look: Look) -> bool:
    """Whether events are handled as user nut: upsmon may be told to run as another."""
    user = look.upsmon.get("RUN_AS_USER")
    return calls_upssched(look) and (user is None or user.args[0] == "nut")


def _unreadable(look: Look) -> Iterator[Spot]:
    found = look.facts.file(paths.UPSSCHED_CONF)
    if as_nut(look) and found.exists and not nut_may(found.owner, 4):
        yield Spot(f"it belongs to {found.owner}: user nut cannot read it", paths.UPSSCHED_CONF)


def _unmatched(look: Look) -> Iterator[Spot]:
    words = {monitor.system for monitor in look.monitors} | {ANY}
    lines = list(at_lines(look.upssched))
    lost = [at for at in lines if at.system not in words]
    if not calls_upssched(look) or len(words) == 1:
        return
    has = ", ".join(sorted(words - {ANY}))
    for at in lost:
        message = f"AT {at.event} is for {at.system}, MONITOR says {has}: it never fires"
        # A timer that never starts is most often the one that shuts down.
        worst = at.command == START or len(lost) == len(lines)
        severity = Severity.BROKEN if worst else Severity.WARNING
        yield Spot(message, paths.UPSSCHED_CONF, at.entry.line, severity=severity)


def _no_place(look: Look) -> Iterator[Spot]:
    """Timers need a pipe and a lock file where nut may write; EXECUTE alone does without."""
    if not as_nut(look) or not look.facts.runs:
        return
    timers = any(True for _ in at_lines(look.upssched, START))
    severity = Severity.BROKEN if timers else Severity.NOTE
    for name in ("PIPEFN", "LOCKFN"):
        entry = look.upssched.get(name)
        if entry is None:
            continue
        folder = entry.args[0].rpartition("/")[0] or "/"
        found = look.facts.program(folder)
        if (
            timers
            and folder.startswith(("/run/", "/var/run/"))
            and folder.rsplit("/run/")[1] not in _KEPT_IN_RUN
        ):
            message = f"{name} is in {folder}: that is gone after a reboot, unless tmpfiles.d makes it again"
            yield Spot(message, paths.UPSSCHED_CONF, entry.line, severity=Severity.WARNING)
        if found.kind == "missing":
            message = f"{name} is in {folder}, which is not there"
            yield Spot(message, paths.UPSSCHED_CONF, entry.line, severity=severity)
        elif found.kind == "directory" and not (nut_may(found.owner, 2) and nut_may(found.owner, 1)):
            message = f"{name} is in {folder}, where user nut cannot write ({found.owner})"
            yield Spot(message, paths.UPSSCHED_CONF, entry.line, severity=severity)


def _no_script(look: Look) -> Iterator[Spot]:
    entry = look.upssched.get("CMDSCRIPT")
    if not calls_upssched(look) or not look.upssched.entries("AT"):
        return
    found = script_of(look)
    if entry is None or found is None:
        yield Spot("there is no CMDSCRIPT: upssched has nothing to call", paths.UPSSCHED_CONF)
        return
    path = found.path
    if found.kind == UNKNOWN:
        return
    closed = _closed(look, path)
    if found.kind != "file":
        what = "is not there" if found.kind == "missing" else f"is a {found.kind}"
        yield Spot(f"CMDSCRIPT {path} {what}", paths.UPSSCHED_CONF, entry.line)
    elif not as_nut(look):
        return
    elif closed:
        fix = "move it to /usr/local/sbin, and name it there in CMDSCRIPT"
        yield Spot(f"{path} lies in {closed}: user nut cannot enter it", paths.UPSSCHED_CONF, entry.line, fix)
    elif not nut_may(found.owner, 1):
        fix = _for_nut(path)
        yield Spot(f"it belongs to {found.owner}: user nut cannot run it", path, fix=fix)
    else:
        yield from _inside(look, found)


def _for_nut(path: str) -> str:
    """The commands after which user nut may read and run it, and nobody else may who could not before."""
    word = shlex.quote(path)
    return f"chgrp nut {word}; chmod g+rx {word}"


def _closed(look: Look, path: str) -> str:
    """The first folder on the way to it that user nut cannot enter, with its owner; "" when it gets there."""
    parts = path.split("/")
    ways = ("/".join(parts[:end]) for end in range(2, len(parts)))
    folders = ((way, look.facts.program(way)) for way in ways)
    shut = ((way, at.owner) for way, at in folders if at.kind == "directory" and not nut_may(at.owner, 1))
    return next((f"{way} ({owner})" for way, owner in shut), "")


def _inside(look: Look, script: ProgramFact) -> Iterator[Spot]:
    """What the script itself needs: its interpreter, and the guide's helper that no Debian package has."""
    text = script.content.data.decode("utf-8", "replace") if script.content is not None else ""
    if not nut_may(script.owner, 4) and script.content is not None:
        message = f"it belongs to {script.owner}: its interpreter cannot read it as user nut"
        yield Spot(message, script.path, fix=_for_nut(script.path))
    first = text.partition("\n")[0]
    if first.startswith("#!") and first.endswith("\r"):
        message = "its first line ends as on Windows (CR LF): the kernel finds no such interpreter"
        yield Spot(message, script.path, 1, fix=f"sed -i 's/\\r$//' {shlex.quote(script.path)}")
    words = first.removeprefix("#!").split()
    live = look.facts.door is Door.LIVE  # below another root, and for practice, there is no system around it
    if live and first.startswith("#!") and words and look.facts.program(words[0]).kind == "missing":
        yield Spot(f"its interpreter {words[0]} is not there", script.path, 1)
    called = [n for n, line in enumerate(text.splitlines(), 1) if line.strip().startswith(_HELPER)]
    absent = all(look.facts.program(f"{folder}/{_HELPER}").kind == "missing" for folder in PATH)
    if called and absent and f"command -v {_HELPER}" not in text and f"{_HELPER}()" not in text:
        message = f"it calls {_HELPER}, which no Debian package has: this line fails at each event"
        yield Spot(message, script.path, called[0], severity=Severity.NOTE)


def _mute(look: Look) -> Iterator[Spot]:
    """AT lines whose event upsmon never hands on, and NOTIFYFLAG words that do not count."""
    known = events_of(look.version)
    for entry in look.upsmon.entries("NOTIFYFLAG"):
        if len(entry.args) > 2:
            message = f"words behind {entry.args[1]} do not count: flags are joined by + without blanks"
            yield Spot(message, paths.UPSMON_CONF, entry.line)
        wrong = (
            [flag for flag in entry.args[1].split("+") if flag not in _FLAGS] if len(entry.args) > 1 else []
        )
        if wrong:
            yield Spot(f"upsmon knows no flag {', '.join(wrong)}", paths.UPSMON_CONF, entry.line)
    if not calls_upssched(look):
        return
    heard = set()
    silent: dict[str, list[At]] = {}
    for at in at_lines(look.upssched):
        has = _flags_of(look, at.event)
        if at.event in known and ("EXEC" not in has or "IGNORE" in has):
            silent.setdefault(at.event, []).append(at)
        else:
            heard.add(at.event)
    for event, lines in silent.items():
        why = "IGNORE in" if "EXEC" in _flags_of(look, event) else "no EXEC in"
        message = f"AT {event} never fires: {event} has {why} upsmon.conf"
        # A timer that never starts, or is never cancelled, is more than a message that nobody gets.
        timer = any(at.command in (START, CANCEL) for at in lines)
        severity = Severity.BROKEN if timer or not heard else None
        yield Spot(message, paths.UPSSCHED_CONF, lines[0].entry.line, severity=severity)


def _flags_of(look: Look, event: str) -> list[str]:
    flags = look.upsmon.get("NOTIFYFLAG", event)
    return flags.args[1].split("+") if flags is not None else []


def _late_heads(look: Look) -> Iterator[Spot]:
    lines = look.upssched.entries("AT")
    if not lines or not calls_upssched(look):
        return
    for name in _HEADS:
        there = [entry for entry in look.upssched.entries(name) if entry.args]
        early = [entry for entry in there if entry.line < lines[0].line]
        # Without any CMDSCRIPT there is more to say, and another rule says it.
        if not early and (there or name != _HEADS[0]):
            message = f"{name} does not stand before the first AT line: upssched reads none of them"
            yield Spot(message, paths.UPSSCHED_CONF, lines[0].line)


def _unknown_events(look: Look) -> Iterator[Spot]:
    """One that another version has, or a slip of the pen; what a newer NUT has is not known here."""
    known, ever = events_of(look.version), events_of(_NEWEST)
    if look.version and look.version <= _NEWEST and calls_upssched(look):
        for at in at_lines(look.upssched):
            if at.event not in known:
                message = f"NUT {look.facts.nut.text} has no event {at.event}: this line never fires"
                severity = None if at.event in ever else Severity.WARNING
                yield Spot(message, paths.UPSSCHED_CONF, at.entry.line, severity=severity)


RULES = (
    Rule(
        "NW12",
        "upssched.conf cannot be read by user nut",
        LinkId.EVENTS,
        Severity.BROKEN,
        "upssched runs as user nut: every event fails with Permission denied, in the log alone",
        _unreadable,
        step="actions",
    ),
    Rule(
        "NW13",
        "AT lines are for another UPS than MONITOR",
        LinkId.EVENTS,
        Severity.BROKEN,
        "upssched compares the two words letter by letter, and says nothing when no line matches",
        _unmatched,
        step="actions",
    ),
    Rule(
        "NW14",
        "upssched's timers have no place for their pipe",
        LinkId.EVENTS,
        Severity.BROKEN,
        "a timer cannot be started: Failed to connect to parent and failed to create parent",
        _no_place,
        step="actions",
    ),
    Rule(
        "NW15",
        "the script cannot be run by user nut",
        LinkId.EVENTS,
        Severity.BROKEN,
        "upssched runs it as user nut, and its failure is in the log alone",
        _no_script,
        step="actions",
    ),
    Rule(
        "NW40",
        "events that upsmon does not hand on",
        LinkId.EVENTS,
        Severity.WARNING,
        "without the flag EXEC upsmon does not call NOTIFYCMD for an event",
        _mute,
        step="actions",
    ),
    Rule(
        "NW41",
        "upssched.conf has its AT lines too early",
        LinkId.EVENTS,
        Severity.BROKEN,
        "CMDSCRIPT, PIPEFN and LOCKFN must come before the first AT line, also where no timer is used",
        _late_heads,
        step="actions",
    ),
    Rule(
        "NW42",
        "AT lines for events that this NUT does not have",
        LinkId.EVENTS,
        Severity.NOTE,
        "event types came with versions of NUT",
        _unknown_events,
        step="actions",
    ),
)
