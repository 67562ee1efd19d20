"""The one thread that uses the session: no screen ever waits for a file, a server or a plan.

A daemon thread, since leaving must not wait for a server that does not answer; what is asked is done in the
order in which it was asked, so the session needs no lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from nutwizard.wording.contract import WizardSession

T = TypeVar("T")
_Job = tuple[Callable[[WizardSession], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Desk:
    """Does work with the session, one piece after the other."""

    def __init__(self, session: WizardSession) -> None:
        self._session = session
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="desk", daemon=True)
        self._thread.start()

    async def ask(self, work: Callable[[WizardSession], T]) -> T:
        """The result of `work(session)`, done in the desk's thread. Raises what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((work, future, loop))
        return await future

    def _serve(self) -> None:
        while True:  # ends with the process
            work, future, loop = self._jobs.get()
            try:
                result, error = work(self._session), None
            except BaseException as caught:  # noqa: BLE001 - it is raised where it was asked for
                result, error = None, caught
            with contextlib.suppress(RuntimeError):  # the screens are gone: nobody waits any more
                loop.call_soon_threadsafe(_answer, future, result, error)


def _answer(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():  # whoever asked has left
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
