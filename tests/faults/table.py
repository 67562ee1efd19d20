"""What the suite has covered: fault, points injected, ended whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Point:
    """One fault. `injected`: whether it came; set it to False when the end was reached without it."""

    injected: bool = True


@dataclass
class Table:
    """Rows by fault: points injected, points that ended whole. `reads`: looks of observers at live files."""

    rows: dict[str, list[int]] = field(default_factory=dict)
    reads: int = 0
    torn: int = 0

    @contextmanager
    def point(self, fault: str) -> Iterator[Point]:
        """One injected fault; it has ended whole when the body raises nothing."""
        row, point = self.rows.setdefault(fault, [0, 0]), Point()
        row[0] += 1
        yield point
        row[0] -= not point.injected
        row[1] += point.injected

    @property
    def points(self) -> int:
        return sum(points for points, _ in self.rows.values())

    @property
    def whole(self) -> int:
        return sum(whole for _, whole in self.rows.values())

    def lines(self) -> list[str]:
        """The table as text."""
        width = max(map(len, self.rows), default=0)
        lines = [f"{'fault injected':{width}}  points  ended whole"]
        lines += [f"{fault:{width}}  {points:6}  {whole:11}" for fault, (points, whole) in self.rows.items()]
        lines.append(f"{'all':{width}}  {self.points:6}  {self.whole:11}")
        return [*lines, f"observers read the live files {self.reads} times: {self.torn} torn or empty"]
