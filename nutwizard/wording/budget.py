"""The budget as lines: one picture of the time that is needed against the battery's, and what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nutwizard.core.budget.result import Advice, Basis, Budget, Part, Verdict
from nutwizard.core.facts import Role
from nutwizard.wording.layout import WIDEST, Line, Tone, fitted, lines_of, paint

#: Columns of the picture: what it is, how long it takes; what else stands beside the bar; the bar itself.
_WHAT, _LONG, _BESIDE, _BARS = 21, 6, 40, (12, 60)
#: What a bar is made of: while the battery lasts, when it is empty, while the UPS waits, the battery itself.
RUNS, LACKS, WAITS, BATTERY = "#", "!", ".", "="
_KNOWN = {Basis.MEASURED: "measured", Basis.CONFIGURED: "set", Basis.ASSUMED: "assumed"}
_VERDICTS = {
    Verdict.FITS: "It fits",
    Verdict.TOO_LONG: "IT DOES NOT FIT",
    Verdict.UNKNOWN: "Whether it fits is not known",
}
#: How the advice of a step is to be taken, by its number and itself.
Taking = Callable[[int, Advice], str]


def budget_text(found: Budget, where: str = "") -> str:
    """Everything, for the command. `where`: the option by which the next command reaches this machine."""

    def taking(_: int, advice: Advice) -> str:
        return f"nutwizard{where} step {advice.step} ({answers_text(advice)})"

    lines = (part for line in lines_of(budget_lines(found, taking)) for part in fitted(line, WIDEST))
    return paint(lines, False)


def budget_lines(
    found: Budget, taking: Taking | None = None, *, advised: bool = True, columns: int = WIDEST
) -> list[Line]:
    """The picture, the verdict, what to change (unless `advised` is False), where the numbers come from."""
    out = [verdict_line(found), *picture(found, columns)]
    if found.reasons:
        out += [Line(), *(Line(f"{reason}.") for reason in found.reasons)]
    out += advice_lines(found, taking) if advised else []
    if found.notes:
        out += [Line(), Line("To know", Tone.TITLE), *(Line(f"- {note}.") for note in found.notes)]
    return [*out, Line(), *source_lines(found)]


def picture(found: Budget, columns: int = WIDEST) -> list[Line]:
    """The parts one below the other, each where it lies in time, and the battery's time below them.

    What lies behind the battery's end is drawn with another sign, and in red where there are colours.
    """
    whole = found.cut if found.cut is not None else sum(part.seconds for part in found.parts)
    scale = max(whole, min(found.has.seconds or 0.0, 2 * whole), 1.0)
    bar = _Bar(scale, min(max(columns - _BESIDE, _BARS[0]), _BARS[1]))
    head = " " * (_WHAT + _LONG + 2) + "0 s" + f"{scale:.0f} s".rjust(bar.width - 3)
    out, at = [Line(head, Tone.PLAIN)], 0.0
    for part in found.parts:
        out.append(_row(part, at, found.has.seconds, bar))
        at += part.seconds
    word = f"{found.needs:.0f} s" if found.needs is not None else "?"
    out.append(Line("-" * (_WHAT + _LONG + 2 + bar.width), Tone.TITLE))
    out.append(Line(f"{'needed until off':<{_WHAT}}{word:>{_LONG}}", Tone.PLAIN))
    return [*out, *_battery(found, bar)]


def verdict_line(found: Budget) -> Line:
    """In a word whether it fits, and by how much."""
    spare = None if found.verdict is Verdict.UNKNOWN else found.spare
    amount = "" if spare is None else f": {abs(spare):.0f} s {'to spare' if spare >= 0 else 'lack'}"
    tone = Tone.REMOVED if found.verdict is Verdict.TOO_LONG else Tone.TITLE
    return Line(f"{_VERDICTS[found.verdict]}{amount}.", tone)


def source_lines(found: Budget) -> list[Line]:
    """Each number with what it rests on."""
    out = [Line("Where the numbers come from", Tone.TITLE)]
    out += [Line(f"- {part.what}, {_KNOWN[part.basis]}: {part.why}.") for part in found.parts]
    if found.has.seconds is not None:
        out.append(Line(f"- {_whose(found)}, {_KNOWN[found.has.basis]}: {found.has.why}."))
    return out


def advice_lines(found: Budget, taking: Taking | None = None) -> list[Line]:
    """What would change it, numbered; `taking` says how an answer of a step is given."""
    if not found.advice:
        return []
    out = [Line(), Line("What to change", Tone.TITLE)]
    for number, advice in enumerate(found.advice, 1):
        out += advice_line(number, advice, taking)
    return out


def advice_line(number: int, advice: Advice, taking: Taking | None = None) -> list[Line]:
    """One piece of advice: what, what it buys, why, and how it is done."""
    out = [Line(f"{number}. {advice.what}{buys_text(advice)}"), Line(f"   {advice.why}.")]
    if advice.step and taking is not None:
        out.append(Line(f"   to do it: {taking(number, advice)}"))
    return [*out, *(Line(f"     {line}", Tone.COPY) for line in advice.by_hand)]


def buys_text(advice: Advice) -> str:
    """Such as ": 240 s more"."""
    if advice.buys is None:
        return ""
    whose = {"battery": "more", "the worst case": "less in the worst case"}
    return f": {advice.buys:.0f} s {whose.get(advice.of, f'more for {advice.of}')}"


def answers_text(advice: Advice) -> str:
    """The answers by their fields, such as "low_battery runtime, low_runtime 600"."""
    return ", ".join(f"{name} {_value(value)}" for name, value in advice.values.items())


def budget_value(found: Budget, *, practice: bool) -> dict[str, Any]:
    """The same for programs, as the README lists it."""
    return {
        "role": found.role.value,
        "practice": practice,
        "verdict": found.verdict.value,
        "needs": _round(found.needs),
        "worst": _round(found.worst),
        "cut": _round(found.cut),
        "has": _round(found.has.seconds),
        "spare": _round(found.spare),
        "starts": found.has.starts or None,
        "has_basis": found.has.basis.value,
        "has_why": found.has.why,
        "parts": [_part_value(part) for part in found.parts],
        "reasons": list(found.reasons),
        "notes": list(found.notes),
        "advice": [_advice_value(each) for each in found.advice],
    }


@dataclass(frozen=True)
class _Bar:
    """A stretch of `width` columns that stands for `scale` seconds."""

    scale: float
    width: int

    def cell(self, seconds: float) -> int:
        """The column at which a moment lies."""
        return round(seconds / self.scale * self.width)


def _row(part: Part, at: float, has: float | None, bar: _Bar) -> Line:
    """A part in the picture; one that ends behind the battery's end is red."""
    first, last = bar.cell(at), max(bar.cell(at) + 1, bar.cell(at + part.seconds))
    edge = bar.width if has is None else bar.cell(has)
    cells = [" "] * (bar.width + 1)
    for n in range(first, min(last, bar.width)):
        cells[n] = WAITS if part.after else RUNS
    late = has is not None and at + part.seconds > has and not part.after and part.seconds > 0
    if late:
        for n in range(max(first, edge), min(max(last, edge + 1), bar.width)):
            cells[n] = LACKS
    text = f"{part.what:<{_WHAT}}{f'{part.seconds:.0f} s':>{_LONG}}  {''.join(cells)} {_KNOWN[part.basis]}"
    return Line(text, Tone.REMOVED if late else Tone.PLAIN)


