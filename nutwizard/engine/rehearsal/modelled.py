"""From the play of a rehearsal to what the model of NUT needs: files as NUT 2.8.0 reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from nutwizard.core import paths
from nutwizard.core.checks import is_ip
from nutwizard.core.events import DEFAULT_FLAGS, events_of
from nutwizard.core.facts import Owner
from nutwizard.core.logtexts import DEFAULT_MESSAGES, Kind
from nutwizard.core.rehearsal import rewriting
from nutwizard.core.rehearsal.model import Modelled, Told
from nutwizard.core.rehearsal.modelvalues import Called, Line, Watcher
from nutwizard.core.rules.events import nut_may
from nutwizard.core.server import is_primary
from nutwizard.core.upsmon import Monitor, monitors, notify_messages
from nutwizard.core.upssched import at_lines
from nutwizard.core.upsschedcmd import is_unmodified, timers_of
from nutwizard.engine.practice.nut import (
    Fatal,
    Listening,
    User,
    bound,
    check_mode,
    reaches,
    read_monitors,
    read_ups,
    read_users,
)
from nutwizard.engine.rehearsal.casting import Caster
from nutwizard.engine.rehearsal.conduct import MISSED
from nutwizard.engine.rehearsal.part import Part, Placed
from nutwizard.engine.rehearsal.sets import OWN_ACTIONS
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile

#: The version that the model is of.
VERSION = (2, 8, 0)
_LOOPBACK = ("127.0.0.1", "::1")
_NAMES = {"localhost": _LOOPBACK}
_SETTINGS = ("CMDSCRIPT", "PIPEFN", "LOCKFN")
_LEVELS = ("battery.charge", "battery.runtime")
_DISABLED = "Then set MODE to a suitable value in /etc/nut/nut.conf to enable it"
_NOT_FOUND, _NOT_RUN = 127, 126


@dataclass(frozen=True)
class _Server:
    """What the host's upsd knows. `own`: the host's addresses, without a prefix."""

    ups: frozenset[str]
    users: Mapping[str, User]
    listening: Listening
    own: tuple[str, ...]


def modelled(caster: Caster) -> Modelled:
    """The play as the model takes it."""
    play = caster.play
    host = play.parts[0]
    server, fault = _server(host)
    ups_conf = SectionFile.parse(_data(host, paths.UPS_CONF))
    names = sorted(server.ups)
    first = {name: _status(ups_conf, name, play.values) for name in names}
    turns = tuple(
        Told(
            turn.after,
            {name: _status(ups_conf, name, turn.values) for name in names},
            turn.values["ups.status"],
            turn.ending,
        )
        for turn in play.turns
    )
    watchers = tuple(_watcher(part, host, server) for part in play.parts if "upsmon" in part.daemons)
    unknown = host.served is None and not _may(host, paths.UPSD_USERS)
    complaint = f"{_cannot(paths.UPSD_USERS)}Permission denied" if unknown else ""
    return Modelled(
        host.name, watchers, first, turns, fault, complaint, host.served is not None, play.fsd, play.hook,
        play.flag, play.patience, play.rest, MISSED,
    )  # fmt: skip


def unread(caster: Caster) -> tuple[str, ...]:
    """The machines whose script is called and is not one that nutwizard wrote, whole: nobody knows what it
    does.
    """
    found = []
    for each in caster.sets:
        called = _called({path: file.data for path, file in each.files.items()}, each.files)
        if called is None or called.complaint or called.code or called.ats == ():
            continue
        script = each.data(called.script)
        if not is_unmodified(script) or OWN_ACTIONS in each.files:
            found.append(each.name)
    return tuple(found)


def _server(host: Part) -> tuple[_Server, str]:
    """What upsd makes of the host's files, and why it tells nothing, ""."""
    own = tuple(address.partition("/")[0] for address in host.addresses)
    if host.served is not None:
        users = {name: User(password, login=True) for name, password in host.served.users}
        listening = dict.fromkeys(host.served.listen)
        return _Server(frozenset(host.served.ups), users, listening, own), ""
    found = frozenset(each.name for each in read_ups(_data(host, paths.UPS_CONF)) if each.usable)
    known = _Server(found, {}, {}, own)
    try:
        check_mode(_data(host, paths.NUT_CONF), "upsd")
        if not _may(host, paths.UPS_CONF):
            # upsd says so twice in one line.
            return known, f"{_cannot(paths.UPS_CONF)}{_cannot(paths.UPS_CONF)}Permission denied"
        if not found:
            raise Fatal("ups.conf names no UPS")
        # A upsd.conf that it may not read is none for upsd: it listens on loopback.
        text = _data(host, paths.UPSD_CONF) if _may(host, paths.UPSD_CONF) else b""
        listening = bound(text, frozenset((*own, *_LOOPBACK)), _NAMES)
    except Fatal as fatal:
        return known, f"upsd: {fatal}"
    users = read_users(_data(host, paths.UPSD_USERS)) if _may(host, paths.UPSD_USERS) else {}
    return _Server(found, users, listening, own), ""


