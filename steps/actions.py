"""upssched.conf and upssched-cmd: what is done when something happens to the UPS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nutwizard.core import paths, upsschedcmd
from nutwizard.core.actionnotes import tell
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.draft import NUT_OWNER, Draft
from nutwizard.core.errors import Problem
from nutwizard.core.events import DEFAULT_FLAGS, GUIDE_EVENTS, events_of
from nutwizard.core.facts import FileFact, Owner, Role
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.plan import FileChange
from nutwizard.core.site import Site
from nutwizard.core.step import Step, View
from nutwizard.core.text import FileText
from nutwizard.core.upsmon import monitors
from nutwizard.core.upssched import (
    Timer,
    Watched,
    configured,
    elsewhere,
    executed,
    foreign_timers,
    put_events,
    put_timers,
    rename_stale,
    timer_lines,
    timers_in,
)
from nutwizard.formats.nutfile import NutFile

SCRIPT_OWNER = Owner("root", "root", 0o755)
PIPEFN = f"{paths.RUN_NUT}/upssched.pipe"
LOCKFN = f"{paths.RUN_NUT}/upssched.lock"


@dataclass(frozen=True, slots=True)
class Answers:
    """`events` run the script at once, `timers` after a while; `wall`: logged-in users are told; `script`:
    ours, or keep what is there.
    """

    events: tuple[str, ...] = setting(FieldKind.CHOICES, "events")
    timers: tuple[Timer, ...] = setting(FieldKind.ROWS, "timers", row=Timer)
    wall: bool = setting(FieldKind.BOOLEAN, "tell logged-in users")
    script: str = setting(
        FieldKind.CHOICE,
        "script",
        choices=(
            Choice("ours", "write /usr/sbin/upssched-cmd"),
            Choice("keep", "leave the script that is there as it is"),
        ),
    )


class Actions(Step[Answers]):
    """What upssched and the script do for each event."""

    name = "actions"
    title = "Actions"
    after = ("monitor",)

    def paths(self, role: Role) -> tuple[str, ...]:
        copies = (paths.UPSSCHED_CMD + ending for ending in paths.COPIES)
        return (paths.UPSMON_CONF, paths.UPSSCHED_CONF, paths.UPSSCHED_CMD, *copies)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        document, known = view.nut(paths.UPSSCHED_CONF), events_of(view.facts.nut.version)
        watched = Watched.by(view.site, monitors(view.nut(paths.UPSMON_CONF)))
        script = view.facts.file(paths.UPSSCHED_CMD)
        here, note = Origin.GUIDE, ""
        events: tuple[str, ...] = GUIDE_EVENTS
        if configured(document, watched):
            there = executed(document, watched)
            here, note = Origin.CURRENT, "from upssched.conf"
            events = tuple(event for event in known if event in there)
        thens = {} if elsewhere(document) else upsschedcmd.timers_of(script.data)
        foreign = _is_foreign(script)
        return {
            "events": Proposed(events, here, note),
            "timers": Proposed(timers_in(document, watched, known, thens), here, note),
            "wall": Proposed(upsschedcmd.tells_users(script.data), Origin.CURRENT, "from upssched-cmd")
            if script.exists and not foreign
            else Proposed(False, Origin.GUIDE),
            "script": Proposed("keep", Origin.YOURS, f"{paths.UPSSCHED_CMD} is not as nutwizard wrote it")
            if foreign
            else Proposed("ours", Origin.GUIDE),
        }

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        events = tuple(Choice(event) for event in events_of(view.facts.nut.version))
        return {"events": events, "timers.event": events, "timers.cancel": events}

    def preview(self, view: View, values: Mapping[str, Any]) -> Mapping[str, FileChange]:
        """Beside the question whether the user's own script stays: how ours differs from it."""
        script, path = view.facts.file(paths.UPSSCHED_CMD), paths.UPSSCHED_CMD
        if not _is_foreign(script):
            return {}
        ours = FileText(path, _script(view, values["wall"], values["timers"]))
        why = ("so it would be replaced by ours; keep leaves it as it is",)
        return {
            "script": FileChange(
                path, script.actual, script.content, ours, script.owner, script.owner, (), why
            )
        }

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        known = events_of(view.facts.nut.version)
        unknown = f"NUT {view.facts.nut.text} has no event"
        for event in answers.events:
            if event not in known:
                yield Problem(f"{unknown} {event}", "actions.events")
        yield from _wrong_timers(view, answers.timers, known, unknown)
        if answers.script == "keep" and not view.facts.file(paths.UPSSCHED_CMD).exists:
            yield Problem(f"there is no {paths.UPSSCHED_CMD} to keep", "actions.script")
        else:
            yield from _unkept(view, answers)

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        _edit_flags(draft.nut(paths.UPSMON_CONF), answers)
        watched = Watched.by(view.site, monitors(draft.nut(paths.UPSMON_CONF)))
        _edit_upssched(draft, view, answers, watched)
        script = view.facts.file(paths.UPSSCHED_CMD)
        if answers.script == "ours":
            draft.replace(paths.UPSSCHED_CMD, _script(view, answers.wall, answers.timers))
            draft.own(paths.UPSSCHED_CMD, SCRIPT_OWNER, "user nut has to run it")
            if _is_foreign(script):
                draft.keep_copy(paths.UPSSCHED_CMD)
        elif script.owner is not None and script.owner.mode & 0o005 != 0o005:
            mode = script.owner.mode | 0o555
            draft.own(
                paths.UPSSCHED_CMD,
                Owner(script.owner.user, script.owner.group, mode),
                "user nut has to run it",
            )
        if draft.changed(paths.UPSSCHED_CONF) or draft.changed(paths.UPSSCHED_CMD):
            tell(draft, view, answers.timers, answers.script == "keep")


