"""upsmon.conf: how long everybody waits at the end of a power cut, and the command that ends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nutwizard.core import checks, paths, timing
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.draft import Draft
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Door, Role
from nutwizard.core.fields import Field, FieldKind, fields_of, setting
from nutwizard.core.shutdown import Judged, Verdict, judge
from nutwizard.core.step import Step, View
from nutwizard.core.upsmon import SHUTDOWNCMD, monitors, own_line
from nutwizard.formats.nutfile import NutFile

#: Seconds: far beyond what is sensible, but what somebody wrote can be kept.
_DAY = 86400
_COMMAND, _EXIT = "SHUTDOWNCMD", "SHUTDOWNEXIT"


@dataclass(frozen=True, slots=True)
class Answers:
    """Seconds, the command of SHUTDOWNCMD, and when upsmon ends after it (None: as NUT does)."""

    hostsync: int = setting(FieldKind.INTEGER, "HOSTSYNC", unit="s", low=0, high=_DAY)
    finaldelay: int = setting(FieldKind.INTEGER, "FINALDELAY", unit="s", low=0, high=_DAY)
    pollfreq: int = setting(FieldKind.INTEGER, "POLLFREQ", unit="s", low=1, high=300)
    pollfreqalert: int = setting(FieldKind.INTEGER, "POLLFREQALERT", unit="s", low=1, high=300)
    deadtime: int = setting(FieldKind.INTEGER, "DEADTIME", unit="s", low=1, high=_DAY)
    shutdown_command: str = setting(FieldKind.TEXT, "shutdown command", check=checks.nut_text)
    shutdown_exit: str | None = setting(
        FieldKind.TEXT,
        "end after the shutdown command",
        optional=True,
        check=timing.exit_problem,
        since=timing.EXIT_SINCE,
    )


class Timing(Step[Answers]):
    """Times and the shutdown command. A value that is NUT's own and has no line gets none."""

    name = "timing"
    title = "Timing"
    after = ("actions",)

    def paths(self, role: Role) -> tuple[str, ...]:
        return (paths.UPSMON_CONF, paths.UPSD_CONF) if role is Role.HOST else (paths.UPSMON_CONF,)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        document = view.nut(paths.UPSMON_CONF)
        found = {name: _present(document, field) for name, field in _SECONDS.items()}
        return {
            **{_SECONDS[name].name: proposed for name, proposed in found.items()},
            "shutdown_command": _command(view),
            "shutdown_exit": _exit(view),
        }

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        yield from _exit_given(view, answers)
        if _asks_times(view, answers) and (wrong := timing.deadtime_problem(_values(answers))):
            yield Problem(wrong, "timing.deadtime")
        if answers.shutdown_command != _in_force(view.nut(paths.UPSMON_CONF)):
            judged = _judged(view, answers.shutdown_command)
            wrongs = [*judged.wrong, *([_NEVER] if judged.verdict is Verdict.NEVER else [])]
            yield from (Problem(wrong, "timing.shutdown_command") for wrong in wrongs)

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        document = draft.nut(paths.UPSMON_CONF)
        for name, value in _values(answers).items():
            found = timing.seconds(document, name)
            if value != (timing.DEFAULTS[name] if found is None else found):
                if found is not None and not _in_range(_SECONDS[name], found):
                    draft.explain(paths.UPSMON_CONF, f"{name} {found} is out of range")
                _put(document, name, str(value))
        if answers.shutdown_command != _in_force(document):
            _put(document, _COMMAND, answers.shutdown_command)
        if view.facts.nut.version >= timing.EXIT_SINCE:
            _edit_exit(document, answers.shutdown_exit)
        if draft.changed(paths.UPSMON_CONF):
            draft.readable_by_nut(paths.UPSMON_CONF)
        for note in _notes(document, view, answers):
            draft.note(note)


_SECONDS: Mapping[str, Field] = {
    found.name.upper(): found for found in fields_of(Answers) if found.name.upper() in timing.DEFAULTS
}
_NEVER = (
    "nothing in it shuts this machine down (shutdown, poweroff, halt, systemctl poweroff, init 0): it would"
    " run until the power is cut"
)


def _values(answers: Answers) -> dict[str, int]:
    return {name: getattr(answers, field.name) for name, field in _SECONDS.items()}


def _in_range(field: Field, value: int) -> bool:
    low, high = field.spec.low, field.spec.high
    return (low is None or value >= low) and (high is None or value <= high)


def _present(document: NutFile, field: Field) -> Proposed:
    """What NUT has now. Debian's stock lines of a file without MONITOR are nobody's decision."""
    name = field.name.upper()
    found, default = timing.seconds(document, name), timing.DEFAULTS[name]
    if found is not None and not _in_range(field, found):
        return Proposed(default, Origin.GUIDE, f"upsmon.conf has {found}, which is out of range")
    if found is not None and (found != default or monitors(document)):
        return Proposed(found, Origin.CURRENT, "from upsmon.conf")
    if monitors(document):
        return Proposed(default, Origin.CURRENT, "NUT's own, since upsmon.conf has none")
    return Proposed(default, Origin.GUIDE)


