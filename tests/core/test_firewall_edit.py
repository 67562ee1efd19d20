"""The edit of cluster.fw and host.fw: cases as folders, each edited twice and read as Proxmox VE reads it.

A folder has the two files as they are (absent: none), `answers.yaml`, and `after` with those that change, or
`refused.txt`. answers.yaml: `why`; `clients` and what else is wanted, where it is not as in the guide;
`firewall`: false where it is off then; `verdicts`: by address, where they are not as `enabled` says.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard.core.allowed import BRIDGE, COMMENT, GROUP, IPSET, Allowed, Wanted
from nutwizard.core.firewalledit import arrange
from nutwizard.core.firewallfit import Refused
from nutwizard.core.firewallpolicy import Policy, read_policy
from nutwizard.core.firewallverdict import Packet, verdict
from nutwizard.formats.pvelines import FirewallFile, Part, comment_of, header

CASES = sorted((Path(__file__).parents[1] / "cases" / "firewall_edit").iterdir())
HOST = "/etc/pve/nodes/pve/host.fw"
NOW = 1_700_000_030.0
FILES = ("cluster.fw", "host.fw")


def wanted_of(told: dict[str, Any]) -> Wanted:
    """What a case asks for; what it does not say is as in the guide, the rule off."""
    return Wanted(
        tuple(_client(name, each) for name, each in told["clients"].items()),
        told.get("ipset", IPSET),
        told.get("group", GROUP),
        told.get("interface", BRIDGE),
        told.get("port", 3493),
        told.get("dest", ""),
        told.get("log", "nolog"),
        told.get("comment", COMMENT),
        told.get("enabled", False),
    )


def _client(name: str, told: Any) -> Allowed:
    more = told if isinstance(told, dict) else {"address": told}
    address = more["address"]
    addresses = tuple(address) if isinstance(address, list) else (address,)
    return Allowed(name, addresses, more.get("nomatch"), more.get("comment"))


def edited(files: tuple[bytes, bytes], wanted: Wanted) -> tuple[bytes, bytes]:
    after = arrange(*files, wanted, HOST)
    return after.cluster.to_bytes(), after.host.to_bytes()


def read(files: tuple[bytes, bytes]) -> Policy:
    return read_policy(*files, HOST)


def lets_in(policy: Policy, address: str, wanted: Wanted) -> str:
    packet = Packet(address, wanted.port, wanted.interface or BRIDGE, wanted.dest)
    return verdict(policy, packet, NOW).action


def saved(data: bytes, *, host: bool) -> bytes:
    """What the web console makes of a file of living lines when it saves: its order, its blank lines."""
    file = FirewallFile.parse(data, host=host)
    keys: dict[Part, Callable[[str], str]] = {
        Part.ALIASES: lambda text: text.split()[0].lower(),
        Part.IPSET: lambda text: text.lstrip("!").split()[0],
    }
    texts = []
    for part in Part:
        for _, name, head in sorted((p, name, i) for i, p, name in file.starts() if p is part):
            lines = [row.text for _, row in file.lines(head)]
            lines = sorted(lines, key=keys[part]) if part in keys else lines
            comment = comment_of(file.rows[head].text)
            texts.append("\n".join([header(part, name, comment), "", *lines, "", ""]))
    return "".join(texts).encode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_edit(case: Path) -> None:
    told = yaml.safe_load((case / "answers.yaml").read_text(encoding="utf-8"))
    wanted = wanted_of(told)
    before = _pair(case)
    if (case / "refused.txt").exists():
        with pytest.raises(Refused) as refused:
            edited(before, wanted)
        assert str(refused.value) == (case / "refused.txt").read_text(encoding="utf-8").strip()
        return

    after = edited(before, wanted)
    assert after == _pair(case / "after", before)
    assert edited(after, wanted) == after
    assert len(read(after).warnings) <= len(read(before).warnings)
    for data, old, host in zip(after, before, (False, True), strict=True):
        assert saved(old, host=host) != old or saved(data, host=host) == data
    firewall = read(after).on(NOW)
    assert firewall is told.get("firewall", True)
    asked = "ACCEPT" if wanted.enabled or not firewall else "DROP"
    each = {address: asked for client in wanted.clients for address in client.address if "/" not in address}
    found = {address: lets_in(read(after), address, wanted) for address in each | told.get("verdicts", {})}
    assert found == each | told.get("verdicts", {})


def _pair(folder: Path, other: tuple[bytes, bytes] = (b"", b"")) -> tuple[bytes, bytes]:
    paths = [folder / name for name in FILES]
    cluster, host = (p.read_bytes() if p.exists() else data for p, data in zip(paths, other, strict=True))
    return cluster, host


@pytest.mark.parametrize(
    "name", ["enable", "disable", "enable-theirs", "enable-indented", "line-switched-off"]
)
def test_a_switch_is_one_character(name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    before = b"".join(_pair(case))
    after = b"".join(_pair(case / "after", _pair(case)))
    longer, shorter = (before, after) if len(before) > len(after) else (after, before)
    assert any(
        longer[:at] + longer[at + 1 :] == shorter and longer[at : at + 1] == b"|" for at in range(len(longer))
    )
