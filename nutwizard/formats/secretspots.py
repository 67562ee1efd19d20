"""Where secrets stand in NUT's files: by position, in active lines, in broken ones and in comments alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from nutwizard.formats.words import UNBALANCED, Line, iter_lines, parse

PLACEHOLDER = "(generated at apply)"
"""Stands in a plan for a secret that is not drawn yet; it is none itself."""
SHORTEST = 4
"""Secrets shorter than this are hidden where they stand only, not wherever the text has these characters."""

_PARSED = frozenset({"ups.conf", "upsd.conf", "upsd.users", "upsmon.conf", "upssched.conf", "hosts.conf"})
_KEY = re.compile(r"(?i)password|passwd|passphrase|community|secname|secret|token|^\W*pass\W*$")
_CLEAN_KEY = re.compile(r"[;A-Za-z0-9_.-]+:?")
_ROLES = frozenset({"primary", "secondary", "master", "slave"})
_SAMPLES = frozenset(
    {"pass", "mypass", "password", "<password>", "blah", "mypassword", "secretpass", "x", "..."}
)
"""Passwords of the samples in NUT's own comments: where only a comment has them, they are just words."""
_IN_YAML = re.compile(rb"""\bpassword["']?[ \t]*:[ \t]*(?P<value>[^\r\n]+)""")
"""In answers a password may stand between braces and behind it more: all of its line is hidden."""
_COMMENT_SIGN = re.compile(rb"[#\s]*")
_LONGEST = 1024
_COMMENTS = 8
"""Comments within a comment that are looked into; what is behind them is hidden."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Bytes not to be shown. `identity` is the secret, as NUT reads it where that is one word."""

    start: int
    stop: int
    identity: str


