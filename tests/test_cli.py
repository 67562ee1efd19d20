"""The command line: where options stand, exit codes on machines in folders, output, and what README says."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from nutwizard import as_json, cli, commands
from nutwizard.core.errors import Exit
from nutwizard.core.facts import Role
from nutwizard.core.fields import FieldKind, fields_of
from nutwizard.core.fsd.report import make_report
from nutwizard.core.fsd.value import report_value
from nutwizard.core.links import State
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.engine import machine, registry
from nutwizard.engine.answers_file import read_answers
from nutwizard.engine.lastplay import LastPlay
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.store import Store
from tests.core import test_fsd_report

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CANARY = "CANARY-0815"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
COMMANDS: Mapping[str, list[str]] = {
    "": [], "step": ["mode"], "plan": ["a.yaml"], "apply": ["a.yaml"], "check": [], "undo": [], "history": [],
    "recover": [], "forget": ["3"], "explain": ["driver"], "paths": [], "firewall": ["manual"],
    "status": [], "test-event": ["ONBATT"], "report": [], "rehearse": [], "budget": [], "fsd": [],
}  # fmt: skip
OPTIONS: list[tuple[list[str], str, Any]] = [
    (["--role", "client"], "role", "client"),
    (["--plain"], "plain", True),
    (["--practice"], "practice", True),
    (["--json"], "json", True),
]


def placings(command: str, *options: list[str]) -> Iterator[list[str]]:
    """Every way to put the options around the words of the command."""
    lines = [[[word] for word in (command, *COMMANDS[command]) if word]]
    for option in options:
        lines = [[*line[:at], option, *line[at:]] for line in lines for at in range(len(line) + 1)]
    return ([*chain(*line)] for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_stands_anywhere(command: str) -> None:
    words = " ".join(COMMANDS[command])
    for root in (["--root", "/tree"], ["--root=/tree"]):
        for option, name, value in OPTIONS:
            for line in placings(command, root, option):
                found = vars(cli.parser().parse_args(line))
                assert (found["root"], found[name], found["command"] or "") == ("/tree", value, command)
                given = (
                    found[key]
                    for key in ("answers", "name", "id", "topic", "action", "event")
                    if found.get(key)
                )
                assert " ".join(map(str, given)) == words


@pytest.mark.parametrize("command", COMMANDS)
def test_all_options_together(command: str) -> None:
    options = [*chain(*(option for option, _, _ in OPTIONS))]
    for line in placings(command, ["--root", "/tree"]):
        for around in ([*options, *line], [*line, *options]):
            found = vars(cli.parser().parse_args(around))
            assert found["root"] == "/tree"
            assert [found[name] for _, name, _ in OPTIONS] == [value for _, _, value in OPTIONS]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_root_given_twice(command: str) -> None:
    """The later one counts; neither placing falls back to the real root."""
    for line in placings(command, ["--root", "/one"], ["--root", "/two"]):
        last = [word for word in line if word in ("/one", "/two")][-1]
        assert cli.parser().parse_args(line).root == last


@pytest.mark.parametrize("command", COMMANDS)
def test_without_options(command: str) -> None:
    found = vars(cli.parser().parse_args([command, *COMMANDS[command]] if command else []))
    assert [found[name] for name in ("root", "role", "plain", "practice", "json")] == [
        "/", None, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "short", ["--roo=/x", "--roo", "--prac", "--js", "--pla", "--rol=host", "--vers", "--he"]
)
def test_no_option_is_shortened(command: str, short: str, capsys: pytest.CaptureFixture[str]) -> None:
    for line in placings(command, [short]):
        with pytest.raises(SystemExit) as caught:
            cli.parser().parse_args(line)
        assert caught.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "line",
    ["plan", "apply", "step", "step mode more", "nonsense", "undo x", "undo 0", "undo -1", "undo ²", "--root",
     "plan a --ask mode", "--role server", "check more", "plan a b", "fsd --yes", "fsd now", "fsd pve"],
)  # fmt: skip
def test_a_wrong_command_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(line.split())
    assert caught.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "usage: nutwizard" in told.err


def make(folder: Path, role: str = "host") -> Path:
    """A machine of that role in a folder, NUT just installed."""
    practice = ROOT / "assets" / "practice"
    for part in ("common", "vm" if role == "client" else "host"):
        shutil.copytree(practice / part, folder, dirs_exist_ok=True)
    programs = ["usr/sbin/upsmon", "usr/sbin/upssched", "usr/sbin/shutdown"]
    if role == "host":
        programs += ["usr/sbin/upsdrvctl", "usr/lib/systemd/system-shutdown/nutshutdown"]
    for path in programs:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("#!/bin/sh\n")
        (folder / path).chmod(0o755)
    return folder


def answers(folder: Path, text: str = "role: host\n", mode: int = 0o600) -> str:
    path = folder / "answers.yaml"
    path.write_text(f"nutwizard: 1\n{text}")
    path.chmod(mode)
    return str(path)


CLIENT = "role: client\nmonitor:\n  server: 192.0.2.1\n  password: client-word\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make(tmp_path / "tree")


@pytest.fixture(autouse=True)
def _no_real_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the real root was reached")

    monkeypatch.setattr(machine.LiveHost, "__init__", forbidden)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tree: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(word, ...)` on the tree: exit code, stdout, stderr."""

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["--root", str(tree), *words])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, told.out, told.err

    return command


