"""Measured times: kept beside the proof, bounded, and never an error, whatever the file holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nutwizard.core import paths
from nutwizard.core.facts import Door
from nutwizard.core.measured import How, Measurement, What, best, guest
from nutwizard.engine import measured
from nutwizard.engine.machine import OfflineHost

NOW = 1_000_000.0


class Kept(OfflineHost):
    """A live machine in a folder, with a clock of its own."""

    door = Door.LIVE

    def now(self) -> float:
        return NOW

    def may_write(self) -> bool:
        return True


@pytest.fixture
def host(tmp_path: Path) -> Kept:
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    return Kept(str(tmp_path))


def one(what: str = What.FINAL, seconds: float = 5.0, at: float = 100.0, how: How = How.FSD) -> Measurement:
    return Measurement(what, seconds, at, how)


def test_what_is_added_is_read_again_and_only_for_its_owner(host: Kept) -> None:
    first, second = one(), one(guest(101), 33.5, 200.0, How.GUEST)
    assert measured.read(host) == ()
    assert measured.add(host, [first])
    assert measured.add(host, [second])
    assert measured.read(host) == (first, second)
    stat = host.stat(paths.MEASURED)
    assert stat is not None
    assert stat.owner.mode == 0o600


def test_of_each_part_the_newest_is_kept_and_never_more_than_so_many(host: Kept) -> None:
    measured.add(host, [one(at=300.0, seconds=7.0), one(at=200.0), one(at=100.0, how=How.REHEARSAL)])
    assert [each.seconds for each in measured.read(host)] == [5.0, 7.0]
    measured.add(host, (one(guest(number), at=number) for number in range(1000, 1000 + 2 * measured.MOST)))
    assert len(measured.read(host)) == measured.MOST
    assert len(host.read(paths.MEASURED)) < 64 << 10


def test_nothing_is_kept_below_another_root(tmp_path: Path) -> None:
    assert not measured.add(OfflineHost(str(tmp_path)), [one()])
    assert not list(tmp_path.iterdir())


GOOD = {"what": "final", "seconds": 5, "at": 100, "how": "fsd"}
HOSTILE: dict[str, Callable[[], bytes]] = {
    "torn": lambda: json.dumps([GOOD]).encode()[:-4],
    "empty": lambda: b"",
    "binary": lambda: bytes(range(256)),
    "deep": lambda: b"[" * 60_000,
    "too large": lambda: b" " * (1 << 17),
    "no list": lambda: json.dumps(GOOD).encode(),
    "other rows": lambda: json.dumps([1, None, [], {}, {"what": 1}]).encode(),
    "a word of its own": lambda: json.dumps([GOOD | {"what": "guest.\x1b[2J"}]).encode(),
    "another way": lambda: json.dumps([GOOD | {"how": "guess"}]).encode(),
    "no number": lambda: b'[{"what": "final", "seconds": NaN, "at": 1, "how": "fsd"}]',
    "without end": lambda: b'[{"what": "final", "seconds": Infinity, "at": 1, "how": "fsd"}]',
    "huge": lambda: b'[{"what": "final", "seconds": 1' + b"0" * 400 + b', "at": 1, "how": "fsd"}]',
    "negative": lambda: json.dumps([GOOD | {"seconds": -1}]).encode(),
    "of tomorrow": lambda: json.dumps([GOOD | {"at": NOW + 86400}]).encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_holds_no_measurement_is_none_and_no_error(host: Kept, name: str) -> None:
    folder = Path(host.on_disk(paths.STATE))
    folder.mkdir(parents=True)
    (folder / "measured.json").write_bytes(HOSTILE[name]())
    assert measured.read(host) == ()
    assert measured.add(host, [one()])
    assert measured.read(host) == (one(),)


def test_a_good_row_among_bad_ones_counts(host: Kept) -> None:
    folder = Path(host.on_disk(paths.STATE))
    folder.mkdir(parents=True)
    (folder / "measured.json").write_text(json.dumps([7, GOOD, GOOD | {"how": []}]))
    assert measured.read(host) == (one(),)


def test_a_real_shutdown_counts_more_than_a_newer_rehearsal() -> None:
    real, older = one(at=100.0), one(at=50.0)
    played = one(at=900.0, how=How.REHEARSAL)
    assert best((older, played, real), What.FINAL) == real
    assert best((played,), What.FINAL) == played
    assert best((played,), What.HOST) is None
