"""The files of the machines of a rehearsal: this one's as they are, the others' as they will be."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nutwizard.core import paths
from nutwizard.core.answers import AnswersSet, Given, Origin
from nutwizard.core.clients import GENERAL, folders_for, guest_name, server_for
from nutwizard.core.errors import AnswersError, Problem, UsageError
from nutwizard.core.facts import Door, Facts, FileFact, Kind, Nut, Owner, Role
from nutwizard.core.rehearsal.rewriting import word_of
from nutwizard.core.server import listen_lines
from nutwizard.core.site import Client, Site
from nutwizard.core.text import FileText
from nutwizard.engine import registry
from nutwizard.engine.host import Host
from nutwizard.engine.planner import Planner, Walk
from nutwizard.engine.rehearsal.part import Placed

#: What a client has of NUT's files, and what a host has beside them.
_OF_CLIENT = (paths.NUT_CONF, paths.UPSMON_CONF, paths.UPSSCHED_CONF)
_OF_HOST = (paths.UPS_CONF, paths.UPSD_CONF, paths.UPSD_USERS)
OWN_ACTIONS = "/usr/local/sbin/upssched-own"
_LARGEST = 1 << 20


@dataclass(frozen=True)
class FileSet:
    """A machine's files by path. `addresses`: its own, without a prefix, those that are known. `remark`: what
    to know of the files, "".
    """

    name: str
    host: bool
    files: Mapping[str, Placed] = field(repr=False)
    addresses: tuple[str, ...] = ()
    remark: str = ""

    def data(self, path: str) -> bytes:
        """A file's bytes; empty when it is not there."""
        found = self.files.get(path)
        return found.data if found is not None else b""


def own_set(host: Host, facts: Facts, role: Role, scripts: Iterable[str]) -> FileSet:
    """This machine's NUT files and these programs, as they are now. Raises OSError."""
    found = {}
    nut = _OF_CLIENT + (_OF_HOST if role is Role.HOST else ())
    for path in nut:
        fact = facts.files.get(path)
        if fact is not None and fact.content is not None and fact.owner is not None:
            found[path] = _placed(path, fact.content.data, fact.owner)
    for path in dict.fromkeys(scripts):
        stat = host.stat(path)
        if stat is not None and stat.kind == "file" and stat.size <= _LARGEST and path not in found:
            found[path] = _placed(path, host.read(path, _LARGEST), stat.owner)
    name = guest_name(facts.hostname.partition(".")[0] or role.value, 0)
    return FileSet(name, role is Role.HOST, found)


def walked(facts: Facts, role: Role, given: AnswersSet | None = None) -> Walk:
    """What the guide makes of these facts, and of answers where there are some."""
    planner = Planner(registry.steps_of(role), facts, role, registry.asset)
    return planner.walk([given] if given is not None else [])


def implied_clients(facts: Facts) -> tuple[tuple[FileSet, ...], str]:
    """The clients that the host's own configuration implies, and why there are none, "".

    Each is set up as nutwizard would do it with the host's user for clients; a general one where no client is
    named.
    """
    walk = walked(facts, Role.HOST)
    site = walk.site
    if site is None or site.client_password is None or site.client_password.pending:
        return (), "upsd.users has no user for clients: nobody can follow this machine's UPS"
    return tuple(_implied(facts, site, client) for client in folders_for(site.clients)), ""


def _implied(facts: Facts, site: Site, client: Client) -> FileSet:
    listen = site.listen or tuple(address for address, _ in listen_lines_of(facts))
    server = server_for(facts, listen, client) or next(iter(listen), "")
    values = {
        "ups": site.ups,
        "server": server,
        "port": site.port,
        "user": site.client_user,
        "password": site.client_password,
    }
    given = {name: Given(value, Origin.NAMED) for name, value in values.items()}
    answers = AnswersSet(Role.CLIENT, "", {"monitor": given})
    name = client.name if client != GENERAL else "client"
    return planned_client(name, answers, facts.nut, client.addresses)


def listen_lines_of(facts: Facts) -> list[tuple[str, int]]:
    """Where the host's upsd listens, by its file."""
    from nutwizard.formats.nutfile import NutFile

    return listen_lines(NutFile.parse(facts.file(paths.UPSD_CONF).data))


