"""The answers file: every error with its place, YAML's traps, passwords, and what is written read again.

`tests/cases/answers/NAME.yaml` is read as answers.yaml beside a client.password. NAME.errors holds the lines
that must be told, NAME.values the values that must be read. `{folder}` stands for where the files are.
"""

from __future__ import annotations

import os
import string
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutwizard.core import checks, paths
from nutwizard.core.answers import AnswersSet, Given, Origin
from nutwizard.core.errors import AnswersError, NeedsRoot
from nutwizard.core.events import events_of
from nutwizard.core.facts import Role
from nutwizard.core.fields import Field, FieldKind, fields_of
from nutwizard.core.secret import Secret
from nutwizard.engine import registry
from nutwizard.engine.answers_file import read_answers
from nutwizard.engine.saved import answers_text

CASES = Path(__file__).parents[1] / "cases" / "answers"
NAMES = sorted(path.stem for path in CASES.glob("*.yaml"))
CANARY = "CANARY-0815"
STEPS = {role: registry.steps_of(role) for role in Role}
HEAD = b"nutwizard: 1\nrole: "
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def put(folder: Path, name: str, data: bytes, mode: int = 0o600) -> Path:
    path = folder / name
    path.write_bytes(data)
    path.chmod(mode)
    return path


def read(path: Path) -> AnswersSet:
    return read_answers(str(path), STEPS)


def told(path: Path) -> list[str]:
    """Every problem as a line, without the folder."""
    with pytest.raises(AnswersError) as caught:
        read(path)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(problem).replace(str(path.parent), "{folder}") for problem in caught.value.problems]


def shown(found: AnswersSet, folder: Path) -> list[str]:
    assert found.role is not None
    lines = [f"role {found.role.value}"]
    for step, section in found.sections.items():
        for name, entry in section.items():
            value = entry.value
            text = f"{value.reveal()} in {value.file}" if isinstance(value, Secret) else repr(value)
            lines.append(f"{step}.{name} = {text} at {entry.place}".replace(str(folder), "{folder}"))
    return lines


@pytest.mark.parametrize("name", NAMES)
def test_a_case(name: str, tmp_path: Path) -> None:
    path = put(tmp_path, "answers.yaml", (CASES / f"{name}.yaml").read_bytes())
    put(tmp_path, "client.password", b"from-its-file\n")
    errors = CASES / f"{name}.errors"
    if errors.exists():
        assert told(path) == errors.read_text(encoding="utf-8").splitlines()
    else:
        values = (CASES / f"{name}.values").read_text(encoding="utf-8").splitlines()
        assert shown(read(path), tmp_path) == values


def test_every_case_says_what_must_come_of_it() -> None:
    expected = [path.stem for ending in ("errors", "values") for path in CASES.glob(f"*.{ending}")]
    assert sorted(expected) == NAMES


def test_no_case_tells_a_password() -> None:
    with_canary = [name for name in NAMES if CANARY in (CASES / f"{name}.yaml").read_text()]
    assert len(with_canary) > 5
    for name in with_canary:
        assert CANARY not in (CASES / f"{name}.errors").read_text()


