"""Any bytes in any managed file: a plan or an error with a sentence, soon; no traceback, no change."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nutwizard import as_json
from nutwizard.core.errors import WizardError
from nutwizard.core.facts import Role
from nutwizard.engine import registry
from nutwizard.engine.answers_file import read_answers
from nutwizard.engine.filefacts import LARGEST_CONFIG, MOST_LINES
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.session import Session
from nutwizard.engine.sources import MachineSources
from nutwizard.formats.redact import masked_lines
from nutwizard.wording.checked import examination_text, quiet_text
from nutwizard.wording.proof import proof_html
from nutwizard.wording.show import plan_text, summary_lines
from tests.hostile.rig import CLIENT_FILES, STOCK, machine
from tests.hostile.tally import count

#: Seconds for one plan with its diff, on a slow machine.
SOON = 10.0
FILES = [(role, name) for role in ("host", "client") for name in (STOCK if role == "host" else CLIENT_FILES)]
IDS = [f"{role}-{name}" for role, name in FILES]
#: What NUT's files are made of, so that random bytes get deeper than the first word.
WORDS = st.sampled_from(
    [b"[apc]", b"[", b"]", b"[a b]", b'"', b"\\", b"#", b"=", b" = ", b"\n", b"\r\n", b"\\\n", b"\0",
     b"\x1b[31m", b"\xff\xfe", b"MONITOR apc@h:1 1 u p primary", b"MONITOR", b"apc@[::1]:99999",
     b"LISTEN 0.0.0.0 3493", b"LISTEN", b"MODE=", b"MODE=none", b"MODE='", b"MODE=$(x)", b"password",
     b"password = x", b"upsmon master", b"driver = usbhid-ups", b"port = auto", b"NOTIFYFLAG ONLINE",
     b"EXEC+SYSLOG", b"AT ONLINE * EXECUTE online", b"AT", b"CMDSCRIPT", b"PIPEFN /x", b"NOTIFYCMD",
     b"SHUTDOWNCMD", b"\t", b" ", "\u202e\u200b".encode(), b"\xc2\x9b", b"'", b"$", b"`", b";", b"{",
     b"(", b"9" * 400, b"-1", b"%s%n"]
)  # fmt: skip
DATA = st.lists(st.one_of(WORDS, st.binary(max_size=12)), max_size=40).map(b"".join)
MOST = LARGEST_CONFIG
MONSTERS: dict[str, tuple[str, bytes]] = {
    "one line": ("upsmon.conf", b"x" * MOST),
    "quotes": ("upsd.users", b'"' * MOST),
    "backslashes": ("upsmon.conf", b"\\" * MOST),
    "comment signs": ("upsd.users", b"#" * MOST),
    "comments in comments": ("upsmon.conf", b"# " * (MOST // 2)),
    "NULs": ("upsmon.conf", b"\0" * MOST),
    "empty lines": ("upsd.users", b"\n" * MOST_LINES),
    "sections": ("upsd.users", b"".join(b"[u%d]\n" % n for n in range(MOST_LINES))),
    "one section again and again": ("ups.conf", b"[apc]\n" * MOST_LINES),
    "continued lines": ("upsmon.conf", b"a \\\n" * MOST_LINES),
    "open quotes": ("upsmon.conf", b'a "\n' * MOST_LINES),
    "MONITOR lines": (
        "upsmon.conf",
        b"".join(b"MONITOR u%d@h 1 u p%d primary\n" % (n, n) for n in range(1700)),
    ),
    "passwords": ("upsd.users", b"".join(b"[u%d]\npassword = p4ssw0rd-%d\n" % (n, n) for n in range(900))),
    "LISTEN lines": ("upsd.conf", b"LISTEN 127.0.0.1 3493\n" * 1900),
    "shell quotes": ("nut.conf", b"MODE='" * (MOST // 6)),
    "brackets": ("ups.conf", b"[" * MOST),
}
TOO_MUCH = {"bytes": b"x" * (MOST + 1), "lines": b"\n" * (MOST_LINES + 1)}


def plan_of(root: Path, role: str, *, whole: bool) -> str:
    """What a person would be shown, in every form; where the machine is refused, the sentence."""
    host = OfflineHost(str(root))
    try:
        session = Session(host, MachineSources(host), Role(role), save=True)
        session.require_nut()
        if not whole:
            return plan_text(session.plan(), color=False)
        said = [str(session.found()), *(session.state(step) for step in session.steps)]
        seen = session.examine()
        said += [
            examination_text(seen),
            quiet_text(seen),
            proof_html(Role(role), seen, 0.0, version="1", practice=False),
        ]
        said += [as_json.examination(Role(role), seen, practice=False)]
        found = session.plan()
    except WizardError as error:
        return error.text
    said += [plan_text(found, color=False), as_json.plan(found, practice=False)]
    said += [line.text for line in summary_lines(found)]
    return "\n".join(said)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("fuzz")
    return {
        "host": machine(place / "host", "host", STOCK),
        "client": machine(place / "client", "client", {name: STOCK[name] for name in CLIENT_FILES}),
    }


def _too_long(number: int, frame: FrameType | None) -> None:
    raise AssertionError(f"no end within {SOON} s, now in {frame.f_code.co_qualname if frame else '?'}")


def tried(machines: dict[str, Path], role: str, name: str, data: bytes, *, whole: bool = True) -> str:
    path = machines[role] / "etc/nut" / name
    path.write_bytes(data)
    old = signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, SOON)
    try:
        said = plan_of(machines[role], role, whole=whole)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        assert path.read_bytes() == data
        path.write_bytes(STOCK[name])
    assert said.strip()
    count("contents of managed files", "a plan or an error")
    return said


@pytest.mark.parametrize(("role", "name"), FILES, ids=IDS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=DATA)
def test_any_bytes(machines: dict[str, Path], role: str, name: str, data: bytes) -> None:
    tried(machines, role, name, data)


@pytest.mark.parametrize("monster", MONSTERS)
def test_monsters(machines: dict[str, Path], monster: str) -> None:
    name, data = MONSTERS[monster]
    assert len(data) <= MOST
    tried(machines, "host", name, data, whole=False)


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_what_is_too_large_is_refused_by_name(machines: dict[str, Path], kind: str) -> None:
    path = machines["host"] / "etc/nut/ups.conf"
    path.write_bytes(TOO_MUCH[kind])
    host = OfflineHost(str(machines["host"]))
    try:
        with pytest.raises(
            WizardError,
            match=f"/etc/nut/ups.conf has {MOST + 1 if kind == 'bytes' else MOST_LINES + 1} {kind}",
        ):
            Session(host, MachineSources(host), Role.HOST)
    finally:
        path.write_bytes(STOCK["ups.conf"])


@pytest.mark.parametrize("name", [*STOCK, "client.password"])
@settings(max_examples=40)
@given(data=DATA)
def test_masking_takes_anything(name: str, data: bytes) -> None:
    assert len(masked_lines(name, data)) == len(data.split(b"\n")) - data.endswith(b"\n") - (not data)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        DATA,
        st.text(st.sampled_from("nutwizard: 1role-host[]{}&*!%@`'\"\n\t #|>,?\0\x85\ufeff"), max_size=80).map(
            str.encode
        ),
    )
)
def test_answers_of_any_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "answers.yaml"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(WizardError) as caught:
        read_answers(str(path), {role: registry.steps_of(role) for role in Role})
    assert str(path) in caught.value.text
