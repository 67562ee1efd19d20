"""The parts that screens are made of: title, rule, keys of the moment, and a pane of lines.

Only ASCII is drawn, so that a console without other letters shows the same; text from outside comes as safe
lines and is never read as markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.app import RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style as VisualStyle
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nutwizard.core.shown import safe_text
from nutwizard.wording.layout import Line, Text, Tone, cells, fitted, lines_of

#: Colour only repeats what a sign says: + and - in a diff, a word for a state.
STYLES: Mapping[Tone, Style] = {
    Tone.TITLE: Style(bold=True),
    Tone.ADDED: Style(color="green"),
    Tone.REMOVED: Style(color="red"),
}
_CHOSEN = "option-list--option-highlighted"
#: How keys are called where Textual's own name is not what a keyboard says.
_LAST = ("F1", "Esc", "q", "Ctrl+Q")
_KEY_NAMES = {"escape": "Esc", "enter": "Enter", "space": "Space", "delete": "Del", "pagedown": "PgDn"}


def plain(text: str) -> Content:
    """Text from anywhere as content: no markup, nothing that a terminal would obey."""
    return Content(safe_text(text))


def marked(text: str, focused: bool) -> Content:
    """A value that is chosen and not typed; in reverse where the keys go."""
    return Content.styled(safe_text(text), "reverse" if focused else "underline")


class Title(Widget):
    """The top row: where the person is, and on which machine."""

    def __init__(self, left: str, right: str = "") -> None:
        super().__init__()
        self.left, self.right = left, right

    def render(self) -> RenderResult:
        left, right = safe_text(self.left), safe_text(self.right)
        gap = self.size.width - 2 - cells(left) - cells(right)
        if gap < 2:
            room = max(0, self.size.width - 4 - cells(left))
            right, gap = right[:room], 2
        return Content.styled(f" {left}{' ' * gap}{right} ", "reverse" if self.app.no_color else "")

    def retitle(self, left: str, right: str) -> None:
        """Say something else."""
        self.left, self.right = left, right
        self.refresh()


class Rule(Widget):
    """A line across, with a word at its left and a hint at its right."""

    def __init__(self, title: str = "", hint: str = "", **names: Any) -> None:
        super().__init__(**names)
        self._title, self._hint = title, hint

    def render(self) -> RenderResult:
        width = self.size.width
        left = f"-- {safe_text(self._title)} " if self._title else ""
        right = f" {safe_text(self._hint)} --" if self._hint else ""
        if cells(left) + cells(right) > width:
            right = ""
        return Content((left[:width] + "-" * max(0, width - cells(left) - cells(right)) + right)[:width])

    def say(self, title: str | None = None, hint: str | None = None) -> None:
        """Change the title, the hint, or both."""
        new = (self._title if title is None else title, self._hint if hint is None else hint)
        if new != (self._title, self._hint):
            self._title, self._hint = new
            self.refresh()


class Keys(Static):
    """The bottom row: the keys of the moment, as many as there is room for."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.tell())

    def on_resize(self) -> None:
        self.tell()

    def tell(self) -> None:
        """Show what can be pressed now."""
        if not self.is_mounted or self.app.screen is not self.screen:
            return
        known = self._known()
        while (
            sum(cells(key) + cells(word) + 3 for key, word in known) > self.size.width + 1 and len(known) > 1
        ):
            least = next((n for n in reversed(range(len(known))) if known[n][0] not in _LAST), -1)
            del known[least]
        words = [Content.assemble((key, "bold"), f" {word}") for key, word in known]
        self.update(Content.assemble(" ", Content("  ").join(words)), layout=False)

    def _known(self) -> list[tuple[str, str]]:
        """(key, what it does), what the focused widget does first, the keys that are everywhere last."""
        seen: dict[str, str] = {}
        if word := getattr(self.screen.focused, "enter_word", ""):
            seen[word] = "Enter"
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.description not in seen:
                seen[binding.description] = _key_name(binding)
        rows = [(key, description) for description, key in seen.items()]
        return sorted(rows, key=lambda row: _rank(row[0]))


def _rank(key: str) -> int:
    return 0 if key == "Enter" else 2 + _LAST.index(key) if key in _LAST else 1


def _key_name(binding: Binding) -> str:
    key = binding.key_display or binding.key
    if key.startswith("ctrl+"):
        return f"Ctrl+{key[5:].upper()}"
    return _KEY_NAMES.get(key, key.upper() if len(key) in (2, 3) and key[0] == "f" else key)


