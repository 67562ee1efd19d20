"""What the caller's shell has planted changes nothing; children get a fixed environment, and an end; files
that hold secrets are never made wider than their owner's.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from nutwizard.engine.machine import ENVIRONMENT, run_bounded
from tests.hostile.rig import CHECKOUT, COMMAND, STOCK, Bench, machine
from tests.hostile.test_canary import VM_ANSWERS

ANSWERS = """nutwizard: 1
role: host
driver: {ups: apc, driver: usbhid-ups, port: auto, description: APC}
client_user: {name: upsmonclient, password_file: client.password}
monitor: {user: upsmon, password_file: monitor.password}
"""
TOOLS = "cmp readlink id stat mkdir sh env systemctl journalctl systemd-detect-virt upsd upsc vi".split()
MODULES = "yaml argparse json resource nutwizard psutil sitecustomize usercustomize".split()
TRACE = "open,openat,creat,mkdir,mkdirat,mknodat,execve"


LIMITED = """
import resource, sys
from nutwizard import cli
cli._dispatch = lambda command: lambda args: print(resource.getrlimit(resource.RLIMIT_CORE)[0]) or 0
sys.exit(cli.main(["history"]))
"""


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Bench, dict[str, str], Path]:
    """A working folder and an environment full of traps; each would leave `mark`."""
    bench, mark = Bench(tmp_path / "bench"), tmp_path / "mark"
    bench.environment  # noqa: B018 - makes its folders
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).write_text(f"#!/bin/sh\necho {name} >>{mark}\nexit 0\n")
        (tools / name).chmod(0o755)
    for name in MODULES:
        (bench.place / "work" / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write('{name}')\n")
    work = str(bench.place / "work")
    return bench, {
        "PATH": f"{tools}:.", "PYTHONPATH": work, "PYTHONSTARTUP": f"{work}/yaml.py", "PYTHONINSPECT": "1",
        "PYTHONHOME": work, "PYTHONUSERBASE": work, "PYTHONWARNINGS": "error", "LD_LIBRARY_PATH": work,
        "LD_PRELOAD": f"{work}/absent-preload.so", "IFS": "/.", "EDITOR": f"{tools}/vi",
        "VISUAL": f"{tools}/vi",
        "PAGER": f"{tools}/vi", "ENV": f"{work}/env.sh", "BASH_ENV": f"{work}/env.sh", "CDPATH": work,
        "LESSOPEN": f"|{tools}/vi",
    }, mark  # fmt: skip


def test_run_in_a_planted_environment(tmp_path: Path, planted: tuple[Bench, dict[str, str], Path]) -> None:
    bench, variables, mark = planted
    root = machine(tmp_path / "root", "host", STOCK)
    answers = bench.place / "work/answers.yaml"
    answers.write_text(ANSWERS)
    command = (str(CHECKOUT / "run"),)
    words = ("--root", str(root), "plan", str(answers))
    clean = bench.run(*words, command=command, code=3)
    trapped = bench.run(*words, command=command, code=3, variables=variables)
    assert trapped.out == clean.out
    assert not mark.exists(), mark.read_text()
    # The loader complains once for each program that it starts with LD_PRELOAD: for the shell of ./run alone.
    assert trapped.err.count(b"absent-preload.so") == 1


@pytest.mark.lab
def test_every_program_that_is_started(planted: tuple[Bench, dict[str, str], Path]) -> None:
    """Of the practice machine too, whose daemons are real: by absolute path, with nothing of the caller's."""
    _, variables, mark = planted
    traps = {name: text for name, text in variables.items() if not name.startswith(("LD_", "PATH"))}
    with tempfile.TemporaryDirectory(prefix="started-") as place:
        os.chmod(place, 0o711)  # the daemons run as nut
        bench, log = Bench(Path(place)), Path(place, "trace")
        bench.environment  # noqa: B018 - makes its folders
        answers = bench.place / "work/vm.yaml"
        answers.write_text(VM_ANSWERS.format(server="192.168.1.107"))
        (bench.place / "work/vm.password").touch(0o600)
        (bench.place / "work/vm.password").write_text("practice-client\n")
        strace = (
            "strace",
            "-f",
            "-qqq",
            "-v",
            "-s",
            "4096",
            "--seccomp-bpf",
            "-e",
            "trace=execve",
            "-o",
            str(log),
        )
        bench.run("--practice", "apply", str(answers), command=(*strace, *COMMAND), variables=traps)
        lines = [line for line in log.read_text().splitlines() if "execve(" in line][1:]  # the first is ours
    programs = [re.search(r'execve\("([^"]*)", \["([^"]*)"', line) for line in lines]
    names = {os.path.basename(found[1]) for found in programs if found}
    assert names >= {"upsd", "dummy-ups"}, names
    allowed = {*ENVIRONMENT, *(f"NUT_{part}PATH" for part in ("CONF", "STATE", "ALTPID", "PID"))}
    for line, found in zip(lines, programs, strict=True):
        assert found is not None, line
        assert found[1].startswith("/"), line
        environment = re.findall(r'"(\w+)=', line.rpartition("], [")[2])
        assert set(environment) <= allowed, line
    assert not mark.exists()


