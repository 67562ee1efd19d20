"""The rig that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .rig import Rig


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """Host and VM with Debian's stock NUT files, both off."""
    with Rig() as made:
        yield made
