"""What is kept of rehearsals: written for root alone, read back, and which of them is told."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nutwizard.core import paths
from nutwizard.core.facts import Door, Facts, FileFact, Kind, Owner
from nutwizard.core.rehearsal.cast import Cast, Item, Member
from nutwizard.core.rehearsal.pace import Pace
from nutwizard.core.rehearsal.scenario import Scenario
from nutwizard.core.rehearsal.verdict import Verdict
from nutwizard.core.rules.rule import Severity
from nutwizard.core.text import FileText
from nutwizard.engine.lastplay import LastPlay, last_plays, played_files, remember, that_counts
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.rehearsal.run import Rehearsed
from nutwizard.wording.rehearsing import rehearsed_line


def of_files(text: str) -> Facts:
    """A host with nothing but this upsmon.conf."""
    found = FileText(paths.UPSMON_CONF, text.encode())
    fact = FileFact(paths.UPSMON_CONF, "file", paths.UPSMON_CONF, found, Owner("root", "nut", 0o640))
    return Facts(Door.LIVE, Kind.PLAIN, files={fact.path: fact})


FACTS = of_files("MONITOR x\n")
BROKEN = Item(Severity.BROKEN, "pve", "it never ran its SHUTDOWNCMD", "nutwizard check")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Kept(OfflineHost):
    """A folder that may be written to; its clock is set by hand."""

    door = Door.LIVE
    clock = time.mktime((2026, 3, 1, 12, 0, 0, 0, 0, -1))

    def may_write(self) -> bool:
        return True

    def now(self) -> float:
        return self.clock


@pytest.fixture
def host(tmp_path: Path) -> Kept:
    for folder in ("var/lib", "etc"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    return Kept(str(tmp_path))


def played(scenario: Scenario, *items: Item, cut_off: bool = False) -> Rehearsed:
    cast = Cast(scenario, (Member("pve", True), Member("web", False)))
    verdict = Verdict({"pve": 6.5, "web": 5.3}, items, {})
    return Rehearsed(cast, Pace(), (), verdict, 12.0, 60.0, cut_off)


def test_of_each_scenario_the_last_is_kept(host: Kept, tmp_path: Path) -> None:
    assert last_plays(host) == ()
    for done in (
        played(Scenario.CUT, BROKEN),
        played(Scenario.BLIP),
        played(Scenario.CUT),
        played(Scenario.FSD, cut_off=True),
    ):
        remember(host, FACTS, done)
        host.clock += 60
    found = [(each.scenario, each.well, each.broken) for each in last_plays(host)]
    assert found == [(Scenario.BLIP, True, 0), (Scenario.CUT, True, 0), (Scenario.FSD, False, 0)]
    assert last_plays(host)[1].order == ("web", "pve")
    assert (tmp_path / paths.REHEARSED.lstrip("/")).stat().st_mode & 0o777 == 0o600


def test_a_cut_that_went_wrong_is_not_made_good_by_a_blip(host: Kept) -> None:
    remember(host, FACTS, played(Scenario.CUT, BROKEN))
    host.clock += 60
    remember(host, FACTS, played(Scenario.BLIP))
    files = played_files(FACTS)
    last = that_counts(last_plays(host), files)
    assert last is not None
    assert rehearsed_line(last, files) == "Rehearsed on 2026-03-01: not well (cut)"
    newer = that_counts(last_plays(host), "other files")
    assert newer is not None
    assert rehearsed_line(newer, "other files") == "Rehearsed on 2026-03-01: files changed since (blip)"
    assert that_counts((), files) is None


def test_it_stands_for_the_files_that_a_play_depends_on() -> None:
    assert played_files(FACTS) == played_files(of_files("MONITOR x\n"))
    assert played_files(FACTS) != played_files(of_files("MONITOR xy\n"))
    apart = {paths.CLUSTER_FW, paths.OUTSIDE}
    some = next(iter(FACTS.files.values()))
    others = {path: replace(some, path=path, actual=path) for path in apart}
    assert played_files(FACTS) == played_files(replace(FACTS, files={**FACTS.files, **others}))


@pytest.mark.parametrize(
    "text",
    ["", "{", "7", "[7]", '[{"at": 1}]', '[{"at": 1, "scenario": "flood", "well": true}]', "[" * 60000],
)
def test_what_is_torn_or_not_ours_counts_as_nothing(text: str, host: Kept, tmp_path: Path) -> None:
    file = tmp_path / paths.REHEARSED.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert last_plays(host) == ()


def test_below_another_root_nothing_is_kept(host: Kept, tmp_path: Path) -> None:
    remember(OfflineHost(str(tmp_path)), FACTS, played(Scenario.CUT))
    assert last_plays(host) == ()


def test_a_play_is_told_in_a_few_words() -> None:
    play = LastPlay(Kept.clock, Scenario.CUT, False, (), 2, "x")
    assert play.told(stands=True) == "on 2026-03-01: not well"
    assert replace(play, well=True).told(stands=True) == "on 2026-03-01: well"
    assert play.told(stands=False) == "on 2026-03-01: files changed since"
