"""The answers file, version 1: YAML whose scalars are read as text and typed by the steps' own fields.

PyYAML's typing turns `no` into False and `0123456` into 42798, and lets the last of two equal keys win; so
the node tree is walked here, and every error is reported at once with file, line and column.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from nutwizard.core.answers import AnswersSet, Given, Origin
from nutwizard.core.errors import AnswersError, NeedsRoot, Problem
from nutwizard.core.facts import Role
from nutwizard.core.fields import Field, FieldKind, fields_of
from nutwizard.core.secret import Secret
from nutwizard.core.step import Step
from nutwizard.engine.answers_rows import RowError, read_rows

VERSION = "1"
LARGEST = 64 << 10
LARGEST_PASSWORD_FILE = 4096
#: Of brackets and indented blocks; the steps' own answers need three.
DEEPEST = 10
_REFUSED = (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken, yaml.DirectiveToken)
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


def read_answers(
    path: str,
    steps: Mapping[Role, Sequence[Step[Any]]],
    origin: Origin = Origin.NAMED,
    supplied: frozenset[tuple[str, str]] = frozenset(),
) -> AnswersSet:
    """The typed values of an answers file. Raises AnswersError with every problem, NeedsRoot.

    `supplied`: (step, field) of secrets that come from elsewhere: a file named for one is not looked at.
    """
    text, private = _read(path, LARGEST)
    return _Reader(path, private, origin, supplied).read(text, steps)


def _read(path: str, limit: int) -> tuple[bytes, bool]:
    """The bytes, and whether no other user can read them. One open: what is checked is what is read."""
    try:
        _safe_place(path)
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except PermissionError:
        raise NeedsRoot(f"{path} may not be read by this user") from None
    except OSError as error:
        raise AnswersError([Problem(error.strerror or "cannot be opened", place=path)]) from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise AnswersError([Problem("is no regular file", place=path)])
    with os.fdopen(fd, "rb") as file:
        if found.st_uid not in (0, os.geteuid(), _sudo_user()) or found.st_mode & 0o022:
            raise AnswersError(
                [Problem("can be written by another user: it would decide what root writes", place=path)],
                f"chown root {shlex.quote(path)}; chmod go-w {shlex.quote(path)}",
            )
        data = file.read(limit + 1)
    if len(data) > limit:
        raise AnswersError([Problem(f"is larger than {limit >> 10} KiB", place=path)])
    return data, not found.st_mode & 0o077


def _safe_place(path: str) -> None:
    """Raises AnswersError for a symlink and for a folder where anyone could exchange the file, OSError."""
    if os.path.islink(path):
        raise AnswersError([Problem("is a symlink: name the file that it leads to", place=path)])
    mode = os.stat(os.path.dirname(os.path.abspath(path))).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise AnswersError(
            [Problem("lies in a folder that every user can write: it could be exchanged", place=path)]
        )


def _sudo_user() -> int:
    number = os.environ.get("SUDO_UID", "")
    return int(number) if number.isdigit() and os.geteuid() == 0 else 0


class _Reader:
    """Walks one node tree and gathers problems."""

    def __init__(
        self, path: str, private: bool, origin: Origin, supplied: frozenset[tuple[str, str]]
    ) -> None:
        self.path, self.private, self.origin, self.supplied = path, private, origin, supplied
        self.problems: list[Problem] = []

    def read(self, data: bytes, steps: Mapping[Role, Sequence[Step[Any]]]) -> AnswersSet:
        root = self._compose(data)
        top = self._mapping(root, "the file", 0) if root is not None else {}
        if root is None:
            self.problems.append(Problem("is empty", place=self.path))
        if "nutwizard" not in top and root is not None:
            self.problems.append(Problem(f"has no line `nutwizard: {VERSION}`", place=self.path))
        role = self._head(top)
        sections: dict[str, dict[str, Given]] = {}
        known = {step.name: step for step in steps[role]} if role else {}
        for name, (key, node) in top.items():
            if name in ("nutwizard", "role"):
                continue
            if role is None:
                continue
            if name not in known:
                self._wrong(
                    key, f"{_shown(name)}: a {role.value} has no such step; it has {', '.join(known)}"
                )
                continue
            sections[name] = self._section(known[name], role, self._mapping(node, name, 1))
        if self.problems:
            raise AnswersError(sorted(self.problems, key=self._position))
        return AnswersSet(role, self.path, sections)

    def _compose(self, data: bytes) -> yaml.Node | None:
        try:
            text = data.decode("utf-8")
            self._scan(text)
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except UnicodeDecodeError as error:
            before = data[: error.start].decode("utf-8")
            raise AnswersError([Problem("is not UTF-8", place=self._behind(before))]) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = ", ".join(filter(None, (error.context, error.problem)))
            raise AnswersError([Problem(said or "is not YAML", place=self._place(mark))]) from None
        except yaml.reader.ReaderError as error:
            place = self._behind(data.decode("utf-8")[: error.position])
            raise AnswersError([Problem("YAML forbids this character", place=place)]) from None

    def _scan(self, text: str) -> None:
        """Refuse what no answers file needs, before a tree is made: nesting costs PyYAML quadratic time."""
        depth = 0
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            refused = "anchors, aliases, tags and directives are not read" * isinstance(token, _REFUSED)
            if refused or depth > DEEPEST:
                place = self._place(token.start_mark)
                raise AnswersError([Problem(refused or "nests too deeply", place=place)])

    def _head(self, top: Mapping[str, tuple[yaml.Node, yaml.Node]]) -> Role | None:
        if "nutwizard" in top:
            node = top["nutwizard"][1]
            if not isinstance(node, yaml.ScalarNode) or node.value != VERSION:
                self._wrong(node, f"nutwizard: this program reads version {VERSION} of the answers file")
        if "role" not in top:
            self.problems.append(Problem("has no line `role: host` or `role: client`", place=self.path))
            return None
        node = top["role"][1]
        if isinstance(node, yaml.ScalarNode) and node.value in [role.value for role in Role]:
            return Role(node.value)
        self._wrong(node, "role: expected host or client")
        return None

    def _mapping(self, node: yaml.Node, name: str, depth: int) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key -> (key node, value node); duplicate and odd keys are problems."""
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        if isinstance(node, yaml.ScalarNode) and node.value == "" and depth:
            return found
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, f"{name}: expected `key: value` lines")
            return found
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(key, f"{name}: a key is one word")
            elif key.value in found:
                first = found[key.value][0].start_mark.line + 1
                self._wrong(key, f"{_shown(key.value)}: stands here a second time, first in line {first}")
            else:
                found[key.value] = (key, value)
        return found

    def _section(
        self, step: Step[Any], role: Role, nodes: Mapping[str, tuple[yaml.Node, yaml.Node]]
    ) -> dict[str, Given]:
        fields = {found.name: found for found in fields_of(step.answers_type(role))}
        files = {
            f"{name}_file": field for name, field in fields.items() if field.spec.kind is FieldKind.SECRET
        }
        given: dict[str, Given] = {}
        for name, (key, node) in nodes.items():
            if name in fields:
                self._field(step, fields[name], node, given)
            elif name in files and files[name].name in nodes:
                self._wrong(key, f"{step.name}.{name}: stands beside {files[name].name}; give one of them")
            elif name in files and (step.name, files[name].name) in self.supplied:
                continue
            elif name in files:
                self._password_file(step, files[name], role, node, given)
            else:
                known = ", ".join([*fields, *files]) or "none"
                self._wrong(key, f"{step.name}.{_shown(name)}: no such key; there are {known}")
        return given

    def _field(self, step: Step[Any], field: Field, node: yaml.Node, given: dict[str, Given]) -> None:
        if field.spec.kind is FieldKind.ROWS:
            try:
                rows = read_rows(node, field)
            except RowError as error:
                self._wrong(error.node, f"{step.name}.{field.name}: {error.text}")
                return
            given[field.name] = Given(rows, self.origin, self._place(node.start_mark))
            return
        raw = self._raw(node, f"{step.name}.{field.name}")
        if raw is None:
            return
        if field.spec.kind is FieldKind.SECRET and not self.private:
            self._wrong(
                node,
                f"{step.name}.{field.name}: other users can read this file: chmod 600, or {field.name}_file",
            )
            return
        try:
            value = field.read(raw)
        except ValueError as error:
            self._wrong(node, f"{step.name}.{field.name}: {error}")
            return
        given[field.name] = Given(value, self.origin, self._place(node.start_mark))

    def _password_file(
        self, step: Step[Any], field: Field, role: Role, node: yaml.Node, given: dict[str, Given]
    ) -> None:
        """A password in a file of its own, beside the answers. Absent: a host generates it, no client can."""
        raw = self._raw(node, f"{step.name}.{field.name}_file")
        if not isinstance(raw, str) or not raw:
            self._wrong(node, f"{step.name}.{field.name}_file: expected the name of a file")
            return
        path = os.path.join(os.path.dirname(os.path.abspath(self.path)), raw)
        place = self._place(node.start_mark)
        if not os.path.lexists(path):
            if role is Role.HOST:
                given[field.name] = Given(Secret(None, path), self.origin, place)
            else:
                self._wrong(
                    node, f"{step.name}.{field.name}_file: {path} is not there; copy it from the host"
                )
            return
        try:
            data, private = _read(path, LARGEST_PASSWORD_FILE)
        except AnswersError as error:
            why = error.problems[0].text
            self._wrong(node, f"{step.name}.{field.name}_file: {path}: {why}")
            return
        if not private:
            mend = f"chmod 600 {shlex.quote(path)}"
            self._wrong(node, f"{step.name}.{field.name}_file: other users can read {path}; {mend}")
            return
        try:
            value = field.read(data.decode("ascii", "replace").removesuffix("\n").removesuffix("\r"))
        except ValueError as error:
            self._wrong(node, f"{step.name}.{field.name}_file: {path}: {error}")
            return
        given[field.name] = Given(value.kept_in(path), self.origin, place)

    def _raw(self, node: yaml.Node, name: str) -> str | list[str] | None:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        if isinstance(node, yaml.SequenceNode) and all(
            isinstance(item, yaml.ScalarNode) for item in node.value
        ):
            return [str(item.value) for item in node.value]
        self._wrong(node, f"{name}: expected a value or a list of values")
        return None

    def _wrong(self, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(text, place=self._place(node.start_mark)))

    def _place(self, mark: Any) -> str:
        return self.path if mark is None else f"{self.path}:{mark.line + 1}:{mark.column + 1}"

    def _position(self, problem: Problem) -> tuple[int, ...]:
        """Line and column, for the order of telling; what is about the whole file comes first."""
        return tuple(int(part) for part in problem.place[len(self.path) :].split(":") if part)

    def _behind(self, text: str) -> str:
        """The place behind this much of the file."""
        return f"{self.path}:{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}"


def _shown(key: str) -> str:
    """An unknown key for a message, if it looks like one: what is misspelt may hold a password."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", key) else "(a key)"
