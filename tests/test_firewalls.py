"""`nutwizard firewall`: explain, enable, disable, manual, on the files of a node in a folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nutwizard import cli
from nutwizard.core import paths
from nutwizard.core.errors import Exit
from nutwizard.engine import machine
from tests.test_cli import AS_ROOT, ROOT, Run, answers, make, snapshot

CASES = ROOT / "tests" / "cases" / "firewall_edit"
RULE = "/etc/pve/firewall/cluster.fw:15"
LINE = "/etc/pve/nodes/pve/host.fw:3"
FIREWALL = """\
role: host
firewall:
  clients: {web_net0: 192.168.1.10}
  enabled: false
"""
KEYS = {"verdict", "firewall", "why", "deciding", "via", "off", "warnings", "packet", "practice"}


@pytest.fixture(autouse=True)
def _no_real_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the real root was reached")

    monkeypatch.setattr(machine.LiveHost, "__init__", forbidden)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A node with the rule prepared and off."""
    return node(make(tmp_path / "tree"), "enable")


def node(tree: Path, case: str, *, link: bool = True) -> Path:
    """/etc/pve with the files of a case."""
    folders = {"cluster.fw": tree / "etc/pve/firewall", "host.fw": tree / "etc/pve/nodes/pve"}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        if (CASES / case / name).exists():
            shutil.copyfile(CASES / case / name, folder / name)
    if link:
        (tree / "etc/pve/local").symlink_to("nodes/pve")
    return tree


