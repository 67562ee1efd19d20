"""upsmon's times as NUT reads them from upsmon.conf, and what is unwise about them together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from nutwizard.formats.nutfile import NutFile

#: NUT's built-in values, seconds (upsmon.conf(5), the same from 2.7.4 to 2.8.x).
DEFAULTS = {"HOSTSYNC": 15, "FINALDELAY": 5, "POLLFREQ": 5, "POLLFREQALERT": 5, "DEADTIME": 15}
#: Of these NUT takes no negative value: the line before it counts on.
_UNSIGNED = frozenset({"POLLFREQ", "POLLFREQALERT", "FINALDELAY"})
#: From this version on upsmon has SHUTDOWNEXIT.
EXIT_SINCE = (2, 8, 1)
_EXIT_WORDS = {"yes": "yes", "on": "yes", "true": "yes", "no": "no", "off": "no", "false": "no"}
MAXAGE = 15
#: Seconds: with more, what is left of a low battery may not be enough.
LONG_FINALDELAY, LONG_HOSTSYNC = 60, 120
_NUMBER = re.compile(r"[ \t]*([+-]?[0-9]{1,9})")


def seconds(document: NutFile, name: str) -> int | None:
    """The number that NUT reads for one of DEFAULTS; None where no line sets it.

    NUT takes the digits at the start of the word, and 0 where there are none.
    """
    found = None
    for entry in document.entries(name):
        number = _number(entry.args[0]) if entry.args else None
        if number is not None and not (number < 0 and name in _UNSIGNED):
            found = number
    return found


def maxage(document: NutFile) -> int:
    """MAXAGE of upsd.conf in seconds."""
    entry = document.get("MAXAGE")
    return MAXAGE if entry is None else _number(entry.args[0])


def exit_word(word: str) -> str:
    """SHUTDOWNEXIT in one spelling: yes, no, or seconds. What NUT does not understand means yes."""
    if word.lower() in _EXIT_WORDS:
        return _EXIT_WORDS[word.lower()]
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", word) or int(word) == 0:
        return "yes"
    return "no" if int(word) < 0 else str(int(word))


def exit_problem(word: str) -> str | None:
    """What is wrong with a value for SHUTDOWNEXIT."""
    if word in ("yes", "no") or re.fullmatch(r"[1-9][0-9]{0,8}", word):
        return None
    return f'expected yes, no, or a number of seconds, got "{word[:40]}"'


def deadtime_problem(values: Mapping[str, int]) -> str | None:
    """Why DEADTIME is too short beside the poll intervals."""
    poll = max(values["POLLFREQ"], values["POLLFREQALERT"])
    if values["DEADTIME"] >= 3 * poll:
        return None
    return (
        f"DEADTIME {values['DEADTIME']} s is less than three times the poll interval of {poll} s: on battery,"
        f" one or two lost answers would shut this machine down. Take {3 * poll} or more"
    )


def advice(values: Mapping[str, int], age: int) -> Iterable[str]:
    """What works and yet deserves a thought. `age`: MAXAGE of the upsd concerned."""
    poll = max(values["POLLFREQ"], values["POLLFREQALERT"])
    if values["POLLFREQALERT"] > values["POLLFREQ"]:
        yield (
            f"POLLFREQALERT {values['POLLFREQALERT']} s is longer than POLLFREQ {values['POLLFREQ']} s:"
            " upsmon asks less often on battery than on line power"
        )
    if values["DEADTIME"] < age:
        yield (
            f"DEADTIME {values['DEADTIME']} s is less than upsd's MAXAGE of {age} s: on battery this machine"
            " gives up a silent server sooner than the server gives up a silent UPS"
        )
    if values["HOSTSYNC"] <= poll:
        yield (
            f"HOSTSYNC {values['HOSTSYNC']} s is not longer than the poll interval of {poll} s: the others"
            " may not have noticed the shutdown yet when the waiting ends"
        )
    for name, long in (("HOSTSYNC", LONG_HOSTSYNC), ("FINALDELAY", LONG_FINALDELAY)):
        if values[name] > long:
            yield f"{name} {values[name]} s may be longer than a low battery lasts: measure what is left"


def _number(word: str) -> int:
    match = _NUMBER.match(word)
    return int(match[1]) if match else 0
