"""One machine of a stage, PID 1 of its own namespaces: it does what it is told, and tells what happens."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

from nutwizard.core.rehearsal.moments import TAG
from nutwizard.engine.rehearsal import borrowed, copy, kernel
from nutwizard.engine.rehearsal.madeup import MadeUp
from nutwizard.engine.rehearsal.part import Part, Placed
from nutwizard.engine.rehearsal.spawning import spawn

#: A line of an event is written in one piece: PIPE_BUF is 4096, and JSON may need six bytes for a character.
_LONGEST = 600
_SYSLOG_HEAD = 40
_ROOM = 1 << 16
#: Lines of the scripts of a machine that are told.
_MOST_SAID = 400
#: Lines of the log in one turn: more than the kernel lets wait (unix(7), max_dgram_qlen).
_AT_ONCE = 1024
#: Lines of its log, but for those of the copy's own programs.
_MOST_LOGGED = 2000


def start(
    part: Part, number: int, events: int, sockets: tuple[str, ...] | None = None
) -> tuple[int, socket.socket]:
    """Start a machine; its PID as seen from here, and the socket for its orders. Raises OSError.

    `number`: which of the stage's machines it is; `events`: the pipe that every machine writes to; `sockets`:
    of a Play.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    outer = os.fork()
    if outer == 0:
        ours.close()
        _apart(_Actor(part, number, theirs, events, sockets))
    theirs.close()
    told = ours.recv(64)
    if not told:
        raise OSError(f"the machine {part.name} could not be started")
    return int(told), ours


def _apart(machine: _Actor) -> None:
    """Never returns. The process in between waits for the machine: it is its parent, with its own PID 1."""
    try:
        kernel.die_with_parent()
        kernel.unshare(
            kernel.NEW_MOUNTS | kernel.NEW_NAME | kernel.NEW_IPC | kernel.NEW_NETWORK | kernel.NEW_PIDS
        )
        inner = os.fork()
        if inner == 0:
            kernel.die_with_parent()
            machine.live()
        machine.orders.send(str(inner).encode())
        machine.orders.close()
        os.waitpid(inner, 0)
    except BaseException as error:  # noqa: BLE001 - there is nobody above to raise it to
        machine.tell("failed", text=f"{type(error).__name__}: {error}")
    os._exit(1)


def tell(events: int, machine: str, kind: str, **more: Any) -> None:
    """Write one event, in one piece."""
    event = {"at": time.monotonic(), "machine": machine, "kind": kind, **more}
    os.write(events, json.dumps(event).encode("ascii") + b"\n")


