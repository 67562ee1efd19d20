"""Work that is done side by side and waited for until one common moment; what is late is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from nutwizard.engine.host import Host

T = TypeVar("T")
V = TypeVar("V")


class Job(Generic[T]):
    """One piece of work in a thread of its own, which ends with the process at the latest."""

    def __init__(self, work: Callable[[], T], left: Callable[[], float]) -> None:
        self._left = left
        self._done = threading.Event()
        self._value: T | None = None
        self._error: Exception | None = None
        threading.Thread(target=self._run, args=(work,), daemon=True, name="nutwizard-job").start()

    def _run(self, work: Callable[[], T]) -> None:
        try:
            self._value = work()
        except Exception as error:  # noqa: BLE001 - raised again where it is asked for
            self._error = error
        self._done.set()

    def value(self) -> T | None:
        """What came of it, waited for; None when it is late. Raises what the work raised."""
        if not self._done.wait(max(0.0, self._left())):
            return None
        if self._error is not None:
            raise self._error
        return self._value


class Jobs:
    """Jobs that are waited for until `seconds` from now, all of them together."""

    def __init__(self, host: Host, seconds: float) -> None:
        self._host = host
        self._end = host.ticks() + seconds

    def left(self) -> float:
        """Seconds that are left, 0 or less when the time is over."""
        return self._end - self._host.ticks()

    def begin(self, work: Callable[[], T]) -> Job[T]:
        return Job(work, self.left)

    def each(self, groups: Sequence[Sequence[V]], work: Callable[[V], T]) -> Iterator[tuple[V, T]]:
        """Each item with what came of it, as it comes: groups side by side, a group's items in their order.

        Ends when the time is over; what is late is not among them. Raises what the work raised.
        """
        done: SimpleQueue[tuple[V, T] | Exception] = SimpleQueue()

        def run(group: Sequence[V]) -> None:
            try:
                for item in group:
                    done.put((item, work(item)))
            except Exception as error:  # noqa: BLE001 - raised again below
                done.put(error)

        for group in groups:
            self.begin(lambda group=group: run(group))  # type: ignore[misc]
        for _ in range(sum(map(len, groups))):
            try:
                found = done.get(timeout=max(0.001, self.left()))
            except Empty:
                return
            if isinstance(found, Exception):
                raise found
            yield found
