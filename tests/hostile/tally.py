"""How many inputs were tried in this run, and how each ended."""

from collections import Counter

TRIED: dict[str, Counter[str]] = {}


def count(kind: str, ended: str, number: int = 1) -> None:
    """Note inputs that a test has seen the end of."""
    TRIED.setdefault(kind, Counter())[ended] += number


def lines() -> list[str]:
    """The table: kind, number of inputs, how they ended."""
    width = max(map(len, TRIED), default=0)
    out = []
    for kind, ends in TRIED.items():
        how = ", ".join(f"{number} {end}" for end, number in sorted(ends.items()))
        out.append(f"{kind:<{width}}  {sum(ends.values()):>5}  {how}")
    return out
