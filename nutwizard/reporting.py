"""`nutwizard report`: what another person needs to help, in one file, without passwords. Nothing is sent."""

from __future__ import annotations

import argparse
import platform
import re
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from nutwizard import __version__, checking, commands, opening
from nutwizard.core import paths
from nutwizard.core.errors import AnswersError, Exit, NeedsRoot, UsageError
from nutwizard.core.facts import Door, Facts, Role, UnitFact
from nutwizard.core.text import Unseen
from nutwizard.core.upsschedcmd import is_unmodified
from nutwizard.formats.redact import masked_lines, secrets_of
from nutwizard.formats.safe import safe_text

if TYPE_CHECKING:
    from nutwizard.engine.detect import Sources
    from nutwizard.engine.doctor import Examination
    from nutwizard.engine.host import Host

#: What stands for a password that turned up anywhere, and for a serial number.
HIDDEN, SERIAL = "(hidden)", "(serial number)"
_SERIAL = re.compile(r"(?im)^(\s*(?:\w+\.)*serial\s*[:=]\s*)\S.*$")
#: Passwords in commands of the user's own: curl's -u, in an address, a bot's token, and by their names.
_IN_COMMANDS = (
    re.compile(r"((?:^|\s)(?:-u|--user)[ =]?)[^\s:]+:\S+"),
    re.compile(r"(://[^\s/:@]+:)[^\s@]+(?=@)"),
    re.compile(r"(\bbot)\d{6,}:[\w-]{20,}"),
    re.compile(r"(?i)(\b\w*(?:token|passw\w*|secret|api_?key)\w*\s*[=:]\s*)(?!\*)[^\s\"'&]+"),
)
#: Shorter secrets would make holes in ordinary words; they stand in the managed files alone: masked.
_LEAST = 4


def report(args: argparse.Namespace) -> Exit:
    """Write the file and say where it is."""
    host, sources = opening.open_host(args)
    role, found = checking.look(args, host, sources)
    text = scrubbed("\n\n".join(_parts(args, host, sources, role, found)), found.facts)
    if args.output == "-":
        commands.show_text(text)
        return Exit.DONE
    from nutwizard.engine.keeping import keep

    path = keep(args.output or _name(host, found.facts), f"{text}\n")
    commands.show_text(f"Written: {path}")
    opening.say(
        "Read it before you give it away: passwords and serial numbers are hidden, addresses are not."
    )
    return Exit.DONE


def scrubbed(text: str, facts: Facts) -> str:
    """The text without any secret of the machine's files and without serial numbers."""
    secrets = {secret for known in facts.texts for secret in secrets_of(known.path, known.data)}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _LEAST:
            text = text.replace(secret, HIDDEN)
    for pattern in _IN_COMMANDS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return _SERIAL.sub(rf"\1{SERIAL}", text)


def _name(host: Host, facts: Facts) -> str:
    name = re.sub(r"[^A-Za-z0-9-]", "", facts.hostname)[:40] or "machine"
    return f"nutwizard-report-{name}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(host.now()))}.txt"


def _parts(
    args: argparse.Namespace, host: Host, sources: Sources, role: Role, found: Examination
) -> Iterator[str]:
    from nutwizard.wording.checked import examination_text

    facts = found.facts
    practice = ["PRACTICE: this is no real machine"] if host.door is Door.PRACTICE else []
    yield _part("nutwizard report", [*practice, *_versions(host, facts, role)])
    yield _part("Check", examination_text(found).splitlines())
    yield _part("Found on this machine", _found(facts, role))
    yield _part("Units", [_unit(unit) for unit in facts.units.values()])
    yield _part("What the server tells", _values(found))
    yield _part("Plan", _plan(args, host, sources, role))
    yield _part("History", _history(host))
    yield _part("Files", list(_files(facts)))


def _part(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(safe_text(line) for line in lines)
    return f"== {title}\n{body or 'nothing'}"


def _versions(host: Host, facts: Facts, role: Role) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in facts.nut.packages.items())
    return [
        f"written: {time.strftime('%Y-%m-%d %H:%M:%S %z', time.localtime(host.now()))}",
        f"role: {role.value}",
        f"nutwizard: {__version__}",
        f"Python: {platform.python_version()}",
        f"NUT: {facts.nut.text} ({packages})",
    ]


def _found(facts: Facts, role: Role) -> list[str]:
    from nutwizard.engine.found import found_here

    try:
        return [f"{what}: {value} ({known})" for what, value, known in found_here(facts, role)]
    except Unseen as unseen:
        return [f"not seen: only root may read {unseen.path}"]


def _unit(unit: UnitFact) -> str:
    return f"{unit.name}: {unit.load}, {unit.active}, {unit.enabled or 'no install state'}"


def _values(found: Examination) -> list[str]:
    return [
        f"{ups}: {name}: {value}"
        for ups, values in found.values.items()
        for name, value in values.items()
        if "serial" not in name
    ]


def _plan(args: argparse.Namespace, host: Host, sources: Sources, role: Role) -> list[str]:
    try:
        plan = opening.open_session(host, sources, role).plan()
        from nutwizard.wording.show import plan_text

        return plan_text(plan, color=False).splitlines()
    except AnswersError as error:
        return ["what the saved answers and the files come to is not whole:", *error.text.splitlines()]
    except (NeedsRoot, UsageError) as error:
        return [error.text]


def _history(host: Host) -> list[str]:
    from nutwizard.engine.store import Store
    from nutwizard.wording.show import history_text

    if not host.may_write():
        return ["not seen: only root may read it"]
    return history_text(Store(host).records(), host.now()).splitlines()


def _files(facts: Facts) -> Iterator[str]:
    """Every managed file without its comments, which are Debian's; copies of earlier states are left out."""
    for path, file in sorted(facts.files.items()):
        if path.endswith(paths.COPIES) or not file.exists:
            continue
        if file.content is None:
            yield f"-- {path}: {file.kind}"
            continue
        yield f"-- {path}: {file.owner}, {len(file.data)} bytes"
        if not path.startswith("/etc/"):
            ours = is_unmodified(file.data)
            yield f"      {'as nutwizard wrote it' if ours else 'your own: what is in it is not shown'}"
            continue
        for number, line in enumerate(masked_lines(path, file.data), 1):
            if line.strip() and not (line.lstrip().startswith("#") and number > 1):
                yield f"{number:>5} {line}"