@pytest.fixture
def run(tree: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(word, ...)`: `nutwizard firewall word ...` on the tree: exit code, stdout, stderr."""

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["--root", str(tree), "firewall", *words])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, told.out, told.err

    return command


def told(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)
    assert set(found) == KEYS
    assert found["practice"] is False
    return found


def places(lines: list[dict[str, Any]]) -> list[str]:
    return [f"{line['file']}:{line['line']}" for line in lines]


def cluster(tree: Path) -> Path:
    return tree / "etc/pve/firewall/cluster.fw"


def switched(tree: Path) -> None:
    path = cluster(tree)
    path.write_text(path.read_text().replace("|IN", "IN"))


def test_explain_what_is_off(run: Run) -> None:
    code, out, _ = run("explain", "--from", "192.168.1.10")
    assert code == Exit.BROKEN
    assert out.startswith("DROP: TCP from 192.168.1.10 to port 3493 through vmbr0 is dropped in silence")
    assert f"off        {RULE}  |IN ACCEPT" in out
    assert "Switched on, this would let it in." in out

    code, out, _ = run("explain", "--from", "192.168.1.10", "--json")
    found = told(out)
    assert (code, found["verdict"], found["firewall"]) == (Exit.BROKEN, "DROP", "on")
    assert (found["deciding"], found["via"], places(found["off"])) == (None, None, [RULE])


def test_explain_what_is_let_in(tree: Path, run: Run) -> None:
    switched(tree)
    code, out, _ = run("explain", "--from", "192.168.1.10")
    assert code == Exit.DONE
    assert f"line       {RULE}  IN ACCEPT" in out
    assert f"used by    {LINE}  GROUP" in out

    found = told(run("explain", "--json", "--from", "192.168.1.10", "--to", "192.168.1.107")[1])
    assert places([found["deciding"], found["via"]]) == [RULE, LINE]
    assert found["packet"] == {
        "from": "192.168.1.10", "port": 3493, "interface": "vmbr0", "to": "192.168.1.107",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "verdict"),
    [
        (["--from", "192.168.1.10"], Exit.DONE, "ACCEPT"),
        (["--from", "192.168.1.11"], Exit.BROKEN, "DROP"),
        (["--from", "fd00::10"], Exit.BROKEN, "DROP"),
        (["--from", "192.168.1.10", "--port", "3494"], Exit.BROKEN, "DROP"),
        (["--from", "192.168.1.10", "--interface", "vmbr1"], Exit.BROKEN, "DROP"),
        (["--from", "192.168.1.10", "--interface", "vmbr0"], Exit.DONE, "ACCEPT"),
    ],
)
def test_explain_any_packet(words: list[str], code: int, verdict: str, tree: Path, run: Run) -> None:
    switched(tree)
    found = run("explain", *words, "--json")
    assert (found[0], told(found[1])["verdict"]) == (code, verdict)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--from", "web"], "--from: web is no IP address"),
        (["--from", "192.168.1.0/24"], "--from: 192.168.1.0/24 is no IP address"),
        (["--from", "192.168.1.10", "--to", "192.168.1"], "--to: 192.168.1 is no IP address"),
    ],
)
def test_explain_takes_addresses(words: list[str], text: str, run: Run) -> None:
    code, out, err = run("explain", *words)
    assert (code, out) == (Exit.USAGE, "")
    assert text in err


@pytest.mark.parametrize(
    "words",
    [[], ["explain"], ["explain", "--from", "1.2.3.4", "--port", "0"],
     ["explain", "--from", "1.2.3.4", "--port", "x"],
     ["enable", "more"], ["open"]],
)  # fmt: skip
def test_a_wrong_command_line(words: list[str], run: Run) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2


def test_the_port_of_upsd(tree: Path, run: Run) -> None:
    (tree / "etc/nut/upsd.conf").write_text("LISTEN 0.0.0.0 3494\n")
    assert told(run("explain", "--from", "192.168.1.10", "--json")[1])["packet"]["port"] == 3494


def test_without_the_files_every_port_is_open(tree: Path, run: Run) -> None:
    cluster(tree).unlink()
    (tree / "etc/pve/nodes/pve/host.fw").unlink()
    code, out, _ = run("explain", "--from", "192.168.1.10")
    assert code == Exit.DONE
    assert "firewall   off" in out
    assert "every port is open" in out
    assert told(run("explain", "--from", "192.168.1.10", "--json")[1])["firewall"] == "off"


def test_the_lines_that_are_not_followed(tree: Path, run: Run) -> None:
    with cluster(tree).open("a") as file:
        file.write("IN ACCEPT -source +nosuch\n")
    found = told(run("explain", "--from", "192.168.1.10", "--json")[1])
    assert places(found["warnings"]) == ["/etc/pve/firewall/cluster.fw:17"]
    assert "Lines that Proxmox VE does not follow:\n" in run("explain", "--from", "192.168.1.10")[1]


def test_control_characters_do_not_reach_the_terminal(tree: Path, run: Run) -> None:
    path = cluster(tree)
    path.write_text(path.read_text().replace("# NUT port", "# \x1b[31m\x9b NUT port").replace("|IN", "IN"))
    for words in ([], ["--json"]):
        out = run("explain", "--from", "192.168.1.10", *words)[1]
        assert not {char for char in out if char != "\n" and not char.isprintable()}


@pytest.mark.parametrize("host", ["pve", "other"])
def test_without_the_local_link(host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy of /etc/pve may lack it: the node with the host's name counts, or the only one."""
    tree = node(make(tmp_path / "copy"), "enable", link=False)
    switched(tree)
    (tree / "etc/hostname").write_text(f"{host}.example.org\n")
    assert cli.main(["--root", str(tree), "firewall", "explain", "--from", "192.168.1.10"]) == Exit.DONE
    assert LINE in capsys.readouterr().out
    (tree / "etc/pve/nodes/second").mkdir()
    code = cli.main(["--root", str(tree), "firewall", "explain", "--from", "192.168.1.10"])
    assert code == (Exit.DONE if host == "pve" else Exit.BROKEN)


def test_without_etc_pve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = make(tmp_path / "bare")
    assert cli.main(["--root", str(tree), "firewall", "explain", "--from", "192.168.1.10"]) == Exit.USAGE
    told = capsys.readouterr()
    assert told.out == ""
    assert "/etc/pve is not there" in told.err


@pytest.fixture
def open_tree() -> Iterator[Path]:
    """A tree that every user can read: the tests' own folders are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield node(make(Path(name) / "tree"), "enable")


@AS_ROOT
@pytest.mark.parametrize(("mode", "code"), [(0o644, Exit.BROKEN), (0o640, Exit.NEEDS_ROOT)])
def test_explain_needs_no_root_where_the_files_can_be_read(mode: int, code: int, open_tree: Path) -> None:
    cluster(open_tree).chmod(mode)
    words = ["--root", str(open_tree), "firewall", "explain", "--from", "192.168.1.10"]
    done = subprocess.run(
        [sys.executable, "-B", "-m", "nutwizard", *words],
        capture_output=True, text=True, user=65534, group=65534, extra_groups=[], cwd=ROOT, timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert (done.returncode, "Permission denied" in done.stderr) == (code, code == Exit.NEEDS_ROOT)


def contents(tree: Path) -> dict[str, bytes]:
    """The bytes alone: Proxmox VE's file system gives every file the same owner and mode."""
    return {name: each[0] for name, each in snapshot(tree).items()}


def one_character(before: bytes, after: bytes) -> bool:
    longer, shorter = sorted((before, after), key=len, reverse=True)
    at = longer.index(b"|IN ACCEPT")
    return longer[:at] + longer[at + 1 :] == shorter


@AS_ROOT
def test_enable_and_disable(tree: Path, run: Run) -> None:
    before = snapshot(tree)
    code, out, _ = run("enable")
    assert code == Exit.DONE
    assert "- |IN ACCEPT" in out
    assert "+ IN ACCEPT" in out
    after = snapshot(tree)
    assert {name for name in after if after[name] != before.get(name)} == {"etc/pve/firewall/cluster.fw"}
    assert one_character(before["etc/pve/firewall/cluster.fw"][0], after["etc/pve/firewall/cluster.fw"][0])
    assert run("explain", "--from", "192.168.1.10")[0] == Exit.DONE

    code, out, _ = run("enable")
    assert (code, "The rule is on already: nothing to do." in out) == (Exit.DONE, True)
    assert snapshot(tree) == after
    assert run("disable")[0] == Exit.DONE
    assert contents(tree) == {name: each[0] for name, each in before.items()}
    code, out, _ = run("disable")
    assert (code, "The rule is off already: nothing to do." in out) == (Exit.DONE, True)


@AS_ROOT
def test_enable_as_json_and_undo(tree: Path, run: Run) -> None:
    before = contents(tree)
    code, out, _ = run("enable", "--json")
    found = json.loads(out)
    assert (code, found["code"], found["transaction"]) == (Exit.DONE, 0, 1)
    assert [file["path"] for file in found["plan"]["files"]] == [paths.CLUSTER_FW]
    code, out, _ = run("enable", "--json")
    found = json.loads(out)
    assert (code, found["text"], found["transaction"]) == (
        Exit.DONE, "The rule is on already: nothing to do.", None,
    )  # fmt: skip
    assert cli.main(["--root", str(tree), "undo", "1"]) == Exit.DONE
    assert contents(tree) == before


@AS_ROOT
def test_the_saved_answer_follows(tree: Path, run: Run) -> None:
    saved = tree / paths.SAVED_ANSWERS[1:]
    saved.parent.mkdir(parents=True)
    shutil.copyfile(answers(tree, FIREWALL), saved)
    (tree / "answers.yaml").unlink()
    saved.chmod(0o600)
    for word, value in (("enable", "yes"), ("disable", "no")):
        code, out, err = run(word)
        assert (code, err.count("split the plan")) == (Exit.DONE, 0), err
        assert "answers.yaml" in out
        assert f"  enabled: {value}\n" in saved.read_text()
        assert (b"|IN ACCEPT" in cluster(tree).read_bytes()) is (word == "disable")
        assert "nothing to do" in run(word)[1]


@AS_ROOT
@pytest.mark.parametrize("word", ["enable", "disable"])
@pytest.mark.parametrize("case", ["options-only", "group-taken"])
def test_where_there_is_no_rule(case: str, word: str, tree: Path, run: Run) -> None:
    shutil.copyfile(CASES / case / "cluster.fw", cluster(tree))
    before = snapshot(tree)
    code, out, err = run(word)
    assert (code, out) == (Exit.USAGE, "")
    assert "There is no rule for NUT" in err
    assert "nutwizard step firewall" in err
    assert snapshot(tree) == before


@AS_ROOT
def test_a_file_that_proxmox_misreads_is_not_touched(tree: Path, run: Run) -> None:
    shutil.copyfile(CASES / "two-groups" / "cluster.fw", cluster(tree))
    before = snapshot(tree)
    code, out, err = run("enable")
    assert (code, out) == (Exit.USAGE, "")
    assert "stands here a second time" in err
    assert snapshot(tree) == before


@AS_ROOT
@pytest.mark.parametrize("word", ["enable", "disable", "manual"])
def test_a_client_has_no_such_firewall(word: str, tree: Path, run: Run) -> None:
    (tree / "etc/nut/nut.conf").write_text("MODE=netclient\n")
    before = snapshot(tree)
    for words in ([word], [word, "--role", "client"]):
        code, out, err = run(*words)
        assert (code, out) == (Exit.USAGE, "")
        assert "is a client: the firewall is that of the host with the UPS" in err
    assert snapshot(tree) == before
    assert run(word, "--role", "host")[0] == Exit.DONE


@AS_ROOT
def test_manual(tree: Path, run: Run) -> None:
    before = snapshot(tree)
    code, out, _ = run("manual")
    assert code == Exit.DONE
    for text in (
        "Datacenter > Firewall > Alias > Add: Name web_net0, IP/CIDR 192.168.1.10",
        "pve > Firewall > Insert: Security Group: nut_port_accept_in, Interface vmbr0, Enable yes",
        "pvesh create /cluster/firewall/ipset/k3s_nodes_net0_ips --cidr web_net0",
        "--source +k3s_nodes_net0_ips --dport 3493 --log nolog --comment 'NUT port'",
        "pvesh create /nodes/pve/firewall/rules --type group --action nut_port_accept_in --iface vmbr0",
    ):
        assert text in out
    assert snapshot(tree) == before
