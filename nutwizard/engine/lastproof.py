"""The last examination in short, kept for `nutwizard status`: how the links stood, and on which machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from nutwizard.core import paths
from nutwizard.core.facts import Door, Facts, FileFact, Owner, Role
from nutwizard.core.links import Finding, LinkId, State
from nutwizard.core.text import UNSEEN
from nutwizard.engine.doctor import Examination, examine
from nutwizard.engine.files import PRIVATE, put
from nutwizard.engine.host import Host

#: NUT's daemons write it at their start; it tells whether upsmon runs without asking systemd.
_PID = f"{paths.RUN_NUT}/upsmon.pid"


@dataclass(frozen=True)
class LastProof:
    """`at`: when (seconds since the epoch); `since`: since when every look has found nothing broken, 0 where
    something was; `counts`: state -> links; `broken`: their subjects, `unsure`: those of the connection that
    could not be asked; `files`: how the managed files stood; `booted`: when the machine had come up.
    """

    at: float
    since: float
    counts: dict[str, int]
    broken: tuple[str, ...]
    files: str
    booted: float
    unsure: tuple[str, ...] = ()


#: Without these nobody is protected, so that not to know of one is not to know.
_NEEDED = (LinkId.UPS, LinkId.DRIVER, LinkId.UPSD, LinkId.LOGIN, LinkId.UPSMON, LinkId.SHUTDOWN)


def examine_and_keep(
    host: Host, facts: Facts, role: Role, told: Callable[[Finding], None] = lambda finding: None
) -> Examination:
    """As `doctor.examine`, and what came of it is kept for `status`."""
    found = examine(host, facts, role, told)
    remember(host, found)
    return found


def protects(proof: LastProof | None, why: str) -> bool:
    """Whether the last check says that this machine is protected. `why`: why it says nothing of now."""
    return proof is not None and bool(proof.since) and not why


def remember(host: Host, found: Examination) -> None:
    """Keep it, beside what nutwizard keeps anyway. Where that cannot be written nothing is kept."""
    if host.door is Door.OFFLINE or not host.may_write():
        return
    now, before = host.now(), last_proof(host)
    states = [each.state for each in found.findings]
    broken = tuple(each.link.subject for each in found.findings if each.state is State.BROKEN)
    unbroken = before.since if before is not None and before.since else now
    counts = {state.value: states.count(state) for state in State if state in states}
    unsure = tuple(
        each.link.subject
        for each in found.findings
        if each.state is State.UNKNOWN and each.link.id in _NEEDED and not each.link.awaited
    )
    since = 0.0 if broken or unsure else unbroken
    proof = LastProof(
        now, since, counts, broken, fingerprint(found.facts.files.values()), found.facts.booted(), unsure
    )
    try:
        host.make_folder(paths.STATE, Owner("root", "root", 0o700))
        put(host, paths.PROOF, (f"{json.dumps(asdict(proof))}\n".encode(), PRIVATE), 0)
    except (OSError, ValueError):
        return


def last_proof(host: Host) -> LastProof | None:
    """The last one; None where there is none. Raises PermissionError."""
    try:
        value: dict[str, Any] = json.loads(host.read(paths.PROOF))
        lists = {name: tuple(value[name]) for name in ("broken", "unsure")}
        return LastProof(**{**value, **lists})
    except PermissionError:
        raise
    except (OSError, ValueError, TypeError, KeyError):
        return None


def fingerprint(files: Iterable[FileFact]) -> str:
    """How these files stand, without their contents: when they were written, and how long they are."""
    lines = [
        f"{each.path} {each.kind} {each.changed} {0 if each.kind == UNSEEN else len(each.data)}"
        for each in sorted(files, key=lambda file: file.path)
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def stands(host: Host, proof: LastProof, facts: Facts) -> str:
    """Why the proof says nothing of this moment; "" where it still does."""
    if proof.unsure:
        return f"{proof.unsure[0]} could not be asked at the last check"
    if fingerprint(facts.files.values()) != proof.files:
        return "files have changed since the last check"
    if facts.booted() and facts.booted() > proof.at:
        return "this machine has started anew since the last check"
    return "" if _upsmon_runs(host) else "upsmon does not run"


def _upsmon_runs(host: Host) -> bool:
    """By its process number; on a practice machine by its unit, which the check has proven."""
    if host.door is Door.PRACTICE:
        return True
    try:
        number = int(host.read(_PID))
        return host.read(f"/proc/{number}/comm").strip() == b"upsmon"
    except (OSError, ValueError):
        return False