def snapshot(tree: Path) -> dict[str, tuple[bytes, int, int, int]]:
    """Every file outside our own folder: bytes, mode, owner."""
    found = {}
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_relative_to(tree / "var/lib/nutwizard"):
            stat = path.stat()
            found[str(path.relative_to(tree))] = (path.read_bytes(), stat.st_mode, stat.st_uid, stat.st_gid)
    return found


@AS_ROOT
def test_apply_history_undo(tree: Path, tmp_path: Path, run: Run) -> None:
    before, file = snapshot(tree), answers(tmp_path)
    assert run("history")[:2] == (0, "No transaction yet: nutwizard has changed nothing here.\n")
    code, out, err = run("plan", file)
    assert code == Exit.WOULD_CHANGE
    assert "+ MODE=netserver" in out
    assert err == f"Below {tree}: no unit is touched, no address is connected to.\n"
    assert snapshot(tree) == before
    assert run("apply", file)[0] == Exit.DONE
    after = snapshot(tree)
    assert after != before
    for command in ("plan", "apply"):
        assert run(command, file)[:2] == (0, "Nothing to do: everything is in place.\n")
    assert snapshot(tree) == after
    code, out, _ = run("history")
    assert code == 0
    assert re.match(r" +1  [0-9-]+ [0-9:]+  just now +committed +\d+ KiB  apply\n      /etc/nut/", out)
    assert run("check", "--role", "host")[0] == Exit.DONE
    assert run("undo", "7")[0] != Exit.DONE
    assert run("undo", "1")[0] == Exit.DONE
    assert snapshot(tree) == before
    assert "undone" in run("history")[1]
    code, _, err = run("undo")
    assert code == Exit.USAGE
    assert "nothing to undo" in err
    code, out, _ = run("forget", "1")
    assert code == 0
    assert "Transaction 1 is forgotten: " in out
    assert "undone, forgotten" in run("history")[1]
    assert run("forget", "9")[0] == Exit.USAGE


@AS_ROOT
@pytest.mark.parametrize("command", ["plan", "apply", "check", "history", "recover", "undo"])
def test_no_placing_reaches_the_real_root(command: str, tree: Path, tmp_path: Path) -> None:
    """`_no_real_root` fails the test where a placing does."""
    file = answers(tmp_path)
    for line in placings(command, ["--root", str(tree)]):
        assert cli.main([word.replace("a.yaml", file) for word in line]) in (0, 2, 3)


