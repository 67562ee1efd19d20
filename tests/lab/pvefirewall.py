"""Stand-ins that run in the host of the lab: /etc/pve as a file system, and pve-firewall with its daemon.

`cluster_files` mounts pmxcfs's stand-in and lives while its stdin is open. `daemon` loads what the files say
as real rules, every second; `pve-firewall compile` and `status` say what a test has them say.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from nutwizard.core.firewallpolicy import read_policy
from tests.support import pmxcfs

from .nftrules import ruleset

PVE = Path("/etc/pve")
CLUSTER_FW, HOST_FW = PVE / "firewall/cluster.fw", PVE / "local/host.fw"
#: Complaints of `compile`: those that are always there, and those that come with nutwizard's own lines.
SAYS, SAYS_OF_OURS = Path("/run/pve-firewall.says"), Path("/run/pve-firewall.says-of-ours")
#: The digest of the files that the rules in force are made of.
LOADED = Path("/run/pve-firewall.loaded")
OWN_NETWORK = "192.168.1.0/24"
EVERY = 1.0
_NFT_LIMIT = 10.0


def main(argv: list[str]) -> int:
    """The part that the first word names, else `pve-firewall` itself."""
    parts = {"cluster-files": cluster_files, "daemon": daemon, "compile": compile_, "status": status}
    return parts[argv[1]]()


def cluster_files() -> int:
    """Mount, with the files of the first line of stdin (base64 by path below /etc/pve); say "ready"."""
    pmxcfs.NODE = socket.gethostname()
    files = json.loads(sys.stdin.readline())
    with pmxcfs.mounted(PVE) as mounted:
        link(mounted, "qemu-server")
        for folder in ("firewall", "priv/lock", "local/qemu-server"):
            (PVE / folder).mkdir()
        for path, data in files.items():
            (PVE / path).write_bytes(base64.b64decode(data))
        print("ready", flush=True)
        sys.stdin.read()
    return 0


def link(files: pmxcfs.Pmxcfs, name: str) -> None:
    """A link of pmxcfs's own, into the node's folder; nobody else can make one there."""
    files._new(files._root, name).leads_to = f"nodes/{pmxcfs.NODE}/{name}"


def daemon() -> int:
    """Load the rules whenever they are others; never ends by itself."""
    before = ""
    while True:
        cluster, host = read(CLUSTER_FW), read(HOST_FW)
        rules = ruleset(read_policy(cluster, host), time.time(), [OWN_NETWORK])
        if rules != before:
            subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True, timeout=_NFT_LIMIT)
            before = rules
        new = LOADED.with_suffix(".new")
        new.write_text(digest(cluster, host), encoding="ascii")
        os.replace(new, LOADED)
        time.sleep(EVERY)


def compile_() -> int:
    """The exit code is 0 whatever is wrong, as that of the real one."""
    print("detected changes")
    sys.stderr.write(read(SAYS).decode())
    if b"(nutwizard)" in read(CLUSTER_FW):
        sys.stderr.write(read(SAYS_OF_OURS).decode())
    return 0


def status() -> int:
    """Whether the daemon has taken up what the files say."""
    fresh = read(LOADED).decode() == digest(read(CLUSTER_FW), read(HOST_FW))
    print(f"Status: enabled/running{'' if fresh else ' (pending changes)'}")
    return 0


def read(path: Path) -> bytes:
    """A file that is not there reads as an empty one."""
    return path.read_bytes() if path.exists() else b""


def digest(cluster: bytes, host: bytes) -> str:
    return hashlib.sha256(b"%d %s%s" % (len(cluster), cluster, host)).hexdigest()
