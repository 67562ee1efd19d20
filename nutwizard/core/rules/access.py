"""Rules about who may log in: users and their rights, MONITOR lines, and what upsmon needs of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nutwizard.core import paths
from nutwizard.core.facts import Role
from nutwizard.core.links import Finding, LinkId, Login
from nutwizard.core.monitorlinks import denied
from nutwizard.core.rules.passwords import WHOLE, here, incomplete, lost_passwords
from nutwizard.core.rules.rule import HOST, Look, Rule, Severity, Spot
from nutwizard.core.server import is_primary, is_secondary
from nutwizard.formats.nutfile import Entry
from nutwizard.formats.sections import ROLES, SectionFile

#: NUT's own (upsmon.conf(5)).
_MINSUPPLIES = 1
_BY_HAND = f"Edit {paths.UPSD_USERS}: leave one section of each user, then: systemctl reload nut-server"
_MERGE = f"Edit {paths.UPS_CONF}: make one section of the two"


def _denied(look: Look) -> Iterator[Spot]:
    """MONITOR lines whose login is denied, and users who can never log in, unless another rule says why."""
    explained = _explained(look)
    refusals = [found for found in look.broken(LinkId.LOGIN) if _is_denial(found)]
    told = set()
    for monitor in look.monitors:
        own = [found for found in refusals if _is_of(found, monitor.ups, monitor.user)]
        refusals = [found for found in refusals if found not in own]
        why = denied(monitor, look.view) if here(look, monitor) else ""
        why = why or next((_words(found) for found in own), "")
        if why:
            told.add(monitor.user)
        if why and not explained & _places(look, monitor.user, monitor.entry):
            yield Spot(why, paths.UPSMON_CONF, monitor.entry.line)
    for found in refusals:
        yield Spot(_words(found), paths.UPSMON_CONF)
    if look.role is Role.HOST:
        for user in look.users.names():
            if user not in told and not explained & _places(look, user):
                yield from _without_password(look.users, user)


def _without_password(users: SectionFile, user: str) -> Iterator[Spot]:
    if users.get(user, "password") is None and users.values(user).get("upsmon"):
        message = f"{user} has no password: NUT lets nobody in without one"
        yield Spot(message, paths.UPSD_USERS, users.headers(user)[0], "nutwizard step client_user")


def _explained(look: Look) -> set[tuple[str, int]]:
    """Where another rule says already why a login fails."""
    rules = (lost_passwords, _role_words, *((_twice,) if look.role is Role.HOST else ()))
    spots = [spot for rule in rules for spot in rule(look) if spot.severity in (None, Severity.BROKEN)]
    return {(spot.file, spot.line) for spot in spots}


def _places(look: Look, user: str, monitor: Entry | None = None) -> set[tuple[str, int]]:
    """The lines on which a user's login rests."""
    found = {(paths.UPSMON_CONF, monitor.line)} if monitor is not None else set()
    if look.role is Role.HOST:
        own = [line for head in look.users.headers(user) for line in _section(look.users, head)]
        own += [entry.line for entry in look.users.entries(user)]
        found |= {(paths.UPSD_USERS, line) for line in own}
    return found


def _section(users: SectionFile, head: int) -> range:
    """The lines from a header to the next one."""
    later = [line for name in users.names() for line in users.headers(name) if line > head]
    return range(head, min(later, default=1 + max(line.number for line in users.lines)))


def _is_denial(found: Finding) -> bool:
    """Whether the server said no to the login; everything else that can fail has other words."""
    return isinstance(found.link.target, Login) and "denied" in f"{found.evidence} {found.cause}".lower()


def _is_of(found: Finding, ups: str, user: str) -> bool:
    target = found.link.target
    return isinstance(target, Login) and (target.ups, target.user) == (ups, user)


def _words(found: Finding) -> str:
    target = found.link.target
    assert isinstance(target, Login)
    what = "primary rights" if "primary rights" in found.evidence else "the login"
    why = found.cause.removeprefix("denied: ") or "user, password or role"
    return f"the server at {target.server.address} denies {target.user} {what}: {why}"


def _powerless(look: Look) -> Iterator[Spot]:
    """Too little to watch by the power values; a MONITOR line that is lost, NW10 names."""
    if any("MONITOR" in spot.message for spot in incomplete(look)):
        return
    counted = _power_values(look)
    minimum = look.upsmon.get("MINSUPPLIES")
    least = _atoi(minimum.args[0]) if minimum is not None else _MINSUPPLIES
    least = least if least >= 0 else _MINSUPPLIES
    total = sum(value for _, value in counted)
    if total >= least:
        return
    small = uncapitalized_monitors(look)
    for entry in small:
        message = "MONITOR is written in capitals: NUT does not read this line, and upsmon ends at start"
        yield Spot(message, paths.UPSMON_CONF, entry.line)
    if not counted and not small:
        yield Spot("there is no MONITOR line: upsmon ends at start", paths.UPSMON_CONF, echoes=True)
    elif not small:
        message = f"the power values add up to {total}, MINSUPPLIES is {least}: upsmon ends at start"
        yield Spot(message, paths.UPSMON_CONF, counted[0][0].line)


def uncapitalized_monitors(look: Look) -> list[Entry]:
    """Lines that would be MONITOR lines if NUT did not tell capitals from small letters."""
    entries = look.upsmon.entries()
    return [e for e in entries if e.name != e.name.upper() == "MONITOR" and len(e.args) >= WHOLE]


