"""docs/guide-coverage.md: every line of the guide has its row, and what a row points to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nutwizard import cli

ROOT = Path(__file__).parents[1]
#: Lines of the guide.
LAST = 789
ROWS = [
    (int(first), int(last), where)
    for first, last, where in re.findall(
        r"^\| (\d+)-(\d+) \| .+? \| (.+) \|$",
        (ROOT / "docs/guide-coverage.md").read_text("utf-8"),
        re.MULTILINE,
    )
]


def test_no_line_is_left_out() -> None:
    assert [first for first, _, _ in ROWS] == [1, *(last + 1 for _, last, _ in ROWS[:-1])]
    assert ROWS[-1][1] == LAST


@pytest.mark.parametrize("lines", [f"{first}-{last}" for first, last, _ in ROWS])
def test_what_a_row_names_is_there(lines: str) -> None:
    where = next(where for first, last, where in ROWS if f"{first}-{last}" == lines)
    names = [name for name in re.findall(r"`([^`]+)`", where) if not name.startswith(".")]
    assert names
    for name in names:
        if name.startswith("nutwizard "):
            command, _, rest = name.removeprefix("nutwizard ").partition(" ")
            args = cli.parser().parse_args([command, *rest.split()])
            assert args.command != "step" or (ROOT / f"steps/{args.name}.py").is_file()
            continue
        path, _, heading = name.partition("#")
        text = (ROOT / path).read_text("utf-8")
        assert not heading or re.search(rf"^##? {re.escape(heading)}$", text, re.MULTILINE), name
