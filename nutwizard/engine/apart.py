"""Applying a plan in a process of its own: no lost line, closed terminal or Ctrl-C can stop it half-way.

The worker is a fresh interpreter, never a fork (a front end has threads), in its own session; under systemd
it is a transient unit, since logind may end what is left of a session.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

from nutwizard.core.errors import Unfinished, WizardError
from nutwizard.core.plan import Plan
from nutwizard.engine import aftermath, wire
from nutwizard.engine.host import Host
from nutwizard.engine.machine import ENVIRONMENT
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.quiet import Quiet
from nutwizard.engine.signals import Held
from nutwizard.engine.stored import Kept
from nutwizard.engine.units import BOOTED

_SYSTEMD_RUN = "/usr/bin/systemd-run"
_START = "import sys; sys.path.insert(0, {!r}); from nutwizard.engine.worker import main; main()"


def apply_apart(
    host: Host,
    plan: Plan,
    *,
    report: Callable[[str], None] = lambda text: None,
    command: str = "apply",
    undoes: int | None = None,
    on_battery: bool = False,
) -> Outcome:
    """Apply `plan` as `applying.apply_parts` does, in a worker that opens the same machine.

    Signals are held back until the worker has ended; a `report` that fails is not called again. Raises what
    `apply_parts` raises, and Unfinished when the worker was killed.
    """
    kept = Kept(plan, command, int(host.now()), undoes, on_battery=on_battery)
    root = host.root or "/"
    with Held() as held, _start(root) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(wire.job_line(root, kept))
            worker.stdin.close()
        except BrokenPipeError:
            pass  # it died at once: its answer, or the lack of one, tells
        try:
            outcome = _listen(worker, report)
        except WizardError:
            aftermath.told(host)  # the caller tells it now
            raise
    return replace(outcome, signals=(*outcome.signals, *held.came))


def _start(root: str) -> subprocess.Popen[bytes]:
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    argv = [sys.executable, "-I", "-c", _START.format(package)]
    if root == "/" and os.path.isdir(BOOTED) and os.path.exists(_SYSTEMD_RUN):
        argv = [_SYSTEMD_RUN, "--quiet", "--pipe", "--collect", *argv]
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )


def _listen(worker: subprocess.Popen[bytes], report: Callable[[str], None]) -> Outcome:
    """Pass progress on until the worker has said how it ended. Raises WizardError."""
    assert worker.stdout is not None
    say = Quiet(report)
    for line in worker.stdout:
        answer = wire.read_answer(line)
        if isinstance(answer, WizardError):
            raise answer
        if isinstance(answer, Outcome):
            return answer
        say(answer)
    raise Unfinished(
        "the process that wrote the files has ended without an answer: it was killed",
        "Run: nutwizard recover",
    )