def _battery(found: Budget, bar: _Bar) -> list[Line]:
    what, has = _whose(found), found.has.seconds
    starts = f"the shutdown starts {found.has.starts}" if found.has.starts else ""
    if starts and found.spare is not None and found.spare < 0:
        starts = f"{starts}; {LACKS} is time without power"
    if has is None:
        return [Line(f"{what:<{_WHAT}}{'?':>{_LONG}}", Tone.PLAIN)]
    length = min(bar.width, max(1 if has > 0 else 0, bar.cell(has)))
    more = ">" if has > bar.scale else " "
    drawn = f"{BATTERY * length}{' ' * (bar.width - length)}{more}"
    row = f"{what:<{_WHAT}}{f'{has:.0f} s':>{_LONG}}  {drawn} {_KNOWN[found.has.basis]}"
    return [Line(row, Tone.PLAIN), *([Line(f"  {starts}", Tone.PLAIN)] if starts else [])]


def _whose(found: Budget) -> str:
    return "the battery lasts" if found.role is Role.HOST else "the time that it has"


def _value(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _part_value(part: Part) -> dict[str, Any]:
    return {
        "part": part.key,
        "what": part.what,
        "seconds": _round(part.seconds),
        "worst": _round(max(part.worst, part.seconds)),
        "basis": part.basis.value,
        "why": part.why,
        "after": part.after,
    }


def _advice_value(advice: Advice) -> dict[str, Any]:
    return {
        "what": advice.what,
        "why": advice.why,
        "buys": _round(advice.buys),
        "of": advice.of,
        "step": advice.step or None,
        "values": {name: _plain(value) for name, value in advice.values.items()},
        "by_hand": list(advice.by_hand),
    }


def _plain(value: Any) -> Any:
    """Rows as objects of their fields."""
    if isinstance(value, tuple):
        return [dict(_fields(each)) for each in value]
    return value


def _fields(row: Any) -> Iterable[tuple[str, Any]]:
    found: Mapping[str, Any] = vars(row)
    return found.items()
