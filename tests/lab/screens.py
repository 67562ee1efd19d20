"""The full-screen front end at 80x24: keys one by one, and what stands there after each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from nutwizard.core.facts import Role
from nutwizard.engine import registry
from tests.support.tmux import COLUMNS, KEY_LIMIT, ROWS, Tmux

#: Seconds until a change is written and proven.
WRITE_LIMIT = 60.0
#: More fields of a step, or parts of a review, than there are.
MOST = 40
OPENING, OVERVIEW = "What will be done", "nutwizard"
_EDGE = re.compile(r"\+-{20,}\+")


@cache
def labels() -> tuple[str, ...]:
    """What stands before the fields, longer ones first."""

    def every() -> Iterator[str]:
        for role in Role:
            for step in registry.steps_of(role):
                for field in registry.fields_of(step.name, role):
                    yield from (each.spec.label for each in (field, *field.columns))

    return tuple(sorted(set(every()), key=len, reverse=True))


@dataclass(frozen=True)
class View:
    """A screen as it stood there. A field is called by the label before it."""

    text: str

    @cached_property
    def rows(self) -> list[str]:
        return self.text.split("\n")

    @property
    def title(self) -> str:
        """The top row, with its right part."""
        return self.rows[0].strip()

    @property
    def place(self) -> str:
        """The title's first word or words: `2 of 10`, `Review`."""
        return re.split(r"\s{2,}", self.title)[0]

    @cached_property
    def edges(self) -> list[tuple[int, int]]:
        """Row and column of a box's upper and lower edge; one alone while it is drawn."""
        return [(n, found.start()) for n, row in enumerate(self.rows) if (found := _EDGE.search(row))]

    @property
    def fields(self) -> dict[str, str]:
        """The fields, of the box alone if there is one, with what follows: value, unit, where it is from."""
        return {label: rest for _, label, rest in self._marked}

    @property
    def field(self) -> str:
        """The field that has the focus; "" where none has."""
        return next((label for mark, label, _ in self._marked if mark == ">"), "")

    @property
    def heading(self) -> str:
        """The first rule's words."""
        line = next((line for line in self.rows if line.startswith("-- ")), "")
        return line.removeprefix("-- ").partition(" --")[0]

    @property
    def defects(self) -> list[str]:
        """What is not as it should be on any screen."""
        found = []
        if not re.fullmatch(r"[ -~\n]+", self.text):
            found.append("no ASCII")
        if len(self.rows) != ROWS or not re.match(r" \S+ \w", self.rows[-1]):
            found.append("no keys")
        if max(map(len, self.rows)) > COLUMNS:
            found.append("too wide")
        if self.edges:
            (first, left), (last, column) = self.edges[0], self.edges[-1]
            right = self.rows[first].rindex("+")
            sides = [row[left : left + 1] + row[right : right + 1] for row in self.rows[first + 1 : last]]
            if left != column or len(self.edges) != 2 or set(sides) != {"||"}:
                found.append("a box without one of its sides")
        return found

    @cached_property
    def _marked(self) -> list[tuple[str, str, str]]:
        rows = self.rows[1:]
        if len(self.edges) == 2:
            (first, column), (last, _) = self.edges
            rows = [row[column + 2 :] for row in self.rows[first + 1 : last]]
        found = []
        for row in rows:
            label = next((each for each in labels() if row[2:].startswith(f"{each} ")), "")
            if label and row[:2] in ("> ", "! ", "  "):
                found.append((row[0], label, row[2:].removeprefix(label).strip()))
        return found


