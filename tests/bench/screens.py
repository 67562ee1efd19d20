"""What the screens cost, beside a bare Textual app with the same kinds of widgets, measured in turn.

    python -m tests.bench.screens [ROUNDS]

Aims: the first screen 1.3 times the bare app's time and peak memory, 10 KB for it and for a change of the
step, 100 ms from the key to the next step. Machines differ; the ratios differ far less. A screen counts as
shown when it stands there as it then stays, and no byte came for a while.

On a practice machine that is set up, the step that first asks the NUT server waits until real daemons run.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.bench.start_up import ANSWERS, machine
from tests.bench.terminal import Terminal

PYTHON = (sys.executable, "-I")
WIZARD = (*PYTHON, "-m", "nutwizard")
BARE = (*PYTHON, str(Path(__file__).with_name("bare.py")))
PRACTICE = (*WIZARD, "--practice")
NEXT, TAB, ENTER, END, BACKSPACE = "\x0e", "\t", "\r", "\x1b[F", "\x7f"
#: Steps of a host's guide; which is the first to ask the NUT server; letters typed there for the diff.
STEPS, ASKS, LETTERS = 9, 2, "xyz"
#: What is started: which prepared home or tree (ROOT) it gets, and how.
STARTS = {
    "bare": ("", BARE),
    "practice, fresh": ("fresh", PRACTICE),
    "practice, set up": ("done", PRACTICE),
    "--root, fresh": ("root", (*WIZARD, "--role", "host", "--root", "ROOT")),
}

WIDTH = 52
Measured = dict[str, list[float]]


def environment(home: Path) -> dict[str, str]:
    """What a process sees, whoever starts the bench."""
    return {"HOME": str(home), "PATH": os.defpath, "TERM": "xterm-256color", "LANG": "C.UTF-8"}


def prepare(folder: Path) -> None:
    """`fresh` and `done`: homes with a practice machine as it is at first and set up; `root`: a tree."""
    for name, command in (("fresh", "plan"), ("done", "apply")):
        home = folder / name
        home.mkdir()
        answers = home / "answers.yaml"
        answers.write_text(ANSWERS)
        subprocess.run(
            [*PRACTICE, command, str(answers)],
            env=environment(home),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
        )
    machine(folder / "root")


def opened(folder: Path, name: str, command: tuple[str, ...]) -> Terminal:
    """That command on a copy of what was prepared under that name, so that no run sees another's answers."""
    copy = folder / "now"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    if name:
        shutil.copytree(folder / name, copy / name, symlinks=True)
    argv = [part.replace("ROOT", str(copy / name)) for part in command]
    return Terminal(argv, environment(copy / name))


def first_screens(folder: Path, found: Measured) -> None:
    """One start of each: time, processor time, memory and bytes of the first screen."""
    bare: tuple[float, ...] = ()
    for case, (name, command) in STARTS.items():
        with opened(folder, name, command) as terminal:
            drawn = terminal.settle()
            costs = (drawn.seconds, terminal.worked(), terminal.peak())
        bare = bare or costs
        for what, cost, least in zip(("seconds", "cpu s", "peak MB"), costs, bare, strict=True):
            found[f"first screen, {what}: {case}"].append(cost)
            if case != "bare":
                found[f"first screen, {what}, x bare: {case}"].append(cost / least)
        found[f"first screen, bytes: {case}"].append(drawn.bytes)


def bare_steps(folder: Path, found: Measured) -> None:
    """The same keys in the bare app."""
    with opened(folder, *STARTS["bare"]) as terminal:
        terminal.settle()
        key(terminal, found, "next step, {}: bare", NEXT, changed(terminal, title))
        key(terminal, found, "next field, {}: bare", TAB)


def steps(folder: Path, case: str, found: Measured) -> None:
    """Ctrl+N from the first step to the last, Tab on each, typing on the second."""
    with opened(folder, *STARTS[case]) as terminal:
        terminal.settle()
        while f" of {STEPS} " not in terminal.grid.rows[0]:  # settle ends this when nothing changes any more
            terminal.press(ENTER)
            terminal.settle(changed(terminal, title))
        for step in range(1, STEPS):
            key(terminal, found, f"next field, {{}}: {case}", TAB)
            first = "first step that asks the server" if step + 1 == ASKS else "next step"
            key(terminal, found, f"{first}, {{}}: {case}", NEXT, changed(terminal, title))
            if step + 1 == ASKS:
                typing(terminal, f"live diff, {{}}: {case}", found)
        found[f"peak MB after all steps: {case}"].append(terminal.peak())


def typing(terminal: Terminal, name: str, found: Measured) -> None:
    """Letters at the end of a text, and away again: each until the diff below has followed."""
    terminal.press(END)
    terminal.settle()
    for letter in (*LETTERS, *([BACKSPACE] * len(LETTERS))):
        key(terminal, found, name, letter, changed(terminal, diff_rows))


def key(
    terminal: Terminal,
    found: Measured,
    name: str,
    text: str,
    ready: Callable[[list[str]], object] = lambda rows: rows[-1],
) -> None:
    """Press it, and note the time and the bytes; where it changes nothing there is nothing to note."""
    before = terminal.grid.rows
    terminal.press(text)
    drawn = terminal.settle(ready)
    if terminal.grid.rows != before:
        found[name.format("ms")].append(drawn.seconds * 1000)
        found[name.format("bytes")].append(drawn.bytes)


def changed(terminal: Terminal, part: Callable[[list[str]], list[str]]) -> Callable[[list[str]], object]:
    """Whether that part of the screen is another one than now."""
    before = part(terminal.grid.rows)
    return lambda rows: part(rows) != before


def title(rows: list[str]) -> list[str]:
    """The row that says where the person is."""
    return rows[:1]


def diff_rows(rows: list[str]) -> list[str]:
    """The diff of a step: from its rule, the last one on the screen, to the keys."""
    rules = [n for n, row in enumerate(rows) if row.startswith("-- ")]
    return rows[rules[-1] : -1] if rules else []


def line(name: str, values: list[float]) -> str:
    """A row of the table: median, 90th percentile, least and most."""
    ordered = sorted(values)
    ninth = ordered[min(len(ordered) - 1, round(0.9 * (len(ordered) - 1)))]
    digits = 2 if max(ordered) < 20 else 0
    numbers = (statistics.median(ordered), ninth, ordered[0], ordered[-1])
    return f"{name:{WIDTH}}" + "".join(f"{number:10.{digits}f}" for number in numbers) + f"{len(ordered):6}"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    found: Measured = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="nutwizard-bench-") as name:
        folder = Path(name)
        prepare(folder)
        for _ in range(rounds):
            first_screens(folder, found)
            bare_steps(folder, found)
            for case in ("practice, fresh", "practice, set up"):
                steps(folder, case, found)
    print(f"{'':{WIDTH}}{'median':>10}{'90th':>10}{'least':>10}{'most':>10}{'n':>6}")
    for what, values in found.items():
        print(line(what, values))


if __name__ == "__main__":
    main()
