"""A rehearsal in words: the timeline as it happens, a line a moment, and the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence

from nutwizard.core.clients import few
from nutwizard.core.logtexts import Kind
from nutwizard.core.rehearsal.cast import Item
from nutwizard.core.rehearsal.form import Form, Staging
from nutwizard.core.rehearsal.moments import Moment, What
from nutwizard.core.rehearsal.scenario import ends
from nutwizard.core.rehearsal.verdict import Verdict
from nutwizard.core.rules.rule import Severity
from nutwizard.engine.rehearsal.casting import Wanted
from nutwizard.engine.rehearsal.company import Company
from nutwizard.engine.rehearsal.run import Rehearsed
from nutwizard.wording.layout import WIDEST, Line, Tone
from nutwizard.wording.rehearsalforms import limits, plays, where

_BEST = Staging()
#: More clients than these are told of together.
FEW = 4
#: Seconds: what several clients do within this time is one line.
_TOGETHER = 1.0
_WIDEST_NAME = 16
_STATUS = {
    "OL": "on mains",
    "OB": "on battery",
    "LB": "battery low",
    "CHRG": "charging",
    "FSD": "the host sets FSD",
}
_KINDS = {
    Kind.ONLINE: "sees the mains back",
    Kind.ONBATT: "sees the UPS on battery",
    Kind.LOWBATT: "sees the battery low",
    Kind.REPLBATT: "sees that the battery is to be replaced",
    Kind.FSD_ASKED: "was asked for a forced shutdown",
    Kind.FSD: "sees the forced shutdown (FSD)",
    Kind.POWERFAIL: "begins its power-fail shutdown",
    Kind.SHUTDOWN: "tells everybody; waits FINALDELAY",
    Kind.HOSTSYNC: "has waited HOSTSYNC and goes on",
    Kind.GAVE_UP: "gives up on the host",
    Kind.COMMBAD: "has lost upsd",
    Kind.NOCOMM: "cannot reach upsd",
    Kind.CONNECT_FAILED: "cannot connect to upsd",
    Kind.LOGIN_FAILED: "is refused by upsd",
    Kind.NO_PRIMARY: "has no primary rights",
    Kind.STALE: "upsd has no fresh data of the UPS",
    Kind.NO_DRIVER: "upsd has no driver",
    Kind.POLL_FAILED: "gets no data from upsd",
    Kind.NOPARENT: "upsmon has lost its root part",
}
_LIMITS = (
    "Not played: the real UPS and its USB cable, the network and its firewall, how long the guests take to"
    " stop, and whether the BIOS switches this machine on again: that is for nutwizard check, budget and fsd."
)


def head_lines(wanted: Wanted, company: Company, staging: Staging = _BEST, limit: float = 0.0) -> list[Line]:
    """What is about to be played, on what, and in which form. `limit`: seconds after which it is ended."""
    names = [each.name for each in company.sets[1:]]
    pace = "your own intervals" if wanted.real_time else "all intervals shortened"
    out = [Line(f"Rehearsal: {wanted.scenario.words}", Tone.TITLE)]
    clients = f", followed by {few(names)}" if names else ", followed by nobody"
    out.append(
        Line(
            f"{company.sets[0].name} serves the UPS{clients}. {plays(staging.form)}, your files, {pace};"
            f" {where(staging.form)}.{_at_most(limit)}"
        )
    )
    out.append(Line(limits(staging)))
    return [*out, *(Line(remark) for remark in company.remarks), Line()]


def _at_most(limit: float) -> str:
    return f" It is over after {limit:.0f} s at the latest, whatever hangs." if limit else ""


class Timeline:
    """The moments as lines of at most `columns`; `show` gets each when it is whole. `form`: who plays."""

    def __init__(
        self,
        names: Sequence[str],
        show: Callable[[Line], None],
        form: Form = Form.COPIES,
        columns: int = WIDEST,
    ) -> None:
        self._form = form
        self._host, self._clients = names[0], frozenset(names[1:])
        self._many = len(self._clients) > FEW
        shown = (names[0], f"{len(names)} clients") if self._many else names
        self._width = min(_WIDEST_NAME, max(len(name) for name in (*shown, "UPS")))
        self._show, self._columns = show, columns
        self._held: dict[str, list[Moment]] = {}
        self._begun = False

    def moment(self, moment: Moment) -> None:
        """Take one moment."""
        self._begun = self._begun or moment.what in (What.UPS, What.FSD_ASKED)
        text = words(moment)
        if self._form is Form.MODEL and moment.what is What.CALLED:
            text = f"would run{text.removeprefix('runs')}"
        if not text or (moment.kind is Kind.NO_DRIVER and not self._begun):
            return
        self._let_go(moment.at)
        if self._many and moment.machine in self._clients:
            self._held.setdefault(text, []).append(moment)
        else:
            self._line(moment.at, moment.machine or "UPS", text)

    def close(self) -> None:
        """Show what is still held together."""
        self._let_go(float("inf"))

    def _let_go(self, now: float) -> None:
        for text, held in list(self._held.items()):
            if now - held[0].at >= _TOGETHER:
                del self._held[text]
                names = list(dict.fromkeys(each.machine for each in held))
                who = names[0] if len(names) == 1 else f"{len(names)} clients"
                self._line(held[0].at, who, text)

    def _line(self, at: float, who: str, text: str) -> None:
        name = who if len(who) <= _WIDEST_NAME else f"{who[: _WIDEST_NAME - 1]}~"
        when = f"{at:7.1f}" if self._begun else " " * 7
        head = f"{when}  {name:<{self._width}}  {' ' * (len(text) - len(text.lstrip()))}"
        parts = textwrap.wrap(text.strip(), max(20, self._columns - len(head) - 1), break_on_hyphens=False)
        for n, part in enumerate(parts):
            self._show(Line(f"{head if n == 0 else ' ' * (len(head) + 1)}{part}", Tone.PLAIN))


def words(moment: Moment) -> str:
    """One moment in words, "" for what is of no interest beside the others."""
    what, text = moment.what, moment.text
    if what is What.UPS:
        return ", ".join(_STATUS[word] for word in sorted(text.split(), key=_rank) if word in _STATUS)
    if what is What.EVENT and moment.kind is Kind.LOGGED_IN:
        return text[:1].lower() + text[1:]
    if what is What.LOGGED and text.startswith("upssched-cmd: "):
        own = text.removeprefix("upssched-cmd: ")
        return "" if own.startswith("Calling upssched-cmd") else f"  log: {own}"
    if what is What.EVENT and moment.kind is Kind.SET_FSD:
        return "sets FSD: everybody is told to go down"
    if what is What.EVENT:
        return _KINDS.get(moment.kind, "") if moment.kind is not None else ""
    as_user = f" (as {moment.user})" if moment.user else ""
    return {
        What.CALLED: f"runs {text.partition(': ')[2] or text}{as_user}",
        What.RETURNED: f"the script ended with code {moment.code}" if moment.code else "",
        What.SAID: f"  it says: {text}",
        What.LOGGED: f"  log: {text}",
        What.COMPLAINT: f"  ! {text}",
        What.ENDED: f"{text} ended with code {moment.code}" if moment.code else "",
        What.END: f"{text}: would go off now{as_user}",
        What.RAN: f"would run {text}{as_user}",
        What.FSD_ASKED: "upsmon -c fsd",
        What.HOOK: "late in its shutdown: nutshutdown",
        What.CUT: "tells the UPS to cut its output (offdelay begins)",
    }.get(what, "")


def _rank(word: str) -> int:
    return list(_STATUS).index(word) if word in _STATUS else len(_STATUS)


def verdict_lines(done: Rehearsed) -> list[Line]:
    """What it showed, broken things first, each with what mends it."""
    found = [line for item in done.verdict.items for line in item_lines(item)]
    return [Line(), Line(headline(done), Tone.TITLE), *length_lines(done), *found, *limit_lines(done)]


def length_lines(done: Rehearsed) -> list[Line]:
    """How long it took, and who says so."""
    out = []
    if done.cut_off:
        text = f"It was ended after {done.limit:.0f} s: something hung. What came until then is above."
        out.append(Line(text))
    if done.form is Form.MODEL:
        out.append(Line("That is what a model of NUT 2.8.0 says, which runs no script."))
    return [*out, *_grown(done)]


def limit_lines(done: Rehearsed) -> list[Line]:
    """What it says nothing of."""
    times = "Times are of the play, not of your machines: nutwizard rehearse --real-time, or budget."
    return [*([] if done.pace.real else [Line(times)]), Line(_LIMITS)]


def item_lines(item: Item) -> list[Line]:
    """One finding."""
    where = f"{item.machine}: " if item.machine else ""
    out = [Line(f"- {item.severity.value}: {where}{item.text}")]
    return [*out, Line(f"    mend: {item.mend}", Tone.PLAIN)] if item.mend else out


def headline(done: Rehearsed) -> str:
    """What came of it, in one line."""
    verdict, wanted = done.verdict, ends(done.cast.scenario)
    broken = sum(item.severity is Severity.BROKEN for item in verdict.items)
    if broken:
        return f"Not well: {broken} thing{'s' if broken > 1 else ''} would not have worked."
    if done.cut_off:
        return "Not known: the rehearsal did not come to its end."
    if wanted is False:
        return "Well: nobody went down for a blip."
    if not verdict.ended:
        return "Nobody went down."
    if done.cast.simulated or not done.cast.clients:
        return f"Well: {', '.join(verdict.ended)} would have gone down in time."
    return f"Well, and in the right order: {_order(verdict)}."


def _order(verdict: Verdict) -> str:
    names = sorted(verdict.ended, key=lambda name: verdict.ended[name])
    if len(names) > FEW:
        return f"{len(names) - 1} clients, then {names[-1]}"
    return ", then ".join(names)


def _grown(done: Rehearsed) -> Iterable[Line]:
    """How long the sequence was, and how it grows with the clients."""
    found, count = done.verdict.spans, len(done.cast.clients)
    if "host" not in found:
        return
    if "last client" in found:
        first, last = found["first client"], found["last client"]
        who = (
            f"its {count} clients between {first:.1f} and {last:.1f} s"
            if count > 1
            else f"its client {last:.1f} s"
        )
        yield Line(
            f"After FSD: {who}, the host {found['host']:.1f} s"
            f" ({found['host'] - last:.1f} s after the last client's SHUTDOWNCMD)."
        )
    else:
        yield Line(f"After FSD: the host {found['host']:.1f} s.")
