"""What became of the last apply, for a person whose line was lost: kept until it has been told."""

from __future__ import annotations

import json

from nutwizard.core.errors import NotWhole
from nutwizard.core.paths import STATE
from nutwizard.engine.files import PRIVATE
from nutwizard.engine.host import Host
from nutwizard.engine.outcome import Outcome

_FILE = f"{STATE}/untold"


def leave(host: Host, outcome: Outcome) -> None:
    """Keep how it ended."""
    _write(host, "\n".join([*outcome.notes, outcome.text]))


def leave_error(host: Host, error: NotWhole) -> None:
    """Keep that not everything is back."""
    _write(host, f"{error.text}\n{error.hint}")


def untold(host: Host) -> str:
    """How the last apply ended, if nobody has been told; else ""."""
    try:
        if host.stat(_FILE) is None:
            return ""
        value = json.loads(host.read(_FILE))
        return str(value["text"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def told(host: Host) -> None:
    """It has been told."""
    try:
        if host.stat(_FILE, follow=False) is not None:
            host.remove(_FILE)
    except OSError:
        pass  # it is told once more; nothing else depends on it


def _write(host: Host, text: str) -> None:
    try:
        told(host)
        host.create(_FILE, json.dumps({"text": text}).encode(), PRIVATE)
    except OSError:
        pass  # the history has it all the same
