"""A replay: answers of the other role are refused unless insisted on; a password may come from stdin."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nutwizard import cli
from nutwizard.core import paths
from nutwizard.core.answers import Origin
from nutwizard.core.errors import Exit
from nutwizard.core.facts import Door, Facts, FileFact, Kind, Role, Served
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.engine import registry
from tests.test_cli import answers, make, snapshot

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
CANARY = "CANARY-4711"
SERVER = "192.168.1.107"
CLIENT = f"role: client\nmonitor:\n  server: {SERVER}\n  ups: apc\n"


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    def command(
        tree: Path, *words: str, typed: str | None = None, terminal: bool = False
    ) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO("not to be read" if typed is None else typed))
        monkeypatch.setattr("sys.stdin.isatty", lambda: terminal)
        code = cli.main(["--root", str(tree), *words])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        assert CANARY not in told.out + told.err
        return code, told.out, told.err

    return command


def mode(tree: Path, word: str) -> None:
    (tree / "etc/nut/nut.conf").write_text(f"MODE={word}\n")


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_answers_of_the_other_role_are_refused(command: str, tmp_path: Path, run: Any) -> None:
    tree = make(tmp_path / "host")
    mode(tree, "netserver")
    file = answers(tmp_path, CLIENT + f"  password: {CANARY}\n")
    before = snapshot(tree)

    code, out, err = run(tree, command, file)
    assert (code, out) == (Exit.USAGE, "")
    assert f"{file} is for the role client, and the files below {tree} is a host" in err
    assert "--role client" in err
    assert snapshot(tree) == before

    code, _, err = run(tree, command, file, "--role", "host")
    assert (code, snapshot(tree) == before) == (Exit.USAGE, True)
    assert run(tree, "plan", file, "--role", "client")[0] == Exit.WOULD_CHANGE


def test_a_machine_that_is_nothing_yet_takes_either_role(tmp_path: Path, run: Any) -> None:
    tree = make(tmp_path / "vm", "client")
    assert run(tree, "plan", answers(tmp_path, CLIENT + f"  password: {CANARY}\n"))[0] == Exit.WOULD_CHANGE


def monitored(tree: Path) -> list[str]:
    text = (tree / "etc/nut/upsmon.conf").read_text()
    return [line for line in text.splitlines() if line.startswith("MONITOR")]


@pytest.mark.parametrize("given", ["", "  password_file: absent.password\n"], ids=["none", "absent file"])
@pytest.mark.parametrize("typed", [f"{CANARY}\n", CANARY, f"{CANARY}\r\n"], ids=["line", "bare", "crlf"])
def test_a_password_from_stdin(given: str, typed: str, tmp_path: Path, run: Any) -> None:
    tree = make(tmp_path / "vm", "client")
    file = answers(tmp_path, CLIENT + given)
    assert run(tree, "apply", file)[0] == Exit.USAGE

    code, out, _ = run(tree, "apply", file, "--password-stdin", typed=typed)
    assert code == Exit.DONE
    assert monitored(tree) == [f"MONITOR apc@{SERVER} 1 upsmonclient {CANARY} secondary"]
    assert "with --password-stdin: the password is not in a file here" in out
    assert not (tree / paths.CLIENT_PASSWORD.lstrip("/")).exists()
    assert run(tree, "plan", file, "--password-stdin", typed=typed)[0] == Exit.DONE


@pytest.mark.parametrize("typed", ["", "\n", "two words\n", "caf\u00e9-pass\n", "a#b\n", "x" * 65 + "\n"])
def test_a_password_from_stdin_is_checked(typed: str, tmp_path: Path, run: Any) -> None:
    tree = make(tmp_path / "vm", "client")
    before = snapshot(tree)
    code, _, err = run(tree, "apply", answers(tmp_path, CLIENT), "--password-stdin", typed=typed)
    assert code == Exit.USAGE
    assert "--password-stdin: " in err
    assert typed.strip() == "" or typed.strip() not in err
    assert snapshot(tree) == before


def test_an_end_of_file_at_the_terminal_is_no_password(
    tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    tree = make(tmp_path / "vm", "client")
    code, _, err = run(tree, "plan", answers(tmp_path, CLIENT), "--password-stdin", typed=None, terminal=True)
    assert code == Exit.USAGE
    assert "--password-stdin: it is empty" in err


def test_on_a_host_it_is_the_password_of_the_vms(tmp_path: Path, run: Any) -> None:
    tree = make(tmp_path / "host")
    code, _, _ = run(tree, "apply", answers(tmp_path), "--password-stdin", typed=f"{CANARY}\n")
    assert code == Exit.DONE
    users = (tree / "etc/nut/upsd.users").read_text()
    assert f"[upsmonclient]\n\tpassword = {CANARY}\n" in users.replace("    ", "\t")


def suggested(served: Served | None, given: Mapping[str, Any]) -> tuple[Any, Any, str, list[str]]:
    """(value, origin, note) of the UPS name that a fresh client is offered, and the list beside it."""
    step = next(step for step in registry.steps_of(Role.CLIENT) if step.name == "monitor")
    asked: list[tuple[str, int]] = []

    def server(address: str, port: int) -> Served | None:
        asked.append((address, port))
        return served

    files = {path: FileFact(path) for path in step.paths(Role.CLIENT)}
    view = View(Facts(Door.LIVE, Kind.VM, files=files, server=server), Site(Role.CLIENT))
    found = step.suggest(view, given)["ups"]
    listed = [choice.value for choice in step.choices(view, given).get("ups", ())]
    assert set(asked) <= {(given.get("server"), given.get("port", 3493))}
    return found.value, found.origin, found.note, listed


TWO = Served({"eaton": "cellar", "rack": "", "odd name": "?"})


@pytest.mark.parametrize(
    ("served", "given", "expected"),
    [
        (TWO, {}, ("apc", Origin.GUIDE, "", [])),
        (TWO, {"server": SERVER}, ("eaton", Origin.DETECTED, f"{SERVER} has it", ["eaton", "rack"])),
        (TWO, {"server": SERVER, "port": 3494, "ups": "x"}, ("apc", Origin.GUIDE, "", ["eaton", "rack"])),
        (Served({"x": "", "apc": ""}), {"server": SERVER}, ("apc", Origin.GUIDE, "", ["x", "apc"])),
        (Served(), {"server": SERVER}, ("apc", Origin.GUIDE, f"{SERVER} has no UPS now", [])),
        (None, {"server": SERVER}, ("apc", Origin.GUIDE, f"{SERVER} does not answer on port 3493 now", [])),
    ],
)
def test_the_names_of_the_servers_upses_are_proposed(
    served: Served | None, given: Mapping[str, Any], expected: tuple[Any, ...]
) -> None:
    assert suggested(served, given) == expected
