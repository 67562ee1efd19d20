"""Proxmox VE's firewall in front of the practice host: what its VM sends is let in, refused or dropped.

Simulated is the first packet of each connection that the VM makes to the host, by what cluster.fw and host.fw
of the host's root say at that moment; the real daemon takes up to 10 s to see a change. Who is connected
stays so, as with conntrack, as long as this process lives: another one connects its upsmon anew. What the
host sends, to itself or to the VM, is not filtered.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import time

from nutwizard.core.facts import Role
from nutwizard.core.firewallpolicy import read_policy
from nutwizard.core.firewallverdict import Packet, verdict
from nutwizard.core.paths import CLUSTER_FW, HOST_FW
from nutwizard.engine.practice import net
from nutwizard.engine.tree import Tree

#: Seconds: nobody waits longer for a packet that is dropped, whatever his own limit.
LONGEST_WAIT = 3.0


class Dropped(TimeoutError):
    """A packet that nobody answers. The time that it takes to notice has not passed yet."""


def admit(files: Tree, here: Role, address: str, port: int) -> None:
    """Let a connection of the machine `here` to the host's `address` through, by the host's files.

    Raises Dropped, or ConnectionRefusedError as a rule with REJECT gives it.
    """
    if here is Role.HOST:
        return
    bridge = next(each for each in net.ADDRESSES[Role.HOST] if each.bridge)
    network = ipaddress.ip_network(f"{bridge.address}/{bridge.prefix}", strict=False)
    policy = read_policy(_read(files, CLUSTER_FW), _read(files, HOST_FW))
    packet = Packet(net.VM_ADDRESS, port, bridge.interface, address, (str(network),))
    action = verdict(policy, packet, time.time()).action
    if action == "REJECT":
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    if action != "ACCEPT":
        raise Dropped("timed out")


def lets_in(files: Tree, port: int) -> bool:
    """Whether the VM reaches this port of the host, as far as the firewall goes."""
    try:
        admit(files, Role.CLIENT, net.HOST_ADDRESS, port)
    except OSError:
        return False
    return True


def _read(files: Tree, path: str) -> bytes:
    """A file that is not there, or cannot be read, holds no rule."""
    try:
        return files.read(path)
    except OSError:
        return b""
