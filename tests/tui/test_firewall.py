"""Proxmox VE's firewall on the screens: its step, and the key that switches its rule."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from nutwizard.core.facts import Role
from nutwizard.core.paths import CLUSTER_FW
from nutwizard.engine.doctor import Examination
from nutwizard.engine.practice import PracticeHost, gate
from nutwizard.engine.practice.net import HOST_ADDRESS
from nutwizard.engine.session import Session
from nutwizard.tui import check
from tests.engine.test_practice import put, systemctl
from tests.engine.test_practice_firewall import edit
from tests.tui.screens import LARGE, LINKS, Person, open_session, shown

RULE = "IN ACCEPT -source +k3s_nodes_net0_ips -p tcp -dport 3493 -log nolog # NUT port (nutwizard)"
IS_OFF = "The firewall's rule is off: s switches it on."
NO_RULE = "There is no rule for NUT in Proxmox VE's firewall here: the step Firewall prepares one."
#: How the check counts the host's links but for those of its VM; unknown is what nobody has answered.
REST = f"3 unknown, {LINKS - 3} proven"
#: The title of a check that has proven every link.
EVERY = re.compile(r"Check +[0-9]+ proven(, [0-9]+ not applicable)?")
PORT, CLIENT = "port 3493 for practice-vm", "client practice-vm"
OFFERED = {
    "write the rules": "< yes >",
    "clients": "practice-vm_net0 (192.168 ...",
    "IPSet": "k3s_nodes_net0_ips",
    "security group": "nut_port_accept_in",
    "interface": "vmbr0",
    "port": "3493",
    "destination": "none",
    "log level": "< nolog >",
    "comment": "NUT port",
    "rule on": "< no >",
}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped is not waited for, and what waits is looked at more often."""
    monkeypatch.setattr(gate, "LONGEST_WAIT", 0.1)
    monkeypatch.setattr(check, "AGAIN", 0.5)


async def at_step(person: Person, *keys: str) -> None:
    """On the step alone, and some keys on."""
    await person.press("9")
    await person.at("firewall")
    await person.press(*keys)


async def proven(person: Person, counted: str) -> None:
    """The check, once so many links are in which state."""
    await person.until(lambda: person.title.startswith("Check  ") and person.title.endswith(counted), counted)


async def written(person: Person) -> list[str]:
    """What was written, once it has ended well."""
    await person.until(lambda: "Done. Enter goes on" in person.text, "the end of the writing")
    lines = person.pane("#log").splitlines()
    return [line.split()[-1] for line in lines if " writing " in line]


def row(person: Person, subject: str) -> str:
    """The row about this link."""
    return next(each for each in person.options if subject in each)


def lets_in(host: PracticeHost) -> bool:
    """Whether the rule stands in the file and is on."""
    lines = host.read(CLUSTER_FW).decode().splitlines()
    assert (RULE in lines) + (f"|{RULE}" in lines) == 1
    return RULE in lines


def open_vm(host: PracticeHost) -> PracticeHost:
    """The practice host's VM, set up by hand to follow it."""
    vm = PracticeHost.open(str(host.root).removesuffix("/host"), Role.CLIENT)
    password = host.read("/etc/nutwizard/client.password").decode().strip()
    put(vm, "nut.conf", "MODE=netclient\n")
    monitor = f"MONITOR apc@{HOST_ADDRESS} 1 upsmonclient {password} secondary\n"
    put(vm, "upsmon.conf", f'{monitor}SHUTDOWNCMD "/sbin/shutdown -h +0"\n')
    systemctl(vm, "restart", "nut-monitor")
    return vm


# the step


async def test_what_is_proposed(session: Session) -> None:
    async with shown(session) as person:
        await at_step(person)
        assert person.title.startswith("9 of 11  Firewall")
        found = person.fields
        assert list(found) == list(OFFERED)
        assert {label: found[label][: len(text)] for label, text in OFFERED.items()} == OFFERED


async def test_the_verdict_stands_first(session: Session) -> None:
    note = "Note: practice-vm_net0 (192.168.1.10): DROP now, then "
    async with shown(session) as person:
        await at_step(person)
        assert person.pane("#diff").startswith(f"{note}DROP: cluster.fw:21 is switched off; nutwizard")
        await person.press("f2")
        assert person.pane("#text").startswith(f"{note}DROP: ")
        assert f"+ |{RULE}" in person.pane("#text")
        assert "+ GROUP nut_port_accept_in -i vmbr0 # NUT port (nutwizard)" in person.pane("#text")
        await person.press("escape", "shift+tab", "right")
        assert person.field.startswith("rule on < yes >")
        assert person.pane("#diff").startswith(f"{note}ACCEPT: cluster.fw:21")
        assert f"+ {RULE}" in person.pane("#diff")


