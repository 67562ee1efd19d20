"""upsmon.conf: which UPS this machine watches, as whom, and what it does when power runs out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nutwizard.core import checks, paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.draft import Draft
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Role
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.links import Link, LinkId, State, Told
from nutwizard.core.monitorlinks import monitor_links
from nutwizard.core.secret import Secret
from nutwizard.core.server import (
    PRIMARY,
    is_primary,
    is_secondary,
    put_user,
    role_words,
    upsmon_right,
)
from nutwizard.core.site import NUT_PORT, Site, system_word
from nutwizard.core.step import Step, View
from nutwizard.core.upsmon import (
    SHUTDOWNCMD,
    UPSSCHED,
    Monitor,
    append_block,
    beside,
    local_primary,
    monitors,
)
from nutwizard.formats.nutfile import NutFile


@dataclass(frozen=True, slots=True)
class HostAnswers:
    """The user with which the host's own upsmon watches its upsd."""

    user: str = setting(FieldKind.TEXT, "local user", check=checks.user_name)
    password: Secret = setting(
        FieldKind.SECRET, "its password", check=checks.password, kept_in=paths.MONITOR_PASSWORD
    )


@dataclass(frozen=True, slots=True)
class ClientAnswers:
    """Where the server is, the UPS there that this machine follows, and the user for it."""

    server: str = setting(FieldKind.TEXT, "server", check=checks.server_address)
    port: int = setting(FieldKind.INTEGER, "port", low=1, high=65535)
    ups: str = setting(FieldKind.TEXT, "UPS name", check=checks.ups_name)
    user: str = setting(FieldKind.TEXT, "user name", check=checks.user_name)
    password: Secret = setting(
        FieldKind.SECRET, "password", check=checks.password, kept_in=paths.CLIENT_PASSWORD
    )


Answers = HostAnswers | ClientAnswers


class MonitorStep(Step[Answers]):
    """The MONITOR line, and what upsmon does beside it."""

    name = "monitor"
    title = "Monitor"
    after = ("mode", "client_user")

    def paths(self, role: Role) -> tuple[str, ...]:
        host = (paths.UPSD_USERS, paths.UPSD_CONF) if role is Role.HOST else ()
        return (paths.UPSMON_CONF, *host)

    def answers_type(self, role: Role) -> type[Answers]:
        return HostAnswers if role is Role.HOST else ClientAnswers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        return _suggest_host(view, given) if view.site.role is Role.HOST else _suggest_client(view, given)

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        if view.site.role is Role.HOST:
            return {}
        values = {name: found.value for name, found in _suggest_client(view, given).items()} | dict(given)
        served = view.facts.server(values["server"], values["port"]) if values["server"] else None
        names = served.ups.items() if served else ()
        return {"ups": tuple(Choice(name, text) for name, text in names if checks.ups_name(name) is None)}

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        if isinstance(answers, HostAnswers):
            lines = view.sections(paths.UPSD_USERS, users=True).headers(answers.user)
            if len(lines) > 1:
                places = ", ".join(f"{paths.UPSD_USERS}:{line}" for line in lines)
                yield Problem(
                    f"there are {len(lines)} sections [{answers.user}] ({places}): remove all but one",
                    "monitor.user",
                )
            if answers.user == view.site.client_user:
                yield Problem(
                    f"{answers.user} is the user of the VMs: the host's own upsmon needs one of its own,"
                    " with primary rights",
                    "monitor.user",
                )

    def publish(self, view: View, answers: Answers) -> Site:
        if isinstance(answers, HostAnswers):
            found = _own(view)
            server = found.server if found else "localhost"
            word = found.system if found and _fits(found, view.site) else ""
            return replace(
                view.site, server=server, system=word or system_word(view.site.ups, server, view.site.port)
            )
        same = _ours(view.nut(paths.UPSMON_CONF), answers)
        exact = same is not None and (same.ups, same.server, same.port) == (
            answers.ups,
            answers.server,
            answers.port,
        )
        word = same.system if same and exact else system_word(answers.ups, answers.server, answers.port)
        old = same.ups if same and same.ups != answers.ups else ""
        site = replace(view.site, ups=answers.ups, renamed=old, server=answers.server, port=answers.port)
        return replace(site, system=word)

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        document = draft.nut(paths.UPSMON_CONF)
        site = self.publish(view, answers)
        _mute_incomplete(draft, document)
        primary, secondary = role_words(view.facts.nut.version)
        if isinstance(answers, HostAnswers):
            put_user(draft, answers.user, answers.password, primary=True)
            line, word = _local(document, view), primary
        else:
            line, word = _ours(document, answers), secondary
        args = ("MONITOR", site.system, "1", answers.user, answers.password.reveal(), word)
        if line is None and not monitors(document):
            append_block(document, args, view.facts.nut.upssched)
        elif line is None:
            document.insert_after(monitors(document)[-1].entry, *args)
        else:
            _edit_line(document, line, args, view)
        _complete(draft, document, view)
        draft.readable_by_nut(paths.UPSMON_CONF)
        for text in beside(document, site.system) if draft.changed(paths.UPSMON_CONF) else ():
            draft.note(text)

    def links(self, view: View) -> tuple[Link, ...]:
        found = monitors(view.nut(paths.UPSMON_CONF))
        if not found:
            lacks = f"{paths.UPSMON_CONF} has no MONITOR line that NUT can use: upsmon ends at start"
            missing = Told(State.BROKEN, lacks)
            return (Link(LinkId.UPSMON, "this machine's upsmon", missing, self.name),)
        return tuple(link for monitor in found for link in monitor_links(monitor, view))


