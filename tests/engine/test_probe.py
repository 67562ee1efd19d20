"""Each link of the chain, asked of a real upsd, and of servers that lie: state, cause, what to do next."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from nutwizard.core.facts import Door
from nutwizard.core.links import (
    DriverData,
    Examined,
    Finding,
    Link,
    LinkId,
    Listens,
    LoggedIn,
    Login,
    Reachable,
    Server,
    State,
    Target,
    Told,
)
from nutwizard.core.secret import Secret
from nutwizard.engine.causes import CAUSES
from nutwizard.engine.machine import LiveHost, OfflineHost
from nutwizard.engine.nut_client import Limits, open_client
from nutwizard.engine.probe import NO_DATA, Prover
from tests.engine.test_nut_client import VER, fake_server, says, script
from tests.support.real_nut import ON_LINE, USERS, RelocatedNut, free_port, require_nut

QUICK = Limits(connect=0.4, answer=0.4, total=2.0)
PROVEN, BROKEN, UNKNOWN, WAITING = State.PROVEN, State.BROKEN, State.UNKNOWN, State.WAITING
CHAIN = (LinkId.FIREWALL, LinkId.UPSD, LinkId.UPS, LinkId.DRIVER)
PASSWORD = "client-word_1"


class Counting(LiveHost):
    """This machine, with every connection counted."""

    def __init__(self) -> None:
        super().__init__()
        self.dialled: list[tuple[str, int]] = []

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        self.dialled.append((address, port))
        return super().connect(address, port, timeout)


@pytest.fixture(scope="module")
def nut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelocatedNut]:
    """Of three UPSes apc is well; ghost's driver is not there; frozen's is silent for too long."""
    require_nut()
    ups = {
        "apc": {**ON_LINE, "battery.charge.low": "80"},
        "ghost": ON_LINE,
        "frozen": ON_LINE,
    }
    with RelocatedNut(
        tmp_path_factory.mktemp("probe"),
        ups=ups,
        users=USERS,
        listen=("127.0.0.1", "::1"),
        max_age=2,
        descriptions={"apc": "Practice UPS"},
    ) as server:
        server.stop_driver("ghost")
        server.freeze_driver("frozen")
        yield server


def server_of(nut: RelocatedNut, address: str = "127.0.0.1") -> Server:
    return Server(address, nut.port)


def link(target: Target, id_: LinkId = LinkId.FIREWALL, step: str = "monitor") -> Link:
    return Link(id_, "the subject", target, step)


def prove(target: Target, host: OfflineHost | None = None) -> tuple[Finding, ...]:
    return Prover(host or LiveHost(), QUICK).prove([link(target)])


def one(target: Target) -> Finding:
    [found] = prove(target)
    return found


def chain(found: tuple[Finding, ...]) -> list[State]:
    """The four states of a Reachable, whose ids must come in the order of the chain."""
    assert tuple(each.link.id for each in found) == CHAIN
    return [each.state for each in found]


def login(server: Server, user: str = "upsmonclient", password: str = PASSWORD, ups: str = "apc") -> Login:
    return Login(server, ups, user, Secret(password))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_a_server_that_is_well(nut: RelocatedNut, address: str) -> None:
    found = prove(Reachable(server_of(nut, address), "apc"))
    assert chain(found) == [PROVEN] * 4
    assert found[0].evidence == "connected"
    assert found[1].evidence.startswith("Network UPS Tools upsd ")
    assert found[2].evidence == "Practice UPS"
    assert found[3].evidence == "status OL"
    shown = f"[{address}]:{nut.port}" if ":" in address else f"{address}:{nut.port}"
    assert found[0].link.subject == f"way to {shown}"
    assert list(found[3].values)[:4] == ["ups.status", "battery.charge", "battery.charge.low", "ups.model"]
    assert found[3].values["battery.charge.low"] == "80"
    assert all(each.link.step == "monitor" and not (each.cause or each.fix) for each in found)


def test_an_unknown_ups(nut: RelocatedNut) -> None:
    found = prove(Reachable(server_of(nut), "eaton"))
    assert chain(found) == [PROVEN, PROVEN, BROKEN, UNKNOWN]
    assert found[2].cause == "unknown UPS"
    assert found[2].evidence.endswith("the server has apc, ghost, frozen")
    assert found[2].fix == "Take one of the names that the server has: nutwizard step monitor"
    assert found[3].evidence == "not asked: an earlier link is broken"


@pytest.mark.parametrize(
    ("ups", "cause"), [("ghost", "the driver is not connected"), ("frozen", "the data is stale")]
)
def test_no_fresh_data(nut: RelocatedNut, ups: str, cause: str) -> None:
    found = prove(Reachable(server_of(nut), ups))
    assert chain(found) == [PROVEN, PROVEN, PROVEN, BROKEN]
    assert found[3].cause == cause
    assert "nutwizard step driver" in found[3].fix
    alone = one(DriverData(server_of(nut), ups))
    assert (alone.state, alone.cause, alone.fix) == (BROKEN, cause, found[3].fix)


def test_a_driver_that_ended_at_a_line_of_its_section(nut: RelocatedNut) -> None:
    ended = "usbhid-ups has no chargedelay and ends at it"
    found = one(DriverData(server_of(nut), "ghost", ended=ended))
    assert (found.state, found.cause, found.fix) == (BROKEN, ended, "nutwizard step driver")
    assert one(DriverData(server_of(nut), "frozen", ended=ended)).cause == "the data is stale"


def test_refused() -> None:
    """The machine answers; its NUT server does not."""
    found = prove(Reachable(Server("127.0.0.1", free_port()), "apc"))
    assert chain(found) == [PROVEN, BROKEN, UNKNOWN, UNKNOWN]
    assert found[0].evidence == "the machine answers"
    assert found[1].cause == "refused: upsd is down, or listens on loopback only"
    assert found[1].fix == "Run on the host: nutwizard check"


def test_a_dropped_port() -> None:
    class Dropping(LiveHost):
        def connect(self, address: str, port: int, timeout: float) -> socket.socket:
            assert timeout == QUICK.connect
            raise TimeoutError

    found = prove(Reachable(Server("192.0.2.1", 3493), "apc"), Dropping())
    assert chain(found) == [BROKEN, UNKNOWN, UNKNOWN, UNKNOWN]
    assert found[0].cause == "timed out: a firewall drops the packets, or the machine is off"
    assert "nut_port_accept_in" in found[0].fix
    assert "192.0.2.1 port 3493" in found[0].evidence


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = prove(Reachable(Server("nas.invalid", 3493), "apc"))
    assert chain(found) == [BROKEN, UNKNOWN, UNKNOWN, UNKNOWN]
    assert found[0].cause == "the name does not resolve"
    assert "/etc/hosts" in found[0].fix


def test_no_way_to_the_server() -> None:
    class Off(LiveHost):
        def connect(self, address: str, port: int, timeout: float) -> socket.socket:
            raise OSError(101, "Network is unreachable")

    found = prove(Reachable(Server("192.0.2.1", 3493), "apc"), Off())
    assert chain(found) == [BROKEN, UNKNOWN, UNKNOWN, UNKNOWN]
    assert found[0].cause == "there is no way to the server"


HOSTILE: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "a mail server": (says(b"220 mail ESMTP\r\n500 what?\r\n"), "another program answers on this port"),
    "hangs up": (socket.socket.close, "the server hung up"),
    "silent": (says(b""), "the server does not answer"),
    "a line without end": (says(b"A" * 20000), "too-much"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_another_server(name: str) -> None:
    serve, cause = HOSTILE[name]
    with fake_server(serve) as port:
        found = prove(Reachable(Server("127.0.0.1", port), "apc"))
    assert chain(found) == [PROVEN, BROKEN, UNKNOWN, UNKNOWN]
    assert found[1].cause == cause
    assert found[1].fix


@pytest.mark.parametrize("name", HOSTILE)
def test_another_server_at_a_login(name: str) -> None:
    serve, cause = HOSTILE[name]
    with fake_server(serve) as port:
        found = one(login(Server("127.0.0.1", port)))
    assert (found.state, found.cause) == (BROKEN, cause)
    assert PASSWORD not in repr(found)


WAIT: dict[str, bytes | None] = {
    "VER": VER,
    "LIST UPS": b'BEGIN LIST UPS\nUPS apc "x"\nEND LIST UPS\n',
    "LIST VAR": b'BEGIN LIST VAR apc\nVAR apc ups.status "WAIT"\nEND LIST VAR apc\n',
    "GET VAR": b'VAR apc ups.status "WAIT"\n',
}


def test_a_server_that_waits_for_its_driver() -> None:
    with fake_server(script(WAIT, [])) as port:
        found = prove(Reachable(Server("127.0.0.1", port), "apc"))
    assert chain(found) == [PROVEN, PROVEN, PROVEN, WAITING]
    assert found[3].evidence == NO_DATA
    with fake_server(script(WAIT, [])) as port:
        alone = one(DriverData(Server("127.0.0.1", port), "apc", {"offdelay": "60"}))
    assert (alone.state, alone.evidence) == (WAITING, NO_DATA)


@pytest.mark.parametrize("wanted", ["1", "1.0"])
def test_a_driver_with_its_options(nut: RelocatedNut, wanted: str) -> None:
    parameters = {"pollinterval": wanted, "port": "apc.dev", "ondelay": "70"}
    found = one(DriverData(server_of(nut), "apc", parameters))
    assert found.state is PROVEN
    assert found.evidence == f"fresh data, status OL, pollinterval {wanted}, port apc.dev"


def test_a_driver_on_older_options(nut: RelocatedNut) -> None:
    found = one(DriverData(server_of(nut), "apc", {"pollinterval": "2", "port": "auto"}))
    assert found.state is BROKEN
    assert found.evidence == (
        "pollinterval is 1 in the running driver, 2 in ups.conf;"
        " port is apc.dev in the running driver, auto in ups.conf"
    )
    assert found.cause == "the driver runs on older options"
    assert found.fix == "Restart the driver: nutwizard step driver"


def test_a_driver_that_shows_what_ups_conf_wants_of_it(nut: RelocatedNut) -> None:
    variables = {"driver.flag.ignorelb": "", "battery.charge.low": "80.0"}
    compared = ("battery.charge", "battery.runtime")
    found = one(DriverData(server_of(nut), "apc", variables=variables, compared=compared))
    assert (found.state, found.evidence) == (PROVEN, "fresh data, status OL, battery.charge.low 80.0")


def test_a_driver_that_shows_another_limit_and_no_flag(nut: RelocatedNut) -> None:
    variables = {"driver.flag.ignorelb": "enabled", "battery.charge.low": "", "battery.runtime.low": ""}
    found = one(DriverData(server_of(nut), "apc", variables=variables))
    assert (found.state, found.cause) == (BROKEN, "the driver runs on older options")
    assert found.evidence == (
        "driver.flag.ignorelb is absent in the running driver, enabled by ups.conf;"
        " battery.charge.low is 80 in the running driver, absent by ups.conf"
    )


def test_a_limit_for_what_the_ups_does_not_report(nut: RelocatedNut) -> None:
    found = one(DriverData(server_of(nut), "apc", compared=("battery.runtime",)))
    assert (found.state, found.evidence) == (BROKEN, "the UPS reports no battery.runtime")
    assert found.cause.startswith("low battery (LB) never comes")
    assert found.fix == "nutwizard step driver"


def test_listening(nut: RelocatedNut) -> None:
    found = one(Listens(server_of(nut, "::1")))
    assert found.state is PROVEN
    assert found.evidence.startswith("answers: Network UPS Tools upsd ")
    found = one(Listens(Server("127.0.0.1", free_port())))
    assert (found.state, found.cause) == (BROKEN, "refused: upsd does not run, or not on this address")


CAUSES_BY_NAME: Mapping[str, str] = {kind.__name__: cause for kind, (cause, _) in CAUSES.items()}


def test_a_login(nut: RelocatedNut) -> None:
    found = one(login(server_of(nut)))
    assert (found.state, found.evidence) == (PROVEN, "logged in as upsmonclient, and out again")
    with open_client(LiveHost().connect, "127.0.0.1", nut.port, QUICK) as client:
        assert client.clients("apc") == []


@pytest.mark.parametrize(
    ("user", "password"),
    [("upsmonclient", "wrong-word"), ("Upsmonclient", PASSWORD), ("onlooker", "onlooker-word_3")],
    ids=["wrong password", "unknown user", "no right"],
)
def test_a_login_that_is_denied(nut: RelocatedNut, user: str, password: str) -> None:
    """The server does not say which; where upsd.users tells, the link does."""
    found = one(login(server_of(nut), user, password))
    assert (found.state, found.cause) == (BROKEN, "denied: user, password or role")
    assert found.fix.startswith("Run nutwizard check on the host: it says which.")
    assert password not in repr(found)
    told = dataclasses.replace(login(server_of(nut), user, password), denied="the password differs")
    found = one(told)
    assert (found.state, found.cause, found.fix) == (
        BROKEN,
        "the password differs",
        "nutwizard step monitor",
    )


def test_a_reason_is_not_told_of_a_login_that_works(nut: RelocatedNut) -> None:
    assert one(dataclasses.replace(login(server_of(nut)), denied="old news")).state is PROVEN


def test_primary_rights(nut: RelocatedNut) -> None:
    wanted = Login(server_of(nut), "apc", "upsmonhost", Secret("host-word_2"), primary=True)
    found = one(wanted)
    assert (found.state, found.evidence) == (
        PROVEN,
        "logged in as upsmonhost, with primary rights, and out again",
    )
    lacking = dataclasses.replace(wanted, user="upsmonclient", password=Secret(PASSWORD))
    found = one(lacking)
    assert found.state is BROKEN
    assert found.evidence == "logged in as upsmonclient, and denied primary rights"
    assert found.cause == "upsmonclient has no primary rights in the running upsd"
    assert found.fix == "nutwizard step monitor"
    assert one(dataclasses.replace(lacking, denied="it is slave")).cause == "it is slave"


def test_a_login_for_an_unknown_ups(nut: RelocatedNut) -> None:
    found = one(login(server_of(nut), ups="eaton"))
    assert (found.state, found.cause) == (BROKEN, "unknown UPS")


def test_a_password_that_cannot_travel(nut: RelocatedNut) -> None:
    found = one(login(server_of(nut), password="two words"))
    assert (found.state, found.cause) == (BROKEN, "wire-unsafe")
    assert "two words" not in repr(found)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_list_of_clients(nut: RelocatedNut, address: str) -> None:
    target = LoggedIn(server_of(nut, address), "apc")
    found = one(target)
    assert (found.state, found.evidence) == (BROKEN, f"upsd lists nobody, not {address}")
    assert found.cause == "upsmon is not running here, or its login was denied"
    assert "journalctl -u nut-monitor" in found.fix
    with open_client(LiveHost().connect, address, nut.port, QUICK) as upsmon:
        upsmon.login("apc", "upsmonclient", PASSWORD)
        found = one(target)
        assert (found.state, found.evidence) == (PROVEN, f"upsd lists {address}")


def test_others_in_the_list_of_clients(nut: RelocatedNut) -> None:
    with (
        open_client(LiveHost().connect, "::1", nut.port, QUICK) as other,
        open_client(LiveHost().connect, "::1", nut.port, QUICK) as twice,
    ):
        other.login("apc", "upsmonclient", PASSWORD)
        twice.login("apc", "upsmonclient", PASSWORD)
        found = one(LoggedIn(server_of(nut), "apc"))
        assert (found.state, found.evidence) == (BROKEN, "upsd lists ::1, not 127.0.0.1")
        with open_client(LiveHost().connect, "127.0.0.1", nut.port, QUICK) as own:
            own.login("apc", "upsmonclient", PASSWORD)
            found = one(LoggedIn(server_of(nut), "apc"))
            assert (found.state, found.evidence) == (PROVEN, "upsd lists 127.0.0.1; also logged in: ::1")


SERVER = Server("127.0.0.1", 1)
EVERY: list[Target] = [
    Reachable(SERVER, "apc"),
    Listens(SERVER),
    DriverData(SERVER, "apc"),
    login(SERVER),
    LoggedIn(SERVER, "apc"),
]


def test_an_unreachable_server_is_tried_once() -> None:
    host = Counting()
    server = Server("127.0.0.1", free_port())
    links = [
        link(dataclasses.replace(target, server=server))
        for target in EVERY
        if not isinstance(target, Told | Examined)
    ]
    found = Prover(host, QUICK).prove(links)
    assert host.dialled == [("127.0.0.1", server.port)]
    assert [each.state for each in found] == [PROVEN, BROKEN, UNKNOWN, UNKNOWN, BROKEN] + [UNKNOWN] * 3
    assert {each.evidence for each in found[5:]} == {f"not asked: 127.0.0.1:{server.port} is not reached"}
    found = Prover(host, QUICK).prove(reversed(links))  # the first that asks tells the cause
    assert [each.state for each in found] == [BROKEN, UNKNOWN, UNKNOWN, BROKEN, UNKNOWN]
    assert len(host.dialled) == 2


def test_another_server_is_still_asked(nut: RelocatedNut) -> None:
    lost = Server("127.0.0.1", free_port())
    found = Prover(LiveHost(), QUICK).prove([link(Listens(lost)), link(Listens(server_of(nut)))])
    assert [each.state for each in found] == [BROKEN, PROVEN]


def test_a_new_round_asks_again() -> None:
    host, server = Counting(), Server("127.0.0.1", free_port())
    for _ in range(2):
        Prover(host, QUICK).prove([link(Listens(server))])
    assert len(host.dialled) == 2


@pytest.mark.parametrize("target", EVERY, ids=lambda target: type(target).__name__)
def test_below_another_root_nothing_is_asked(target: Target, tmp_path: Path) -> None:
    class Closed(OfflineHost):
        def connect(self, address: str, port: int, timeout: float) -> socket.socket:
            raise AssertionError("connected")

    host = Closed(str(tmp_path))
    assert host.door is Door.OFFLINE
    [found] = prove(target, host)
    assert (found.state, found.evidence) == (UNKNOWN, "no address is connected to below another root")


def test_what_the_files_tell_is_told_at_once(tmp_path: Path) -> None:
    """Below another root, too."""
    for host in (LiveHost(), OfflineHost(str(tmp_path))):
        [good] = prove(Told(evidence="it is there"), host)
        assert (good.state, good.evidence, good.fix) == (PROVEN, "it is there", "")
        [bad] = prove(Told(State.BROKEN, "it has no password"), host)
        assert (bad.state, bad.evidence, bad.fix) == (BROKEN, "it has no password", "nutwizard step monitor")


def test_every_cause_says_what_to_do() -> None:
    assert len(CAUSES) > 10
    assert all(cause and fix for cause, fix in CAUSES.values())
    assert len({cause for cause, _ in CAUSES.values()}) == len(CAUSES)


def test_a_round_leaves_no_thread_and_no_connection(nut: RelocatedNut) -> None:
    before = threading.active_count()
    Prover(LiveHost(), QUICK).prove([link(Reachable(server_of(nut), "apc")), link(login(server_of(nut)))])
    assert threading.active_count() == before
    with open_client(LiveHost().connect, "127.0.0.1", nut.port, QUICK) as client:
        assert client.clients("apc") == []
