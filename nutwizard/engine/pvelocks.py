"""Proxmox VE's own locks on its firewall's files: folders, made and removed by whoever writes them.

A folder survives its maker: what nobody removes expires 120 s after somebody has first asked pmxcfs about it
(by setting its times to 0), also across a reboot. Between a kill and that moment nobody can tell whose it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EBUSY

from nutwizard.core.paths import PVE
from nutwizard.core.plan import Plan
from nutwizard.engine import pve
from nutwizard.engine.host import Host
from nutwizard.engine.journal import Mark

_FOLDER = f"{PVE}/priv/lock"
#: Seconds that an apply waits for the locks, all together: as long as Proxmox VE itself.
PATIENCE = 10.0
#: The same on the way back, which has to come to an end: longer than a dead lock lives.
WAY_BACK = 130.0
_EXPIRES = 120.0
_POLL = 0.5

Note = Callable[[Mark, int], None]


class Busy(OSError):
    """A lock that cannot be had."""

    def __init__(self, lock: str) -> None:
        name = os.path.basename(lock)
        self.text = f"another change of the firewall is under way (Proxmox VE's lock {name})"
        super().__init__(EBUSY, self.text)


def locks_for(host: Host, plan: Plan) -> tuple[str, ...]:
    """The locks under which these files are written, in the order of taking.

    None where pmxcfs is not (practice, another machine's files): nobody else writes them there, and no lock
    would ever expire.
    Raises OSError, also when the cluster's files are not there or cannot be written.
    """
    targets = [change.target for change in plan.files if pve.below(change.target)]
    if not targets:
        return ()
    pve.require(host)
    if not host.mounted(PVE):
        return ()
    nodes = [os.path.dirname(host.real(path)) for path in targets if os.path.basename(path) == "host.fw"]
    names = ["firewall-cluster", *(f"firewall-host-{os.path.basename(node)}" for node in nodes)]
    return tuple(f"{_FOLDER}/{name}" for name in dict.fromkeys(names))


@contextmanager
def taken(host: Host, plan: Plan, note: Note, say: Callable[[str], None], patience: float) -> Iterator[None]:
    """Hold the locks for the files of this plan; given back however it ends, in reverse.

    `note` puts a mark with the number of a lock into the journal: before it is taken, after it was given
    back. Raises Busy when they cannot be had within `patience` s, other OSErrors as the machine does; none is
    held then.
    """
    locks = locks_for(host, plan)
    until = host.ticks() + patience
    held: list[tuple[int, float]] = []
    try:
        for number, lock in enumerate(locks):
            note(Mark.LOCK, number)
            try:
                _take(host, lock, locks[number:], until, say)
            except OSError:
                _struck(note, number)
                raise
            held.append((number, host.ticks()))
        yield
    finally:
        for number, since in reversed(held):
            if _given_back(host, locks[number], since, say):
                _struck(note, number)


def _take(host: Host, lock: str, wanted: Sequence[str], until: float, say: Callable[[str], None]) -> None:
    """Make the folder, as soon as nobody else's is there. All that are `wanted` are asked about at each try:
    several dead ones expire together.
    """
    told = False
    while True:
        try:
            with pve.named(lock):
                _make(host, lock)
            return
        except FileExistsError:
            pve.require(host)  # without quorum the folders stay, and waiting is in vain
        for each in wanted:
            with suppress(OSError):  # what it answers tells nothing, the next try does
                host.set_times(each, 0)
        if host.ticks() >= until:
            raise Busy(lock)
        if not told:
            say(f"waiting for Proxmox VE's lock {os.path.basename(lock)}")
            told = True
        host.sleep(_POLL)


def _make(host: Host, lock: str) -> None:
    """The folder and what is missing above it, as Proxmox VE does. Raises OSError, EEXIST if it stands."""
    for folder in (os.path.dirname(_FOLDER), _FOLDER):
        if host.stat(folder) is None:
            with suppress(FileExistsError):
                host.make_plain_folder(folder)
    host.make_plain_folder(lock)


def _given_back(host: Host, lock: str, since: float, say: Callable[[str], None]) -> bool:
    """Remove a folder of ours. One that has grown old may be another's by now, and dies by itself if not."""
    try:
        if host.ticks() - since < _EXPIRES:
            with pve.named(lock):
                host.remove(lock)
            return True
        cause = "it was held for too long"
    except FileNotFoundError:
        return True
    except OSError as error:
        cause = str(error.strerror)
    say(f"Proxmox VE's lock {os.path.basename(lock)} could not be given back ({cause}); it expires by itself")
    return False


def _struck(note: Note, number: int) -> None:
    """What the journal does not learn only makes a recovery take the lock once more."""
    with suppress(OSError):
        note(Mark.FREED, number)
