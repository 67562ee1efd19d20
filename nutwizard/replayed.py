"""The answers file of a replay: read, completed by a password from stdin, and of the machine's own role."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from nutwizard import opening
from nutwizard.core.answers import AnswersSet, Given, Origin
from nutwizard.core.errors import UsageError
from nutwizard.core.facts import Door, Role
from nutwizard.engine import registry

if TYPE_CHECKING:
    from nutwizard.engine.detect import Sources
    from nutwizard.engine.host import Host

#: The password that --password-stdin gives: of the user that the VMs log in with.
_FIELD = {Role.HOST: ("client_user", "password"), Role.CLIENT: ("monitor", "password")}
_OPTION = "--password-stdin"
#: Characters of the line that is read; a password has at most 64.
_LONGEST = 1024


def open_replay(args: argparse.Namespace) -> tuple[AnswersSet, Role, Host, Sources]:
    """The answers, their role, and the machine. Raises AnswersError; UsageError for those of another role."""
    insisted = Role(args.role) if args.role else None
    named = _read(args.answers, insisted, args.password_stdin)
    assert named.role is not None
    args.role = named.role.value
    host, sources = opening.open_host(args)
    if insisted is None and host.door is not Door.PRACTICE:
        _refuse_other_role(args, named.role, host, sources)
    return named, named.role, host, sources


def typed_password(role: Role) -> AnswersSet:
    """One line of stdin (unseen at a terminal) as the answer that it is. Raises UsageError."""
    step, name = _FIELD[role]
    fields = {found.name: found for found in registry.fields_of(step, role)}
    try:
        value = fields[name].read(_line())
    except ValueError as error:
        raise UsageError(f"{_OPTION}: {error}", "Nothing was changed.") from None
    return AnswersSet(role, "", {step: {name: Given(value, Origin.NAMED, _OPTION)}})


def _read(path: str, wanted: Role | None, from_stdin: bool) -> AnswersSet:
    """The answers file; with `from_stdin` a password file named there may be missing. Raises AnswersError."""
    from nutwizard.engine.answers_file import read_answers

    supplied = frozenset(_FIELD.values()) if from_stdin else frozenset()
    found = read_answers(path, {role: registry.steps_of(role) for role in Role}, supplied=supplied)
    if wanted is not None and found.role is not wanted:
        raise UsageError(f"{path} is for the role {found.role}, and --role says {wanted}")
    if not from_stdin:
        return found
    assert found.role is not None
    (step, given), *_ = typed_password(found.role).sections.items()
    return AnswersSet(
        found.role, found.path, {**found.sections, step: {**found.sections.get(step, {}), **given}}
    )


def _line() -> str:
    """Raises UsageError when there is no text."""
    if sys.stdin.isatty():
        import getpass

        try:
            return getpass.getpass("password: ")
        except EOFError:
            return ""
    try:
        line = sys.stdin.readline(_LONGEST)
    except UnicodeDecodeError:
        raise UsageError(f"{_OPTION}: that is not UTF-8 text", "Nothing was changed.") from None
    return line.removesuffix("\n").removesuffix("\r")


def _refuse_other_role(args: argparse.Namespace, role: Role, host: Host, sources: Sources) -> None:
    from nutwizard.engine.roles import role_of

    kind, evidence = sources.kind()
    here = role_of(host, kind)
    if here is None or here is role:
        return
    raise UsageError(
        f"{args.answers} is for the role {role}, and {host.label} is a {here}"
        f" ({evidence or kind.words}; nut.conf and ups.conf).",
        f"Nothing was changed. If it is to become a {role}: --role {role}",
    )
