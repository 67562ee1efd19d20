"""What Proxmox VE says of the firewall's files decides; whether its daemon is quick does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit
from nutwizard.engine import pvelint
from nutwizard.engine.host import Completed
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.transaction import apply
from tests.support.cluster import (
    BEFORE_ALL,
    CLUSTER,
    HOST_ACTUAL,
    HOST_RULES,
    NEW_RULES,
    Clock,
    Live,
    host_rules,
    locks,
    memory,
    node_rules,
    pve,
    root,
    state,
)
from tests.support.pmxcfs import Pmxcfs
from tests.support.trees import plan_of

__all__ = ["memory", "pve", "root"]  # fixtures

OLD_SAY = "/etc/pve/firewall/107.fw (line 3) - errors in rule parameters: IN ACCEPT -i nosuch\n"
WRONG = (
    f"{CLUSTER} (line 4) - errors in rule parameters: IN ACCEPT -source +nosuch -p tcp -dport 3493\n"
    "  source: no such ipset 'nosuch'\n"
    "\n"
)
RUNS = "Status: enabled/running\n"
PENDING = "Status: enabled/running (pending changes)\n"
Answer = Callable[[bool], Completed]


class Firewalled(Live):
    """A node whose pve-firewall answers by whether the new rules are there."""

    def __init__(self, root: str, compiled: Answer, status: Answer = lambda new: Completed(0, RUNS)) -> None:
        super().__init__(root)
        self.compiled, self.status = compiled, status
        self.asked: list[str] = []
        for program in (pvelint.PROGRAM, pvelint.NFTABLES):
            os.makedirs(os.path.dirname(root + program), exist_ok=True)
        Path(root + pvelint.PROGRAM).touch()

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        assert argv[0] in (pvelint.PROGRAM, pvelint.NFTABLES)
        self.asked.append(" ".join([os.path.basename(argv[0]), *argv[1:]]))
        new = self.read(CLUSTER) == NEW_RULES
        return self.compiled(new) if argv[1] == "compile" else self.status(new)


def not_asked(new: bool) -> Completed:
    raise AssertionError


def applied(host: Firewalled) -> Outcome:
    return apply(host, plan_of(*node_rules()), prove=lambda: ())


def says(before: str, after: str) -> Answer:
    return lambda new: Completed(0, "detected changes\n", after if new else before)


def test_nothing_said(root: str, pve: Pmxcfs) -> None:
    host = Firewalled(root, says("", ""))
    outcome = applied(host)
    assert (outcome.code, outcome.notes) == (Exit.DONE, ())
    assert host.asked == ["pve-firewall compile", "pve-firewall compile", "pve-firewall status"]
    assert host_rules(root) == HOST_RULES


@pytest.mark.parametrize(
    "line",
    [
        "no such security group 'nut_in'",
        f"{HOST_ACTUAL} (line 2): unable to parse rule: GROUP",
        "cluster.fw: can't read",
        "  source: no such alias 'x'",
        "(line 15) - errors in ipset 'k3s'",
    ],
)
def test_a_new_complaint_takes_it_back(root: str, pve: Pmxcfs, line: str) -> None:
    outcome = applied(Firewalled(root, says(OLD_SAY, f"{OLD_SAY}{line}\n")))
    assert outcome.code == Exit.FAILED
    assert outcome.text == (
        f"Proxmox VE does not take the firewall's files as they would be:\n{line}\n"
        "Every file below /etc/pve is as it was before. No unit had been restarted."
    )
    assert (state(root), host_rules(root), locks(root)) == (BEFORE_ALL, None, [])


def test_a_complaint_comes_with_what_explains_it(root: str, pve: Pmxcfs) -> None:
    outcome = applied(Firewalled(root, says(OLD_SAY, WRONG + OLD_SAY)))
    told = outcome.text.splitlines()[1:3]
    assert told == WRONG.splitlines()[:2]
    assert "107.fw" not in outcome.text


def test_what_was_said_before_is_no_complaint(root: str, pve: Pmxcfs) -> None:
    """Its line may have moved."""
    moved = OLD_SAY.replace("line 3", "line 9")
    assert applied(Firewalled(root, says(OLD_SAY + WRONG, WRONG + moved))).code == Exit.DONE


def test_what_is_about_other_things_is_no_complaint(root: str, pve: Pmxcfs) -> None:
    host = Firewalled(root, says("", "Use of uninitialized value $x at Firewall.pm line 5.\n"))
    assert applied(host).code == Exit.DONE


@pytest.mark.parametrize("late_before", [False, True])
def test_who_does_not_answer_decides_nothing(root: str, pve: Pmxcfs, late_before: bool) -> None:
    late = Completed(-1, timed_out=True)
    outcome = applied(
        Firewalled(root, lambda new: late if new is not late_before else Completed(0, err=WRONG))
    )
    assert outcome.code == Exit.DONE
    assert outcome.notes == (
        "/usr/sbin/pve-firewall compile gave no answer: nobody has checked the firewall's files",
    )


def test_what_came_before_the_time_limit_counts(root: str, pve: Pmxcfs) -> None:
    late = Completed(-1, err=WRONG, timed_out=True)
    assert applied(Firewalled(root, lambda new: late if new else Completed(0))).code == Exit.FAILED


def nftables(root: str, line: bytes = b"nftables: 1") -> None:
    Path(root + pvelint.NFTABLES).touch()
    Path(root + HOST_ACTUAL).write_bytes(b"[OPTIONS]\n\n" + line + b"\n\n[RULES]\n")


@pytest.mark.parametrize(("before", "after", "ends"), [(0, 0, 0), (0, 1, 1), (1, 1, 0)])
def test_with_nftables_the_exit_code_decides(
    root: str, pve: Pmxcfs, before: int, after: int, ends: int
) -> None:
    host = Firewalled(
        root,
        lambda new: Completed(after if new else before, err="Error: line 4: unknown\n"),
        not_asked,
    )
    nftables(root)
    outcome = apply(host, plan_of(node_rules()[0]), prove=lambda: ())
    assert outcome.code == ends
    assert host.asked == ["proxmox-firewall compile"] * 2
    assert ("Error: line 4: unknown" in outcome.text) is bool(ends)


def test_when_nftables_is_on(root: str, pve: Pmxcfs) -> None:
    host = Firewalled(root, says("", ""))
    assert not pvelint.uses_nftables(host)
    rules = Path(root + HOST_ACTUAL)
    for line, on in ((b"nftables: 1", True), (b"nftables: 0", False), (b"#nftables: 1", False)):
        nftables(root, line)
        assert pvelint.uses_nftables(host) is on
    rules.write_bytes(b"[RULES]\nnftables: 1\n")
    assert not pvelint.uses_nftables(host)
    nftables(root)
    os.mkdir(f"{root}/run")
    Path(root, "run/proxmox-nftables-firewall-force-disable").touch()
    assert not pvelint.uses_nftables(host)


def test_the_daemon_is_waited_for(root: str, pve: Pmxcfs) -> None:
    start = Clock.now
    host = Firewalled(
        root, says("", ""), lambda new: Completed(0, PENDING if Clock.now - start < 7 else RUNS)
    )
    outcome = applied(host)
    assert (outcome.code, outcome.notes) == (Exit.DONE, ())
    assert Clock.now - start == 7


def test_a_daemon_that_takes_longer_is_a_note(root: str, pve: Pmxcfs) -> None:
    start = Clock.now
    outcome = applied(Firewalled(root, says("", ""), lambda new: Completed(0, PENDING)))
    assert outcome.code == Exit.DONE
    assert outcome.notes == (
        "Proxmox VE's firewall has not taken the change up within 15 s. Look again: pve-firewall status",
    )
    assert Clock.now - start == 15


@pytest.mark.parametrize("status", ["disabled/running", "disabled/stopped", "enabled/stopped"])
def test_a_daemon_that_does_not_run_is_not_waited_for(root: str, pve: Pmxcfs, status: str) -> None:
    start = Clock.now
    host = Firewalled(root, says("", ""), lambda new: Completed(0, f"Status: {status} (pending changes)\n"))
    outcome = applied(host)
    assert (outcome.code, outcome.notes, Clock.now) == (Exit.DONE, (), start)
