"""Sessions over machines in folders, as a guided run opens them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from nutwizard import opening
from nutwizard.core.facts import Role
from nutwizard.engine.host import Host
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.session import Session
from nutwizard.engine.sources import MachineSources

ASSETS = Path(__file__).parents[2] / "assets" / "practice"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def make(folder: Path, role: Role = Role.HOST) -> Path:
    """A machine of that role in a folder, NUT just installed."""
    for part in ("common", "vm" if role is Role.CLIENT else "host"):
        shutil.copytree(ASSETS / part, folder, dirs_exist_ok=True)
    (folder / "usr/sbin").mkdir(parents=True)
    return folder


def opened(
    where: Path | Host, role: Role = Role.HOST, *, only: Collection[str] = (), save: bool = True
) -> Session:
    """A session of a guided run on the files below a folder, or on this host."""
    host = OfflineHost(str(where)) if isinstance(where, Path) else where
    return opening.open_session(host, MachineSources(host), role, save=save, only=only)
