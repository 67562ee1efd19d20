"""Passwords and user names that are lost on their way: cut in a file, or read otherwise on the wire.

The two parsers of this way, the files' and the network's, are NUT's own, as measured with 2.7.4 to 2.8.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from nutwizard.core import paths
from nutwizard.core.clients import same_address
from nutwizard.core.facts import Role
from nutwizard.core.links import Login, State
from nutwizard.core.monitorlinks import arrives, denied
from nutwizard.core.rules.rule import Look, Severity, Spot
from nutwizard.core.server import listen_lines
from nutwizard.core.upsmon import Monitor
from nutwizard.formats.nutfile import Entry
from nutwizard.formats.words import UNBALANCED

#: Words of a complete MONITOR line behind its name; with one less upsmon ends, fewer make no MONITOR at all.
WHOLE = 5
_NAMES = {" ": "a space", "#": "a #", "=": "a =", "\\": "a backslash"}
_STEP_USERS = "nutwizard step client_user"
#: Directives of upsmon.conf whose loss is more than a lost text.
_KEPT = ("MONITOR", "SHUTDOWNCMD", "NOTIFYCMD")


def lost_passwords(look: Look) -> Iterator[Spot]:
    """What NW10 finds."""
    if look.role is Role.HOST:
        yield from _in_users(look)
    yield from incomplete(look)
    for monitor in look.monitors:
        for what, value in (("user name", monitor.user), ("password", monitor.password)):
            if arrives(value) != value and not _works(look, monitor):
                message = f"the {what} of {_shown(monitor.user)} for {monitor.system} {_why(value)}"
                yield Spot(message, paths.UPSMON_CONF, monitor.entry.line)


def incomplete(look: Look) -> Iterator[Spot]:
    """Lines of upsmon.conf that are not read as they stand: MONITOR with words missing, a # inside quotes."""
    for entry in look.upsmon.entries("MONITOR"):
        if 0 < len(entry.args) < WHOLE:
            cut = "an unescaped # cuts it" if _cut(entry) else "a word is missing"
            fatal = len(entry.args) == WHOLE - 1
            then = "upsmon ends at start" if fatal else "NUT passes over the line, and does not watch the UPS"
            message = f"MONITOR has {len(entry.args)} of {WHOLE} words ({cut}): {then}"
            yield Spot(message, paths.UPSMON_CONF, entry.line)
    for line in look.upsmon.lines:
        name = line.raw.split(maxsplit=1)[0].decode("ascii", "replace") if line.raw.strip() else ""
        if line.error == UNBALANCED and name in _KEPT:
            message = f"{name} is lost: a # inside quotes ends the line, it has to be written \\#"
            yield Spot(message, paths.UPSMON_CONF, line.number)


def here(look: Look, monitor: Monitor) -> bool:
    """Whether a MONITOR line is for this machine's own upsd, which may have another port than a tunnel."""
    if look.role is not Role.HOST or monitor.port not in {port for _, port in listen_lines(look.upsd)}:
        return False
    own = look.facts.addresses() if look.facts.runs else ()
    return monitor.local or any(same_address(address.address, monitor.server) for address in own)


def _works(look: Look, monitor: Monitor) -> bool:
    """Whether a login with these words is known to work all the same, escaped for the wire by hand."""
    if here(look, monitor):
        return arrives(monitor.user) == monitor.user and not denied(monitor, look.view)
    logins = [found for found in look.findings if isinstance(found.link.target, Login)]
    return any(
        found.state is State.PROVEN and (target.ups, target.user) == (monitor.ups, monitor.user)
        for found in logins
        if isinstance(target := found.link.target, Login)
    )


def _in_users(look: Look) -> Iterator[Spot]:
    users = look.users
    for user in users.names():
        password = users.get(user, "password")
        lines = users.entries(user, "password")
        right = bool(users.values(user).get("upsmon"))
        severity = Severity.BROKEN if right else Severity.NOTE
        fix = _mended_by(look, user)
        if arrives(user) != user:
            message = f"the user name {_shown(user)} {_why(user)}"
            yield Spot(message, paths.UPSD_USERS, users.headers(user)[0], fix, severity)
        if password is None or not lines:
            continue
        if arrives(password) != password and not _known_to_work(look, user):
            message = f"the password of {_shown(user)} {_why(password)}"
            yield Spot(message, paths.UPSD_USERS, lines[0].line, fix, severity)
        elif _cut(lines[0]) or _split(lines[0]):
            end = "ends before the # in it" if _cut(lines[0]) else "is the first word alone"
            message = f"the password of {_shown(user)} {end}: NUT does not read the rest"
            yield Spot(message, paths.UPSD_USERS, lines[0].line, fix, Severity.WARNING)
    yield from _unbalanced(look)


def _unbalanced(look: Look) -> Iterator[Spot]:
    """Password lines that a # inside quotes takes away."""
    users = look.users
    heads = sorted((line, user) for user in users.names() for line in users.headers(user))
    for line in users.lines:
        if line.error != UNBALANCED or not line.raw.lower().lstrip().startswith(b"password"):
            continue
        user = next((user for head, user in reversed(heads) if head < line.number), "")
        known = users.get(user, "password") if user else None
        message = f"the password of {_shown(user)} is lost: a # inside quotes ends the line"
        severity = Severity.BROKEN if known is None else Severity.WARNING
        yield Spot(message, paths.UPSD_USERS, line.number, _mended_by(look, user), severity)


def _mended_by(look: Look, user: str) -> str:
    """What mends a user: the rule's own step for that of this machine's upsmon, else the one for the VMs'."""
    own = any(monitor.user == user and here(look, monitor) for monitor in look.monitors)
    return "" if own else _STEP_USERS


def _known_to_work(look: Look, user: str) -> bool:
    own = [monitor for monitor in look.monitors if monitor.user == user and here(look, monitor)]
    return any(not denied(monitor, look.view) for monitor in own)


def _cut(entry: Entry) -> bool:
    """Whether a comment begins right behind the last word, without a blank."""
    line = entry.node.line
    return line.raw[line.end : line.end + 1] == b"#"


def _split(entry: Entry) -> bool:
    """Whether a password has more words than the one that counts."""
    return len(entry.args) > (2 if entry.args[:1] == ("=",) else 1)


def _why(value: str) -> str:
    """What is wrong with it on the wire, behind the words for what it is."""
    if not value:
        return "is empty: NUT cannot send an empty word"
    char = next((char for char in value if char in _NAMES), "")
    if char or value[0] == '"':
        found = _NAMES.get(char, 'a " at its beginning')
        return f"has {found} in it: NUT sends it unquoted, and upsd reads something else"
    return f"has {len(value)} characters: NUT does not send so many"


def _shown(user: str) -> str:
    """A user's name; one that is empty or long is only hinted at."""
    return user if 0 < len(user) <= 64 else "a user"
