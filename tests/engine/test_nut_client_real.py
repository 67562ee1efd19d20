"""The client against a real upsd with dummy-ups drivers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nutwizard.engine.nut_client import Limits, NutClient, open_client
from nutwizard.engine.nut_errors import (
    AccessDenied,
    ConnectRefused,
    DataStale,
    DriverNotConnected,
    NotLoggedIn,
    ServerError,
    UnknownUps,
    VarNotSupported,
)
from nutwizard.engine.nut_protocol import raw_reading
from tests.support.real_nut import ON_LINE, USERS, RelocatedNut, require_nut

RAW: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "cases" / "protocol" / "raw.json").read_text()
)
HARD_WORDS = 'a "q" #1 \\ = x'
CLIENT = ("upsmonclient", "client-word_1")
PRIMARY = ("upsmonhost", "host-word_2")


def quoted(word: str) -> str:
    return '"' + "".join("\\" + c if c in '\\"#' else c for c in word) + '"'


def accounts() -> str:
    """One user for each password whose reading is known; upsd.users holds what upsd will read on the wire."""
    sections = [
        f"[raw{number}]\npassword = {quoted(case['reading'])}\nupsmon slave\n"
        for number, case in enumerate(RAW)
        if case["reading"] is not None
    ]
    return USERS + "".join(sections)


@pytest.fixture(scope="module")
def nut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelocatedNut]:
    require_nut()
    with RelocatedNut(
        tmp_path_factory.mktemp("real"),
        ups={"apc": ON_LINE, "second": {"ups.status": "OB LB"}},
        users=accounts(),
        listen=("::1", "127.0.0.1"),
        max_age=2,
        descriptions={"second": HARD_WORDS},
    ) as server:
        yield server


def dial(address: str, port: int, timeout: float) -> socket.socket:
    return socket.create_connection((address, port), timeout)


def call(nut: RelocatedNut, address: str = "127.0.0.1") -> NutClient:
    return open_client(dial, address, nut.port, Limits())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_version(nut: RelocatedNut, address: str) -> None:
    with call(nut, address) as client:
        assert client.version().startswith("Network UPS Tools upsd ")


def test_names_and_variables(nut: RelocatedNut) -> None:
    with call(nut) as client:
        names = client.ups_names()
        assert list(names) == ["apc", "second"]
        assert names["second"] == HARD_WORDS
        assert client.get_var("apc", "ups.status") == "OL"
        variables = client.list_vars("apc")
        assert variables.items() >= ON_LINE.items()
        assert variables["driver.name"] == "dummy-ups"
        assert client.list_vars("second")["ups.status"] == "OB LB"
        with pytest.raises(VarNotSupported):
            client.get_var("apc", "no.such")
        for ups in ("nix", HARD_WORDS):
            with pytest.raises(UnknownUps):
                client.list_vars(ups)
            with pytest.raises(UnknownUps):
                client.clients(ups)


def test_a_login_is_seen_until_logout(nut: RelocatedNut) -> None:
    with call(nut) as watcher:
        with call(nut) as client:
            with pytest.raises(NotLoggedIn):
                client.has_primary_rights("apc")
            client.login("apc", *CLIENT)
            assert watcher.clients("apc") == ["127.0.0.1"] == [client.own_address]
            assert watcher.clients("second") == []
            with call(nut, "::1") as other, call(nut) as twin:
                other.login("apc", *PRIMARY)
                twin.login("apc", *CLIENT)
                assert sorted(watcher.clients("apc")) == ["127.0.0.1", "127.0.0.1", "::1"]
                other.logout()
                assert watcher.clients("apc") == ["127.0.0.1", "127.0.0.1"]
            assert watcher.clients("apc") == ["127.0.0.1"]  # the twin said goodbye by closing
        assert watcher.clients("apc") == []


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("upsmonclient", "wrong"),
        ("nobody", "client-word_1"),
        ("onlooker", "onlooker-word_3"),
        ("UPSMONCLIENT", "client-word_1"),
    ],
    ids=["wrong password", "unknown user", "no right", "case of the user"],
)
def test_a_denied_login(nut: RelocatedNut, user: str, password: str) -> None:
    with call(nut) as client:
        with pytest.raises(AccessDenied) as caught:
            client.login("apc", user, password)
        assert caught.value.cause == "access-denied"
        assert client.clients("apc") == []
        with pytest.raises(NotLoggedIn):
            client.has_primary_rights("apc")
        with pytest.raises(ServerError, match="ALREADY-SET-USERNAME"):
            client.login("apc", *CLIENT)


def test_a_login_to_an_unknown_ups_and_a_second_login(nut: RelocatedNut) -> None:
    with call(nut) as client, pytest.raises(UnknownUps):
        client.login("nix", *CLIENT)
    with call(nut) as client:
        client.login("apc", *CLIENT)
        with pytest.raises(ServerError, match="ALREADY-SET-USERNAME"):
            client.login("apc", *CLIENT)


def test_primary_rights(nut: RelocatedNut) -> None:
    for account, expected in ((PRIMARY, True), (CLIENT, False)):
        with call(nut) as client:
            client.login("apc", *account)
            assert client.has_primary_rights("apc") is expected
            with pytest.raises(UnknownUps):
                client.has_primary_rights("nix")


@pytest.mark.parametrize("number", range(len(RAW)), ids=[case["value"] for case in RAW])
def test_a_raw_password_is_read_as_predicted(nut: RelocatedNut, number: int) -> None:
    """Real upsd is the judge of raw_reading: what it predicts logs in, what it refuses upsd does not take."""
    value, reading = RAW[number]["value"], RAW[number]["reading"]
    assert raw_reading(value) == reading
    if reading is not None:
        with call(nut) as client:
            client.login("apc", f"raw{number}", value)
        return
    with dial("127.0.0.1", nut.port, 2) as link:
        link.settimeout(0.5)
        link.sendall(f"USERNAME someone\nPASSWORD {value}\n".encode("ascii"))
        heard = b""
        try:
            while heard.count(b"\n") < 2:
                heard += link.recv(100)
        except TimeoutError:
            heard += b"(silence)"
    assert heard in (b"OK\n(silence)", b"OK\nERR INVALID-ARGUMENT\n")


def test_a_driver_that_is_gone_and_one_that_is_stuck(nut: RelocatedNut) -> None:
    nut.stop_driver("second")
    with call(nut) as client:
        with pytest.raises(DriverNotConnected):
            client.list_vars("second")
        client.login("second", *CLIENT)
        assert client.clients("second") == ["127.0.0.1"]
    nut.start_driver("second")
    nut.freeze_driver("second")
    with call(nut) as client, pytest.raises(DataStale):
        client.get_var("second", "ups.status")
    nut.thaw_driver("second")
    nut.set_status("OL", "second")
    with call(nut) as client:
        assert client.get_var("second", "ups.status") == "OL"


def test_a_server_that_is_down(nut: RelocatedNut) -> None:
    with call(nut) as client:
        client.login("apc", *CLIENT)
        nut.stop_upsd()
        with pytest.raises(ConnectRefused):
            call(nut)
    nut.start_upsd()
    assert nut.tool("upsc", f"apc@127.0.0.1:{nut.port}", "ups.status").stdout == "OL\n"
    assert "client-word" not in nut.log()
