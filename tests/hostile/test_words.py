"""Names and texts that the steps let through: written by them, read back by the real upsd and upsmon."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from nutwizard.core import checks
from nutwizard.core.answers import AnswersSet, Given, Origin
from nutwizard.core.facts import Role
from nutwizard.core.secret import Secret
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.nut_client import Limits, open_client
from nutwizard.engine.saved import ALPHABET, PASSWORD_LENGTH
from nutwizard.engine.session import Session
from nutwizard.engine.sources import MachineSources
from tests.engine.test_nut_client import dial
from tests.hostile.rig import CLIENT_FILES, STOCK, machine
from tests.hostile.tally import count
from tests.support.real_nut import RelocatedNut, require_nut

PRINTABLE = "".join(map(chr, range(32, 127)))
#: Texts that were chosen, beside those that are drawn: comment signs, brackets, what a shell would take.
NASTY = [
    "a#b",
    "$(id)",
    "`id`",
    "a'b",
    "x;y",
    "{a}",
    "a[b",
    "100%",
    "%s",
    "-rf",
    "~root",
    "a,b",
    "a:b@c",
    "<>|&",
    "!1",
    "\\x".replace("\\", "/"),
]


#: upsmon writes its process id to a fixed place: it gets a /run of its own.
ALONE = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run && mkdir /run/nut && exec "$@"', "sh")


def sampled(strategy: st.SearchStrategy[str], check: object, count: int) -> list[str]:
    """`count` texts of the strategy that the field takes, always the same ones."""
    found: dict[str, None] = {}

    @settings(max_examples=count * 6, derandomize=True, database=None)
    @given(strategy)
    def gather(text: str) -> None:
        if len(found) < count and check(text) is None:  # type: ignore[operator]
            found[text] = None

    gather()
    assert len(found) >= count // 2
    return list(found)


def written(root: Path, role: Role, sections: dict[str, dict[str, object]]) -> None:
    """What a replay of these answers makes of the machine's files."""
    host = OfflineHost(str(root))
    given_ = {
        step: {name: Given(value, Origin.NAMED) for name, value in each.items()}
        for step, each in sections.items()
    }
    plan = Session(host, MachineSources(host), role, named=AnswersSet(role, "answers", given_)).plan()
    for change in plan.files:
        if change.after is not None:
            (root / change.path[1:]).parent.mkdir(parents=True, exist_ok=True)
            (root / change.path[1:]).write_bytes(change.after.data)


def test_users_and_passwords_log_in_on_a_real_upsd(tmp_path: Path) -> None:
    require_nut()
    root = machine(tmp_path / "root", "host", STOCK)
    text = st.text(PRINTABLE, min_size=1, max_size=24)
    users = [
        u
        for u in dict.fromkeys(
            [
                *sampled(text, checks.user_name, 24),
                *(f"n{t}" for t in NASTY if checks.user_name(f"n{t}") is None),
            ]
        )
        if u != "upsmon"
    ]
    drawn = sampled(
        st.text(ALPHABET, min_size=PASSWORD_LENGTH, max_size=PASSWORD_LENGTH), checks.password, 16
    )
    words = [*drawn, *(t for t in NASTY if checks.password(t) is None), *sampled(text, checks.password, 24)]
    accounts = dict(zip(users, words, strict=False))
    for name, password in accounts.items():
        written(root, Role.HOST, {"client_user": {"name": name, "password": Secret(password)}})
    with RelocatedNut(tmp_path, users=(root / "etc/nut/upsd.users").read_text()) as nut:
        for name, password in accounts.items():
            with open_client(dial, nut.address, nut.port, Limits()) as client:
                client.login("apc", name, password)
    count("users and passwords on a real upsd", "logged in", len(accounts))
    assert len(accounts) >= 20


