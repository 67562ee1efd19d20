"""The text of upssched-cmd: made from its template, and told from a script that somebody wrote or edited."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from nutwizard.core.upssched import Timer

#: The second line of a script as we write it begins so.
HEAD = b"# upssched-cmd - written by nutwizard; "
_CHECKSUM = re.compile(re.escape(HEAD) + rb"checksum ([0-9a-f]{16})\n")
_MARK = "@CHECKSUM@"
#: The word at which our script ends at once; older texts of ours do not know it.
CHECK_WORD = "nutwizard_check"
#: Texts from before the checksum, their two values taken out: sha256 of each.
_OLDER = frozenset({"9d4095b092382f469c18e2966f4a3c84779a92bee56b15644db62fc73387ef6c"})
_VALUES = (
    (rb"(?m)^default_ups='[^'\n]*'$", b"default_ups='@UPS@'"),
    (rb"(?m)^wall=(yes|no)$", b"wall=@WALL@"),
)
_TIMER = re.compile(rb"(?m)^    '([a-z0-9_]{1,40})'\) text='[^'\n]*'( fsd=yes)? ;;$")
#: What may stand in the script as the name of a UPS; the script's own test of UPSNAME is the same.
_SYSTEM = re.compile(r"[A-Za-z0-9][][A-Za-z0-9._@:%-]{0,254}")

#: Level and words for an event that has lasted for some seconds, by event type.
LASTING: Mapping[str, tuple[str, str]] = {
    "ONLINE": ("INFO", "On line power"),
    "ONBATT": ("WARNING", "On battery"),
    "LOWBATT": ("WARNING", "Low battery"),
    "FSD": ("WARNING", "A forced shutdown has been in progress"),
    "SHUTDOWN": ("WARNING", "This machine has been shutting down"),
    "COMMOK": ("INFO", "The UPS has answered again"),
    "COMMBAD": ("WARNING", "The UPS has not answered"),
    "NOCOMM": ("WARNING", "The UPS could not be reached"),
    "NOPARENT": ("WARNING", "upsmon has been without its root process"),
    "REPLBATT": ("WARNING", "The battery has needed to be replaced"),
    "CAL": ("INFO", "Calibration has been running"),
    "NOTCAL": ("INFO", "Calibration has been over"),
    "OFF": ("WARNING", "The UPS output has been off"),
    "NOTOFF": ("INFO", "The UPS output has no longer been off"),
    "BYPASS": ("WARNING", "The UPS has been on bypass"),
    "NOTBYPASS": ("INFO", "The UPS has no longer been on bypass"),
    "ECO": ("INFO", "The UPS has been in ECO mode"),
    "NOTECO": ("INFO", "The UPS has no longer been in ECO mode"),
    "ALARM": ("WARNING", "The UPS has reported an alarm"),
    "NOTALARM": ("INFO", "The UPS has reported no alarm"),
    "OVER": ("WARNING", "The UPS has been overloaded"),
    "NOTOVER": ("INFO", "The UPS has no longer been overloaded"),
    "TRIM": ("INFO", "The UPS has been lowering a high voltage"),
    "NOTTRIM": ("INFO", "The UPS has no longer been lowering the voltage"),
    "BOOST": ("INFO", "The UPS has been raising a low voltage"),
    "NOTBOOST": ("INFO", "The UPS has no longer been raising the voltage"),
    "OTHER": ("WARNING", "The UPS has had a status that NUT does not know"),
    "NOTOTHER": ("INFO", "The UPS has had no unknown status"),
    "SUSPEND_STARTING": ("INFO", "This machine has been going to sleep"),
    "SUSPEND_FINISHED": ("INFO", "This machine has been awake again"),
}


def script_text(template: str, system: str, wall: bool, timers: Iterable[Timer]) -> bytes:
    """The script from its template, with its checksum. Only whitelisted words and numbers go in.

    Raises ValueError for a UPS that the script could not be given.
    """
    if not _SYSTEM.fullmatch(system):
        raise ValueError("the name of the UPS holds a character that a script cannot take")
    cases = "".join(f"{_case(timer)}\n" for timer in timers)
    text = template.replace("@UPS@", system).replace("@WALL@", "yes" if wall else "no")
    text = text.replace("    # @TIMERS@\n", cases)
    return text.replace(_MARK, _digest(text.encode())).encode()


def is_unmodified(data: bytes) -> bool:
    """Whether the script is, byte for byte, one that nutwizard wrote, in this version or an earlier one."""
    lines = data.split(b"\n", 2)
    if len(lines) < 3 or not lines[1].startswith(HEAD):
        return False
    found = _CHECKSUM.fullmatch(lines[1] + b"\n")
    if found is not None:
        bare = b"\n".join((lines[0], HEAD + b"checksum " + _MARK.encode(), lines[2]))
        return _digest(bare).encode() == found[1]
    for pattern, value in _VALUES:
        data = re.sub(pattern, value, data)
    return _sha256(data) in _OLDER


def knows_check(data: bytes) -> bool:
    """Whether it is ours, unedited, and ends at once at CHECK_WORD."""
    return CHECK_WORD.encode() in data and is_unmodified(data)


def timers_of(data: bytes) -> dict[str, str]:
    """What a script of ours, edited or not, does at the end of each timer that it knows: name -> then."""
    return {name.decode(): "fsd" if fsd else "script" for name, fsd in _TIMER.findall(data)}


def tells_users(data: bytes) -> bool:
    """Whether a script of ours also tells logged-in users."""
    return HEAD in data and b"\nwall=yes\n" in data


def _case(timer: Timer) -> str:
    level, words = LASTING[timer.event]
    text = f"{words} for {timer.seconds} s." if timer.cancel else f"{timer.seconds} s since {timer.event}."
    # In quotes, since a name may be a word of the shell.
    if timer.then == "fsd":
        return f"    '{timer.name}') text='WARNING - {text} Shutting down now.' fsd=yes ;;"
    return f"    '{timer.name}') text='{level} - {text}' ;;"


def _digest(text: bytes) -> str:
    return _sha256(text)[:16]


def _sha256(text: bytes) -> str:
    import hashlib

    return hashlib.sha256(text).hexdigest()