async def test_the_same_by_hand_with_these_values(session: Session) -> None:
    async with shown(session, size=LARGE) as person:
        await at_step(person, "tab", "tab", "tab")
        assert "F6 by hand" in person.keys
        await person.fill("nut_in")
        await person.press("tab")
        await person.fill("none")
        await person.press("f6")
        assert person.title.endswith("by hand")
        text = person.pane("#text")
        assert "Alias > Add: Name practice-vm_net0, IP/CIDR 192.168.1.10" in text
        assert "6. pve > Firewall > Insert: Security Group: nut_in, Interface empty, Enable yes" in text
        assert "pvesh create /cluster/firewall/groups/nut_in --type in --action ACCEPT --enable 0" in text
        assert "--iface" not in text
        await person.press("escape")
        assert (person.place, person.field.split()[0]) == ("firewall", "interface")


async def test_without_rules_nothing_else_is_asked(session: Session) -> None:
    async with shown(session) as person:
        await at_step(person, "right")
        assert list(person.fields) == ["write the rules"]
        assert "-- This step changes nothing --" in person.text
        await person.press("right")
        assert list(person.fields) == list(OFFERED)


async def test_clients_are_added(session: Session) -> None:
    async with shown(session) as person:
        await at_step(person, "tab", "space", "a")
        await person.type("nas")
        await person.press("enter")
        await person.type("192.168.1.20, 192.168.1.21")
        await person.press("enter", "enter")
        await person.type("the box in the cellar")
        await person.press("enter", "a")
        await person.type("guests")
        await person.press("enter")
        await person.type("192.168.1.64/26")
        await person.press("enter", "y", "ctrl+n")
        assert person.options == [
            "practice-vm_net0 (192.168.1.10)",
            "nas (192.168.1.20, 192.168.1.21)",
            "!guests (192.168.1.64/26)",
        ]
        await person.press("enter", "f2")
        lines = [line.strip() for line in person.pane("#text").splitlines()]
        for line in (
            "+ nas 192.168.1.20 # the box in the cellar (nutwizard)",
            "+ nas_2 192.168.1.21 # the box in the cellar (nutwizard)",
            "+ guests 192.168.1.64/26 # NUT client (nutwizard)",
            "+ nas_2 # the box in the cellar (nutwizard)",
            "+ !guests # NUT client (nutwizard)",
        ):
            assert line in lines


@pytest.mark.parametrize(
    ("column", "text", "why"),
    [
        (0, "9web", "a name here is 2 to 64 letters, digits and _ - only, and begins with a letter"),
        (1, "10.0.0.999", '"10.0.0.999" is neither an address nor a network such as 192.168.1.0/24'),
        (1, "0.0.0.0/0", "a network of the length /0 is everybody: a set does not take it"),
        (3, "a#b", "a comment is one line without #"),
    ],
)
async def test_a_client_that_cannot_be_taken_says_why(
    session: Session, column: int, text: str, why: str
) -> None:
    async with shown(session) as person:
        await at_step(person, "tab", "space", "c", *["tab"] * column)
        await person.fill(text)
        assert person.message == f"! {why}"
        await person.press("ctrl+n")
        assert "clients: change one" in person.text
        await person.press("escape", "d", "enter")
        assert person.field.startswith("clients practice-vm_net0 (192.168")


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [
        ("security group", "nut_port_accept_inn", "19 characters: a security group's name has at most 18"),
        ("security group", "Nut", "a group's name has small letters only: it is not found else"),
        ("IPSet", "K3s", "a set's name has small letters only: +NAME is not found else"),
        ("interface", "192.168.1.1", "an interface is given by its name, such as vmbr0: no address"),
    ],
)
async def test_a_value_that_cannot_be_taken_says_why(
    session: Session, field: str, text: str, why: str
) -> None:
    async with shown(session) as person:
        await at_step(person, *["tab"] * list(OFFERED).index(field))
        await person.fill(text)
        assert person.message == f"! {why}"
        await person.press("ctrl+n")
        assert (person.place, person.fields[field].split("  ")[0]) == ("firewall", text)


async def test_a_firewall_that_is_off_gets_no_rules(host: PracticeHost) -> None:
    edit(host, CLUSTER_FW, "[OPTIONS]\nenable: 0\n")
    async with shown(open_session(host)) as person:
        await at_step(person)
        assert person.field.startswith("write the rules < no >")
        assert "Proxmox VE's firewall is off: every port is open" in person.message
        assert list(person.fields) == ["write the rules"]


# the key


async def test_the_rule_is_off_and_is_switched_on_and_off(done_host: PracticeHost) -> None:
    async with shown(open_session(done_host)) as person:
        await person.press("c")
        await proven(person, f"1 broken, 1 waiting, {REST}")
        assert person.notice.startswith(IS_OFF)
        assert row(person, PORT).startswith("broken")
        assert row(person, PORT).endswith("is switched off")
        await person.press("s")
        assert "Switch the firewall's rule on? The clients are let in within 10 s." in person.prose
        assert f"+ {RULE}" in person.prose.replace(" | | ", " ")
        assert person.chosen.startswith("back")
        await person.press("b")
        assert person.notice.startswith(IS_OFF)
        await person.press("s", "escape", "s", "enter")
        assert (person.place, lets_in(done_host)) == ("check", False)
        await person.press("s", "w")
        assert await written(person) == ["/etc/nutwizard/answers.yaml", CLUSTER_FW]
        assert lets_in(done_host)
        await person.press("enter")
        await proven(person, f"2 waiting, {REST}")
        assert IS_OFF not in person.text
        assert row(person, PORT).startswith("waiting")
        await person.press("s")
        assert "Switch the firewall's rule off? Nobody is let in any more" in person.prose
        await person.press("w")
        assert await written(person) == ["/etc/nutwizard/answers.yaml", CLUSTER_FW]
        assert not lets_in(done_host)
        await person.press("enter")
        await proven(person, f"1 broken, 1 waiting, {REST}")


