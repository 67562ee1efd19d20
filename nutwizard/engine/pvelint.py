"""What Proxmox VE says of its firewall's files before and after the writing, and whether it runs on them.

`pve-firewall compile` loads nothing, and its exit code tells nothing: what is wrong stands on its stderr.
With the nftables firewall another program decides, and of that the exit code counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nutwizard.core.facts import Door
from nutwizard.core.firewallpolicy import read_policy
from nutwizard.core.paths import HOST_FW
from nutwizard.core.plan import Plan
from nutwizard.engine import pve
from nutwizard.engine.host import Completed, Host

PROGRAM = "/usr/sbin/pve-firewall"
NFTABLES = "/usr/libexec/proxmox/proxmox-firewall"
#: Where this file is, the nftables firewall does not run, whatever host.fw says.
_FORCED_OFF = "/run/proxmox-nftables-firewall-force-disable"
#: Seconds for one call: on a large cluster it compiles the rules of every guest.
_LIMIT = 20.0
#: Seconds until the daemon has taken a change up: it looks every 10 s.
TAKES = 15.0
_POLL = 1.0
#: Of many complaints the first ones tell.
_MOST = 10

_PLACE = re.compile(r"\(line \d+\)")
_OURS = re.compile(
    r"\(line \d+\)|\b(?:cluster|host)\.fw\b|no such (?:security group|ipset|alias)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Said:
    """One answer. `asked`: False when it did not end in time or never began: that tells nothing."""

    asked: bool
    code: int
    lines: tuple[str, ...]


class Lint:
    """The look around one transaction; made before the writing. It does nothing for NUT's files, below
    another root, and where Proxmox VE's firewall is not installed.
    """

    def __init__(self, host: Host, plan: Plan) -> None:
        self._host = host
        self._nftables = self._unheard = False
        self._before: _Said | None = None
        ours = any(pve.below(change.target) for change in plan.files)
        if not ours or host.door is not Door.LIVE or host.stat(PROGRAM) is None:
            return
        self._nftables = uses_nftables(host)
        self._before = self._ask()

    def complaints(self) -> str:
        """What is said now and was not before, a line each; "" when nothing is, or nobody can be asked."""
        before = self._before
        if before is None:
            return ""
        now = self._ask()
        self._unheard = not (before.asked and now.asked)
        if not before.asked:
            return ""
        if self._nftables:
            wrong = now.asked and before.code == 0 and now.code != 0
            return "\n".join(now.lines[-_MOST:] or [f"{NFTABLES} ends with {now.code}"]) if wrong else ""
        known = {_PLACE.sub("", line).strip() for line in before.lines}
        return "\n".join(_new(now.lines, known)[:_MOST])

    def notes(self, say: Callable[[str], None]) -> list[str]:
        """What is to be known beside: that nobody has looked, that the daemon is slow. Waits for it."""
        if not self._unheard:
            return self._caught_up(say)
        unheard = f"{self._program} compile gave no answer: nobody has checked the firewall's files"
        return [unheard, *self._caught_up(say)]

    def _caught_up(self, say: Callable[[str], None]) -> list[str]:
        """Wait until the daemon runs on the files."""
        if self._before is None or self._nftables:  # its status compares with iptables: pending for ever
            return []
        start = self._host.ticks()
        say("waiting for Proxmox VE's firewall to take the change up")
        while True:
            answer = self._host.run([PROGRAM, "status"], timeout=_LIMIT)
            if not _pending(answer):
                return []
            if self._host.ticks() - start >= TAKES:
                return [
                    f"Proxmox VE's firewall has not taken the change up within {TAKES:.0f} s."
                    " Look again: pve-firewall status"
                ]
            self._host.sleep(_POLL)

    @property
    def _program(self) -> str:
        return NFTABLES if self._nftables else PROGRAM

    def _ask(self) -> _Said:
        answer = self._host.run([self._program, "compile"], timeout=_LIMIT)
        lines = tuple(line.rstrip() for line in answer.err.splitlines() if line.strip())
        return _Said(not answer.timed_out and answer.code >= 0, answer.code, lines)


def uses_nftables(host: Host) -> bool:
    """Whether the nftables firewall runs on this node, by its host.fw."""
    try:
        if host.stat(NFTABLES) is None or host.stat(_FORCED_OFF) is not None:
            return False
        return read_policy(b"", host.read(HOST_FW)).nftables
    except OSError:
        return False


def _new(lines: Sequence[str], known: set[str]) -> list[str]:
    """The lines about the firewall's files that are not known yet, each with those that explain it."""
    found: dict[str, None] = {}
    within = False
    for line in lines:
        bare = _PLACE.sub("", line).strip()
        explains = within and line[0] in " \t"
        new = bare not in known and bool(_OURS.search(line))
        if new or explains:
            found[line] = None
        within = new or explains
    return list(found)


def _pending(answer: Completed) -> bool:
    """Whether the daemon has yet to take the files up: not when it does not run at all."""
    status = answer.out.lower()
    return "pending changes" in status and "disabled" not in status and "stopped" not in status
