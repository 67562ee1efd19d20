"""What check shows of the logs: recorded ones of three versions of NUT, and what may stand in a log besides.

A folder of `tests/cases/logs` holds `log`, what rsyslog wrote or `journalctl -o short-unix` printed on Debian
11, 12 and 13 with their own NUT, systemd and rsyslog, cut to NUT's lines and a few others; and
`expected.yaml`: where the log is from (journal, syslog), the machine's role, and what is shown, with the
events in it, at the times at which it is read.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard import as_json
from nutwizard.core.facts import Door, Facts, Role
from nutwizard.core.facts import Kind as MachineKind
from nutwizard.core.loglines import lines_of
from nutwizard.core.logtexts import MOST_ROWS, MOST_TEXT, Kind
from nutwizard.engine.doctor import Examination
from nutwizard.engine.host import Completed
from nutwizard.engine.logs import LIMIT, MOST_BYTES, Log, read_log
from nutwizard.engine.machine import OfflineHost
from nutwizard.wording.logs import log_text

FOLDER = Path(__file__).parent / "cases" / "logs"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.yaml"))
SYSLOG = "var/log/syslog"
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()


class Logged(OfflineHost):
    """A running machine in a folder; its journal is a text, None: it has no journalctl."""

    door = Door.LIVE

    def __init__(self, root: Path, now: float, journal: Completed | None = None) -> None:
        super().__init__(str(root))
        self._now, self._journal = now, journal
        self.asked: list[list[str]] = []
        if journal is not None:
            put(root, "usr/bin/journalctl", "")

    def now(self) -> float:
        return self._now

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        assert self._journal is not None
        assert timeout <= LIMIT
        self.asked.append(list(argv))
        return self._journal


def case_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / name / "expected.yaml").read_text())
    return found


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def syslog(root: Path, text: str, role: Role = Role.CLIENT, now: float = NOON) -> Log:
    put(root, SYSLOG, text)
    return read_log(Logged(root, now), role)


def at(clock: str, text: str, tag: str = "upsmon[7]") -> str:
    return f"2026-11-24T{clock}+00:00 vm {tag}: {text}\n"


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_log(name: str, tmp_path: Path) -> None:
    case, recorded = case_of(name), (FOLDER / name / "log").read_text()
    if case["from"] == "syslog":
        put(tmp_path, SYSLOG, recorded)
    journal = Completed(0, recorded) if case["from"] == "journal" else None

    for reading in case["readings"]:
        now = datetime.fromisoformat(reading["now"]).timestamp()
        log = read_log(Logged(tmp_path, now, journal), Role(case["role"]))

        assert log_text(log) == reading["shown"]
        assert [row.kind.value for row in log.rows] == reading["events"]


def test_every_version_is_recorded_on_both_sides() -> None:
    pairs = {(name.partition("-")[0], case_of(name)["role"]) for name in CASES}

    assert pairs >= {
        (version, role) for version in ("2.7.4", "2.8.0", "2.8.1") for role in ("host", "client")
    }


def test_no_recorded_log_has_a_password() -> None:
    for name in CASES:
        assert not re.search("wrongpass|clientpass|hostpass", (FOLDER / name / "log").read_text())


def test_the_journal_is_asked_within_bounds(tmp_path: Path) -> None:
    host = Logged(tmp_path, NOON, Completed(0))

    read_log(host, Role.HOST)

    (argv,) = host.asked
    assert argv[0] == "/usr/bin/journalctl"
    assert {"--no-pager", "short-unix", "3000", f"--since=@{int(NOON) - 600}"} <= set(argv)
    assert [argv[n + 1] for n, word in enumerate(argv) if word == "-u"] == [
        "nut-monitor.service",
        "nut-server.service",
    ]


@pytest.mark.parametrize(
    ("journal", "shown"),
    [
        (
            Completed(0, "-- No entries --\n", "Hint: ...\nNo journal files were found.\n"),
            "Log: the journal cannot be read: No journal files were found.\n",
        ),
        (Completed(-1, timed_out=True), "Log: the journal did not answer within 5 s.\n"),
        (Completed(1), "Log: the journal cannot be read: no reason given.\n"),
        (None, "Log: there is none to read here.\n"),
    ],
)
def test_a_journal_that_cannot_be_read_is_told(tmp_path: Path, journal: Completed | None, shown: str) -> None:
    assert log_text(read_log(Logged(tmp_path, NOON, journal), Role.HOST)) == shown


def test_a_journal_that_cannot_be_read_leaves_the_file(tmp_path: Path) -> None:
    put(tmp_path, SYSLOG, at("11:59:00", "UPS u@h on battery"))
    for journal in (Completed(1, err="no"), Completed(0, "-- No entries --\n")):
        log = read_log(Logged(tmp_path, NOON, journal), Role.CLIENT)

        assert (log.source, [row.kind for row in log.rows]) == ("/var/log/syslog", [Kind.ONBATT])


def test_a_journal_without_lines_is_a_log(tmp_path: Path) -> None:
    shown = log_text(read_log(Logged(tmp_path, NOON, Completed(0, "-- No entries --\n")), Role.CLIENT))

    assert shown.splitlines() == [
        "Log: the journal of nut-monitor and nut-server, the 10 minutes up to 2026-11-24 12:00:00",
        "  nothing about the connection",
        "  upsmon logs what changes: a connection that stays as it is leaves no new line.",
    ]


def test_below_another_root_the_end_of_the_file_counts(tmp_path: Path) -> None:
    assert log_text(read_log(OfflineHost(str(tmp_path)), Role.HOST)) == "Log: there is none to read here.\n"
    put(tmp_path, SYSLOG, at("03:00:00", "UPS u@h on battery") + at("03:10:01", "UPS u@h on line power"))

    shown = log_text(read_log(OfflineHost(str(tmp_path)), Role.CLIENT))

    assert shown.splitlines() == [
        "Log: /var/log/syslog, the 10 minutes up to 2026-11-24 03:10:01",
        "  03:10:01  UPS u@h on line power",
    ]


def test_a_file_that_was_just_turned_over(tmp_path: Path) -> None:
    put(tmp_path, f"{SYSLOG}.1", at("11:58:00", "UPS u@h on battery"))
    log = syslog(tmp_path, at("11:59:00", "UPS u@h on line power"))

    assert [row.kind for row in log.rows] == [Kind.ONBATT, Kind.ONLINE]


def test_something_else_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / SYSLOG).parent.mkdir(parents=True)
    os.mkfifo(tmp_path / SYSLOG)
    log = read_log(Logged(tmp_path, NOON), Role.HOST)

    assert (log.source, log.why) == ("", "/var/log/syslog cannot be read: not a regular file")


def test_the_users_own_texts(tmp_path: Path) -> None:
    own = 'NOTIFYMSG COMMOK "%s ist wieder da, 100 Prozent"\nNOTIFYMSG FSD "Feierabend: alles aus"\n'
    vague = 'NOTIFYMSG ONBATT "%s"\nNOTIFYMSG ONLINE "Strom da: 100%%"\nNOTIFYMSG NOCOMM "weg, weg"\n'
    put(tmp_path, "etc/nut/upsmon.conf", own + vague + 'NOTIFYMSG COMMBAD "weg, weg"\n')
    texts = (
        "u@h ist wieder da, 100 Prozent",
        "Feierabend: alles aus",
        "u@h",
        "weg, weg",
        "UPS u@h on battery",
    )
    log = syslog(tmp_path, "".join(at(f"11:59:0{n}", text) for n, text in enumerate(texts)))

    assert [(row.kind, row.ups) for row in log.rows] == [
        (Kind.COMMOK, "u@h"),
        (Kind.FSD, ""),
        (Kind.ONBATT, "u@h"),
    ]


@pytest.mark.parametrize(
    ("now", "stamp", "expected"),
    [
        ("2027-01-01T00:00:05", "Dec 31 23:59:58", "2026-12-31T23:59:58"),
        ("2026-12-31T23:59:58", "Jan  1 00:00:01", "2027-01-01T00:00:01"),
        ("2028-03-01T00:00:05", "Feb 29 23:59:59", "2028-02-29T23:59:59"),
        ("2029-03-01T00:00:05", "Feb 29 23:59:59", "2028-02-29T23:59:59"),
        ("2026-03-01T00:00:05", "Feb 30 23:59:59", None),
        ("2026-03-01T00:00:05", "Foo 10 23:59:59", None),
        ("2026-03-01T00:00:05", "Mar  1 24:00:00", None),
    ],
)
def test_a_stamp_without_a_year(now: str, stamp: str, expected: str | None) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()

    found = [line.at for line in lines_of(f"{stamp} vm upsmon[7]: x\n", moment, UTC)]

    assert [datetime.fromtimestamp(each, UTC).isoformat()[:19] for each in found] == (
        [expected] if expected else []
    )


def test_a_check_that_looked_in_is_no_client_that_left(tmp_path: Path) -> None:
    clocks = ("00 into", "01 into", "01 out from", "20 out from", "30 into", "40 into", "41 out from")
    lines = [
        at(f"11:59:{clock[:2]}", f"User vm@10.0.0.9 logged {clock[3:]} UPS [apc]", "upsd[1]")
        for clock in clocks
    ]
    log = syslog(tmp_path, "".join(lines), Role.HOST)

    assert log_text(log).splitlines()[1:] == [
        "  11:59:20  User vm@10.0.0.9 logged out from UPS [apc]",
        "  11:59:00 to 11:59:30  2 times: User vm@10.0.0.9 logged into UPS [apc]",
        "  11:59:01 to 11:59:40  2 times: User vm@10.0.0.9 logged into UPS [apc], and out again",
        "  A packet that a firewall drops never reaches upsd: nothing of it is here.",
        "  A refused login is not logged here either. The client's own log has both.",
        "  Who logs out again at once is a nutwizard check: upsmon stays logged in.",
    ]


def test_repeats_that_the_logger_has_folded(tmp_path: Path) -> None:
    text = "UPS [u@h]: connect failed: Connection failure: Connection timed out"
    log = syslog(tmp_path, at("11:59:00", text) + at("11:59:40", f"message repeated 5 times: [ {text}]"))

    assert [row.count for row in log.rows] == [6]


def test_what_a_log_may_hold_is_shown_safely(tmp_path: Path) -> None:
    hostile = "x\x1b[2J\u202e@10.0.0.9"
    log = syslog(
        tmp_path,
        at("11:59:00", f"User {hostile} logged into UPS [apc]", "upsd[1]")
        + at("11:59:01", f"UPS [u@h]: connect failed: {'A' * 5000}")
        + at("11:59:02", "UPS [u@h]: connect failed: Connection timed out", "sshd[1]")
        + at("11:59:03", "UPS [u@[fe80::1]:3494]: connect failed: Network is unreachable"),
        Role.HOST,
    )

    first, second, third = log.rows
    assert (first.user, first.address) == ("x\\x1b[2J\\u202e", "10.0.0.9")
    assert len(second.text) == len(second.reason) == MOST_TEXT
    assert third.ups == "u@[fe80::1]:3494"
    assert log_text(log).isprintable() is False
    assert all(part.isprintable() for part in log_text(log).split("\n"))
    seen = Examination((), (), log, (), Facts(Door.OFFLINE, MachineKind.PLAIN))
    assert "\\u001b" not in as_json.examination(Role.HOST, seen, practice=False)


def test_only_the_newest_rows_of_a_great_many(tmp_path: Path) -> None:
    texts = [f"UPS u{n}@h on battery" for n in range(MOST_ROWS + 7)]
    log = syslog(tmp_path, "".join(at(f"11:59:{n:02}", text) for n, text in enumerate(texts)))

    assert (len(log.rows), log.left_out, log.rows[-1].ups) == (MOST_ROWS, 7, f"u{MOST_ROWS + 6}@h")
    assert "  ... 7 older rows\n" in log_text(log)


def test_a_large_file_costs_its_end_alone(tmp_path: Path) -> None:
    line = at("11:59:00", "UPS [" + "u@" * 400 + "h]: connect failed")
    text = line * (8 * MOST_BYTES // len(line)) + at("11:59:59", "UPS u@h on battery")
    put(tmp_path, SYSLOG, text)
    begin = time.process_time()

    log = read_log(Logged(tmp_path, NOON), Role.CLIENT)

    assert [row.kind for row in log.rows] == [Kind.ONBATT]
    assert time.process_time() - begin < 2
