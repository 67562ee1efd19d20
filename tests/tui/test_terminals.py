"""The front ends in terminals of every kind, on the practice machine: what is drawn there, byte by byte."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard.core.facts import Role
from nutwizard.engine import registry
from tests.lab.screens import OPENING, OVERVIEW, Screens, View
from tests.support.tmux import COLUMNS, ROWS, Tmux

ROOT = Path(__file__).parents[2]
STEPS = registry.steps_of(Role.HOST)
COUNT = len(STEPS)
LIMIT = 30.0
#: What a dark screen may have besides letters: bold, underlined, reverse, and none of them.
PLAIN_LOOKS = {"", "0", "1", "4", "7", "22", "24", "27"}
TERMS = {
    "linux": {"TERM": "linux"},
    "screen": {"TERM": "screen"},
    "tmux": {"TERM": "tmux-256color"},
    "xterm": {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
    "LC_ALL=C": {"TERM": "xterm-256color", "LC_ALL": "C"},
}


@pytest.fixture(autouse=True)
def _tmux() -> None:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")


def practice(folder: Path, **environ: str) -> list[str]:
    """The command line of a guided run on a practice machine of its own."""
    pairs = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environ}
    words = ["env", "-i", "-C", str(ROOT), *(f"{name}={value}" for name, value in pairs.items())]
    return [*words, sys.executable, "-m", "nutwizard", "--practice"]


def opened(screens: Screens) -> None:
    """Past the opening page, to the overview."""
    screens.at(OPENING)
    whole(screens)
    screens.press("Enter")
    screens.at(OVERVIEW)
    whole(screens)


def whole(screens: Screens, labels: set[str] | None = None) -> View:
    """Wait until a screen is drawn: ASCII, keys in the last row, boxes with four sides, these fields."""
    wrong = [""]

    def look(view: View) -> bool:
        wrong[:] = [*view.defects, *({*view.fields} ^ labels if labels is not None else ())]
        return not wrong

    try:
        return screens.until(look)
    except TimeoutError as error:
        raise AssertionError(f"{wrong}: {error}") from None


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w.=/-]*\w", text))


def read_page(screens: Screens, name: str) -> None:
    """F1, Home and PgDn show every word of the step's page."""
    page = registry.page_of(name, Role.HOST)
    text = re.sub(r"[*`\[\]]|\(\S*\)", " ", " ".join((page.intro, *page.help.values())))
    begin = " ".join(text.split()[:3])
    screens.press("F1")
    screens.says("about it")
    seen = ""
    for _ in range(3):  # it opens where the field is told, a moment after it is there
        hinted(screens)
        screens.tap("Home")
        seen += screens.says(begin).text + through(screens)
        if words(text) <= words(seen):
            break
    assert words(text) - words(seen) == set()
    screens.press("Escape")


def hinted(screens: Screens) -> View:
    """Wait until the lower rule says which way there is more."""
    screens.until(lambda view: re.search(r" (PgDn: more|PgUp: back) --$", view.rows[-2]))
    return View(screens.still())


def through(screens: Screens) -> str:
    """All that is seen on the way to the end of a page."""
    seen = ""
    for _ in range(20):
        view = hinted(screens)
        seen += view.text
        if "PgDn: more" not in view.rows[-2]:
            return seen
        screens.press("NPage")
    raise AssertionError(f"a page without an end:\n{seen}")


def labels_of(name: str) -> set[str]:
    """The labels of the fields that any host is asked in a step."""
    fields = registry.fields_of(name, Role.HOST)
    return {
        each.spec.label
        for each in fields
        if each.applies({"low_battery": "driver", "rules": True}) and not each.spec.since
    }


def leave(screens: Screens) -> None:
    screens.press("C-q")
    screens.says("Leave nutwizard?")
    whole(screens)
    screens.press("l")
    assert screens.end() == 130
    assert "Nothing was written." in screens.screen()


@pytest.mark.parametrize("environ", TERMS.values(), ids=TERMS.keys())
def test_every_step_is_reached_and_whole(tmp_path: Path, environ: dict[str, str]) -> None:
    with Screens(practice(tmp_path, **environ), environ["TERM"]) as screens:
        opened(screens)
        screens.press("Enter")
        for number, step in enumerate(STEPS, 1):
            screens.at(f"{number} of {COUNT}  {step.title}")
            whole(screens, labels_of(step.name))
            screens.press("C-n")
        screens.at("Review")
        parts = screens.parts()
        assert {"/etc/nut/nut.conf", "/etc/nut/upsmon.conf", "then"} <= set(parts)
        whole(screens)
        leave(screens)
        assert screens.raw().isascii()


def test_a_whole_run_on_a_vt100(tmp_path: Path) -> None:
    """Every field, every page, every list; then written, proven and left."""
    with Screens(practice(tmp_path, TERM="vt100", LC_ALL="C"), "vt100") as screens:
        opened(screens)
        screens.press("Enter")
        for number, step in enumerate(STEPS, 1):
            title = f"{number} of {COUNT}  {step.title}"
            screens.at(title)
            read_page(screens, step.name)
            view = screens.at(title)
            while view.title.startswith(title):
                if "F4 list" in whole(screens).rows[-1] and view.field:
                    screens.press("F4")
                    whole(screens)
                    screens.press("Escape")
                if view.field == "rule on":  # else the check would begin with the step that mends it
                    screens.press("y")
                    screens.shows("rule on", "< yes >")
                view = screens.accept()
        screens.at("Review")
        screens.write()
        whole(screens)
        assert screens.leave() == 0
        assert screens.raw().isascii()


