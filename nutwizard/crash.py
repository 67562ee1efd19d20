"""The last resort: an error that nobody foresaw, told without one value that could be a password."""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Iterator
from types import TracebackType

from nutwizard.core.errors import Exit
from nutwizard.formats.safe import safe_text

#: Shows the whole trace with the error's own words; for the one who looks for the mistake.
DEBUG = "NUTWIZARD_DEBUG"
_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_MOST_CAUSES = 5


def guard() -> None:
    """For every command that reads secrets: no core dump, no trace of a thread, no output that can fail.

    The limit is the soft one: what is started from here keeps the hard one and may raise it again.
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    threading.excepthook = lambda told: _say(told.exc_value)
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks ends no command


def report(error: Exception) -> Exit:
    """Say what kind of error it was and where; the exit code of the command.

    A transaction that meets an unforeseen error puts its files back before it passes the error on. Only an
    error on that way back itself may leave something behind.
    """
    stuck = any(module.endswith("recovery.py") for module, _, _ in _all_places(error))
    _say(error)
    if stuck:
        print("Not everything may be back. Run: nutwizard recover", file=sys.stderr)
    else:
        print("Nothing is left half-way: files that were being written were put back.", file=sys.stderr)
    return Exit.NOT_WHOLE if stuck else Exit.FAILED


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