class Screens(Tmux):
    """The wizard's screens in a terminal."""

    @property
    def view(self) -> View:
        """What stands there now."""
        return View(self.screen())

    def until(self, look: Callable[[View], object], limit: float = KEY_LIMIT) -> View:
        """The first screen with which `look` is content. Raises TimeoutError with the last one."""

        def seen() -> View | None:
            view = self.view
            return view if look(view) else None

        return self.wait(seen, limit)

    def at(self, title: str, limit: float = KEY_LIMIT) -> View:
        """Wait until a screen stands there, named by the beginning of its title."""
        return self.until(lambda view: view.title.startswith(title), limit)

    def on(self, label: str) -> View:
        """Wait until a field has the focus, and no box is over it."""
        return self.until(lambda view: not view.edges and view.field == label)

    def says(self, text: str, limit: float = KEY_LIMIT) -> View:
        """Wait until a text stands there, wherever its lines are broken."""
        return self.until(lambda view: text in " ".join(view.text.split()), limit)

    def chosen(self) -> list[str]:
        """What stands in reverse: the chosen row of a list, a choice that has the focus."""
        rows = self._tmux("capture-pane", "-p", "-e").split("\n")[1:]
        found = [re.search(r"\x1b\[(?:\d+;)*7m([^\x1b]+)", row) for row in rows]
        return [each[1].strip() for each in found if each]

    def press_one(self, key: str) -> None:
        """Press a key; each but an arrow is waited for. Raises TimeoutError with the screen."""
        before = self.view
        opens = key == "F4" or (key == "Space" and before.fields.get(before.field, "").startswith("<"))
        self.tap(key)
        if opens and not before.edges:
            self.until(lambda view: len(view.edges) == 2)
        elif before.edges and key == "Escape":
            self.until(lambda view: not view.edges)
        elif before.field and key in ("Tab", "BTab"):
            self.until(lambda view: view.field != before.field)
        elif key not in ("Up", "Down"):
            self.until(lambda view: view != before)

    def type(self, text: str, *, hidden: bool = False) -> None:
        """Type over what stands in the field, letter by letter."""
        label = self.view.field
        for end in range(1, len(text) + 1):
            self.send(text[end - 1])
            self.shows(label, "*" * end if hidden else text[:end].strip())

    def shows(self, label: str, value: str) -> View:
        """Wait until a field begins with this."""
        return self.until(lambda view: view.fields.get(label, "").startswith(value))

    def accept(self) -> View:
        """Enter, until the next field, or the next screen, is there."""
        before = self.view
        self.tap("Enter")
        return self.until(
            lambda view: view.place != before.place or (view.field and view.field != before.field)
        )

    def step(
        self,
        title: str,
        typed: Mapping[str, str] | None = None,
        pressed: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Accept every field of a step but for texts to type and keys to press, by label.

        Raises AssertionError for a label that never came.
        """
        typed, pressed = typed or {}, pressed or {}
        self.at(title)
        view = View(self.still())
        place, left = view.place, {*typed, *pressed}
        for _ in range(MOST):
            label = view.field
            left.discard(label)
            if label in typed:
                self.type(typed[label], hidden="password" in label)
            if label in pressed:
                self.press(*pressed[label])
                self.on(label)
            view = self.accept()
            if view.place != place:
                assert not left, f"never asked: {left}"
                return
        raise AssertionError(f"too many fields:\n{self.screen()}")

    def open_first(self) -> None:
        """Read the opening page, and go from the overview to the first step."""
        self.at(OPENING)
        self.press("Space", "Enter")
        self.at(OVERVIEW)
        self.press("Enter")
        self.at("1 of ")

    def add_client(self, name: str, address: str) -> None:
        """One row more in the boxes of the list of clients."""
        self.press("F4", "a")
        self.says("clients: one more")
        for text in (name, address):
            self.type(text)
            self.press("Enter")
        self.says(f"{name} ({address})")
        self.press("Enter")
        self.on("clients")

    def parts(self) -> list[str]:
        """Go through the review's list, back to its first row; the heading of each part, as it is shown."""
        seen = [self.until(lambda view: view.heading).heading]
        for _ in range(MOST):
            self.press("Down")
            found = self.until(lambda view: view.heading != seen[-1]).heading
            if found == seen[0]:
                return seen
            seen.append(found)
        raise AssertionError(f"too many parts:\n{self.screen()}")

    def write(self) -> None:
        """From the review: apply, and wait for the end."""
        self.begin_writing()
        self.says("Enter goes on", WRITE_LIMIT)

    def begin_writing(self) -> None:
        """From the review: apply."""
        self.at("Review")
        self.press("a")
        self.says("Write this now?")
        self.press("w")
        self.at("Writing")

    def leave(self) -> int:
        """From the result through the check to the end; the exit code."""
        self.press("Enter")
        self.until(lambda view: re.match(r"Check  .* proven$", view.title), WRITE_LIMIT)
        self.press("Enter")
        self.at("Finish")
        self.press("Enter")
        return self.end()

    def end(self, limit: float = KEY_LIMIT) -> int:
        """The exit code, once the command has ended. Raises TimeoutError."""
        return self.wait(self.ended, limit)