def test_a_child_gets_a_fixed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/evil")
    monkeypatch.setenv("LD_PRELOAD", "/evil.so")
    done = run_bounded(["/usr/bin/env"], timeout=5)
    assert dict(line.split("=", 1) for line in done.out.splitlines()) == ENVIRONMENT
    assert done.err == ""


@pytest.mark.parametrize(
    "script",
    [
        "sleep 97 & echo begun",
        "sleep 97 & echo begun; sleep 97",
        "trap '' TERM HUP; echo begun; sleep 97 & wait",
    ],
)
def test_a_grandchild_that_holds_the_pipe_is_ended_with_its_group(script: str) -> None:
    begin = time.monotonic()
    done = run_bounded(["/bin/sh", "-c", f"echo $$; {script}"], timeout=0.5)
    assert time.monotonic() - begin < 3
    assert (done.timed_out, done.code) == (True, -1)
    group, said = done.out.split()
    assert said == "begun"
    stop = time.monotonic() + 3
    while _members(int(group)) and time.monotonic() < stop:
        time.sleep(0.02)
    assert _members(int(group)) == []


def test_one_that_leaves_its_group_is_not_waited_for() -> None:
    begin = time.monotonic()
    done = run_bounded(["/bin/sh", "-c", "setsid sh -c 'echo $$; exec sleep 97' & wait"], timeout=0.5)
    try:
        assert time.monotonic() - begin < 5
        assert done.timed_out
    finally:
        for pid in _pids_of("sleep\0" + "97\0"):
            os.kill(pid, 9)


def _members(group: int) -> list[int]:
    """Processes of the group that are no zombies."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(name))
    return found


def _pids_of(arguments: str) -> list[int]:
    """Processes with exactly these arguments."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path("/proc", name, "cmdline").read_text() == arguments:
                found.append(int(name))
        except OSError:
            continue
    return found


@pytest.mark.lab
def test_no_file_is_made_wider_than_its_owners(tmp_path: Path) -> None:
    """Under umask 0, where a careless mode would show: every file and folder is made for its owner alone."""
    bench = Bench(tmp_path / "bench")
    bench.environment  # noqa: B018 - makes its folders
    root, log = machine(tmp_path / "root", "host", STOCK), tmp_path / "trace"
    answers = bench.place / "work/answers.yaml"
    answers.write_text(ANSWERS)
    strace = (
        "strace",
        "-f",
        "-qqq",
        "-s",
        "4096",
        "--seccomp-bpf",
        "-e",
        f"trace={TRACE}",
        "-o",
        str(log),
        "sh",
        "-c",
        'umask 0; exec "$@"',
        "sh",
    )
    bench.run("--root", str(root), "apply", str(answers), command=(*strace, *COMMAND))
    bench.run("--root", str(root), "undo", command=(*strace[:-4], "-A", *strace[-4:], *COMMAND))
    made = [
        line
        for line in log.read_text().splitlines()
        if ("O_CREAT" in line or "mkdir" in line) and str(tmp_path) in line
    ]
    secret = [
        line
        for line in made
        if re.search(
            r"upsd\.users|upsmon\.conf|\.password|/before/|/after/|plan\.json|journal|transactions", line
        )
    ]
    assert len(secret) > 10
    modes = {line: int(line.rpartition(", 0")[2].partition(")")[0], 8) for line in made}
    wide = [line for line, mode in modes.items() if mode & 0o077]
    # Folders above /var/lib/nutwizard are the system's, with the usual mode.
    assert [line for line in wide if not re.search(r'mkdir.*/(var|lib)", 0', line)] == []
    assert not [
        line for line in made if "O_CREAT" in line and "O_NOFOLLOW" not in line and "O_EXCL" not in line
    ], "no link is followed"


def test_no_core_is_dumped() -> None:
    """Where the limit allowed one before."""
    done = subprocess.run(
        ["sh", "-c", 'ulimit -S -c "$(ulimit -H -c)"; ulimit -S -c; exec "$@"', "sh", *COMMAND[:2], "-"],
        input=LIMITED, text=True, capture_output=True, timeout=20,
    )  # fmt: skip
    before, after = done.stdout.split()
    assert (before == "0", after) == (False, "0"), done.stderr
