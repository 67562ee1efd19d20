"""Starts a program in a machine of a stage, without what could reach the computer."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Sequence

from nutwizard.engine.rehearsal import kernel

ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
#: A core would be written, or piped to a program, outside: with one byte the kernel does neither (core(5)).
_LIMITS = ((resource.RLIMIT_CORE, 1), (resource.RLIMIT_NPROC, 2048))


def spawn(
    argv: Sequence[str], out: int, source: int, user: tuple[int, int] | None, *, trusted: bool = False
) -> int:
    """Start a program in a session of its own, without the rights that could reach the computer.

    `user`: where there is no root, who it is to be.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.dup2(source, 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        for kind, most in _LIMITS:
            resource.setrlimit(kind, (most, most))
        if not trusted and user is not None:
            kernel.become(*user)
        elif not trusted:
            kernel.drop_capabilities()
        os.execve(argv[0], list(argv), ENVIRONMENT)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
    os._exit(127)