@dataclass(slots=True)
class Found:
    """`values`: the secrets as NUT reads them; `spellings`: how they stand there, with their identity."""

    spots: list[Spot] = field(default_factory=list)
    values: set[str] = field(default_factory=set)
    spellings: dict[bytes, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Tail:
    """What to hide of a line: from word `first` on all there is, or with `alone` that word only.

    `secret` are the words to be hidden wherever they occur.
    """

    first: int
    secret: tuple[str, ...] = ()
    alone: bool = False


def kind_of(name: str) -> str:
    """The base name of a file without the endings of its copies."""
    return re.sub(r"(\.(orig|bkp))+$", "", name.rsplit("/", 1)[-1])


def find(name: str, data: bytes) -> Found:
    """The secrets of a file, by its name and contents."""
    found, kind = Found(), kind_of(name)
    if kind.endswith(".password"):
        _hide(found, data, Spot(0, len(data), ""), ())
        found.values = {part.strip() for part in data.decode("utf-8", "surrogateescape").split("\n")}
    elif kind.endswith(".yaml"):
        _find_in_answers(data, found)
    elif kind in _PARSED:
        _find_logical(data, found)
        _find_physical(data, found)
    found.values -= {"", PLACEHOLDER}
    return found


def _find_in_answers(data: bytes, found: Found) -> None:
    for match in _IN_YAML.finditer(data):
        text = match["value"].decode("utf-8", "surrogateescape")
        word = re.sub(r"[ \t]+#.*$", "", text).rstrip(" \t}").strip("\"'")
        _hide(found, data, Spot(*match.span("value"), word), [word])


def _find_logical(data: bytes, found: Found) -> None:
    """Lines as NUT reads them, continuations included."""
    at, broken, waiting = 0, False, False
    for line in parse(data):
        stop = at + len(line.raw)
        whole = _whole(line)
        tail = _secret_tail(whole.words, active=True)
        if broken or (waiting and len(whole.words) == 1):
            _hide(found, data, Spot(at, stop, ""), whole.words)
        elif tail is not None:
            _hide_tail(found, data, range(at, stop), whole, tail, active=True)
        broken = (broken or tail is not None) and not line.raw.endswith(b"\n")
        waiting = tail is not None and tail.first >= len(whole.words)
        at = stop


def _find_physical(data: bytes, found: Found) -> None:
    """Lines as a person reads them: comments, and what an open quote swallowed."""
    at = 0
    for raw in data.split(b"\n"):
        stop = at + len(raw)
        for count in range(_COMMENTS + 1):
            sign = _COMMENT_SIGN.match(data, at, stop)
            start = sign.end() if sign else at
            if start >= stop:
                break
            if count == _COMMENTS:
                _hide(found, data, Spot(start, stop, ""), ())
                break
            line = next(iter_lines(data[start:stop] + b"\n"))
            whole = _whole(line)
            active = count == 0 and not data[at:start].strip()
            tail = _secret_tail(whole.words, active=active)
            if tail is not None:
                _hide_tail(found, data, range(start, stop), whole, tail, active=active)
                if active and _goes_on(line, data[start:stop]):
                    _hide(found, data, Spot(stop, _closing_line(data, stop), ""), ())
                if not tail.alone:
                    break
            at = start + max(len(line.raw) if line.error else line.end, 1)
        at = stop + 1


def _goes_on(line: Line, physical: bytes) -> bool:
    """Whether a quote is open at the end of the physical line, also behind a # that ended another."""
    return not line.ended or (bool(line.error) and physical.count(b'"') % 2 == 1)


def _closing_line(data: bytes, at: int) -> int:
    """Where the line ends that closes a quote left open before `at`; a secret goes on until there."""
    quote = data.find(b'"', at)
    end = data.find(b"\n", quote) if quote >= 0 else -1
    return end if end >= 0 else len(data)


def _whole(line: Line) -> Line:
    """The line with the words that stand there, even where NUT reads none."""
    if not line.error:
        return line
    raw = line.raw[:-1] + b'"\n' if line.error == UNBALANCED else line.raw + b"\n"
    lines = parse(raw)
    return lines[0] if not lines[0].error else parse(line.raw + b'"\n')[0]


def _secret_tail(words: Sequence[str], *, active: bool) -> _Tail | None:
    for index, word in enumerate(words):
        rest = words[index + 1 :]
        if word.upper() == "MONITOR" and _is_monitor(word, rest, active=active and index == 0):
            return _monitor(index, rest)
        if word.upper() == "CERTIDENT" and len(rest) > (0 if active else 1):
            first = min(1, len(rest) - 1)
            return _Tail(
                index + 1 + first, tuple(rest[first:] if active else rest[1:2] if len(rest) == 2 else ())
            )
        key, equals, value = word.partition("=")
        if not _KEY.search(key) or not (index == 0 or equals or rest[:1] in (["="], ("=",))):
            continue
        if equals or not _CLEAN_KEY.fullmatch(key):
            return _Tail(index, (value, *rest) if equals else ())
        skip = 1 if tuple(rest[:1]) == ("=",) else 0
        values = rest[skip:] if active else rest[skip : 2 * skip]
        return _Tail(index + 1 + skip, tuple(values))
    return None


def _is_monitor(word: str, rest: Sequence[str], *, active: bool) -> bool:
    """Whether this is the directive and not the word in a sentence."""
    return bool(rest) and (active or (word == "MONITOR" and ("@" in rest[0] or "".join(rest[1:2]).isdigit())))


def _monitor(index: int, rest: Sequence[str]) -> _Tail:
    """The password word of a MONITOR line, or all behind the system where the words are not in order."""
    if len(rest) == 5 and rest[4].casefold() in _ROLES:
        return _Tail(index + 4, (rest[3],), alone=True)
    nameless = len(rest) < 4 or (len(rest) == 4 and rest[3].casefold() in _ROLES)
    secret = tuple(rest[2:] if nameless else rest[3:])
    return _Tail(index + 1 + min(1, len(rest) - 1), secret)


def _hide_tail(found: Found, data: bytes, place: range, line: Line, tail: _Tail, *, active: bool) -> None:
    """Hide what `tail` says of a line whose bytes are at `place`."""
    if tail.first >= len(line.words):
        return
    start, end = line.spans[tail.first]
    only = tail.alone or tail.first == len(line.words) - 1
    at = place.start
    spot = Spot(at + start, at + end if tail.alone else place.stop, line.words[tail.first] if only else "")
    _hide(found, data, spot, [word for word in tail.secret if active or word not in _SAMPLES])


def _hide(found: Found, data: bytes, spot: Spot, secret: Sequence[str]) -> None:
    """Note a spot, and how its text is spelled to the end of the physical line, with and without quotes."""
    newline = data.find(b"\n", spot.start, spot.stop)
    spelled = data[spot.start : spot.stop if newline < 0 else newline].strip()
    if spelled.strip(b'"') == PLACEHOLDER.encode():
        return
    identity = spot.identity or spelled.decode("latin-1")
    found.spots.append(Spot(spot.start, spot.stop, identity))
    secret = [word for word in secret if word != "=" and word.casefold() not in _ROLES]
    found.values.update(secret)
    for spelling in (spelled, spelled.strip(b'"')) if secret else ():
        if SHORTEST <= len(spelling) <= _LONGEST:
            found.spellings.setdefault(spelling, identity)
