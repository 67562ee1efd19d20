"""What is recognised in files that others have a hand in, and what an edit must not do to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nutwizard.core.allowed import GROUP, IPSET, Allowed, Wanted
from nutwizard.core.firewalledit import arrange
from nutwizard.core.firewallfit import Refused
from nutwizard.core.firewallours import found_here, lines_of
from nutwizard.core.firewallpolicy import read_policy

HOST_FW = "/etc/pve/nodes/pve/host.fw"
HEAD = f"[OPTIONS]\n\nenable: 1\n\n[ALIASES]\n\nweb 10.0.0.1\n\n[IPSET {IPSET}]\n\nweb\n\n"
IN = f"IN ACCEPT -source +{IPSET} -p tcp -dport 3493 -log nolog"
NODE = f"[RULES]\n\nGROUP {GROUP} -i vmbr0\n\n"
WANTED = Wanted(
    (Allowed("web", ("10.0.0.1",), None, None),), IPSET, GROUP, "vmbr0", 3493, "", "nolog", "NUT port", False
)


def grouped(*rules: str) -> str:
    return HEAD + f"[group {GROUP}]\n\n" + "".join(f"{rule}\n" for rule in rules) + "\n"


def found(cluster: str, host: str = NODE, port: int = 3493) -> Wanted:
    seen = found_here(read_policy(cluster.encode(), host.encode(), HOST_FW), port)
    assert seen is not None
    return seen


def edited(cluster: str, wanted: Wanted, host: str = NODE) -> tuple[str, str]:
    after = arrange(cluster.encode(), host.encode(), wanted, HOST_FW)
    return after.cluster.to_bytes().decode(), after.host.to_bytes().decode()


def test_a_new_port_keeps_names_clients_and_the_switch() -> None:
    ours = f"{IN} # NUT port (nutwizard)"
    here = found(grouped(ours), port=3494)
    assert (here.ipset, here.group, here.enabled) == (IPSET, GROUP, True)
    assert [client.name for client in here.clients] == ["web"]
    cluster, host = edited(grouped(ours), here)
    assert cluster == grouped(ours.replace("3493", "3494"))
    assert host == NODE


def test_of_two_alike_rules_the_one_that_is_on_counts() -> None:
    both = grouped(f"|{IN} # old", f"{IN} # new")
    assert found(both).enabled
    assert edited(both, found(both)) == (both, NODE)
    assert edited(both, replace(found(both), enabled=False))[0] == grouped(f"|{IN} # old", f"|{IN} # new")


def test_both_alike_rules_are_switched_off() -> None:
    both = grouped(f"{IN} # old", f"{IN} # new")
    assert edited(both, replace(found(both), enabled=False))[0] == grouped(f"|{IN} # old", f"|{IN} # new")


def test_another_nodes_rule_opens_nothing_here() -> None:
    cluster = grouped(IN)
    here = found(cluster, "")
    assert (here.used, here.enabled) == (False, False)
    _, host = edited(cluster, WANTED, "")
    assert f"|GROUP {GROUP} -i vmbr0" in host
    assert edited(cluster, WANTED, "")[0] == cluster  # nor is it closed there
    assert edited(cluster, WANTED, host) == (cluster, host)
    opened = edited(cluster, replace(WANTED, enabled=True), host)
    assert opened == (cluster, host.replace("|GROUP", "GROUP"))


@pytest.mark.parametrize("line", [f"|GROUP {GROUP} -i vmbr0 # mine", f"|GROUP {GROUP} # mine"])
def test_a_line_that_a_person_switched_off_stays_off(line: str) -> None:
    cluster, host = grouped(IN), f"[RULES]\n\n{line}\n\n"
    here = found(cluster, host)
    assert not here.enabled
    assert edited(cluster, here, host) == (cluster, host)


def test_a_line_for_any_interface_that_is_off_is_not_taken_for_one() -> None:
    host = f"[RULES]\n\n|GROUP {GROUP} # mine\n\n"
    _, after = edited(grouped(f"|{IN}"), replace(WANTED, enabled=True), host)
    assert after == f"[RULES]\n\nGROUP {GROUP} -i vmbr0 # NUT port (nutwizard)\n|GROUP {GROUP} # mine\n\n"


@pytest.mark.parametrize(
    ("old", "client"),
    [
        (
            "[RULES]\n\nIN ACCEPT -source db -p tcp -dport 22 # old\n\n",
            Allowed("db", ("10.0.0.2",), None, None),
        ),
        ("[IPSET other]\n\ndb\n\n", Allowed("db", ("10.0.0.2",), None, None)),
    ],
)
def test_what_is_dead_does_not_come_alive(old: str, client: Allowed) -> None:
    with pytest.raises(Refused, match="with our lines it would count"):
        edited(grouped(IN) + old, replace(WANTED, clients=(*WANTED.clients, client)))


def test_a_dead_entry_that_keeps_out_does_not_come_alive() -> None:
    cluster = grouped(IN).replace("\nweb\n\n[group", "\nweb\n!db\n\n[group")
    with pytest.raises(Refused, match="with our lines it would count"):
        edited(cluster, replace(WANTED, clients=(*WANTED.clients, Allowed("db", ("10.0.0.2",), None, None))))


def test_of_a_rule_without_our_mark_the_switch_alone_changes() -> None:
    hand = f"|IN ACCEPT -source +{IPSET} -dest 10.0.0.9 -p tcp -dport 3493 # mine"
    ours = f"|{IN} # NUT port (nutwizard)"
    cluster, _ = edited(grouped(hand, ours), replace(WANTED, enabled=True))
    assert cluster == grouped(hand, ours.removeprefix("|"))


def test_an_address_with_our_mark_stays() -> None:
    cluster = grouped(IN).replace("\nweb\n\n[group", "\n10.0.0.0/24 # the lab (nutwizard)\nweb\n\n[group")
    assert edited(cluster, found(cluster))[0] == cluster


def test_names_with_numbers_stay_clients_of_their_own() -> None:
    clients = (Allowed("k3s", ("10.0.0.1",), None, None), Allowed("k3s_5", ("10.0.0.5",), None, None))
    cluster, host = edited("[OPTIONS]\n\nenable: 1\n\n", replace(WANTED, clients=clients), "")
    assert found(cluster, host).clients == clients


def test_other_lines_of_ours_for_the_group_go() -> None:
    host = f"[RULES]\n\nGROUP {GROUP} -i vmbr1 # mine\nGROUP {GROUP} -i vmbr0 # NUT port (nutwizard)\n\n"
    _, after = edited(grouped(IN), replace(WANTED, interface="vmbr1", enabled=True), host)
    assert after == f"[RULES]\n\nGROUP {GROUP} -i vmbr1 # mine\n\n"
    seen = read_policy(grouped(IN).encode(), after.encode(), HOST_FW)
    assert lines_of(seen, replace(WANTED, interface="vmbr1")).on


def test_a_line_of_nothing_in_the_set() -> None:
    cluster = grouped(IN).replace("\nweb\n\n[group", "\n!\nweb\n\n[group")
    more = replace(WANTED, clients=(*WANTED.clients, Allowed("zoo", ("10.0.0.3",), None, None)), enabled=True)
    assert "zoo # NUT client (nutwizard)" in edited(cluster, more)[0]
