"""Where the log of this machine is, and the commands that show what NUT wrote there."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from nutwizard.core.facts import Door, Role
from nutwizard.engine.listing.rows import Group, Look, PathKind

JOURNAL, VOLATILE, SYSLOG = "/var/log/journal", "/run/log/journal", "/var/log/syslog"
_UNITS = {
    Role.HOST: "-u nut-monitor -u nut-server -u 'nut-driver@*'",
    Role.CLIENT: "-u nut-monitor",
}
_WHO = {Role.HOST: "upsmon, upsd and the drivers", Role.CLIENT: "upsmon"}


@dataclass(frozen=True, slots=True)
class LogCommand:
    """A command, as it is typed, and what it shows."""

    what: str
    command: str


def log_commands(
    door: Door, role: Role, root: str = "", *, tagged: bool = False, syslog: bool = False
) -> tuple[LogCommand, ...]:
    """The commands for this machine; none on a practice machine, whose log no program of the system reads.

    `tagged`: SHUTDOWNCMD logs under the tag of the guide. `syslog`: there is a /var/log/syslog. From NUT 2.8
    on the daemons write to the journal by their units; the tags in syslog are then nut-monitor, nut-server.
    """
    if door is Door.PRACTICE:
        return ()
    journal = "journalctl" if not root else f"journalctl -D {shlex.quote(root + JOURNAL)}"
    found = [
        LogCommand(_WHO[role], f"{journal} {_UNITS[role]}"),
        LogCommand("the script for events", f"{journal} -t upssched-cmd"),
        LogCommand("before the last boot, such as a power cut", f"{journal} -b -1 {_UNITS[role]}"),
    ]
    if tagged:
        found.append(LogCommand("SHUTDOWNCMD, right before it acts", f"{journal} -t upsmon.conf"))
    if syslog:
        words = "nut-|upsmon|upsd|upssched"
        found.append(LogCommand("the same as text", f"grep -E '{words}' {shlex.quote(root + SYSLOG)}"))
    return tuple(found)


def log_rows(look: Look) -> None:
    """The journal, and syslog where there is one."""
    played = look.host.door is Door.PRACTICE
    text, kept, fleeting = (look.exists(path) for path in (SYSLOG, JOURNAL, VOLATILE))
    if fleeting and not kept:
        note = f"it is in memory: nothing of it outlasts a power cut. A folder {JOURNAL} would keep it"
        look.add(Group.LOG, PathKind.LOG, VOLATILE, "systemd's journal", note=note)
    else:
        absent = "the practice machine logs to nowhere" if played else "no systemd-journald has run here"
        look.add(Group.LOG, PathKind.LOG, JOURNAL, "systemd's journal", absent=absent)
    look.add(
        Group.LOG, PathKind.LOG, SYSLOG, "the log as text, as the guide reads it",
        absent="the journal is the log here" if not text else "",
    )  # fmt: skip
