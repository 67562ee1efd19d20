"""NUT's files as text that may be shown: no secret in it, and nothing that a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from nutwizard.formats.safe import safe_text
from nutwizard.formats.secretspots import PLACEHOLDER, SHORTEST, Found, Spot, find

__all__ = ["MASK", "NEW", "OLD", "PLACEHOLDER", "DiffLine", "diff", "diff_text", "masked_lines", "secrets_of"]

MASK = "********"
OLD = "********(old)"
NEW = "********(new)"
_MANY = 4_000_000
NO_NEWLINE = "\\ No newline at end of file"

Kind = Literal["+", "-", " ", "@"]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a diff. Kind `@` is a remark: where a part starts, that a last line has no line end.

    `old_line` and `new_line` are line numbers from 1, None where the line is not in that version.
    """

    kind: Kind
    text: str
    old_line: int | None = None
    new_line: int | None = None


def secrets_of(name: str, data: bytes) -> set[str]:
    """The secrets of a file, by its base name (of a copy too), as NUT reads them, commented ones too."""
    return find(name, data).values


def masked_lines(name: str, data: bytes, marks: Mapping[str, str] | None = None) -> list[str]:
    """The physical lines of a file, safe to show.

    Hidden are the places where secrets stand, and every occurrence of a known one of four characters or more.
    `marks` names more secrets, and what to show for each in place of asterisks.
    """
    found = find(name, data)
    return _bare(_mask(data, found, _known(found, marks or {}), marks or {}))


def _bare(lines: Sequence[str]) -> list[str]:
    """The lines without the CR at their ends."""
    return [line.removesuffix("\\x0d") for line in lines]


def _mask(data: bytes, found: Found, known: Mapping[bytes, str], marks: Mapping[str, str]) -> list[str]:
    spots = _merged(found.spots, _occurrences(data, known))
    shown, at, line_start = [], 0, 0
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for raw in lines:
        line_stop = line_start + len(raw)
        text, position = "", line_start
        while at < len(spots) and spots[at].start < line_stop:
            spot = spots[at]
            start, stop = max(spot.start, line_start), min(spot.stop, line_stop)
            text += _text(data[position:start])
            hidden = data[start:stop]
            if hidden.strip():
                text += marks.get(spot.identity, MASK)
            text += "\\x0d" if hidden.endswith(b"\r") and stop == line_stop else ""
            position = stop
            if spot.stop > line_stop:
                break
            at += 1
        shown.append(text + _text(data[position:line_stop]))
        line_start = line_stop + 1
    return shown


def _text(raw: bytes) -> str:
    return safe_text(raw.decode("utf-8", "surrogateescape"))


def _known(found: Found, more: Iterable[str] = ()) -> dict[bytes, str]:
    """What to hide wherever it occurs, with the secret that it spells."""
    known = dict(found.spellings)
    known.update((value.encode("utf-8", "surrogateescape"), value) for value in (*found.values, *more))
    return {raw: value for raw, value in known.items() if len(raw) >= SHORTEST and value != PLACEHOLDER}


def _occurrences(data: bytes, known: Mapping[bytes, str]) -> Iterator[Spot]:
    if known:
        longest_first = sorted(known, key=len, reverse=True)
        for match in re.finditer(b"|".join(map(re.escape, longest_first)), data):
            yield Spot(match.start(), match.end(), known[match[0]])


def _merged(places: Sequence[Spot], occurrences: Iterator[Spot]) -> list[Spot]:
    """The spots in order without overlap; where some overlap the first names the secret."""
    merged: list[Spot] = []
    for spot in sorted([*places, *occurrences], key=lambda spot: (spot.start, -spot.stop)):
        if merged and spot.start < merged[-1].stop:
            if spot.stop > merged[-1].stop:
                merged[-1] = Spot(merged[-1].start, spot.stop, merged[-1].identity)
        else:
            merged.append(spot)
    return merged


def diff(
    name: str, before: bytes | None, after: bytes | None, context: int = 3, also: Iterable[str] = ()
) -> list[DiffLine]:
    """What changes from `before` to `after` (None: no file), compared as real bytes and shown masked.

    A secret of one side only is marked as old or new, so that a changed password shows as a change. `also`:
    secrets of other files, hidden where they occur in this one.
    """
    old, new = before or b"", after or b""
    old_found, new_found = find(name, old), find(name, new)
    known = {**_known(old_found, also), **_known(new_found)}
    marks = _marks(old_found, new_found)
    old_raw, new_raw = _split(old), _split(new)
    shown = _mask(old, old_found, known, marks), _mask(new, new_found, known, marks)
    if all(line.endswith(b"\r\n") for line in old_raw + new_raw):
        shown = _bare(shown[0]), _bare(shown[1])
    lines: list[DiffLine] = []
    # Thousands of equal lines cost quadratic time, unless the matcher may take them for junk.
    many = len(old_raw) * len(new_raw) > _MANY
    for group in SequenceMatcher(None, old_raw, new_raw, autojunk=many).get_grouped_opcodes(context):
        lines.append(DiffLine("@", _part(group)))
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                for old_at, new_at in zip(range(old_from, old_to), range(new_from, new_to), strict=True):
                    lines.append(DiffLine(" ", shown[1][new_at], old_at + 1, new_at + 1))
                    lines += _ending(new_raw[new_at])
                continue
            for old_at in range(old_from, old_to):
                lines.append(DiffLine("-", shown[0][old_at], old_at + 1, None))
                lines += _ending(old_raw[old_at])
            for new_at in range(new_from, new_to):
                lines.append(DiffLine("+", shown[1][new_at], None, new_at + 1))
                lines += _ending(new_raw[new_at])
    return lines


def diff_text(lines: Sequence[DiffLine], path: str) -> str:
    """A diff in the usual unified form, for a file of that absolute path. Empty when nothing changes."""
    if not lines:
        return ""
    rows = [line.text if line.kind == "@" else line.kind + line.text for line in lines]
    safe = safe_text(path).replace("\n", "\\x0a")
    return "\n".join([f"--- a{safe}", f"+++ b{safe}", *rows]) + "\n"


def _marks(old: Found, new: Found) -> dict[str, str]:
    before = old.values | {spot.identity for spot in old.spots}
    after = new.values | {spot.identity for spot in new.spots}
    return {
        secret: MASK if secret in before and secret in after else OLD if secret in before else NEW
        for secret in before | after
    }


def _split(data: bytes) -> list[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def _ending(raw: bytes) -> list[DiffLine]:
    return [] if raw.endswith(b"\n") else [DiffLine("@", NO_NEWLINE)]


def _part(group: Sequence[tuple[str, int, int, int, int]]) -> str:
    """The header of a part: first line and count on either side, as `diff -u` writes them."""
    _, old_from, _, new_from, _ = group[0]
    _, _, old_to, _, new_to = group[-1]
    return f"@@ -{_range(old_from, old_to)} +{_range(new_from, new_to)} @@"


def _range(start: int, stop: int) -> str:
    count = stop - start
    return f"{start + 1 if count else start}" + ("" if count == 1 else f",{count}")
