"""Rules about the form of NUT's files: who may read them, and what NUT does not read as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nutwizard.core import checks, paths
from nutwizard.core.facts import Role
from nutwizard.core.links import LinkId
from nutwizard.core.rules.access import powerless, uncapitalized_monitors
from nutwizard.core.rules.directives import FOLDED, NEWEST, OPENSSL, REMOVED, files_of, known_since, meant
from nutwizard.core.rules.events import nut_may
from nutwizard.core.rules.listening import glued_port, text_of, wrong_port
from nutwizard.core.rules.passwords import lost_passwords
from nutwizard.core.rules.rule import Look, Rule, Severity, Spot
from nutwizard.core.server import LOOPBACK, WILDCARDS
from nutwizard.core.site import split_system
from nutwizard.core.text import UNSEEN
from nutwizard.formats.lines import Problem
from nutwizard.formats.nutfile import Entry, NutFile
from nutwizard.formats.sections import SectionFile
from nutwizard.formats.words import UNBALANCED, Line

_BOM = b"\xef\xbb\xbf"
#: Another spelling of 0.0.0.0, which the C library takes.
_ANY = "0"
_EDIT = "Edit the line; then restart what reads the file: nutwizard step services"
_SECTIONED = (paths.UPS_CONF, paths.UPSD_USERS)
#: Lines whose words are shown or compared: a letter that NUT drops does no harm there.
_LABELS = ("DESC", "NOTIFYMSG", "PASSWORD", "MONITOR")
_HARMLESS = ("NUT drops the characters", "NUT ignores the words")


@dataclass(frozen=True)
class _Reading:
    """What happens when user nut cannot read a file; measured with 2.7.4, 2.8.0 and 2.8.1."""

    then: str
    severity: Severity


_NEEDED = {
    paths.UPS_CONF: _Reading("upsd ends", Severity.BROKEN),
    paths.UPSD_USERS: _Reading("upsd denies every login", Severity.BROKEN),
    paths.UPSD_CONF: _Reading("upsd keeps its old settings when it is reloaded", Severity.WARNING),
    paths.UPSMON_CONF: _Reading("upsmon keeps its old settings when it is reloaded", Severity.WARNING),
}


def _files(look: Look) -> list[str]:
    """NUT's own files of this role that are there and that this user may read."""
    ours = (paths.UPSMON_CONF, paths.UPSSCHED_CONF)
    wanted = (*_SECTIONED, paths.UPSD_CONF, *ours) if look.role is Role.HOST else ours
    return [path for path in wanted if (found := look.facts.file(path)).exists and found.kind != UNSEEN]


def _document(look: Look, path: str) -> NutFile | SectionFile:
    if path in _SECTIONED:
        return look.view.sections(path, users=path == paths.UPSD_USERS)
    return look.view.nut(path)


def _owners(look: Look) -> Iterator[Spot]:
    folder = look.facts.program(paths.NUT)
    if folder.kind == "directory" and not nut_may(folder.owner, 1):
        message = f"it belongs to {folder.owner}: user nut cannot enter it, and reads none of the files"
        fix = f"chown root:nut {paths.NUT}; chmod 755 {paths.NUT}"
        yield Spot(message, paths.NUT, fix=fix, severity=Severity.BROKEN)
    for path in (paths.NUT_CONF, *_NEEDED):
        if path not in look.facts.files or (owner := look.facts.file(path).owner) is None:
            continue
        fix = f"chown root:nut {path}; chmod 640 {path}"
        needed = _NEEDED.get(path)
        if needed is not None and not nut_may(owner, 4) and _read_as_nut(look, path):
            message = f"it belongs to {owner}: user nut cannot read it, and {needed.then}"
            yield Spot(message, path, fix=fix, severity=needed.severity)
        elif owner.mode & 0o002:
            yield Spot(f"every user of this machine may change it ({owner.mode:04o})", path, fix=fix)
        elif owner.mode & 0o004 and _has_passwords(look, path):
            yield Spot(f"every user of this machine may read its passwords ({owner.mode:04o})", path, fix=fix)


