"""The process that applies a plan, apart from every screen: a terminal that goes away does not reach it."""

from __future__ import annotations

import os
import resource
import sys

from nutwizard.core.errors import Failed, NotWhole, WizardError
from nutwizard.engine import aftermath, wire
from nutwizard.engine.applying import apply_parts
from nutwizard.engine.carry import facts_for, prove
from nutwizard.engine.machine import LiveHost, OfflineHost
from nutwizard.engine.sources import MachineSources
from nutwizard.engine.store import Store


def main() -> None:
    """Read one job from standard input, do it, and tell how it went on standard output, which may be gone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # passwords are in memory
    try:
        root, kept = wire.read_job(sys.stdin.buffer.readline())
    except ValueError:
        return  # who asked has died before the job was whole: nothing is begun
    host = LiveHost() if root == "/" else OfflineHost(root)
    role = kept.plan.role
    try:
        facts = facts_for(host, MachineSources(host), role)
        outcome = apply_parts(
            host,
            kept.plan,
            prove=lambda: prove(host, facts, role),
            report=lambda text: _tell(wire.progress_line(text)),
            command=kept.command,
            undoes=kept.undoes,
            on_battery=kept.on_battery,
        )
        answer = wire.outcome_line(outcome)
        aftermath.leave(host, outcome)
    except WizardError as error:
        if isinstance(error, NotWhole):
            aftermath.leave_error(host, error)
        answer = wire.error_line(error)
    except Exception as error:  # noqa: BLE001 - whatever it was, the person hears of it
        answer = wire.error_line(_internal(error, open_still=Store(host).unfinished() is not None))
    try:
        _tell(answer)
    except OSError:
        os._exit(0)  # nobody listens any more: the next start tells


def _internal(error: Exception, *, open_still: bool) -> WizardError:
    """An error of the program itself; what it means for the machine is read from the journal, not guessed."""
    if open_still:
        return NotWhole(_place(error), "Not everything is back. Run: nutwizard recover; please report this.")
    return Failed(_place(error), "No transaction is left open. Please report this.")


def _place(error: Exception) -> str:
    """What went wrong inside, without one value: a traceback could show a password."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"internal error: {type(error).__name__}{where}"


def _tell(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
