"""The list of paths on machines in folders: cases as files, what is masked, what a user may not see."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard import as_json, cli
from nutwizard.core import paths
from nutwizard.core.errors import Exit
from nutwizard.core.facts import Door, Owner, Role
from nutwizard.engine.host import LARGEST_FILE, Stat
from nutwizard.engine.listing.listed import PathList, fallback_role, list_paths
from nutwizard.engine.listing.logs import log_commands
from nutwizard.engine.listing.names import Used, used
from nutwizard.engine.listing.rows import Need, PathRow, There, complaint
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.practice import PracticeHost
from nutwizard.engine.store import Store
from nutwizard.engine.transaction import apply
from nutwizard.wording.pathtable import table_text
from nutwizard.wording.screens import result_lines
from tests.prompts.fake import FakeSession
from tests.support.trees import NUT, make_tree, whole_plan

CASES = sorted((Path(__file__).parents[1] / "cases/paths").glob("*.yaml"))
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOW = 1_700_000_000.0
CANARY = "canary-77c1"


def owner(text: str) -> Owner:
    who, mode = text.split()
    user, group = who.split(":")
    return Owner(user, group, int(mode, 8))


@dataclass
class Built:
    """A machine of a case."""

    host: OfflineHost
    spec: Mapping[str, Any]

    @property
    def found(self) -> PathList:
        return list_paths(self.host, Role(self.spec["role"]))


def build(root: Path, spec: Mapping[str, Any]) -> Built:
    """The case's machine. A file without a word about its owner is root:nut 0640, as Debian's are."""
    host = OfflineHost(make_tree(root, {}))
    (root / "etc/group").open("a").write("adm:x:4:\n")
    host = OfflineHost(str(root))
    for path, leads in spec.get("links", {}).items():
        host.make_folder(os.path.dirname(path), Owner("root", "root", 0o755))
        os.symlink(leads, host.on_disk(path))
        if not leads.startswith("/") or leads == "/run":
            host.make_folder(host.real(path), Owner("root", "root", 0o755))
    for path, words in spec["files"].items():
        host.make_folder(host.real(os.path.dirname(path)), Owner("root", "root", 0o755))
        if "leads" in words:
            host.symlink(words["leads"], path)
            continue
        host.create(path, words.get("text", "").encode(), owner(words["owner"]) if "owner" in words else NUT)
        when = NOW - words.get("age", 0)
        os.utime(host.on_disk(path), (when, when))
    for number in range(70 if "many" in spec else 0):
        host.create(f"{spec['many']}/zz{number:02}", b"", NUT)
    for path, given in spec.get("folders", {}).items():
        host.make_folder(path, owner(given))
        host.own(host.real(path), owner(given))
    for path, given in spec.get("sockets", {}).items():
        bind(host.on_disk(path))
        os.chmod(host.on_disk(path), owner(given).mode)
        os.chown(host.on_disk(path), 4711, 4712)
    return Built(host, spec)


def bind(path: str) -> None:
    """A socket at a path that may be too long for bind(2)."""
    here = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{here}/{os.path.basename(path)}")
    finally:
        os.close(here)


@pytest.fixture(params=CASES, ids=lambda path: str(path.stem))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Built:
    return build(tmp_path / "tree", yaml.safe_load(request.param.read_text(encoding="utf-8")))


def shown(row: PathRow) -> dict[str, Any]:
    backups = [f"{os.path.basename(each.path)} {int(NOW - each.changed)}" for each in row.backups]
    return {
        "group": row.group.value,
        "kind": row.kind.value,
        "owner": row.owner_text,
        "purpose": row.purpose,
        "leads_to": row.leads_to,
        "note": row.note,
        "absent": row.absent,
        "wrong": list(row.wrong),
        "backups": backups,
    }


@AS_ROOT
def test_case(case: Built) -> None:
    found = case.found
    rows = {row.path: shown(row) for row in found.rows}  # of two rows for a folder the second counts
    for path, wanted in case.spec["listed"].items():
        assert path in rows, f"{path} is not in the list"
        for key, value in wanted.items():
            has = rows[path][key]
            fits = value in has if key in ("purpose", "note", "absent") and value else value == has
            assert fits, f"{path}: {key} is {has!r}, wanted {value!r}"
    assert [path for path in case.spec["not_listed"] if path in rows] == []
    assert [f"{path}: {text}" for path, text in found.trouble] == case.spec["trouble"]
    assert list(found.unseen) == case.spec.get("unseen", [])
    for words in case.spec.get("logs", ()):
        assert any(words in log.command for log in found.logs), words


@AS_ROOT
def test_the_text_fits_and_the_json_is_whole(case: Built) -> None:
    found = case.found
    text = table_text(found, NOW)
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    told = json.loads(as_json.paths(found, NOW, practice=False))
    assert set(told) == {"role", "practice", "paths", "logs", "transactions", "unseen"}
    assert [each["path"] for each in told["paths"]] == [row.path for row in found.rows]
    keys = set("group kind path there owner purpose leads_to backups wrong absent note".split())
    assert all(set(each) == keys for each in told["paths"])
    assert all(set(copy) == {"path", "owner", "age", "wrong"} for e in told["paths"] for copy in e["backups"])
    assert sum(len(each["wrong"]) for each in told["paths"]) + sum(
        copy["wrong"] is not None for each in told["paths"] for copy in each["backups"]
    ) == len(case.spec["trouble"])
    last = text.splitlines()[-1]
    assert case.spec["trouble"] == [] or f"To look at: {len(case.spec['trouble'])}" in text
    assert case.spec["trouble"] or last.endswith(
        "is missing that should be there, and no owner or mode is wrong."
    )


@AS_ROOT
def test_no_contents_are_told(tmp_path: Path) -> None:
    """Every file holds the canary wherever a password may stand; commands have it as an argument."""
    texts = {
        "/etc/nut/upsmon.conf": f"# {CANARY}\nMONITOR a@b 1 u {CANARY} slave\nMONITOR {CANARY}\n"
        f"CERTIDENT x {CANARY}\nPOWERDOWNFLAG {CANARY}\nNOTIFYCMD \"/bin/n --token={CANARY} '{CANARY}'\"\n"
        f'SHUTDOWNCMD "PW={CANARY} /bin/s -u u:{CANARY} /x?{CANARY} https://{CANARY}/ > /log/{CANARY}"\n',
        "/etc/nut/upssched.conf": f"PIPEFN {CANARY}\nLOCKFN x{CANARY}\nCMDSCRIPT '/bin/c {CANARY}'\n",
        "/etc/nut/upsd.users": f"[u]\npassword = {CANARY}\n",
        "/etc/nut/ups.conf": f"[snmp]\ndriver = /x/{CANARY}\ncommunity = {CANARY}\n",
        "/etc/nut/upsd.conf": f"CERTIDENT a {CANARY}\nSTATEPATH x{CANARY}\nLISTEN {CANARY}\n",
        "/etc/nut/mine": CANARY,
        "/etc/nutwizard/client.password": f"{CANARY}\n",
        "/usr/sbin/upssched-cmd": f"#!/bin/sh\n# {CANARY}\n",
    }
    host = build(tmp_path / "t", {"files": {path: {"text": text} for path, text in texts.items()}}).host
    found = list_paths(host, Role.HOST)
    assert {"/bin/n", "/bin/s"} <= {row.path for row in found.rows}
    for text in (table_text(found, NOW), as_json.paths(found, NOW, practice=False), repr(found)):
        assert CANARY not in text


class Closed(OfflineHost):
    """A machine whose user may see what `closed` does not match."""

    closed = re.compile(
        r"/etc/nut/(ups.*|nut\.conf\.orig)|/etc/nutwizard/.*|/run/nut/.*|/var/lib/nutwizard/.*"
    )
    lists = re.compile(r"/etc/nutwizard.*|/run/nut|/var/lib/nutwizard.*")

    def read(self, path: str, limit: int = LARGEST_FILE) -> bytes:
        self._guard(self.closed, path)
        return super().read(path, limit)

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        if not path.startswith("/etc/nut/"):
            self._guard(self.closed, path)
        return super().stat(path, follow=follow)

    def names(self, path: str) -> list[str]:
        self._guard(self.lists, path)
        return super().names(path)

    def _guard(self, closed: re.Pattern[str], path: str) -> None:
        if closed.fullmatch(path):
            raise PermissionError(13, "Permission denied", path)


@AS_ROOT
def test_without_root_it_tells_what_it_could_not_see(tmp_path: Path) -> None:
    spec = yaml.safe_load((CASES[0].parent / "host_in_use.yaml").read_text(encoding="utf-8"))
    build(tmp_path / "tree", spec)
    found = list_paths(Closed(str(tmp_path / "tree")), Role.HOST, ["what came before"])
    rows = {row.path: row for row in found.rows}
    assert rows["/etc/nut/upsd.users"].owner == NUT
    assert rows["/etc/nutwizard/answers.yaml"].there is There.UNSEEN
    assert rows["/run/nut/upssched.pipe"].note == "the usual name: upssched.conf could not be read"
    assert (found.kept, rows["/sbin/upssched"].note) == (None, "")
    assert found.unseen[0] == "what came before"
    for text in (
        "the kept transactions: /var/lib/nutwizard may be read by root only",
        "what stands in /etc/nut/upsmon.conf: this user may not read it",
        "what lies in /run/nut: this user may not list it",
    ):
        assert text in found.unseen
    assert re.fullmatch(r"\d+ of the paths above", found.unseen[-1])
    assert "Not seen by this user" in table_text(found, NOW)


@AS_ROOT
def test_what_is_kept_is_counted(tmp_path: Path) -> None:
    host = OfflineHost(make_tree(tmp_path / "tree"))
    assert list_paths(host, Role.HOST).kept == (0, 0)
    apply(host, whole_plan(), prove=lambda: ())
    found = list_paths(host, Role.HOST)
    size = Store(host).records()[0].size
    note = next(row.note for row in found.rows if row.path == paths.STATE)
    assert (found.kept, note) == (
        (1, size),
        f"1 transaction, {-(-size // 1024)} KiB; old passwords are in them",
    )


@AS_ROOT
def test_what_waits_for_being_written_is_listed(tmp_path: Path) -> None:
    host = OfflineHost(make_tree(tmp_path / "tree"))
    rows = {row.path: row for row in list_paths(host, Role.HOST).rows}
    assert (rows[paths.RESUME].lacking, rows[paths.NEXT].lacking) == (False, False)
    host.make_folder(paths.RESUME, owner("root:root 0700"))
    for name, given in {
        "answers.yaml": "root:root 0600",
        "place": "root:root 0600",
        "x.password": "root:nut 0640",
    }.items():
        host.create(f"{paths.RESUME}/{name}", CANARY.encode(), owner(given))
    rows = {row.path: row for row in list_paths(host, Role.HOST).rows}
    found = {path[len(paths.RESUME) :]: row for path, row in rows.items() if path.startswith(paths.RESUME)}
    assert [(name, row.purpose) for name, row in found.items()] == [
        ("", "what was typed and is not written yet"),
        ("/answers.yaml", "the typed answers"),
        ("/place", "where the person was"),
        ("/x.password", "a typed password"),
    ]
    assert [name for name, row in found.items() if row.wrong] == ["/x.password"]
    assert rows[paths.RESUME].there is There.THERE


@pytest.mark.parametrize(
    ("need", "given", "text"),
    [
        (Need.NUT_READS, "root:nut 0640", ""),
        (Need.NUT_READS, "nut:root 0400", ""),
        (Need.NUT_READS, "nut:nut 0040", "user nut cannot read it"),
        (Need.NUT_READS, "root:root 0644", ""),
        (Need.NUT_READS, "root:root 0640", "user nut cannot read it"),
        (Need.NUT_RUNS, "root:root 0711", ""),
        (Need.NUT_RUNS_SCRIPT, "root:root 0711", "user nut cannot read and run it"),
        (Need.NUT_WRITES, "nut:nut 0770", ""),
        (Need.NUT_WRITES, "root:nut 0750", "user nut cannot make files in it"),
        (Need.NUT_ENTERS, "root:root 0700", "user nut cannot enter it"),
        (Need.SECRET, "root:nut 0644", "every user of this machine can read the passwords in it"),
        (Need.PRIVATE, "root:root 0700", ""),
        (Need.PRIVATE, "bob:root 0600", "others than root may read it"),
        (Need.ROOT_RUNS, "root:root 0775", ""),
        (Need.ROOT_RUNS, "root:nut 0775", "group nut may change what root runs"),
        (Need.ROOT_RUNS, "nut:nut 0755", "nut may change what root runs"),
        (Need.ROOT_RUNS, "root:root 0644", "it is not executable"),
    ],
)
def test_owners_and_modes(need: Need, given: str, text: str) -> None:
    assert complaint(need, owner(given)) == text


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("/sbin/shutdown -h +0", [Used("/sbin/shutdown", True)]),
        ('logger -t x "calling /sbin/y" ; /sbin/shutdown -h +0', [Used("/sbin/shutdown", True)]),
        (
            "/a/b /c > /d; '/e f'",
            [Used("/a/b", True), Used("/c", False), Used("/d", False), Used("/e f", True)],
        ),
        ("$X/y /z$Y `/w` relative", []),
        ("", []),
        ("'/open quote", []),
        ("A=1 B=/x /c A=/d", [Used("/c", True)]),
    ],
)
def test_paths_in_a_command(command: str, found: list[Used]) -> None:
    assert list(used(command)) == found


def test_log_commands() -> None:
    assert log_commands(Door.PRACTICE, Role.HOST) == ()
    for role in Role:
        below = log_commands(Door.OFFLINE, role, "/srv/a b", tagged=True, syslog=True)
        assert all("'/srv/a b/var/log/" in each.command for each in below)
        live = [each.command for each in log_commands(Door.LIVE, role)]
        assert all(each.startswith("journalctl -") for each in live)
        assert ("nut-server" in live[0]) == (role is Role.HOST)


def test_the_role_of_last_resort(tmp_path: Path) -> None:
    host = OfflineHost(str(tmp_path))
    assert fallback_role(host) is Role.CLIENT
    (tmp_path / "sbin").mkdir()
    (tmp_path / "sbin/upsd").touch()
    assert fallback_role(host) is Role.HOST


@pytest.mark.parametrize("role", Role)
def test_the_practice_machine_lacks_nothing(tmp_path: Path, role: Role) -> None:
    host = PracticeHost.open(str(tmp_path / "practice"), role)
    try:
        found = list_paths(host, role)
    finally:
        host.close()
    assert (found.trouble, found.logs, found.unseen) == ([], (), ())
    assert "plays it without a file" in table_text(found, NOW)


@pytest.mark.parametrize(
    ("door", "log", "lists"),
    [
        (Door.LIVE, "The log: journalctl -u nut-monitor -u nut-server", "log is: nutwizard paths"),
        (Door.OFFLINE, "journalctl -D DIR/var/log/journal -u", "log is: nutwizard --root DIR paths"),
        (Door.PRACTICE, "", "log is: nutwizard --practice paths"),
    ],
)
def test_the_result_says_where_the_rest_is(door: Door, log: str, lists: str) -> None:
    session = FakeSession(door=door, practice=door is Door.PRACTICE)
    text = "\n".join(line.text for line in result_lines(session, session.outcome, session.plan()))
    assert log in text
    assert lists in text
    assert ("journalctl" in text) == bool(log)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, str, str]:
        code = cli.main(["--root", str(tmp_path / "tree"), "paths", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


@AS_ROOT
def test_the_command(tmp_path: Path, run: Run) -> None:
    host = OfflineHost(make_tree(tmp_path / "tree"))
    code, out, err = run()
    assert (code, out.startswith("NUT's configuration\n  /etc/nut ")) == (Exit.DONE, True)
    assert "Listed as for a client: it is not clear" in err
    code, out, _ = run("--role", "host", "--json")
    assert (code, json.loads(out)["role"], json.loads(out)["practice"]) == (Exit.DONE, "host", False)
    assert host.names("/var/lib") == []  # it has made nothing


@AS_ROOT
def test_the_command_leaves_an_interrupted_change_alone(tmp_path: Path, run: Run) -> None:
    host = OfflineHost(make_tree(tmp_path / "tree"))
    apply(host, whole_plan(), prove=lambda: ())
    journal = Path(host.on_disk(f"{paths.STATE}/transactions/000001/journal"))
    journal.write_bytes(b"".join(x for x in journal.read_bytes().splitlines(True) if b"committed" not in x))
    for words in ([], ["--json"]):
        code, out, err = run(*words)
        assert (code, out) == (Exit.UNFINISHED, "")
        assert err.endswith("nutwizard: transaction 1 was interrupted\nRun: nutwizard recover\n")


@pytest.mark.parametrize("mounted", [True, False])
def test_the_firewalls_files_of_a_node(tmp_path: Path, mounted: bool) -> None:
    (tmp_path / "etc/pve/nodes/one").mkdir(parents=True)
    (tmp_path / "etc/pve/nodes/one/host.fw").write_bytes(b"[RULES]\n")
    if mounted:
        (tmp_path / "etc/pve/local").symlink_to("nodes/one")
    found = list_paths(OfflineHost(str(tmp_path)), Role.HOST)
    rows = {row.path: row for row in found.rows if row.path.startswith("/etc/pve/")}
    assert set(rows) == ({"/etc/pve/firewall/cluster.fw", "/etc/pve/local/host.fw"} if mounted else set())
    if mounted:
        assert rows["/etc/pve/local/host.fw"].there is There.THERE
        assert rows["/etc/pve/firewall/cluster.fw"].there is There.MISSING
        assert not rows["/etc/pve/firewall/cluster.fw"].lacking
