"""A forced shutdown on a machine that is a folder: what it wants before, what it notes, its bounds."""

from __future__ import annotations

import io
import itertools
import json
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit, Failed, Locked, UsageError, WizardError
from nutwizard.core.facts import Door, Role
from nutwizard.core.fsd.ready import Person, Ready
from nutwizard.core.fsd.record import Happened, Record
from nutwizard.core.fsd.report import Outcome
from nutwizard.core.paths import FSD
from nutwizard.engine.fsd import firing, following, people, records, reporting
from nutwizard.engine.fsd.firing import fire, watch
from nutwizard.engine.fsd.records import Records, Result, boot_now, reminder
from nutwizard.engine.host import Completed
from nutwizard.engine.logs import read_boot
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.store import Store
from nutwizard.prompts.firing import converse
from nutwizard.prompts.plain import PlainAsker
from tests.core.test_fsd_ready import CASES, ready_of
from tests.support.sessions import AS_ROOT

pytestmark = AS_ROOT

BOOT, NEXT = "1" * 32, "2" * 32
NOW = 1_000_000.0
Said = tuple[Mapping[str, str], Mapping[str, tuple[str, ...]]] | None
ONLINE: Said = ({"apc": "OL"}, {"apc": ("127.0.0.1", "192.168.1.10")})
FORCED: Said = ({"apc": "FSD OL"}, {"apc": ("127.0.0.1", "192.168.1.10")})


class Folder(OfflineHost):
    """A running machine in a folder, with a clock of its own; `ran` are the commands that were run."""

    door = Door.LIVE

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.folder, self.clock = root, 0.0
        self.ran: list[list[str]] = []
        self.answers: dict[str, Completed] = {}
        self.meanwhile: Callable[[], None] = lambda: None
        self.boot(BOOT)
        self.put("/usr/sbin/upsmon", "")

    def put(self, path: str, text: str | bytes) -> None:
        where = self.folder / path.lstrip("/")
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(text.encode() if isinstance(text, str) else text)

    def boot(self, name: str) -> None:
        self.put(records.BOOT_ID, f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}\n")

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        self.ran.append(list(argv))
        self.meanwhile()
        words = " ".join(argv)
        return next((done for start, done in self.answers.items() if words.startswith(start)), Completed(0))

    def now(self) -> float:
        return NOW + self.clock

    def ticks(self) -> float:
        return self.clock

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 1
        self.clock += seconds


