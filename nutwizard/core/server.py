"""Where upsd listens, and which users it knows, as NUT reads the files."""

from __future__ import annotations

from nutwizard.core import paths
from nutwizard.core.draft import Draft
from nutwizard.core.secret import Secret
from nutwizard.core.site import NUT_PORT
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile

WILDCARDS = ("0.0.0.0", "::", "*", "::0")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
#: From this version on the first LISTEN line is the one that must be bindable, before it the last (measured).
FIRST_LINE_DECIDES = (2, 8, 1)
#: From this version on NUT knows primary and secondary (measured: 2.7.4 silently reads them as slave).
PRIMARY_WORDS = (2, 8, 0)
#: The words for each role in upsd.users, whatever the version.
PRIMARY = ("master", "primary")
SECONDARY = ("slave", "secondary")


def listen_lines(document: NutFile) -> list[tuple[str, int]]:
    """The LISTEN lines as (address, port), in order; without any, NUT's own two."""
    found = [listen_line(entry.args) for entry in document.entries("LISTEN") if entry.args]
    return found or [("127.0.0.1", NUT_PORT), ("::1", NUT_PORT)]


def listen_line(args: tuple[str, ...]) -> tuple[str, int]:
    """(address, port) of one LISTEN line by its words; at least the address is there."""
    return args[0], int(args[1]) if len(args) > 1 and args[1].isdigit() else NUT_PORT


def hides_the_network(lines: list[tuple[str, int]], version: tuple[int, ...]) -> str:
    """The wildcard that a specific address on the same port keeps from being bound, "" when none.

    Up to 2.8.0 the last line wins, from 2.8.1 on the first; either way one of the two is silently lost.
    """
    for address, port in lines:
        rivals = [a for a, p in lines if p == port and a not in WILDCARDS and (":" in a) == (":" in address)]
        if address in WILDCARDS and rivals:
            return address
    return ""


def local_address(lines: list[tuple[str, int]]) -> tuple[str, int]:
    """The address and port at which this machine's own upsmon and checks reach upsd."""
    for wanted in (("127.0.0.1", "localhost", "0.0.0.0", "*"), ("::1", "::", "::0")):
        for address, port in lines:
            if address in wanted:
                return ("127.0.0.1" if wanted[0] == "127.0.0.1" else "::1", port)
    return lines[0]


def role_words(version: tuple[int, ...]) -> tuple[str, str]:
    """(primary, secondary) in the words of this version: older NUT silently takes unknown words for slave."""
    return ("primary", "secondary") if version >= PRIMARY_WORDS else ("master", "slave")


def is_primary(word: str, version: tuple[int, ...]) -> bool:
    """Whether upsmon of this version reads the type word of a MONITOR line as primary."""
    known = ("master", "primary") if version >= PRIMARY_WORDS else ("master",)
    return word.lower() in known


def is_secondary(word: str, version: tuple[int, ...]) -> bool:
    """Whether NUT of this version knows the word, and as secondary."""
    return word.lower() in ("slave", role_words(version)[1])


def upsmon_right(users: SectionFile, user: str) -> str:
    """The user's `upsmon` right in lower case, "" when there is none."""
    return (users.get(user, "upsmon") or "").lower()


def is_administrator(users: SectionFile, user: str) -> bool:
    """Whether the user may do more than watch: actions, instant commands."""
    return any(users.get(user, key) is not None for key in ("actions", "instcmds"))


def put_user(draft: Draft, name: str, password: Secret, *, primary: bool) -> None:
    """The user in upsd.users: present, with this password, and with this right in words of the version.

    A right that means the same stays as it is written. Raises ValueError where the file cannot be edited.
    """
    version = draft.facts.nut.version
    word = role_words(version)[0 if primary else 1]
    users = draft.sections(paths.UPSD_USERS, users=True)
    if not users.has(name):
        users.add(name, [("password", password.reveal()), ("upsmon", word)])
    else:
        users.set(name, "password", password.reveal())
        has = upsmon_right(users, name)
        if not (is_primary(has, version) if primary else is_secondary(has, version)):
            users.set(name, "upsmon", word)
    draft.readable_by_nut(paths.UPSD_USERS)