#: Bytes that a text file in a repository may lose on its way.
ODD: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["{folder}/a: is empty", "{folder}/a: has no line `role: host` or `role: client`"]),
    "comment only": (
        b"# nothing\n",
        ["{folder}/a: is empty", "{folder}/a: has no line `role: host` or `role: client`"],
    ),
    "latin-1": (HEAD + b"host\ndriver:\n  description: \xc3\xa9\xe9\n", ["{folder}/a:4:17: is not UTF-8"]),
    "utf-16": ("nutwizard: 1\n".encode("utf-16"), ["{folder}/a:1:1: is not UTF-8"]),
    "NUL": (HEAD + b"host\n\0", ["{folder}/a:3:1: YAML forbids this character"]),
    "escape": (HEAD + b"ho\x1b[2Jst\n", ["{folder}/a:2:9: YAML forbids this character"]),
    "tab": (
        HEAD + b"host\ndriver:\n\tups: apc\n",
        [
            "{folder}/a:4:1: while scanning for the next token,"
            " found character '\\t' that cannot start any token"
        ],
    ),
    "3000 brackets": (HEAD + b"host\ndriver: " + b"[" * 3000, ["{folder}/a:3:18: nests too deeply"]),
    "brackets to the limit": (b"[" * (64 << 10), ["{folder}/a:1:11: nests too deeply"]),
    "braces": (b"{a: " * 1000, ["{folder}/a:1:41: nests too deeply"]),
    "dashes": (b"- " * 1000, ["{folder}/a:1:21: nests too deeply"]),
    "indented": (
        b"".join(b" " * n + b"a:\n" for n in range(100)),
        ["{folder}/a:11:11: nests too deeply"],
    ),
    "over 64 KiB": (b"#" * ((64 << 10) + 1), ["{folder}/a: is larger than 64 KiB"]),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_bytes(name: str, tmp_path: Path) -> None:
    data, expected = ODD[name]
    begin = time.monotonic()
    assert told(put(tmp_path, "a", data)) == expected
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.removesuffix(b"\n"),
        lambda data: data + b"#" * ((64 << 10) - len(data)),
        lambda data: data + b"...\n",
    ],
    ids=["BOM", "CRLF", "no last newline", "64 KiB", "document end"],
)
def test_harmless_bytes_change_nothing(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    plain = (CASES / "contract_host.yaml").read_bytes()
    put(tmp_path, "client.password", b"word\n")
    before = shown(read(put(tmp_path, "answers.yaml", plain)), tmp_path)
    assert shown(read(put(tmp_path, "answers.yaml", change(plain))), tmp_path) == before


def test_values_carry_their_origin(tmp_path: Path) -> None:
    path = put(tmp_path, "a", HEAD + b"host\nlisten:\n  port: 3493\n")
    assert read(path).get("listen", "port") == Given(3493, Origin.NAMED, f"{path}:4:9")
    saved = read_answers(str(path), STEPS, Origin.SAVED)
    assert saved.get("listen", "port") == Given(3493, Origin.SAVED, f"{path}:4:9")


def test_what_is_no_file(tmp_path: Path) -> None:
    assert told(tmp_path / "absent") == ["{folder}/absent: No such file or directory"]
    (tmp_path / "folder").mkdir()
    assert told(tmp_path / "folder") == ["{folder}/folder: is no regular file"]
    os.mkfifo(tmp_path / "fifo")
    assert told(tmp_path / "fifo") == ["{folder}/fifo: is no regular file"]
    (tmp_path / "loop").symlink_to("loop")
    assert told(tmp_path / "loop") == ["{folder}/loop: is a symlink: name the file that it leads to"]


WRITABLE = "can be written by another user: it would decide what root writes"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_answers_file_that_others_can_write(mode: int, tmp_path: Path) -> None:
    assert told(put(tmp_path, "a", HEAD + b"host\n", mode)) == [f"{{folder}}/a: {WRITABLE}"]


def test_an_answers_file_that_anyone_could_exchange(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    path = put(folder, "a", HEAD + b"host\n")
    folder.chmod(0o777)
    assert "lies in a folder that every user can write" in told(path)[0]
    folder.chmod(0o1777)  # as /tmp: nobody may replace the file of another
    assert read(path).role is Role.HOST


def test_an_answers_file_is_not_reached_by_a_link(tmp_path: Path) -> None:
    path = put(tmp_path, "a", HEAD + b"host\n")
    (tmp_path / "link").symlink_to(path)
    assert told(tmp_path / "link") == ["{folder}/link: is a symlink: name the file that it leads to"]


@AS_ROOT
def test_an_answers_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "a", HEAD + b"host\n")
    os.chown(path, 65534, 65534)
    assert told(path) == [f"{{folder}}/a: {WRITABLE}"]
    monkeypatch.setenv("SUDO_UID", "65533")
    assert told(path) == [f"{{folder}}/a: {WRITABLE}"]
    monkeypatch.setenv("SUDO_UID", "65534")  # who called sudo may bring answers
    assert read(path).role is Role.HOST


INLINE = HEAD + f"client\nmonitor:\n  password: {CANARY}\n".encode()


def test_a_password_inline(tmp_path: Path) -> None:
    found = read(put(tmp_path, "a", INLINE)).get("monitor", "password")
    assert found is not None
    assert found.value == Secret(CANARY, paths.CLIENT_PASSWORD)
    assert CANARY not in repr(found)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_password_inline_that_others_can_read(mode: int, tmp_path: Path) -> None:
    assert told(put(tmp_path, "a", INLINE, mode)) == [
        "{folder}/a:4:13: monitor.password: other users can read this file: chmod 600, or password_file"
    ]


def test_without_a_password_others_may_read(tmp_path: Path) -> None:
    put(tmp_path, "client.password", b"word\n")
    plain = (CASES / "contract_host.yaml").read_bytes()
    assert read(put(tmp_path, "a", plain, 0o644)).role is Role.HOST


def filed(role: str, name: str = "p") -> bytes:
    step = "client_user" if role == "host" else "monitor"
    return HEAD + f"{role}\n{step}:\n  password_file: {name}\n".encode()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"word", "word"),
        (b"word\n", "word"),
        (b"word\r\n", "word"),
        (b"~yes\n", "~yes"),
    ],
    ids=["bare", "newline", "CRLF", "a word of YAML"],
)
def test_a_password_file(data: bytes, value: str, tmp_path: Path) -> None:
    put(tmp_path, "p", data)
    found = read(put(tmp_path, "a", filed("client"), 0o644)).get("monitor", "password")
    assert found is not None
    assert found.value == Secret(value, str(tmp_path / "p"))


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "newline only": (b"\n", "it is empty"),
    "two lines": (f"{CANARY}\nmore\n".encode(), "not printable ASCII"),
    "two newlines": (f"{CANARY}\n\n".encode(), "not printable ASCII"),
    "a blank": (f"{CANARY} x\n".encode(), "a space"),
    "quotes": (f'"{CANARY}"\n'.encode(), 'It has a "'),
    "UTF-8": (f"{CANARY}é\n".encode(), "not printable ASCII"),
    "BOM": (f"\ufeff{CANARY}\n".encode(), "not printable ASCII"),
    "NUL": (f"{CANARY}\0\n".encode(), "not printable ASCII"),
    "long": (f"{CANARY * 6}\n".encode(), "66 characters"),
    "very long": (b"x" * 4097, "is larger than 4 KiB"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("role", ["host", "client"])
def test_a_password_file_that_cannot_be_used(name: str, role: str, tmp_path: Path) -> None:
    data, why = BAD_FILES[name]
    put(tmp_path, "p", data)
    [line] = told(put(tmp_path, "a", filed(role)))
    step = "client_user" if role == "host" else "monitor"
    assert line.startswith(f"{{folder}}/a:4:18: {step}.password_file: {{folder}}/p: ")
    assert why in line
    assert CANARY not in line


def test_a_password_file_that_is_not_there(tmp_path: Path) -> None:
    found = read(put(tmp_path, "a", filed("host"))).get("client_user", "password")
    assert found is not None
    assert found.value.pending
    assert found.value.file == str(tmp_path / "p")
    assert told(put(tmp_path, "a", filed("client"))) == [
        "{folder}/a:4:18: monitor.password_file: {folder}/p is not there; copy it from the host"
    ]


@pytest.mark.parametrize("role", ["host", "client"])
def test_a_password_file_is_looked_for_beside_the_answers(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    put(tmp_path / "set", "p", b"word\n")
    put(tmp_path / "set", "a", filed(role))
    monkeypatch.chdir(tmp_path)
    found = read_answers("set/a", STEPS)
    [section] = found.sections.values()
    assert section["password"].value == Secret("word", str(tmp_path / "set" / "p"))
    absolute = put(tmp_path, "b", filed(role, str(tmp_path / "set" / "p")))
    assert next(iter(read(absolute).sections.values()))["password"].value.reveal() == "word"


@pytest.mark.parametrize(("mode", "why"), [(0o640, "read"), (0o604, "read"), (0o620, WRITABLE)])
def test_a_password_file_open_to_others(mode: int, why: str, tmp_path: Path) -> None:
    put(tmp_path, "p", f"{CANARY}\n".encode(), mode)
    [line] = told(put(tmp_path, "a", filed("host")))
    assert line.startswith("{folder}/a:4:18: client_user.password_file: ")
    assert why in line
    assert CANARY not in line


@AS_ROOT
def test_a_password_file_of_another_user(tmp_path: Path) -> None:
    os.chown(put(tmp_path, "p", b"word\n"), 65534, 65534)
    assert told(put(tmp_path, "a", filed("client"))) == [
        f"{{folder}}/a:4:18: monitor.password_file: {{folder}}/p: {WRITABLE}"
    ]


def test_a_password_file_that_is_none(tmp_path: Path) -> None:
    path = put(tmp_path, "a", filed("host"))
    os.mkfifo(tmp_path / "p")
    assert told(path)[0].endswith("client_user.password_file: {folder}/p: is no regular file")
    (tmp_path / "p").unlink()
    (tmp_path / "p").symlink_to("nowhere")  # not absent: generating would write through it
    assert told(path)[0].endswith("{folder}/p: is a symlink: name the file that it leads to")
    assert told(put(tmp_path, "a", filed("host", '""')))[0].endswith("expected the name of a file")


def test_problems_of_passwords_are_told_with_all_others(tmp_path: Path) -> None:
    path = put(tmp_path, "a", filed("client") + b"  port: x\nactions:\n  wall: y\n")
    assert len(told(path)) == 3


@AS_ROOT
@pytest.mark.parametrize("name", ["a", "p"])
def test_what_this_user_may_not_read(name: str, tmp_path: Path) -> None:
    """Asked in a child: root may read everything."""
    put(tmp_path, "p", b"word\n")
    put(tmp_path, "a", filed("client"), 0o644)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):  # pytest closes its folders to others
        folder.chmod(0o755)
    if name == "a":
        (tmp_path / "a").chmod(0o600)
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            read(tmp_path / "a")
        except NeedsRoot as error:
            code = int(error.code) if f"{tmp_path}/{name} " in error.text else 98
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8


def test_a_password_beside_its_file_is_refused_whatever_the_order(tmp_path: Path) -> None:
    put(tmp_path, "p", b"word\n")
    for keys in (["password: x", "password_file: p"], ["password_file: p", "password: x"]):
        path = put(tmp_path, "a", HEAD + f"client\nmonitor:\n  {keys[0]}\n  {keys[1]}\n".encode())
        assert any("stands beside password; give one of them" in line for line in told(path))


def texts(check: Callable[[str], str | None] | None) -> st.SearchStrategy[str]:
    """Texts that the check lets pass, the odd ones of YAML and NUT among them."""
    odd = st.sampled_from(
        'no|yes|null|~|none|0123456|12:30|1e3|#x|a #b|a: b|- a|-|--- a|? a|: |[a]|{a}|!a|&a|*a|%a|@a|`a|"a"'
        "|'a'|a\\|\\n|\\\"|a'b| lead|trail | |a, b|<<|=|on|...|\\x41|a\\".split("|")
    )
    printable = st.text(st.sampled_from([chr(code) for code in range(0x20, 0x7F)]), min_size=1, max_size=30)
    words = st.text(string.ascii_letters + string.digits + "._-:/", min_size=1, max_size=20)
    return (odd | printable | words).filter(lambda text: check is None or check(text) is None)


ADDRESSES = st.sampled_from(["0.0.0.0", "::", "::1", "127.0.0.1", "10.0.0.1", "fe80::1", "2001:db8::7"])
NETWORKS = ADDRESSES.filter(lambda text: text not in ("0.0.0.0", "::")) | st.just("10.1.0.0/16")
NAMED: dict[str, st.SearchStrategy[Any]] = {
    "server": ADDRESSES | st.sampled_from(["pve", "nas.example.org"]),
    "addresses": ADDRESSES,
    "address": NETWORKS,
    "ipset": st.from_regex("[a-z][a-z0-9_-]{1,20}", fullmatch=True),
    "group": st.from_regex("[a-z][a-z0-9_-]{1,17}", fullmatch=True),
    "interface": st.none() | st.sampled_from(["vmbr0", "vmbr0.5"]),
    "destination": st.none() | NETWORKS | st.sampled_from(["+dc/own", "dc/pve"]),
}
#: By their check: few arbitrary texts would pass.
CHECKED: dict[Any, st.SearchStrategy[str]] = {
    checks.firewall_name: st.from_regex("[A-Za-z][A-Za-z0-9_-]{1,20}", fullmatch=True),
    checks.firewall_comment: texts(None).map(lambda text: text.replace("#", "").strip()[:100]).filter(bool),
}


def values(found: Field) -> st.SearchStrategy[Any]:
    spec = found.spec
    if spec.kind is FieldKind.INTEGER:
        numbers = st.integers(spec.low, spec.high)
        return st.none() | numbers if spec.optional else numbers
    if spec.kind is FieldKind.BOOLEAN:
        return st.booleans()
    if spec.kind is FieldKind.SECRET:
        alphabet = "".join(c for c in map(chr, range(0x21, 0x7F)) if checks.password(c) is None)
        return st.text(alphabet, min_size=1, max_size=64).map(lambda text: Secret(text, spec.kept_in))
    if spec.kind is FieldKind.CHOICES:
        return st.lists(st.sampled_from(events_of((2, 8, 3))), unique=True).map(tuple)
    if spec.kind is FieldKind.ROWS:
        unique = (lambda row: getattr(row, found.columns[0].name)) if spec.keyed else None
        return st.lists(row_of(found), unique_by=unique, max_size=3).map(tuple)
    if spec.kind is FieldKind.TEXTS:
        check = spec.check
        fits = NAMED[found.name].filter(lambda text: check is None or check(text) is None)
        return st.lists(fits, max_size=4).map(tuple)
    if spec.kind is FieldKind.CHOICE and not spec.choices:  # what the machine offers: events
        return st.sampled_from(events_of((2, 8, 3))) | (st.none() if spec.optional else st.nothing())
    if spec.choices:
        return st.sampled_from([choice.value for choice in spec.choices])
    if found.name in NAMED:
        return NAMED[found.name]
    return CHECKED[spec.check] if spec.check in CHECKED else texts(spec.check)


@st.composite
def row_of(draw: st.DrawFn, found: Field) -> Any:
    """One row of a field of rows, each cell valid."""
    assert found.spec.row is not None
    return found.spec.row(**{column.name: draw(values(column)) for column in found.columns})


@st.composite
def answers(draw: st.DrawFn, role: Role) -> dict[str, Any]:
    """Answers of every step, each field valid."""
    drawn = {}
    for step in STEPS[role]:
        kind = step.answers_type(role)
        given = {each.name: draw(values(each)) for each in fields_of(kind)}
        known = {each.name: given[each.name] if each.applies(given) else None for each in fields_of(kind)}
        drawn[step.name] = kind(**known)
    return drawn


def vars_of(answers: Any) -> dict[str, Any]:
    return {each.name: getattr(answers, each.name) for each in fields_of(type(answers))}


def kept(role: Role, drawn: Mapping[str, Any], folder: Path) -> Path:
    """Saved as the guided run saves it, with each secret in its file."""
    for step in STEPS[role]:
        for each in fields_of(step.answers_type(role)):
            value = getattr(drawn[step.name], each.name)
            if isinstance(value, Secret):
                put(folder, os.path.basename(value.file), f"{value.reveal()}\n".encode())
    text = answers_text(role, STEPS[role], drawn, paths.OWN)
    assert text.isascii()
    return put(folder, "answers.yaml", text.encode())


@pytest.mark.parametrize("role", Role)
def test_what_is_written_is_read_again(role: Role, tmp_path: Path) -> None:
    @settings(max_examples=150)
    @given(answers(role))
    def holds(drawn: dict[str, Any]) -> None:
        found = read(kept(role, drawn, tmp_path))
        assert found.role is role
        for step in STEPS[role]:
            for each in fields_of(step.answers_type(role)):
                wanted = getattr(drawn[step.name], each.name)
                given_ = found.get(step.name, each.name)
                if given_ is None:
                    assert not each.applies(vars_of(drawn[step.name]))
                    continue
                if isinstance(wanted, Secret):
                    assert given_.value.reveal() == wanted.reveal()
                else:
                    assert (type(given_.value), given_.value) == (type(wanted), wanted)

    holds()


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_crash_it(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    for start in (b"", HEAD + b"host\ndriver:\n  ups: "):
        try:
            read(put(tmp_path_factory.getbasetemp(), "fuzzed", start + data))
        except AnswersError as error:
            assert error.problems  # noqa: PT017 - some bytes are answers
