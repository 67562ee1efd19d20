"""An error that nobody foresaw: the person is told, no value is, and the answers are kept."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from tests.hostile.rig import CHECKOUT, Bench, Terminal

CANARY = "canary-81c4"
#: The wizard with something broken in it.
PROGRAM = f"""
import sys
sys.path.insert(0, {str(CHECKOUT)!r})
from nutwizard.engine.practice import daemons
daemons.find_programs = lambda: None
def broken(self, *given, **named):
    local = "{CANARY}-local"
    raise RuntimeError("{CANARY}-words " + local)
{{patch}}
from nutwizard.cli import main
sys.exit(main(["--practice"]))
"""
IN_A_HANDLER = "from nutwizard.tui.step import StepScreen; StepScreen.action_diff = broken"
IN_A_WORKER = (
    "from nutwizard.tui.overview import Overview; import nutwizard.tui.step as s; s.acts_of = broken"
)
AT_THE_DESK = "from nutwizard.engine.session import Session; Session.step_changes = broken"
IN_A_FIELD = "from nutwizard.tui.entries import TextEntry; TextEntry.action_reveal = broken"


def begun(bench: Bench, patch: str) -> Terminal:
    return Terminal(bench, command=(sys.executable, "-c", PROGRAM.format(patch=patch)))


def report(bench: Bench) -> Path:
    """The report file: root's own folder where nutwizard has one, else the user's."""
    found = [*bench.place.rglob("crash.txt"), *Path("/var/lib/nutwizard").glob("crash.txt")]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("patch", "keys"), [(IN_A_HANDLER, "\x1bOQ"), (IN_A_FIELD, "\x14")], ids=["screen", "field"]
)
def test_what_is_told_and_what_is_kept(tmp_path: Path, patch: str, keys: str) -> None:
    bench = Bench(tmp_path)
    with begun(bench, patch) as terminal:
        terminal.until("What will be done", keys="\r")
        terminal.until("1-9", keys="4")
        terminal.until("Client user", keys="\t")
        terminal.until("generate", keys=CANARY)
        terminal.until("*" * len(CANARY), keys=keys)
        assert terminal.end() == 1, terminal.plain()
        tells(bench, terminal)
    again(bench)


def tells(bench: Bench, terminal: Terminal) -> None:
    """On the terminal, after the screens, and in the report."""
    said = terminal.plain()
    for text in (
        "nutwizard: internal error: RuntimeError in ",
        "Your answers are kept: the next start goes on where this one ended.",
        "A report without values lies in ",
    ):
        assert text in said
    for trace in ("Traceback", "local =", "╭"):
        assert trace not in said
    assert CANARY.encode() not in terminal.raw
    file = report(bench)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "RuntimeError" in file.read_text()
    assert CANARY not in file.read_text()


def again(bench: Bench) -> None:
    """The next start goes on where this one ended."""
    with begun(bench, "") as terminal:
        terminal.until("are here again")
        terminal.until("kept as it is")
        terminal.press("\x03")
        assert terminal.end() == 130
        assert CANARY.encode() not in terminal.raw


def test_an_error_at_the_desk(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with begun(bench, AT_THE_DESK) as terminal:
        terminal.until("What will be done", keys="\r")
        terminal.until("1-9", keys="4")
        assert terminal.end() == 1, terminal.plain()
        tells(bench, terminal)
