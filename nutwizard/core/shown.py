"""How contents and texts from outside are shown: what front ends need of the format layer."""

from __future__ import annotations

from functools import lru_cache

from nutwizard.core.plan import FileChange
from nutwizard.formats.redact import DiffLine, diff, secrets_of
from nutwizard.formats.safe import safe_text

__all__ = ["DiffLine", "diff_of", "safe_text"]


def diff_of(change: FileChange) -> list[DiffLine]:
    """What changes, masked: the secrets of the file, and those of the files beside it wherever they occur.

    A script may hold the password that stands in upsd.users.
    """
    before, after = (text.data if text else None for text in (change.before, change.after))
    also = {secret for text in change.beside for secret in _secrets(text.path, text.data)}
    return diff(change.path, before, after, also=also)


@lru_cache(maxsize=64)
def _secrets(path: str, data: bytes) -> frozenset[str]:
    return frozenset(secrets_of(path, data))
