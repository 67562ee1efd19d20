"""The last resort: an error that nobody foresaw, told without one value that could be a password."""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Iterator
from types import TracebackType

from nutwizard import __version__
from nutwizard.core.errors import Exit
from nutwizard.core.paths import STATE
from nutwizard.formats.safe import safe_text

#: Shows the whole trace with the error's own words; for the one who looks for the mistake.
DEBUG = "NUTWIZARD_DEBUG"
_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_MOST_CAUSES = 5
_REPORT = "crash.txt"


def guard() -> None:
    """For every command that reads secrets: no core dump, no trace of a thread, no output that can fail.

    The limit is the soft one: what is started from here keeps the hard one and may raise it again.
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    threading.excepthook = lambda told: _say(told.exc_value)
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks ends no command


class ScreensBroke(Exception):
    """An error that nobody foresaw has ended the screens; its cause is that error.

    `writing`: an apply was under way then, apart from the screens.
    """

    def __init__(self, writing: bool) -> None:
        super().__init__()
        self.writing = writing


def report(error: Exception) -> Exit:
    """Say what kind of error it was and where; the exit code of the command.

    A transaction that meets an unforeseen error puts its files back before it passes the error on. Only an
    error on that way back itself may leave something behind.
    """
    stuck = any(module.endswith("recovery.py") for module, _, _ in _all_places(error))
    screens = error if isinstance(error, ScreensBroke) else None
    cause = error.__cause__ if screens is not None else error
    _say(cause)
    for line in _state(stuck, screens):
        print(line, file=sys.stderr)
    if path := _keep(cause):
        print(f"A report without values lies in {path}: types and places alone.", file=sys.stderr)
    return Exit.NOT_WHOLE if stuck else Exit.FAILED


def _state(stuck: bool, screens: ScreensBroke | None) -> list[str]:
    """What is half done, or that nothing is; and for a dialogue what became of the answers."""
    kept = ["Your answers are kept: the next start goes on where this one ended."] if screens else []
    if screens is not None and screens.writing:
        going_on = (
            "Files were being written. That goes on by itself or is undone; the next start tells which."
        )
        return [going_on, *kept]
    if stuck:
        return ["Not everything may be back. Run: nutwizard recover", *kept]
    return ["Nothing is left half-way: files that were being written were put back.", *kept]


def _keep(error: BaseException | None) -> str:
    """Write the report down, for root's eyes or the user's alone; its path, "" where that cannot be."""
    if error is None:
        return ""
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    folder = STATE if os.geteuid() == 0 and os.path.isdir(STATE) else f"{home}/nutwizard"
    path = f"{folder}/{_REPORT}"
    lines = [f"nutwizard {__version__}, Python {sys.version.split()[0]}", *map(_told, _chain(error))]
    lines += [f"  {os.path.basename(file)}:{line} {name}" for file, line, name in _all_places(error)]
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        if os.path.lexists(path):
            os.unlink(path)
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(made, "w", encoding="utf-8") as stream:
            stream.write("".join(f"{safe_text(line)}\n" for line in lines))
    except OSError:
        return ""
    return path


def _say(error: BaseException | None) -> None:
    if error is None:
        return
    if os.environ.get(DEBUG) == "1":
        import traceback

        print(safe_text("".join(traceback.format_exception(error))), end="", file=sys.stderr)
        return
    told = " <- ".join(_told(each) for each in _chain(error))
    print(f"nutwizard: internal error: {told}", file=sys.stderr)
    print(
        f"Its words are not shown: they may hold a password. {DEBUG}=1 shows them; read them before you"
        " pass them on.",
        file=sys.stderr,
    )


def _told(error: BaseException) -> str:
    """Type and place; of an error of the system also what it says, which is a fixed text and a path."""
    places = list(_places(error.__traceback__))
    ours = [place for place in places if place[0].startswith(_PACKAGE)]
    file, line, function = (ours or places or [("?", 0, "?")])[-1]
    place = f"{os.path.relpath(file, os.path.dirname(_PACKAGE))}:{line}, {function}" if ours else file
    said = ""
    if isinstance(error, OSError) and error.errno is not None:
        said = (
            f" ({safe_text(': '.join(filter(None, (str(error.filename or ''), os.strerror(error.errno)))))})"
        )
    return f"{type(error).__name__}{said} in {place}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, newest first."""
    for _ in range(_MOST_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _all_places(error: BaseException) -> Iterator[tuple[str, int, str]]:
    for each in _chain(error):
        yield from _places(each.__traceback__)


def _places(trace: TracebackType | None) -> Iterator[tuple[str, int, str]]:
    while trace is not None:
        code = trace.tb_frame.f_code
        yield code.co_filename, trace.tb_lineno, code.co_name
        trace = trace.tb_next
