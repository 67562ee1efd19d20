"""The guide's firewall part through the screens, over ssh at 80x24: the rule off, seen, and switched on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.tmux import COLUMNS

from .firewalled import CLUSTER, NODE_LINES, Site, set_up, wait_in
from .guided import SAVED, begun, start
from .lab import VM_ADDRESS
from .node import CLUSTER_FW, ON, TAKES, node
from .remote import login, sshd
from .screens import WRITE_LIMIT, Screens
from .wizard import check, stopped, tree

pytestmark = pytest.mark.lab

LOOPBACK = "127.0.0.1"
CLIENT, PORT = f"client debiantpl ({VM_ADDRESS})", f"port 3493 for debiantpl ({VM_ADDRESS})"
BEFORE = ("Mode", "UPS driver", "Listen address", "Client user", "Clients", "Monitor", "Actions", "Timing")


@dataclass(frozen=True)
class Seen:
    """The host's screens at its check page, with the rule off."""

    site: Site
    screens: Screens


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    """The host, set up through the screens; whatever is proposed is accepted."""
    with ExitStack() as stack:
        lab = begun(stack.enter_context(start()))
        made = stack.enter_context(node(lab, {CLUSTER_FW: ON}))
        stack.enter_context(sshd(lab, lab.host, LOOPBACK))
        before = tree(lab.host), made.files()
        screens = stack.enter_context(Screens(login(lab.host, LOOPBACK), "host"))
        screens.open_first()
        for number, title in enumerate((*BEFORE, "Firewall", "Outside", "Services"), 1):
            screens.step(f"{number} of 11  {title}")
        screens.at("Review")
        screens.write()
        screens.press("Enter")
        yield Seen(Site(lab, made, before), screens)


def row(screens: Screens, state: str, subject: str, limit: float = TAKES) -> None:
    """Wait until a link stands in the check's list in a state."""
    screens.until(lambda view: any(line.startswith(f" {state:<10}{subject}") for line in view.rows), limit)


def test_the_check_shows_the_rule_that_is_off(seen: Seen) -> None:
    screens, (cluster, node_lines) = seen.screens, seen.site.node.files()
    assert (cluster, node_lines) == (CLUSTER, NODE_LINES)
    screens.at("Check")
    screens.says("The firewall's rule is off: s switches it on.", WRITE_LIMIT)
    row(screens, "broken", PORT)
    row(screens, "waiting", CLIENT)
    screens.says("mend: nutwizard firewall enable")
    set_up(seen.site.lab.host, seen.site.lab.vm, "debiantpl")
    found = check(seen.site.lab.vm)
    assert found.code == 4
    assert found.broken()["firewall"][0].startswith("timed out")
    row(screens, "waiting", CLIENT)


def test_one_key_lets_the_client_in_while_one_looks(seen: Seen) -> None:
    site, screens = seen.site, seen.screens
    with stopped(site.lab.vm, "nut-monitor"):
        screens.tap("s")
        box = screens.says("Switch the firewall's rule on? The clients are let in within 10 s.", TAKES)
        assert "| + IN ACCEPT -source +k3s_nodes_net0_ips -p tcp -dport 3493" in box.text
        screens.press("Down")
        screens.wait(lambda: any(each.endswith("the rule on") for each in screens.chosen()) or None)
        screens.tap("Enter")
        screens.at("Writing")
        screens.says("Enter goes on", WRITE_LIMIT)
        assert site.node.files() == (CLUSTER.replace(b"|", b""), NODE_LINES)
        assert b"\n  enabled: yes\n" in site.lab.host.read(SAVED)
        screens.press("Enter")
        screens.at("Check")
        row(screens, "waiting", CLIENT)
    # What is proven stands below what is on the screen; the title tells that nothing is waited for any more.
    screens.until(lambda view: re.fullmatch(r"Check +3 unknown, \d+ proven", view.title.strip()), TAKES)
    wait_in(site, VM_ADDRESS)
    found = check(site.lab.host)
    assert [found.link(subject)["status"] for subject in (CLIENT, PORT)] == ["proven", "proven"]
    assert [check(machine).code for machine in (site.lab.host, site.lab.vm)] == [0, 0]


def test_the_end(seen: Seen) -> None:
    screens = seen.screens
    screens.press("Enter")
    screens.at("Finish")
    screens.says("Links: 3 unknown, ")  # what is outside; all else is proven
    screens.press("Enter")
    assert screens.end() == 0
    everything = screens.everything()
    assert everything.isascii()
    assert [line for line in everything.splitlines() if len(line) > COLUMNS] == []
