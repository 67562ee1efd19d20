"""One canary for each kind of secret, through every command and both front ends: then every place is searched
where none may be.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.hostile.rig import CLIENT_FILES, COMMAND, STOCK, Bench, Ran, Terminal, Watch, machine

pytestmark = pytest.mark.lab

#: Kind -> value. Values of passwords that are typed or named stand in no file before.
CANARIES = {
    "client, in the answers": "c4n4ry-client-inline",
    "client, from a file": "c4n4ry-client-file",
    "client, typed over a pipe": "c4n4ry-client-piped",
    "client, typed in one step": "c4n4ry-client-step",
    "client, typed and left": "c4n4ry-client-left",
    "client, typed in a terminal": "c4n4ry-client-arrows",
    "client, typed and refused": "c4n4ry refused",
    "monitor, in the answers": "c4n4ry-monitor-inline",
    "monitor, from a file": "c4n4ry-monitor-file",
    "monitor, typed over a pipe": "c4n4ry-monitor-piped",
    "monitor, typed in a terminal": "c4n4ry-monitor-arrows",
    "VM, from a file": "c4n4ry-vm-file",
    "VM, typed over a pipe": "c4n4ry-vm-piped",
    "VM, typed in a terminal": "c4n4ry-vm-typed",
    "administrator": "c4n4ry-administrator",
    "monitor, in the files": "c4n4ry-monitor-old",
    "in a comment of upsd.users": "c4n4ry-comment-users",
    "in a comment of upsmon.conf": "c4n4ry-comment-upsmon",
    "in a copy": "c4n4ry-in-orig",
    "SNMP community": "c4n4ry-community",
    "SNMP password": "c4n4ry-snmp",
    "certificate database": "c4n4ry-certificate",
    "in answers that are wrong": "c4n4ry-in-bad-answers",
    "in a crash": "c4n4ry-in-a-crash",
}
C = CANARIES
HOST_FILES = {
    **STOCK,
    "nut.conf": b"MODE=standalone\n",
    "ups.conf": f"""maxretry = 3
[apc]
driver = usbhid-ups
port = auto
desc = "APC"
[far]
driver = snmp-ups
port = 192.0.2.1
community = {C["SNMP community"]}
authPassword = "{C["SNMP password"]}"
""".encode(),
    "upsd.users": f"""[upsadmin]
password = {C["administrator"]}
actions = SET
instcmds = ALL
[upsmon]
password = {C["monitor, in the files"]}
upsmon master
#[retired]
#  password = {C["in a comment of upsd.users"]}
#  upsmon slave
""".encode(),
    "upsd.users.orig": f"[older]\npassword = {C['in a copy']}\nupsmon slave\n".encode(),
    "upsmon.conf": f"""MINSUPPLIES 1
SHUTDOWNCMD "/sbin/shutdown -h +0"
# MONITOR apc@localhost 1 upsmon {C["in a comment of upsmon.conf"]} master
MONITOR apc@localhost 1 upsmon {C["monitor, in the files"]} master
CERTIDENT "certificate" "{C["certificate database"]}"
POLLFREQ 5
RBWARNTIME 43200
""".encode(),
}
ANSWERS = """nutwizard: 1
role: host
driver: {{ups: apc, driver: usbhid-ups, port: auto}}
client_user:
  name: upsmonclient
  {client}
monitor:
  user: {user}
  {monitor}
