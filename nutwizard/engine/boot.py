"""The unit that recovers at boot: there from before a transaction's first change until after its end."""

from __future__ import annotations

import re
import sys

from nutwizard.core.facts import Door, Owner
from nutwizard.core.plan import Plan
from nutwizard.core.units import DRIVERS, ENUMERATOR, MONITOR, SERVER
from nutwizard.engine import pve
from nutwizard.engine.host import Host
from nutwizard.engine.units import BOOTED

UNIT = "nutwizard-recover.service"
_FOLDER = "/etc/systemd/system"
FILE = f"{_FOLDER}/{UNIT}"
_WANTS = f"{_FOLDER}/multi-user.target.wants"
LINK = f"{_WANTS}/{UNIT}"
_NEW = f"{_FOLDER}/.{UNIT}.new"
#: Made by nut-driver-enumerator, one link for each UPS.
_DRIVERS = f"{_FOLDER}/{DRIVERS}.wants"
_NUT = (ENUMERATOR, DRIVERS, SERVER, MONITOR)
#: The files of a plan are put back in well under a second; a boot never waits longer than this.
_LIMIT = 120
#: Nothing waits for the cluster's files, but they for a lock of a run that was cut off (`pvelocks.WAY_BACK`).
_CLUSTER_LIMIT = 300


def arm(host: Host, plan: Plan, journal: str) -> None:
    """Write the unit and the link that starts it at boot, durably; nothing where systemd is not PID 1.

    Raises OSError.
    """
    if host.door is not Door.LIVE or host.stat(BOOTED) is None:
        return
    disarm(host)
    drivers = [name for name in host.names(_DRIVERS) if re.fullmatch(r"nut-driver@[\w.:-]+\.service", name)]
    cluster = any(pve.below(change.target) for change in plan.files)
    text = unit_text(sys.executable, journal, drivers, cluster=cluster)
    host.create(_NEW, text.encode(), Owner("root", "root", 0o644))
    host.rename(_NEW, FILE)
    host.make_folder(_WANTS, Owner("root", "root", 0o755))
    host.symlink(FILE, LINK)


def left(host: Host) -> bool:
    """Whether there is anything that `disarm` would remove."""
    return any(host.stat(path, follow=False) is not None for path in (LINK, FILE, _NEW))


def disarm(host: Host) -> None:
    """Remove what `arm` has made, as far as it is there. Raises OSError."""
    for path in (LINK, FILE, _NEW):
        if host.stat(path, follow=False) is not None:
            host.remove(path)


def unit_text(interpreter: str, journal: str, drivers: list[str], *, cluster: bool) -> str:
    """The unit, for a Python interpreter that finds this program.

    It puts files back and starts nothing: NUT's units come after it and start on them. `cluster`: files below
    /etc/pve, which NUT does not need and which are there only after pve-cluster.
    """
    order = "After=pve-cluster.service" if cluster else f"Before={' '.join((*_NUT, *drivers))}"
    return f"""# Written by nutwizard while it changes files: puts back what a power cut has interrupted.
[Unit]
Description=nutwizard: put back what an interrupted change has left
After=local-fs.target
{order}
ConditionPathExists={_escaped(journal)}

[Service]
Type=oneshot
ExecStart="{_escaped(interpreter)}" -I -m nutwizard recover --boot
TimeoutStartSec={_CLUSTER_LIMIT if cluster else _LIMIT}

[Install]
WantedBy=multi-user.target
"""


def _escaped(text: str) -> str:
    """As systemd.unit(5) reads it back: no specifiers. It allows no quotes in a program's path."""
    return text.replace("%", "%%")
