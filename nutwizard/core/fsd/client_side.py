"""A client's part of a report: what it saw of the host's FSD, and whether it went down and came back."""

from __future__ import annotations

from collections.abc import Iterator

from nutwizard.core.fsd.host_side import CUT_FIX, CUT_OFF, ON_DISK
from nutwizard.core.fsd.moments import Mark
from nutwizard.core.fsd.report import Case, Point, Row, at_of, row_of
from nutwizard.core.logtexts import Kind


def rows(case: Case) -> Iterator[Row]:
    """The four lines of the guide, and the reboot."""
    own, name, wanted = case.own, case.record.host, case.record.expected
    blind = not own.source
    yield row_of(case, name, "sees FSD", at_of(own.first(Kind.FSD)), wanted(Mark.NOTICED), open_=blind)
    begins = own.first(Kind.POWERFAIL, Kind.SHUTDOWN)
    yield row_of(case, name, "SHUTDOWN", at_of(begins), wanted(Mark.HOST), open_=blind)
    silent = blind or not case.record.logs_command
    yield row_of(
        case, name, "SHUTDOWNCMD", at_of(own.first(Kind.SHUTDOWNCMD)), wanted(Mark.COMMAND), open_=silent
    )
    if own.went_down:
        yield row_of(case, name, "its log ends", own.last, wanted(Mark.DOWN), open_=True)
        if own.off is not None:
            yield row_of(case, name, "it is up again", own.booted, wanted(Mark.BACK))


def points(case: Case) -> Iterator[Point]:
    """What this machine can tell."""
    own = case.own
    if not own.source:
        why = own.why or "there is none"
        yield Point(f"The log of that boot cannot be read: {why}", None, ON_DISK)
    elif own.first(Kind.FSD) is None:
        yield Point("No line says that this machine saw FSD", False, "nutwizard check")
    else:
        yield Point("This machine saw FSD", True)
        if own.first(Kind.SHUTDOWNCMD) is not None:
            yield Point("SHUTDOWNCMD was called", True)
        elif case.record.logs_command:
            yield Point("No line says that SHUTDOWNCMD was called", False, "nutwizard step timing")
    if own.went_down and own.whole is False:
        yield Point(f"This machine: {CUT_OFF}", False, CUT_FIX)
    elif own.went_down:
        yield Point("This machine went down, and is up again", True)
    elif own.went_down is None:
        yield Point(
            "Whether this machine went down is not known: the kernel's boot id could not be read", None
        )
    else:
        yield Point("This machine did not go down: it still runs that boot", False, "nutwizard step timing")
    latched = [ups for ups, status in case.today.status.items() if "FSD" in status.split()]
    if latched:
        yield Point(
            "FSD is still set on the server", False, "On the host: systemctl restart nut-server, first"
        )
    elif case.today.status:
        yield Point("FSD is gone from the server", True)
    else:
        yield Point(
            "Whether FSD is still set is not known: the server does not answer",
            None,
            "nutwizard check",
            needed=False,
        )


def durations(case: Case) -> dict[str, float]:
    """None of them is this machine's: the budget is the host's."""
    return {}
