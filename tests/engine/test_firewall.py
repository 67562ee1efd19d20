"""Whether Proxmox VE's firewall is on, and the rows of a node in the overview."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from nutwizard.core.facts import Door, Facts, Kind, Lazy, Role
from nutwizard.core.guests import Guest
from nutwizard.engine.firewall import read_firewall
from nutwizard.engine.found import found_here
from nutwizard.engine.machine import OfflineHost

OFF = "off: cluster.fw does not turn it on"


class Clock(OfflineHost):
    """A machine at a given moment."""

    def now(self) -> float:
        return 1_700_000_030.0


def node(folder: Path, text: bytes | None, *, mounted: bool = True) -> str:
    (folder / "etc/pve/firewall").mkdir(parents=True)
    if mounted:
        (folder / "etc/pve/local").symlink_to("nodes/one")
    if text is not None:
        (folder / "etc/pve/firewall/cluster.fw").write_bytes(text)
    return read_firewall(Clock(str(folder)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "off: there is no cluster.fw"),
        (b"", OFF),
        (b"[OPTIONS]\n\nenable: 1\n", "on"),
        (b"[options]\n  enable:1\t\n", "on"),
        (b"enable: 1\n[OPTIONS]\nenable: 0\n", "off"),
        (b"[OPTIONS]\nenable: yes\n", OFF),
        (b"[OPTIONS]\n# enable: 1\n", OFF),
        (b"[OPTIONS]\r\nenable: 1\r\n", OFF),
        (b"\xef\xbb\xbf[OPTIONS]\nenable: 1\n", OFF),
        (b"[OPTIONS]\n[ALIASES]\nenable: 1\n", OFF),
        (b"[OPTIONS]\n[IPSET a_b] # of the guests\nenable: 1\n", OFF),
        (b"[OPTIONS]\n[FOO]\nenable: 1\n", "on"),
        (b"[OPTIONS]\nenable: 1\nenable: 0\n", "off"),
        (b"[OPTIONS]\nenable: 1700000000\n", "on"),
        (b"[OPTIONS]\nenable: 1600000000\n", "off"),
    ],
)
def test_the_line_that_turns_it_on(tmp_path: Path, text: bytes | None, said: str) -> None:
    assert node(tmp_path, text) == said


def test_without_the_clusters_files_nothing_is_said(tmp_path: Path) -> None:
    assert node(tmp_path, b"[OPTIONS]\nenable: 1\n", mounted=False) == ""


def test_what_cannot_be_read_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "etc/pve/firewall/cluster.fw").mkdir(parents=True)
    (tmp_path / "etc/pve/local").symlink_to("nodes/one")
    assert read_firewall(Clock(str(tmp_path))) == ""


def test_the_rows_of_a_node() -> None:
    guests = tuple(
        Guest(number, Kind.VM, name) for number, name in enumerate(["web", "db", "", "nas"], start=100)
    )
    facts = Facts(Door.LIVE, Kind.PVE, guests=Lazy.of(guests), firewall=Lazy.of("on"))
    rows = {what: (value, known) for what, value, known in found_here(facts, Role.CLIENT)}
    assert rows["guests"] == ("4: web, db, 102, nas", "/etc/pve/qemu-server and lxc")
    assert rows["firewall"] == ("on", "of the datacenter, /etc/pve/firewall/cluster.fw")
    many = dataclasses.replace(facts, guests=Lazy.of(guests[:1] * 60), firewall=Lazy.of(""))
    told = {what: value for what, value, _ in found_here(many, Role.CLIENT)}
    assert told["guests"] == f"60: {', '.join(['web'] * 8)} and 52 more"
    assert "firewall" not in told
    elsewhere = dataclasses.replace(facts, kind=Kind.VM)
    assert not {"guests", "firewall"} & {what for what, _, _ in found_here(elsewhere, Role.CLIENT)}
