"""Files that a person asks for beside the machine's own: a proof, a report. Written whole, in one step."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress

from nutwizard.core.errors import UsageError


def keep(path: str, text: str) -> str:
    """Write the text for its owner alone; a symlink there is replaced, not followed. The full path.

    Raises UsageError where it cannot be written; then nothing is there that was not there before.
    """
    path = os.path.abspath(path)
    folder, name = os.path.split(path)
    if not name or os.path.isdir(path):
        raise UsageError(f"{path}: this is no name of a file")
    try:
        descriptor, made = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(made, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(made)
        raise UsageError(f"{path}: {error.strerror}") from None
    return path