@pytest.fixture
def host(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def upsd(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What upsd says, one answer after the other; the last one stays."""

    def says(*answers: Said) -> None:
        left = list(answers)
        monkeypatch.setattr(firing, "upsd_says", lambda *_: left.pop(0) if len(left) > 1 else left[0])

    says(ONLINE, FORCED)
    return says


@pytest.fixture
def ready() -> Ready:
    """A sound host named pve: nothing is in the way, nothing to acknowledge."""
    return ready_of(CASES[0])


def fired(host: Folder) -> bool:
    return [argv for argv in host.ran if "fsd" in argv] == [["/usr/sbin/upsmon", "-c", "fsd"]]


def notes(host: Folder) -> list[Happened]:
    record = Records(host).newest()
    assert record is not None
    return [note.what for note in Records(host).notes(record)]


def test_it_is_noted_before_it_is_fired(host: Folder, ready: Ready, upsd: object) -> None:
    seen: list[Record | None] = []
    host.meanwhile = lambda: seen.append(Records(host).newest())

    record = fire(host, replace(ready, loads="a switch"), {"loads"}, "pve", lambda text: None)

    assert fired(host)
    assert seen == [record]
    assert (record.id, record.boot, record.host, record.nut) == (1, BOOT, "pve", "2.8.0")
    assert (record.systems, record.logged_in) == (("apc@localhost",), ("192.168.1.10",))
    assert [str(client) for client in record.clients] == ["web (192.168.1.10)"]
    assert record.acknowledged == ("what else hangs on the UPS: loses its power for some seconds: a switch",)
    assert notes(host) == [Happened.FIRED, Happened.SEEN]
    assert (host.folder / FSD.lstrip("/")).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("typed", ["", "p", "pv", "PVE", "pve ", " pve", "pve.lan", "yes"])
def test_nothing_but_the_name_fires(host: Folder, ready: Ready, upsd: object, typed: str) -> None:
    with pytest.raises(UsageError, match="not the name of this host"):
        fire(host, ready, (), typed, lambda text: None)
    assert (host.ran, Records(host).newest()) == ([], None)


@pytest.mark.parametrize("case", [case for case in CASES if case["expect"]], ids=lambda case: case["name"])
def test_what_is_in_the_way_or_open_is_not_passed_over(
    host: Folder, upsd: object, case: dict[str, object]
) -> None:
    with pytest.raises(WizardError):
        fire(host, ready_of(case), (), "pve", lambda text: None)
    assert (host.ran, Records(host).newest()) == ([], None)


@pytest.mark.parametrize("door", [Door.PRACTICE, Door.OFFLINE])
def test_no_machine_but_the_live_one(host: Folder, ready: Ready, upsd: object, door: Door) -> None:
    host.door = door
    with pytest.raises(UsageError, match="no real machine"):
        fire(host, ready, (), "pve", lambda text: None)
    assert host.ran == []


@pytest.mark.parametrize("now", [None, ({"apc": "OB DISCHRG"}, {}), ({"apc": "FSD OL"}, {}), ({}, {})])
def test_the_mains_are_looked_at_again(
    host: Folder, ready: Ready, upsd: Callable[..., None], now: Said
) -> None:
    upsd(now)
    with pytest.raises(Failed, match=r"ups\.status of apc is now"):
        fire(host, ready, (), "pve", lambda text: None)
    assert (host.ran, Records(host).newest()) == ([], None)


def test_the_flag_is_looked_for_again(host: Folder, ready: Ready, upsd: object) -> None:
    host.put("/etc/killpower", "")
    with pytest.raises(Failed, match="/etc/killpower is there now"):
        fire(host, ready, (), "pve", lambda text: None)
    assert host.ran == []


def test_another_run_keeps_it_away(host: Folder, ready: Ready, upsd: object) -> None:
    Store(host).prepare()
    lock = Store(host).lock()
    with pytest.raises(Locked):
        fire(host, ready, (), "pve", lambda text: None)
    lock.release()
    assert host.ran == []


def test_what_cannot_be_noted_is_not_fired(host: Folder, ready: Ready, upsd: object) -> None:
    Store(host).prepare()
    host.put(FSD, "a file where the folder is to be")
    with pytest.raises(Failed, match="cannot be noted"):
        fire(host, ready, (), "pve", lambda text: None)
    assert host.ran == []


@pytest.mark.parametrize(
    ("done", "why"),
    [
        (Completed(1, err="fopen /run/nut/upsmon.pid: No such file\n"), "ended with code 1: fopen"),
        (Completed(-1, timed_out=True), "did not end"),
    ],
)
def test_a_command_that_fails_is_marked(
    host: Folder, ready: Ready, upsd: object, done: Completed, why: str
) -> None:
    host.answers["/usr/sbin/upsmon"] = done
    with pytest.raises(Failed, match=why):
        fire(host, ready, (), "pve", lambda text: None)
    assert notes(host) == [Happened.FIRED, Happened.FAILED]
    assert reminder(host) == ""


def test_a_signal_that_nobody_heard_is_marked_in_time(
    host: Folder, ready: Ready, upsd: Callable[..., None]
) -> None:
    upsd(ONLINE)
    with pytest.raises(Failed, match=r"no FSD stands in ups\.status after 12 s"):
        fire(host, ready, (), "pve", lambda text: None)
    assert notes(host) == [Happened.FIRED, Happened.FAILED]
    assert host.clock < 13


def test_an_upsd_that_is_away_has_not_heard_it(host: Folder, ready: Ready, upsd: Callable[..., None]) -> None:
    upsd(ONLINE, None)
    with pytest.raises(Failed, match="upsd does not answer after 12 s"):
        fire(host, ready, (), "pve", lambda text: None)
    upsd(ONLINE, None)
    host.meanwhile = lambda: host.put("/etc/killpower", "")
    record = fire(host, ready, (), "pve", lambda text: None)
    assert [note.what for note in Records(host).notes(record)] == [Happened.FIRED, Happened.SEEN]


def test_what_a_client_hands_over_is_a_file_of_its_report(tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text('{"seen": {')
    os.mkfifo(tmp_path / "fifo")
    for name, why in (
        ("torn.json", "this is no report"),
        ("fifo", "no regular file"),
        ("none", "No such file"),
    ):
        with pytest.raises(UsageError, match=why):
            reporting.read_clients([str(tmp_path / name)])


def test_the_view_tells_who_left_and_ends(host: Folder, ready: Ready, upsd: Callable[..., None]) -> None:
    record = fire(host, ready, (), "pve", lambda text: None)
    upsd(FORCED, FORCED, ({"apc": "FSD OL"}, {"apc": ("127.0.0.1",)}), None)
    said: list[str] = []

    def told(text: str) -> None:
        said.append(text)
        if "upsd has ended" in text:
            host.put("/etc/killpower", "")

    watch(host, ready, record, told)

    assert firing.PATIENCE <= host.now() - record.at < firing.PATIENCE + 2
    assert any("web (192.168.1.10) has logged out" in text for text in said)
    assert any("/etc/killpower is written; SHUTDOWNCMD is called now" in text for text in said)
    assert sum("this host still runs" in text for text in said) == 1
    assert notes(host) == [Happened.FIRED, Happened.SEEN, Happened.LEFT, Happened.FLAG]


def test_the_next_start_reminds_until_the_report_was_made(host: Folder, ready: Ready, upsd: object) -> None:
    assert reminder(host) == ""
    record = fire(host, ready, (), "pve", lambda text: None)
    assert reminder(host) == "A forced shutdown is under way."
    host.clock += records.GOING + 1
    assert "has not gone down: nutwizard fsd report" in reminder(host)
    host.boot(NEXT)
    assert reminder(host) == "A forced shutdown was tested. How it ended: nutwizard fsd report"
    Records(host).keep(Result(record.id, record.at, Outcome.WELL))
    assert reminder(host) == ""
    assert Records(host).result() == Result(1, record.at, Outcome.WELL)


def test_a_torn_record_is_passed_over(host: Folder, ready: Ready, upsd: object) -> None:
    fire(host, ready, (), "pve", lambda text: None)
    host.put(f"{FSD}/000002/record.json", '{"id": 2, "at": 1')
    host.put(f"{FSD}/000001/notes", '{"at": 3.0, "what": "fired", "who": ""}\n{"at": 4.0, "wh')

    assert notes(host) == [Happened.FIRED]
    assert boot_now(host) == BOOT


def typed(host: Folder, ready: Ready, lines: str) -> Exit:
    """What a person types at the command, who then leaves."""
    return converse(host, ready, PlainAsker(io.StringIO(lines), io.StringIO()))


def test_no_three_keys_fire(host: Folder, ready: Ready, upsd: object) -> None:
    """Whatever is open: the name has three letters, and a terminal hands a line over with its Enter."""
    keys = (
        "".join(each) for length in range(4) for each in itertools.product("pve\nya1s?<2n ", repeat=length)
    )
    lines = {each[: each.rfind("\n") + 1] for each in keys}
    for start in (ready, replace(ready, loads="a switch"), replace(ready, loads="")):
        for each in lines:
            assert typed(host, start, each) is Exit.INTERRUPTED
    assert len(lines) > 100
    assert (host.ran, Records(host).newest()) == ([], None)


def test_the_acknowledgement_and_the_name_fire(host: Folder, ready: Ready, upsd: object) -> None:
    assert typed(host, replace(ready, loads="a switch"), "stop\npve\n") is Exit.INTERRUPTED
    assert typed(host, replace(ready, loads="a switch"), "\npve\n") is Exit.INTERRUPTED
    assert host.ran == []
    assert typed(host, replace(ready, loads="a switch"), "acknowledge\npv\npve\n") is Exit.FAILED
    assert fired(host)


def test_on_a_practice_machine_everything_is_asked(host: Folder, ready: Ready, upsd: object) -> None:
    host.door = Door.PRACTICE
    view = replace(ready.look.view, facts=replace(ready.look.facts, door=Door.PRACTICE), parsed={})
    practice = replace(ready, look=replace(ready.look, view=view), loads="a switch")
    out = io.StringIO()

    code = converse(host, practice, PlainAsker(io.StringIO("acknowledge\npve\n"), out))

    assert code is Exit.DONE
    assert out.getvalue().count("Nothing can be fired on a practice machine") == 2
    assert (host.ran, Records(host).newest()) == ([], None)


def test_what_else_hangs_on_the_ups_is_asked_once(host: Folder, ready: Ready, upsd: object) -> None:
    assert typed(host, replace(ready, loads=""), "\n  the switch \nstop\n") is Exit.INTERRUPTED
    assert Records(host).loads() == "the switch"
    assert host.ran == []


LISTED = "      1 0 root seat0 tty1\n      4 1000 anna      pts/3\n     c2 0 root      pts/0\n"
SHOWN = """Id=1
Name=root
TTY=tty1
RemoteHost=
Class=user
State=active

Id=4
Name=anna\x1b[2J
TTY=pts/3
RemoteHost=192.168.1.20
Class=user
State=active

Id=c2
Name=root
TTY=pts/0
RemoteHost=192.168.1.21
Class=user
State=active

Id=7
Name=gdm
TTY=
RemoteHost=
Class=greeter
State=online
"""
ANNA = Person("anna\\x1b[2J", "pts/3", "192.168.1.20")


def test_who_is_logged_in_by_logind(host: Folder) -> None:
    host.put(people.LOGINCTL, "")
    host.answers[f"{people.LOGINCTL} --no-legend"] = Completed(0, LISTED)
    host.answers[f"{people.LOGINCTL} --no-pager"] = Completed(0, SHOWN)

    assert people.people(host, "pts/0") == (Person("root", "tty1"), ANNA)
    host.put("/proc/self/sessionid", "1")
    assert people.people(host, "pts/0") == (ANNA,)
    host.answers[f"{people.LOGINCTL} --no-legend"] = Completed(0, "")
    assert people.people(host) == ()


def utmp(kind: int, user: str, line: str, origin: str) -> bytes:
    entry = struct.pack("=hxxi32s4s32s256s52x", kind, 7, *(w.encode() for w in (line, "id", user, origin)))
    assert len(entry) == 384
    return entry


def test_who_is_logged_in_by_utmp(host: Folder) -> None:
    assert people.people(host) is None
    rows = (utmp(2, "reboot", "~", ""), utmp(7, "root", "pts/0", "x"), utmp(7, "eve", "pts/9", "10.0.0.9"))
    host.put(people.UTMP, b"".join(rows) + b"torn")

    assert people.people(host, "pts/0") == (Person("eve", "pts/9", "10.0.0.9"),)


def test_when_this_boot_began(host: Folder) -> None:
    assert reporting.booted(host) == 0.0
    host.put("/proc/stat", "cpu 1 2\nbtime 1000\nprocesses 3\n")
    host.put("/proc/1/stat", f"1 (a) b) S {' '.join(['0'] * 18)} 2500 0 0\n")
    assert reporting.booted(host) == 1025.0


def test_the_log_of_an_earlier_boot(host: Folder) -> None:
    host.put("/usr/bin/journalctl", "")
    unit = "1000.500000 pve upsd[3]: Client upsmon@127.0.0.1 set FSD on UPS [apc]\n"
    tagged = "1000.900000 pve upsmon.conf[9]: SHUTDOWNCMD calling /sbin/shutdown to shut down system\n"

    ending = "1003.250000 pve systemd[1]: Shutting down.\n"

    def run(argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        assert argv[4:6] == ["-b", BOOT]
        assert timeout <= 20
        return Completed(0, tagged if "-t" in argv else unit if "-u" in argv else ending)

    host.run = run  # type: ignore[method-assign]
    log = read_boot(host, BOOT, 990.0, 2000.0, 1100.0)

    assert (log.source, log.last, log.why) == ("the journal of nut-monitor and nut-server", 1003.25, "")
    assert log.whole is True
    ending = "1003.250000 pve systemd[1]: Stopped dbus.service\n"
    assert read_boot(host, BOOT, 990.0, 2000.0, 1100.0).whole is False
    ending = "1003.250000 pve systemd-journald[88]: Journal stopped\n"
    assert read_boot(host, BOOT, 990.0, 2000.0, 1100.0).whole is True
    assert [event.kind.value for event in log.events] == ["forced shutdown set", "SHUTDOWNCMD"]


def test_without_that_boot_in_the_journal_the_file_tells(host: Folder) -> None:
    host.put("/usr/bin/journalctl", "")
    host.answers["/usr/bin/journalctl"] = Completed(1, err="No such boot ID in journal\n")
    assert (
        read_boot(host, BOOT, 0.0, 1.0, 0.0).why == "the journal cannot be read: No such boot ID in journal"
    )
    host.put(
        "/var/log/syslog",
        "2026-11-24T12:00:01+00:00 pve upsd[3]: Client upsmon@127.0.0.1 set FSD on UPS [apc]\n"
        "2026-11-24T12:00:09+00:00 pve systemd[1]: Stopping something\n"
        "2026-11-24T12:03:00+00:00 pve kernel: Linux version 6\n",
    )
    noon = 1795521600.0
    log = read_boot(host, BOOT, noon, noon + 3600, noon + 170)

    assert (log.source, log.last) == ("/var/log/syslog", noon + 9)
    assert [event.line.at for event in log.events] == [noon + 1]


def test_a_client_waits_for_its_host_and_fires_nothing(host: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    look = ready_of({"base": "client-2.8.0", "findings": []}).look
    answers: list[Said] = [({"apc": "OL"}, {}), None, ({"apc": "FSD OL"}, {})]
    monkeypatch.setattr(following, "server_says", lambda *_: answers.pop(0))
    said: list[str] = []

    record = following.follow(host, look, said.append)
    assert record is not None
    following.count_down(host, look, record, said.append)

    assert (record.role, record.id, record.boot) == (Role.CLIENT, 1, BOOT)
    assert said[1:3] == ["The server does not answer.", "FSD is set on the server: this machine shuts down."]
    assert sum("SHUTDOWNCMD in about" in text for text in said) == 6
    assert said[-1].startswith("This machine still runs 65 s after the FSD")
    assert host.ran == []
    assert json.loads(host.read(f"{FSD}/000001/record.json"))["role"] == "client"


def test_a_client_does_not_wait_for_ever(host: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "server_says", lambda *_: ({"apc": "OL"}, {}))

    look = ready_of({"base": "client-2.8.0", "findings": []}).look

    assert following.follow(host, look, lambda text: None) is None
    assert following.WAIT <= host.clock < following.WAIT + 2
    assert (host.ran, Records(host).newest()) == ([], None)
