"""upssched.conf and upssched-cmd: what is done when something happens to the UPS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nutwizard.core import paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.draft import NUT_OWNER, Draft
from nutwizard.core.errors import Problem
from nutwizard.core.events import DEFAULT_FLAGS, GUIDE_EVENTS, events_of
from nutwizard.core.facts import Owner, Role
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.site import Site, split_system
from nutwizard.core.step import Step, View
from nutwizard.core.upsmon import monitors
from nutwizard.formats.nutfile import NutFile

SCRIPT_OWNER = Owner("root", "root", 0o755)
PIPEFN = f"{paths.RUN_NUT}/upssched.pipe"
LOCKFN = f"{paths.RUN_NUT}/upssched.lock"
#: The second line of the script as we write it begins so.
OURS = b"# upssched-cmd - written by nutwizard"


@dataclass(frozen=True, slots=True)
class Answers:
    """`events` run the script; `wall`: logged-in users are told; `script`: ours, or keep what is there."""

    events: tuple[str, ...] = setting(FieldKind.CHOICES, "events")
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
        return (paths.UPSMON_CONF, paths.UPSSCHED_CONF, paths.UPSSCHED_CMD)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        document = view.nut(paths.UPSSCHED_CONF)
        found = {entry.args[0] for entry in document.entries("AT") if entry.args}
        events = tuple(event for event in events_of(view.facts.nut.version) if event in found)
        script = view.facts.file(paths.UPSSCHED_CMD)
        foreign = script.exists and not _is_ours(script.data)
        wall = b"\nwall=yes\n" in script.data
        note = "from upssched-cmd"
        return {
            "events": Proposed(events, Origin.CURRENT, "from upssched.conf")
            if events
            else Proposed(GUIDE_EVENTS, Origin.GUIDE),
            "wall": Proposed(wall, Origin.CURRENT, note)
            if script.exists and not foreign
            else Proposed(False, Origin.GUIDE),
            "script": Proposed("keep", Origin.CURRENT, "there is a script that nutwizard did not write")
            if foreign
            else Proposed("ours", Origin.GUIDE),
        }

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        return {"events": tuple(Choice(event) for event in events_of(view.facts.nut.version))}

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        known = events_of(view.facts.nut.version)
        for event in answers.events:
            if event not in known:
                yield Problem(f"NUT {view.facts.nut.text} has no event {event}", "actions.events")
        if answers.script == "keep" and not view.facts.file(paths.UPSSCHED_CMD).exists:
            yield Problem(f"there is no {paths.UPSSCHED_CMD} to keep", "actions.script")

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        _edit_flags(draft.nut(paths.UPSMON_CONF), answers.events)
        systems = {monitor.system for monitor in monitors(draft.nut(paths.UPSMON_CONF))}
        _edit_upssched(draft, view.site, answers.events, systems)
        script = view.facts.file(paths.UPSSCHED_CMD)
        if answers.script == "ours":
            draft.replace(paths.UPSSCHED_CMD, _script(view, answers))
            draft.own(paths.UPSSCHED_CMD, SCRIPT_OWNER, "user nut has to run it")
        elif script.owner is not None and script.owner.mode & 0o005 != 0o005:
            mode = script.owner.mode | 0o555
            draft.own(
                paths.UPSSCHED_CMD,
                Owner(script.owner.user, script.owner.group, mode),
                "user nut has to run it",
            )


def _is_ours(script: bytes) -> bool:
    return OURS in b"\n".join(script.split(b"\n")[:3])


def _script(view: View, answers: Answers) -> bytes:
    """The script from its template; the only values that go in are whitelisted words."""
    text = view.asset("upssched-cmd.sh")
    filled = text.replace("@UPS@", view.site.system).replace("@WALL@", "yes" if answers.wall else "no")
    return filled.encode()


def _edit_flags(document: NutFile, events: tuple[str, ...]) -> None:
    """Add EXEC to the flags in force; the flags that are there stay."""
    for event in events:
        entry = document.get("NOTIFYFLAG", event)
        flags = entry.args[1] if entry is not None and len(entry.args) > 1 else DEFAULT_FLAGS
        words = [word for word in flags.split("+") if word and word.upper() != "IGNORE"]
        if "EXEC" not in [word.upper() for word in words]:
            document.set("NOTIFYFLAG", event, "+".join([*words, "EXEC"]), key=1)


def _edit_upssched(draft: Draft, site: Site, events: tuple[str, ...], systems: set[str]) -> None:
    """A stock file, which has no AT line, is replaced as in the guide; one with AT lines is edited."""
    document = draft.nut(paths.UPSSCHED_CONF)
    if not document.entries("AT"):
        if events:
            draft.replace(paths.UPSSCHED_CONF, _fresh(site, events))
            draft.own(paths.UPSSCHED_CONF, NUT_OWNER, "user nut has to read it")
        return
    _edit_heads(document)
    for entry in document.entries("AT"):
        if len(entry.args) < 3 or entry.args[1] in ("*", *systems):
            continue
        if _ups_of(entry.args[1]) in (site.ups, site.renamed):
            document.replace(entry, "AT", entry.args[0], site.system, *entry.args[2:])
    for entry in document.entries("AT"):
        event = entry.args[0] if entry.args else ""
        if entry.args == (event, site.system, "EXECUTE", event.lower()) and event not in events:
            document.remove(entry)
    for event in events:
        if not any(entry.args[1:2] in ((site.system,), ("*",)) for entry in document.entries("AT", event)):
            document.set("AT", event, site.system, "EXECUTE", event.lower(), key=2)
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


def _ups_of(system: str) -> str:
    try:
        return split_system(system)[0]
    except ValueError:
        return ""


def _fresh(site: Site, events: tuple[str, ...]) -> bytes:
    lines = [
        "# upssched.conf",
        f"CMDSCRIPT {paths.UPSSCHED_CMD}",
        f"PIPEFN {PIPEFN}",
        f"LOCKFN {LOCKFN}",
        "",
        *(f"AT {event} {site.system} EXECUTE {event.lower()}" for event in events),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


STEP = Actions()
