"""What planning the firewall step costs with many clients, and whether it grows with their number alone.

    python -m tests.bench.firewall [ROUNDS]

The least time of the processor in so many rounds. Aim: ten times the clients, ten times as long. The last
column is the ratio to that, counted from 100 clients on: 1.0 is linear, 10 is the square.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping

from nutwizard.core.allowed import BRIDGE, COMMENT, GROUP, IPSET, Allowed, Wanted
from nutwizard.core.firewalledit import arrange
from nutwizard.core.firewallours import found_here
from nutwizard.core.firewallpolicy import Policy, read_policy
from nutwizard.core.firewallsays import let_in, notes
from nutwizard.core.firewallverdict import Packet, verdict
from nutwizard.core.links import Server

HOST = "/etc/pve/nodes/pve/host.fw"
ON = b"[OPTIONS]\n\nenable: 1\n\n"
PORT = 3493
COUNTS = (10, 100, 1000)


def wanted_of(count: int) -> Wanted:
    """So many clients, the rule on."""
    clients = tuple(
        Allowed(f"guest{i}_net0", (f"10.{i >> 8}.{i & 255}.10",), None, None) for i in range(count)
    )
    return Wanted(clients, IPSET, GROUP, BRIDGE, PORT, "", "nolog", COMMENT, True)


def files_of(policy: Policy) -> tuple[bytes, bytes]:
    return policy.cluster.to_bytes(), policy.host.to_bytes()


def works_of(count: int) -> Mapping[str, Callable[[], object]]:
    """What a plan and a check do, by name."""
    wanted = wanted_of(count)
    empty = read_policy(ON, b"", HOST)
    full = arrange(ON, b"", wanted, HOST)
    files = files_of(full)
    half = arrange(ON, b"", dataclasses.replace(wanted, clients=wanted.clients[::2]), HOST)
    one = dataclasses.replace(wanted, clients=wanted.clients[:1])
    addresses = [address for client in wanted.clients for address in client.address]
    server = Server("127.0.0.1", PORT)

    def links() -> list[object]:
        found = found_here(full, PORT)
        named = [address for client in found.clients for address in client.address] if found else []
        assert len(named) == count
        return [let_in(full, server, "apc", address, interface=BRIDGE, ours=frozenset()) for address in named]

    return {
        "read": lambda: read_policy(*files, HOST),
        "arrange, empty": lambda: arrange(ON, b"", wanted, HOST),
        "arrange, again": lambda: arrange(*files, wanted, HOST),
        "half, then all": lambda: arrange(*files_of(half), wanted, HOST),
        "all, then one": lambda: arrange(*files, one, HOST),
        "notes": lambda: notes(empty, full, wanted, "on", ["0.0.0.0"], changed=True),
        "verdict, each": lambda: [verdict(full, Packet(a, PORT), 0.0) for a in addresses],
        "links": links,
    }


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    took = {
        count: {name: min(seconds(work) for _ in range(rounds)) for name, work in works.items()}
        for count, works in ((count, works_of(count)) for count in COUNTS)
    }
    print(f"{'':16}" + "".join(f"{count:>12}" for count in COUNTS) + f"{'to linear':>12}")
    for name in took[COUNTS[0]]:
        cells = "".join(f"{took[count][name] * 1000:>9.1f} ms" for count in COUNTS)
        few, many = COUNTS[-2:]
        ratio = took[many][name] / took[few][name] / (many / few)
        print(f"{name:16}{cells}{ratio:>12.1f}")


if __name__ == "__main__":
    main()
