"""The command line: parse, dispatch (front ends are imported late), errors as sentences and exit codes."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from nutwizard import __version__
from nutwizard.core.errors import Exit, WizardError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DESCRIPTION = (
    "Sets up NUT on a Proxmox VE host and its VMs, step by step, and proves that a power cut ends well."
)
EPILOG = """exit codes:
  0  done, in place, nothing to do            5  failed, and not everything could be put back
  1  failed, everything was put back          6  an unfinished transaction is there
  2  command line or answers wrong            7  another run holds the lock
  3  plan: something would change             8  needs root
  4  check: something is broken             130  interrupted
     budget: it does not fit
"""
GUIDED = ""
#: The commands that are not in `commands`, by the module that has them.
_MODULES = {
    "budget": "budgeting",
    "check": "checking",
    "fsd": "fsd",
    "rehearse": "rehearsing",
    "report": "reporting",
    "status": "checking",
    "test-event": "sending",
}


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint shows no word of the command line as it came."""

    def error(self, message: str) -> NoReturn:
        from nutwizard.formats.safe import safe_text

        super().error(safe_text(message))


def parser() -> argparse.ArgumentParser:
    """The parser of every command. Options mean the same before and after the command."""
    top = _Parser(
        "nutwizard",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"nutwizard {__version__}")
    _options(top, after=False)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands (none: the guided run)")
    _commands(commands)
    return top


def _commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    step = _command(commands, "step", "one step again; the others from saved answers and the current files")
    step.add_argument(
        "name",
        metavar="NAME",
        help="mode, driver, listen, client_user, clients, monitor, actions, timing, firewall, outside,"
        " services",
    )
    plan = _command(commands, "plan", "the diff of a replay; nothing is written")
    plan.add_argument("answers", metavar="ANSWERS", help="answers file (YAML)")
    apply = _command(commands, "apply", "the replay of an answers file; never asks")
    apply.add_argument("answers", metavar="ANSWERS", help="answers file (YAML)")
    apply.add_argument("--ask", metavar="STEP,...", help="ask these steps, replay the rest")
    check = _command(commands, "check", "prove the chain from UPS to shutdown, and find what breaks it")
    check.add_argument(
        "--watch", metavar="SECONDS", nargs="?", type=_seconds, const=2.0, help="look again and again"
    )
    check.add_argument(
        "--for", metavar="SECONDS", dest="watch_for", type=_seconds, help="with --watch: end after this long"
    )
    _about_proof(commands, check)
    _firewall(commands)
    for replay in (step, plan, apply, check):
        replay.add_argument(
            "--password-stdin", action="store_true", help="read the password of the VMs' NUT user from stdin"
        )
    _played(commands)
    _afterwards(commands)


def _played(commands: argparse._SubParsersAction[_Parser]) -> None:
    rehearse = _command(
        commands, "rehearse", "play a power cut with NUT's own daemons and your files, on copies"
    )
    rehearse.add_argument(
        "--scenario",
        choices=("cut", "blip", "fsd", "timer", "lowbatt-on-return"),
        default="cut",
        help="what happens to the UPS (default: cut)",
    )
    rehearse.add_argument(
        "--client",
        metavar="PATH",
        action="append",
        default=[],
        help="a client: its answers file, its folder, or a folder with its /etc/nut; may be repeated",
    )
    rehearse.add_argument(
        "--real-time", action="store_true", help="your own intervals; takes as long as they say"
    )
    rehearse.add_argument(
        "--verbatim",
        action="store_true",
        help="your own SHUTDOWNCMD too, with stand-ins for shutdown and its kin",
    )


def _about_proof(commands: argparse._SubParsersAction[_Parser], check: argparse.ArgumentParser) -> None:
    """What else a check can do, and what comes of it."""
    check.add_argument("--fix", action="store_true", help="plan what mends what is broken, show it, ask")
    check.add_argument("--yes", action="store_true", help="with --fix: do not ask")
    check.add_argument("--quiet", action="store_true", help="say nothing when there is nothing to say (cron)")
    check.add_argument("--html", metavar="FILE", help="also write the proof as a page to keep")
    _command(commands, "status", "one line: protected or not, and since when that is proven")
    _command(commands, "budget", "the time that a shutdown needs, step by step, against the battery's")
    event = _command(commands, "test-event", "send one event through upssched and the script, as user nut")
    event.add_argument("event", metavar="EVENT", help="ONBATT, ONLINE, LOWBATT, ...")
    event.add_argument("--yes", action="store_true", help="also run a script or action of your own")
    forced = _command(commands, "fsd", "the real test of a forced shutdown: everything goes off; asks first")
    forced.add_argument(
        "what", metavar="report", nargs="?", choices=("report",), help="how the last test ended"
    )
    forced.add_argument("--show", action="store_true", help="what is in the way, what would happen; no more")
    forced.add_argument(
        "--client", metavar="FILE", action="append", help="with report: a client's fsd report --json"
    )
    report = _command(commands, "report", "what another person needs to help, in one file, without passwords")
    report.add_argument("--output", metavar="FILE", help="where to write it; - for the terminal")


