"""The programs of a described machine, by path: those that every one has, and those that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nutwizard.core.facts import Owner
from nutwizard.core.programs import ProgramFact
from nutwizard.core.text import FileText

USUAL = ("/sbin/shutdown", "/bin/sh", "/bin/bash", "/usr/bin/env", "/usr/bin/python3", "/usr/bin/logger")


def programs_of(told: Mapping[str, Mapping[str, Any]]) -> Callable[[str], ProgramFact]:
    """Looks programs up; one that is not named is not there."""

    def program(path: str) -> ProgramFact:
        if path in told:
            return _described(path, told[path])
        if path in USUAL:
            return ProgramFact(path, "file", Owner("root", "root", 0o755))
        return ProgramFact(path, "missing")

    return program


def _described(path: str, told: Mapping[str, Any]) -> ProgramFact:
    content = FileText(path, told["text"].encode()) if "text" in told else None
    folders = {folder: _owner(text) for folder, text in told.get("folders", {}).items()}
    owner = _owner(told.get("owner", "root:root 0755"))
    return ProgramFact(path, told.get("kind", "file"), owner, folders, content)


def _owner(text: str) -> Owner:
    names, mode = text.split()
    user, group = names.split(":")
    return Owner(user, group, int(mode, 8))
