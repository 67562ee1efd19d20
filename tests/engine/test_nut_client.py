"""The client against servers that lie, stall or hang up. Each must end with its own error, soon."""

from __future__ import annotations

import errno
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nutwizard.engine import nut_client
from nutwizard.engine.nut_client import Limits, NutClient, open_client
from nutwizard.engine.nut_errors import (
    AccessDenied,
    AlreadyLoggedIn,
    AnswerTimeout,
    Closed,
    ConnectRefused,
    ConnectTimeout,
    NameNotResolved,
    NotLoggedIn,
    NotNut,
    NutError,
    ServerError,
    TooMuch,
    Unreachable,
    WireUnsafe,
)
from tests.support.real_nut import free_port

QUICK = Limits(connect=1.0, answer=0.4, total=1.0, line=512, items=50)
CANARY = "C4NARY-word-0815"
VER = b"Network UPS Tools upsd 2.8.0 - http://www.networkupstools.org/\n"

Serve = Callable[[socket.socket], None]
Action = Callable[[NutClient], object]


@contextmanager
def fake_server(serve: Serve) -> Iterator[int]:
    """The port of a server that gives its first connection to `serve`, in a thread that has to end."""
    failures: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            with listener.accept()[0] as link:
                link.settimeout(5)
                serve(link)
                done.wait(5)
        except ConnectionError:
            pass  # the client may hang up on a bad server
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            failures.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            done.set()
            thread.join(6)
    assert not thread.is_alive()
    assert not failures


def dial(address: str, port: int, timeout: float) -> socket.socket:
    return socket.create_connection((address, port), timeout)


@contextmanager
def client_of(serve: Serve, limits: Limits = QUICK) -> Iterator[NutClient]:
    with fake_server(serve) as port, open_client(dial, "127.0.0.1", port, limits) as client:
        yield client


def says(data: bytes, *, then_close: bool = False) -> Serve:
    """Wait for a command, answer `data`, then keep silent or hang up."""

    def serve(link: socket.socket) -> None:
        link.recv(4096)
        link.sendall(data)
        if then_close:
            link.close()

    return serve


def script(answers: dict[str, bytes | None], heard: list[str]) -> Serve:
    """Answer each command by its first words; None: silence. Unknown ones get UNKNOWN-COMMAND."""

    def serve(link: socket.socket) -> None:
        with link.makefile("r", encoding="ascii", newline="\n") as lines:
            for line in lines:
                heard.append(line.rstrip("\n"))
                found = [answer for start, answer in answers.items() if line.startswith(start)]
                answer = found[0] if found else b"ERR UNKNOWN-COMMAND\n"
                if answer is not None:
                    link.sendall(answer)

    return serve


def echo(link: socket.socket) -> None:
    while data := link.recv(4096):
        link.sendall(data)


def reset(link: socket.socket) -> None:
    link.recv(4096)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()


def endless_line(link: socket.socket) -> None:
    for _ in range(100_000):
        link.sendall(b"A" * 4096)


def million_variables(link: socket.socket) -> None:
    link.recv(4096)
    link.sendall(b"BEGIN LIST VAR apc\n")
    for number in range(0, 1_000_000, 100):
        link.sendall(b"".join(b'VAR apc v.%d "x"\n' % (number + each) for each in range(100)))


def drip(link: socket.socket) -> None:
    link.recv(4096)
    for byte in b'VAR apc ups.status "' + b"O" * 400:
        link.sendall(bytes([byte]))
        time.sleep(0.02)


def list_vars(client: NutClient) -> object:
    return client.list_vars("apc")


def get_status(client: NutClient) -> object:
    return client.get_var("apc", "ups.status")


def log_in(client: NutClient) -> None:
    client.login("apc", "someone", CANARY)


