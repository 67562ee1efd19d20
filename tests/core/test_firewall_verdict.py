"""Proxmox VE's verdict on a packet, and the lines that it does not follow: files in, expected.yaml out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard.core.firewallpolicy import Place, Warned, read_policy
from nutwizard.core.firewallverdict import Packet, verdict
from nutwizard.core.paths import CLUSTER_FW

CASES = Path(__file__).parents[1] / "cases" / "firewall"
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load((CASES / "expected.yaml").read_text(encoding="utf-8"))
HOST = "/etc/pve/nodes/pve/host.fw"
NOW = 1_700_000_030.0
NAMES = [f"{part}/{name}" for part, rows in EXPECTED.items() for name in rows]


def files(name: str) -> tuple[bytes, bytes]:
    """cluster.fw and host.fw; of `samples` one of the two is that of the folder where it has none."""
    part, _, case = name.partition("/")
    if part == "samples":
        own = [(CASES / part / f"{case}.fw", "cluster-on.fw"), (CASES / part / f"{case}.host", "host.fw")]
        found = [path if path.exists() else path.with_name(other) for path, other in own]
        return found[0].read_bytes(), found[1].read_bytes()
    pair = [CASES / name / file for file in ("cluster.fw", "host.fw")]
    cluster, host = (path.read_bytes() if path.exists() else b"" for path in pair)
    return cluster, host


def short(place: Place | None) -> str:
    return f"{'cluster' if place.file == CLUSTER_FW else 'host'}.fw:{place.line}" if place else ""


def lines(warnings: tuple[Warned, ...]) -> list[str]:
    return list(dict.fromkeys(short(warned.place) for warned in warnings))


def packets(row: dict[str, Any]) -> Iterator[tuple[Packet, float, dict[str, Any]]]:
    """A row is one packet, or has several; what the row itself says holds for each of them."""
    for one in row.get("packets", [{}]):
        told = {**row, **one}
        packet = Packet(
            told.get("from", "192.168.1.10"),
            told.get("port", 3493),
            told.get("interface", "vmbr0"),
            told.get("to", ""),
            tuple(told.get("local", ())),
        )
        yield packet, float(told.get("now", NOW)), told


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict(name: str) -> None:
    part, _, case = name.partition("/")
    row = EXPECTED[part][case]
    policy = read_policy(*files(name), HOST)

    for packet, now, told in packets(row):
        found = verdict(policy, packet, now)
        assert (packet.source, found.action) == (packet.source, told["verdict"])
        assert found.firewall is told.get("firewall", True)
        assert lines(found.warnings) == row.get("warnings", [])
        assert [short(place) for place in found.off] == told.get("switched_off", [])
        if "line" in told or part == "own":
            assert short(found.place) == (told.get("line") or "")
        if "via" in told or part == "own":
            assert short(found.via) == (told.get("via") or "")
        assert (found.off == ()) or not found.lets_in


def test_every_file_is_expected() -> None:
    samples = {path.stem for path in (CASES / "samples").iterdir()} - {"host"}
    folders = {part: {path.name for path in (CASES / part).iterdir()} for part in ("pairs", "own")}
    assert {part: set(rows) for part, rows in EXPECTED.items()} == {"samples": samples, **folders}


@pytest.mark.parametrize("address", ["", "web", "192.168.1.300", "192.168.1.0/24"])
def test_a_packet_comes_from_an_address(address: str) -> None:
    policy = read_policy(*files("samples/cluster-on"), HOST)
    with pytest.raises(ValueError, match="does not appear to be"):
        verdict(policy, Packet(address, 3493), NOW)