def _is_foreign(script: FileFact) -> bool:
    """Whether somebody else wrote it, or edited what we wrote; an empty file is nobody's work."""
    if script.kind == "file" and not script.data.strip():
        return False
    return script.exists and not upsschedcmd.is_unmodified(script.data)


def _script(view: View, wall: bool, timers: tuple[Timer, ...]) -> bytes:
    return upsschedcmd.script_text(view.asset("upssched-cmd.sh"), view.site.system, wall, timers)


def _wrong_timers(
    view: View, timers: tuple[Timer, ...], known: tuple[str, ...], unknown: str
) -> Iterable[Problem]:
    watched = Watched.by(view.site, monitors(view.nut(paths.UPSMON_CONF)))
    foreign = foreign_timers(view.nut(paths.UPSSCHED_CONF), watched)
    seen: set[str] = set()
    for timer in timers:
        text = ""
        if strange := [event for event in (timer.event, timer.cancel) if event and event not in known]:
            text = f"{unknown} {strange[0]}"
        elif timer.cancel == timer.event:
            text = f"{timer.event} cannot both start and cancel it"
        elif timer.name in seen:
            text = "two timers have this name"
        elif timer.name in foreign:
            at = foreign[timer.name]
            text = f"line {at.entry.line} of {paths.UPSSCHED_CONF} has a timer of this name for {at.system}"
        seen.add(timer.name)
        if text:
            yield Problem(f"{timer.name}: {text}", "actions.timers")


