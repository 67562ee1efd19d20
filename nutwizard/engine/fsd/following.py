"""A client's part: wait for FSD on its server, note it, and tell the last lines. It never fires anything."""

from __future__ import annotations

from collections.abc import Callable

from nutwizard.core.errors import UsageError
from nutwizard.core.fsd.moments import client_moments, final_delay, logs_command
from nutwizard.core.fsd.record import Happened, Record
from nutwizard.core.rules.rule import Look
from nutwizard.core.upsmon import Monitor
from nutwizard.engine.fsd.asking import server_says
from nutwizard.engine.fsd.records import Records, boot_now
from nutwizard.engine.host import Host

#: Seconds that FSD is waited for, between two looks, and that this machine is watched after SHUTDOWNCMD.
WAIT, _LOOK, _AFTER = 900.0, 0.5, 60.0


def follow(host: Host, look: Look, tell: Callable[[str], None]) -> Record | None:
    """Wait for FSD; the record, or None when it did not come within WAIT.

    Raises UsageError where upsmon.conf follows nobody.
    """
    servers = [each for each in look.monitors if each.entry.args[1] != "0"]
    if not servers:
        raise UsageError(
            "upsmon.conf follows no UPS: there is nothing to wait for.", "nutwizard step monitor"
        )
    names = ", ".join(each.system for each in servers)
    tell(f"Waiting for FSD on {names}, {WAIT / 60:.0f} minutes at most. Nothing is fired from here.")
    end = host.ticks() + WAIT
    silent = False
    while host.ticks() < end:
        told = [_status(host, each) for each in servers]
        if any("FSD" in status.split() for status in told):
            return _noted(host, look, servers)
        if (not any(told)) != silent:
            silent = not silent
            tell("The server does not answer." if silent else "The server answers again.")
        host.sleep(_LOOK)
    return None


def count_down(host: Host, look: Look, record: Record, tell: Callable[[str], None]) -> None:
    """The seconds until this machine's SHUTDOWNCMD, and a while after it: until the connection is lost."""
    final = final_delay(look)
    tell("FSD is set on the server: this machine shuts down.")
    said = -1
    while (seconds := host.now() - record.at) < final + _AFTER:
        left = round(final - seconds)
        if 0 <= left != said:
            said = left
            tell(f"{seconds:5.1f} s  SHUTDOWNCMD in about {left} s; then this connection is lost")
        host.sleep(_LOOK)
    tell(f"This machine still runs {final + _AFTER:.0f} s after the FSD: nutwizard fsd report")


def _status(host: Host, monitor: Monitor) -> str:
    told = server_says(host, monitor.server, monitor.port, monitor.ups)
    return told[0].get(monitor.ups, "") if told is not None else ""


def _noted(host: Host, look: Look, servers: list[Monitor]) -> Record:
    """The record; where it cannot be kept the countdown goes on all the same."""
    record = Record(
        id=0,
        at=host.now(),
        boot=boot_now(host),
        role=look.role,
        host=look.facts.hostname,
        systems=tuple(each.system for each in servers),
        nut=look.facts.nut.text,
        moments=client_moments(final_delay(look)),
        logs_command=logs_command(look),
    )
    records = Records(host)
    try:
        kept = records.begin(record)
    except OSError:
        return record
    records.note(kept, Happened.SEEN)
    return kept