def colours(raw: bytes) -> set[str]:
    """The parameters of every SGR sequence that are none of `PLAIN_LOOKS`."""
    sequences = re.findall(r"\x1b\[([0-9;:]*)m", raw.decode())
    assert sequences
    return {each for found in sequences for each in re.split("[;:]", found)} - PLAIN_LOOKS


@pytest.mark.parametrize("no_colour", [False, True])
def test_no_colour_means_none(tmp_path: Path, no_colour: bool) -> None:
    environ = {"TERM": "xterm-256color", **({"NO_COLOR": "1"} if no_colour else {})}
    with Screens(practice(tmp_path, **environ), "NO_COLOR") as screens:
        opened(screens)
        screens.press("2")
        screens.at("2 of ")
        screens.press("Tab", "F4", "Escape")
        screens.type("wrong")
        screens.says("there is no driver wrong")
        screens.press("C-u")
        leave(screens)
        found = colours(screens.raw())
    assert bool(found) is not no_colour, found


def asked(screen: str) -> str | None:
    """The last line, if it is a question."""
    last = screen.rpartition("\n")[2]
    return last if last.endswith(":") else None


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}])
def test_what_is_chosen_stands_out(tmp_path: Path, environ: dict[str, str]) -> None:
    """In a list nothing but its look tells which row Enter takes."""
    with Screens(practice(tmp_path, TERM="xterm-256color", **environ), "xterm") as screens:

        def stands_out(begin: str) -> None:
            screens.wait(lambda: any(row.startswith(begin) for row in screens.chosen()) or None)

        opened(screens)
        stands_out("1 Mode")
        screens.tap("Down")
        stands_out("2 UPS driver")
        screens.press("q")
        stands_out("stay ")
        screens.tap("Down")
        stands_out("leave ")
        screens.press("Escape", "2")
        screens.on("UPS name")
        screens.press("Tab", "F4")
        stands_out("usbhid-ups")
        screens.tap("Up")
        stands_out("tripplite_usb")
        screens.press("Escape", *["Tab"] * 5)
        stands_out("< driver >")


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": "xterm-256color", "ACCESSIBLE": "1"}])
def test_lines_alone(tmp_path: Path, environ: dict[str, str]) -> None:
    """Numbered lines from the first question to the last, and not one escape sequence."""
    with Tmux(practice(tmp_path, **environ), "lines") as terminal:
        for _ in range(100):
            last = terminal.wait(lambda: asked(terminal.screen()))
            if last.startswith("Write this now?"):
                break
            terminal.press("Enter")
        assert "\n   1  diff   every changed line\n" in terminal.screen()
        terminal.press("C-c")
        assert terminal.wait(terminal.ended) == 130
        raw = terminal.raw()
    assert f"{COUNT} of {COUNT}  Services".encode() in raw
    assert b"\x1b" not in raw


def test_without_a_terminal(tmp_path: Path) -> None:
    done = subprocess.run(
        practice(tmp_path, TERM="xterm-256color"), input="", capture_output=True, text=True, timeout=LIMIT
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs a terminal" in done.stderr
    assert "nutwizard apply ANSWERS" in done.stderr


@pytest.fixture
def at_driver(tmp_path: Path) -> Iterator[Screens]:
    """The step with the most fields, alone."""
    with Screens(practice(tmp_path, TERM="xterm-256color"), "xterm") as screens:
        opened(screens)
        screens.press("2")
        screens.at("2 of ")
        screens.on("UPS name")
        yield screens


def test_a_small_terminal_says_so_and_loses_nothing(at_driver: Screens) -> None:
    at_driver.press("Tab")
    at_driver.type("dummy-ups")
    at_driver.resize(50, 15)
    at_driver.says("This terminal is too small: nutwizard needs 60 columns and 20 rows.")
    at_driver.send("x")
    at_driver.resize(COLUMNS, ROWS)
    at_driver.on("driver")
    assert at_driver.shows("driver", "dummy-ups").fields["driver"].split()[0] == "dummy-ups"


def test_a_burst_of_keys_goes_where_it_belongs(at_driver: Screens) -> None:
    """What is sent in one write, as a slow line delivers it; on a field that is entered typing replaces."""
    for turn in range(6):
        at_driver.send(f"text{turn}\tmore{turn}\t")
        fields = at_driver.on("port").fields
        found = [fields[label].split()[0] for label in ("UPS name", "driver")]
        assert found == [f"text{turn}", f"more{turn}"]
        at_driver.press("BTab", "BTab")
        at_driver.on("UPS name")


@pytest.mark.parametrize("keys", [(), ("2",), ("2", "Tab", "F4"), ("q",), ("2", "F1")])
def test_ctrl_c_ends_it(tmp_path: Path, keys: tuple[str, ...]) -> None:
    with Screens(practice(tmp_path, TERM="xterm-256color"), "xterm") as screens:
        opened(screens)
        for key in keys:
            screens.press(key)
            screens.still()
        screens.press("C-c")
        assert screens.end() == 130
        assert "Nothing was written." in screens.screen()
