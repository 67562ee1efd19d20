"""nut.conf: what `sh` makes of it, and MODE set so that sh and systemd agree."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nutwizard.formats.shellfile import MODES, ShellFile

from .cases import load, params

PIECES = st.sampled_from(
    [
        b"MODE=none\n",
        b"MODE=netclient # x\n",
        b"MODE=",
        b"MODE",
        b"=",
        b"none",
        b" ",
        b"\n",
        b'"',
        b"'",
        b"\\",
        b"#",
        b";",
        b"&&",
        b"$",
        b"`",
        b"export ",
        b"A=1\n",
        b"\r\n",
        b"\xe9",
    ]
)
TEXTS = st.one_of(st.binary(max_size=30), st.lists(PIECES, max_size=12).map(b"".join))


def sh_mode(folder: Path, data: bytes) -> str:
    """MODE after the real sh has sourced the file, as Debian's wrappers do."""
    path = folder / "nut.conf"
    path.write_bytes(data)
    script = f'. {path}; printf %s "$MODE"'
    shell = subprocess.run(["/bin/sh", "-c", script], capture_output=True, env={}, timeout=10, cwd=folder)
    return shell.stdout.decode("latin-1")


@pytest.mark.parametrize("case", params("mode.yaml"))
def test_mode(case: dict[str, Any]) -> None:
    data = case["text"].encode()
    document = ShellFile.parse(data)
    assert document.to_bytes() == data
    assert document.get("MODE") == case["mode"]
    assert (document.problem("MODE") is None) == case["good"]
    if case["after"] is None:
        with pytest.raises(ValueError, match="MODE"):
            document.set("MODE", "netserver")
        assert document.to_bytes() == data
        return
    document.set("MODE", "netserver")
    assert document.to_bytes().decode() == case["after"]
    assert document.get("MODE") == "netserver"


@pytest.mark.parametrize(
    "case", [case for case in load("mode.yaml") if case["good"]], ids=lambda case: case["why"]
)
def test_sh_reads_the_same(case: dict[str, Any], tmp_path: Path) -> None:
    assert sh_mode(tmp_path, case["text"].encode()) == case["mode"]
    assert sh_mode(tmp_path, case["after"].encode()) == "netserver"


def test_problems_name_the_line() -> None:
    problem = ShellFile.parse(b"# a\n\nMODE = none\n").problem("MODE")
    assert problem is not None
    assert problem.startswith("Line 3:")
    assert ShellFile.parse(b"# a\n\nMODE=none\n").line("MODE") == 3


def test_other_names_and_values() -> None:
    document = ShellFile.parse(b"MODE=none\nPOWEROFF_WAIT=15m\n")
    assert document.problem("POWEROFF_WAIT") is None
    document.set("POWEROFF_WAIT", "20m")
    assert document.to_bytes() == b"MODE=none\nPOWEROFF_WAIT=20m\n"
    with pytest.raises(ValueError, match="quotes"):
        document.set("MODE", "a b; reboot")


@given(TEXTS, st.sampled_from(MODES))
@example(b";export \\", "none")
@settings(max_examples=300)
def test_set_reads_back_or_changes_nothing(data: bytes, mode: str) -> None:
    document = ShellFile.parse(data)
    assert document.to_bytes() == data
    try:
        document.set("MODE", mode)
    except ValueError:
        assert document.to_bytes() == data
        return
    after = document.to_bytes()
    assert ShellFile.parse(after).get("MODE") == mode
    document.set("MODE", mode)
    assert document.to_bytes() == after
