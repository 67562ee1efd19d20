"""Machines in a folder for tests of transactions: a small /etc, a scripted systemd, a clock that leaps."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from nutwizard.core.facts import Door, Owner, Role
from nutwizard.core.links import Finding, Link, LinkId, State, Told
from nutwizard.core.plan import Act, ActKind, FileChange, Plan
from nutwizard.core.text import FileText
from nutwizard.engine.host import Completed
from nutwizard.engine.machine import OfflineHost

ROOT = Owner("root", "root", 0o644)
NUT = Owner("root", "nut", 0o640)
SECRET = "canary-1f6b"

#: path -> contents and owner; None: not there. New, changed, removed, owner only, our folder, those in it.
BEFORE: dict[str, tuple[bytes, Owner] | None] = {
    "/etc/nut/nut.conf": (b"MODE=none\n", NUT),
    "/etc/nut/upsd.users": (f"[old]\n password = {SECRET}-old\n".encode(), Owner("root", "root", 0o600)),
    "/etc/nut/upsd.users.orig": None,
    "/etc/nut/upssched.conf": (b"CMDSCRIPT /bin/x\n", ROOT),
    "/etc/nut/left.conf": (b"left\n", Owner("nut", "nut", 0o440)),
    "/etc/nutwizard/client.password": None,
    "/etc/nut/ups.conf": (b"maxretry = 3\n", NUT),
    "/etc/nutwizard/clients/web/client.password": None,
}
AFTER: dict[str, tuple[bytes, Owner] | None] = {
    "/etc/nut/nut.conf": (b"MODE=netserver\n", NUT),
    "/etc/nut/upsd.users": (f"[new]\n password = {SECRET}-new\n".encode(), NUT),
    "/etc/nut/upsd.users.orig": BEFORE["/etc/nut/upsd.users"],
    "/etc/nut/upssched.conf": (b"CMDSCRIPT /bin/x\n", NUT),
    "/etc/nut/left.conf": None,
    "/etc/nutwizard/client.password": (f"{SECRET}-new\n".encode(), Owner("root", "root", 0o600)),
    "/etc/nut/ups.conf": (b"maxretry = 3\n[apc]\n", NUT),
    "/etc/nutwizard/clients/web/client.password": (f"{SECRET}-new\n".encode(), Owner("root", "root", 0o600)),
}
COPIES = {"/etc/nut/upsd.users.orig": "/etc/nut/upsd.users"}
PATH_UNIT = "nut-driver-enumerator.path"
ACTS = (
    Act(ActKind.HOLD, PATH_UNIT, "its service restarts the driver at each write"),
    Act(ActKind.ENABLE, "nut-server.service", "it has to start with the machine"),
    Act(ActKind.RESTART, "nut-driver-enumerator.service", "ups.conf changed"),
    Act(ActKind.RESTART, "nut-server.service", "upsd.users changed"),
    Act(ActKind.START, "nut-monitor.service", "it is down"),
    Act(ActKind.RELEASE, PATH_UNIT, "it was active before"),
)

Script = Callable[[Sequence[str]], Completed | None]


class ScriptedHost(OfflineHost):
    """The files of a folder as a live machine; systemd does what `script` says, and the clock leaps."""

    door = Door.LIVE

    def __init__(self, root: str, script: Script = lambda argv: None) -> None:
        super().__init__(root)
        self.script = script
        self.ran: list[str] = []
        self.clock = 0.0

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        assert argv[0] in ("/usr/bin/systemctl", "/usr/bin/journalctl")
        if argv[1] != "show":
            self.ran.append(" ".join([os.path.basename(argv[0]), *argv[1:]]))
        return self.script(argv) or Completed(0)

    def ticks(self) -> float:
        return self.clock

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    @property
    def acts(self) -> list[str]:
        """What systemctl was told to change; that earlier failures were forgotten first is left out."""
        told = [line.removeprefix("systemctl ") for line in self.ran if line.startswith("systemctl ")]
        return [line for line in told if not line.startswith("reset-failed ")]


def make_tree(root: Path, files: dict[str, tuple[bytes, Owner] | None] | None = None) -> str:
    """A machine's files with users root and nut, numbered as nowhere else."""
    for folder in ("etc/nut", "var/lib"):
        (root / folder).mkdir(parents=True)
    (root / "etc/passwd").write_text(
        "root:x:0:0::/:/bin/sh\nnut:x:4711:4712::/:/bin/false\nbob:x:4800:4800::/:/x\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnut:x:4712:\nbob:x:4800:\n")
    host = OfflineHost(str(root))
    for path, content in (BEFORE if files is None else files).items():
        if content is not None:
            host.create(path, *content)
    return str(root)


def change(
    path: str,
    before: tuple[bytes, Owner] | None,
    after: tuple[bytes, Owner] | None,
    *,
    rank: int = 50,
    actual: str = "",
    copy_of: str = "",
) -> FileChange:
    return FileChange(
        path=path,
        actual=actual or path,
        before=FileText(path, before[0]) if before else None,
        after=FileText(path, after[0]) if after else None,
        owner_before=before[1] if before else None,
        owner_after=after[1] if after else None,
        steps=("mode",),
        why=("because",),
        rank=rank,
        copy_of=copy_of,
    )


def plan_of(*changes: FileChange, acts: Sequence[Act] = ()) -> Plan:
    return Plan(Role.HOST, changes, tuple(acts))


def whole_plan(acts: Sequence[Act] = ()) -> Plan:
    """BEFORE to AFTER, in this order."""
    rows = enumerate(BEFORE)
    changes = [change(p, BEFORE[p], AFTER[p], rank=n, copy_of=COPIES.get(p, "")) for n, p in rows]
    return plan_of(*changes, acts=acts)


def state(root: str) -> dict[str, tuple[bytes, Owner] | None]:
    """What stands at each path of BEFORE."""
    host = OfflineHost(root)
    found: dict[str, tuple[bytes, Owner] | None] = {}
    for path in BEFORE:
        stat = host.stat(path, follow=False)
        found[path] = (host.read(path), stat.owner) if stat else None
    return found


def names(root: str) -> set[str]:
    """Every file and folder below /etc of the tree."""
    base = Path(root)
    return {str(path.relative_to(base)) for path in (base / "etc").rglob("*")}


def finding(link: LinkId, state: State, cause: str = "") -> Finding:
    return Finding(Link(link, f"about {link}", Told(), "mode"), state, cause=cause)