class Menu(OptionList):
    """Rows to choose from. `enter_word`: what Enter does with one."""

    def __init__(self, *options: Option, enter_word: str = "", **names: Any) -> None:
        super().__init__(*options, compact=True, markup=False, **names)
        self.enter_word = enter_word

    def action_page_down(self) -> None:
        """A page of the screen's text, where it has one: its rule says so. Else a page of the list."""
        if not self._page(1):
            super().action_page_down()  # type: ignore[no-untyped-call]

    def action_page_up(self) -> None:
        """As `action_page_down`."""
        if not self._page(-1):
            super().action_page_up()  # type: ignore[no-untyped-call]

    def _page(self, way: int) -> bool:
        page = getattr(self.screen, "action_page", None)
        if page is None or not self.screen.query(Pane):
            return False
        page(way)
        return True

    def get_visual_style(self, *component_classes: str, partial: bool = False) -> VisualStyle:
        """As the style sheet says; Textual leaves out `reverse`, which alone shows without colours."""
        style = super().get_visual_style(*component_classes, partial=partial)
        return style + VisualStyle(reverse=True) if _CHOSEN in component_classes else style


class Pane(ScrollView, can_focus=False):
    """Lines that are wrapped to the width there is, and scroll where they are too many.

    They are wrapped when the size is known and before anything is drawn: a screen is sent once.
    """

    def __init__(
        self,
        text: Text = "",
        *,
        rule: Rule | None = None,
        more: str = "PgDn: more",
        most: int = 0,
        **names: Any,
    ) -> None:
        """`rule` is told `more` when there is more to read; `most`: rows that it takes, 0: a fixed height."""
        super().__init__(**names)
        self._lines = lines_of(text)
        self._rows: list[Line] = []
        self._starts: list[int] = []
        self._rule, self._more, self._most = rule, more, most
        #: Whether its end is to be seen; None where it does not grow.
        self._follows: bool | None = None

    def show(self, text: Text, at: int = 0) -> None:
        """Other lines, scrolled to line `at` of them."""
        lines = lines_of(text)
        if lines != self._lines:
            self._lines = lines
            self._again()
        self.go_to(at)

    def add(self, text: Text) -> None:
        """More lines at the end, which comes into view unless the person has scrolled away from it."""
        if self._follows is None:
            self._follows = True
        self._lines += lines_of(text)
        self._again()
        self._follow()

    def go_to(self, line: int) -> None:
        """Scroll so that this line (of those given, not of those wrapped) is the first one seen."""
        row = self._starts[line] if line < len(self._starts) else 0
        self.scroll_to(y=row, animate=False, force=True, immediate=True)
        self._tell()

    @property
    def text(self) -> str:
        """What it holds, for tests and for copying."""
        return "\n".join(line.text for line in self._lines)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the lines take, up to `most`."""
        rows = sum(len(fitted(line, max(1, width))) for line in self._lines)
        return min(rows, self._most) if self._most else rows

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._follows is not None:
            self._follows = round(new_value) >= self.max_scroll_y
        self._tell()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        row = y + round(self.scroll_offset.y)
        base = self.rich_style
        if row >= len(self._rows):
            return Strip.blank(width, base)
        line = self._rows[row]
        style = base + STYLES[line.tone] if line.tone in STYLES else base
        return Strip([Segment(line.text, style)]).adjust_cell_length(width, base)

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        """A new size, not drawn yet."""
        self._wrap(size.width - self.styles.gutter.width - self.styles.scrollbar_size_vertical - self._gap)
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        self._tell()
        return changed

    def on_resize(self) -> None:
        """What grows at its end, and was seen there, is seen there again."""
        self._follow()

    def _follow(self) -> None:
        if self._follows:
            self.scroll_end(animate=False, immediate=True)

    @property
    def _gap(self) -> int:
        """A blank before the scroll bar, where there is one."""
        return 1 if self.styles.scrollbar_size_vertical else 0

    def _again(self) -> None:
        """Other lines in the same place."""
        self._wrap(self.scrollable_content_region.width - self._gap)
        self._scroll_update(self.virtual_size)
        self.refresh(layout=bool(self._most))
        self._tell()

    def _wrap(self, width: int) -> None:
        if width <= 0:
            return
        self._rows, self._starts = [], []
        for line in self._lines:
            self._starts.append(len(self._rows))
            self._rows += fitted(line, width)
        # Without its watcher, which would lay out and draw the whole screen.
        self.set_reactive(Widget.virtual_size, Size(width, len(self._rows)))

    def _tell(self) -> None:
        """Say at the rule how much more there is."""
        if self._rule is None:
            return
        height = self.scrollable_content_region.height
        left = len(self._rows) - height - round(self.scroll_offset.y)
        above = self.scroll_offset.y > 0
        paged = self._more.startswith("PgDn")
        self._rule.say(
            hint=self._more if left > 0 or (above and not paged) else "PgUp: back" if above else ""
        )


def with_keys(lines: Sequence[Line]) -> list[Line]:
    """A page for screens: prompts open the help with `?`, which here is a letter of a text."""
    return [replace(line, text=line.text.replace("Press ?", "Press F1")) for line in lines]