def _read_as_nut(look: Look, path: str) -> bool:
    """Whether user nut is who reads it: upsmon may be told to run as another one."""
    user = look.upsmon.get("RUN_AS_USER") if path == paths.UPSMON_CONF else None
    return user is None or user.args[0] == "nut"


def _has_passwords(look: Look, path: str) -> bool:
    if path == paths.UPSD_USERS:
        return bool(look.users.names())
    return path == paths.UPSMON_CONF and bool(look.upsmon.entries("MONITOR"))


def _openssl(look: Look) -> Iterator[Spot]:
    """Debian's packages are built with NSS."""
    for path in _files(look) if look.facts.nut.packages else ():
        document = _document(look, path)
        for entry in document.entries(OPENSSL) if isinstance(document, NutFile) else ():
            message = f"{OPENSSL} is for builds with OpenSSL: Debian's has NSS and ignores it"
            yield Spot(message, path, entry.line)


def _misread(look: Look) -> Iterator[Spot]:
    told = {(spot.file, spot.line) for spot in lost_passwords(look)}
    for path in _files(look):
        document = _document(look, path)
        lines = {line.number: line for line in reversed(document.lines)}
        twice = {n for numbers in _twice(document).values() for n in numbers}
        if document.to_bytes().startswith(_BOM):
            yield Spot("it begins with a byte order mark, on which NUT starts a word", path, 1)
        problems = {
            problem.line: problem for problem in document.problems()
        }  # of one line the last says most
        for problem in problems.values():
            headers = problem.line in twice and problem.text.startswith("[")
            if (path, problem.line) not in told and not headers and not _is_mark(document, problem):
                yield _problem(path, problem, lines[problem.line])


def _twice(document: NutFile | SectionFile) -> dict[str, tuple[int, ...]]:
    return document.duplicates() if isinstance(document, SectionFile) else {}


def _is_mark(document: NutFile | SectionFile, problem: Problem) -> bool:
    """Whether a problem of the first line is its byte order mark."""
    return problem.line == 1 and document.to_bytes().startswith(_BOM)


def _problem(path: str, problem: Problem, line: Line) -> Spot:
    text = problem.text
    if line.raw[: line.end].endswith(b"\\\r"):
        text = "a backslash before CR LF joins no lines: NUT reads the next one by itself"
    label = bool(line.words) and line.words[0].upper() in _LABELS and text.startswith(_HARMLESS)
    return Spot(text, path, problem.line, severity=Severity.NOTE if label else None)


def _values(look: Look) -> Iterator[Spot]:
    """Values with which upsd ends, or upsmon never reaches a server."""
    for entry in look.upsd.entries("LISTEN") if look.role is Role.HOST else ():
        if entry.args and not glued_port(entry.args[0]):
            yield from _listen_value(look, entry)
    for entry in look.upsmon.monitors():
        try:
            split_system(entry.args[0])
        except ValueError:
            where = entry.args[0].partition("@")[2]
            bare = where.count(":") > 1 and not where.startswith("[")
            what = "an IPv6 address stands in brackets" if bare else "its port is no number from 1 to 65535"
            message = f"upsmon never connects to {entry.args[0][:60]}: {what}"
            yield Spot(message, paths.UPSMON_CONF, entry.line, "nutwizard step monitor")


