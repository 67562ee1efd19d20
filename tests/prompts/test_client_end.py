"""What a client's last page says: nothing more when it is protected, else all that its server must have."""

from __future__ import annotations

import pytest

from nutwizard.core import paths
from nutwizard.core.answers import Origin, Proposed
from nutwizard.core.facts import Address, Door, Facts, Kind, Lazy, Role
from nutwizard.core.links import Finding, Link, LinkId, State, Told
from nutwizard.core.secret import Secret
from nutwizard.wording.client_end import addresses_towards, client_lines
from tests.prompts.fake import CANARY, PROPOSALS, FakeSession

HERE = (
    Address("lo", "127.0.0.1", 8),
    Address("eth0", "192.168.1.10", 24),
    Address("eth1", "10.0.0.2", 24),
    Address("eth0", "fd00::10", 64),
    Address("eth0", "fe80::1", 64),
)


def findings(**found: State) -> list[Finding]:
    return [Finding(Link(LinkId(link), link, Told(), "monitor"), state) for link, state in found.items()]


def said(session: FakeSession, **found: State) -> str:
    return "\n".join(line.text for line in client_lines(session, findings(**found)))


def client(**words: str) -> FakeSession:
    return FakeSession(role=Role.CLIENT, steps=("monitor",), **words)  # type: ignore[arg-type]


ALL = dict.fromkeys(("firewall", "upsd", "ups", "login", "upsmon"), State.PROVEN)


def test_a_protected_client_hears_of_the_next_one_only() -> None:
    text = said(client(), **ALL)
    assert "there must be" not in text
    assert f"For the next VM copy these files, and run there:\n  {paths.SAVED_ANSWERS}\n" in text
    assert f"  {paths.CLIENT_PASSWORD}\n  nutwizard apply {paths.SAVED_ANSWERS}" in text


@pytest.mark.parametrize("link", ["firewall", "upsd", "ups", "upsmon"])
@pytest.mark.parametrize("state", [State.BROKEN, State.WAITING, State.UNKNOWN])
def test_a_client_that_waits_is_told_what_the_server_needs(link: str, state: State) -> None:
    text = said(client(), **{**ALL, link: state})
    assert "This machine waits for its server" in text
    assert "On 192.168.1.107 there must be:\n  port      3493/tcp open for 192.168.1" in text
    assert "UPS       apc, in ups.conf" in text
    assert "user      upsmonclient, in upsd.users, with the same password and upsmon secondary" in text
    assert CANARY not in text


def test_a_client_that_is_denied_is_told_that_it_is_the_user() -> None:
    text = said(client(), **{**ALL, "login": State.BROKEN})
    assert "The server lets this machine in, but not this user." in text
    assert "waits for its server" not in text


def test_where_nothing_was_looked_at_nothing_is_said_of_the_server() -> None:
    assert "there must be" not in said(client())


@pytest.mark.parametrize(
    ("password", "listed"),
    [
        (Secret("x", "/root/vm/client.password"), "  /root/vm/answers.yaml\n  /root/vm/client.password\n"),
        (Secret("x", paths.CLIENT_PASSWORD), "  /root/vm/answers.yaml\n  nutwizard apply /root/vm"),
    ],
)
def test_a_named_file_is_copied_with_its_password_file(
    password: Secret, listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {**PROPOSALS["monitor"], "password": Proposed(password, Origin.NAMED)}
    monkeypatch.setitem(PROPOSALS, "monitor", given)
    text = said(client(answers_path="/root/vm/answers.yaml"), **ALL)
    assert listed in text
    assert ("--password-stdin" in text) == (password.file == paths.CLIENT_PASSWORD)


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("192.168.1.107", ["192.168.1.10"]),
        ("10.0.0.1", ["10.0.0.2"]),
        ("172.16.0.1", ["192.168.1.10", "10.0.0.2"]),
        ("fd00::1", ["fd00::10"]),
        ("pve.example", ["192.168.1.10", "10.0.0.2"]),
    ],
)
def test_addresses_towards_a_server(server: str, expected: list[str]) -> None:
    assert addresses_towards(Facts(Door.LIVE, Kind.VM, addresses=Lazy.of(HERE)), server) == expected
    assert addresses_towards(Facts(Door.OFFLINE, Kind.VM, addresses=Lazy.of(HERE)), server) == []
