"""The process that carries a rehearsal: PID 1 of a private PID namespace. All of it ends with it.

It reads one play from its standard input, which then has to stay open, and writes what happens to its
standard output, one JSON object a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from nutwizard.engine.rehearsal import actor, copy
from nutwizard.engine.rehearsal.part import Part, Play, from_line

#: The interface by which a client reaches the host, and the host's own.
CLIENT_END, BRIDGE, TAP = "eth0", "nwr-bridge", "nwr-tap"
_BOOT = 20.0
_ORDER = 10.0
Event = Mapping[str, Any]


class Stage:
    """The machines of a play, and what they tell."""

    def __init__(self, play: Play) -> None:
        """Start every machine and connect them. Raises OSError."""
        self.play = play
        self._out = sys.stdout.buffer
        self._rest = b""
        self._number = 0
        self._events, events = os.pipe2(os.O_CLOEXEC)
        self._orders: dict[str, socket.socket] = {}
        #: Called with every event, whatever is waited for.
        self.observers: list[Callable[[Event], None]] = []
        if play.sockets is None:
            copy.prepare()
        pids = {}
        for number, part in enumerate(play.parts):
            started = actor.start(part, number, events, play.sockets)
            pids[part.name], self._orders[part.name] = started
        self._await_ready(set(pids))
        self._connect(pids)

    def tell(self, what: str, **more: Any) -> None:
        """Pass on what the stage itself does."""
        self._pass_on({"at": time.monotonic(), "machine": "", "kind": "stage", "what": what, **more})

    def wait(self, seconds: float) -> None:
        """Pass events on for so long."""
        self.until(lambda event: False, seconds)

    def until(self, seen: Callable[[Event], bool], limit: float) -> bool:
        """Pass events on until one is the wanted one, or `limit` seconds have gone by (False).

        Ends the process when nobody listens any more, or when standard input has been closed.
        """
        end = time.monotonic() + limit
        while True:
            for event in self._ready_events():
                self._pass_on(event)
                if seen(event):
                    return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            readable, _, _ = select.select([self._events, 0], [], [], left)
            if 0 in readable and not os.read(0, 4096):
                os._exit(0)
            if self._events in readable:
                self._rest += os.read(self._events, 1 << 16)

    def order(self, machine: str, do: str, **what: Any) -> Event:
        """Have a machine do something, and its reply. Raises OSError when there is none, or it says so."""
        self._number += 1
        number = self._number
        self._orders[machine].send(json.dumps({"number": number, "do": do, **what}).encode())
        reply: dict[str, Any] = {}

        def answered(event: Event) -> bool:
            if event["kind"] == "reply" and event["number"] == number:
                reply.update(event)
            return bool(reply)

        if not self.until(answered, _ORDER):
            raise OSError(f"{machine} does not answer ({do})")
        if "error" in reply:
            raise OSError(f"{machine}: {reply['error']}")
        return reply

    def run(self, machine: str, *argv: str, text: str = "", trusted: bool = False) -> tuple[int, str]:
        """Run a program on a machine: exit code and what it said."""
        reply = self.order(machine, "run", argv=argv, text=text, trusted=trusted)
        return reply["code"], reply["text"]

    def _ready_events(self) -> list[Event]:
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines]

    def _pass_on(self, event: Event) -> None:
        for observer in self.observers:
            observer(event)
        if event["kind"] == "reply":
            return
        try:
            self._out.write(json.dumps(event).encode("ascii") + b"\n")
            self._out.flush()
        except OSError:
            os._exit(0)

    def _await_ready(self, names: set[str]) -> None:
        missing = set(names)
        failed: list[str] = []

        def ready(event: Event) -> bool:
            if event["kind"] == "ready":
                missing.discard(event["machine"])
            if event["kind"] == "failed":
                failed.append(f"{event['machine']}: {event['text']}")
            return not missing or bool(failed)

        if not self.until(ready, _BOOT) or failed:
            raise OSError("; ".join(failed) or f"{', '.join(sorted(missing))} did not come up")

    def _connect(self, pids: Mapping[str, int]) -> None:
        """A bridge on the host, and a wire from it to every client; each side finds the other on its wire."""
        host, *clients = self.play.parts
        wires = []
        for number, client in enumerate(clients):
            tap = f"{TAP}{number}"
            wires += [
                f"link add {tap} type veth peer name {CLIENT_END}",
                f"link set {CLIENT_END} netns {pids[client.name]}",
                f"link set {tap} netns {pids[host.name]}",
            ]
        if wires:
            _ip_here(wires)
        bridge = ["link set lo up", f"link add {BRIDGE} type bridge forward_delay 0", f"link set {BRIDGE} up"]
        taps = [f"link set {TAP}{number} master {BRIDGE} up" for number in range(len(clients))]
        self._ip(host, [*bridge, *taps, *_addressing(host, BRIDGE)])
        for client in clients:
            links = ["link set lo up", f"link set {CLIENT_END} up"]
            self._ip(client, [*links, *_addressing(client, CLIENT_END)])

    def _ip(self, part: Part, lines: list[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        code, said = self.run(part.name, _IP, "-batch", "-", text=text, trusted=True)
        if code != 0:
            raise OSError(f"the network of {part.name}: {said.strip()}")


_IP = next(
    (path for path in ("/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip") if os.path.exists(path)), "ip"
)


def _addressing(part: Part, interface: str) -> list[str]:
    """Its addresses, and everything else is reached over the wire."""
    lines = []
    for address in part.addresses:
        six = ":" in address
        lines.append(f"addr add {address} dev {interface}{' nodad' if six else ''}")
    families = {":" in address for address in part.addresses}
    return [
        *lines,
        *(f"route add {'::/0' if six else '0.0.0.0/0'} dev {interface}" for six in sorted(families)),
    ]


def _ip_here(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(
        [_IP, "-batch", "-"], input=text.encode(), capture_output=True, timeout=_ORDER, check=False
    )
    if done.returncode != 0:
        raise OSError(f"the network: {done.stderr.decode('utf-8', 'replace').strip()}")


def try_network() -> None:
    """Have a bridge and a wire for a moment. Raises OSError where the kernel refuses."""
    _ip_here([f"link add {BRIDGE} type bridge", "link add tap0 type veth peer name tap1"])


def _first_line() -> bytes:
    """Of standard input, and not one byte more: what follows is waited for with select(2)."""
    data = b""
    while not data.endswith(b"\n") and (piece := os.read(0, 1 << 16)):
        data += piece
    return data


def main() -> None:
    """Play, tell, and end."""
    from nutwizard.engine.rehearsal.conduct import conduct

    try:
        play = from_line(_first_line())
    except ValueError:
        return  # who asked has died before the play was whole
    try:
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000\n")  # before a guest of this host is ended for want of memory, this is
        stage = Stage(play)
        try:
            conduct(stage)
        except OSError as error:
            stage.tell("broke", text=str(error))
        stage.tell("end")
    except OSError as error:
        actor.tell(1, "", "stage", what="failed", text=str(error))
    os._exit(0)
