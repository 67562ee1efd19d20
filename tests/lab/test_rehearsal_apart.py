"""A rehearsal touches nothing outside, and nothing is left of it, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nutwizard.engine.rehearsal import run
from nutwizard.engine.rehearsal.part import to_line
from tests.support.rehearsal_cases import cases

from .dress import CHECKOUT
from .guided import CANARY
from .lab import Lab
from .machine import Machine, wait_until
from .wizard import pair, status, tree, wizard

pytestmark = pytest.mark.lab

PLACES = ("/etc", "/run", "/var/lib/nut", "/usr/sbin", "/tmp")
#: The client's own files on the host, and the same with another password.
OWN_FILES, WRONG = "/root/clients/web", "/root/clients/locked-out"
#: Seconds for one rehearsal.
LIMIT = 60.0
#: Plays a case in a process of its own, and tells what each moment is.
PLAYER = """import sys
sys.path.insert(0, sys.argv[1])
from tests.support.rehearsal_cases import cases
from nutwizard.engine.rehearsal import run
case = next(case for case in cases() if case.name == sys.argv[2])
run.rehearse(case.caster(), lambda moment: print(moment.what.name, flush=True))
"""


@pytest.fixture(scope="module")
def well() -> Iterator[Lab]:
    with pair(CANARY) as lab:
        for name in ("nut.conf", "upsmon.conf", "upssched.conf"):
            text = lab.vm.read(f"/etc/nut/{name}").decode()
            lab.host.write(f"{OWN_FILES}/etc/nut/{name}", text, mode=0o600)
            lab.host.write(f"{WRONG}/etc/nut/{name}", text.replace(CANARY, "an0ther"), mode=0o600)
        script = lab.vm.read("/usr/sbin/upssched-cmd")
        lab.host.write(f"{OWN_FILES}/usr/sbin/upssched-cmd", script, mode=0o600)
        yield lab


def pids(machine: Machine, name: str) -> list[str]:
    return sorted(machine.run(["pidof", name]).stdout.split())


def outside(machine: Machine) -> dict[str, Any]:
    """What a rehearsal could have touched of a machine: files, processes, mounts, interfaces, upsd's view."""
    return {
        "files": tree(machine, *PLACES),
        "upsmon": (pids(machine, "upsmon"), machine.read("/run/nut/upsmon.pid")),
        "upsd": pids(machine, "upsd"),
        "driver": pids(machine, "dummy-ups"),
        "mounts": machine.run(["cat", "/proc/self/mountinfo"]).stdout.count("\n"),
        "links": machine.run(["ip", "-br", "link"]).stdout.count("\n"),
        "killpower": machine.exists("/etc/killpower"),
    }


@pytest.mark.parametrize("scenario", ["cut", "fsd"])
def test_beside_the_live_daemons(well: Lab, scenario: str) -> None:
    host, began = well.host, time.time()
    before = outside(host)
    played = wizard(host, "rehearse", "--scenario", scenario, "--client", OWN_FILES, "--json", timeout=LIMIT)
    found = json.loads(played.stdout)
    assert (found["well"], found["cut_off"], found["findings"][1:]) == (True, False, [])
    assert [each["down_at"] is not None for each in found["machines"]] == [True, True]
    assert outside(host) == before
    assert status(host, "apc") == "OL"
    live = [line for machine in (host, well.vm) for line in machine.log() if line.at >= began]
    assert [line for line in live if line.tag in ("REHEARSAL", "upsmon", "nut-monitor")] == []
    assert CANARY not in played.stdout + played.stderr


def test_the_client_beside_its_live_upsmon(well: Lab) -> None:
    vm = well.vm
    before = {name: value for name, value in outside(vm).items() if name not in ("upsd", "driver")}
    shown = wizard(vm, "rehearse", timeout=LIMIT).stdout
    assert "The host is made up" in shown
    assert "SHUTDOWNCMD: would go off now (as root)" in shown
    after = outside(vm)
    assert {name: after[name] for name in before} == before


def test_with_the_clients_own_files(well: Lab) -> None:
    """Folders with the clients' /etc/nut, one with a mistake in it: the verdict names it."""
    words = ("rehearse", "--scenario", "fsd", "--client", OWN_FILES, "--client", WRONG)
    played = wizard(well.host, *words, code=4, timeout=LIMIT)
    assert "broken: locked-out: upsd refuses its login" in played.stdout
    assert "mend: nutwizard step client_user" in played.stdout
    assert "locked-out: /usr/sbin/upssched-cmd is not in the folder" in " ".join(played.stdout.split())
    assert "web: /usr/sbin/upssched-cmd is not" not in played.stdout


def of_this_computer() -> dict[str, Any]:
    """What could be left of a rehearsal on the computer itself."""
    names = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                inside = os.readlink(folder / "ns/pid") != os.readlink("/proc/self/ns/pid")
            except OSError:
                continue
            if inside and b"nutwizard.engine.rehearsal.stage" in line:
                names.append(folder.name)
    return {
        "stages": names,
        "mounts": Path("/proc/self/mountinfo").read_text().count("nutwizard"),
        "links": sorted(name for name in os.listdir("/sys/class/net") if name.startswith("tap")),
        "own": os.path.exists("/run/nutwizard-rehearsal"),
    }


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_in_the_midst_nothing_is_left(number: signal.Signals) -> None:
    before = of_this_computer()
    argv = [sys.executable, "-c", PLAYER, str(CHECKOUT), "cut"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=CHECKOUT) as player:
        assert player.stdout is not None
        for line in player.stdout:
            if line == b"UPS\n":
                break
        assert len(of_this_computer()["stages"]) > len(before["stages"])
        player.send_signal(number)
        player.wait(10.0)
    wait_until(lambda: (of_this_computer() == before) or None, 10.0)


def test_the_stage_that_is_killed_is_told() -> None:
    """Whoever ends the stage: the rehearsal fails in words, and at once."""
    from nutwizard.core.errors import Failed

    case = next(case for case in cases() if case.name == "cut")
    killed: list[str] = []

    def told(moment: object) -> None:
        if not killed:
            mine = str(os.getpid())
            found = subprocess.run(
                ["pgrep", "-f", "--parent", mine, "unshare"], capture_output=True, text=True, check=False
            )
            killed.extend(found.stdout.split())
            for pid in killed:
                os.kill(int(pid), signal.SIGKILL)

    with pytest.raises(Failed, match="ended before it was over"):
        run.rehearse(case.caster(), told)
    assert killed


def test_half_a_play_starts_nothing() -> None:
    case = next(case for case in cases() if case.name == "cut")
    line = to_line(case.caster().play)
    code = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})\n"
    code += "from nutwizard.engine.rehearsal.stage import main; main()"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        input=line[: len(line) // 2],
        capture_output=True,
        timeout=10.0,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"")
