"""The host's part of a report: the guide's lines in their order, and what they say."""

from __future__ import annotations

from collections.abc import Iterator

from nutwizard.core.clients import few, same_address
from nutwizard.core.fsd.moments import Mark, Moment
from nutwizard.core.fsd.record import Happened
from nutwizard.core.fsd.report import Case, Point, Row, at_of, row_of
from nutwizard.core.fsd.seen import Seen
from nutwizard.core.logtexts import Kind

#: Seconds: clocks that differ by less are alike.
ALIKE = 2.0
#: Seconds: a boot takes less; an upsd that started later was restarted since.
_BOOT = 900.0
RESTART = "Restart nut-server first and alone: an upsmon that starts earlier obeys the order"
CUT_OFF = "its log ends in the middle of its shutdown: it lost its power, or was stopped hard"
CUT_FIX = "nutwizard budget: guests' time-outs, offdelay and the battery have to fit together"
ON_DISK = "For the next time: mkdir /var/log/journal; systemctl restart systemd-journald"


def rows(case: Case) -> Iterator[Row]:
    """Every moment of the sequence, the clients' among them."""
    own, host, wanted = case.own, case.record.host, case.record.expected
    blind = not own.source
    asked, was_set = own.first(Kind.FSD_ASKED), own.first(Kind.SET_FSD)
    if case.failed and was_set is None:
        return
    told = at_of(asked)
    if told is not None and was_set is not None:  # two ways into the journal: they overtake each other
        told = min(told, was_set.at)
    yield row_of(case, host, "upsmon is told to force the shutdown", told, wanted(Mark.FIRED), open_=blind)
    yield row_of(case, host, "FSD is set in upsd", at_of(was_set), wanted(Mark.SET), open_=blind)
    for address in case.record.logged_in:
        yield from _client(case, address)
    if (expired := own.first(Kind.HOSTSYNC)) is not None:
        yield row_of(case, host, "HOSTSYNC is over: it waits no longer", expired.at, Moment(Mark.HOST))
    begins = own.first(Kind.POWERFAIL, Kind.SHUTDOWN)
    yield row_of(
        case,
        host,
        "SHUTDOWN: its own part begins",
        at_of(begins),
        wanted(Mark.HOST),
        open_=blind,
    )
    command, silent = own.first(Kind.SHUTDOWNCMD), blind or not case.record.logs_command
    yield row_of(case, host, "SHUTDOWNCMD", at_of(command), wanted(Mark.COMMAND), open_=silent)
    if own.went_down:
        yield row_of(case, host, "its log ends", own.last, wanted(Mark.DOWN), open_=True)
        if own.off is not None:
            yield row_of(case, host, "it is up again", own.booted, wanted(Mark.BACK))


def _client(case: Case, address: str) -> Iterator[Row]:
    """A client by its own log, and by what this host saw of it."""
    name, seen = case.name_of(address), case.log_of(address)
    wanted = case.record.expected
    left = next(
        (each.at for each in case.notes if each.what is Happened.LEFT and same_address(each.who, address)),
        None,
    )
    if seen is None:
        if left is None:
            yield row_of(case, name, "its log was not handed over", None, wanted(Mark.NOTICED), open_=True)
    else:
        blind = not seen.source
        noticed, command = seen.first(Kind.FSD), seen.first(Kind.SHUTDOWNCMD)
        yield row_of(case, name, "sees FSD", at_of(noticed), wanted(Mark.NOTICED), open_=blind)
        yield row_of(case, name, "SHUTDOWNCMD", at_of(command), wanted(Mark.LEFT), open_=True)
        if seen.went_down and seen.last is not None:
            yield row_of(case, name, "its log ends", seen.last, Moment(Mark.DOWN))
    if left is not None:  # this host looks a few times a second: it was gone by then
        begins = case.own.first(Kind.POWERFAIL, Kind.SHUTDOWN)
        if begins is not None and case.own.first(Kind.HOSTSYNC) is None:
            left = min(left, begins.at)
        yield row_of(case, name, "is gone from upsd's list by now", left, wanted(Mark.LEFT))