def test_the_folder_of_root(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (str(tmp_path / "absent"), answers(tmp_path)):
        assert cli.main(["check", "--root", name]) == Exit.USAGE
        assert capsys.readouterr() == ("", f"nutwizard: --root {name}: there is no such folder\n")
    assert cli.main(["--root", "", "check"]) == Exit.USAGE  # as with an unset variable
    assert capsys.readouterr().err == "nutwizard: --root needs the name of a folder\n"
    for line in (["--practice", "--root", str(tree)], ["check", "--root", str(tree), "--practice"]):
        assert cli.main([*line, "--plain"]) == Exit.USAGE
        assert "cannot be used with --root" in capsys.readouterr().err


def test_an_empty_root_in_the_root_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert cli.main(["recover", "--root", ""]) == Exit.USAGE


USAGE: dict[str, tuple[list[str], str]] = {
    "no answers": (["plan", "{folder}/absent.yaml"], "absent.yaml: No such file or directory"),
    "a folder": (["apply", "{folder}"], "is no regular file"),
    "the other role": (["plan", "{answers}", "--role", "client"], "is for the role host"),
    "unknown step": (
        ["step", "rehearsal", "--plain", "--role", "host"],
        "no such step: rehearsal; there are mode, ",
    ),
    "unknown step to ask": (["apply", "{answers}", "--ask", "mode,x"], "no such step: x"),
    "nothing to ask": (["apply", "{answers}", "--ask", ""], "no such step: ; there are mode, "),
    "unclear role": (["check"], "not clear whether this machine serves"),
    "no terminal": (["step", "mode"], "needs a terminal"),
    "guided without a terminal": ([], "needs a terminal"),
    "unknown transaction": (["undo", "9"], "9"),
    "a forced shutdown of files": (["fsd", "--role", "host"], "needs the running machine"),
    "a look at one of files": (["fsd", "--show", "--role", "host"], "needs the running machine"),
    "its report of files": (["fsd", "report", "--role", "host"], "this is no running machine"),
    "a client without a report": (["fsd", "--client", "x.json"], "--client gives a client's report"),
    "a look and a report": (["fsd", "report", "--show"], "before a test"),
    "a test as JSON": (["fsd", "--json"], "only nutwizard fsd report goes with --json"),
}


@AS_ROOT
@pytest.mark.parametrize("name", USAGE)
def test_exit_2(name: str, tree: Path, tmp_path: Path, run: Run) -> None:
    words, text = USAGE[name]
    before, file = snapshot(tree), answers(tmp_path)
    code, out, err = run(*[word.format(folder=tmp_path, answers=file) for word in words])
    assert (code, out) == (Exit.USAGE, "")
    assert text in err
    assert snapshot(tree) == before


@AS_ROOT
def test_every_problem_of_the_answers_is_told(tree: Path, tmp_path: Path, run: Run) -> None:
    before = snapshot(tree)
    file = answers(tmp_path, "role: host\nlisten:\n  port: 0\n  ports: 1\ndriver:\n  offdelay: x\n")
    for command in ("plan", "apply"):
        code, out, err = run(command, file, "--json")
        assert (code, out) == (Exit.USAGE, "")
        assert [line.partition("answers.yaml:")[2][:3] for line in err.splitlines()] == ["4:9", "5:3", "7:1"]
    assert snapshot(tree) == before


@AS_ROOT
@pytest.mark.parametrize("role", ["host", "client"])
def test_without_nut(role: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = make(tmp_path / "bare", role)
    (tree / "var/lib/dpkg/status").unlink()
    before = snapshot(tree)
    file = answers(tmp_path, CLIENT if role == "client" else "role: host\n")
    assert cli.main(["apply", file, "--root", str(tree)]) == Exit.USAGE
    wanted = "nut-client" if role == "client" else "nut-server nut-client"
    assert f"apt-get install {wanted}\n" in capsys.readouterr().err
    assert snapshot(tree) == before


@AS_ROOT
def test_exit_1_when_a_file_cannot_be_written(tree: Path, tmp_path: Path, run: Run) -> None:
    os.link(tree / "etc/nut/ups.conf", tree / "etc/nut/second-name")
    before = snapshot(tree)
    code, _, err = run("apply", answers(tmp_path))
    assert code == Exit.FAILED
    assert "has 2 hard links" in err
    assert snapshot(tree) == before


@AS_ROOT
def test_exit_4_when_something_is_broken(tree: Path, run: Run) -> None:
    """Below another root only what the files say can be broken: here no user of the VMs."""
    code, out, _ = run("check", "--role", "host")
    assert code == Exit.BROKEN
    assert "\nbroken    a user for the VMs\n" in out


def interrupted(tree: Path, folder: Path, run: Run) -> None:
    """A transaction as a kill just before its commit leaves it."""
    assert run("apply", answers(folder))[0] == Exit.DONE
    journal = tree / "var/lib/nutwizard/transactions/000001/journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b"committed" not in line))
    assert Store(OfflineHost(str(tree))).unfinished() is not None


@AS_ROOT
def test_exit_6_and_recover(tree: Path, tmp_path: Path, run: Run) -> None:
    before = snapshot(tree)
    interrupted(tree, tmp_path, run)
    for words in (
        ["plan", answers(tmp_path)],
        ["check", "--role", "host"],
        ["history"],
        ["history", "--json"],
    ):
        code, out, err = run(*words)
        assert (code, out) == (Exit.UNFINISHED, "")
        assert "transaction 1 was interrupted\nRun: nutwizard recover\n" in err
    code, out, _ = run("recover")
    assert code == Exit.DONE
    assert "files are as they were before" in out
    assert snapshot(tree) == before
    assert run("recover")[:2] == (0, "There is nothing to recover: no run was interrupted.\n")


@AS_ROOT
def test_a_command_that_writes_recovers_first(tree: Path, tmp_path: Path, run: Run) -> None:
    interrupted(tree, tmp_path, run)
    code, _, err = run("apply", answers(tmp_path))
    assert code == Exit.DONE
    assert "Transaction 1 (apply) had been interrupted" in err
    assert [record.state for record in Store(OfflineHost(str(tree))).records()] == [
        "rolled back",
        "committed",
    ]


@AS_ROOT
def test_exit_7_when_another_run_is_at_work(tree: Path, tmp_path: Path, run: Run) -> None:
    host = OfflineHost(str(tree))
    Store(host).prepare()
    before, file = snapshot(tree), answers(tmp_path)
    lock = Store(host).lock()
    try:
        code, _, err = run("apply", file)
        assert code == Exit.LOCKED
        assert f"another run of nutwizard is at work (process {os.getpid()})" in err
        assert run("plan", file)[0] == Exit.WOULD_CHANGE  # looking is free
        assert snapshot(tree) == before
    finally:
        lock.release()
    assert run("apply", file)[0] == Exit.DONE


NOBODY = """
import os, sys
from nutwizard import cli, commands, dialogue, opening
from nutwizard.core.facts import Role
from nutwizard.engine import answers_file, detect, machine, registry, saved, session, sources
from nutwizard.engine import transaction, undo
from nutwizard.prompts import guided
from nutwizard.wording import show
registry.steps_of(Role.HOST), registry.asset("upssched-cmd.sh")
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
sys.exit(cli.main(sys.argv[1:]))
"""


@AS_ROOT
@pytest.mark.parametrize("root", ["tree", "/"])
@pytest.mark.parametrize(
    "command", ["plan", "apply", "undo", "history", "recover", "step", "status", "test-event"]
)
def test_exit_8_without_root(command: str, root: str, tree: Path, tmp_path: Path) -> None:
    """Imported as root, since a checkout may be closed to others; then run as nobody."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    for path in (tree / "etc/nut").iterdir():
        path.chmod(0o640)
    file = answers(tmp_path, mode=0o644)
    words = [word.replace("a.yaml", file) for word in [command, *COMMANDS[command]]]
    words += ["--plain", "--role=host", "--root", str(tree) if root == "tree" else "/"]
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, *words],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (Exit.NEEDS_ROOT, "")
    assert "Run it as root: sudo nutwizard ...\n" in done.stderr


def test_exit_130(monkeypatch: pytest.MonkeyPatch, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: argparse.Namespace) -> Exit:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "history", interrupt)
    assert cli.main(["history", "--root", str(tree)]) == Exit.INTERRUPTED
    assert capsys.readouterr() == ("", "Interrupted.\n")


def headless(words: list[str], *, mute: bool = False) -> tuple[int, str]:
    """Exit code and stderr of a run whose stdout nobody reads; `mute`: stderr goes there, too."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "nutwizard", *words],
            cwd=ROOT, stdout=writer, stderr=writer if mute else subprocess.PIPE, timeout=30,
        )  # fmt: skip
    finally:
        os.close(writer)
    return done.returncode, "" if mute else done.stderr.decode()


@AS_ROOT
def test_a_reader_that_has_gone(tree: Path, tmp_path: Path) -> None:
    """`| head` ends no command half-way, changes no exit code, and shows no traceback."""
    below, file = ["--root", str(tree)], answers(tmp_path)
    remark = f"Below {tree}: no unit is touched, no address is connected to.\n"
    assert headless([*below, "plan", file]) == (Exit.WOULD_CHANGE, remark)
    assert headless([*below, "history", "--json"]) == (Exit.DONE, remark)
    assert headless(["--help"])[1] == ""
    assert headless([*below, "apply", file], mute=True)[0] == Exit.DONE
    assert [record.state for record in Store(OfflineHost(str(tree))).records()] == ["committed"]


@AS_ROOT
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_password_is_printed(form: list[str], tree: Path, tmp_path: Path, run: Run) -> None:
    nut = tree / "etc/nut"
    (nut / "upsd.users").write_text(
        f"# [old]\n# password = {CANARY}-1\n[admin]\n  password = {CANARY}-2\n  actions = SET\n"
        f"[upsmonclient]\n  password = {CANARY}-3 # was {CANARY}-4\n  upsmon slave\n"
        f"[upsmon]\n  password = {CANARY}-5\n  upsmon master\n"
    )
    (nut / "upsmon.conf").write_text(
        f"# MONITOR apc@localhost 1 upsmon {CANARY}-6 master\n"
        f"MONITOR apc@localhost 1 upsmon {CANARY}-7 master\n"
        f"# the password {CANARY}-7 is also in upsd.users\n"
    )
    text = "role: host\nclient_user:\n  password: CANARY-new\n"
    for words in (["plan"], ["apply"], ["plan"]):
        _, out, err = run(*words, answers(tmp_path, text), *form)
        assert "CANARY" not in out + err
    for words in (["history"], ["check", "--role", "host"], ["budget", "--role", "host"], ["undo"]):
        _, out, err = run(*words, *form)
        assert "CANARY" not in out + err
    assert "upsmonclient" in run("plan", answers(tmp_path, text), *form)[1]
    assert (nut / "upsd.users").read_text().count(CANARY) == 5


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The tables of a section, without their heads."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row, below in zip(cells, [*cells[1:], [""]], strict=True) if "---" not in row + below]


def ticked(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def keyed(text: str) -> dict[str, list[str]]:
    """`key` or `key` (`inner`, ...) -> inner keys."""
    return {key: ticked(inner) for key, inner in re.findall(r"`([a-z_]+)`(?: \(([^)]*)\))?", text)}


def documented_json() -> dict[str, dict[str, list[str]]]:
    text = section("JSON").replace("\n", " ")
    parts = re.split(r"`(\w+) --json`:", text.partition(" A link has ")[0])
    return {command: keyed(keys) for command, keys in zip(parts[1::2], parts[2::2], strict=True)}


def same_keys(found: Mapping[str, Any], documented: Mapping[str, list[str]]) -> None:
    assert set(found) == set(documented)
    for key, inner in documented.items():
        if inner:
            assert found[key]
            each_one = [found[key]] if isinstance(found[key], dict) else found[key]
            assert all(set(each) == set(inner) for each in each_one)


@AS_ROOT
def test_json_has_the_keys_of_readme(tmp_path: Path, run: Run) -> None:
    documented = documented_json()
    assert set(documented) == {"plan", "apply", "check", "status", "budget", "history", "paths"}
    file = answers(tmp_path)
    plan = json.loads(run("plan", file, "--json")[1])
    assert plan["acts"] == []  # nothing runs below another root
    same_keys(plan, {key: inner for key, inner in documented["plan"].items() if key != "acts"} | {"acts": []})
    for _ in range(2):  # the second has nothing to do
        code, out, _ = run("apply", file, "--json")
        found = json.loads(out)
        same_keys(found, documented["apply"])
        assert (found["code"], found["practice"]) == (code, False) == (0, False)
        assert set(found["plan"]) <= set(documented["plan"])
    history = json.loads(run("history", "--json")[1])
    same_keys(history, documented["history"])
    assert history["transactions"][0]["id"] == 1
    check = json.loads(run("check", "--role", "host", "--json")[1])
    link = section("JSON").replace("\n", " ").partition(" A link has ")[2].partition("Passwords")[0]
    assert check["findings"] == []
    same_keys(check, {**documented["check"], "links": ticked(link), "findings": []})
    same_keys(json.loads(run("status", "--json")[1]), {**documented["status"], "rehearsed": [], "forced": []})
    play = LastPlay(1.0, Scenario.CUT, True, ("web", "pve"), 0, "x")
    told = json.loads(as_json.status(None, "", practice=False, last=play, files="y"))
    same_keys(told, {**documented["status"], "forced": []})
    assert (told["rehearsed"]["scenario"], told["rehearsed"]["stands"]) == ("cut", False)
    budget = json.loads(run("budget", "--role", "host", "--json")[1])
    same_keys(budget, {**documented["budget"], "advice": []})  # no server is asked below another root
    assert (budget["verdict"], budget["has"]) == ("not known", None)
    assert set(re.findall(r"\(([a-z, ]+)\)", link)[0].split(", ")) == {state.value for state in State}
    same_keys(json.loads(run("paths", "--json")[1]), {**documented["paths"], "unseen": []})
    assert (check["broken"], {each["status"] for each in check["links"]}) == (0, {"proven", "unknown"})
    (tmp_path / "tree/usr/lib/systemd/system-shutdown/nutshutdown").unlink()
    code, out, _ = run("check", "--role", "host", "--json")
    assert code == Exit.BROKEN
    wrong = json.loads(out)["findings"]
    same_keys({"findings": wrong}, {"findings": documented["check"]["findings"]})


def test_the_json_of_a_forced_shutdown_is_in_readme() -> None:
    text = section("JSON").replace("\n", " ").partition("`fsd report --json`: ")[2]
    documented = {key: [word for word in inner if word != "begin"] for key, inner in keyed(text).items()}
    case = test_fsd_report.case_in(test_fsd_report.load("2.8.0"))
    found = report_value(make_report(case), case.own)
    same_keys(found, {**{key: documented[key] for key in found}, "seen": []})
    assert {*found, "forced"} >= {
        key for key in documented if key not in documented["rows"] + documented["points"]
    }


@AS_ROOT
def test_json_shows_a_diff_as_diff_does(tmp_path: Path, run: Run) -> None:
    files = json.loads(run("plan", answers(tmp_path), "--json")[1])["files"]
    [nut_conf] = [each for each in files if each["path"] == "/etc/nut/nut.conf"]
    assert re.fullmatch(r"@@ -\d+,\d+ \+\d+,\d+ @@", nut_conf["diff"][0])
    assert nut_conf["diff"][-2:] == ["-MODE=none", "+MODE=netserver"]


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    [found] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found.choices)


def test_readme_has_the_options_and_commands() -> None:
    parser = cli.parser()
    actions = subparsers(subparsers(parser)["firewall"]).values()
    known = {
        word
        for each in (parser, *subparsers(parser).values(), *actions)
        for action in each._actions
        for word in action.option_strings
    }
    assert set(re.findall(r"--[a-z][a-z-]*", section("Commands"))) == known - {"-h"}
    of_one_command = {
        "-h",
        "--ask",
        "--boot",
        "--yes",
        "--watch",
        "--for",
        "--fix",
        "--quiet",
        "--html",
        "--output",
    }
    of_one_command |= {"--from", "--port", "--interface", "--to", "--show", "--client"}
    of_one_command |= {"--scenario", "--real-time", "--verbatim"}
    assert {
        word for row in rows("Commands") for word in re.findall(r"--[a-z-]+", row[0])
    } == known - of_one_command
    lines = re.findall(r"^    nutwizard(?: ([a-z-]+))?", section("Commands"), re.MULTILINE)
    assert set(lines) == {"", *subparsers(parser)} == set(COMMANDS)


def test_readme_has_the_exit_codes() -> None:
    codes = {int(row[0]): row[1].replace("`", "") for row in rows("Commands") if row[0].isdigit()}
    assert set(codes) == {int(code) for code in Exit}
    told = {
        int(code): text
        for code, text in re.findall(r"(?:^|  )  ?(\d+)  (.+?)(?=   |$)", cli.EPILOG, re.MULTILINE)
    }
    assert set(told) == set(codes)


def test_readme_has_the_steps() -> None:
    found = {row[0]: row[1] for row in rows("The steps")}
    assert list(found) == [step.name for step in registry.all_steps()]
    for step in registry.all_steps():
        assert found[step.name] == ("both" if len(step.roles) == 2 else step.roles[0].value)
    [step_action] = [a for a in subparsers(cli.parser())["step"]._actions if a.dest == "name"]
    assert step_action.help == ", ".join(found)


def examples() -> dict[Role, str]:
    """The two answers files of README, which stand side by side."""
    lines = re.findall(r"^    (.*)$", section("The answers file"), re.MULTILINE)
    at = lines[0].rindex("nutwizard: 1")
    sides = [
        "".join(f"{part}\n" for part in side if part.strip())
        for side in zip(*[(line[:at].rstrip(), line[at:]) for line in lines], strict=True)
    ]
    return dict(zip((Role.HOST, Role.CLIENT), sides, strict=True))


@pytest.mark.parametrize("role", Role)
def test_readme_has_good_examples(role: Role, tmp_path: Path) -> None:
    (tmp_path / "client.password").write_text("word\n")
    (tmp_path / "client.password").chmod(0o600)
    path = tmp_path / "answers.yaml"
    path.write_text(examples()[role])
    path.chmod(0o644)
    assert read_answers(str(path), {each: registry.steps_of(each) for each in Role}).role is role


def documented_keys() -> set[tuple[Role, str, str]]:
    found = set()
    for cell, _ in rows("The answers file"):
        first, *rest = ticked(cell)
        step, _, key = first.partition(".")
        only = [role for role in Role if f"on a {role.value}" in cell] or list(Role)
        names = [key, *rest] if key else rest
        found |= {(role, step, name) for role in only for name in names}
    for role, text in examples().items():
        step = ""
        for line in text.splitlines():
            if re.match(r"  \w", line):
                found.add((role, step, line.split(":")[0].strip()))
            step = line.split(":")[0] if not line.startswith(" ") else step
    return {
        (role, step, key) for role, step, key in found if step in {s.name for s in registry.steps_of(role)}
    }


def test_readme_has_the_keys_of_the_answers() -> None:
    known = set()
    for role in Role:
        for step in registry.steps_of(role):
            for field in fields_of(step.answers_type(role)):
                known.add((role, step.name, field.name))
                if field.spec.kind is FieldKind.SECRET:
                    known.add((role, step.name, f"{field.name}_file"))
    assert documented_keys() == known
