"""Clients of a host: who they are, what they are given, whether they came, and how they are set up."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard import watching
from nutwizard.core import paths
from nutwizard.core.clients import (
    GENERAL,
    answers_text,
    is_ours,
    list_text,
    read_list,
    same_address,
    server_for,
    server_in,
)
from nutwizard.core.errors import Exit, Failed
from nutwizard.core.facts import Address, Door, Facts, FileFact, Kind, Lazy, Owner, Role
from nutwizard.core.guests import Guest
from nutwizard.core.links import Expected, Finding, Link, LinkId, Server, State, Told
from nutwizard.core.site import Client, Site
from nutwizard.core.step import View
from nutwizard.engine import guests, handover, preflight
from nutwizard.engine.answers_file import read_answers
from nutwizard.engine.guests import read_guests
from nutwizard.engine.health import proven, states
from nutwizard.engine.machine import LiveHost, OfflineHost
from nutwizard.engine.nut_client import Limits
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.probe import Prover
from nutwizard.engine.registry import steps_of
from nutwizard.engine.wire import outcome_value, read_outcome
from nutwizard.wording.host_end import host_lines
from nutwizard.wording.layout import Line, Tone, fitted
from tests.engine.test_nut_client import fake_server, script
from tests.prompts.fake import FakeSession
from tests.support.trees import change, make_tree, plan_of

CASES = Path(__file__).parent / "cases" / "guests.yaml"
WEB, DB = Client("web", ("192.168.1.10",)), Client("db", ("192.168.1.11", "fd00::11"))
QUICK = Limits(connect=0.4, answer=0.4, total=2.0)
PRIVATE = Owner("root", "root", 0o600)


@pytest.mark.parametrize("case", yaml.safe_load(CASES.read_text()), ids=lambda case: case["why"])
def test_guests_of_a_host(case: dict[str, Any], tmp_path: Path) -> None:
    for name, text in case["files"].items():
        path = tmp_path / "etc/pve" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = read_guests(OfflineHost(str(tmp_path)))
    assert [[g.id, g.kind.value, g.name, g.bridge, list(g.addresses)] for g in found] == case["guests"]
    assert {g.id: g.mac for g in found if g.mac} == case.get("macs", {})
    assert {g.known_from for g in found} <= {"", "its configuration"}


def test_guests_are_bounded(tmp_path: Path) -> None:
    assert read_guests(OfflineHost(str(tmp_path))) == ()
    folder = tmp_path / "etc/pve/lxc"
    folder.mkdir(parents=True)
    for number in range(100, 150 + guests.MOST):
        (folder / f"{number}.conf").write_text(f"hostname: g{number}\n")
    (folder / "100.conf").write_bytes(b"hostname: large\n" * 10000)
    (folder / "101.conf").unlink()
    (folder / "101.conf").mkdir()
    assert len(read_guests(OfflineHost(str(tmp_path)))) == guests.MOST - 2


def test_the_list_is_read_as_it_is_written() -> None:
    clients = (WEB, DB, Client("later", ()))
    assert read_list(list_text(clients).encode()) == clients
    odd = b"\xff\n\nweb 192.168.1.10 # mine\nweb 1.2.3.4\n-x 1.2.3.4\nok nonsense 0.0.0.0 ff02::1 fd00::1\n"
    assert read_list(odd) == (WEB, Client("ok", ("fd00::1",)))


@pytest.mark.parametrize("server", ["192.168.1.107", "fd00::1", "pve.lan"])
def test_what_a_client_is_given_is_an_answers_file(server: str, tmp_path: Path) -> None:
    site = Site(Role.HOST, ups="1.5-kVA_x", port=4000, client_user="odd,user:{x}")
    text = answers_text(WEB, site, server)
    assert is_ours(text.encode())
    assert server_in(text.encode()) == server
    assert not is_ours(text.encode() + b"actions: {events: [ONBATT]}\n")
    for name, data in (("answers.yaml", text), ("client.password", "s3cret-word\n")):
        (tmp_path / name).write_text(data)
        (tmp_path / name).chmod(0o600)
    found = read_answers(str(tmp_path / "answers.yaml"), {role: steps_of(role) for role in Role})
    given = {name: each.value for name, each in found.sections["monitor"].items()}
    assert found.role is Role.CLIENT
    assert given.pop("password").reveal() == "s3cret-word"
    assert given == {"ups": site.ups, "server": server, "port": 4000, "user": site.client_user}


@pytest.mark.parametrize(
    ("listen", "client", "server"),
    [
        (("0.0.0.0",), WEB, "192.168.1.107"),
        (("0.0.0.0",), Client("x", ("10.9.9.9",)), "10.9.0.1"),
        (("0.0.0.0", "::"), Client("x", ("fd00::11",)), "fd00::1"),
        (("0.0.0.0",), Client("x", ("172.16.0.1",)), "192.168.1.107"),
        (("0.0.0.0",), Client("Routed", ("172.16.0.9",)), "10.0.0.1"),  # the bridge of its guest
        (("0.0.0.0",), Client("by-address", ("172.16.0.8",)), "10.0.0.1"),
        (("0.0.0.0",), GENERAL, "192.168.1.107"),
        (("192.168.1.107", "10.9.0.1", "127.0.0.1"), Client("x", ("10.9.9.9",)), "10.9.0.1"),
        (("192.168.1.107", "127.0.0.1"), Client("x", ("10.9.9.9",)), "192.168.1.107"),
        (("127.0.0.1", "::1"), WEB, ""),
    ],
)
def test_the_address_that_a_client_is_given(listen: tuple[str, ...], client: Client, server: str) -> None:
    own = (
        Address("lo", "127.0.0.1", 8),
        Address("eno1", "10.9.0.1", 16),
        Address("vmbr0", "192.168.1.107", 24, True),
        Address("vmbr1", "10.0.0.1", 24, True),
        Address("vmbr0", "fe80::1", 64, True),
        Address("vmbr0", "fd00::1", 64, True),
    )
    here = (
        Guest(100, Kind.VM, "routed", "vmbr1"),
        Guest(101, Kind.CONTAINER, "another", "vmbr1", ("172.16.0.8",)),
    )
    facts = Facts(Door.LIVE, Kind.PVE, addresses=Lazy.of(own), guests=Lazy.of(here))
    assert server_for(facts, listen, client) == server


def test_an_address_is_offered_with_where_it_is_known_from() -> None:
    here = (
        Guest(100, Kind.VM, "web", "vmbr0", ("192.168.1.10",), known_from="the neighbour table"),
        Guest(101, Kind.VM, "plain", "vmbr0", ("192.168.1.11",)),
    )
    facts = Facts(
        Door.LIVE, Kind.PVE, files={paths.UPSD_CONF: FileFact(paths.UPSD_CONF)}, guests=Lazy.of(here)
    )
    step = next(step for step in steps_of(Role.HOST) if step.name == "clients")
    offered = step.choices(View(facts, Site(Role.HOST)), {})["clients.addresses"]
    assert [(choice.value, choice.note) for choice in offered] == [
        ("192.168.1.10", "the guest web, from the neighbour table"),
        ("192.168.1.11", "the guest plain"),
    ]


def test_addresses_are_compared_as_addresses() -> None:
    assert same_address("fd00:0::0011", "fd00::11")
    assert same_address("::ffff:192.168.1.10", "192.168.1.10")
    assert same_address("fe80::1%eth0", "fe80::1")
    assert not same_address("192.168.1.1", "192.168.1.10")


def link(client: Client, server: Server) -> Link:
    target = Expected(server, "apc", client.name, client.addresses)
    return Link(LinkId.LOGIN, f"client {client}", target, "clients", awaited=True)


def asked(server: Server, *clients: Client) -> tuple[Finding, ...]:
    return Prover(LiveHost(), QUICK).prove([link(client, server) for client in clients])


def test_a_client_that_is_there_one_that_never_came_and_one_without_an_address() -> None:
    rows = ["127.0.0.1", "::ffff:192.168.1.10", "127.0.0.1"]
    lines = ["BEGIN LIST CLIENT apc", *(f"CLIENT apc {row}" for row in rows), "END LIST CLIENT apc"]
    heard: list[str] = []
    answer = "".join(f"{line}\n" for line in lines).encode()
    with fake_server(script({"LIST CLIENT apc": answer}, heard)) as port:
        found = asked(Server("127.0.0.1", port), WEB, DB, Client("later", ()))
    assert heard.count("LIST CLIENT apc") == 1, "one question for all of them"
    assert not [line for line in heard if line.startswith(("USERNAME", "LOGIN"))]
    assert [each.state for each in found] == [State.PROVEN, State.WAITING, State.WAITING]
    assert found[0].evidence == "upsd lists ::ffff:192.168.1.10"
    assert found[1].evidence == "it is not logged in; upsd lists 127.0.0.1, ::ffff:192.168.1.10"
    assert "its address is not known" in found[2].evidence
    assert found[1].fix == "Set it up there with /etc/nutwizard/clients/db, or look at its log"


@pytest.mark.parametrize("answer", ["ERR UNKNOWN-UPS", "ERR DRIVER-NOT-CONNECTED", "nonsense"])
def test_where_upsd_does_not_tell_nothing_is_known(answer: str) -> None:
    with fake_server(script({"LIST CLIENT apc": f"{answer}\n".encode()}, [])) as port:
        found = asked(Server("127.0.0.1", port), WEB, DB)
    assert {each.state for each in found} == {State.UNKNOWN}


def test_where_upsd_is_down_nothing_is_known() -> None:
    assert {each.state for each in asked(Server("127.0.0.1", 1), WEB, DB)} == {State.UNKNOWN}


def test_no_verdict_rests_on_a_client() -> None:
    server = Server("127.0.0.1", 1)
    own = Finding(Link(LinkId.LOGIN, "the user", Told(), "client_user"), State.PROVEN)
    for state in State:
        found = [own, Finding(link(WEB, server), state)]
        assert states(found) == {LinkId.LOGIN: State.PROVEN}
        assert proven(found) == {LinkId.LOGIN}
    assert states([Finding(link(WEB, server), State.PROVEN)]) == {}
    outcome = Outcome(Exit.DONE, "", (own, Finding(link(WEB, server), State.WAITING)))
    assert [each.link.awaited for each in read_outcome(outcome_value(outcome)).findings] == [False, True]


@pytest.mark.parametrize(
    ("folder", "owner", "refused"),
    [
        (paths.OWN, Owner("root", "root", 0o755), False),
        (paths.OWN, Owner("nut", "root", 0o700), True),
        (paths.CLIENTS, Owner("root", "nut", 0o770), True),
        (f"{paths.CLIENTS}/web", Owner("root", "root", 0o777), True),
        (f"{paths.CLIENTS}/db", Owner("nut", "root", 0o777), False),
    ],
)
def test_a_folder_that_others_can_write_is_refused(
    folder: str, owner: Owner, refused: bool, tmp_path: Path
) -> None:
    host = OfflineHost(make_tree(tmp_path / "machine"))
    host.make_folder(folder, Owner("root", "root", 0o700))
    path = Path(host.on_disk(folder))
    path.chmod(owner.mode)

    os.chown(path, 4711 if owner.user == "nut" else 0, 0)
    plan = plan_of(change(f"{paths.CLIENTS}/web/client.password", None, (b"x\n", PRIVATE)))
    if not refused:
        preflight.check(host, plan)
        return
    with pytest.raises(Failed, match=r"is not root's alone"):
        preflight.check(host, plan)


@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_what_stands_in_the_place_of_our_folder_is_refused(kind: str, tmp_path: Path) -> None:
    host = OfflineHost(make_tree(tmp_path / "machine"))
    host.make_folder(paths.OWN, Owner("root", "root", 0o700))
    place = Path(host.on_disk(paths.CLIENTS))
    place.symlink_to("/srv") if kind == "symlink" else place.touch()
    plan = plan_of(change(f"{paths.CLIENTS}/web/client.password", None, (b"x\n", PRIVATE)))
    with pytest.raises(Failed, match=rf"{paths.CLIENTS} is a {kind}, not a folder"):
        preflight.check(host, plan)


def test_a_folder_elsewhere_has_to_be_there(tmp_path: Path) -> None:
    host = OfflineHost(make_tree(tmp_path / "machine"))
    for path in (f"{paths.CLIENTS}/a/b/c", f"{paths.OWN}/other/x", "/etc/else/x"):
        with pytest.raises(Failed, match="is missing"):
            preflight.check(host, plan_of(change(path, None, (b"x\n", PRIVATE))))


class Disk:
    """A host on which every file is there."""

    def on_disk(self, path: str) -> str:
        return f"/srv/pve{path}"


def last_page(*clients: Client, door: Door = Door.LIVE) -> list[Line]:
    return host_lines(FakeSession(named_clients=clients, door=door, host=Disk()), "Next")


def test_the_last_page_has_commands_that_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nutwizard.wording.host_end.checkout", lambda: "/root/nut wizard")
    lines = last_page(DB)
    commands = [line.text for line in lines if line.tone is Tone.COPY]
    assert commands == [
        "tar -C '/root/nut wizard' --exclude=./.venv --exclude=./.git -cz . | ssh root@192.168.1.11"
        " 'mkdir -p nutwizard && tar -C nutwizard --no-same-owner -xz'",
        "tar -C /etc/nutwizard/clients/db -c . | ssh root@192.168.1.11"
        " 'mkdir -pm 700 nutwizard-answers && tar -C nutwizard-answers -x'",
        "ssh -t root@192.168.1.11 nutwizard/run apply nutwizard-answers/answers.yaml",
    ]
    assert all(fitted(line, 40) == [line] for line in lines if line.tone is Tone.COPY)
    assert all("ADDRESS" not in line.text for line in lines)


def test_without_a_checkout_only_the_answers_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nutwizard.wording.host_end.checkout", lambda: "")
    lines = last_page(GENERAL)
    commands = [line.text for line in lines if line.tone is Tone.COPY]
    assert commands[-1] == "ssh -t root@ADDRESS nutwizard apply nutwizard-answers/answers.yaml"
    assert len(commands) == 2
    text = "\n".join(line.text for line in lines)
    assert "Any client\n" in text
    assert "ADDRESS stands for the client's address." in text
    assert "nutwizard itself, installed there as it was here" in text


def test_many_clients_are_named() -> None:
    lines = last_page(*(Client(f"vm{n}", (f"192.168.1.{n}",)) for n in range(1, 6)))
    assert sum(line.tone is Tone.COPY for line in lines) == 9
    assert "In the same way: vm4 (192.168.1.4) from /etc/nutwizard/clients/vm4, vm5" in "\n".join(
        line.text for line in lines
    )


def test_where_nothing_runs_no_command_is_given() -> None:
    for door in (Door.OFFLINE, Door.PRACTICE):
        assert [line.text for line in last_page(WEB, door=door)] == [
            "",
            "The answers for the clients: /srv/pve/etc/nutwizard/clients/web",
        ]
    assert last_page() == []
    many = last_page(*(Client(f"vm{n}", ()) for n in range(200)), door=Door.OFFLINE)[-1].text
    assert many.endswith(
        "/vm0, /srv/pve/etc/nutwizard/clients/vm1, /srv/pve/etc/nutwizard/clients/vm2 and 197 more"
    )


def test_this_checkout_is_one() -> None:
    assert handover.checkout() == str(Path(__file__).parents[1])


class Looked:
    """A session whose looks are given; the last one interrupts when the list ends."""

    role = Role.HOST
    practice = False

    def __init__(self, looks: Sequence[Sequence[Finding]]) -> None:
        self.host = self
        self.looks = list(looks)
        self.quick: list[bool] = []
        self.clock = 0.0

    def prove(self, *, quick: bool = False) -> tuple[Finding, ...]:
        self.quick.append(quick)
        if not self.looks:
            raise KeyboardInterrupt
        return tuple(self.looks.pop(0))

    def ticks(self) -> float:
        return self.clock

    def now(self) -> float:
        return 1700000000.0 + self.clock

    def sleep(self, seconds: float) -> None:
        self.clock += seconds


def watched(looks: Sequence[Sequence[Finding]], **options: Any) -> tuple[Exit, Looked]:
    session = Looked(looks)
    args = argparse.Namespace(**{"watch": 2.0, "watch_for": None, "json": False, **options})
    return watching.watch(session, args), session  # type: ignore[arg-type]


def found(state: State, subject: str, id: LinkId = LinkId.LOGIN) -> Finding:
    return Finding(Link(id, subject, Told(), "clients"), state, "as \x1b[31mseen")


def test_a_watch_tells_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    first = [found(State.PROVEN, "upsd", LinkId.UPSD), found(State.WAITING, "client web")]
    code, session = watched(
        [first, first[1:], [found(State.PROVEN, "client web")], [found(State.WAITING, "client new")]]
    )
    out = capsys.readouterr()
    lines = out.out.splitlines()
    assert code is Exit.DONE
    assert session.quick == [False, True, True, True, True]
    assert lines[0].startswith("waiting   client web")
    assert [line[10:] for line in lines if line[2:3] == ":"] == [
        "waiting -> proven  client web: as \\x1b[31mseen",
        "new: waiting  client new: as \\x1b[31mseen",
    ]
    assert "Ctrl-C ends" in out.err


def test_a_watch_looks_at_everything_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    up, down = [found(State.PROVEN, "upsd")], [found(State.BROKEN, "upsd")]
    code, session = watched([up, up, down, []], watch=30.0)
    assert session.quick == [False, True, False, True, False]
    assert code is Exit.BROKEN
    code, session = watched([up, up, []], watch=60.0)
    assert "gone: upsd" in capsys.readouterr().out
    assert code is Exit.DONE


def test_a_watch_as_json_is_a_line_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = watched([[found(State.BROKEN, "upsd")], []], json=True, watch_for=2.0)
    rounds = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["broken"] for each in rounds] == [1, 1]
    assert [each["at"] for each in rounds] == [1700000000.0, 1700000002.0]
    assert code is Exit.BROKEN


def test_a_watch_that_never_saw_anything_was_interrupted() -> None:
    assert watched([])[0] is Exit.INTERRUPTED