def _watcher(part: Part, host: Part, server: _Server) -> Watcher:
    data = _data(part, paths.UPSMON_CONF)
    document = NutFile.parse(data)
    fault, code = "", 1
    try:
        check_mode(_data(part, paths.NUT_CONF), "upsmon")
        read_monitors(data)
    except Fatal as fatal:
        fault, code = (_DISABLED, 0) if fatal.clean else (str(fatal), 1)
    needed = rewriting.word_of(data, "MINSUPPLIES")
    files = {file.path: file for file in part.files}
    return Watcher(
        part.name,
        tuple(_line(monitor, part, host, server) for monitor in monitors(document)),
        int(needed) if needed.isdigit() else 1,
        rewriting.times_of(data),
        dict(_notes(document)),
        notify_messages(document),
        _called({path: file.data for path, file in files.items()}, files),
        fault,
        code,
    )


def _line(monitor: Monitor, part: Part, host: Part, server: _Server) -> Line:
    """A MONITOR line, and what comes of its connection."""
    value = monitor.entry.args[1]
    worth = int(value) if value.isascii() and value.isdigit() else 0
    wanted = _address(monitor, part, host)
    reached = next((each for each in wanted if reaches(server.listening, each, monitor.port)), "")
    own = [address.partition("/")[0] for address in part.addresses]
    here = reached if part is host else next((a for a in own if (":" in a) == (":" in reached)), "")
    line = Line(
        monitor.system, monitor.ups, worth, f"{monitor.user}@{here}", is_primary(monitor.word, VERSION)
    )
    if not reached:
        text = f"UPS [{monitor.system}]: connect failed: Connection failure: Connection refused"
        return replace(line, inside=False, fails=(Kind.CONNECT_FAILED, text))
    if monitor.ups not in server.ups:
        text = f"[{monitor.ups}] does not exist on server {monitor.server}"
        fails = Kind.POLL_FAILED, f"Poll UPS [{monitor.system}] failed - {text}"
        return replace(line, inside=False, refused=_refusal(monitor, "UNKNOWN-UPS"), fails=fails)
    user = server.users.get(monitor.user)
    if user is None or user.password != monitor.password or not user.login:
        return replace(line, inside=False, refused=_refusal(monitor, "ACCESS-DENIED"))
    text = f"Primary managerial privileges unavailable on UPS [{monitor.system}]"
    refused = (Kind.NO_PRIMARY, text) if line.primary and not user.primary else None
    return replace(line, rights=user.primary, refused=refused)


def _refusal(monitor: Monitor, why: str) -> tuple[Kind, str]:
    return Kind.LOGIN_FAILED, f"Login on UPS [{monitor.system}] failed - got [ERR {why}]"


