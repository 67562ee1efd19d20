"""Writing answers: the file that a later replay reads. Small enough to need no YAML library."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nutwizard.core import paths
from nutwizard.core.answers import AnswersSet, Origin
from nutwizard.core.errors import Failed, NeedsRoot, NotWhole, Unfinished
from nutwizard.core.facts import Owner, Role
from nutwizard.core.fields import Field, FieldKind, fields_of
from nutwizard.core.secret import Secret
from nutwizard.core.step import Step
from nutwizard.core.text import yaml_word
from nutwizard.engine.files import PRIVATE
from nutwizard.engine.host import Host
from nutwizard.engine.tree import NumberedOwners, Tree

if TYPE_CHECKING:
    from nutwizard.engine.planner import Walk


#: Characters that survive NUT's files and its protocol unquoted; 24 of them are 143 bits.
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PASSWORD_LENGTH = 24


def draw(file: str) -> Secret:
    """A fresh password that is kept in `file`."""
    from secrets import choice

    return Secret("".join(choice(ALPHABET) for _ in range(PASSWORD_LENGTH)), file)


def answers_text(role: Role, steps: Sequence[Step[Any]], answers: Mapping[str, Any], folder: str) -> str:
    """The answers as an answers file in `folder`; of a secret the file that its field keeps it in."""
    sections = {}
    for step in steps:
        fields = fields_of(step.answers_type(role))
        values = {found.name: getattr(answers[step.name], found.name) for found in fields}
        sections[step.name] = {found.name: values[found.name] for found in fields if found.applies(values)}
    head = "Answers of nutwizard. Replay: nutwizard apply THIS_FILE"
    return sections_text(
        head, role, steps, sections, lambda _, found: os.path.relpath(found.spec.kept_in, folder)
    )


def sections_text(
    head: str,
    role: Role,
    steps: Sequence[Step[Any]],
    sections: Mapping[str, Mapping[str, Any]],
    file_of: Callable[[str, Field], str],
) -> str:
    """An answers file of these values alone, by step and field, with a comment as its first line.

    `file_of`: by step and field the file that holds a secret.
    """
    lines = [f"# {head}", "nutwizard: 1", f"role: {role.value}"]
    for step in steps:
        fields = fields_of(step.answers_type(role))
        values = sections.get(step.name)
        if fields and values is not None:
            lines.append(f"{step.name}:")
            kept = [found for found in fields if found.name in values]
            lines += [_line(step.name, found, values[found.name], file_of) for found in kept]
    return "".join(f"{line}\n" for line in lines)


def _line(step: str, found: Field, value: Any, file_of: Callable[[str, Field], str]) -> str:
    if isinstance(value, Secret):
        return f"  {found.name}_file: {yaml_word(file_of(step, found))}"
    if found.spec.kind is FieldKind.ROWS:
        return f"  {found.name}: {_rows(found, value)}"
    if isinstance(value, tuple):
        return f"  {found.name}: [{', '.join(map(yaml_word, value))}]"
    if found.spec.kind in (FieldKind.TEXT, FieldKind.CHOICE) and isinstance(value, str):
        return f"  {found.name}: {yaml_word(value)}"
    return f"  {found.name}: {found.show(value)}"


def _rows(found: Field, rows: Sequence[Any]) -> str:
    """The rows on one line: a mapping where the first field names the row, else a list of mappings."""
    opening, closing = "{}" if found.spec.keyed else "[]"
    return f"{opening}{', '.join(_row(found, row) for row in rows)}{closing}"


def _row(found: Field, row: Any) -> str:
    cells = [(column, getattr(row, column.name)) for column in found.columns]
    words = {column.name: _cell(column, value) for column, value in cells if value is not None}
    key = words.pop(found.columns[0].name) if found.spec.keyed else ""
    if found.spec.keyed and len(words) == 1:
        return f"{key}: {next(iter(words.values()))}"
    inner = f"{{{', '.join(f'{name}: {word}' for name, word in words.items())}}}"
    return f"{key}: {inner}" if key else inner


def _cell(column: Field, value: Any) -> str:
    if isinstance(value, tuple):
        return yaml_word(value[0]) if len(value) == 1 else f"[{', '.join(map(yaml_word, value))}]"
    return yaml_word(column.show(value))


def read_saved(host: Host, steps: Mapping[Role, Sequence[Step[Any]]], role: Role) -> AnswersSet | None:
    """The answers of an earlier run on this machine; None without any, or when they are of the other role.

    Raises AnswersError when the file cannot be used, NeedsRoot when it may not be read.
    """
    try:
        if host.stat(paths.SAVED_ANSWERS) is None:
            return None
    except PermissionError:
        raise NeedsRoot(f"{paths.SAVED_ANSWERS} may not be read by this user") from None
    from nutwizard.engine.answers_file import read_answers

    found = read_answers(host.on_disk(paths.SAVED_ANSWERS), steps, Origin.SAVED)
    return found if found.role is role else None


#: (step, field, the file that it belongs in, value) of a secret.
SecretOf = tuple[str, str, str, Secret]


def secrets_of(walk: Walk, steps: Mapping[str, Step[Any]]) -> list[SecretOf]:
    """Every secret that the plan needs; one still to be drawn is not needed where its step writes nothing."""
    return [
        (step, found.name, found.spec.kept_in, secret)
        for step, decided in walk.decided.items()
        for found in fields_of(steps[step].answers_type(walk.role))
        if isinstance(secret := decided[found.name].value, Secret)
        and (step in walk.edited or not secret.pending)
    ]


def put_answers(
    walk: Walk, steps: Mapping[str, Step[Any]], drawn: Mapping[str, Collection[str]], *, save: bool
) -> None:
    """With `save` the answers, and the secrets in files of their own, as part of the same plan.

    Without it only secrets that are new: those that are to be drawn, and `drawn` by step and field.
    """
    walk.draft.step = "answers"
    for step, name, home, secret in secrets_of(walk, steps):
        new = secret.pending or name in drawn.get(step, ())
        if save or (new and secret.file == home):
            walk.draft.replace(home, f"{secret.reveal()}\n".encode())
            walk.draft.own(home, PRIVATE)
    if save:
        text = answers_text(walk.role, tuple(steps.values()), walk.answers, paths.OWN)
        walk.draft.replace(paths.SAVED_ANSWERS, text.encode())
        walk.draft.own(paths.SAVED_ANSWERS, PRIVATE)


class PasswordFiles:
    """Generated passwords in files beside a named answers file: written first, removed unless `keep` is set.

    Raises Failed naming the file that cannot be written.
    """

    def __init__(self, drawn: Sequence[Secret]) -> None:
        self._drawn = drawn
        self._files = Tree("/", NumberedOwners({}, {}))
        self.keep = False

    def __enter__(self) -> PasswordFiles:
        for secret in self._drawn:
            owner = Owner(str(os.geteuid()), str(os.getegid()), 0o600)
            try:
                self._files.create(secret.file, f"{secret.reveal()}\n".encode(), owner)
                self._files.sync_folder(os.path.dirname(secret.file))
            except OSError as error:
                raise Failed(f"{secret.file}: {error.strerror}", "Nothing was changed.") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (NotWhole, Unfinished)):
            return  # what was written may hold the password: it must not be lost
        for secret in self._drawn:
            if not self.keep and os.path.lexists(secret.file):
                self._files.remove(secret.file)
