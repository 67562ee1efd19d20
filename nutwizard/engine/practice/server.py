"""A small simulated NUT server on loopback, for a practice machine without the real upsd.

Answers as upsd 2.8.0 does (RFC 9271; the order of its refusals as measured).
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nutwizard.engine.nut_protocol import split_words

if TYPE_CHECKING:
    from nutwizard.engine.practice.nut import Ups, User

_IDLE = 60.0
_LONGEST_LINE = 512
_MOST_CONNECTIONS = 64
_TEXT = "Network UPS Tools upsd 2.8.0 (simulated by the practice machine)"
_PLAIN = {"VER": _TEXT, "NETVER": "1.3", "PROTVER": "1.3", "HELP": "Commands: HELP VER GET LIST LOGIN LOGOUT"}


@dataclass(frozen=True, slots=True)
class Serving:
    """What the server knows: UPSes, the variables of those whose driver runs, and users."""

    ups: Mapping[str, Ups]
    variables: Mapping[str, Mapping[str, str]]
    users: Mapping[str, User]


@dataclass(slots=True)
class _Peer:
    """One connection."""

    sock: socket.socket
    address: str
    user: str = ""
    password: str = field(default="", repr=False)
    ups: str = ""


class SimulatedServer:
    """Listens until closed, at a free port of 127.0.0.1 by default; `serving` may be replaced at any time."""

    def __init__(self, serving: Serving, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.serving = serving
        self._peers: list[_Peer] = []
        self._lock = threading.Lock()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.create_server(address, family=family)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True, name="practice-upsd").start()

    @property
    def alive(self) -> bool:
        return self._socket.fileno() >= 0

    def logged_in(self) -> tuple[str, ...]:
        """The addresses of those who are logged in to a UPS."""
        with self._lock:
            return tuple(peer.address for peer in self._peers if peer.ups)

    def close(self) -> None:
        """Drop every connection and stop listening."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            for peer in self._peers:
                with suppress(OSError):
                    peer.sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while self.alive:
            try:
                sock, address = self._socket.accept()
            except OSError:
                return
            peer = _Peer(sock, address[0])
            with self._lock:
                full = len(self._peers) >= _MOST_CONNECTIONS or not self.alive
                if not full:
                    self._peers.append(peer)
            if full:
                sock.close()
            else:
                threading.Thread(target=self._serve, args=(peer,), daemon=True, name="practice-peer").start()

    def _serve(self, peer: _Peer) -> None:
        peer.sock.settimeout(_IDLE)
        data = b""
        try:
            while len(data) <= _LONGEST_LINE and (piece := peer.sock.recv(4096)):
                *lines, data = (data + piece).split(b"\n")
                for line in lines:
                    words = split_words(line.decode("ascii", "ignore").rstrip("\r"))
                    answer = self._answer(peer, words) if words else ["ERR UNKNOWN-COMMAND"]
                    peer.sock.sendall("".join(f"{row}\n" for row in answer).encode("ascii", "replace"))
                    if answer == ["OK Goodbye"]:
                        return
        except OSError:
            pass
        finally:
            with self._lock:
                self._peers.remove(peer)
            peer.sock.close()

    def _answer(self, peer: _Peer, words: list[str]) -> list[str]:
        command, arguments = words[0].upper(), words[1:]
        if command in _PLAIN:
            return [_PLAIN[command]]
        if command == "LOGOUT":
            return ["OK Goodbye"]
        if command == "STARTTLS":
            return ["ERR FEATURE-NOT-CONFIGURED"]
        if command in ("USERNAME", "PASSWORD"):
            return [_identify(peer, command, arguments)]
        if command in ("LOGIN", "PRIMARY", "MASTER"):
            return [self._right(peer, command, arguments)]
        if command in ("GET", "LIST"):
            return self._tell(command, arguments)
        return ["ERR UNKNOWN-COMMAND"]

    def _right(self, peer: _Peer, command: str, arguments: list[str]) -> str:
        if not peer.user or not peer.password:
            return f"ERR {'PASSWORD' if peer.user else 'USERNAME'}-REQUIRED"
        if len(arguments) != 1:
            return "ERR INVALID-ARGUMENT"
        if command == "LOGIN" and peer.ups:
            return "ERR ALREADY-LOGGED-IN"
        if arguments[0] not in self.serving.ups:
            return "ERR UNKNOWN-UPS"
        user = self.serving.users.get(peer.user)
        allowed = user is not None and (user.login if command == "LOGIN" else user.primary)
        if user is None or user.password != peer.password or not allowed:
            return "ERR ACCESS-DENIED"
        if command == "LOGIN":
            peer.ups = arguments[0]
        return "OK" if command == "LOGIN" else f"OK {command}-GRANTED"

    def _tell(self, command: str, arguments: list[str]) -> list[str]:
        kind = arguments[0].upper() if arguments else ""
        if (command, kind, len(arguments)) == ("LIST", "UPS", 1):
            rows = [f"UPS {name} {_quoted(self._about(name))}" for name in self.serving.ups]
            return ["BEGIN LIST UPS", *rows, "END LIST UPS"]
        if len(arguments) < 2:
            return ["ERR INVALID-ARGUMENT"]
        name = arguments[1]
        if name not in self.serving.ups:
            return ["ERR UNKNOWN-UPS"]
        if command == "LIST" and kind in ("VAR", "CLIENT", "RW", "CMD", "ENUM", "RANGE"):
            return self._list(kind, name)
        if command == "GET" and kind in ("UPSDESC", "NUMLOGINS"):
            count = str(len(self._clients(name)))
            return [f"{kind} {name} {count if kind == 'NUMLOGINS' else _quoted(self._about(name))}"]
        if command == "GET" and kind == "VAR" and len(arguments) == 3:
            return [self._variable(name, arguments[2])]
        return ["ERR INVALID-ARGUMENT"]

    def _list(self, kind: str, name: str) -> list[str]:
        variables = self.serving.variables.get(name)
        if kind == "CLIENT":
            rows = [f"CLIENT {name} {address}" for address in self._clients(name)]
        elif variables is None:
            return ["ERR DRIVER-NOT-CONNECTED"]
        elif kind == "VAR":
            rows = [f"VAR {name} {key} {_quoted(variables[key])}" for key in sorted(variables)]
        else:
            rows = []  # the simulated UPS has nothing to be set or commanded
        return [f"BEGIN LIST {kind} {name}", *rows, f"END LIST {kind} {name}"]

    def _variable(self, name: str, key: str) -> str:
        variables = self.serving.variables.get(name)
        if variables is None:
            return "ERR DRIVER-NOT-CONNECTED"
        value = variables.get(key)
        return "ERR VAR-NOT-SUPPORTED" if value is None else f"VAR {name} {key} {_quoted(value)}"

    def _clients(self, name: str) -> list[str]:
        with self._lock:
            return [peer.address for peer in self._peers if peer.ups == name]

    def _about(self, name: str) -> str:
        return self.serving.ups[name].values.get("desc", "Description unavailable")


