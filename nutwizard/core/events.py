"""upsmon's event types by NUT version (upsmon.conf(5)), and the texts that the guide gives its ten."""

from __future__ import annotations

#: The event types by the first version that knows them.
SINCE: dict[tuple[int, ...], tuple[str, ...]] = {
    (2, 7, 4): (
        "ONLINE", "ONBATT", "LOWBATT", "FSD", "COMMOK",
        "COMMBAD", "SHUTDOWN", "REPLBATT", "NOCOMM", "NOPARENT",
    ),
    (2, 8, 0): ("CAL",),
    (2, 8, 1): ("OFF", "NOTOFF", "BYPASS", "NOTBYPASS"),
    (2, 8, 2): ("NOTCAL",),
    (2, 8, 3): (
        "ECO", "NOTECO", "ALARM", "NOTALARM", "OVER", "NOTOVER", "TRIM", "NOTTRIM", "BOOST",
        "NOTBOOST", "OTHER", "NOTOTHER", "SUSPEND_STARTING", "SUSPEND_FINISHED",
    ),
}  # fmt: skip

#: The three events that the guide gives an action.
GUIDE_EVENTS = ("ONLINE", "ONBATT", "LOWBATT")

#: NOTIFYMSG of the guide's customized block, in the order of its NOTIFYFLAG lines too; %s is the UPS.
GUIDE_MESSAGES = {
    "ONLINE": "UPS %s: On line power.",
    "ONBATT": "UPS %s: On battery.",
    "LOWBATT": "UPS %s: Battery is low.",
    "REPLBATT": "UPS %s: Battery needs to be replaced.",
    "FSD": "UPS %s: Forced shutdown in progress.",
    "SHUTDOWN": "Auto logout and shutdown proceeding.",
    "COMMOK": "UPS %s: Communications (re-)established.",
    "COMMBAD": "UPS %s: Communications lost.",
    "NOCOMM": "UPS %s: Not available.",
    "NOPARENT": "upsmon parent dead, shutdown impossible.",
}

#: Flags of an event without a NOTIFYFLAG line (upsmon's built-in default).
DEFAULT_FLAGS = "SYSLOG+WALL"


def events_of(version: tuple[int, ...]) -> tuple[str, ...]:
    """The event types that this version of upsmon knows, oldest first."""
    return tuple(name for since, names in SINCE.items() if version >= since for name in names)