def _unkept(view: View, answers: Answers) -> Iterable[Problem]:
    """Forced shutdowns that only our script would do, where it is not the one that is called."""
    called = elsewhere(view.nut(paths.UPSSCHED_CONF))
    known: Mapping[str, str] = {timer.name: timer.then for timer in answers.timers}
    if called or answers.script == "keep":
        known = {} if called else upsschedcmd.timers_of(view.facts.file(paths.UPSSCHED_CMD).data)
    ours = not called and upsschedcmd.is_unmodified(view.facts.file(paths.UPSSCHED_CMD).data)
    why = (
        f"{paths.UPSSCHED_CMD} is kept as it is and does not shut down for it: take `script: ours`"
        if ours
        else f"{called or paths.UPSSCHED_CMD} is your own script, and nobody can promise that it shuts down:"
        " give the timer `then: script` and let your script handle the word"
    )
    for timer in answers.timers:
        if timer.then == "fsd" and known.get(timer.name) != "fsd":
            yield Problem(f"{timer.name}: {why}{'' if ours else f' {timer.name}'}", "actions.timers")


def _edit_flags(document: NutFile, answers: Answers) -> None:
    """Add EXEC to the flags in force; the flags that are there stay, but for IGNORE, which mutes all."""
    timed = [event for timer in answers.timers for event in (timer.event, timer.cancel) if event]
    for event in dict.fromkeys((*answers.events, *timed)):
        entry = document.get("NOTIFYFLAG", event)
        flags = entry.args[1] if entry is not None and len(entry.args) > 1 else DEFAULT_FLAGS
        words = [word for word in flags.split("+") if word]
        loud = [word for word in words if word.upper() != "IGNORE"]
        if "EXEC" not in [word.upper() for word in loud]:
            loud.append("EXEC")
        if loud != words:
            document.set("NOTIFYFLAG", event, "+".join(loud), key=1)


def _edit_upssched(draft: Draft, view: View, answers: Answers, watched: Watched) -> None:
    """A stock file, which has no AT line, is replaced as in the guide; one with AT lines is edited."""
    document = draft.nut(paths.UPSSCHED_CONF)
    if not document.entries("AT"):
        if answers.events or answers.timers:
            draft.replace(paths.UPSSCHED_CONF, _fresh(view.site, answers))
            draft.own(paths.UPSSCHED_CONF, NUT_OWNER, "user nut has to read it")
        return
    _edit_heads(document)
    rename_stale(document, watched)
    kept = put_events(document, watched, answers.events)
    kept += put_timers(document, watched, answers.timers, events_of(view.facts.nut.version))
    for at in kept:
        own = "it has a command of its own" if at.commanded else "it is for your other UPSes too"
        draft.note(f"{paths.UPSSCHED_CONF}: the line {at} stays: {own}")
    draft.readable_by_nut(paths.UPSSCHED_CONF)


def _edit_heads(document: NutFile) -> None:
    """CMDSCRIPT where there is none; PIPEFN and LOCKFN in /run/nut. Below an AT none works (measured)."""
    first = document.entries("AT")[0]
    for name, path in (("CMDSCRIPT", paths.UPSSCHED_CMD), ("PIPEFN", PIPEFN), ("LOCKFN", LOCKFN)):
        lines = [entry for entry in document.entries(name) if entry.args]
        early = [entry for entry in lines if entry.line < first.line]
        value = lines[-1].args[0] if lines else ""
        wanted = value if value and (name == "CMDSCRIPT" or _in_run_nut(value)) else path
        for entry in lines:
            if entry not in early:
                document.comment_out(entry)
        if early:
            document.replace(early[-1], name, wanted, *early[-1].args[1:])
        else:
            document.insert_before(first, name, wanted)


def _in_run_nut(path: str) -> bool:
    """Directly in it: a folder below is not there on every version."""
    return path.rpartition("/")[0] == paths.RUN_NUT


def _fresh(site: Site, answers: Answers) -> bytes:
    lines = [
        "# upssched.conf",
        f"CMDSCRIPT {paths.UPSSCHED_CMD}",
        f"PIPEFN {PIPEFN}",
        f"LOCKFN {LOCKFN}",
        "",
        *(f"AT {event} {site.system} EXECUTE {event.lower()}" for event in answers.events),
        *timer_lines(site.system, answers.timers),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


STEP = Actions()