def _in_force(document: NutFile) -> str | None:
    entry = document.get(_COMMAND)
    return entry.args[0] if entry is not None else None


def _command(view: View) -> Proposed:
    """The command in force once the step before has edited: it puts the guide's in place of Debian's."""
    document = view.nut(paths.UPSMON_CONF)
    found = _in_force(document)
    if found is None or (not monitors(document) and own_line(document, _COMMAND) is None):
        return Proposed(SHUTDOWNCMD, Origin.GUIDE)
    if checks.nut_text(found) is not None:
        return Proposed(SHUTDOWNCMD, Origin.GUIDE, "upsmon.conf has an empty one")
    if found == SHUTDOWNCMD or own_line(document, _COMMAND) is None:
        return Proposed(found, Origin.CURRENT, "from upsmon.conf")
    ends = not (judged := _judged(view, found)).wrong and judged.verdict is Verdict.OFF
    return Proposed(
        found, Origin.CURRENT, f"from upsmon.conf{', your own; it ends in a shutdown' if ends else ''}"
    )


def _exit(view: View) -> Proposed:
    document = view.nut(paths.UPSMON_CONF)
    entry = document.get(_EXIT)
    if view.facts.nut.version < timing.EXIT_SINCE:
        return Proposed(None, Origin.CURRENT, f"NUT {view.facts.nut.text} has no SHUTDOWNEXIT")
    if entry is None:
        return Proposed(None, Origin.CURRENT if monitors(document) else Origin.GUIDE, "NUT's own: yes")
    return Proposed(timing.exit_word(entry.args[0]), Origin.CURRENT, "from upsmon.conf")


def _exit_given(view: View, answers: Answers) -> Iterable[Problem]:
    if answers.shutdown_exit is not None and view.facts.nut.version < timing.EXIT_SINCE:
        has = f"this machine has {view.facts.nut.text}" if view.facts.nut.version else "there is no NUT here"
        yield Problem(f"SHUTDOWNEXIT came with NUT 2.8.1; {has}. Leave it out", "timing.shutdown_exit")


def _asks_times(view: View, answers: Answers) -> bool:
    """Whether one of the times that DEADTIME depends on is to change: what is there already may stay."""
    document = view.nut(paths.UPSMON_CONF)
    now = {name: timing.seconds(document, name) for name in timing.DEFAULTS}
    return any(
        value != (timing.DEFAULTS[name] if now[name] is None else now[name])
        for name, value in _values(answers).items()
        if name in ("POLLFREQ", "POLLFREQALERT", "DEADTIME")
    )


def _judged(view: View, command: str) -> Judged:
    return judge(command, view.facts.program, system=view.facts.door is Door.LIVE)


def _put(document: NutFile, name: str, value: str) -> None:
    """In the line that counts, else near the comment that shows one. NUT reads one word."""
    entry = document.get(name) or next(iter(document.entries(name)), None)
    if entry is None:
        document.insert_near(name, value)
    else:
        document.replace(entry, name, value)


def _edit_exit(document: NutFile, wanted: str | None) -> None:
    entry = document.get(_EXIT)
    if wanted is None:
        for other in document.entries(_EXIT):
            document.remove(other)
    elif wanted != (timing.exit_word(entry.args[0]) if entry is not None else "yes"):
        _put(document, _EXIT, wanted)


def _notes(document: NutFile, view: View, answers: Answers) -> Iterable[str]:
    """What is unwise, or was there already and is wrong: said, and no reason to stop."""
    values = _values(answers)
    if wrong := timing.deadtime_problem(values):
        yield wrong
    host = view.site.role is Role.HOST
    yield from timing.advice(values, timing.maxage(view.nut(paths.UPSD_CONF)) if host else timing.MAXAGE)
    entry = document.get(_COMMAND)
    if entry is not None and len(entry.args) > 1:
        yield "SHUTDOWNCMD has several words: NUT takes the first alone. Put the whole command in quotes"
    judged = _judged(view, answers.shutdown_command)
    yield from (f"SHUTDOWNCMD: {wrong}" for wrong in judged.wrong)
    if judged.verdict is Verdict.NEVER:
        yield f"SHUTDOWNCMD: {_NEVER}"
    elif judged.verdict is Verdict.AGAIN:
        yield "SHUTDOWNCMD restarts this machine instead of shutting it down: it comes up again on battery"
    elif judged.verdict is Verdict.UNSURE and judged.unsure:
        yield f"SHUTDOWNCMD: whether it shuts this machine down cannot be told: {'; '.join(judged.unsure)}"


STEP = Timing()