def points(case: Case) -> Iterator[Point]:
    """What the test was to show."""
    if case.failed:
        yield Point(f"It was not fired: {case.failed}", False, "nutwizard check, then again")
        yield from left_over(case)
        return
    own = case.own
    if not own.source:
        yield Point(
            f"The log of that boot cannot be read: {own.why or 'there is none'}",
            None,
            ON_DISK,
        )
    elif own.first(Kind.SET_FSD) is None:
        yield Point("No line says that FSD was set in upsd", False, "nutwizard check")
    else:
        yield Point("FSD was set in upsd", True)
        yield from _order(case)
        yield from _command(case)
    yield from _down(case)
    yield _cut(case)
    yield from left_over(case)
    yield from _back(case)


def _order(case: Case) -> Iterator[Point]:
    """The clients go before the host."""
    own = case.own
    begins = own.first(Kind.POWERFAIL, Kind.SHUTDOWN)
    if begins is None:
        yield Point("This host never began its own part: no SHUTDOWN in its log", False, "nutwizard check")
        return
    if (expired := own.first(Kind.HOSTSYNC)) is not None:
        yield Point(
            f"A client was still logged in after HOSTSYNC ({expired.at - case.begin:.0f} s): this host"
            " went on without it",
            False, "HOSTSYNC longer than the clients' POLLFREQ and FINALDELAY: nutwizard step timing",
        )  # fmt: skip
    elif not case.record.logged_in:
        yield Point("No client was logged in: that clients go first was not tested", None, needed=False)
    else:
        names = few([case.name_of(each) for each in case.record.logged_in], 5)
        yield Point(f"Before this host went on every client had logged out: {names}", True)
    for seen in case.clients:
        yield from _by_its_own_log(case, seen, begins.at)
    yield from _not_told(case)


def _not_told(case: Case) -> Iterator[Point]:
    """A logout is no end: of a client whose log is not here nobody knows when it was down. This host's own
    shutdown waits for its guests.
    """
    for address in case.record.logged_in:
        if case.log_of(address) is None:
            guest = any(same_address(address, each) for each in case.today.guests)
            text = f"When {case.name_of(address)} was down is not told here"
            fix = "There: nutwizard fsd report --json > FILE; then here: nutwizard fsd report --client FILE"
            yield Point(text, None, fix, needed=not guest)


def _by_its_own_log(case: Case, seen: Seen, begins: float) -> Iterator[Point]:
    """What a client's handed-over log says about the order. `begins`: when this host went on."""
    who, noticed, command = seen.machine, seen.first(Kind.FSD), seen.first(Kind.SHUTDOWNCMD)
    if not seen.source:
        why = seen.why or "there is none"
        yield Point(f"{who}: its log of that boot cannot be read: {why}", None, needed=False)
    elif noticed is None:
        yield Point(f"{who}: no line of its log tells of the FSD", False, "There: nutwizard check")
    elif noticed.at < case.begin - ALIKE:
        behind = case.begin - noticed.at
        text = f"{who}: its clock is {behind:.0f} s behind this host's, so its times say little"
        yield Point(text, None, "There: timedatectl", needed=False)
        return
    elif command is not None and command.at > begins + ALIKE:
        text = f"{who}: it began to shut down {command.at - begins:.0f} s after this host had gone on"
        yield Point(text, False, "HOSTSYNC: nutwizard step timing")
    if seen.went_down is False:
        yield Point(f"{who} did not go down: it still runs that boot", False, "There: nutwizard check")
    elif seen.whole is False:
        yield Point(f"{who}: {CUT_OFF}", False, CUT_FIX)
    elif case.own.went_down and None not in (seen.last, case.own.last):
        yield from _ended(who, (seen.last or 0) - (case.own.last or 0))


def _ended(who: str, after: float) -> Iterator[Point]:
    """Whether a client's log ended before this host's: `after` in seconds."""
    if after > ALIKE:
        text = f"{who}: its log ends {after:.0f} s after this host's: it may have lost its power at work"
        yield Point(text, False, "FINALDELAY on this host: nutwizard step timing")
    else:
        yield Point(f"{who}: its log ends {-after:.0f} s before this host's", True)


