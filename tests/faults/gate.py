"""A gate before every system call that changes a disk: the kernel stops the process there and asks us.

A seccomp filter with user notification (seccomp_unotify(2), Linux 5.19 or newer) is put on the process under
test. While it stands at the gate the test may kill it, let the call fail, or do something to the machine and
let it go on. That needs no compiler, no preloaded library and no tracer, and it includes children. What is
counted are the kernel's calls, not a C library's functions.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pickle
import platform
import select
import signal
import socket
import struct
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.calls import CALLS, FLAGS, MACHINES, touched

#: Seconds until a process under test is given up.
LIMIT = 60.0

_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_NEW_LISTENER, _WAIT_KILLABLE = 1 << 3, 1 << 5
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_NOTIFICATION = struct.Struct("=QII iIQ6Q")
_RESPONSE = struct.Struct("=QqiI")


@dataclass(frozen=True, slots=True)
class Call:
    """A call at the gate: the `number`-th (from 1) that touches what is looked at, by process `pid`."""

    number: int
    name: str
    path: str
    pid: int


@dataclass(frozen=True, slots=True)
class Fail:
    """An answer: the call is not made and fails with this errno."""

    error: int


#: What becomes of a call: None lets it happen, a Fail is returned instead, True kills the process before it.
Decide = Callable[[Call], "Fail | bool | None"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended. `signal`: 0 unless one killed it; `value`: what the function gave or raised."""

    signal: int
    code: int
    value: object
    calls: int


def supported() -> str:
    """Why there can be no gate here; "" when there can."""
    if platform.machine() not in MACHINES:
        return f"the system call numbers of {platform.machine()} are not known to the tests"
    try:
        with open("/proc/sys/kernel/seccomp/actions_avail", encoding="ascii") as file:
            return "" if "user_notif" in file.read() else "the kernel has no seccomp user notification"
    except OSError:
        return "the kernel has no seccomp"


def run(act: Callable[[], object], below: str, decide: Decide = lambda call: None) -> Ended:
    """Fork, do `act` there, and ask `decide` at each call that touches a path below `below`.

    Raises TimeoutError (the process is killed) after `LIMIT` s, AssertionError with the traceback when `act`
    raised anything but a WizardError, which is `value` then.
    """
    reader, writer = os.pipe()
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        _be_the_child(act, theirs, writer)
    os.close(writer)
    theirs.close()
    with ours:
        calls = watch(take_listener(ours), below, decide, (child,))
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Ended(os.WTERMSIG(status), -1, None, calls)
    value = pickle.loads(data)  # noqa: S301 - from our own fork
    assert not isinstance(value, str) or not value.startswith("Traceback"), value
    return Ended(0, os.WEXITSTATUS(status), value, calls)


def _be_the_child(act: Callable[[], object], control: socket.socket, result: int) -> None:
    from nutwizard.core.errors import Exit, WizardError

    code, value = 1, "Traceback: nothing was done"  # type: tuple[int, object]
    try:
        install(control)
        code, value = 0, act()
    except WizardError as error:
        code, value = int(error.code), error
    except KeyboardInterrupt:
        code, value = int(Exit.INTERRUPTED), None
    except BaseException:  # noqa: BLE001 - the parent raises it
        value = traceback.format_exc()
    finally:
        os.write(result, pickle.dumps(value))
        os._exit(code)


def install(control: socket.socket) -> None:
    """Put this process and its children behind a gate; the other end of `control` gets the listener."""
    column, arch, number = MACHINES[platform.machine()]
    program = _program(column, arch)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    # What the other side reads is sent over a descriptor that is no file of the machine: it passes the gate.
    listener = libc.syscall(number, 1, _NEW_LISTENER | _WAIT_KILLABLE, header)
    if listener < 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")
    socket.send_fds(control, [b"."], [listener])
    os.close(listener)
    control.close()


def _program(column: int, arch: int) -> bytes:
    """The filter: (code, jump when true, jump when false, operand)."""
    lines = [(0x20, 0, 0, 4), (0x15, 1, 0, arch), (0x06, 0, 0, _ALLOW), (0x20, 0, 0, 0)]
    for name, (_, *numbers) in CALLS.items():
        if numbers[column] < 0:
            continue
        if name in FLAGS:
            lines += [
                (0x15, 0, 4, numbers[column]),
                (0x20, 0, 0, 16 + 8 * FLAGS[name]),
                (0x45, 0, 1, os.O_CREAT | os.O_TRUNC),
                (0x06, 0, 0, _NOTIFY),
                (0x06, 0, 0, _ALLOW),
            ]
        else:
            lines += [(0x15, 0, 1, numbers[column]), (0x06, 0, 0, _NOTIFY)]
    lines.append((0x06, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def take_listener(control: socket.socket) -> int:
    """The listener that `install` sent. Raises AssertionError when none comes."""
    control.settimeout(LIMIT)
    _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
    assert descriptors, "the process under test could not be put behind a gate"
    return descriptors[0]


def watch(listener: int, below: str, decide: Decide, ends: tuple[int, ...] = ()) -> int:
    """Answer at the gate until every process behind it has ended; how many calls counted.

    On a time-out or an error of `decide` the processes `ends` are killed.
    """
    names = {numbers[MACHINES[platform.machine()][0]]: name for name, (_, *numbers) in CALLS.items()}
    until, count = time.monotonic() + LIMIT, 0
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    try:
        while True:
            events = poll.poll(1000)
            if time.monotonic() > until:
                raise TimeoutError(f"not ended within {LIMIT:.0f} s; {count} calls were seen")
            if not events:
                continue
            if not events[0][1] & select.POLLIN:
                return count
            count = _answer(listener, below, decide, names, count)
    except BaseException:
        for pid in ends:
            os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(listener)


def _answer(listener: int, below: str, decide: Decide, names: dict[int, str], count: int) -> int:
    """Take one notification and answer it; the new count."""
    buffer = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):  # it died meanwhile
            return count
        raise
    id, pid, _, number, _, _, *args = _NOTIFICATION.unpack(buffer)
    name = names[number]
    path = touched(pid, CALLS[name][0], args)
    answer: Fail | bool | None = None
    if path is None or path == below or path.startswith(f"{below}/"):
        count += 1
        answer = decide(Call(count, name, path or "", pid))
    if answer is True:
        os.kill(pid, signal.SIGKILL)
        return count
    response = (id, 0, -answer.error, 0) if isinstance(answer, Fail) else (id, 0, 0, _CONTINUE)
    try:
        fcntl.ioctl(listener, _SEND, _RESPONSE.pack(*response))
    except OSError as error:
        if error.errno != errno.ENOENT:  # `decide` has killed it
            raise
    return count
