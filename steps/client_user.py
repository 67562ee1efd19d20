"""upsd.users: the user with which the VMs watch the UPS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nutwizard.core import checks, paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.clients import others_logged_in, read_list, same_address
from nutwizard.core.draft import Draft
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Role
from nutwizard.core.fields import FieldKind, setting
from nutwizard.core.links import Link, LinkId, State, Told
from nutwizard.core.secret import Secret
from nutwizard.core.server import (
    PRIMARY,
    SECONDARY,
    is_administrator,
    is_secondary,
    put_user,
    upsmon_right,
)
from nutwizard.core.site import Client, Site
from nutwizard.core.step import Step, View
from nutwizard.formats.sections import SectionFile

GUIDE_NAME = "upsmonclient"


@dataclass(frozen=True, slots=True)
class Answers:
    """The NUT user of the VMs and its password."""

    name: str = setting(FieldKind.TEXT, "user name", check=checks.user_name)
    password: Secret = setting(
        FieldKind.SECRET, "password", check=checks.password, kept_in=paths.CLIENT_PASSWORD
    )


class ClientUser(Step[Answers]):
    """The section of the VMs' user."""

    name = "client_user"
    title = "Client user"
    roles = (Role.HOST,)
    after = ("listen",)

    def paths(self, role: Role) -> tuple[str, ...]:
        return (paths.UPSD_USERS, paths.UPSD_CONF, paths.CLIENTS_LIST)

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        users = view.sections(paths.UPSD_USERS, users=True)
        able = [user for user in users.names() if upsmon_right(users, user) in SECONDARY]
        clients = [user for user in able if not is_administrator(users, user)]
        if clients:
            found = GUIDE_NAME if GUIDE_NAME in clients else clients[0]
            name = Proposed(found, Origin.CURRENT, "from upsd.users")
        else:
            name = Proposed(GUIDE_NAME, Origin.GUIDE)
        return {"name": name, "password": _password(users, given.get("name", name.value))}

    def check(self, view: View, answers: Answers) -> Iterable[Problem]:
        users = view.sections(paths.UPSD_USERS, users=True)
        lines = users.headers(answers.name)
        if len(lines) > 1:
            places = ", ".join(f"{paths.UPSD_USERS}:{line}" for line in lines)
            yield Problem(
                f"there are {len(lines)} sections [{answers.name}] ({places}): NUT gives the rights of the"
                " second to another user. Remove all but one",
                "client_user.name",
            )
        elif users.has(answers.name):
            if upsmon_right(users, answers.name) in PRIMARY:
                yield Problem(
                    f"{answers.name} is the user of this machine's own upsmon, with primary rights:"
                    " a VM gets a user of its own",
                    "client_user.name",
                )
            if is_administrator(users, answers.name):
                yield Problem(
                    f"{answers.name} may change the UPS (actions or instcmds):"
                    " a VM never gets the administrator",
                    "client_user.name",
                )

    def publish(self, view: View, answers: Answers) -> Site:
        return replace(view.site, client_user=answers.name, client_password=answers.password)

    def edit(self, draft: Draft, view: View, answers: Answers) -> None:
        old = view.sections(paths.UPSD_USERS, users=True).get(answers.name, "password")
        worked = old is not None and checks.password(old) is None
        if worked and old != answers.password.reveal():
            _tell_locked_out(draft, view, answers.name)
        put_user(draft, answers.name, answers.password, primary=False)

    def links(self, view: View) -> tuple[Link, ...]:
        users = view.sections(paths.UPSD_USERS, users=True)
        names = [user for user in users.names() if upsmon_right(users, user) in SECONDARY]
        able = [user for user in users.names() if upsmon_right(users, user) in PRIMARY]
        if not names and able:
            who = f"no user has upsmon secondary alone; {', '.join(able)} may log in as a client, too"
            return (Link(LinkId.LOGIN, "a user for the VMs", Told(State.NOT_APPLICABLE, who), self.name),)
        if not names:
            lacks = "no user of upsd.users has the right upsmon secondary (slave): no VM can log in"
            missing = Told(State.BROKEN, lacks)
            return (Link(LinkId.LOGIN, "a user for the VMs", missing, self.name),)
        return tuple(
            Link(LinkId.LOGIN, f"user {name} for the VMs", _right(_wrong(users, name, view)), self.name)
            for name in names
        )


def _right(wrong: str) -> Told:
    """What upsd.users says of a user: what is `wrong`, or that all is there."""
    return Told(State.BROKEN, wrong) if wrong else Told(evidence="password and right are in upsd.users")


def _tell_locked_out(draft: Draft, view: View, user: str) -> None:
    """Who loses the connection by a new password: who is logged in now, else who has a folder here.

    Only here upsd is asked, when a password really changes.
    """
    known = read_list(view.facts.file(paths.CLIENTS_LIST).data)
    there = others_logged_in(view)
    who = [str(client) for client in known] if there is None else _named(there, known)
    if len(who) > 1:
        after = f"{', '.join(who)} are locked out until they get the new one"
    elif who:
        after = f"{who[0]} is locked out until it gets the new one"
    elif there is None:
        after = "whoever uses it is locked out until it gets the new one"
    else:
        return
    draft.note(f"the password of {user} changes: {after}")


def _named(addresses: Iterable[str], known: Iterable[Client]) -> list[str]:
    """The addresses, with the name of the client where one is known."""
    clients = tuple(known)
    found = []
    for address in addresses:
        name = next((c.name for c in clients if any(same_address(address, a) for a in c.addresses)), "")
        found.append(f"{name} ({address})" if name else address)
    return found


def _generated() -> Proposed:
    return Proposed(
        Secret(None, paths.CLIENT_PASSWORD), Origin.GENERATED, "24 characters, drawn when it is written"
    )


def _password(users: SectionFile, name: str) -> Proposed:
    """The password in force when it can work over the network, else one to be generated."""
    value = users.get(name, "password")
    if value is None or checks.password(value) is not None:
        return _generated()
    return Proposed(Secret(value, paths.CLIENT_PASSWORD), Origin.CURRENT, "from upsd.users")


def _wrong(users: SectionFile, name: str, view: View) -> str:
    """Why the user cannot log in, in one sentence; "" when nothing is wrong."""
    if len(users.headers(name)) > 1:
        return f"there are two sections [{name}]: NUT gives the rights of the second to another user"
    value = users.get(name, "password")
    if value is None:
        return f"{name} has no password: NUT lets nobody in without one"
    if problem := checks.password(value):
        return f"the password of {name} cannot work over the network: {problem}"
    if not is_secondary(upsmon_right(users, name), view.facts.nut.version):
        return f"NUT {view.facts.nut.text} does not know the right {upsmon_right(users, name)} of {name}"
    return ""


STEP = ClientUser()
