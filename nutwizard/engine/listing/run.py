"""What NUT makes while it runs, and what a forced shutdown leaves or runs last."""

from __future__ import annotations

from nutwizard.core import paths
from nutwizard.core.facts import Door, Role
from nutwizard.engine.listing.names import NAME, Named, Setting, used_rows
from nutwizard.engine.listing.rows import Group, Look, Need, PathKind

_HOOKS = ("/lib/systemd/system-shutdown/nutshutdown", "/usr/lib/systemd/system-shutdown/nutshutdown")


def run_time(look: Look, role: Role, names: Named) -> None:
    """Rows for /run/nut and what lies in it: process numbers, sockets, upssched's pipe and lock."""
    group, short = Group.RUN, "/var/run/nut"
    look.add(
        group, PathKind.FOLDER, paths.RUN_NUT, "sockets, locks, process numbers; empty after a boot",
        Need.NUT_WRITES,
    )  # fmt: skip
    if look.exists(short):
        look.add(group, PathKind.FOLDER, short, "the same folder by its old name", alias=True)
    if names.folder != paths.RUN_NUT:
        look.add(
            group,
            PathKind.FOLDER,
            names.folder,
            "STATEPATH of upsd.conf: the drivers' sockets",
            Need.NUT_WRITES,
        )
    if role is Role.HOST:
        look.add(
            group, PathKind.FILE, f"{paths.RUN_NUT}/upsd.pid", "the number of upsd's process",
            absent="from NUT 2.8 on Debian's unit starts upsd so that it writes none",
        )  # fmt: skip
        _sockets(look, names)
    look.add(
        group, PathKind.FILE, f"{paths.RUN_NUT}/upsmon.pid", "the number of upsmon's process",
        absent="only while upsmon runs",
    )  # fmt: skip
    for setting, kind, purpose in (
        (names.pipe, PathKind.SOCKET, "PIPEFN: where upssched's timers are told to start and stop"),
        (names.lock, PathKind.LOCK, "LOCKFN: lets only one upssched start the timers"),
    ):
        _setting(look, group, kind, setting, purpose, absent="only while a timer runs")
    look.others(group, paths.RUN_NUT, "of the packages or of another program, or left behind")


def _sockets(look: Look, names: Named) -> None:
    for ups, driver in names.ups:
        if NAME.fullmatch(ups) and NAME.fullmatch(driver):
            running = "only while the driver runs"
            look.add(
                Group.RUN, PathKind.SOCKET, f"{names.folder}/{driver}-{ups}",
                f"upsd asks the driver of {ups} here", absent=running,
            )  # fmt: skip
            if look.exists(pid := f"{paths.RUN_NUT}/{driver}-{ups}.pid"):
                look.add(Group.RUN, PathKind.FILE, pid, f"the number of the process of the driver of {ups}")


def _setting(
    look: Look,
    group: Group,
    kind: PathKind,
    setting: Setting,
    purpose: str,
    *,
    absent: str,
    trouble: str = "",
) -> None:
    folder = setting.path.rpartition("/")[0] or "/"
    if not look.exists(folder) and _listable(look, folder):
        trouble = f"its folder {folder} is not there: it cannot be made"
    look.add(group, kind, setting.path, purpose, absent=absent, note=setting.note, trouble=trouble)


def _listable(look: Look, folder: str) -> bool:
    """Whether this user can tell that a folder is missing."""
    try:
        return look.host.stat(folder) is None
    except OSError:
        return False


def shutdown(look: Look, role: Role, names: Named) -> None:
    """Rows for the flag of a forced shutdown, the hook that acts on it, and SHUTDOWNCMD."""
    group = Group.SHUTDOWN
    hook = next((path for path in _HOOKS if look.exists(path)), _HOOKS[0])
    trouble = ""
    if look.exists(names.flag.path):
        ends = (
            "the hook below has the UPS switched off"
            if look.exists(hook)
            else "there is no hook that acts on it"
        )
        trouble = (
            f"it is there now: a forced shutdown is under way or was left half-way. When this machine goes"
            f" down, {ends}; the next start of nut-monitor removes it"
        )
    _setting(
        look, group, PathKind.FILE, names.flag, "POWERDOWNFLAG: after the shutdown the UPS is to go off",
        absent="only during a forced shutdown", trouble=trouble,
    )  # fmt: skip
    played = look.host.door is Door.PRACTICE
    absent = "the practice machine has none" if played else ""
    if role is Role.HOST or look.exists(hook):
        look.add(
            group, PathKind.FILE, hook, "runs last in a shutdown: if the flag is set, the UPS goes off",
            Need.ROOT_RUNS, absent=absent,
        )  # fmt: skip
    used_rows(look, group, names.shutdown, "SHUTDOWNCMD of upsmon.conf, run as root", Need.ROOT_RUNS)
