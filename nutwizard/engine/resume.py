"""What was typed and is not written yet, kept below /var/lib/nutwizard/resume for a run that comes after.

An answers file of the typed values alone, each secret in a file of its own beside it, and the place where the
person was. That something cannot be kept, or be read again, ends no run: `trouble` says it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nutwizard.core.answers import Given, Origin
from nutwizard.core.errors import AnswersError, Problem, WizardError
from nutwizard.core.facts import Owner, Role
from nutwizard.core.paths import RESUME, RESUMED_ANSWERS, RESUMED_PLACE, STATE
from nutwizard.core.secret import Secret
from nutwizard.core.step import Step
from nutwizard.engine import registry
from nutwizard.engine.files import PRIVATE, put
from nutwizard.engine.host import Host
from nutwizard.engine.saved import sections_text

#: What was typed, by step and field.
Sections = Mapping[str, Mapping[str, Given]]

_FOLDER = Owner("root", "root", 0o700)
_HEAD = "What was typed in nutwizard and is not written yet. It goes when it is written."
_PLACE = re.compile(r"[\w.:/-]{1,60}")
#: `put` names its temporary after a transaction; these writings belong to none.
_NO_TRANSACTION = 0


class Resume:
    """The kept answers of one machine. Nothing here raises.

    `trouble`: what could not be read or kept, for a person; it changes only when something else goes wrong.
    `at`: when the answers that were found were kept (seconds since the epoch), 0.0 without any.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._kept: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self.trouble = ""
        self.place = ""
        self.at = 0.0

    def load(self, role: Role) -> dict[str, dict[str, Given]]:
        """What an earlier run of this role has left. What cannot be read counts as not there."""
        try:
            if self._refuse_foreign(RESUME, "directory", _FOLDER) is None:
                return {}
            found = self._answers(role)
            if found is not None:
                self.place = self._read_place()
            return found or {}
        except (WizardError, OSError) as error:
            self._say("What was typed before cannot be used again", RESUMED_ANSWERS, error)
            return {}

    def keep(self, role: Role, steps: Sequence[Step[Any]], sections: Sections) -> None:
        """Make these the answers that are kept; without any, none are."""
        with self._going_on("What you type is not kept"):
            secrets = dict(_secrets(sections))
            for name, secret in secrets.items():
                self._write(f"{RESUME}/{name}", f"{secret.reveal()}\n")
            if sections:
                values = {step: _writable(given) for step, given in sections.items()}
                text = sections_text(_HEAD, role, steps, values, lambda step, each: _file_of(step, each.name))
                self._write(RESUMED_ANSWERS, text)
            self._tidy({*secrets, *(["answers.yaml"] if sections else []), "place"})

    def stay(self, place: str) -> None:
        """Keep where the person is, one short word."""
        self.place = place
        with self._going_on("What you type is not kept"):
            self._write(RESUMED_PLACE, f"{place}\n")

    def clear(self) -> None:
        """Remove everything that is kept."""
        self.place, self.at = "", 0.0
        with self._going_on("What was typed is still there"):
            self._tidy(())

    @contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        """One writing at a time, whatever threads a front end has; an error is said and ends nothing."""
        with self._lock:
            try:
                yield
            except (OSError, ValueError) as error:
                self._say(what, RESUME, error)

    def _answers(self, role: Role) -> dict[str, dict[str, Given]] | None:
        """The kept answers; None when they are those of the other role."""
        changed = self._refuse_foreign(RESUMED_ANSWERS, "file", PRIVATE)
        if changed is None:
            return {}
        from nutwizard.engine.answers_file import read_answers  # YAML: only where there is something to read

        where, guide = self._host.on_disk(RESUMED_ANSWERS), {each: registry.steps_of(each) for each in Role}
        try:
            found = read_answers(where, guide, Origin.RESUMED)
        except AnswersError as error:
            text = self._host.read(RESUMED_ANSWERS).decode("utf-8", "replace")
            self._write(RESUMED_ANSWERS, _without(text, error.problems))
            found = read_answers(where, guide, Origin.RESUMED)
        if found.role is not role:
            return None
        self.at = changed
        sections = {step: _usable(step, role, given) for step, given in found.sections.items()}
        return {step: given for step, given in sections.items() if given}

    def _read_place(self) -> str:
        if self._refuse_foreign(RESUMED_PLACE, "file", PRIVATE) is None:
            return ""
        text = self._host.read(RESUMED_PLACE, 100).decode("ascii", "replace").strip()
        return text if _PLACE.fullmatch(text) else ""

    def _refuse_foreign(self, path: str, kind: str, owner: Owner) -> float | None:
        """When the path was changed last, None when it is not there. Raises OSError for what is not ours."""
        stat = self._host.stat(path, follow=False)
        if stat is None:
            return None
        if stat.kind != kind:
            raise OSError(0, f"is a {stat.kind}", path)
        if stat.owner != owner:
            raise OSError(0, f"is {stat.owner}, not root's alone", path)
        return stat.changed

    def _write(self, path: str, text: str) -> None:
        """In one step, unless that is what stands there."""
        data = text.encode()
        if self._kept.get(path) == data and self._host.stat(path, follow=False) is not None:
            return
        self._prepare()
        put(self._host, path, (data, PRIVATE), _NO_TRANSACTION)
        self._kept[path] = data

    def _prepare(self) -> None:
        """The folder, closed to others; what stands in its place goes. Raises OSError."""
        self._host.make_folder(STATE, _FOLDER)
        stat = self._host.stat(RESUME, follow=False)
        if stat is not None and stat.kind != "directory":
            self._host.remove(RESUME)
        self._host.make_folder(RESUME, _FOLDER)
        if stat is not None and stat.kind == "directory" and stat.owner != _FOLDER:
            self._host.own(RESUME, _FOLDER)

    def _tidy(self, wanted: Iterable[str]) -> None:
        """Remove all other files; with the last one the folder goes. Raises OSError.

        The answers go last: a password whose removal was cut off is still known by them at the next start.
        """
        if self._host.stat(RESUME, follow=False) is None:
            return
        wanted = set(wanted)
        for name in sorted(self._host.names(RESUME), key="answers.yaml".__eq__):
            if name not in wanted:
                self._host.remove(f"{RESUME}/{name}")
                self._kept.pop(f"{RESUME}/{name}", None)
        if not wanted:
            self._host.remove(RESUME)

    def _say(self, what: str, path: str, error: Exception) -> None:
        if isinstance(error, AnswersError):
            why = str(error.problems[0])
        elif isinstance(error, WizardError):
            why = error.text
        else:
            found = error.filename if isinstance(error, OSError) else None
            reason = error.strerror if isinstance(error, OSError) else str(error)
            why = f"{found or path}: {reason}"
        self.trouble = f"{what}: {why}"