"""
VM_ANSWERS = """nutwizard: 1
role: client
monitor: {{ups: apc, server: {server}, user: upsmonclient, password_file: vm.password}}
"""
#: Below a machine's root: where a secret may be, each in a file that only root, or root and nut, read.
ALLOWED = re.compile(
    r"(etc/nut/[\w.-]+|etc/nutwizard/(clients/[\w-]+/)?\w+\.password"
    r"|var/lib/nutwizard/resume/\w+\.password"
    r"|var/lib/nutwizard/transactions/\d{6}/(before|after)/\d+)"
)
PRACTICE_TABLES = re.compile(r"(host|vm)\.units\.json")


@dataclass
class Trail:
    """All that was said and left: by the commands, the terminals, the processes; `roots` are machines."""

    place: Path
    benches: list[Bench] = field(default_factory=list)
    screens: list[tuple[str, bytes]] = field(default_factory=list)
    roots: list[Path] = field(default_factory=list)
    inputs: set[Path] = field(default_factory=set)
    seen: set[bytes] = field(default_factory=set)
    generated: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def ran(self) -> list[Ran]:
        return [ran for bench in self.benches for ran in bench.ran]

    def bench(self, name: str) -> Bench:
        made = Bench(self.place / name)
        made.environment  # noqa: B018 - makes its folders
        self.benches.append(made)
        return made

    def root(self, name: str, role: str, files: Mapping[str, bytes]) -> Path:
        made = machine(self.place / name, role, files)
        self.roots.append(made)
        return made

    def input(self, path: Path, text: str, mode: int = 0o600) -> str:
        """A file that the person has written: what it holds may of course be in it."""
        self.inputs.add(path)
        path.touch(mode)
        path.chmod(mode)
        path.write_text(text)
        return str(path)

    @property
    def needles(self) -> dict[str, bytes]:
        """What is searched for: the secrets, and what gives them away as well as they do themselves."""
        found = {}
        for kind, value in {**CANARIES, **self.generated}.items():
            raw = value.encode()
            found[kind] = raw
            found[f"{kind}, in base64"] = base64.b64encode(raw)[: len(raw)]
            found[f"{kind}, in hexadecimal"] = raw.hex().encode()
            for name in ("md5", "sha1", "sha256"):
                found[f"{kind}, its {name}"] = hashlib.new(name, raw).hexdigest().encode()
        return found

    def hits(self, data: bytes) -> list[str]:
        return [kind for kind, needle in self.needles.items() if needle in data]


def offline_host(trail: Trail) -> None:
    """Everything that can be done to a host's files below another root."""
    bench = trail.bench("offline")
    root = trail.root("offline-host", "host", HOST_FILES)
    at = ("--root", str(root), "--role", "host")
    work = bench.place / "work"
    inline = ANSWERS.format(
        client=f"password: {C['client, in the answers']}",
        user="upsmon",
        monitor=f"password: {C['monitor, in the answers']}",
    )
    answers = trail.input(work / "inline.yaml", inline)
    for words in (("plan", answers), ("plan", answers, "--json")):
        bench.run(*at, *words, code=3)
    bench.run(*at, "apply", answers, "--json")
    bench.run(*at, "apply", answers)
    named = ANSWERS.format(
        client="password_file: client.password", user="upsmon", monitor="password_file: mon.password"
    )
    trail.input(work / "client.password", f"{C['client, from a file']}\n")
    trail.input(work / "mon.password", f"{C['monitor, from a file']}\n")
    files = trail.input(work / "files.yaml", named, 0o644)
    bench.run(*at, "apply", files)
    looks: tuple[tuple[str, ...], ...] = (
        ("check",),
        ("check", "--json"),
        ("check", "--quiet"),
        ("check", "--html", str(work / "proof.html")),
        ("status",),
        ("budget",),
        ("budget", "--json"),
        ("report", "--output", "-"),
        ("report", "--output", str(work / "report.txt")),
        ("history",),
        ("history", "--json"),
        ("undo",),
        ("recover",),
    )
    for look in looks:
        bench.run(*at, *look, code=None if look[0] in ("check", "status") else 0)
    assert (work / "report.txt").stat().st_size > 1000
    assert (work / "proof.html").stat().st_size > 1000
    drawn = named.replace("client.password", "drawn.password").replace("mon.password", "drawn2.password")
    bench.run(*at, "apply", trail.input(work / "drawn.yaml", drawn), "--json")
    for name in ("drawn.password", "drawn2.password"):
        trail.generated[f"generated, {name}"] = (work / name).read_text().strip()
        trail.inputs.add(work / name)
    bench.run(*at, "undo", "1", code=None)
    typed = {"its password": C["monitor, typed over a pipe"], "password": C["client, typed over a pipe"]}
    write = {"What now? [diff]": "diff", "What now? [write]": "write", "Write this now?": "yes"}
    bench.talk(*at, "--plain", replies=typed | write)
    bench.talk(
        *at, "--plain", "step", "client_user", replies={"password": C["client, typed in one step"], **write}
    )
    bench.talk(*at, "--plain", "apply", files, "--ask", "monitor", replies={"its password": "", **write})
    left = {"password": C["client, typed and left"], "What now? [diff]": "quit", "What now? [write]": "quit"}
    bench.talk(*at, "--plain", "step", "client_user", replies=left, code=130)
    # the generated ones of a guided run
    fresh = trail.root("offline-fresh", "host", STOCK)
    bench.talk("--root", str(fresh), "--role", "host", "--plain", replies=write)
    for name in ("client", "monitor"):
        trail.generated[f"generated, {name}"] = (fresh / f"etc/nutwizard/{name}.password").read_text().strip()
    bench.run("--root", str(fresh), "--role", "host", "plan", str(fresh / "etc/nutwizard/answers.yaml"))
    bench.run("--root", str(fresh), "--role", "host", "undo")
    bench.run("--root", str(fresh), "forget", "1")
    bench.run("--root", str(fresh), "forget", "2", "--yes")