def _command(case: Case) -> Iterator[Point]:
    if case.own.first(Kind.SHUTDOWNCMD) is not None:
        yield Point("SHUTDOWNCMD was called", True)
    elif case.record.logs_command:
        yield Point("No line says that SHUTDOWNCMD was called", False, "nutwizard step timing")
    else:
        yield Point("SHUTDOWNCMD of your own leaves no line of the guide in the log", None, needed=False)


def _down(case: Case) -> Iterator[Point]:
    went = case.own.went_down
    if went and case.own.whole is False:
        yield Point(f"This host: {CUT_OFF}", False, CUT_FIX)
    elif went:
        yield Point("This host went down, and is up again", True)
    elif went is None:
        yield Point("Whether this host went down is not known: the kernel's boot id could not be read", None)
    else:
        yield Point(
            "This host did not go down: it still runs the boot in which the test was fired",
            False,
            "SHUTDOWNCMD: nutwizard step timing",
        )


def _cut(case: Case) -> Point:
    """No line can tell of it: it happens after the log. What is known is how long the machine was off."""
    own, off = case.own, case.record.offdelay
    if own.went_down is False:
        return Point("The UPS cut no power: this host still runs", None, needed=False)
    if own.whole is False:
        return Point("The UPS was never told to cut the power", None, needed=False)
    unknown, gap = "Whether the UPS cut the power is not known", own.off
    if gap is None:
        return Point(unknown, None, "How long this host was off is not known", needed=False)
    if off is None:
        why = f"This host was off for {gap:.0f} s; the offdelay of the UPS is not known"
        return Point(unknown, None, why, needed=False)
    if gap < off:
        text = f"The UPS had not cut the power when this host came up again, after {gap:.0f} s"
        return Point(text, False, f"offdelay is {off} s. nutwizard check: the link poweroff")
    why = f"This host was off for {gap:.0f} s, and offdelay is {off} s: that fits a cut, and a hand, too"
    return Point(unknown, None, why, needed=False)


def left_over(case: Case) -> Iterator[Point]:
    """What would act again: FSD in upsd's memory, and the flag."""
    today = case.today
    latched = [ups for ups, status in today.status.items() if "FSD" in status.split()]
    if latched:
        yield Point(
            f"FSD is still set in upsd for {few(latched)}: an upsmon that starts now shuts its machine down",
            False,
            RESTART,
        )
    elif today.status:
        yield Point("FSD is gone from upsd", True)
    else:
        yield Point(
            "Whether FSD is still set is not known: upsd does not answer", None, "systemctl status nut-server"
        )
    if today.flag:
        yield Point(
            f"{today.flag} is still there: the next plain shutdown would cut the power",
            False,
            "upsmon removes it when it starts",
        )
    else:
        yield Point("The flag for the hook is gone", True)


def _back(case: Case) -> Iterator[Point]:
    there = case.today.logged_in
    for address in case.record.logged_in:
        name = case.name_of(address)
        if there is None:
            yield Point(f"Whether {name} is logged in again is not known", None, needed=False)
        elif any(same_address(address, each) for each in there):
            yield Point(f"{name} is logged in again", True)
        else:
            yield Point(
                f"{name} is not logged in yet", None, "switch it on; there: nutwizard check", needed=False
            )


def durations(case: Case) -> dict[str, float]:
    """What was measured, in seconds, by the words of `core.measured`."""
    own, begin = case.own, case.begin
    begins, command = own.first(Kind.POWERFAIL, Kind.SHUTDOWN), own.first(Kind.SHUTDOWNCMD)
    noticed = [line.at - begin for seen in case.clients if (line := seen.first(Kind.FSD)) is not None]
    found: dict[str, float | None] = {"notice": max(noticed, default=None)}
    if begins is not None and case.record.logged_in and own.first(Kind.HOSTSYNC) is None:
        found["clients"] = begins.at - begin
    if begins is not None and command is not None:
        found["final"] = command.at - begins.at
    if command is not None and own.went_down and own.last is not None and own.whole is not False:
        found["host"] = own.last - command.at
    if own.off is not None and 0 < case.today.served - own.booted < _BOOT:
        found["boot"] = case.today.served - own.booted
    return {what: seconds for what, seconds in found.items() if seconds is not None and seconds >= 0}
