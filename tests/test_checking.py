"""`nutwizard check`, `status`, `report`, `test-event` on a practice machine: found, mended, kept, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard.core import paths
from nutwizard.core.errors import Exit
from nutwizard.core.facts import PRACTICE, Owner
from nutwizard.engine.practice import PracticeHost
from tests.support.practice_commands import copied, forbid_the_real_root, runner, set_up
from tests.test_cli import Run

BARE, NUT = Owner("root", "root", 0o640), Owner("root", "nut", 0o640)


@pytest.fixture(autouse=True)
def _no_real_root(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_the_real_root(monkeypatch)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A practice host that nutwizard has set up, its rule on."""
    return set_up(tmp_path_factory, "role: host\nfirewall:\n  enabled: true\n")


@pytest.fixture
def host(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeHost]:
    yield from copied(ready, tmp_path, monkeypatch)


@pytest.fixture
def run(host: PracticeHost, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_found_mended_kept_and_put_back(host: PracticeHost, run: Run) -> None:
    code, out, _ = run("status")
    assert (code, "nothing was checked yet" in out) == (Exit.BROKEN, True)
    assert run("check")[0] == Exit.DONE
    code, out, _ = run("status")
    assert (code, out.startswith(f"{PRACTICE}; of the practice machine: protected: ")) == (Exit.DONE, True)
    assert out.count("\n") == 1

    host.own(paths.UPSSCHED_CONF, BARE)
    code, out, _ = run("check")
    assert code == Exit.BROKEN
    assert "NW12 /etc/nut/upssched.conf: it belongs to root:root 0640" in out
    assert "          mend: nutwizard --practice step actions\n" in out
    assert run("status")[0] == Exit.BROKEN
    found = json.loads(run("check", "--json")[1])["findings"]
    assert [(each["id"], each["severity"], each["file"]) for each in found] == [
        ("NW12", "broken", paths.UPSSCHED_CONF)
    ]

    code, out, _ = run("check", "--fix", "--yes")
    assert code == Exit.DONE
    assert "root:root 0640 -> root:nut 0640" in out
    stat = host.stat(paths.UPSSCHED_CONF)
    assert stat is not None
    assert stat.owner == NUT
    assert "check --fix" in run("history")[1]
    assert host.stat(paths.SAVED_ANSWERS) is None  # none were kept before
    assert run("undo")[0] in (Exit.DONE, Exit.BROKEN)
    stat = host.stat(paths.UPSSCHED_CONF)
    assert stat is not None
    assert stat.owner == BARE


def test_quiet_and_fix_where_nothing_is_broken(host: PracticeHost, run: Run) -> None:
    outside = "".join(f"{name} yes\n" for name in ("switch", "restart", "load"))
    host.create(paths.OUTSIDE, outside.encode(), Owner("root", "root", 0o644))
    host.remove(paths.CLIENTS_LIST)
    code, out, _ = run("check", "--quiet")
    assert code == Exit.DONE
    told = [line.split()[0] for line in out.splitlines() if line[:1].islower()]
    assert told == ["waiting"]  # the VM is let in and has not come yet
    before = run("history")[1]
    code, _, err = run("check", "--fix", "--yes")
    assert (code, "Nothing is broken: --fix changes nothing." in err) == (Exit.DONE, True)
    assert run("history")[1] == before


def test_a_status_is_not_known_where_files_have_changed(host: PracticeHost, run: Run) -> None:
    assert run("check")[0] == Exit.DONE
    host.append(paths.UPSMON_CONF, b"# a hand was here\n")
    code, out, _ = run("status")
    assert (code, "not known: files have changed since the last check" in out) == (Exit.BROKEN, True)
    status = json.loads(run("status", "--json")[1])
    assert (status["protected"], status["why"]) == (False, "files have changed since the last check")


def test_the_proof_is_kept_as_a_page(tmp_path: Path, run: Run) -> None:
    page = tmp_path / "proof.html"
    assert run("check", "--html", str(page))[0] == Exit.DONE
    text = page.read_text()
    assert PRACTICE in text
    assert "<td>2.8.0</td>" in text
    assert text.count("<tr><td class=") >= 14
    code, _, err = run("check", "--html", str(tmp_path))
    assert (code, "this is no name of a file" in err) == (Exit.USAGE, True)


def test_a_report_has_everything_and_no_password(host: PracticeHost, tmp_path: Path, run: Run) -> None:
    password = host.read(paths.CLIENT_PASSWORD).decode().strip()
    file = tmp_path / "report.txt"
    code, out, _ = run("report", "--output", str(file))
    assert (code, f"Written: {file}" in out) == (Exit.DONE, True)
    text = file.read_text()
    parts = ["nutwizard report", "Check", "Found on this machine", "Units", "What the server tells", "Plan"]
    assert [line[3:] for line in text.splitlines() if line.startswith("== ")] == [*parts, "History", "Files"]
    assert "-- /etc/nut/upsd.users: root:nut 0640" in text
    assert "as nutwizard wrote it" in text
    assert "PRACTICE0001" not in text
    assert len(password) > 10
    assert password not in text
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("report", "--output", "-")[1].count("== ") == len(parts) + 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("check", "--yes"), "it needs --fix"),
        (("check", "--fix"), "--fix shows what it would change and asks"),
        (("check", "--fix", "--json"), "it does not go with --json"),
        (("check", "--watch", "--fix"), "--watch goes with none of"),
        (("check", "--for", "3"), "it needs --watch"),
        (("check", "--password-stdin"), "it needs --fix"),
        (("test-event", "ONBATT"), "Only a real machine"),
        (("test-event", "FLOOD"), "has no event FLOOD"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], says: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", open("/dev/null", encoding="ascii"))  # noqa: SIM115
    code, _, err = run(*words)
    assert (code, says in err) == (Exit.USAGE, True), err
