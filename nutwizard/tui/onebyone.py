"""Keys one by one, each when what came of the one before is known.

A slow line, or a fast hand, brings several at once: after the key that opens a step, Tab and a password are
for that step, and not for what had the focus when they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from textual import events
from textual.app import App

#: Seconds that a key has to wait at most for what came of the one before.
_MOST = 1.0
#: The key on its way up, and what the widget made of it.
_ROUNDS = 2


class OneByOne:
    """Hands keys to `obey`, as long as nobody `waits` for the next screen."""

    def __init__(
        self, app: App[Any], obey: Callable[[events.Event], Awaitable[None]], waits: Callable[[], bool]
    ) -> None:
        self._app, self._obey, self._waits = app, obey, waits
        self._keys: list[events.Event] = []
        self._at_work = False

    def take(self, event: events.Event) -> None:
        """One more key."""
        self._keys.append(event)
        self.go_on()

    def go_on(self) -> None:
        """Hand over those that were held, if nothing is in the way any more."""
        if self._keys and not self._at_work:
            self._at_work = True
            self._app.run_worker(self._work(), group="keys")

    async def _work(self) -> None:
        try:
            while self._keys and not self._waits():
                await self._obey(self._keys.pop(0))
                for _ in range(_ROUNDS):
                    await self._settled()
        finally:
            self._at_work = False

    async def _settled(self) -> None:
        """Wait until the widget with the focus, and all above it, have done what they were told."""
        here = self._app.focused or self._app.screen
        for each in (here, *here.ancestors):
            done = asyncio.Event()
            if each.call_later(done.set):
                with suppress(TimeoutError):
                    await asyncio.wait_for(done.wait(), _MOST)
