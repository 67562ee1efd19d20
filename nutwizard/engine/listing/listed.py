"""Every file and folder that NUT and nutwizard have to do with on this machine: what `nutwizard paths` tells.

Looks through the host alone, changes nothing, and never fails: what it may not see it names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nutwizard.core import paths
from nutwizard.core.facts import Role
from nutwizard.engine.host import Host
from nutwizard.engine.listing.logs import LogCommand, log_commands, log_rows
from nutwizard.engine.listing.names import NAME, Named, named, used_rows
from nutwizard.engine.listing.own import own_rows
from nutwizard.engine.listing.rows import Group, Look, Need, PathKind, PathRow, There
from nutwizard.engine.listing.run import run_time, shutdown
from nutwizard.engine.listing.units import unit_rows

#: The user's own program, which our script calls with event word, UPS and message.
OWN_ACTIONS = "/usr/local/sbin/upssched-own"
_NO_DRIVERS = ("upsd", "upsmon", "cgi-bin")

Files = dict[str, tuple[str, tuple[Need, ...]]]
#: Purpose and needs of NUT's own files: those of both roles, then those of a server.
_BOTH: Files = {
    paths.NUT_CONF: ("which of NUT's services may run (MODE)", ()),
    paths.UPSMON_CONF: (
        "whom upsmon follows, with its password, and what it does",
        (Need.NUT_READS, Need.SECRET),
    ),
    paths.UPSSCHED_CONF: ("what is run for which event", (Need.NUT_READS,)),
}
_SERVER: Files = {
    paths.UPS_CONF: ("the UPS and its driver", (Need.NUT_READS,)),
    paths.UPSD_CONF: ("where upsd listens", (Need.NUT_READS,)),
    paths.UPSD_USERS: ("NUT's users and their passwords", (Need.NUT_READS, Need.SECRET)),
}


@dataclass(frozen=True)
class PathList:
    """The list of one machine. `logs`: commands that show its log; `unseen`: what this user may not see.

    `kept`: how many transactions there are and the bytes that they take, None where that may not be seen.
    """

    role: Role
    rows: tuple[PathRow, ...]
    logs: tuple[LogCommand, ...] = ()
    unseen: tuple[str, ...] = ()
    kept: tuple[int, int] | None = None

    @property
    def trouble(self) -> list[tuple[str, str]]:
        """(path, what is wrong with it), copies included, in the order of the rows."""
        found = []
        for row in self.rows:
            found += [(row.path, "it is missing")] if row.lacking else []
            found += [(row.path, text) for text in row.wrong]
            found += [(backup.path, backup.wrong) for backup in row.backups if backup.wrong]
        return found


def list_paths(host: Host, role: Role, unseen: Iterable[str] = ()) -> PathList:
    """The list for a machine of this role. `unseen` is what the caller could not see already."""
    look, names = Look(host), named(host)
    _configuration(look, role, names)
    _programs(look, role, names)
    run_time(look, role, names)
    shutdown(look, role, names)
    unit_rows(look, role, [ups for ups, _ in names.ups if NAME.fullmatch(ups)])
    if role is Role.HOST and look.exists(paths.PVE_LOCAL):
        _firewall(look)
    remarks = list(unseen)
    kept = own_rows(look, remarks)
    log_rows(look)
    return PathList(
        role,
        tuple(look.rows),
        log_commands(host.door, role, host.root, tagged=names.tagged, syslog=look.exists("/var/log/syslog")),
        (*remarks, *_not_seen(look, names)),
        kept,
    )


def fallback_role(host: Host) -> Role:
    """For a machine of which neither kind nor configuration tells the role: one with an upsd serves."""
    look = Look(host)
    return Role.HOST if look.exists("/usr/sbin/upsd") or look.exists("/sbin/upsd") else Role.CLIENT


def _configuration(look: Look, role: Role, names: Named) -> None:
    group = Group.CONFIG
    look.add(group, PathKind.FOLDER, paths.NUT, "NUT's configuration", Need.NUT_ENTERS)
    for path, (purpose, needs) in {**_BOTH, **(_SERVER if role is Role.HOST else {})}.items():
        look.add(group, PathKind.FILE, path, purpose, *needs, copies=True)
    for path, (_, needs) in _SERVER.items():
        if look.exists(path):
            spare = "of a machine that serves a UPS: upsmon does not read it"
            look.add(group, PathKind.FILE, path, spare, *needs, copies=True)
    for path, named_by in names.certificates:
        kind = PathKind.FOLDER if look.kind(path) is PathKind.FOLDER else PathKind.FILE
        look.add(group, kind, path, f"for TLS: {named_by} names it", Need.NUT_READS)
    look.others(group, paths.NUT, "not one of NUT's usual files: someone else put it here")


def _firewall(look: Look) -> None:
    """The files of the cluster in which the clients are let in."""
    none = "there are no rules yet"
    for path, purpose in (
        (paths.CLUSTER_FW, "aliases, IP sets and security groups, for the whole cluster"),
        (paths.HOST_FW, "this node's rules"),
    ):
        look.add(Group.FIREWALL, PathKind.FILE, path, purpose, absent=none)


def _programs(look: Look, role: Role, names: Named) -> None:
    group = Group.PROGRAMS
    look.add(group, PathKind.FILE, _either(look, "upsmon"), "follows the UPS; starts as MODE allows")
    if role is Role.HOST:
        look.add(group, PathKind.FILE, _either(look, "upsd"), "serves the UPS; starts as MODE allows")
    upssched = _either(look, "upssched")
    called = [look.place(use.path) for use in names.notify]
    unread = dict(names.unread)
    other = "" if paths.UPSMON_CONF in unread else "NOTIFYCMD of upsmon.conf does not name it"
    note = "" if look.place(upssched) in called else other
    look.add(group, PathKind.FILE, upssched, "upsmon calls it for events with EXEC", Need.NUT_RUNS, note=note)
    used_rows(look, group, names.notify, "NOTIFYCMD of upsmon.conf, run as nut", Need.NUT_RUNS)
    used_rows(look, group, names.script, "CMDSCRIPT of upssched.conf, run as nut", Need.NUT_RUNS_SCRIPT)
    look.add(
        group, PathKind.FILE, paths.UPSSCHED_CMD, "the script for upssched's events", Need.NUT_RUNS_SCRIPT,
        absent="upssched.conf does not name it", copies=True,
    )  # fmt: skip
    look.add(
        group, PathKind.FILE, OWN_ACTIONS, "your own actions: our script calls it; nutwizard never writes it",
        Need.NUT_RUNS_SCRIPT, absent="only where you want actions of your own",
    )  # fmt: skip
    _drivers(look, role, names)


def _either(look: Look, name: str) -> str:
    """Where a program is: on a machine without a merged /usr, /sbin is another folder."""
    return f"/sbin/{name}" if not look.exists(f"/usr/sbin/{name}") else f"/usr/sbin/{name}"


def _drivers(look: Look, role: Role, names: Named) -> None:
    if role is Role.CLIENT:
        return
    for folder in paths.DRIVER_FOLDERS:
        if look.exists(folder):
            count = len(set(look.names(folder)) - set(_NO_DRIVERS))
            look.add(
                Group.PROGRAMS, PathKind.FOLDER, folder, "the drivers, and the daemons that the wrappers run",
                note=f"{count} drivers",
            )  # fmt: skip
    for ups, driver in names.ups:
        if NAME.fullmatch(driver):
            at = next(
                (f for f in paths.DRIVER_FOLDERS if look.exists(f"{f}/{driver}")), paths.DRIVER_FOLDERS[0]
            )
            look.add(Group.PROGRAMS, PathKind.FILE, f"{at}/{driver}", f"the driver of {ups}", Need.NUT_RUNS)


def _not_seen(look: Look, names: Named) -> list[str]:
    found = [f"what stands in {path}: {reason}" for path, reason in names.unread]
    found += [f"what lies in {folder}: this user may not list it" for folder in look.closed]
    hidden = sum(row.there is There.UNSEEN for row in look.rows)
    return [*found, *([f"{hidden} of the paths above"] if hidden else [])]
