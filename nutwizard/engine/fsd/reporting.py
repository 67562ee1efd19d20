"""After the reboot: the logs of the boot before, and how things stand now, made into a report and kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from nutwizard.core.errors import UsageError
from nutwizard.core.facts import Facts, Role
from nutwizard.core.fsd.moments import client_moments, final_delay, logs_command
from nutwizard.core.fsd.ready import Ready, flag_of
from nutwizard.core.fsd.record import Record
from nutwizard.core.fsd.report import Case, Report, Today, make_report
from nutwizard.core.fsd.seen import KINDS, Seen, Told, last_sequence
from nutwizard.core.rules.rule import Look
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.core.units import SERVER
from nutwizard.engine import registry
from nutwizard.engine.fsd.asking import server_says, upsd_says
from nutwizard.engine.fsd.records import GOING, Records, Result, boot_now
from nutwizard.engine.host import Host
from nutwizard.engine.logs import BootLog, boot_before, read_boot
from nutwizard.formats.safe import safe_text

#: Seconds of log before the command and after it that belong to a test.
_BEFORE, _AFTER = 10.0, 3600.0
_LONGEST = 200
#: Bytes of a report that a client has handed over.
_MOST = 1 << 20


def report_on(host: Host, facts: Facts, role: Role, clients: Sequence[Seen] = ()) -> tuple[Report, Seen]:
    """The report on the newest test, and what this machine's own log tells of it. What came of it is kept.

    Raises UsageError where there was no test.
    """
    records = Records(host)
    record = records.newest()
    look = Look(View(facts, Site(role), registry.asset))
    if record is None or record.role is not role:
        record = _found_in_log(host, facts, look) if role is Role.CLIENT else None
    if record is None:
        raise UsageError(
            "No forced shutdown was tested here yet.",
            "nutwizard fsd tests one"
            if role is Role.HOST
            else "None is in the log of the boot before either.",
        )
    own = _own(host, facts, record)
    logs = _logs(records, record, clients)
    case = Case(record, records.notes(record), own, logs, _today(host, facts, look))
    made = make_report(case)
    if record.id and (own.went_down or host.now() - record.at > GOING or case.failed):
        records.keep(Result(record.id, record.at, made.outcome))
    return made, own


def _logs(records: Records, record: Record, handed: Sequence[Seen]) -> tuple[Seen, ...]:
    """The clients' logs: those handed over now, which are kept, and those of before. Raises UsageError for
    one that is of another time than the test.
    """
    if not record.id:
        return tuple(handed)
    for seen in handed:
        noticed = next((each.at for each in seen.told), None)
        if noticed is not None and abs(noticed - record.at) > _AFTER:
            raise UsageError(f"The report of {seen.machine} is of another forced shutdown than this one.")
        records.keep_log(record, seen)
    names = {seen.machine for seen in handed}
    return (*handed, *(seen for seen in records.logs(record) if seen.machine not in names))


def booted(host: Host) -> float:
    """When PID 1 started, seconds since the epoch: of a container, too, which has the kernel's btime of its
    host; 0 where nothing tells.
    """
    with suppress(OSError, ValueError, IndexError, StopIteration):
        lines = host.read("/proc/stat").decode("ascii", "replace").splitlines()
        btime = float(next(line for line in lines if line.startswith("btime ")).split()[1])
        ticks = host.read("/proc/1/stat").decode("ascii", "replace").rpartition(")")[2].split()[19]
        return btime + int(ticks) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _own(host: Host, facts: Facts, record: Record) -> Seen:
    """This machine's log of that boot."""
    now, began = boot_now(host), booted(host)
    log = read_boot(host, record.boot, record.at - _BEFORE, record.at + _AFTER, began)
    same = record.boot == now
    addresses = tuple(each.address for each in facts.addresses() if not each.loopback)
    return Seen(
        machine=safe_text(facts.hostname[:_LONGEST]),
        role=record.role,
        addresses=addresses,
        told=_sequence(log),
        source=log.source,
        why=log.why,
        last=None if same else log.last,
        boot=record.boot,
        now=now,
        booted=0.0 if same else began,
        whole=None if same else log.whole,
    )


def _sequence(log: BootLog) -> tuple[Told, ...]:
    told = (
        Told(each.line.at, each.kind, safe_text(each.line.text[:_LONGEST]))
        for each in log.events
        if each.kind in KINDS
    )
    return last_sequence(told)


def _found_in_log(host: Host, facts: Facts, look: Look) -> Record | None:
    """A client on which nobody waited: the forced shutdown that its journal of the boot before tells of."""
    boot = boot_before(host)
    log = read_boot(host, boot, 0.0, host.now(), 0.0) if boot else BootLog()
    told = _sequence(log)
    if not told:
        return None
    return Record(
        id=0, at=told[0].at, boot=boot, role=Role.CLIENT, host=facts.hostname,
        systems=tuple(each.system for each in look.monitors), nut=facts.nut.text,
        moments=client_moments(final_delay(look)), logs_command=logs_command(look),
    )  # fmt: skip


def _today(host: Host, facts: Facts, look: Look) -> Today:
    flag = flag_of(look)
    there = flag if facts.program(flag).kind == "file" else ""
    if look.role is Role.CLIENT:
        found: dict[str, str] = {}
        for each in look.monitors:
            told = server_says(host, each.server, each.port, each.ups)
            if told is not None and each.ups in told[0]:
                found[each.system] = told[0][each.ups]
        return Today(found, there)
    ready = Ready(look)
    told = upsd_says(host, facts)
    if told is None:
        return Today(flag=there)
    ready = replace(ready, logged_in=told[1])
    guests = tuple(address for guest in facts.guests() for address in guest.addresses)
    return Today(dict(told[0]), there, tuple(ready.others), facts.unit(SERVER).since or 0.0, guests)


def keep_measured(host: Host, made: Report) -> bool:
    """Hand the measured parts to the budget; False where nothing was kept."""
    from nutwizard.core.measured import How, Measurement
    from nutwizard.engine import measured

    rows = [Measurement(what, seconds, made.begin, How.FSD) for what, seconds in made.durations.items()]
    return bool(rows) and measured.add(host, rows)


def read_clients(names: Sequence[str]) -> tuple[Seen, ...]:
    """The reports that clients have handed over. Raises UsageError naming the file."""
    from nutwizard.core.fsd.seen import seen_of

    found = []
    for name in names:
        try:
            if not stat.S_ISREG(os.stat(name).st_mode):
                raise UsageError(f"{name}: is no regular file")
            with open(name, "rb") as stream:
                found.append(seen_of(stream.read(_MOST)))
        except OSError as error:
            raise UsageError(f"{name}: {error.strerror}") from None
        except ValueError as error:
            raise UsageError(f"{name}: {error}", "There: nutwizard fsd report --json > FILE") from None
    return tuple(found)
