"""A pair set up by nutwizard, its forced shutdown as a person does it at two terminals, its return."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.lab.dress import CHECKOUT
from tests.lab.lab import VM_ADDRESS
from tests.lab.machine import LogLine, wait_until
from tests.lab.terminal import Terminal
from tests.lab.usbhid_standin import CUTS
from tests.lab.wizard import PASSWORD, apply_host, clients, host_answers, status, wizard
from tests.support.tmux import Tmux

from .nspawned import Nspawned, Off
from .rig import Rig

FOLDER = "/etc/nutwizard/clients/debiantpl"
KILLPOWER = "/etc/killpower"
LOGIN_LIMIT = 30.0
#: Seconds that a machine has from the command to its end.
OFF_LIMIT = 90.0
#: Seconds from the driver's order: the UPS cuts the power, and gives it again. The guide's are 60 and 70.
OFF_DELAY, ON_DELAY = 12, 20
ANSWERS = (
    host_answers()
    .replace("offdelay: 60", f"offdelay: {OFF_DELAY}")
    .replace("ondelay: 70", f"ondelay: {ON_DELAY}")
    + f"clients: {{clients: {{debiantpl: {VM_ADDRESS}}}}}\n"
)


#: Seconds: two ways lead to the journal, and one line may overtake another.
OVERTAKEN = 0.1


class LoggedIn(Terminal):
    """`nutwizard WORDS` in a terminal of the administrator who has logged in over ssh."""

    def __init__(self, rig: Rig, machine: Nspawned, *words: str) -> None:
        line = f"cd {shlex.quote(str(CHECKOUT))} && exec ./run {shlex.join(words)}"
        Tmux.__init__(self, rig.login(machine, line), machine.name)


@dataclass(frozen=True)
class Fallen:
    """What was seen of one machine: its end, its log from the order on, its terminal, its flag at the end."""

    off: Off
    log: list[LogLine]
    screen: str
    flag: str

    def times(self, lines: Sequence[str]) -> dict[str, float]:
        """When each line was written; raises AssertionError where one is missing or before an earlier one."""
        found = {text: next((e.at for e in self.log if e.text.startswith(text)), None) for text in lines}
        times = {text: at for text, at in found.items() if at is not None}
        assert list(times) == list(lines)
        for earlier, later in pairwise(lines):
            assert times[earlier] < times[later] + OVERTAKEN, (earlier, later)
        return times


@dataclass(frozen=True)
class Cut:
    """A forced shutdown: when it was asked for, the questions before, its end on both, what the UPS was told.

    `refused`: the host's screen after another name than its own; `status`: of the UPS then; `host_line`: was
    the host's terminal still in use when the VM's line was lost?
    """

    asked: float
    questions: list[str]
    refused: str
    status: str
    host: Fallen
    vm: Fallen
    told: list[dict[str, Any]]
    host_line: bool


def set_up(rig: Rig) -> None:
    """Boot both and set them up, the VM from the folder that the host has written for it."""
    rig.host.boot()
    rig.vm.boot()
    rig.host.write(PASSWORD, "s3cret-of-the-VMs\n", mode=0o600)
    apply_host(rig.host, ANSWERS)
    for file in ("answers.yaml", "client.password"):
        rig.vm.write(f"/root/debiantpl/{file}", rig.host.read(f"{FOLDER}/{file}"), mode=0o600)
    wizard(rig.vm, "apply", "/root/debiantpl/answers.yaml")
    wait_logged_in(rig)


def fire(rig: Rig) -> Cut:
    """The forced shutdown, typed in a terminal of the host while the VM is watched in another."""
    with LoggedIn(rig, rig.vm, "fsd") as vm_terminal, LoggedIn(rig, rig.host, "fsd") as host_terminal:
        vm_terminal.wait(lambda: "Waiting for FSD" in vm_terminal.screen() or None, OFF_LIMIT)
        questions = acknowledge(host_terminal)
        type_in(host_terminal, rig.vm.name)
        host_terminal.tap("Enter")
        refused, ups = host_terminal.still(), status(rig.host, "apc")
        host_terminal.press("C-u")
        type_in(host_terminal, rig.host.name)
        asked = time.time()
        host_terminal.tap("Enter")
        vm_off = rig.vm.wait_off(OFF_LIMIT)
        vm_terminal.wait(vm_terminal.ended)
        host_line = host_terminal.ended() is None
        host_off = rig.host.wait_off(OFF_LIMIT)
        host_terminal.wait(host_terminal.ended)
        host = fallen(rig.host, host_off, host_terminal, asked)
        vm = fallen(rig.vm, vm_off, vm_terminal, asked)
    told = [json.loads(line) for line in on_disk(rig.host, str(CUTS)).splitlines()]
    return Cut(asked, questions, refused, ups, host, vm, told, host_line)


def acknowledge(terminal: Terminal) -> list[str]:
    """Answer everything up to the name of the host; what was asked for, each by its first word."""
    asked = []
    while not (question := terminal.question()).startswith("name of this host"):
        assert question, terminal.screen()
        if question.startswith("what else hangs on the UPS"):
            type_in(terminal, "the switch")
            terminal.press("Enter")
        else:
            asked.append(terminal.screen().rpartition(" of ")[2].splitlines()[0].split(maxsplit=1)[1])
            terminal.press("a", "Enter")
    return asked


def type_in(terminal: Terminal, text: str) -> None:
    """Type into the field that is asked."""
    terminal.send(text)
    terminal.wait(lambda: any(line.endswith(f" {text}") for line in terminal.screen().splitlines()) or None)


def power_back(rig: Rig, cut: Cut) -> None:
    """The UPS gives power again: the host starts, then its guest."""
    wait_until(lambda: time.time() > cut.told[-1]["at"] + ON_DELAY or None, ON_DELAY + 5.0)
    rig.host.boot()
    rig.vm.boot()
    wait_logged_in(rig)
    wait_until(lambda: status(rig.host, "apc") not in ("", "WAIT") or None, LOGIN_LIMIT)


def fallen(machine: Nspawned, off: Off, terminal: Tmux, since: float) -> Fallen:
    log = [line for line in machine.log() if line.at > since - 0.5]
    return Fallen(off, log, terminal.screen(), on_disk(machine, KILLPOWER))


def on_disk(machine: Nspawned, path: str) -> str:
    """A file of a machine that is off."""
    return (machine.disk / path.lstrip("/")).read_text(encoding="utf-8")


def wait_logged_in(rig: Rig) -> None:
    wait_until(lambda: clients(rig.host, "apc@localhost") == {"127.0.0.1", VM_ADDRESS} or None, LOGIN_LIMIT)
