"""Two hundred texts through the installed script, as status, charge, name of the UPS and event: none runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest

from tests.hostile.tally import count
from tests.test_script import bench_in, wait_calls

COMMANDS = ["touch CANARY", "id >CANARY", ": >CANARY", "exec touch CANARY", "eval 'touch CANARY'"]
SHAPES = [
    "; {} ;", "$({})", "`{}`", "| {}", "|| {} ||", "& {} &", "&& {}", "\n{}\n", "\r\n{}\r\n",
    "'; {}; '", '"; {}; "', "'\"; {}; \"'",
    "${{x:=$({})}}", "$((a[$({})]))", "<({})", ">({})", "x'$({})'y", 'x"$({})"y', "\\$({})", "\\`{}\\`",
    "$'\\n{}\\n'", "OB ]; {}; [",
    "onbatt) {} ;;", "*) {} ;; esac; {}", "#\n{}", "\0{}", "$(\n{}\n)", "-n; {}", "%s$({})",
    "; {} # ", "} ; {} ; {{".replace("}", "}}", 1),
    "${{IFS}}$({})", "!{}", "() {{ :; }}; {}", "a=b {}", "{{ {}; }}", "\x1b]0;$({})\x07", "\u202e$({})",
    "\\\n{}", "$(echo $({}))",
]  # fmt: skip
TEXTS = [shape.format(command, command).replace("\0", "") for shape, command in product(SHAPES, COMMANDS)]


def test_there_are_two_hundred() -> None:
    assert len(set(TEXTS)) >= 195
    assert all("CANARY" in text for text in TEXTS)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What went wrong with each text; the folders are compared, so a CANARY of any name or place is seen."""
    folders = [tmp_path_factory.mktemp(f"injection{number}") for number in range(len(TEXTS))]

    def tried(text: str, folder: Path) -> str:
        bench = bench_in(folder, wall=True)
        bench.program("notify-send-all")
        bench.program("upssched-own")
        bench.upsc(ups_status=text + "\n", battery_charge=text + "\n")
        before = set(folder.rglob("*"))
        ran = bench.run("dying", UPSNAME=text, NOTIFYTYPE=text)
        own = wait_calls(bench, "upssched-own")
        refused = bench.run(text, UPSNAME="apc@localhost") if len(text) % 4 == 0 else None
        new = set(folder.rglob("*")) - before - {folder / "calls", folder / "work"}
        strange = [message for message in bench.logged if not (message.isprintable() and message.isascii())]
        codes = (ran.returncode, refused.returncode if refused else 1)
        shutdowns = [call for call in bench.calls if call[0] == "upsmon"]
        whole = own == [["upssched-own", "dying", own[0][2], bench.logged[1]]] and len(shutdowns) == 1
        fine = not new and not strange and codes == (0, 1) and whole
        return "" if fine else f"{text!r}: {new} {strange} {codes} {own} {shutdowns}"

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(tried, TEXTS, folders))


def test_none_runs(outcomes: list[str]) -> None:
    for outcome in outcomes:
        count("injection strings through the script", "ran" if outcome else "were text")
    assert [outcome for outcome in outcomes if outcome] == []


def test_the_canary_would_be_seen(tmp_path: Path) -> None:
    """A script that did not quote would leave it."""
    bench = bench_in(tmp_path)
    bench.upsc(ups_status="$(touch CANARY)\n")
    text = bench.script.read_text()
    assert text.count('log "$message"') == 1
    bench.script.write_text(text.replace('log "$message"', 'eval "log $message"'))
    bench.run("onbatt")
    assert (tmp_path / "work/CANARY").exists()