def offline_client(trail: Trail) -> None:
    """A VM's files below another root; one password is typed unseen in a terminal."""
    bench = trail.bench("offline-vm")
    root = trail.root("offline-client", "client", {name: STOCK[name] for name in CLIENT_FILES})
    at, work = ("--root", str(root), "--role", "client"), bench.place / "work"
    trail.input(work / "vm.password", f"{C['VM, from a file']}\n")
    answers = trail.input(work / "vm.yaml", VM_ANSWERS.format(server="192.0.2.7"))
    bench.run(*at, "plan", answers, "--json", code=3)
    bench.run(*at, "apply", answers)
    write = {"What now? [diff]": "write", "What now? [write]": "write", "Write this now?": "yes"}
    bench.talk(*at, "--plain", "step", "monitor", replies={"password": C["VM, typed over a pipe"], **write})
    with Terminal(bench, *at, "step", "monitor", dumb=True) as terminal:
        terminal.drive(
            {
                "password": f"{C['VM, typed in a terminal']}\r",
                "now? (yes": "yes\r",
                "What now? [diff]": "write\r",
            }
        )
        trail.screens.append(("plain lines in a terminal", terminal.raw))
    bench.run(*at, "check", "--json", code=None)
    bench.run(*at, "check", "--fix", "--yes", code=None)
    for words in (("history",), ("paths",), ("paths", "--json"), ("undo", "1")):
        bench.run(*at, *words)


