"""Programs that NUT's files name: read through the host, never failing."""

from __future__ import annotations

import os

from nutwizard.core.facts import Owner
from nutwizard.core.programs import ProgramFact
from nutwizard.core.text import FileText
from nutwizard.engine.host import Host

#: A script that is larger is not looked into.
LARGEST_PROGRAM = 64 << 10


def program_fact(host: Host, path: str) -> ProgramFact:
    """The program at an absolute path; of kind UNKNOWN where the way to it cannot be followed."""
    try:
        found = host.stat(path)
        if found is None:
            return ProgramFact(path, "missing")
        folders = _folders(host, path)
    except (OSError, ValueError):  # ValueError: a path that the system cannot have
        return ProgramFact(path)
    text = _text(host, path) if found.kind == "file" else None
    content = None if text is None else FileText(path, text)
    return ProgramFact(path, found.kind, found.owner, folders, content)


def _folders(host: Host, path: str) -> dict[str, Owner]:
    """The folders that lead to the path, and to what it is a link to."""
    found: dict[str, Owner] = {}
    for way in (path, host.real(path)):
        folder = os.path.dirname(os.path.normpath(way))
        while folder not in found:
            stat = host.stat(folder)
            if stat is not None:
                found[folder] = stat.owner
            if folder == os.path.dirname(folder):
                break
            folder = os.path.dirname(folder)
    return found


def _text(host: Host, path: str) -> bytes | None:
    try:
        data = host.read(path, LARGEST_PROGRAM)
    except OSError:
        return None
    return None if b"\0" in data else data