def test_names_and_descriptions_are_read_by_a_real_upsd(tmp_path: Path) -> None:
    require_nut()
    root = machine(tmp_path / "root", "host", STOCK)
    names = sampled(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True), checks.ups_name, 20)
    texts = sampled(st.text(PRINTABLE, min_size=1, max_size=60), checks.nut_text, 20)
    texts = [*(f'{t} "quoted" \\ back # sign = ' for t in NASTY[:8]), *texts]
    wanted = dict(zip(names, texts, strict=False))
    with RelocatedNut(tmp_path) as nut:
        for name, text in wanted.items():
            written(
                root,
                Role.HOST,
                {"driver": {"ups": name, "driver": "dummy-ups", "port": f"{name}.dev", "description": text}},
            )
        nut.stop_upsd()
        found = (root / "etc/nut/ups.conf").read_text()
        (nut.folder / "ups.conf").write_text((nut.folder / "ups.conf").read_text() + found)
        nut.start_upsd()
        with open_client(dial, nut.address, nut.port, Limits()) as client:
            listed = client.ups_names()
    assert {name: text for name, text in listed.items() if name in wanted} == wanted
    assert len(wanted) >= 15


@pytest.mark.lab
def test_monitor_lines_are_read_by_a_real_upsmon(tmp_path: Path) -> None:
    require_nut()
    text = st.text(PRINTABLE, min_size=2, max_size=20)
    users, words = sampled(text, checks.user_name, 8)[:4], sampled(text, checks.password, 8)[:4]
    host = machine(tmp_path / "host", "host", STOCK)
    for name, password in zip(users, words, strict=True):
        written(host, Role.HOST, {"client_user": {"name": name, "password": Secret(password)}})
    with RelocatedNut(tmp_path, users=(host / "etc/nut/upsd.users").read_text()) as nut:
        for number, (name, password) in enumerate(zip(users, words, strict=True)):
            root = machine(tmp_path / f"vm{number}", "client", {file: STOCK[file] for file in CLIENT_FILES})
            answers = {
                "ups": "apc",
                "server": nut.address,
                "port": nut.port,
                "user": name,
                "password": Secret(password),
            }
            written(root, Role.CLIENT, {"monitor": answers})
            assert logs_in(nut, root), f"{name} {password}: {(root / 'log').read_text()}"


def logs_in(nut: RelocatedNut, root: Path) -> bool:
    """Whether upsd lists the real upsmon of this machine within 10 s."""
    folders = dict.fromkeys(("NUT_ALTPIDPATH", "NUT_PIDPATH", "NUT_STATEPATH"), str(root))
    with open(root / "log", "wb") as log:
        upsmon = subprocess.Popen(
            [*ALONE, "setpriv", "--pdeathsig", "KILL", "/lib/nut/upsmon", "-F", "-p", "-u", "root"], cwd=root,
            env=nut.env | folders | {"NUT_CONFPATH": str(root / "etc/nut")},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        stop = time.monotonic() + 10
        while time.monotonic() < stop and upsmon.poll() is None:
            time.sleep(0.05)
            with open_client(dial, nut.address, nut.port, Limits()) as client:
                if client.clients("apc"):
                    return True
        return False
    finally:
        upsmon.terminate()
        upsmon.wait(10)


@pytest.mark.parametrize(("check", "bad"), [
    (checks.ups_name, ["", "-a", "a b", "a]", "a\n", "a$", "a;b", "a/b", "é", "a" * 65]),
    (checks.user_name, ["", "a b", "a]", "a\n", 'a"b', "a\\", "a=b", "a\0", "é", "\x1b"]),
    (checks.password, ["", "a b", "a\n", '"a', "a\\", "a=b", "a\0", "é", "a" * 600]),
    (checks.server_address, ["", "-h", "a b", "a;b", "a$(b)", "a\n", "a/b", "a@b",
                             "999.1.1.1", "a..b", "a_b"]),
    (checks.listen_address, ["", "a", "0.0.0.0\n", "::1%lo", "1.2.3", "$(id)"]),
    (checks.driver_name, ["", "../x", "a b", "-a", "a;b", "A", "a\n"]),
    (checks.nut_text, ["", "  ", "a\nb", "a\0", "é", "\x1b", "a" * 2000]),
])  # fmt: skip
def test_what_nut_could_not_carry_is_refused(check: object, bad: list[str]) -> None:
    assert [text for text in bad if check(text) is None] == []  # type: ignore[operator]


def test_the_samples_hold_what_they_are_for() -> None:
    """The password check leaves hard characters in: else the logins above would prove little."""
    assert find(st.text(PRINTABLE, min_size=1, max_size=8), lambda t: "'" in t and checks.password(t) is None)
