"""Each recorded firewall file on real packets: what the kernel does of its rules is what nutwizard says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard.core.firewallpolicy import read_policy
from nutwizard.core.firewallverdict import Packet, verdict

from .lab import HOST_ADDRESS, Lab
from .machine import interpreter
from .nftrules import ruleset
from .node import HOST_FW, begin, running

pytestmark = pytest.mark.lab

CASES = Path(__file__).parents[1] / "cases/firewall"
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load((CASES / "expected.yaml").read_text(encoding="utf-8"))
NOW = 1_700_000_030.0
#: Every port that a case is about; there is a listener behind each.
PORTS = (22, 80, 443, 3128, 3493, 3494, 5950, 8006, 60050, 60051)
#: The packet's sender is one of these networks, all at the VM.
ROUTES = ("10.0.0.0/8", "192.168.0.0/16", "fd00::/16", "2001:db8::/32")
ENDS = {"connected": "ACCEPT", "refused": "REJECT", "timed out": "DROP"}
LISTEN = """
import socket, sys
six = {"family": socket.AF_INET6, "dualstack_ipv6": True}
there = [socket.create_server(("::", int(port)), **six) for port in sys.argv[1:]]
print("ready", flush=True)
sys.stdin.read()
"""
CONNECT = """
import json, socket, sys
for source, target, port in json.load(sys.stdin):
    try:
        socket.create_connection((target, port), 0.5, (source, 0)).close()
        print("connected")
    except ConnectionRefusedError:
        print("refused")
    except TimeoutError:
        print("timed out")
"""


def files(part: str, case: str) -> tuple[bytes, bytes]:
    """cluster.fw and host.fw; of `samples` one of the two is that of the folder where it has none."""
    names = ("cluster.fw", "host.fw")
    if part != "samples":
        pair = [CASES / part / case / name for name in names]
        cluster, host = (path.read_bytes() if path.exists() else b"" for path in pair)
        return cluster, host
    own = [(CASES / part / f"{case}.fw", "cluster-on.fw"), (CASES / part / f"{case}.host", "host.fw")]
    cluster, host = ((path if path.exists() else path.with_name(other)).read_bytes() for path, other in own)
    return cluster, host


def packets(row: dict[str, Any]) -> Iterator[tuple[Packet, float]]:
    """Those of a case that can be sent here: through the one bridge, to the host's address."""
    for one in row.get("packets", [{}]):
        told = {**row, **one}
        source = told.get("from", "192.168.1.10")
        here = "fd00::107" if ":" in source else HOST_ADDRESS
        if told.get("interface", "vmbr0") == "vmbr0" and told.get("to", here) == here:
            local = tuple(told.get("local", ()))
            packet = Packet(source, told.get("port", 3493), "vmbr0", here, local)
            yield packet, float(told.get("now", NOW))


def sent(lab: Lab, several: list[Packet]) -> list[str]:
    """What became of TCP connections of the VM, one by one."""
    for source in {packet.source for packet in several}:
        bits = "128" if ":" in source else "32"
        lab.vm.run(["ip", "addr", "replace", f"{source}/{bits}", "dev", "eth0", "nodad"], check=True)
    asked = json.dumps([(each.source, each.dest, each.port) for each in several])
    done = lab.vm.run([interpreter(), "-ISc", CONNECT], input=asked, check=True)
    return [ENDS[line] for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A host with a listener on each port, and a VM that may have any address."""
    with Lab() as machines:
        host, vm = machines.host, machines.vm
        for network in ROUTES:
            host.run(["ip", "route", "replace", network, "dev", "vmbr0"], check=True)
        host.run(["ip", "addr", "add", "fd00::107/64", "dev", "vmbr0", "nodad"], check=True)
        vm.run(["ip", "route", "add", "fd00::107/128", "dev", "eth0"], check=True)
        with running(host, [interpreter(), "-ISc", LISTEN, *map(str, PORTS)]) as process:
            begin(process)
            yield machines


@pytest.mark.parametrize("part", list(EXPECTED))
def test_real_packets_end_as_the_verdict_says(lab: Lab, part: str) -> None:
    said, real = dict[str, list[tuple[str, int, str]]](), dict[str, list[tuple[str, int, str]]]()
    for case, row in EXPECTED[part].items():
        policy = read_policy(*files(part, case), HOST_FW)
        # One load of the rules for all packets of a moment and of the node's networks.
        groups: dict[tuple[float, tuple[str, ...]], list[Packet]] = {}
        for packet, now in packets(row):
            groups.setdefault((now, packet.local), []).append(packet)
        for (now, local), several in groups.items():
            key = f"{case} at {now:.0f} {local}"
            said[key] = [(each.source, each.port, verdict(policy, each, now).action) for each in several]
            lab._nft(ruleset(policy, now, local))
            found = sent(lab, several)
            real[key] = [(each.source, each.port, end) for each, end in zip(several, found, strict=True)]
    assert real == said
    assert {action for rows in real.values() for *_, action in rows} >= {"ACCEPT", "DROP"}
