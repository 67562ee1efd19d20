"""The directives of upsd.conf, upsmon.conf and upssched.conf, by the first NUT that knows them.

Read in the parsers of NUT 2.7.4 to 2.8.5. A directive that is not known there is ignored, with a warning in
the log; the names are compared letter by letter.
"""

from __future__ import annotations

from collections.abc import Mapping

from nutwizard.core import paths

Version = tuple[int, ...]

#: The last version that was looked at.
NEWEST: Version = (2, 8, 5)
SINCE: Mapping[str, Mapping[Version, str]] = {
    paths.UPSD_CONF: {
        (2, 7, 4): "LISTEN MAXAGE MAXCONN STATEPATH DATAPATH CERTPATH CERTIDENT CERTREQUEST",
        (2, 8, 0): "TRACKINGDELAY ALLOW_NO_DEVICE DISABLE_WEAK_SSL DEBUG_MIN",
        (2, 8, 2): "ALLOW_NOT_ALL_LISTENERS",
    },
    paths.UPSMON_CONF: {
        (2, 7, 4): (
            "MONITOR MINSUPPLIES SHUTDOWNCMD NOTIFYCMD POLLFREQ POLLFREQALERT HOSTSYNC DEADTIME FINALDELAY"
            " RBWARNTIME NOCOMMWARNTIME POWERDOWNFLAG RUN_AS_USER NOTIFYMSG NOTIFYFLAG CERTPATH CERTIDENT"
            " CERTHOST CERTVERIFY FORCESSL"
        ),
        (2, 8, 0): "DEBUG_MIN",
        (2, 8, 1): "OFFDURATION POLLFAIL_LOG_THROTTLE_MAX SHUTDOWNEXIT",
        (2, 8, 3): "OBLBDURATION OVERDURATION ALARMCRITICAL",
    },
    paths.UPSSCHED_CONF: {
        (2, 7, 4): "CMDSCRIPT PIPEFN LOCKFN AT",
        (2, 8, 5): "DEBUG_MIN",
    },
}
#: For builds with OpenSSL; Debian's have NSS, in every release from 11 on.
OPENSSL = "CERTFILE"
#: upsd still knows the names, and says that they do nothing.
REMOVED = ("ACL", "ACCEPT", "REJECT")
#: The one name that NUT compares without regard to case.
FOLDED = "DEBUG_MIN"
#: How alike a name must be to count as a slip of the pen; MAXAGE and MAXCONN are less alike.
_ALIKE = 0.8


def known_since(file: str) -> dict[str, Version]:
    """The directives of a file with the first version that knows them."""
    return {name: since for since, names in SINCE[file].items() for name in names.split()}


def files_of(name: str) -> tuple[str, ...]:
    """The files that have a directive of this name."""
    return tuple(file for file in SINCE if name in known_since(file))


def meant(file: str, name: str) -> str:
    """The directive of a file that somebody has written wrong, "" when it is like none."""
    from difflib import get_close_matches  # costs, and few files need it

    found = get_close_matches(name.upper(), known_since(file), 1, _ALIKE)
    return found[0] if found else ""
