"""The script that upssched runs. Its PATH is fixed; copies under test have another line, recorders first."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from nutwizard.core.upssched import Timer
from nutwizard.core.upsschedcmd import script_text

SCRIPT = Path(__file__).parent.parent / "assets" / "upssched-cmd.sh"
PATH_LINE = "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin\n"
OWN_LINE = "own=/usr/local/sbin/upssched-own\n"
#: What a copy with little patience has in place of the seconds of the script.
QUICK = {'timeout -k 2 "$limit"': "timeout -k 0.3 0.3", 'timeout -k 2 "$own_limit"': "timeout -k 0.5 0.5"}
TIMERS = (
    Timer("ONBATT", "onbatt_long", 120, "ONLINE", "script"),
    Timer("ONBATT", "dying", 300, "ONLINE", "fsd"),
    Timer("COMMBAD", "esac", 60, None, "fsd"),
)

#: The event types of NUT 2.7.4 to 2.8.5, in lower case, by the level that the message must have.
WARNINGS = [
    "onbatt", "lowbatt", "fsd", "shutdown", "commbad", "nocomm", "noparent", "replbatt", "off", "bypass",
    "alarm", "over", "other",
]  # fmt: skip
INFOS = [
    "online", "commok", "cal", "notcal", "notoff", "notbypass", "eco", "noteco", "notalarm", "notover",
    "trim", "nottrim", "boost", "notboost", "notother", "suspend_starting", "suspend_finished",
]  # fmt: skip

RECORDER = """#!/bin/sh
call=$(printf '%s\\n' {name}; for word; do printf '<%s>\\n' "$word"; done)
printf '%s\\n' "$call" >>'{log}'  # in one piece: another program may be called at the same time
{extra}
"""


@dataclass
class Bench:
    """A copy of the script with recorders in place of the programs that it calls."""

    folder: Path
    script: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def own(self) -> Path:
        """Where the copy looks for the user's own actions."""
        return self.folder / "upssched-own"

    @property
    def calls(self) -> list[list[str]]:
        """What was called: name and arguments."""
        log = self.folder / "calls"
        found: list[list[str]] = []
        for line in log.read_text().splitlines() if log.exists() else ():
            if line.startswith("<"):
                found[-1].append(line[1:-1])
            else:
                found.append([line])
        return found

    @property
    def logged(self) -> list[str]:
        """The messages given to logger, each after the arguments that keep it a message."""
        calls = [call for call in self.calls if call[0] == "logger"]
        assert all(call[1:5] == ["-i", "-t", "upssched-cmd", "--"] and len(call) == 6 for call in calls)
        return [call[5] for call in calls]

    def program(self, name: str, extra: str = "") -> None:
        path = self.own if name == "upssched-own" else self.bin / name
        path.write_text(RECORDER.format(name=name, log=self.folder / "calls", extra=extra))
        path.chmod(0o755)

    def upsc(self, **values: str) -> None:
        """A upsc that knows `ups_status` and `battery_charge`; the rest is an error, as with the real one."""
        cases = ""
        for key, value in values.items():
            (self.folder / key).write_text(value)
            cases += f"{key.replace('_', '.', 1)}) cat '{self.folder / key}' ;; "
        refused = "echo 'Error: Variable not supported by UPS' >&2; exit 1"
        self.program(
            "upsc",
            f'echo "Init SSL without certificate database" >&2\ncase $2 in {cases}*) {refused} ;; esac',
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        return subprocess.run(
            [str(self.script), *arguments],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
        )


def filled(
    wall: bool = False, replace: Mapping[str, str] | None = None, timers: Sequence[Timer] = TIMERS
) -> str:
    """The script as the actions step installs it; what a test replaces must stand in it exactly once."""
    text = script_text(SCRIPT.read_text(encoding="ascii"), "apc@localhost", wall, timers).decode("ascii")
    for old, new in (replace or {}).items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def bench_in(folder: Path, wall: bool = False, quick: bool = False) -> Bench:
    bench = Bench(folder, folder / "upssched-cmd")
    bench.bin.mkdir()
    replace = {PATH_LINE: f"PATH='{bench.bin}':/usr/bin:/bin\n", OWN_LINE: f"own='{bench.own}'\n"}
    bench.script.write_text(filled(wall, replace | (QUICK if quick else {})))
    bench.script.chmod(0o755)
    bench.upsc(ups_status="OB DISCHRG\n", battery_charge="93\n")
    for name in ("logger", "wall", "upsmon"):
        bench.program(name)
    return bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return bench_in(tmp_path)


def test_shellcheck(tmp_path: Path) -> None:
    if (program := shutil.which("shellcheck")) is None:
        if os.environ.get("CI"):
            pytest.fail("shellcheck is missing")
        pytest.skip("shellcheck is missing")
    path = tmp_path / "upssched-cmd"
    path.write_text(filled(wall=True))
    done = subprocess.run([program, str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_file_says_whose_it_is() -> None:
    lines = filled().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines[1].startswith("# upssched-cmd - written by nutwizard; ")
    assert "default_ups='apc@localhost'" in lines
    assert "wall=no" in lines


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ("online", "INFO - Power supply is back online."),
        ("onbatt", "WARNING - Power failure. Now running on battery."),
        ("lowbatt", "WARNING - Low battery. Shutdown now."),
    ],
)
def test_events_of_the_guide(bench: Bench, event: str, text: str) -> None:
    done = bench.run(event, UPSNAME="apc@192.168.1.107", NOTIFYTYPE=event.upper())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert bench.logged == [f"Calling upssched-cmd {event}", f"apc@192.168.1.107, [OB DISCHRG]:93% - {text}"]
    assert [call for call in bench.calls if call[0] == "upsc"] == [
        ["upsc", "apc@192.168.1.107", "ups.status"],
        ["upsc", "apc@192.168.1.107", "battery.charge"],
    ]
    assert not [call for call in bench.calls if call[0] == "wall"]


@pytest.mark.parametrize(
    ("event", "level"), [*((event, "WARNING") for event in WARNINGS), *((event, "INFO") for event in INFOS)]
)
def test_every_event_has_a_message(bench: Bench, event: str, level: str) -> None:
    assert bench.run(event).returncode == 0
    head, _, text = bench.logged[1].partition(f" - {level} - ")
    assert head == "apc@localhost, [OB DISCHRG]:93%"
    assert len(text) > 10
    assert text.endswith(".")


def test_messages_differ() -> None:
    found = [
        line.split("text=")[1] for line in filled().splitlines() if ") text='" in line and "''" not in line
    ]
    assert len(found) == len(WARNINGS) + len(INFOS) + len(TIMERS) == len(set(found))


@pytest.mark.parametrize(
    ("word", "text", "shuts_down"),
    [
        ("onbatt_long", "WARNING - On battery for 120 s.", False),
        ("dying", "WARNING - On battery for 300 s. Shutting down now.", True),
        ("esac", "WARNING - 60 s since COMMBAD. Shutting down now.", True),
    ],
)
def test_timers(bench: Bench, word: str, text: str, shuts_down: bool) -> None:
    done = bench.run(word, UPSNAME="apc@192.168.1.107", NOTIFYTYPE="ONBATT")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert bench.logged == [f"Calling upssched-cmd {word}", f"apc@192.168.1.107, [OB DISCHRG]:93% - {text}"]
    assert [call for call in bench.calls if call[0] == "upsmon"] == [["upsmon", "-c", "fsd"]] * shuts_down


@pytest.mark.parametrize(
    "word", [*WARNINGS, *INFOS, "onbatt_long", "nonsense", "dying\n", "dying ", "-dying"]
)
def test_nothing_else_shuts_down(bench: Bench, word: str) -> None:
    bench.run(word)
    assert not [call for call in bench.calls if call[0] == "upsmon"]


def test_a_shutdown_that_fails_is_logged(bench: Bench) -> None:
    bench.program("upsmon", "echo banner; printf 'Can\\047t open \\033[1mpid\\n' >&2; exit 1")
    assert bench.run("dying").returncode == 0
    assert bench.logged[2:] == ["ERROR - upsmon -c fsd ended with code 1: Can't open [1mpid"]


def test_nothing_delays_a_shutdown(tmp_path: Path) -> None:
    """Neither a server nor a log that hang; what comes after it hangs as long as it may."""
    bench = bench_in(tmp_path, wall=True, quick=True)
    for name in ("upsc", "logger", "wall", "upssched-own"):
        bench.program(name, "trap '' TERM; sleep 20")
    begin = time.monotonic()
    assert bench.run("dying").returncode == 0
    assert time.monotonic() - begin < 6
    assert bench.calls.index(["upsmon", "-c", "fsd"]) < bench.calls.index(["wall"])


def wait_calls(bench: Bench, name: str, count: int = 1) -> list[list[str]]:
    """The calls of a program that may still be under way in the background."""
    stop = time.monotonic() + 5
    while len(found := [call for call in bench.calls if call[0] == name]) < count and time.monotonic() < stop:
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("word", ["onbatt", "onbatt_long", "dying"])
def test_own_actions_get_three_arguments(bench: Bench, word: str) -> None:
    bench.program("upssched-own")
    bench.run(word, UPSNAME="apc@192.168.1.107")
    message = bench.logged[1]
    assert wait_calls(bench, "upssched-own") == [["upssched-own", word, "apc@192.168.1.107", message]]


def test_own_actions_are_not_called_for_an_unknown_word(bench: Bench) -> None:
    bench.program("upssched-own")
    assert bench.run("nonsense").returncode == 1
    time.sleep(0.3)
    assert not [call for call in bench.calls if call[0] == "upssched-own"]


@pytest.mark.parametrize("kind", ["folder", "no permission", "dangling link"])
def test_own_actions_must_be_an_executable_file(bench: Bench, kind: str) -> None:
    if kind == "folder":
        bench.own.mkdir()
    elif kind == "dangling link":
        bench.own.symlink_to(bench.folder / "absent")
    else:
        bench.program("upssched-own")
        bench.own.chmod(0o644)
    assert bench.run("onbatt").returncode == 0
    time.sleep(0.3)
    assert len(bench.logged) == 2
    assert not [call for call in bench.calls if call[0] == "upssched-own"]


def test_own_actions_that_fail_are_logged(bench: Bench) -> None:
    bench.program("upssched-own", "echo said; echo complained >&2; exit 7")
    done = bench.run("onbatt")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    wait_calls(bench, "logger", 3)
    assert bench.logged[2:] == [f"ERROR - {bench.own} onbatt ended with code 7"]


def test_own_actions_run_in_the_background_and_not_for_ever(tmp_path: Path) -> None:
    bench = bench_in(tmp_path, quick=True)
    bench.program("upssched-own", f"trap '' TERM; echo $$ >'{tmp_path}/pid'; sleep 20; sleep 20")
    begin = time.monotonic()
    assert bench.run("onbatt").returncode == 0
    assert time.monotonic() - begin < 0.5
    wait_calls(bench, "logger", 3)
    assert bench.logged[2:] == [f"ERROR - {bench.own} onbatt was ended after 30 s"]
    assert not runs((tmp_path / "pid").read_text().strip())


@pytest.mark.parametrize(
    "event", ["nonsense", "ONBATT", "onbatt lowbatt", "-h", "", "*", "onbatt\n", "x" * 5000]
)
def test_unknown_argument(bench: Bench, event: str) -> None:
    assert bench.run(event).returncode == 1
    shown = (
        event[:40]
        if event == event.strip() and len(event) <= 40
        else f"{event.strip()[:40]} (unprintable or too long)"
    )
    assert bench.logged[1:] == [f'ERROR - Bad argument: "{shown}", [OB DISCHRG]:93%']


def test_missing_argument(bench: Bench) -> None:
    done = bench.run()
    assert (done.returncode, done.stderr) == (1, "")
    assert bench.logged[1:] == ['ERROR - Bad argument: "", [OB DISCHRG]:93%']


@pytest.mark.parametrize(
    "name", ["apc", "apc@nut.example.net:3494", "apc@[fd00::7]:3493", "ups_2.a-b@[fe80::1%vmbr0]"]
)
def test_the_ups_of_the_event(bench: Bench, name: str) -> None:
    bench.run("online", UPSNAME=name)
    assert bench.logged[1].startswith(f"{name}, [")


@pytest.mark.parametrize(
    "name", ["", "-V", "a b", "apc;id", "apc\n", "apc/../x", "a'b", "a\tb", "a\\b", "a*", "é"]
)
def test_another_name_gives_way_to_the_default(bench: Bench, name: str) -> None:
    bench.run("online", UPSNAME=name)
    assert bench.logged[1].startswith("apc@localhost, [")
    assert {call[1] for call in bench.calls if call[0] == "upsc"} == {"apc@localhost"}


def test_upsc_fails(bench: Bench) -> None:
    bench.program("upsc", "echo 'Error: Connection failure: Connection refused' >&2; exit 1")
    done = bench.run("onbatt")
    assert (done.returncode, done.stderr) == (0, "")
    assert bench.logged[1].startswith("apc@localhost, [unknown]:unknown% - WARNING - ")


def test_upsc_has_no_charge(bench: Bench) -> None:
    bench.upsc(ups_status="OL\n")
    bench.run("online")
    assert bench.logged[1].startswith("apc@localhost, [OL]:unknown% - INFO - ")


def test_upsc_hangs_and_ignores_the_end(tmp_path: Path) -> None:
    bench = bench_in(tmp_path, quick=True)
    bench.program("upsc", f"trap '' TERM; sleep 20 & echo $$ $! >'{tmp_path}/pids'; wait; sleep 20")
    start = time.monotonic()
    assert bench.run("lowbatt").returncode == 0
    assert time.monotonic() - start < 5
    assert bench.logged[1].startswith("apc@localhost, [unknown]:unknown% - WARNING - Low battery.")
    assert not [pid for pid in (tmp_path / "pids").read_text().split() if runs(pid)]


def runs(pid: str) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("extra", ["exit 1", "kill -9 $$", "sleep 20"])
def test_exit_0_whatever_becomes_of_the_message(tmp_path: Path, extra: str) -> None:
    bench = bench_in(tmp_path, wall=True, quick=True)
    for name in ("logger", "wall", "notify-send-all"):
        bench.program(name, extra)
    assert bench.run("onbatt").returncode == 0
    assert [call[0] for call in bench.calls if call[0] != "upsc"] == [
        "logger",
        "logger",
        "wall",
        "notify-send-all",
    ]


def test_exit_0_without_any_of_them(tmp_path: Path) -> None:
    bench = bench_in(tmp_path, wall=True)
    shutil.rmtree(bench.bin)
    bench.bin.mkdir()
    for name in ("head", "tail", "tr", "cut", "timeout"):
        (bench.bin / name).symlink_to(shutil.which(name) or name)
    bench.script.write_text(
        bench.script.read_text().replace(f"'{bench.bin}':/usr/bin:/bin", f"'{bench.bin}'")
    )
    done = bench.run("onbatt")
    assert done.returncode == 0
    assert "logger" in done.stderr


@pytest.mark.parametrize("wall", ["yes", "no"])
def test_wall_is_a_choice(tmp_path: Path, wall: str) -> None:
    bench = bench_in(tmp_path, wall=wall == "yes")
    bench.program("wall", f"cat >'{tmp_path}/walled'")
    bench.run("onbatt")
    assert (tmp_path / "walled").exists() is (wall == "yes")
    if wall == "yes":
        assert (tmp_path / "walled").read_text() == bench.logged[1] + "\n"


def test_notify_send_all_gets_one_argument_where_it_exists(bench: Bench) -> None:
    assert "not found" not in bench.run("onbatt").stderr
    bench.program("notify-send-all")
    bench.run("onbatt")
    assert bench.calls[-1] == ["notify-send-all", bench.logged[1]]


def test_the_path_of_the_caller_is_not_used(bench: Bench) -> None:
    """The only run with the script's own PATH line: nothing of the caller's is called."""
    bench.script.write_text(filled())
    for name in ("head", "tr", "cut", "timeout"):
        bench.program(name)
    assert bench.run("nonsense", PATH=str(bench.bin)).returncode == 1
    assert bench.calls == []


INJECTIONS = [
    "; touch CANARY", "$(touch CANARY)", "`touch CANARY`", "| touch CANARY", "|| touch CANARY",
    "& touch CANARY", "\ntouch CANARY\n", "\r\ntouch CANARY", "'; touch CANARY; '", '"; touch CANARY; "',
    "${x:=$(touch CANARY)}", "$((x[$(touch CANARY)]))", "> CANARY", ">> CANARY", ">CANARY", "2>CANARY",
    "<(touch CANARY)", ">(touch CANARY)", "*", "[a-z]*", "../../CANARY", "/etc/passwd", "-f CANARY",
    "--file=CANARY", "-n", "--", "-", "%s%n%s", "\\", "\\$(touch CANARY)", "~root", "!touch CANARY",
    "{touch,CANARY}", "onbatt) touch CANARY ;;", "OB ]; touch CANARY", "a=b touch CANARY",
    "\x1b]0;x\x07\x1b[31m", "\u202etouch", " ", "#", "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_hostile_text_is_text(tmp_path: Path, text: str) -> None:
    """As status and charge, as name of the UPS, as argument: nothing runs, is written, or is an option."""
    bench = bench_in(tmp_path, wall=True)
    bench.program("notify-send-all")
    bench.program("upssched-own")
    bench.upsc(ups_status=text + "\n", battery_charge=text + "\n")
    before = sorted(tmp_path.rglob("*"))
    first = bench.run("onbatt", UPSNAME=text)
    second = bench.run(text)
    assert (first.returncode, second.returncode) == (0, 1)
    (own,) = wait_calls(bench, "upssched-own")
    assert own == ["upssched-own", "onbatt", bench.logged[1].partition(",")[0], bench.logged[1]]
    assert set(tmp_path.rglob("*")) - set(before) == {tmp_path / "calls", tmp_path / "work"}
    assert len(bench.logged) == 4
    for message in bench.logged:
        assert message.isprintable()
        assert message.isascii()
        assert len(message) < 400
    assert bench.logged[1].startswith(("apc@localhost, [", "%s%n%s, ["))
    assert [call[0] for call in bench.calls].count("wall") == 1
    assert {len(call) for call in bench.calls if call[0] == "wall"} == {1}
    assert {call[1] for call in bench.calls if call[0] == "notify-send-all"} == {bench.logged[1]}
