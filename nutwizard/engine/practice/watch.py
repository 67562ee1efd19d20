"""Keeps the practice machine's real daemons: a program of its own, `python -I watch.py FOLDER`.

Reads orders as JSON lines from standard input and answers each with one line. When its input ends, because
its parent closed it or died in whatever way, it ends every daemon and removes FOLDER. It has one thread: so
the kernel's signal to a daemon when the thread that started it dies (prctl(2)) comes at its own death.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_GRACE = 2.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Children = dict[str, "subprocess.Popen[bytes]"]


def main() -> None:
    """Obey until the input ends."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    libc = ctypes.CDLL(None)
    children: Children = {}
    try:
        for line in sys.stdin:
            try:
                answer = _obey(json.loads(line), children, libc)
            except OSError as error:
                answer = {"error": error.strerror or str(error)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), 1
        )  # the parent is gone: what is left in the buffer goes nowhere
    finally:
        for name in list(children):
            _stop(children, name)
        shutil.rmtree(sys.argv[1], ignore_errors=True)


def _obey(order: dict[str, Any], children: Children, libc: ctypes.CDLL) -> dict[str, Any]:
    act, name = order["do"], order["name"]
    if act == "start":
        _stop(children, name)
        children[name] = _start(order, libc)
        return {"pid": children[name].pid}
    if act == "stop":
        _stop(children, name)
        return {}
    child = children.get(name)
    if child is None:
        return {"code": 0}
    if act == "reload" and child.poll() is None:
        child.send_signal(signal.SIGHUP)
    return {"code": child.poll()}


def _start(order: dict[str, Any], libc: ctypes.CDLL) -> subprocess.Popen[bytes]:
    def tie() -> None:
        # Ignored signals stay ignored over exec: the daemon needs its own, SIGHUP above all.
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    user = order["user"] or None
    with open(order["log"], "wb") as log:
        return subprocess.Popen(
            order["argv"],
            env=order["env"],
            cwd=sys.argv[1],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            preexec_fn=tie,  # noqa: PLW1509 - there is one thread here
        )


def _stop(children: Children, name: str) -> None:
    child = children.pop(name, None)
    if child is None:
        return
    child.terminate()
    try:
        child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    main()