def _suggest_host(view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
    """The user of the MONITOR line, else the user with primary rights, else a new one."""
    users = view.sections(paths.UPSD_USERS, users=True)
    line = _own(view)
    able = [user for user in users.names() if upsmon_right(users, user) in PRIMARY]
    if line is not None and line.user not in users.names() and able:
        user = Proposed(able[0], Origin.CURRENT, "from upsd.users")
    elif line is not None:
        user = Proposed(line.user, Origin.CURRENT, "from upsmon.conf")
    elif able:
        user = Proposed(able[0], Origin.CURRENT, "from upsd.users")
    else:
        user = Proposed("upsmon", Origin.GUIDE)
    name = given.get("user", user.value)
    value = users.get(name, "password")
    if value is None and line is not None and line.user == name:
        value = line.password
    if value is None or checks.password(value) is not None:
        password = Proposed(
            Secret(None, paths.MONITOR_PASSWORD), Origin.GENERATED, "drawn when it is written"
        )
    else:
        password = Proposed(Secret(value, paths.MONITOR_PASSWORD), Origin.CURRENT, "from upsd.users")
    return {"user": user, "password": password}


def _suggest_client(view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
    """From the MONITOR line of another machine's UPS; the guide's names where there is none."""
    found = [monitor for monitor in monitors(view.nut(paths.UPSMON_CONF)) if not monitor.local]
    line = next((m for m in found if m.ups == given.get("ups")), found[0] if found else None)
    if line is None:
        return {
            "ups": _served_ups(view, given),
            "server": Proposed(None, Origin.GUIDE, "the host's address, as the VM sees it"),
            "port": Proposed(NUT_PORT, Origin.GUIDE),
            "user": Proposed("upsmonclient", Origin.GUIDE),
            "password": Proposed(None, Origin.GUIDE, "the password of that user on the host"),
        }
    values = {"ups": line.ups, "server": line.server, "port": line.port, "user": line.user}
    proposed = {name: Proposed(value, Origin.CURRENT, "from upsmon.conf") for name, value in values.items()}
    if checks.password(line.password) is None and given.get("user", line.user) == line.user:
        kept = Secret(line.password, paths.CLIENT_PASSWORD)
        return {**proposed, "password": Proposed(kept, Origin.CURRENT, "from upsmon.conf")}
    return {**proposed, "password": Proposed(None, Origin.GUIDE, "the password of that user on the host")}


def _served_ups(view: View, given: Mapping[str, Any]) -> Proposed:
    """The server's UPS, once it is known which server; LIST UPS needs no login. Else the guide's name."""
    guide = Proposed("apc", Origin.GUIDE)
    if "server" not in given or "ups" in given:
        return guide
    server, port = given["server"], given.get("port", NUT_PORT)
    served = view.facts.server(server, port)
    if served is None:
        return replace(guide, note=f"{server} does not answer on port {port} now")
    names = [name for name in served.ups if checks.ups_name(name) is None]
    if not names or "apc" in names:
        return replace(guide, note="" if names else f"{server} has no UPS now")
    return Proposed(names[0], Origin.DETECTED, f"{server} has it")


def _own(view: View) -> Monitor | None:
    return _local(view.nut(paths.UPSMON_CONF), view)


def _local(document: NutFile, view: View) -> Monitor | None:
    """The MONITOR line for this host's UPS: by its name, its old name, else the only one for no known UPS."""
    own = [m for m in monitors(document) if m.local]
    for name in (view.site.ups, view.site.renamed):
        same = [m for m in own if name and m.ups == name]
        if same:
            return local_primary(same, view.facts.nut.version)
    known = view.sections(paths.UPS_CONF).names()
    lost = [m for m in own if m.ups not in known]
    return lost[0] if len(lost) == 1 else None


def _fits(line: Monitor, site: Site) -> bool:
    return (line.ups, line.port) == (site.ups, site.port)


def _ours(document: NutFile, answers: ClientAnswers) -> Monitor | None:
    """The line that these answers are about: same UPS on any server, else same server."""
    found = [m for m in monitors(document) if not m.local]
    same = [m for m in found if m.ups == answers.ups] or [m for m in found if m.server == answers.server]
    return same[0] if same else None


def _mute_incomplete(draft: Draft, document: NutFile) -> None:
    """Make comments of MONITOR lines of too few words (a password cut at its #): upsmon ends on them."""
    for entry in document.entries("MONITOR"):
        if len(entry.args) < 5:
            draft.explain(
                paths.UPSMON_CONF, f"the MONITOR on line {entry.line} lacks words: upsmon would end at start"
            )
            document.comment_out(entry)


def _edit_line(document: NutFile, line: Monitor, args: tuple[str, ...], view: View) -> None:
    """Bring one MONITOR line to these words; its power value, and a type word of the same meaning, stay."""
    version = view.facts.nut.version
    power = line.entry.args[1] if line.entry.args[1] != "0" else "1"
    primary = is_primary(args[5], version)
    understood = is_secondary(line.word, version) or is_primary(line.word, version)
    word = line.word if understood and is_primary(line.word, version) == primary else args[5]
    wanted = (*args[:2], power, *args[3:5], word, *line.entry.args[5:])
    if line.entry.words != wanted:
        document.replace(line.entry, *wanted)


def _complete(draft: Draft, document: NutFile, view: View) -> None:
    """What a hand-made file may lack: SHUTDOWNCMD, upssched as NOTIFYCMD, and on a host POWERDOWNFLAG."""
    shutdown = document.get("SHUTDOWNCMD") or document.set("SHUTDOWNCMD", SHUTDOWNCMD)
    notify = document.get("NOTIFYCMD")
    wanted = view.facts.nut.upssched or UPSSCHED
    if notify is None:
        document.insert_after(shutdown, "NOTIFYCMD", wanted)
    elif not (notify.args and notify.args[0].rsplit("/", 1)[-1] == "upssched"):
        draft.note(
            f"NOTIFYCMD called {' '.join(notify.args)} so far; upssched takes its place and calls the script"
        )
        document.replace(notify, "NOTIFYCMD", wanted)
    if view.site.role is Role.HOST and document.get("POWERDOWNFLAG") is None:
        document.append("POWERDOWNFLAG", paths.KILLPOWER)


STEP = MonitorStep()
