"""Writing answers: the file that a later replay reads. Small enough to need no YAML library."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from nutwizard.core import paths
from nutwizard.core.answers import AnswersSet, Origin
from nutwizard.core.errors import Failed, NeedsRoot, NotWhole, Unfinished
from nutwizard.core.facts import Owner, Role
from nutwizard.core.fields import Field, FieldKind, fields_of
from nutwizard.core.secret import Secret
from nutwizard.core.step import Step
from nutwizard.core.text import yaml_word
from nutwizard.engine.host import Host
from nutwizard.engine.tree import NumberedOwners, Tree


def answers_text(role: Role, steps: Sequence[Step[Any]], answers: Mapping[str, Any], folder: str) -> str:
    """The answers as an answers file in `folder`; of a secret the file that its field keeps it in."""
    lines = [
        "# Answers of nutwizard. Replay: nutwizard apply THIS_FILE",
        "nutwizard: 1",
        f"role: {role.value}",
    ]
    for step in steps:
        fields = fields_of(step.answers_type(role))
        if fields:
            lines.append(f"{step.name}:")
            values = {found.name: getattr(answers[step.name], found.name) for found in fields}
            lines += [_line(found, values[found.name], folder) for found in fields if found.applies(values)]
    return "".join(f"{line}\n" for line in lines)


def _line(found: Field, value: Any, folder: str) -> str:
    if isinstance(value, Secret):
        return f"  {found.name}_file: {yaml_word(os.path.relpath(found.spec.kept_in, folder))}"
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