def _address(monitor: Monitor, part: Part, host: Part) -> Iterable[str]:
    """The addresses of the host that a MONITOR line means, as its machine sees them."""
    own = [address.partition("/")[0] for address in host.addresses]
    if monitor.local:
        local = _LOOPBACK if monitor.server.lower() == "localhost" else (monitor.server,)
        return local if part is host else ()
    if not is_ip(monitor.server):
        return own[:1]  # the stage gives every name of a server the host's first address
    return [each for each in own if each == monitor.server]


def _called(data: Mapping[str, bytes], files: Mapping[str, Placed]) -> Called | None:
    """What upsmon calls. None where NOTIFYCMD says nothing."""
    notify = rewriting.word_of(data.get(paths.UPSMON_CONF, b""), "NOTIFYCMD")
    if not notify:
        return None
    if not notify.endswith("/upssched"):
        return Called(notify, None, code=_code(files.get(notify)))
    text = data.get(paths.UPSSCHED_CONF, b"")
    document = NutFile.parse(text)
    script = rewriting.word_of(text, "CMDSCRIPT")
    ats = tuple((at.event, at.system, at.command, at.rest) for at in at_lines(document))
    forcing = {word for word, then in timers_of(data.get(script, b"")).items() if then == "fsd"}
    code = _code(files.get(script))
    return Called(script, ats, _complaint(document, files.get(paths.UPSSCHED_CONF)), code, frozenset(forcing))


def _complaint(document: NutFile, file: Placed | None) -> str:
    """Why upssched does nothing at all."""
    if file is None or not _open_to_nut(file, 4):
        why = "No such file or directory" if file is None else "Permission denied"
        return f"Can't open {paths.UPSSCHED_CONF}: {why}"
    missing = list(_SETTINGS)
    for entry in document.entries():
        if entry.name in missing:
            missing.remove(entry.name)
        if entry.name == "AT" and missing:
            return f"{missing[0]} must be set before any ATs in the config file!"
    return ""


def _code(script: Placed | None) -> int:
    """What a shell says of a call of it, 0 for nothing."""
    if script is None:
        return _NOT_FOUND
    return 0 if _open_to_nut(script, 1) else _NOT_RUN


def _notes(document: NutFile) -> Iterator[tuple[str, tuple[str, frozenset[str]]]]:
    """By event what upsmon says of it, and its flags."""
    own = notify_messages(document)
    for event in events_of(VERSION):
        entry = document.get("NOTIFYFLAG", event)
        flags = entry.args[1] if entry is not None and len(entry.args) > 1 else DEFAULT_FLAGS
        text = own.get(event) or DEFAULT_MESSAGES.get(event, event)
        yield event, (text, frozenset(flags.upper().split("+")))


def _status(ups_conf: SectionFile, name: str, values: Mapping[str, str]) -> str:
    """What the driver makes of what the UPS measures: with ignorelb it compares, and says LB itself."""
    words = values["ups.status"].split()
    if not ups_conf.flag(name, "ignorelb"):
        return " ".join(words)
    words = [word for word in words if word != "LB"]
    for level in _LEVELS:
        low = ups_conf.get(name, f"override.{level}.low") or values.get(f"{level}.low")
        low = low or ups_conf.get(name, f"default.{level}.low") or ""
        now = values.get(level, "")
        if low.isdigit() and now.isdigit() and int(now) < int(low):
            return " ".join([*words, "LB"])
    return " ".join(words)


def _data(part: Part, path: str) -> bytes:
    return next((file.data for file in part.files if file.path == path), b"")


def _may(part: Part, path: str) -> bool:
    file = next((file for file in part.files if file.path == path), None)
    return file is not None and _open_to_nut(file, 4)


def _cannot(path: str) -> str:
    return f"Can't open {path}: "


def _open_to_nut(file: Placed, bit: int) -> bool:
    return nut_may(Owner(file.user, file.group, file.mode), bit)