class Simulation:
    """The practice machine's upsd and drivers when the real ones cannot be had."""

    alive = True

    def __init__(self) -> None:
        self._server: SimulatedServer | None = None
        self._driven: dict[str, Ups] = {}
        self._known: tuple[tuple[Ups, ...], dict[str, User]] = ((), {})

    @property
    def port(self) -> int:
        """Of 127.0.0.1; 0 when no server is up."""
        return self._server.port if self._server is not None and self._server.alive else 0

    def start(self, found: list[Ups], upsd_conf: bytes, upsd_users: bytes) -> None:
        """Have a server with these UPSes and users."""
        self.stop()
        self.reload(found, upsd_conf, upsd_users)
        self._server = SimulatedServer(self._serving())

    def reload(self, found: list[Ups], upsd_conf: bytes, upsd_users: bytes) -> None:
        """Let the server, if it is up, take new UPSes and users."""
        from nutwizard.engine.practice.nut import read_users

        self._known = (tuple(found), read_users(upsd_users))
        self._tell()

    def stop(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.close()
        self._server = None

    def drive(self, ups: Ups) -> None:
        """Start a driver."""
        self._driven[ups.name] = ups
        self._tell()

    def release(self, name: str) -> None:
        """End a driver."""
        self._driven.pop(name, None)
        self._tell()

    def pid(self, name: str) -> int:
        """Everything runs in this process."""
        return os.getpid()

    def close(self) -> None:
        """End everything."""
        self.stop()
        self._driven.clear()

    def _tell(self) -> None:
        if self._server is not None:
            self._server.serving = self._serving()

    def _serving(self) -> Serving:
        from nutwizard.engine.practice.nut import published

        found, users = self._known
        known = {ups.name: ups for ups in found if ups.usable}
        variables = {name: published(self._driven[name]) for name in known if name in self._driven}
        return Serving(known, variables, users)


def _identify(peer: _Peer, command: str, arguments: list[str]) -> str:
    if len(arguments) != 1:
        return "ERR INVALID-ARGUMENT"
    if command == "USERNAME":
        if peer.user:
            return "ERR ALREADY-SET-USERNAME"
        peer.user = arguments[0]
    else:
        if peer.password:
            return "ERR ALREADY-SET-PASSWORD"
        peer.password = arguments[0]
    return "OK"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("#", "\\#") + '"'
