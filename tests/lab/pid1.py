"""The first process of a machine: boots it, then serves systemctl, /dev/log and path units."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from . import boot
from .fake_systemctl import SOCKET
from .manager import Manager

WATCH_EVERY = 0.1  # seconds between two looks at what path units watch


def main() -> None:
    """Read the machine's description from the first line of stdin, say "ready", live while stdin is open."""
    boot.build(json.loads(sys.stdin.buffer.readline()))
    manager = Manager()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(SOCKET))
    SOCKET.chmod(0o666)
    server.listen(64)
    _in_background(manager.services.journal.listen)
    _in_background(partial(_watch, manager))
    _in_background(partial(_serve, manager, server))
    _in_background(_lifeline)
    print("ready", flush=True)
    manager.services.processes.reap()


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


def _lifeline() -> None:
    # The kernel kills every process of the PID namespace once this one has ended.
    while os.read(0, 4096):
        pass
    os._exit(0)


def _watch(manager: Manager) -> None:
    while True:
        time.sleep(WATCH_EVERY)
        manager.jobs.watch()


def _serve(manager: Manager, server: socket.socket) -> None:
    while True:
        connection, _ = server.accept()
        _in_background(partial(_answer, manager, connection))


def _answer(manager: Manager, connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as stream:
        _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        try:
            reply = manager.answer(json.loads(stream.readline()), user)
        except Exception as error:  # a fault of the stand-in must reach the test
            connection.sendall(json.dumps((70, "", f"stand-in for systemctl: {error!r}\n")).encode() + b"\n")
            raise
        connection.sendall(json.dumps(reply).encode() + b"\n")
