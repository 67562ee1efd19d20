"""`nutwizard check` on a VM whose server lies: each ends soon, with a named error and exit code 4."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nutwizard.engine.probe import LIMITS
from tests.hostile.rig import COMMAND, Bench
from tests.hostile.tally import count

pytestmark = pytest.mark.lab

VER = b"Network UPS Tools upsd 2.8.0 - http://www.networkupstools.org/\n"
LIST = b'BEGIN LIST UPS\nUPS apc "APC"\nEND LIST UPS\n'
#: A name, since of a server on loopback less is asked.
NAME = "nut.example"
#: Seconds for Python, a mount namespace and a slow machine.
START = 3.0
#: In a mount namespace of its own: the machine's files are not touched.
INSIDE = 'mount --bind "$1" /etc/nut && mount --bind "$1/hosts" /etc/hosts && shift && exec "$@"'

Serve = Callable[[socket.socket], None]


def closes(link: socket.socket) -> None:
    link.close()


def silent(link: socket.socket) -> None:
    while link.recv(4096):
        pass


def garbage(link: socket.socket) -> None:
    link.sendall(bytes(range(256)) * 200 + b"\n")
    silent(link)


def endless_line(link: socket.socket) -> None:
    while True:
        link.sendall(b"A" * 65536)


def drips(link: socket.socket) -> None:
    while True:
        link.sendall(b"A")
        time.sleep(0.2)


def talks(answers: dict[bytes, bytes], then: Serve = silent) -> Serve:
    """Answer by the first words of a line; `then` after the first that is not known."""

    def serve(link: socket.socket) -> None:
        with link.makefile("rb") as lines:
            for line in lines:
                known = [answer for start, answer in answers.items() if line.startswith(start)]
                if not known:
                    return then(link)
                link.sendall(known[0])
        return None

    return serve


def a_million_variables(link: socket.socket) -> None:
    link.sendall(b"BEGIN LIST VAR apc\n")
    rows = b"".join(b'VAR apc some.variable.%d "x"\n' % number for number in range(2000))
    for _ in range(500):
        link.sendall(rows)


WELL = {b"VER": VER, b"LIST UPS": LIST, b"USERNAME": b"OK\n", b"PASSWORD": b"OK\n", b"LOGIN": b"OK\n"}
KNOWN = WELL | {b"LIST CLIENT": b"BEGIN LIST CLIENT apc\nEND LIST CLIENT apc\n", b"LOGOUT": b"OK Goodbye\n"}
VARS = b'BEGIN LIST VAR apc\nVAR apc ups.status "%s"\nEND LIST VAR apc\n'
HOSTILE: dict[str, tuple[Serve, str]] = {
    "closes at once": (closes, "the server hung up"),
    "silent": (silent, "the server does not answer"),
    "garbage": (garbage, "another program answers on this port"),
    "an endless line": (endless_line, "line of more than 8192 bytes"),
    "a byte now and then": (drips, "the server does not answer"),
    "a million variables": (talks(KNOWN, a_million_variables), "more than 5000 rows"),
    "the wrong order": (
        talks(KNOWN | {b"LIST VAR": b"END LIST VAR apc\nBEGIN LIST VAR apc\n"}),
        "another program answers on this port",
    ),
    "half an answer": (talks(KNOWN | {b"LIST VAR": VARS[:40]}), "the server does not answer"),
    "a newline in a value": (
        talks(KNOWN | {b"LIST VAR": VARS % b"OL\nERR x"}),
        "another program answers on this port",
    ),
}


@contextmanager
def server(serve: Serve) -> Iterator[int]:
    """A server for many connections at once; its port."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                link = listener.accept()[0]
                threading.Thread(target=handle, args=(link,), daemon=True).start()

    def handle(link: socket.socket) -> None:
        with link, suppress(OSError):
            serve(link)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, float, str]]:
    """All of them at once, most of which wait: exit code, seconds, what was said."""
    found: dict[str, tuple[int, float, str]] = {}

    def check(place: Path, name: str, serve: Serve) -> None:
        nut = place / "nut"
        nut.mkdir()
        with server(serve) as port:
            (nut / "upsmon.conf").write_text(f"MONITOR apc@{NAME}:{port} 1 user word-1 secondary\n")
            (nut / "hosts").write_text(f"127.0.0.1 {NAME}\n")
            (nut / "nut.conf").write_text("MODE=netclient\n")
            inside = ("unshare", "--mount", "sh", "-c", INSIDE, "sh", str(nut), *COMMAND)
            for word in ("check", "budget"):
                begin = time.monotonic()
                ran = Bench(place).run(word, "--role", "client", "--json", command=inside, code=None)
                found[f"{word} {name}"] = (ran.code, time.monotonic() - begin, ran.said)

    threads = [
        threading.Thread(target=check, args=(tmp_path_factory.mktemp(f"server-{number}"), name, serve))
        for number, (name, (serve, _)) in enumerate(HOSTILE.items())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_is_named_soon(checks: dict[str, tuple[int, float, str]], name: str) -> None:
    code, seconds, said = checks[f"check {name}"]
    assert code == 4, said
    broken = [link for link in json.loads(said)["links"] if link["status"] == "broken"]
    assert any(HOSTILE[name][1] in f"{link['evidence']} {link['cause']}" for link in broken), broken
    assert seconds < 5 + LIMITS.connect + START
    count("hostile servers", "named within 5 s" if seconds < 5 else "named")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_budget_waits_for_no_hostile_server(checks: dict[str, tuple[int, float, str]], name: str) -> None:
    code, seconds, said = checks[f"budget {name}"]
    found = json.loads(said)
    assert (code, found["role"]) == (0, "client"), said
    assert found["verdict"] in ("fits", "not known")
    assert seconds < 5 + START


def test_this_machines_own_files_were_not_looked_at() -> None:
    assert "word-1" not in Path("/proc/mounts").read_text()
