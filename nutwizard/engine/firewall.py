"""Whether Proxmox VE's firewall is on at the level of the datacenter: one line of its cluster.fw.

The grammar is that of pve-firewall as measured: blanks and tabs around a line are cut, a CR is not; the words
of a section are read in any case, and a section that it does not know ends none.
"""

from __future__ import annotations

import re

from nutwizard.engine.host import Host

FILE = "/etc/pve/firewall/cluster.fw"
#: A link that is there exactly when the cluster's file system is mounted.
_MOUNTED = "/etc/pve/local"
_SECTION = re.compile(rb"\[(options|aliases|rules|(?:ipset|group)[ \t]+[^\]]+)\]", re.IGNORECASE)
_ENABLE = re.compile(rb"enable:\s*(\d{1,12})")
#: A larger number than 1 is the time (epoch seconds) from which on it is on for so long.
_TRIAL = 60.0


def read_firewall(host: Host) -> str:
    """ "on", "off" or "off: WHY"; "" where it cannot be told."""
    try:
        if host.stat(_MOUNTED, follow=False) is None:
            return ""
        if host.stat(FILE) is None:
            return "off: there is no cluster.fw"
        number = _enabled(host.read(FILE))
    except OSError:
        return ""
    if number is None:
        return "off: cluster.fw does not turn it on"
    on = number == 1 or 0 <= host.now() - number < _TRIAL
    return "on" if on else "off"


def _enabled(data: bytes) -> int | None:
    """The number behind the last `enable:` of [OPTIONS]; None without one."""
    section, found = b"", None
    for raw in data.split(b"\n"):
        line = raw.strip(b" \t")
        if head := _SECTION.match(line):
            section = head[1].lower()
        elif section == b"options" and (value := _ENABLE.fullmatch(line)):
            found = int(value[1])
    return found