def _afterwards(commands: argparse._SubParsersAction[_Parser]) -> None:
    """What looks back: transactions, paths, pages."""
    undo = _command(commands, "undo", "put the files of a transaction back")
    undo.add_argument(
        "id", metavar="ID", nargs="?", type=_number, help="number from history (default: the newest)"
    )
    _command(commands, "history", "list transactions")
    _command(commands, "paths", "every file and folder of NUT and nutwizard here, and where the log is")
    explain = _command(commands, "explain", "the pages: what each step does and means; no root, no NUT")
    explain.add_argument("topic", metavar="TOPIC", nargs="?", help="a page (without one: the list of pages)")
    forget = _command(commands, "forget", "remove what a transaction keeps, old passwords too; no undo then")
    forget.add_argument("id", metavar="ID", type=_number, help="number from history")
    forget.add_argument("--yes", action="store_true", help="also the newest one that can be undone")
    recover = _command(commands, "recover", "finish or undo what an interrupted run left, and nothing else")
    recover.add_argument(
        "--boot", action="store_true", help="files alone, no unit: for the time before NUT starts"
    )


def _firewall(commands: argparse._SubParsersAction[_Parser]) -> None:
    """The actions around the rule that lets the clients reach upsd."""
    top = _command(commands, "firewall", "Proxmox VE's firewall: who is let in, the rule on or off, by hand")
    actions = top.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    explain = _command(actions, "explain", "would a TCP packet be let in, and which line decides?")
    explain.add_argument("--from", metavar="ADDRESS", dest="source", required=True, help="who sends it")
    explain.add_argument("--port", metavar="N", type=_port, help="to which port (default: upsd's)")
    explain.add_argument("--interface", metavar="BRIDGE", help="through which interface of this host")
    explain.add_argument("--to", metavar="ADDRESS", help="to which address of this host")
    _command(actions, "enable", "switch the group's rule on, in the saved answers too")
    _command(actions, "disable", "switch it off again")
    _command(actions, "manual", "the web console's clicks and the pvesh lines for the step's values")


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text[:20]!r}")
    return int(text)


def _command(commands: argparse._SubParsersAction[_Parser], name: str, text: str) -> _Parser:
    found = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    _options(found, after=True)
    return found


def _options(to: argparse.ArgumentParser, *, after: bool) -> None:
    """The common options. After the command none has a default: it would overwrite what stood before it."""
    absent = argparse.SUPPRESS
    to.add_argument(
        "--root", metavar="DIR", default=absent if after else "/", help="work on the files below DIR"
    )
    to.add_argument(
        "--role",
        choices=("host", "client"),
        default=absent if after else None,
        help="instead of the role found",
    )
    for name, text in (
        ("--plain", "prompts one after the other instead of screens; over a pipe line by line"),
        ("--mouse", "the screens take the mouse; without it the terminal selects text as ever"),
        ("--practice", "a practice machine: nothing outside its folder is touched, nothing is protected"),
        (
            "--json",
            "plan, apply, check, rehearse, status, budget, history, paths, firewall, fsd report: as JSON",
        ),
        ("--on-battery", "whatever writes: also during an outage of the mains"),
    ):
        to.add_argument(name, action="store_true", default=absent if after else False, help=text)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.5 <= found <= 86400:
        raise argparse.ArgumentTypeError(f"expected seconds from 0.5 to 86400, got {text[:20]!r}")
    return found


def _number(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from nutwizard history, got {text[:20]!r}")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    gc.disable()  # until all is loaded: it stays, and looking for garbage among it takes a tenth of the start
    try:
        try:
            return _run(argv)
        finally:
            gc.enable()
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.FAILED)
    except Exception as error:  # noqa: BLE001 - the last resort: a trace could show a password
        from nutwizard import crash

        return int(crash.report(error))


def _run(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    from nutwizard import crash

    crash.guard()
    try:
        return int(_dispatch(args.command or GUIDED)(args))
    except WizardError as error:
        _complain(error)
        return int(error.code)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return int(Exit.INTERRUPTED)


def _dispatch(command: str) -> Callable[[argparse.Namespace], Exit]:
    if command in (GUIDED, "step"):
        from nutwizard import dialogue  # which loads more before it has `opening.loaded` called

        return dialogue.guided if command == GUIDED else dialogue.step
    if command == "explain":
        from nutwizard import explain

        return explain.explain
    if command == "firewall":
        from nutwizard import firewalls

        return firewalls.run
    from importlib import import_module

    from nutwizard import opening

    module = import_module(f"nutwizard.{_MODULES.get(command, 'commands')}")
    opening.loaded()
    found: Callable[[argparse.Namespace], Exit] = getattr(module, command.replace("-", "_"))
    return found


def _complain(error: WizardError) -> None:
    from nutwizard.formats.safe import safe_text

    print(safe_text(f"nutwizard: {error.text}"), file=sys.stderr)
    if error.hint:
        print(safe_text(error.hint), file=sys.stderr)
