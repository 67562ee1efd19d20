"""One practice machine: its files, its units, and what its daemons read when they start."""

from __future__ import annotations

from nutwizard.core import paths
from nutwizard.core.draft import nut_reads
from nutwizard.core.facts import Role
from nutwizard.core.units import MONITOR, SERVER
from nutwizard.engine.practice.files import FOLDERS, SidecarOwners, Store
from nutwizard.engine.practice.units import Unit, UnitTable
from nutwizard.engine.tree import Tree

_READS = {
    SERVER: (paths.NUT_CONF, paths.UPS_CONF, paths.UPSD_CONF, paths.UPSD_USERS),
    MONITOR: (paths.NUT_CONF, paths.UPSMON_CONF),
}


class Machine:
    """One practice machine: its files and its units."""

    def __init__(self, folder: str, role: Role) -> None:
        name = FOLDERS[role]
        self.role = role
        self.root = f"{folder}/{name}"
        self.owners = SidecarOwners(self.root, Store(f"{folder}/{name}.owners.json"))
        self.tree = Tree(self.root, self.owners)
        self.units = UnitTable(Store(f"{folder}/{name}.units.json"), role)

    def load(self, unit: str) -> dict[str, str]:
        """The files that a daemon reads, as Latin-1; those missing or closed to it are left out."""
        found = {}
        for path in _READS[unit]:
            stat = self.tree.stat(path)
            # The wrapper script and upsmon's parent read as root; upsd reads the rest as nut.
            if stat is not None and (unit == MONITOR or path == paths.NUT_CONF or nut_reads(stat.owner)):
                found[path] = self.tree.read(path).decode("latin-1")
        return found


def file_of(unit: Unit, path: str) -> bytes:
    """What a unit read from a file when it started; empty when it could not."""
    return unit.loaded.get(path, "").encode("latin-1")