def _listen_value(look: Look, entry: Entry) -> Iterator[Spot]:
    word = entry.args[0]
    if word == "=":
        yield Spot("LISTEN takes no =: upsd ends at start", paths.UPSD_CONF, entry.line)
    elif then := wrong_port(entry.args):
        message = f"the port of {word[:60]} is no number from 1 to 65535: {then}"
        yield Spot(message, paths.UPSD_CONF, entry.line)
    elif not (checks.is_ip(word.partition("%")[0]) or word in (*WILDCARDS, *LOOPBACK, _ANY)):
        if checks.server_address(word) is not None:
            message = f"{word[:60]} is neither an address nor a name: upsd ends at start"
            yield Spot(message, paths.UPSD_CONF, entry.line)
        elif word not in text_of(look.facts, "/etc/hosts").split():
            message = f"upsd ends at start when {word} does not resolve then: it is not in /etc/hosts"
            yield Spot(message, paths.UPSD_CONF, entry.line, severity=Severity.WARNING)


def _unknown(look: Look) -> Iterator[Spot]:
    """Lines with a name that this NUT does not know. Such a word may be a password: none is shown."""
    told = {(spot.file, spot.line) for spot in lost_passwords(look)}
    if powerless(look):
        told |= {(paths.UPSMON_CONF, entry.line) for entry in uncapitalized_monitors(look)}
    for path in _files(look):
        document = _document(look, path)
        if isinstance(document, NutFile):
            torn = {line.number for line in document.lines if line.error == UNBALANCED}
            for entry in document.entries():
                if (
                    entry.name not in ("", OPENSSL)
                    and entry.line not in torn
                    and (path, entry.line) not in told
                ):
                    yield from _unknown_name(look, path, entry)


def _unknown_name(look: Look, path: str, entry: Entry) -> Iterator[Spot]:
    nut, since = f"NUT {look.facts.nut.text}", known_since(path)
    name = entry.name.upper() if entry.name.upper() == FOLDED else entry.name
    if name in since:
        first = since[name]
        if look.version and look.version < first:
            message = f"{nut} ignores {name}, which came with {'.'.join(map(str, first))}"
            yield Spot(message, path, entry.line, severity=Severity.NOTE)
        elif not entry.args:
            yield Spot(f"{name} has no value: {nut} ignores the line", path, entry.line)
        return
    if path == paths.UPSD_CONF and name in REMOVED:
        message = f"{name} does nothing any more: LISTEN and a firewall took its place"
        yield Spot(message, path, entry.line, severity=Severity.NOTE)
        return
    right = meant(path, name)
    if name.upper() in since:
        yield Spot(f"{name.upper()} is written in capitals: {nut} ignores the line", path, entry.line)
    elif others := files_of(name):
        yield Spot(f"{name} belongs in {others[0]}: {nut} ignores it here", path, entry.line)
    elif look.version <= NEWEST:
        hint = f": {right} may be meant" if right else ""
        yield Spot(f"{nut} knows no directive of this name, and ignores the line{hint}", path, entry.line)


RULES = (
    Rule(
        "NW30",
        "files with the wrong readers",
        LinkId.UPSD,
        Severity.WARNING,
        "the daemons read them as user nut, and whoever reads a password can use it",
        _owners,
    ),
    Rule(
        "NW34",
        "a directive for another build of NUT",
        LinkId.UPSD,
        Severity.NOTE,
        "NUT logs an invalid directive and goes on, without encryption",
        _openssl,
        fix="Take CERTPATH in its place, or leave the line out",
    ),
    Rule(
        "NW38",
        "lines that NUT does not read as they look",
        LinkId.UPSD,
        Severity.WARNING,
        "NUT has its own rules for quotes, backslashes, line ends and characters",
        _misread,
        fix=_EDIT,
    ),
    Rule(
        "NW44",
        "a value that ends a daemon",
        LinkId.UPSD,
        Severity.BROKEN,
        "an address or a port that cannot be used is found only when the daemon starts",
        _values,
        step="listen",
    ),
    Rule(
        "NW45",
        "a directive that this NUT does not know",
        LinkId.UPSD,
        Severity.WARNING,
        "names are compared letter by letter; a line with another one is ignored, with a warning in the log",
        _unknown,
        fix=_EDIT,
    ),
)