async def test_whoever_presses_the_key_twice_has_not_said_yes(done_host: PracticeHost) -> None:
    async with shown(open_session(done_host)) as person:
        await person.press("c")
        await proven(person, REST)
        person.send("sss")
        await person.until(lambda: "Switch the firewall's rule on?" in person.prose, "the question")
        await person.press("s", "s")
        assert "Switch the firewall's rule on?" in person.prose
        await person.press("escape")
        assert (person.place, "Switch the" in person.prose) == ("check", False), "it was asked once"
    assert not lets_in(done_host)


async def test_the_key_on_the_last_page(host: PracticeHost) -> None:
    async with shown(open_session(host)) as person:
        await person.press("t", "a", "w")
        await written(person)
        await person.press("enter")
        await proven(person, f"1 broken, 1 waiting, {REST}")
        await person.press("f")
        await person.at("finish")
        assert "nutwizard --practice firewall enable" in person.pane("#text")
        assert "undo 2, then: nutwizard --practice undo 1" in person.pane("#text")
        await person.press("s", "w")
        assert await written(person) == ["/etc/nutwizard/answers.yaml", CLUSTER_FW]
        await person.press("enter")
        await proven(person, f"2 waiting, {REST}")
        await person.press("f")
        await person.at("finish")
        assert "firewall enable" not in person.pane("#text")
        assert "undo 2, then: nutwizard --practice undo 1" in person.pane("#text"), "of the whole apply"
    assert lets_in(host)


async def test_a_host_without_a_rule_says_so(alone_host: PracticeHost) -> None:
    async with shown(open_session(alone_host)) as person:
        await person.press("c")
        await proven(person, f"{LINKS} proven")
        await person.press("s")
        assert person.notice == NO_RULE
        await person.press("f")
        await person.at("finish")
        await person.press("s")
        assert (person.place, person.notice) == ("finish", NO_RULE)


async def test_a_client_has_no_such_key(done_vm: PracticeHost) -> None:
    async with shown(open_session(done_vm), size=LARGE) as person:
        await person.press("c")
        await proven(person, "proven")
        for place in ("check", "finish"):
            await person.at(place)
            assert "firewall" not in person.keys
            await person.press("s")
            assert (person.place, person.notice) == (place, "")
            await person.press("f")


# what comes by itself


async def test_a_vm_that_logs_in_is_seen_without_a_key(done_host: PracticeHost) -> None:
    session = open_session(done_host)
    session.switch(True, lambda text: None)
    async with shown(session) as person:
        await person.press("c")
        await proven(person, f"2 waiting, {REST}")
        open_vm(done_host)
        await proven(person, f"3 unknown, {LINKS - 1} proven")
        assert row(person, CLIENT) == "proven    client practice-vm (192.168.1.10): upsd lists 192.168.1.10"
        assert "192.168.1.10 is logged in; cluster.fw:21" in row(person, PORT)


async def test_a_vm_that_knocks_is_let_in_by_the_key(done_host: PracticeHost) -> None:
    open_vm(done_host)
    async with shown(open_session(done_host)) as person:
        await person.press("c")
        await proven(person, f"1 broken, 1 waiting, {REST}")
        await person.press("s", "w")
        await written(person)
        await person.press("enter")
        await proven(person, f"3 unknown, {LINKS - 1} proven")


async def test_a_client_that_timed_out_gets_through_by_itself(done_host: PracticeHost) -> None:
    async with shown(open_session(open_vm(done_host))) as person:
        person.send("c")
        await person.until(lambda: "1 broken" in person.title, "the closed port")
        assert "timed out" in row(person, "way to 192.168.1.107:3493")
        open_session(done_host).switch(True, lambda text: None)
        await person.until(lambda: EVERY.fullmatch(person.title), "the open port")
        assert row(person, "way to 192.168.1.107:3493").startswith("proven")
        assert person.notice == ""


async def test_a_look_that_takes_long_is_waited_for(
    done_host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing answers a look takes longer than the time between two: each is seen to its end."""
    monkeypatch.setattr(check, "AGAIN", 0.1)
    real = Session.examine

    def examine(self: Session, told: Any = None) -> Examination:
        time.sleep(0.3)
        return real(self, told)

    monkeypatch.setattr(Session, "examine", examine)
    monkeypatch.setattr(Session, "values", lambda self: ("apc", {}))
    async with shown(open_session(open_vm(done_host))) as person:
        person.send("c")
        await person.until(lambda: "1 broken" in person.title, "the closed port")
        open_session(done_host).switch(True, lambda text: None)
        await person.until(lambda: EVERY.fullmatch(person.title), "the open port")
        monkeypatch.undo()
