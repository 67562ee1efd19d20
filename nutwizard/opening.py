"""From the command line to a host, a role and a session: what every command does first."""

from __future__ import annotations

import argparse
import gc
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TextIO

from nutwizard.core import paths
from nutwizard.core.answers import AnswersSet
from nutwizard.core.errors import NeedsRoot, Unfinished, UsageError
from nutwizard.core.facts import PRACTICE, Door, Role
from nutwizard.engine import registry
from nutwizard.engine.host import Host
from nutwizard.engine.store import Store
from nutwizard.formats.safe import safe_text

if TYPE_CHECKING:
    from nutwizard.engine.detect import Sources
    from nutwizard.engine.session import Session
    from nutwizard.wording.layout import Line


def open_host(args: argparse.Namespace, *, quiet: bool = False) -> tuple[Host, Sources]:
    """The host that the options name, and what it knows about itself.

    A host other than the live one is named to the person, but for `quiet`: a dialogue does so on its screens.
    """
    from nutwizard.engine.sources import MachineSources

    if not args.root:  # an unset variable of the caller: realpath() would make the working folder of it
        raise UsageError("--root needs the name of a folder")
    if args.practice:
        if args.root != "/":
            raise UsageError("--practice has its own folder: it cannot be used with --root")
        from nutwizard.engine.practice import PracticeHost

        if args.json:
            say(PRACTICE)
        elif not quiet:
            write(sys.stdout, PRACTICE)
        try:
            practice = PracticeHost.open(None, Role(args.role or "host"))
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror}", "Nothing was changed.") from None
        if text := hint(practice):
            say(text)
        return practice, practice
    from nutwizard.engine.machine import LiveHost, OfflineHost

    if os.path.realpath(args.root) == "/":
        live = LiveHost()
        return live, MachineSources(live)
    if not os.path.isdir(args.root):
        raise UsageError(f"--root {args.root}: there is no such folder")
    offline = OfflineHost(args.root)
    say(f"Below {offline.root}: no unit is touched, no address is connected to.")
    return offline, MachineSources(offline)


def machine_option(args: argparse.Namespace) -> str:
    """The option by which the next command reaches the same machine, a blank before it; "" for this one."""
    if args.practice:
        return " --practice"
    return "" if args.root == "/" else f" --root {shlex.quote(args.root)}"


def hint(host: Host) -> str:
    """What a person on the practice client has to know about the practice host; "" elsewhere."""
    if host.door is not Door.PRACTICE:
        return ""
    from nutwizard.engine.practice import PracticeHost

    return host.client_hint() if isinstance(host, PracticeHost) and host.role is Role.CLIENT else ""


def loaded() -> None:
    """From here on garbage is looked for again, but not among what the start has loaded."""
    gc.freeze()
    gc.enable()


def say(text: str) -> None:
    """A remark beside the result: it goes to stderr."""
    write(sys.stderr, safe_text(text))


to_stderr = say


def write(stream: TextIO, text: str) -> None:
    """A line. A reader that has gone (`| head`) stops no command half-way: the rest is thrown away."""
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def show_lines(lines: Sequence[Line]) -> None:
    """Print a result made of lines, wrapped to the terminal where there is one."""
    from nutwizard.wording.reading import text_of

    columns = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else None
    write(sys.stdout, text_of(lines, columns).rstrip("\n"))


def read_only(host: Host, *, about_fsd: bool = True) -> None:
    """A command that reads leaves an interrupted transaction to others. Raises Unfinished, Locked.

    `about_fsd`: whether it reminds of a forced shutdown whose report nobody has read.
    """
    _tell_lost(host, say)
    if about_fsd:
        _remind(host, say)
    store = Store(host)
    record = store.unfinished()
    if record is not None:
        store.lock().release()  # raises Locked while another run is still writing
        raise Unfinished(f"transaction {record.id} was interrupted", "Run: nutwizard recover")
    from nutwizard.engine import putoff

    if text := putoff.reminder(host, store):
        say(text)


def _tell_lost(host: Host, say: Callable[[str], None]) -> None:
    """What became of a run whose line was lost before it could say so."""
    from nutwizard.engine import aftermath

    text = aftermath.untold(host)
    if text:
        say(f"The last run ended when nobody was listening any more. It said:\n{safe_text(text)}\n")
        aftermath.told(host)


def _remind(host: Host, say: Callable[[str], None]) -> None:
    """Of a forced shutdown whose report nobody has read."""
    try:
        tested = host.stat(paths.FSD) is not None
    except OSError:
        tested = False
    if not tested:  # what follows takes its time to load
        return
    from nutwizard.engine.fsd.records import reminder

    if text := reminder(host):
        say(text)


def writing(host: Host, *, on_battery: bool = False, say: Callable[[str], None] | None = None) -> None:
    """A command that writes first mends what an interrupted one left, and says so. Raises NeedsRoot.

    `on_battery`: units are restarted for that even during an outage. `say`: in place of stderr.
    """
    say = say or to_stderr
    if not host.may_write():
        raise NeedsRoot(f"Only root may change {host.label}.")
    from nutwizard.engine.pvelost import lost
    from nutwizard.engine.recovery import recover

    store = Store(host)
    if text := recover(host, store, say, insist=on_battery):
        say(text)
    if text := lost(host, store):
        say(text)
    _tell_lost(host, say)
    _remind(host, say)


def proposed_role(args: argparse.Namespace, host: Host, sources: Sources) -> Role | None:
    """The role as the options, the machine's files or its kind say; None when nothing does."""
    from nutwizard.engine.roles import role_of

    if args.role:
        return Role(args.role)
    kind, _ = sources.kind()
    return role_of(host, kind)


def open_session(
    host: Host,
    sources: Sources,
    role: Role,
    *,
    named: AnswersSet | None = None,
    save: bool = False,
    only: Collection[str] = (),
    asked: bool = True,
    on_battery: bool = False,
) -> Session:
    """A session on this host, with the answers of an earlier run as far as they are of this role.

    `save`: the answers become the saved ones; what is typed is kept until then. `asked`: whether answers
    matter at all; a command that only looks does without the saved ones. `on_battery`: it also writes during
    an outage.
    """
    from nutwizard.engine.saved import read_saved
    from nutwizard.engine.session import Session

    if host.door is Door.LIVE and not host.may_write():
        raise NeedsRoot("NUT's files can be read by root only.")
    saved = read_saved(host, {each: registry.steps_of(each) for each in Role}, role) if asked else None
    resume = None
    if save and host.may_write():
        from nutwizard.engine.resume import Resume

        resume = Resume(host)
    session = Session(
        host, sources, role,
        named=named, saved=saved, save=save, only=only, on_battery=on_battery, resume=resume,
    )  # fmt: skip
    session.require_nut()
    session.drop_written()
    return session