HOSTILE: dict[str, tuple[Serve, Action, type[NutError]]] = {
    "closes at once": (socket.socket.close, NutClient.version, Closed),
    "closes at the question": (says(b"", then_close=True), NutClient.version, Closed),
    "resets": (reset, NutClient.version, Closed),
    "silent": (says(b""), NutClient.version, AnswerTimeout),
    "binary garbage": (says(bytes(range(256)) + b"\n"), NutClient.version, NotNut),
    "a mail server": (says(b"220 mail ESMTP\r\n500 what?\r\n"), NutClient.version, NotNut),
    "a web server": (says(b"HTTP/1.1 400 Bad Request\r\n\r\n", then_close=True), NutClient.version, NotNut),
    "an empty line": (says(b"\n"), get_status, NotNut),
    "echo": (echo, get_status, NotNut),
    "endless line": (endless_line, NutClient.version, TooMuch),
    "a long line, whole": (says(b"V" * 600 + b"\n"), NutClient.version, TooMuch),
    "a million variables": (million_variables, list_vars, TooMuch),
    "end before begin": (says(b"END LIST VAR apc\nBEGIN LIST VAR apc\n"), list_vars, NotNut),
    "another list": (says(b"BEGIN LIST UPS\nEND LIST UPS\n"), list_vars, NotNut),
    "rows of another ups": (says(b'BEGIN LIST VAR apc\nVAR b x "1"\nEND LIST VAR apc\n'), list_vars, NotNut),
    "a row too long": (says(b'BEGIN LIST VAR apc\nVAR apc x "1" "2"\nEND LIST VAR apc\n'), list_vars, NotNut),
    "a list without end": (says(b'BEGIN LIST VAR apc\nVAR apc x "1"\n'), list_vars, AnswerTimeout),
    "a list cut off": (says(b'BEGIN LIST VAR apc\nVAR apc x "1"\n', then_close=True), list_vars, Closed),
    "another variable": (says(b'VAR apc ups.load "OL"\n'), get_status, NotNut),
    "no value": (says(b"VAR apc ups.status\n"), get_status, NotNut),
    "half an answer": (says(b"VAR apc ups.sta"), get_status, AnswerTimeout),
    "half an answer, then closed": (says(b'VAR apc ups.status "OL"', then_close=True), get_status, Closed),
    "newline in a value": (says(b'VAR apc ups.status "OL\nOK"\n'), get_status, NotNut),
    "an error without code": (says(b"ERR\n"), get_status, NotNut),
    "drip feed": (drip, get_status, AnswerTimeout),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_ends_with_its_error(name: str) -> None:
    serve, action, expected = HOSTILE[name]
    begin = time.monotonic()
    with client_of(serve) as client:
        with pytest.raises(NutError) as caught:
            action(client)
        took = time.monotonic() - begin
        with pytest.raises(Closed):  # and the conversation is over: no late answer is taken for the next one
            client.get_var("apc", "ups.status")
    assert type(caught.value) is expected
    assert took < QUICK.total + 1


def test_a_drip_ends_at_the_total_limit_not_before() -> None:
    begin = time.monotonic()
    with client_of(drip) as client, pytest.raises(AnswerTimeout, match="longer than 1 s"):
        get_status(client)
    assert 0.9 < time.monotonic() - begin < 2


def test_an_answer_given_in_advance_is_not_taken_for_the_next_one() -> None:
    with client_of(says(b'VAR apc ups.status "OL"\nOK\nOK\nOK\n')) as client:
        assert get_status(client) == "OL"
        with pytest.raises(NotNut):
            log_in(client)


def test_no_escape_sequence_arrives() -> None:
    with client_of(says(b'VAR apc ups.status "\x1b]0;x\x07OL\xff"\n')) as client:
        assert get_status(client) == "\ufffd]0;x\ufffdOL\ufffd"


def test_case_of_names_is_ignored_as_nut_does() -> None:
    with client_of(says(b'VAR APC UPS.STATUS "OL"\n')) as client:
        assert get_status(client) == "OL"


def test_an_unfamiliar_server_counts_if_it_knows_netver() -> None:
    with client_of(script({"VER": b"my own server 1\n", "NETVER": b"1.3\n"}, [])) as client:
        assert client.version() == "my own server 1"
    with client_of(script({"VER": b"my own server 0\n"}, [])) as client:
        assert client.version() == "my own server 0"
    with client_of(script({"VER": b"HELLO\n", "NETVER": b"HELLO\n"}, [])) as client, pytest.raises(NotNut):
        client.version()


def test_nothing_unsafe_is_sent() -> None:
    heard: list[str] = []
    with client_of(script({"VER": VER}, heard)) as client:
        for ups, user, password in [
            ("apc\nLOGOUT", "u", "p"),
            ("apc", "u\nLOGOUT", "p"),
            ("apc", "u", "p\nLOGOUT"),
            ("apc", "u", "p p"),
            ("apc", "u", '"p'),
            ("apc", "ü", "p"),
            ("apc", "", "p"),
        ]:
            with pytest.raises(WireUnsafe):
                client.login(ups, user, password)
        with pytest.raises(WireUnsafe):
            client.get_var("apc", "x\0y")
        client.version()
    assert heard == ["VER"]


def test_names_are_quoted_and_passwords_are_not() -> None:
    heard: list[str] = []
    with client_of(script({"": b"OK\n"}, heard)) as client:
        client.login('a "b"', "u", 'ab"c')
    assert heard == ["USERNAME u", 'PASSWORD ab"c', r'LOGIN "a \"b\""', "LOGOUT"]


GRANTED: dict[str, bytes | None] = {
    "USERNAME": b"OK\n",
    "PASSWORD": b"OK\n",
    "LOGIN": b"OK\n",
    "LOGOUT": b"OK Goodbye\n",
}


def test_primary_falls_back_to_master() -> None:
    heard: list[str] = []
    with client_of(script({**GRANTED, "MASTER": b"OK MASTER-GRANTED\n"}, heard)) as client:
        with pytest.raises(NotLoggedIn):
            client.has_primary_rights("apc")
        log_in(client)
        assert client.has_primary_rights("apc")
    with client_of(script({**GRANTED, "MASTER": b"ERR ACCESS-DENIED\n"}, [])) as client:
        log_in(client)
        assert not client.has_primary_rights("apc")
    assert heard[3:] == ["PRIMARY apc", "MASTER apc", "LOGOUT"]


def test_a_login_is_never_left_behind() -> None:
    """Also when the answer to LOGIN never came, and when the caller fails."""
    heard: list[str] = []
    with client_of(script({**GRANTED, "LOGIN": None}, heard)) as client, pytest.raises(AnswerTimeout):
        log_in(client)
    assert heard[-1] == "LOGOUT"
    heard.clear()
    with suppress(RuntimeError), client_of(script(GRANTED, heard)) as client:
        log_in(client)
        raise RuntimeError
    assert heard[-1] == "LOGOUT"


def test_close_is_quick_and_quiet_with_a_silent_server() -> None:
    with fake_server(script({**GRANTED, "LOGOUT": None}, [])) as port:
        client = open_client(dial, "127.0.0.1", port, Limits(answer=30, total=60))
        log_in(client)
        begin = time.monotonic()
        client.close()
        client.close()
        assert time.monotonic() - begin < 2


def test_no_logout_after_a_refused_login() -> None:
    heard: list[str] = []
    refusing = script({**GRANTED, "LOGIN": b"ERR ALREADY-LOGGED-IN\n"}, heard)
    with client_of(refusing) as client, pytest.raises(AlreadyLoggedIn):
        log_in(client)
    assert heard[-1] == "LOGIN apc"


LEAKS: dict[str, Serve] = {
    "echo": echo,
    "closed": says(b"", then_close=True),
    "silent": says(b""),
    "echo after user": script({"USERNAME": b"OK\n", "PASSWORD": f"PASSWORD {CANARY}\n".encode()}, []),
    "unreadable echo": script({"USERNAME": b"OK\n", "PASSWORD": f'"{CANARY}\n'.encode()}, []),
    "echo as code": script({"USERNAME": b"OK\n", "PASSWORD": f"ERR {CANARY}\n".encode()}, []),
    "long echo": script({"USERNAME": b"OK\n", "PASSWORD": CANARY.encode() * 100}, []),
    "silent at password": script({"USERNAME": b"OK\n", "PASSWORD": None}, []),
    "denied": script({**GRANTED, "LOGIN": b"ERR ACCESS-DENIED\n"}, []),
}


def shown(error: BaseException) -> str:
    """All that a crash report with local variables could show of the client's frames, and of the error."""
    report: list[str] = []
    chain: BaseException | None = error
    while chain is not None:
        report += [str(chain), repr(chain), repr(vars(chain))]
        for frame, _ in traceback.walk_tb(chain.__traceback__):
            if "/nutwizard/" in frame.f_code.co_filename:
                report.append(repr(frame.f_locals))
        chain = chain.__cause__ or chain.__context__
    return "\n".join(report)


@pytest.mark.parametrize("name", LEAKS)
def test_no_error_shows_the_password(name: str) -> None:
    with client_of(LEAKS[name]) as client, pytest.raises(NutError) as caught:
        client.login("apc", "someone", CANARY)
    report = shown(caught.value)
    assert "someone" in report  # the frames were looked at
    assert CANARY not in report


@pytest.mark.parametrize("password", [f"{CANARY} x", f'"{CANARY}', f"{CANARY}é", f"{CANARY}\n"])
def test_a_refused_password_is_not_shown(password: str) -> None:
    with client_of(says(b"")) as client, pytest.raises(WireUnsafe) as caught:
        client.login("apc", "someone", password)
    assert CANARY not in shown(caught.value)


def test_a_denied_password_that_nut_reads_otherwise_is_explained() -> None:
    denied = {**GRANTED, "LOGIN": b"ERR ACCESS-DENIED\n"}
    with (
        client_of(script(denied, [])) as client,
        pytest.raises(AccessDenied, match="reads another word") as caught,
    ):
        client.login("apc", "someone", f"{CANARY}#x")
    assert CANARY not in shown(caught.value)


def test_an_error_answer_leaves_the_conversation_open() -> None:
    answers: dict[str, bytes | None] = {
        "GET VAR apc a": b"ERR SET-FAILED extra words\n",
        "GET": b'VAR apc b "1"\n',
    }
    with client_of(script(answers, [])) as client:
        with pytest.raises(ServerError) as caught:
            client.get_var("apc", "a")
        assert caught.value.code == "SET-FAILED"
        assert client.get_var("apc", "b") == "1"


FAILS: list[tuple[Exception, type[NutError]]] = [
    (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), NameNotResolved),
    (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), NameNotResolved),
    (TimeoutError("timed out"), ConnectTimeout),
    (OSError(errno.ETIMEDOUT, "Connection timed out"), ConnectTimeout),
    (OSError(errno.ECONNREFUSED, "Connection refused"), ConnectRefused),
    (OSError(errno.EHOSTUNREACH, "No route to host"), Unreachable),
    (OSError(errno.ENETDOWN, "no address is connected to below another root"), Unreachable),
]