def failing(trail: Trail) -> None:
    """Runs that are refused, that fail, that are killed, and one with an error that nobody foresaw."""
    bench = trail.bench("failing")
    root = trail.root("failing-host", "host", HOST_FILES)
    at, work = ("--root", str(root), "--role", "host"), bench.place / "work"
    bad = C["in answers that are wrong"]
    good = ANSWERS.format(client=f"password: {bad}", user="upsmon", monitor="password_file: absent.password")
    for number, (text, mode) in enumerate(
        (
            (good, 0o644),
            (good.replace(bad, f"'{bad}"), 0o600),
            (good.replace(bad, f"!!str {bad}"), 0o600),
            (good.replace(bad, f"{bad} with a blank"), 0o600),
            (good.replace(bad, f"[{bad}]"), 0o600),
            (good.replace(bad, f"{{x: {bad}}}"), 0o600),
            (good.replace("  password: ", "  passwort: "), 0o600),
            (good.replace("  password: ", "  "), 0o600),
            (good.replace(f"password: {bad}", bad), 0o600),
            (f"{bad}\n", 0o600),
            (good.replace("role: host", "role: client"), 0o600),
        )
    ):
        path = trail.input(work / f"bad-{number}.yaml", text, mode)
        bench.run("--root", str(root), "plan", path, code=2)
        bench.run("--root", str(root), "apply", "--json", path, code=2)
    path = trail.input(work / "good.yaml", good)
    os.link(root / "etc/nut/upsd.users", root / "etc/nut/second-name")
    bench.run(*at, "apply", path, code=1)
    (root / "etc/nut/second-name").unlink()
    kill = (
        "strace",
        "-f",
        "-qqq",
        "-o",
        "/dev/null",
        "-e",
        "trace=rename",
        "-e",
        "inject=rename:signal=KILL:when=4",
    )
    bench.run(*at, "apply", path, command=(*kill, *COMMAND), code=None)
    for words in (("plan", path), ("plan", path, "--json"), ("check",), ("history", "--json")):
        bench.run(*at, *words, code=None)
    bench.run(*at, "recover", code=None)
    with Terminal(bench, *at, "step", "client_user", dumb=True) as terminal:
        assert terminal.drive({"password": f"{C['client, typed and refused']}\r\x03"}) == 130
        trail.screens.append(("a plain password that is refused", terminal.raw))
    for debug in ("", "0"):
        program = CRASH.format(C["in a crash"], path, str(root))
        bench.run(command=(*COMMAND[:2], "-"), typed=program, code=1, variables={"NUTWIZARD_DEBUG": debug})


CRASH = """
import sys, threading
from nutwizard import cli
from nutwizard.engine.planner import Planner
def walk(self, sources, edited=None):
    secret = {!r}
    def thread():
        raise ValueError(secret)
    started = threading.Thread(target=thread)
    started.start()
    started.join()
    try:
        int(secret)
    except ValueError as error:
        raise RuntimeError("about " + secret) from error
Planner.walk = walk
sys.exit(cli.main(["plan", {!r}, "--root", {!r}]))
"""


def practice_host(trail: Trail) -> None:
    """The practice host in a terminal with arrow keys, then the commands."""
    bench = trail.bench("practice")
    typed = {
        "its password": f"{C['monitor, typed in a terminal']}\r",
        "password": f"{C['client, typed in a terminal']}\r",
        "Write this now?": "y",
    }
    with Terminal(bench, "--practice", "--plain") as terminal:
        code = terminal.drive(typed)
        trail.screens.append(("guided run with arrow keys", terminal.raw))
        assert code == 0, terminal.plain()[-3000:]
    bench.run("--practice", "history", "--json")


def practice_client(trail: Trail) -> None:
    """The practice VM; what its apply starts is seen in the tests of the environment."""
    bench = trail.bench("practice-vm")
    work = bench.place / "work"
    answers = trail.input(work / "vm.yaml", VM_ANSWERS.format(server="192.168.1.107"))
    trail.input(work / "vm.password", f"{C['VM, from a file']}\n")
    bench.run("--practice", "plan", answers, code=3)
    bench.run("--practice", "--role", "client", "check", "--json", code=4)


@pytest.fixture(scope="module")
def trail() -> Iterator[Trail]:
    # The practice machine's daemons run as nut: they could not enter pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="canary-") as place:
        os.chmod(place, 0o711)
        yield _walked(Trail(Path(place)))


