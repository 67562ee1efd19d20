"""The test of a forced shutdown, as lines: what has to be so, what will happen, what did happen."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from nutwizard.core.clients import few
from nutwizard.core.facts import Door, Role
from nutwizard.core.fsd.moments import Mark, Moment, Times, hostsync_cuts, moments, times_of
from nutwizard.core.fsd.ready import Item, Ready, Standing, asked, blocked, flag_of
from nutwizard.core.fsd.report import Fit, Outcome, Point, Report, Row
from nutwizard.core.outside import YES
from nutwizard.wording.layout import WIDEST, Line, Tone, cells

if TYPE_CHECKING:
    from nutwizard.engine.fsd.records import Result

_INDENT = " " * 16
#: Said where nothing can be fired.
PRACTICE_END = (
    "Nothing can be fired on a practice machine: no power hangs on it. nutwizard rehearse plays the whole"
    " sequence through with NUT's own daemons."
)
#: Debian's wall writes on terminals that are not the caller's by the right of its group (setgid tty).
WALL, _SETGID = "/usr/bin/wall", 0o2000
TITLE = "The real test of a forced shutdown"
#: What is asked last, and what stands before it.
NAME = "name of this host"
WARNING = (
    "This shuts down every client, every guest and this host, and the UPS cuts the power of all it feeds."
)
#: Asked once, and remembered.
LOADS = (
    "The UPS cuts the power of all that hangs on it, for some seconds at least: a switch, a router, a NAS,"
    ' another PC. What else does? Names, or "nothing". It is remembered for the next time.'
)
NOTHING = "Nothing was fired."
GOES_ON = "Leaving this view does not stop the shutdown."
VIEW_ENDED = "The shutdown goes on; this was only the view of it."
STILL_HERE = "This host still runs. What to do: nutwizard fsd report"


def item_lines(found: Iterable[Item]) -> list[Line]:
    """Each precondition with its evidence, and what to do about one that is not met."""
    out: list[Line] = []
    for item in found:
        out += _hung(f"{item.standing.value:<14}  ", f"{item.title}: {item.evidence}")
        if item.fix and item.standing is not Standing.MET:
            out += _hung(_INDENT, item.fix)
    return out


def counted(found: Sequence[Item]) -> str:
    """Such as "1 in the way, 2 to acknowledge"."""
    many = ((len(blocked(found)), Standing.BLOCKS), (len(asked(found)), Standing.ASKED))
    return ", ".join(f"{n} {standing.value}" for n, standing in many if n) or "all met"


def ready_lines(ready: Ready, found: Sequence[Item]) -> list[Line]:
    """Everything before the questions: the preconditions and the sequence."""
    head = [Line(TITLE, Tone.TITLE), Line(), Line(WARNING), Line()]
    end = [Line(), Line(counted(found).capitalize(), Tone.TITLE)]
    practice = [Line(), Line(PRACTICE_END)] if ready.look.facts.door is Door.PRACTICE else []
    return [*head, *item_lines(found), *end, Line(), *sequence_lines(ready), *practice]


def sequence_lines(ready: Ready) -> list[Line]:
    """What will happen, in the guide's order, with this machine's times."""
    ups = ready.watched[0].ups if ready.watched else ""
    times = times_of(ready.look, ups)
    rows = list(_rows(ready, times, {each.mark: each for each in moments(times, len(ready.others))}))
    out = [Line("What will happen, in seconds from the command", Tone.TITLE), *_aligned(rows)]
    if hostsync_cuts(times, len(ready.others)):
        out.append(
            Line(
                f"HOSTSYNC ({times.hostsync} s) may end before the clients have left: nutwizard step timing",
            )
        )
    return [*out, Line(), *_terminals(ready), Line(), *_back(ready)]


def _aligned(rows: Sequence[tuple[str, str, str]]) -> Iterator[Line]:
    """(when, who, what) in columns; what is long goes on below itself."""
    first = max(cells(when) for when, _, _ in rows)
    second = max(cells(name) for _, name, _ in rows)
    for when, name, text in rows:
        yield from _hung(f"  {when:>{first}}  {name:<{second}}  ", text)


def _hung(head: str, text: str) -> Iterator[Line]:
    """The text behind its head; what is long goes on below itself. A pane takes some of the columns."""
    width = max(20, WIDEST - 4 - cells(head))
    for n, part in enumerate(textwrap.wrap(text, width, break_on_hyphens=False) or [""]):
        yield Line((" " * cells(head) if n else head) + part, Tone.PLAIN)


def last_words(name: str) -> str:
    """Right before the name is typed."""
    return f"To fire it, type the name of this host: {name}. Ctrl-C leaves, and nothing happens."


def span(moment: Moment) -> str:
    """When a moment is expected, such as "5 to 12"."""
    if moment.first is None or moment.last is None:
        return ""
    first, last = f"{moment.first:g}", f"{moment.last:g}"
    return first if first == last else f"{first} to {last}"


def _rows(ready: Ready, times: Times, at: dict[Mark, Moment]) -> Iterator[tuple[str, str, str]]:
    """(when, who, what)."""
    host = ready.look.facts.hostname[:16] or "this host"
    who = "clients" if len(ready.others) > 1 else "client"
    yield "0", host, "upsmon -c fsd; upsmon sets FSD in upsd"
    if ready.others:
        yield span(at[Mark.NOTICED]), who, "sees FSD at its next poll (POLLFREQ), says SHUTDOWN"
        text = f"its FINALDELAY later, {times.client_finaldelay} s by default: SHUTDOWNCMD, and logs out"
        yield span(at[Mark.LEFT]), who, text
        text = (
            f"goes on once all have logged out, after HOSTSYNC ({times.hostsync} s) at the latest: SHUTDOWN"
        )
        yield span(at[Mark.HOST]), host, text
    else:
        yield span(at[Mark.HOST]), host, "SHUTDOWN at once: no client is logged in"
    text = f"FINALDELAY ({times.finaldelay} s) later: {flag_of(ready.look)}, SHUTDOWNCMD"
    yield span(at[Mark.COMMAND]), host, text
    guests = len(ready.look.facts.guests())
    stops = f"stops its {guests} guest{'s' * (guests != 1)}, then itself" if guests else "stops"
    yield "then", host, f"{stops}; its last hook, nutshutdown, tells the UPS"
    off = f"{times.offdelay} s (offdelay) later" if times.offdelay is not None else "after its offdelay"
    yield "then", "UPS", f"{off} it cuts the power of all that hangs on it"
    on = f", {times.ondelay} s (ondelay)" if times.ondelay is not None else ""
    yield "then", "UPS", f"gives power again{on}: the mains are there"


def _terminals(ready: Ready) -> Iterator[Line]:
    """What is to be seen there. wall(1) reaches others' terminals only where it has the group's right to."""
    owner = ready.look.facts.program(WALL).owner
    yield Line("On the terminals", Tone.TITLE)
    if owner is not None and owner.mode & _SETGID:
        yield Line("  upsmon says: Executing automatic power-fail shutdown. In the clients first, then here.")
    else:
        yield Line(
            "  You may see nothing before the connection breaks. In the guide upsmon says: Executing"
            " automatic power-fail shutdown; since 2024 Debian lets user nut write on no terminal."
        )
    yield Line("  shutdown may say: The system will power off now.")
    order = f"{_names(ready)} first, this one last" if ready.others else "this one"
    yield Line(f"  Connections break in this order: {order}.")


def _back(ready: Ready) -> Iterator[Line]:
    """Who comes back by himself, and who has to be switched on."""
    yield Line("Afterwards", Tone.TITLE)
    alone = ready.look.outside.restart == YES
    text = "comes back by itself when the UPS gives power" if alone else "may have to be switched on by hand"
    yield Line(f"  {ready.look.facts.hostname or 'This host'} {text}.")
    guests = ready.look.facts.guests()
    for onboot, says in ((True, "start with it"), (False, "have to be started by hand")):
        names = [f"{each.id} {each.name}".strip() for each in guests if each.onboot is onboot]
        if names:
            yield Line(f"  Guests that {says}: {few(names, 6)}.")
    yield Line("  Then, here and in the clients: nutwizard fsd report")


def _names(ready: Ready) -> str:
    known = {own: client.name for client in ready.clients for own in client.addresses}
    return few([known.get(each, each) for each in ready.others], 5)


def report_lines(made: Report) -> list[Line]:
    """What happened against what was expected, then what follows from it."""
    record = made.record
    where = "on this host" if record.role is Role.HOST else "of this client"
    out = [
        Line(
            f"Forced shutdown {where} ({record.host}), {_stamp(made.begin)}: {made.outcome.value}", Tone.TITLE
        )
    ]
    out += [Line(), *_table(made.rows), Line()] if made.rows else [Line()]
    for point in made.points:
        out += _hung(f"{_word(point):<8} ", point.text)
        if point.fix and point.good is not True:
            out += _hung(" " * 9, point.fix)
    out += _way_back(made)
    if record.acknowledged:
        out += [Line(), Line("Acknowledged before it:"), *(Line(f"  {each}") for each in record.acknowledged)]
    return out


def _way_back(made: Report) -> Iterator[Line]:
    """The commands after which nothing of the test acts any more."""
    if not (made.latched or made.today.flag) or made.record.role is not Role.HOST:
        return
    yield from (Line(), Line("To come back, in this order, on this host:", Tone.TITLE))
    if made.latched:
        yield Line("    systemctl restart nut-server", Tone.COPY)
        yield from (Line(f"    upsc {ups} ups.status", Tone.COPY) for ups in made.latched)
        yield Line("Go on once no FSD stands there any more:")
    yield Line("    systemctl restart nut-monitor", Tone.COPY)
    if made.today.flag:
        yield Line(f"    ls {made.today.flag}", Tone.COPY)
        yield Line("It has to be gone. Then in each client that still runs:")
    else:
        yield Line("Then in each client that still runs:")
    yield Line("    systemctl restart nut-monitor", Tone.COPY)


def tested_line(result: Result | None) -> str:
    """For the overview and `status`; "" where nothing was tested."""
    if result is None:
        return ""
    day = time.strftime("%Y-%m-%d", time.localtime(result.at))
    return f"Forced shutdown tested on {day}: {result.outcome.value}"


def _word(point: Point) -> str:
    return "open" if point.good is None else "well" if point.good else "NOT WELL"


def _table(rows: Sequence[Row]) -> list[Line]:
    texts = [("seconds", "expected", "who", "what")]
    for row in rows:
        at = "-" if row.at is None else f"{round(row.at, 1) + 0:.1f}"  # + 0: no "-0.0"
        said = row.text if row.fit in (Fit.WELL, Fit.OPEN) else f"{row.text} ({row.fit.value})"
        texts.append((at, span(row.expected), row.who, said))
    widths = [max(cells(each[column]) for each in texts) for column in range(3)]
    return [
        Line(f"{at:>{widths[0]}}  {span_:<{widths[1]}}  {who:<{widths[2]}}  {text}")
        for at, span_, who, text in texts
    ]


def _stamp(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def ended_well(made: Report) -> bool:
    """Whether nothing is bad and nothing that is needed is open."""
    return made.outcome is Outcome.WELL