class _Actor:
    def __init__(
        self, part: Part, number: int, orders: socket.socket, events: int, sockets: tuple[str, ...] | None
    ) -> None:
        self._part, self._number, self.orders, self._events = part, number, orders, events
        self._sockets = sockets
        #: Where there is no root: who everything is run as.
        self._user = borrowed.play_as() if sockets is not None else None
        self._selector = selectors.DefaultSelector()
        self._runs: dict[int, tuple[str, int]] = {}
        self._outputs: dict[int, int] = {}
        self._said = self._logged = 0

    def live(self) -> None:
        """Never returns."""
        try:
            if self._sockets is None:
                copy.build(self._part, self._number)
            else:
                borrowed.build(self._part, self._sockets)
            self._listen()
            self.tell("ready")
            while True:
                for key, _ in self._selector.select():
                    handle: Callable[[], None] = key.data
                    handle()
        except BaseException as error:  # noqa: BLE001 - told, since nobody sees a trace
            self.tell("failed", text=f"{type(error).__name__}: {error}")
        os._exit(1)

    def _listen(self) -> None:
        self._log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._log.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._log.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        self._selector.register(self._log, selectors.EVENT_READ, self._hear_log)
        self._selector.register(self.orders, selectors.EVENT_READ, self._obey)
        said = os.open(copy.SAID, os.O_RDWR | os.O_NONBLOCK)
        self._read_lines(said, "said", "")
        wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

        def reap() -> None:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            self._reap()

        self._selector.register(wake, selectors.EVENT_READ, reap)

    def _say_line(self, name: str, text: str) -> None:
        """What a script says, up to a limit: one that never stops must not fill the memory."""
        self._said += 1
        if self._said <= _MOST_SAID:
            self.tell("said", name=name, text=text)
        elif self._said == _MOST_SAID + 1:
            self.tell("said", name=name, text="(more was said than is told here)")

    def tell(self, kind: str, **more: Any) -> None:
        """Write one event of this machine."""
        tell(self._events, self._part.name, kind, **more)

    def _hear_log(self) -> None:
        """Take what has arrived; a flood has its turn again."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                self._hear_one()

    def _hear_one(self) -> None:
        data, ancillary, _, _ = self._log.recvmsg(_ROOM, socket.CMSG_SPACE(12), socket.MSG_DONTWAIT)
        pid, uid = 0, -1
        for _, kind, raw in ancillary:
            if kind == socket.SCM_CREDENTIALS:
                pid, uid, _ = struct.unpack("3i", raw[:12])
        text = _text(data.rstrip(b"\n\0"), _LONGEST + _SYSLOG_HEAD)
        self._logged += 1
        if self._logged <= _MOST_LOGGED or f"{TAG}: " in text:
            self.tell("log", pid=pid, uid=uid, text=text)

    def _read_lines(self, descriptor: int, kind: str, name: str) -> None:
        """Tell every line that comes from a pipe. The end of one that is never ended is told as well."""
        rest = b""

        def read() -> None:
            nonlocal rest
            try:
                data = os.read(descriptor, _ROOM)
            except BlockingIOError:
                return
            *lines, rest = (rest + data).split(b"\n")
            if not data or len(rest) > _ROOM:
                lines, rest = [*lines, rest], b""
            for line in filter(None, lines):
                if kind == "said":
                    self._say_line(name, _text(line, _LONGEST))
                else:
                    self.tell(kind, name=name, text=_text(line, _LONGEST))
            if not data:
                self._selector.unregister(descriptor)
                os.close(descriptor)

        self._selector.register(descriptor, selectors.EVENT_READ, read)

    def _obey(self) -> None:
        data = self.orders.recv(_ROOM)
        if not data:
            os._exit(0)  # the stage is gone: the kernel ends everything in here
        order = json.loads(data)
        number = order.pop("number")
        try:
            answer = getattr(self, f"_do_{order.pop('do')}")(number, **order)
        except OSError as error:
            answer = {"error": str(error)}
        if answer is not None:
            self.tell("reply", number=number, **answer)

    def _do_start(self, number: int, name: str, argv: Sequence[str]) -> dict[str, Any]:
        """Start a daemon; what it prints is told line by line."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        nothing = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        pid = spawn(argv, theirs, nothing, self._user)
        os.close(nothing)
        os.close(theirs)
        self._runs[pid] = (name, 0)
        self._read_lines(ours, "out", name)
        return {"pid": pid}

    def _do_run(self, number: int, argv: Sequence[str], text: str = "", trusted: bool = False) -> None:
        """Run a program to its end: the reply has its code and the beginning of what it printed.

        `trusted`: it keeps the rights of the stage, to set up the network.
        """
        file = os.memfd_create("out", os.MFD_CLOEXEC)
        source = os.memfd_create("in", os.MFD_CLOEXEC)
        os.write(source, text.encode())
        os.lseek(source, 0, os.SEEK_SET)
        pid = spawn(argv, file, source, self._user, trusted=trusted)
        os.close(source)
        self._runs[pid] = ("", number)
        self._outputs[pid] = file

    def _do_put(self, number: int, path: str, text: str) -> dict[str, Any]:
        """Replace the text of a file, keeping its owner and mode; whoever reads it never sees half of it."""
        found = os.stat(path)
        owner = ("root", "root") if self._user is not None else (str(found.st_uid), str(found.st_gid))
        copy.put(Placed(f"{path}.new", text.encode(), *owner, found.st_mode & 0o777))
        os.rename(f"{path}.new", path)
        return {}

    def _do_serve(self, number: int) -> dict[str, Any]:
        """Be a made-up host's upsd."""
        assert self._part.served is not None
        self._made_up = MadeUp(self._part.served)
        return {}

    def _do_say(self, number: int, values: dict[str, str]) -> dict[str, Any]:
        """What the made-up host's UPS measures from now on."""
        self._made_up.say(values)
        return {}

    def _do_there(self, number: int) -> dict[str, Any]:
        """Who is logged in to the made-up host."""
        return {"addresses": self._made_up.there()}

    def _do_look(self, number: int, path: str) -> dict[str, Any]:
        """Whether a file is there."""
        return {"there": os.path.exists(path)}

    def _do_alive(self, number: int) -> dict[str, Any]:
        """The daemons started here that run still."""
        return {"names": sorted(name for name, _ in self._runs.values() if name)}

    def _reap(self) -> None:
        self._hear_log()  # what was said before an end is told before it
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name, number = self._runs.pop(pid, ("", 0))
            code = os.waitstatus_to_exitcode(status)
            if number:
                file = self._outputs.pop(pid)
                said = os.pread(file, _LONGEST, 0)
                os.close(file)
                self.tell("reply", number=number, code=code, text=_text(said, _LONGEST))
            elif name:
                self.tell("ended", name=name, code=code)


def _text(data: bytes, limit: int) -> str:
    return data[:limit].decode("utf-8", "replace")