def planned_client(name: str, answers: AnswersSet, nut: Nut, addresses: tuple[str, ...]) -> FileSet:
    """A client that nutwizard sets up with these answers, from Debian's stock files. Raises AnswersError."""
    facts = _stock_facts(nut)
    walk = walked(facts, Role.CLIENT, answers)
    if walk.problems:
        raise AnswersError(walk.problems)
    files = {
        path: _placed(path, fact.content.data, fact.owner)
        for path, fact in facts.files.items()
        if fact.content is not None and fact.owner is not None
    }
    for change in walk.draft.plan().files:
        if change.after is None:
            files.pop(change.path, None)
        elif not change.copy_of:
            owner = change.owner_after or Owner("root", "root", 0o644)
            files[change.path] = _placed(change.path, change.after.data, owner)
    return FileSet(name, False, files, addresses)


def handed_over(path: str, nut: Nut) -> FileSet:
    """A client from what lies at `path`: an answers file, a folder with one, or a folder with its /etc/nut.

    The folder's name is the client's. Raises UsageError, AnswersError, NeedsRoot.
    """
    whole = os.path.abspath(path)
    name = guest_name(os.path.basename(whole if os.path.isdir(whole) else os.path.dirname(whole)), 0)
    if os.path.isdir(whole):
        for folder in (f"{whole}/etc/nut", whole):
            if os.path.isfile(f"{folder}/upsmon.conf"):
                return _copied(name, folder, whole)
        whole = f"{whole}/answers.yaml"
    if not os.path.isfile(whole):
        raise UsageError(
            f"--client {path}: there is neither an answers file nor an upsmon.conf",
            "Name an answers file of a client, its folder, or a folder with a copy of its /etc/nut.",
        )
    from nutwizard.engine.answers_file import read_answers

    answers = read_answers(whole, {each: registry.steps_of(each) for each in Role})
    if answers.role is not Role.CLIENT:
        raise AnswersError([Problem("are answers of a host, not of a client", place=whole)])
    return planned_client(name, answers, nut, ())


def _copied(name: str, folder: str, whole: str) -> FileSet:
    """A client's own files, with the owners that Debian gives them: a copy has lost its own."""
    found = {}
    try:
        for path in _OF_CLIENT:
            own = f"{folder}/{os.path.basename(path)}"
            if os.path.isfile(own):
                with open(own, "rb") as stream:
                    found[path] = Placed(path, stream.read(_LARGEST), "root", "nut", 0o640)
        for path in (paths.UPSSCHED_CMD, "/usr/local/sbin/upssched-cmd", OWN_ACTIONS):
            for own in (f"{whole}{path}", f"{folder}/{os.path.basename(path)}"):
                if os.path.isfile(own) and path not in found:
                    with open(own, "rb") as stream:
                        found[path] = Placed(path, stream.read(_LARGEST), mode=0o755)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    if paths.NUT_CONF not in found:
        found[paths.NUT_CONF] = Placed(paths.NUT_CONF, b"MODE=netclient\n", "root", "nut", 0o640)
    return _with_script(FileSet(name, False, found))


def _with_script(found: FileSet) -> FileSet:
    """The same with a script that does nothing where CMDSCRIPT is not among the files."""
    script = word_of(found.data(paths.UPSSCHED_CONF), "CMDSCRIPT")
    if not script.startswith("/") or script in found.files:
        return found
    empty = Placed(script, b"#!/bin/sh\nexit 0\n", mode=0o755)
    remark = f"{found.name}: {script} is not in the folder; a script that does nothing stands for it."
    return replace(found, files={**found.files, script: empty}, remark=remark)


def named_apart(sets: Iterable[FileSet], taken: str) -> tuple[FileSet, ...]:
    """The same with a name of its own for each, none of them `taken`."""
    seen = {taken}
    out = []
    for each in sets:
        name, number = each.name, 2
        while name in seen:
            name, number = f"{each.name}-{number}", number + 1
        seen.add(name)
        out.append(replace(each, name=name))
    return tuple(out)


def _stock_facts(nut: Nut) -> Facts:
    owner = Owner("root", "nut", 0o640)
    managed = {path for step in registry.steps_of(Role.CLIENT) for path in step.paths(Role.CLIENT)}
    there = [path + ending for path in managed for ending in ("", *paths.COPIES)]
    files = {path: FileFact(path, actual=path) for path in there}
    for path in _OF_CLIENT:
        text = registry.asset(f"practice/common{path}")
        files[path] = FileFact(path, "file", path, FileText(path, text.encode()), owner)
    upssched = nut.upssched or "/usr/sbin/upssched"
    own = replace(nut, upssched=upssched, packages={"nut-client": nut.packages.get("nut-client", nut.text)})
    return Facts(Door.OFFLINE, Kind.VM, "", "client", nut=own, files=files)


def _placed(path: str, data: bytes, owner: Owner) -> Placed:
    return Placed(path, data, owner.user, owner.group, owner.mode)
