"""What the machines of a rig stand on: the first process of the rig's namespaces, their trees and networks.

Every tree is an overlay of this computer's own root whose upper half is in memory: a machine keeps its disk
when it is off, and all is gone with this process. A line of JSON asks it to boot a machine; when one went off
is noted.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NoReturn, TypedDict

from tests.lab.boot import MS_NOSUID, MS_PRIVATE, MS_REC, Spec, mount, put, remove

STAGE = Path("/mnt")
CGROUPS = Path("/sys/fs/cgroup")
LOOK = 0.02
LIMIT = 10.0
#: Capabilities that reach past a namespace, for nobody in a machine.
NEVER = ("mknod", "sys_rawio", "sys_module", "sys_time")
#: sync(2) of a machine would wait for the disks of this computer; its own disk is memory.
NSPAWN = [
    "systemd-nspawn",
    "--quiet",
    "--boot",
    "--register=no",
    "--keep-unit",
    "--console=pipe",
    "--suppress-sync=yes",
    "--resolv-conf=off",
    "--timezone=off",
    "--link-journal=no",
    "--drop-capability=" + ",".join(f"CAP_{name.upper()}" for name in NEVER),
]


class Orders(TypedDict):
    """The machines, each with the units that its packages enable; the lines for `ip` by network namespace."""

    machines: list[Spec]
    units: dict[str, list[str]]
    network: dict[str, str]


class Ground:
    """The machines by name, and who of them runs."""

    def __init__(self, orders: Orders) -> None:
        _own_folders()
        for name in orders["network"]:
            _run(["ip", "netns", "add", name])
        for name, lines in orders["network"].items():
            _run(["ip", "-n", name, "-batch", "-"], lines)
            # A lost packet costs 3 s, not 134: what hangs in connect(2) must not outlast a test.
            quick = "echo 1 >/proc/sys/net/ipv4/tcp_syn_retries"
            _run(["nsenter", f"--net=/run/netns/{name}", "sh", "-c", quick])
        self._binds = {spec["hostname"]: spec["binds"] for spec in orders["machines"]}
        self._running: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}
        for spec in orders["machines"]:
            _build(spec, orders["units"][spec["hostname"]])

    def boot(self, name: str) -> None:
        """Start a machine that is off; what it says on its console is kept."""
        group = CGROUPS / f"{name}-{time.monotonic_ns()}"  # systemd leaves the groups of its last boot behind
        group.mkdir()
        network = f"/run/netns/{name}"
        argv = ["nsenter", f"--net={network}"]  # for nspawn itself too: its /sys is that of its own network
        argv += [*NSPAWN, f"--directory={STAGE}/{name}/root", f"--machine={name}"]
        argv += [
            f"--network-namespace-path={network}",
            *(f"--bind-ro={p}" for p in self._binds[name]),
        ]
        with open(STAGE / name / "console", "ab") as console:
            process = subprocess.Popen(
                ["sh", "-c", 'echo 0 >"$0" && exec "$@"', str(group / "cgroup.procs"), *argv],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._running[process.pid] = name, process

    def reap(self) -> None:
        """Collect what has ended, as the first process must; a machine's end is noted with its time."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._running:
                name, _ = self._running.pop(pid)
                note = {"at": time.time(), "code": os.waitstatus_to_exitcode(status)}
                with open(STAGE / name / "offs", "a", encoding="ascii") as notes:
                    notes.write(json.dumps(note) + "\n")


def main() -> NoReturn:
    """Ends with the tests' end of the pipe, and the kernel ends all machines with this process."""
    ground = Ground(json.loads(sys.stdin.readline()))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    asked: SimpleQueue[str] = SimpleQueue()
    Thread(target=_listen, args=(asked,), daemon=True).start()
    while True:
        ground.reap()
        with suppress(Empty):
            line = asked.get(timeout=LOOK)
            if not line:
                os._exit(0)  # the reading thread would be in the way of an orderly end
            ground.boot(json.loads(line))


def _listen(asked: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        asked.put(line)
    asked.put("")


def _own_folders() -> None:
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("rig", str(STAGE), "tmpfs", MS_NOSUID, "size=4g,mode=755")
    mount("rig", "/run", "tmpfs", MS_NOSUID, "mode=755")  # nspawn and ip keep notes there
    mount("rig", str(CGROUPS), "cgroup2", 0)


def _build(spec: Spec, units: list[str]) -> None:
    name = spec["hostname"]
    place = STAGE / name
    for part in ("upper", "work", "root"):
        (place / part).mkdir(parents=True)
    (place / "offs").touch()
    for path in spec["hide"]:
        _hide(place / "upper", path)
    root = place / "root"
    layers = f"lowerdir=/,upperdir={place}/upper,workdir={place}/work"
    mount("rig", str(root), "overlay", 0, layers)
    for folder in spec["tmpfs"]:
        (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for file in spec["files"]:
        put(file, root)
    # Journals of all boots are kept, as Proxmox VE has it.
    journal = root / "var/log/journal"
    journal.mkdir(mode=0o2755, parents=True)
    shutil.chown(journal, "root", "systemd-journal")
    _run(["systemctl", "--quiet", f"--root={root}", "enable", *units])


def _hide(upper: Path, path: str) -> None:
    """Mark a path as removed, before the overlay is mounted: a folder at once, however much is in it."""
    folder, name = os.path.split(path)
    real = Path(os.path.realpath(folder))
    if not os.path.lexists(real / name):
        return
    place = upper
    for part in real.relative_to("/").parts:
        place /= part
        if place.is_char_device():
            return  # a folder above is hidden
        if not place.exists():
            _like(Path("/", place.relative_to(upper)), place)
    remove(place / name)  # of what is hidden already
    os.mknod(place / name, stat.S_IFCHR, os.makedev(0, 0))  # what overlayfs takes for "not there"


def _like(model: Path, folder: Path) -> None:
    folder.mkdir()
    found = model.stat()
    os.chown(folder, found.st_uid, found.st_gid)
    folder.chmod(stat.S_IMODE(found.st_mode))


def _run(argv: list[str], text: str = "") -> None:
    done = subprocess.run(argv, input=text.encode(), capture_output=True, timeout=LIMIT)
    if done.returncode != 0:
        raise RuntimeError(f"{argv}: {done.stderr.decode('utf-8', 'replace').strip()}")
