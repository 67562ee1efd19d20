"""Proxmox VE's firewall as this machine's files have it: whether it is on, and which file is the node's."""

from __future__ import annotations

import os
import re

from nutwizard.core.facts import Door
from nutwizard.core.paths import CLUSTER_FW, HOST_FW, PVE, PVE_LOCAL
from nutwizard.engine.host import Host


def read_firewall(host: Host) -> str:
    """ "on", "off" or "off: WHY", at the level of the datacenter; "" where it cannot be told."""
    try:
        if host.stat(PVE_LOCAL, follow=False) is None:
            return ""
        if host.stat(CLUSTER_FW) is None:
            return "off: there is no cluster.fw"
        from nutwizard.core.firewallpolicy import read_policy  # costs, and few machines need it

        policy = read_policy(host.read(CLUSTER_FW), b"")
    except OSError:
        return ""
    if policy.cluster_on(host.now()):
        return "on"
    return "off" if policy.enable is not None else "off: cluster.fw does not turn it on"


def host_file(host: Host) -> str:
    """This node's host.fw by its own path. Below another root the link `local` may lack: then the node with
    the host's name, or the only one there is.
    """
    found = host.real(HOST_FW)
    if host.door is not Door.OFFLINE or host.stat(PVE_LOCAL) is not None:
        return found
    nodes = host.names(f"{PVE}/nodes")
    try:
        name = host.read("/etc/hostname").decode("utf-8", "replace").strip().partition(".")[0]
    except OSError:
        name = ""
    if name not in nodes:
        name = nodes[0] if len(nodes) == 1 else name
    return f"{PVE}/nodes/{name}/{os.path.basename(HOST_FW)}" if name in nodes else found


def other_words(host: Host) -> frozenset[str]:
    """Every word in the firewall files of guests and of other nodes, in small letters and without its scope.

    They may name an alias of the datacenter. What cannot be read is passed over.
    """
    own = host_file(host)
    guests = [(f"{PVE}/{folder}", r".*\.fw") for folder in ("firewall", "sdn/firewall")]
    folders = [*guests, *((f"{PVE}/nodes/{node}", r"host\.fw") for node in _names(host, f"{PVE}/nodes"))]
    found: set[str] = set()
    for folder, pattern in folders:
        for name in _names(host, folder):
            path = f"{folder}/{name}"
            if re.fullmatch(pattern, name) and path not in (CLUSTER_FW, own):
                found |= _words(host, path)
    return frozenset(found)


def _names(host: Host, folder: str) -> list[str]:
    try:
        return host.names(folder)
    except OSError:
        return []


def _words(host: Host, path: str) -> set[str]:
    try:
        text = host.read(path).decode("utf-8", "replace").lower()
    except OSError:
        return set()
    return {word.lstrip("+!").removeprefix("dc/") for word in text.split()}
