"""Send one event through upssched and the script as user nut, as upsmon would; nothing has happened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from nutwizard.core.errors import Failed, UsageError
from nutwizard.core.events import DEFAULT_FLAGS, events_of
from nutwizard.core.facts import Door, Owner
from nutwizard.core.rules.events import as_nut, calls_upssched, script_of
from nutwizard.core.rules.rule import Look
from nutwizard.core.upssched import ANY, EXECUTE, At, at_lines
from nutwizard.core.upsschedcmd import knows_check
from nutwizard.engine.host import Completed, Host
from nutwizard.engine.listing.listed import OWN_ACTIONS
from nutwizard.engine.trial import run_upssched, said_wrong, try_events
from nutwizard.engine.units import JOURNALCTL
from nutwizard.formats.nutfile import NutFile

#: upssched reads its file there (NUT_CONFPATH, confpath() of NUT's common code): the timers are left out.
#: Each run has a folder of its own behind it.
FOLDER = "/run/nutwizard-test-"
#: Seconds: our script takes up to 40 when a server or a terminal is stuck.
LIMIT = 60.0
#: How upssched tells that the script failed; of one that went well it says nothing.
_FAILED = re.compile(r"exec_cmd\(.*\) (?:returned (?P<code>\d+)|terminated with signal (?P<signal>\d+))")
#: sh ends with these where it cannot run a program.
_NOT_RUN = ("126", "127")
_SYSLOG, _TAGS = "/var/log/syslog", ("upssched-cmd", "upssched")


@dataclass(frozen=True)
class Sent:
    """What became of the event: `ran` and `left` AT lines as they stand; `flags`: what upsmon does with it.

    `wrong`: why it did not arrive, ""; `out`: what the programs printed; `logged`: what stands in the log.
    """

    event: str
    system: str
    flags: str
    ran: tuple[str, ...]
    left: tuple[str, ...]
    wrong: str = ""
    out: tuple[str, ...] = ()
    logged: tuple[str, ...] = ()


def send(host: Host, look: Look, event: str, *, sure: bool) -> Sent:
    """Send it. Raises UsageError where it cannot be sent, or would run a program of the user's own.

    `sure`: such a program is run all the same.
    """
    event = event.upper()
    known = events_of(look.version)
    if event not in known:
        raise UsageError(
            f"NUT {look.facts.nut.text} has no event {event[:40]}", f"There are {', '.join(known)}"
        )
    if host.door is not Door.LIVE:
        raise UsageError("Only a real machine that runs can send an event.")
    if calls_upssched(look) and not as_nut(look):
        raise UsageError("upsmon.conf has another RUN_AS_USER than nut: the test runs as nut alone.")
    system = next((monitor.system for monitor in look.monitors), "")
    entry = look.upsmon.get("NOTIFYFLAG", event)
    flags = entry.args[1] if entry is not None else DEFAULT_FLAGS
    lines = [at for at in at_lines(look.upssched) if at.event == event and at.system in (system, ANY)]
    run = [at for at in lines if at.command == EXECUTE]
    left = tuple(str(at) for at in lines if at.command != EXECUTE)
    sent = Sent(event, system, flags, (), left)
    if wrong := _goes_nowhere(look, sent, lines):
        return replace(sent, wrong=wrong)
    foreign = _foreign(look)
    if foreign and not sure:
        raise UsageError(
            f"{foreign} is your own, and may do anything, a shutdown too. It was not run.",
            f"To run it (NUTWIZARD_TEST=yes tells it of the test): nutwizard test-event {event} --yes",
        )
    if wrong := try_events(host, look).wrong:  # what is sent reads a copy: of the file itself this tells
        return replace(sent, wrong=wrong)
    return _sent(host, look, replace(sent, ran=tuple(str(at) for at in run)))


def _sent(host: Host, look: Look, sent: Sent) -> Sent:
    began = host.now()
    with _without_timers(host, look) as folder:
        own = (f"NUT_CONFPATH={folder}", "NUTWIZARD_TEST=yes")
        done = run_upssched(host, look, sent.system, sent.event, *own, timeout=LIMIT)
    printed = tuple(line for line in (*done.out.splitlines(), *done.err.splitlines()) if line.strip())
    return replace(sent, wrong=_failed(done), out=printed, logged=_logged(host, began))


def _goes_nowhere(look: Look, sent: Sent, lines: list[At]) -> str:
    """Why the event would not arrive anywhere, "" when it would."""
    event, system = sent.event, sent.system
    if not system:
        return "upsmon.conf has no MONITOR line that NUT can use"
    if not calls_upssched(look):
        return "NOTIFYCMD of upsmon.conf does not call upssched"
    flags = sent.flags.split("+")  # upsmon compares them letter by letter
    if "EXEC" not in flags:
        return f"NOTIFYFLAG {event} has no EXEC: upsmon does not call upssched for it"
    if "IGNORE" in flags:
        return f"NOTIFYFLAG {event} has IGNORE: upsmon does nothing at it"
    if not lines:
        return f"upssched.conf has no AT line for {event} and {system}"
    runs = any(at.command == EXECUTE for at in lines)
    return "" if runs else f"upssched.conf only starts or cancels timers at {event}: a test starts none"


def _failed(done: Completed) -> str:
    """Why upssched or the script failed, "" when they did not. upssched ends with 0 all the same.

    What a script prints is its own affair: only upssched's words about it count.
    """
    if done.timed_out or done.code != 0:
        return said_wrong(done, "upssched", LIMIT)
    found = next(filter(None, map(_FAILED.search, done.err.splitlines())), None)
    if found is None:
        return ""
    if found["signal"]:
        return f"the script was ended by signal {found['signal']}"
    ended = f"ended with code {found['code']}"
    return (
        f"user nut cannot run the script: it {ended}" if found["code"] in _NOT_RUN else f"the script {ended}"
    )


def _foreign(look: Look) -> str:
    """The script or program of the user's own that the event would run; "" where all of it is ours."""
    script = script_of(look)
    if script is None or script.content is None or not knows_check(script.content.data):
        return script.path if script is not None else ""
    return OWN_ACTIONS if look.facts.program(OWN_ACTIONS).kind == "file" else ""