@pytest.mark.parametrize(
    ("error", "expected"), FAILS, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_errors_of_connecting(error: Exception, expected: type[NutError]) -> None:
    def connect(address: str, port: int, timeout: float) -> socket.socket:
        assert (address, port, timeout) == ("nas", 3493, 1.0)
        raise error

    with pytest.raises(NutError) as caught:
        open_client(connect, "nas", 3493, QUICK)
    assert type(caught.value) is expected
    assert "nas" in caught.value.text


def test_errors_of_connecting_for_real() -> None:
    with pytest.raises(ConnectRefused, match=r"127\.0\.0\.1 port"):
        open_client(dial, "127.0.0.1", free_port(), QUICK)
    for address in ("a" * 64 + ".example", "a\0b", "a..b"):
        with pytest.raises(NameNotResolved):
            open_client(dial, address, 3493, QUICK)
    with pytest.raises(NutError) as caught:
        open_client(dial, "a\x1b[2J" + "b" * 64, 3493, QUICK)
    assert "\x1b" not in caught.value.text


def test_a_full_queue_is_a_timeout() -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        with pytest.raises(ConnectTimeout, match=r"within 0\.3 s"):
            open_client(dial, "127.0.0.1", listener.getsockname()[1], Limits(connect=0.3))


def test_the_module_is_light() -> None:
    """Neither an event loop nor a log that could repeat a line of the protocol."""
    assert nut_client.__file__
    source = Path(nut_client.__file__).read_text(encoding="utf-8")
    assert "asyncio" not in source
    assert "logging" not in source
