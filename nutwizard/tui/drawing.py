"""How Textual draws here: the terminal's colours, bars in ASCII, no byte that says nothing to a terminal."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style
from textual.filter import LineFilter
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.theme import Theme

#: What Textual's own style sheets ask of a theme of the terminal's colours.
_VARIABLES = (
    "ansi-background ansi-foreground border-blurred block-cursor-foreground block-cursor-background"
    " input-cursor-background input-cursor-foreground input-selection-background input-selection-foreground"
    " screen-selection-background screen-selection-foreground"
).split()

#: The terminal's own colours: calm and readable on a dark and on a light one.
THEME = Theme(
    name="nutwizard",
    primary="ansi_default",
    secondary="ansi_default",
    warning="ansi_default",
    error="ansi_red",
    success="ansi_green",
    accent="ansi_default",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables=dict.fromkeys(_VARIABLES, "ansi_default") | {"input-cursor-text-style": "reverse"},
    ansi=True,
)


class AsciiBar(ScrollBarRender):
    """A scroll bar that needs neither colour nor block characters."""

    @classmethod
    def render_bar(  # noqa: PLR0917 - as the base class has it
        cls,
        size: int = 25,
        virtual_size: float = 50,
        window_size: float = 20,
        position: float = 0,
        thickness: int = 1,
        vertical: bool = True,
        back_color: Color = Color.parse("black"),  # noqa: B008 - a constant, as in the base class
        bar_color: Color = Color.parse("white"),  # noqa: B008
    ) -> Any:
        """Bars of `|` with a `#` where the window is."""
        track = "|" if vertical else "-"
        if not (window_size and size and virtual_size) or virtual_size <= window_size:
            return Segments([Segment(" " * thickness)] * size, new_lines=vertical)
        thumb = max(1, math.floor(size * window_size / virtual_size))
        far = max(1.0, virtual_size - window_size)
        start = min(size - thumb, round((size - thumb) * position / far))
        marks = [("#" if start <= n < start + thumb else track) * thickness for n in range(size)]
        return Segments([Segment(mark) for mark in marks], new_lines=vertical)


ScrollBar.renderer = AsciiBar


class Plainer(LineFilter):
    """Leaves out what says nothing to a terminal: its default colours, and breaks between equal styles.

    Over a slow line a screen is then half as many bytes.
    """

    def apply(self, segments: list[Segment], background: object) -> list[Segment]:
        """The same to look at, in fewer parts."""
        out: list[Segment] = []
        for segment in segments:
            style = _bare(segment.style) if segment.style else None
            if out and out[-1].style == style and not segment.control and not out[-1].control:
                out[-1] = Segment(out[-1].text + segment.text, style)
            else:
                out.append(Segment(segment.text, style, segment.control))
        return out


@lru_cache(512)
def _bare(style: Style) -> Style | None:
    """The style without default colours; None where nothing is left."""
    color, background = style.color, style.bgcolor
    if color is not None and color.is_default:
        color = None
    if background is not None and background.is_default:
        background = None
    bare = style.without_color + Style(color=color, bgcolor=background)
    return None if bare == Style.null() and not style.meta else bare