def _walked(trail: Trail) -> Trail:
    """Every scenario, at once."""

    def guarded(act: Callable[[Trail], None]) -> None:
        begin = time.monotonic()
        try:
            act(trail)
        except BaseException:  # noqa: BLE001 - shown by a test of its own
            trail.failures.append(f"{act.__name__}: {traceback.format_exc(-2)}")
        print(f"{act.__name__}: {time.monotonic() - begin:.1f} s")

    acts = (practice_host, practice_client, offline_host, offline_client, failing)
    with Watch() as watch:
        threads = [threading.Thread(target=guarded, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    trail.seen = watch.seen
    return trail


def test_everything_was_run(trail: Trail) -> None:
    assert trail.failures == [], "\n".join(trail.failures)
    words = {word for ran in trail.ran for word in ran.words}
    assert words >= {
        "plan",
        "apply",
        "check",
        "undo",
        "history",
        "recover",
        "forget",
        "step",
        "--ask",
        "--json",
    }
    assert {ran.code for ran in trail.ran} >= {0, 1, 2, 3, 4, 6}
    assert all(raw.count(b"\x1b[") > 50 or "plain" in name for name, raw in trail.screens)
    assert len(set(trail.generated.values())) == 4


def test_every_canary_has_been_in_use(trail: Trail) -> None:
    """Else the searches below would find nothing because there was nothing."""
    stored = b"".join(path.read_bytes() for path in trail.place.rglob("*") if path.is_file())
    unused = [kind for kind in CANARIES if trail.needles[kind] not in stored]
    assert unused == ["client, typed and refused", "in a crash"]


@pytest.mark.parametrize("stream", ["out", "err"])
def test_no_output_shows_one(trail: Trail, stream: str) -> None:
    assert {ran.words: hits for ran in trail.ran if (hits := trail.hits(getattr(ran, stream)))} == {}


def test_no_terminal_shows_one(trail: Trail) -> None:
    assert len(trail.screens) == 3
    # A typed password could come back letter by letter, between sequences that move the cursor.
    for name, raw in trail.screens:
        plain = re.sub(rb"\x1b\[[0-9;?]*[ -/]*[@-~]", b"", raw)
        assert {name: trail.hits(raw) + trail.hits(plain)} == {name: []}


def test_no_process_has_one_in_its_arguments_or_environment(trail: Trail) -> None:
    assert len(trail.seen) > 50
    assert any(b"dummy-ups" in data for data in trail.seen), "the watch was asleep"
    assert [trail.hits(data) for data in trail.seen if trail.hits(data)] == []


def test_no_file_holds_one_but_those_that_must(trail: Trail) -> None:
    found: dict[str, list[str]] = {}
    for path in trail.place.rglob("*"):
        if path.is_symlink() or not path.is_file() or path in trail.inputs:
            continue
        hits = trail.hits(path.read_bytes()) + trail.hits(str(path).encode())
        if hits and not _allowed(trail, path):
            found[str(path.relative_to(trail.place))] = hits
    assert found == {}


def _allowed(trail: Trail, path: Path) -> bool:
    """Whether a secret may be there; then nobody but root and nut may read it."""
    practice = [bench.place / "state/nutwizard/practice" for bench in trail.benches]
    roots = [*trail.roots, *(folder / name for folder in practice for name in ("host", "vm"))]
    for root in roots:
        if path.is_relative_to(root) and ALLOWED.fullmatch(str(path.relative_to(root))):
            kept = "nutwizard" in str(path.relative_to(root))
            return path.stat().st_mode & (0o077 if kept else 0o007) == 0
    tables = [folder for folder in practice if path.parent == folder and PRACTICE_TABLES.fullmatch(path.name)]
    return bool(tables) and path.stat().st_mode & 0o077 == 0 and tables[0].stat().st_mode & 0o077 == 0


def test_nothing_is_left_in_temporary_folders(trail: Trail) -> None:
    assert [str(path) for bench in trail.benches for path in (bench.place / "tmp").rglob("*")] == []


def test_a_crash_shows_places_and_no_values(trail: Trail) -> None:
    crashes = [ran for ran in trail.ran if not ran.words]
    assert len(crashes) == 2
    for ran in crashes:
        said = ran.err.decode()
        assert "internal error: RuntimeError in nutwizard/engine/session.py:" in said
        assert " <- ValueError in " in said
        assert said.count("internal error: ValueError in") == 1, "the one of the thread"
        assert "Traceback" not in said
        assert "NUTWIZARD_DEBUG=1" in said
