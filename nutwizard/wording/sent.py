"""What became of a test event, as lines."""

from __future__ import annotations

from nutwizard.engine.testevent import Sent
from nutwizard.wording.layout import Line, Tone, lines_of, paint


def sent_text(sent: Sent) -> str:
    """The way of the event: what upsmon does with it, which lines ran, what was printed and logged."""
    out = [
        Line(
            f"{sent.event} for {sent.system or 'no UPS'}, as a test: nothing has happened to the UPS.",
            Tone.TITLE,
        )
    ]
    out.append(Line(f"upsmon: {sent.flags}{_by_upsmon(sent.flags)}"))
    out += [Line(f"ran as user nut: {line}") for line in sent.ran]
    out += [Line(f"not run in a test: {line}") for line in sent.left]
    out += _block("printed:", sent.out) + _block("in the log:", sent.logged)
    if sent.ran and not sent.wrong and not sent.logged:
        out.append(Line("in the log: nothing was found of it"))
    failed = f"It was sent, and failed: {sent.wrong}" if sent.ran else f"It did not arrive: {sent.wrong}"
    out.append(Line(failed if sent.wrong else "It arrived.", Tone.TITLE))
    return paint(lines_of(out), False)


def _by_upsmon(flags: str) -> str:
    """What upsmon itself would do, which a test does not."""
    words = {"SYSLOG": "a line in the log", "WALL": "a message to every terminal"}
    own = [text for flag, text in words.items() if flag in flags.upper().split("+")]
    return f" (upsmon's own part, {' and '.join(own)}, is not part of a test)" if own else ""


def _block(title: str, lines: tuple[str, ...]) -> list[Line]:
    return [Line(title), *(Line(f"  {line}", Tone.PLAIN) for line in lines)] if lines else []
