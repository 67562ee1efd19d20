"""Text from outside on a real terminal: no sequence reaches it but the front end's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.hostile.rig import COMMAND, STOCK, Bench, Terminal, machine
from tests.hostile.test_server import INSIDE, KNOWN, NAME, server, talks

#: What a terminal obeys: a title, colours, erasing, C1's CSI and OSC, a bell, a backspace; what misleads.
BAD = "\x1b]0;EVIL\x07\x1b[31mEVIL\x1b[2J\x9b31m\x9d0;EVIL\x07\x08\x7f\u202eEVIL\u2066\u200b\ue000"
#: All that prompt_toolkit and our own colours send: cursor, erase, colour, modes of paste and cursor.
OWN = re.compile(rb"\x1b\[([0-9;]*[ABCDHJKm]|\?[0-9]+[hl])|\x1b\[[0-9]* q")
#: BAD's own: a screen is never erased by us with text on it.
FORBIDDEN = re.compile(
    "EVIL\x1b\\[2J|\x1b\\[31mEVIL|[\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ue000]"
)


def wrong(raw: bytes) -> list[str]:
    """What a terminal got and should not have."""
    rest = OWN.sub(b"", raw)
    return (
        FORBIDDEN.findall(raw.decode())
        + [hex(byte) for byte in rest if byte < 0x20 and byte not in b"\t\r\n\x08"]
        + (["a backspace after EVIL"] if b"EVIL\x08" in rest else [])
    )


FILES = {
    **STOCK,
    "nut.conf": f"MODE='{BAD}'\n# {BAD}\n".encode(),
    "ups.conf": f'[apc]\ndriver = usbhid-ups\nport = auto\ndesc = "{BAD}"\n# {BAD}\n{BAD} = {BAD}\n'.encode(),
    "upsd.conf": f"LISTEN {BAD} 3493\n# {BAD}\nMAXAGE {BAD}\n".encode(),
    "upsd.users": (
        f"[{BAD}]\npassword = {BAD}\nupsmon slave\n# {BAD}\n[upsmon]\npassword = word-1\nupsmon master\n"
    ).encode(),
    "upsmon.conf": (
        f'MONITOR apc@localhost 1 upsmon word-1 master\n# {BAD}\nSHUTDOWNCMD "{BAD}"\n'
        f'MONITOR {BAD}@{BAD} 1 {BAD} {BAD} slave\nNOTIFYCMD "{BAD}"\n'
    ).encode(),
    "upssched.conf": f"CMDSCRIPT {BAD}\nAT ONLINE {BAD} EXECUTE {BAD}\n# {BAD}\n".encode(),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = machine(tmp_path / "root", "host", FILES)
    (made / "etc/hostname").write_text(f"{BAD}\n")
    (made / "etc/os-release").write_text(f'PRETTY_NAME="{BAD}"\n')
    return made


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "arrows"])
def test_a_guided_run_over_hostile_files(tmp_path: Path, root: Path, plain: bool) -> None:
    bench = Bench(tmp_path / "bench")
    with Terminal(bench, "--root", str(root), "--role", "host", "--plain", dumb=plain) as terminal:
        enter = "" if plain else "\x15"
        typed = {
            "description": f"{enter}APC\r",
            "user name": f"{enter}upsmonclient\r",
            "Which step": "\r",
            "What now? [diff": "quit\r",
        }
        code = terminal.drive(typed | ({} if plain else {"What now?": "\r"}), turns=36)
        assert b"EVIL" in terminal.raw, "it was shown"
        assert rb"\x1b]0;EVIL\x07" in terminal.raw, "and visibly so"
        assert wrong(terminal.raw) == []
    assert code in (0, 2, 130)


def test_commands_over_hostile_files(tmp_path: Path, root: Path) -> None:
    bench = Bench(tmp_path / "bench")
    answers = bench.place / "work/answers.yaml"
    bench.environment  # noqa: B018 - makes its folders
    answers.write_text(
        "nutwizard: 1\nrole: host\ndriver: {description: APC, ups: apc}\nlisten: {addresses: [0.0.0.0]}\n"
    )
    shown = b""
    for words in (
        ("plan",),
        ("plan", "--json"),
        ("apply", "--json"),
        ("check", "--json"),
        ("check",),
        ("history",),
        ("undo",),
    ):
        named = [str(answers)] if words[0] in ("plan", "apply") else []
        with Terminal(bench, "--root", str(root), "--role", "host", *words, *named) as terminal:
            terminal.end()
            assert wrong(terminal.raw) == [], words
            assert b"Traceback" not in terminal.raw
            assert b"internal error" not in terminal.raw
            shown += terminal.raw
    assert shown.count(b"EVIL") > 10


def test_answers_and_command_lines_with_hostile_text(tmp_path: Path, root: Path) -> None:
    bench = Bench(tmp_path / "bench")
    bench.environment  # noqa: B018 - makes its folders
    answers = bench.place / f"work/{BAD.replace('/', '')}.yaml"
    escaped = BAD.encode("unicode_escape").decode().replace("\\x", "\\x")
    answers.write_text(
        f'nutwizard: 1\nrole: host\n"{escaped}": 1\ndriver: {{ups: "{escaped}", "{escaped}": 2}}\n'
    )
    for words in (
        ["plan", str(answers)],
        [BAD],
        ["plan", BAD],
        ["--root", BAD, "check"],
        ["check", BAD],
        ["step", BAD, "--plain"],
    ):
        with Terminal(bench, "--root", str(root), "--role", "host", *words) as terminal:
            assert terminal.end() == 2, terminal.plain()
            assert wrong(terminal.raw) == [], words


@pytest.mark.lab
@pytest.mark.parametrize("json", [[], ["--json"]], ids=["text", "json"])
def test_variables_of_a_hostile_server(tmp_path: Path, json: list[str]) -> None:
    nut = tmp_path / "nut"
    nut.mkdir()
    bad = BAD.encode().replace(b"\n", b"")
    rows = b'VAR apc ups.status "OL"\nVAR apc ups.model "%s"\nVAR apc x.%s "y"\n' % (bad, bad)
    answers = KNOWN | {
        b"VER": b"Network UPS Tools upsd " + bad + b"\n",
        b"LIST UPS": b'BEGIN LIST UPS\nUPS apc "%s"\nUPS %s "x"\nEND LIST UPS\n' % (bad, bad),
        b"LIST VAR": b"BEGIN LIST VAR apc\n" + rows + b"END LIST VAR apc\n",
        b"GET VAR": b'VAR apc ups.status "OL %s"\n' % bad,
        b"LIST CLIENT": b"BEGIN LIST CLIENT apc\nCLIENT apc %s\nEND LIST CLIENT apc\n" % bad,
    }
    with server(talks(answers)) as port:
        (nut / "hosts").write_text(f"127.0.0.1 {NAME}\n")
        (nut / "nut.conf").write_text("MODE=netclient\n")
        (nut / "upsmon.conf").write_text(f"MONITOR apc@{NAME}:{port} 1 user word-1 secondary\n")
        inside = ("unshare", "--mount", "sh", "-c", INSIDE, "sh", str(nut), *COMMAND)
        with Terminal(Bench(tmp_path), "check", "--role", "client", *json, command=inside) as terminal:
            terminal.end()
            assert b"ups.model" in terminal.raw
            assert b"EVIL" in terminal.raw
            assert wrong(terminal.raw) == []