@contextmanager
def _without_timers(host: Host, look: Look) -> Iterator[str]:
    """A folder with upssched.conf without its timers: one would end in a real shutdown."""
    document = NutFile.parse(look.upssched.to_bytes())
    for at in list(at_lines(document)):
        if at.command != EXECUTE:
            document.comment_out(at.entry)
    folder = f"{FOLDER}{os.getpid()}"
    path = f"{folder}/upssched.conf"
    try:
        _remove(host, path, folder)
        host.make_folder(folder, Owner("root", "nut", 0o750))
        host.create(path, document.to_bytes(), Owner("root", "nut", 0o640))
    except OSError as error:
        raise Failed(f"{error.filename or path}: {error.strerror}", "Nothing was sent.") from None
    try:
        yield folder
    finally:
        with suppress(OSError):
            _remove(host, path, folder)


def _remove(host: Host, *paths: str) -> None:
    for each in paths:
        if host.stat(each, follow=False) is not None:
            host.remove(each)


def _logged(host: Host, began: float) -> tuple[str, ...]:
    """What the script and upssched have written into the log since then."""
    if host.stat(JOURNALCTL) is not None:
        tags = [word for tag in _TAGS for word in ("-t", tag)]
        words = [JOURNALCTL, "--no-pager", "-o", "cat", "-n", "50", f"--since=@{began:.3f}", *tags]
        done = host.run(words, timeout=5.0)
        if done.code == 0 and done.out.strip() and not done.out.startswith("-- "):
            return tuple(done.out.splitlines())
    try:
        data, _ = host.read_end(_SYSLOG, 1 << 14)
    except OSError:
        return ()
    lines = data.decode("utf-8", "replace").splitlines()[-50:]
    return tuple(line for line in lines if any(f" {tag}" in line for tag in _TAGS) and "TEST" in line)
