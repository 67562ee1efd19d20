"""What every command does with a machine: read its facts, prove its links, carry out a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from nutwizard.core import paths
from nutwizard.core.errors import UsageError, WizardError
from nutwizard.core.facts import Door, Facts, Owner, Role
from nutwizard.core.links import Expected, LetIn, LoggedIn
from nutwizard.core.plan import Plan
from nutwizard.core.site import Site, bracketed
from nutwizard.core.step import View
from nutwizard.engine import registry
from nutwizard.engine.detect import Sources, detect
from nutwizard.engine.filefacts import file_fact
from nutwizard.engine.host import Host
from nutwizard.engine.store import Store
from nutwizard.formats.safe import safe_text

if TYPE_CHECKING:
    from nutwizard.core.links import Finding, Link
    from nutwizard.engine.outcome import Outcome

#: What is proven by asking who is logged in, without a login of one's own.
_QUIET = (Expected, LetIn, LoggedIn)
#: What each role needs of NUT.
PACKAGES = {Role.HOST: ("nut-server", "nut-client"), Role.CLIENT: ("nut-client",)}


def _managed(role: Role) -> frozenset[str]:
    return frozenset(path for step in registry.steps_of(role) for path in step.paths(role))


def facts_for(host: Host, sources: Sources, role: Role, *, partly: bool = False) -> Facts:
    """The facts that the steps of this role look at. Raises NeedsRoot and UsageError as `detect` does.

    `partly`: what this user may not read counts as not seen.
    """
    touched = frozenset[str]() if partly else Store(host).touched()
    return detect(host, sources, role, _managed(role), touched, partly=partly)


def require_nut(label: str, facts: Facts, role: Role) -> None:
    """Raises UsageError with the packages for this role when NUT or its user is missing on `label`."""
    nut, wanted = facts.nut, PACKAGES[role]
    missing = [name for name in wanted if nut.known_from == "dpkg" and name not in nut.packages]
    if nut.version and nut.user and nut.group and not missing:
        return
    lacks = "NUT is not installed" if not nut.version else f"{', '.join(missing)} is not installed"
    if nut.version and not missing:
        lacks = "the user and group nut are missing"
    again = "" if missing or not nut.version else "--reinstall "
    raise UsageError(
        f"{lacks} on {label}: a {role.value} needs {' and '.join(wanted)}.",
        f"Install it and come back: apt-get install {again}{' '.join(missing or wanted)}",
    )


def links_now(host: Host, facts: Facts, role: Role) -> Iterator[Link]:
    """What is to be proven of the files of this role as they are at this moment. Raises as `file_fact`."""
    now = replace(facts, files={path: file_fact(host, path) for path in facts.files})
    view = View(now, Site(role), registry.asset)
    return (link for step in registry.steps_of(role) for link in step.links(view))


def prove(
    host: Host,
    facts: Facts,
    role: Role,
    *,
    quick: bool = False,
    told: Callable[[Finding], None] | None = None,
) -> tuple[Finding, ...]:
    """What proves the files of this role as they are at this moment, made by nutwizard or by hand.

    `quick`: only who is logged in, which leaves no trace in any log. `told` gets each finding as it is found.
    """
    from nutwizard.engine.probe import Prover

    links = links_now(host, facts, role)
    found: list[Finding] = []
    for finding in Prover(host).findings(
        link for link in links if not quick or isinstance(link.target, _QUIET)
    ):
        if told is not None:
            told(finding)
        found.append(finding)
    return tuple(found)


def watched(host: Host, facts: Facts, role: Role) -> tuple[Link, ...]:
    """The links that an examination would tell of, in its order; the way to a server as its stages.

    Where a way is not walked (below another root, or its server was found lost) one finding with the target
    of all its stages stands for them.
    """
    from nutwizard.core.chain import chain_links
    from nutwizard.engine.probe import stages_of

    links = (*links_now(host, facts, role), *chain_links(role))
    return tuple(stage for link in links for stage in stages_of(link))


def values_now(host: Host, facts: Facts, role: Role) -> tuple[str, Mapping[str, str]]:
    """(which UPS, its variables as the server lists them), or (why there are none, {}). Nothing is raised.

    A host asks its own upsd, a client the server that it follows; there is no login.
    """
    from nutwizard.core.links import DriverData, Reachable
    from nutwizard.engine.nut_client import Limits, open_client
    from nutwizard.engine.nut_errors import NutError
    from nutwizard.engine.probe import shown_first

    try:
        targets = [link.target for link in links_now(host, facts, role)]
        found = next((each for each in targets if isinstance(each, DriverData | Reachable)), None)
        if found is None:
            return "There is no UPS in the files yet.", {}
        limits, server = Limits(connect=2.0, answer=2.0, total=4.0), found.server
        with open_client(host.connect, server.address, server.port, limits) as client:
            values = client.list_vars(found.ups)
    except (NutError, WizardError, ValueError) as error:
        return safe_text(getattr(error, "text", str(error))), {}
    what = f"{found.ups} on {bracketed(server.address)}:{server.port}"
    return safe_text(what), {safe_text(name): safe_text(value) for name, value in shown_first(values).items()}


def leave_next(host: Host, text: str) -> str:
    """Write down what comes next, in one step; the path, "" when it cannot be written."""
    from nutwizard.engine.files import PRIVATE, put

    try:
        host.make_folder(paths.STATE, Owner("root", "root", 0o700))
        put(host, paths.NEXT, (f"{text.rstrip()}\n".encode(), PRIVATE), 0)
    except (OSError, ValueError):
        return ""
    return paths.NEXT


def carry_out(
    host: Host,
    facts: Facts,
    plan: Plan,
    *,
    report: Callable[[str], None],
    command: str,
    undoes: int | None = None,
    on_battery: bool = False,
) -> Outcome:
    """Apply a plan: in a worker of its own, but on a practice machine, whose daemons are this process's.

    Raises what `applying.apply_parts` raises.
    """
    if host.door is Door.PRACTICE:
        from nutwizard.engine.applying import apply_parts

        return apply_parts(
            host,
            plan,
            prove=lambda: prove(host, facts, plan.role),
            report=report,
            command=command,
            undoes=undoes,
            on_battery=on_battery,
        )
    from nutwizard.engine.apart import apply_apart

    return apply_apart(host, plan, report=report, command=command, undoes=undoes, on_battery=on_battery)