def _file_of(step: str, field: str) -> str:
    return f"{step}.{field}"


def _secrets(sections: Sections) -> Iterable[tuple[str, Secret]]:
    """Every typed secret with the name of its file."""
    for step, section in sections.items():
        for name, given in section.items():
            if isinstance(given.value, Secret):
                yield _file_of(step, name), given.value


def _writable(section: Mapping[str, Given]) -> dict[str, Any]:
    """The values that an answers file can hold: one that was refused may be any text."""
    values = {name: given.value for name, given in section.items()}
    return {name: v for name, v in values.items() if not isinstance(v, str) or v.isprintable()}


def _usable(step: str, role: Role, section: Mapping[str, Given]) -> dict[str, Given]:
    """The values as the step's own: a secret belongs in its field's file. One without its file is gone."""
    homes = {each.name: each.spec.kept_in for each in registry.fields_of(step, role)}
    found = {}
    for name, given in section.items():
        value = given.value
        if isinstance(value, Secret):
            if value.pending:
                continue
            value = value.kept_in(homes[name])
        found[name] = Given(value, Origin.RESUMED, Origin.RESUMED.value)
    return found


def _without(text: str, problems: Iterable[Problem]) -> str:
    """The file without the lines that are at fault, whole sections where their first line is.

    Raises AnswersError when the file as a whole is at fault.
    """
    lines = text.splitlines(keepends=True)
    wrong = set()
    for problem in problems:
        at = re.search(r":(\d+):\d+$", problem.place)
        line = int(at[1]) - 1 if at is not None else len(lines)
        if line >= len(lines) or lines[line].startswith(("nutwizard", "role")):
            raise AnswersError([problem])
        wrong.add(line)
    kept, dropping = [], False
    for number, each in enumerate(lines):
        dropping = number in wrong if not each.startswith(" ") else dropping
        if not dropping and number not in wrong:
            kept.append(each)
    return "".join(kept)
