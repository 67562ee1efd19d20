"""How long guests took to shut down for real, from Proxmox VE's own list of ended tasks.

A line of /var/log/pve/tasks/index is a task's id, the second at which it ended in hexadecimal, and how. An id
is UPID:NODE:PID:PSTART:BEGIN:TYPE:GUEST:USER:, with BEGIN in seconds since the epoch, hexadecimal, too
(pve-common's PVE::Tools, upid_decode; no real node's list was seen).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nutwizard.core.measured import How, Measurement, guest
from nutwizard.engine.host import Host

_INDEX = ("/var/log/pve/tasks/index.1", "/var/log/pve/tasks/index")
#: The newest tasks of each file; a node keeps some thousand.
_LARGEST = 256 << 10
#: Only a task that went well: another one ended by force, or not at all.
_ENDED = re.compile(
    r"^UPID:[^:\s]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+:([0-9A-Fa-f]{8}):(?:qmshutdown|vzshutdown):([1-9][0-9]{2,8})"
    r":[^\s]* ([0-9A-Fa-f]{8}) OK$",
    re.MULTILINE,
)


def shutdowns(host: Host) -> Iterator[Measurement]:
    """Of each guest every shutdown that is told, the oldest first; nothing where there is no such list."""
    for path in _INDEX:
        try:
            data, _ = host.read_end(path, _LARGEST)
        except OSError:
            continue
        for begin, number, end in _ENDED.findall(data.decode("ascii", "replace")):
            seconds = int(end, 16) - int(begin, 16)
            if seconds >= 0:
                yield Measurement(guest(int(number)), float(seconds), float(int(end, 16)), How.GUEST)