def powerless(look: Look) -> bool:
    """Whether upsmon has too little to watch, and so ends at start."""
    return any(True for _ in _powerless(look))


def _power_values(look: Look) -> list[tuple[Entry, int]]:
    """The MONITOR lines that count, with their power values; upsmon ignores a line with a negative one."""
    whole = [entry for entry in look.upsmon.entries("MONITOR") if len(entry.args) >= WHOLE]
    found: dict[str, tuple[Entry, int]] = {}
    for entry in whole:
        if (value := _atoi(entry.args[1])) >= 0:
            found.setdefault(entry.args[0], (entry, value))
    return list(found.values())


def _atoi(word: str) -> int:
    """A number as C's atoi reads it: what is no number is 0."""
    match = re.match(r"\s*[+-]?\d{1,9}", word)
    return int(match[0]) if match else 0


def _twice(look: Look) -> Iterator[Spot]:
    users, ups = look.users, look.ups_conf
    for user, (_, *again) in users.duplicates().items():
        for head in again:
            below = _section(users, head)
            heirs = [name for name in users.names() if any(e.line in below for e in users.entries(name))]
            others = [name for name in heirs if name != user]
            message = f"[{user}] stands a second time: NUT gives what is below it to {', '.join(others)}"
            if others:
                yield Spot(message, paths.UPSD_USERS, head)
            elif heirs:
                message = f"[{user}] stands a second time: its first password counts, and the rights add up"
                yield Spot(message, paths.UPSD_USERS, head, severity=Severity.WARNING)
    for name, (_, *again) in ups.duplicates().items():
        for head in again:
            message = f"[{name}] stands a second time: NUT makes one UPS of the two sections"
            yield Spot(message, paths.UPS_CONF, head, _MERGE, Severity.NOTE)


def _role_words(look: Look) -> Iterator[Spot]:
    """Words for a role that this version does not know: upsd gives no right, upsmon follows as secondary."""
    nut = f"NUT {look.facts.nut.text}"
    if look.role is Role.HOST:
        for user in look.users.names():
            words = look.users.values(user).get("upsmon", ())
            own = any(monitor.user == user and here(look, monitor) for monitor in look.monitors)
            if words and not any(_known(word, look.version) for word in words):
                message = (
                    f"{nut} does not know the right of {user}{_shown(words[0])}: it has no rights at all"
                )
                fix = "" if own else "nutwizard step client_user"
                yield Spot(message, paths.UPSD_USERS, look.users.entries(user, "upsmon")[0].line, fix)
    for monitor in look.monitors:
        word = monitor.word.lower()
        if _known(word, look.version) or word == "secondary":  # which older NUT reads as it is meant
            continue
        own = here(look, monitor)
        then = "this host does not act as primary" if own else "this machine follows as secondary"
        message = f"{nut} does not know the type of {monitor.system}{_shown(word)}: {then}"
        severity = Severity.BROKEN if own else Severity.NOTE
        yield Spot(message, paths.UPSMON_CONF, monitor.entry.line, severity=severity)


def _known(word: str, version: tuple[int, ...]) -> bool:
    if not version:
        return word.lower() in ROLES
    return is_primary(word, version) or is_secondary(word, version)


def _shown(word: str) -> str:
    """A role word in brackets; another one may be a part of a password with a blank in it."""
    return f" ({word.lower()})" if word.lower() in ROLES else ""


def _no_primary(look: Look) -> Iterator[Spot]:
    """The host's own upsmon as secondary of its own UPS; a role word that NUT does not know is NW43's."""
    names = look.ups_conf.names()
    own = [m for m in look.monitors if m.local and m.ups in names and m.entry.args[1] != "0"]
    version = look.version
    if own and all(is_secondary(monitor.word, version) for monitor in own):
        for monitor in own:
            message = f"it watches its own {monitor.ups} as {monitor.word}"
            yield Spot(message, paths.UPSMON_CONF, monitor.entry.line)


RULES = (
    Rule(
        "NW01",
        "a login is denied",
        LinkId.LOGIN,
        Severity.BROKEN,
        "who is not logged in takes no part in a shutdown, while everything that needs no login works",
        _denied,
        step="monitor",
        echoes=True,
    ),
    Rule(
        "NW10",
        "a password or a user name is lost on its way",
        LinkId.LOGIN,
        Severity.BROKEN,
        "it is read twice: in the file, and in the line that upsmon sends, which has no quotes",
        lost_passwords,
        step="monitor",
    ),
    Rule(
        "NW16",
        "upsmon has nothing to watch",
        LinkId.UPSMON,
        Severity.BROKEN,
        "upsmon ends at start when its power values add up to less than MINSUPPLIES",
        _powerless,
        step="monitor",
    ),
    Rule(
        "NW37",
        "a section stands twice",
        LinkId.LOGIN,
        Severity.BROKEN,
        "upsd ignores the second header of a user: what is below it goes to the user before it",
        _twice,
        fix=_BY_HAND,
        roles=(Role.HOST,),
    ),
    Rule(
        "NW43",
        "a word for a role that this NUT does not know",
        LinkId.LOGIN,
        Severity.BROKEN,
        "primary and secondary came with NUT 2.8.0; any unknown word gives no right, and is no primary",
        _role_words,
        step="monitor",
    ),
    Rule(
        "NW50",
        "nobody is primary for the UPS of this host",
        LinkId.UPSMON,
        Severity.BROKEN,
        "only a primary upsmon announces the shutdown to the clients and waits for them",
        _no_primary,
        step="monitor",
        roles=HOST,
    ),
)
