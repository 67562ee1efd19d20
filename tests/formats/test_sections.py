"""Section files: what NUT knows of each section, and edits inside them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutwizard.formats.sections import AmbiguousSection, SectionFile, UnknownSection

from .cases import params

UPS = b"""\
maxretry = 3

# the one in the cellar
[apc]
  driver = usbhid-ups
  port = auto
  desc = "Back UPS" # cellar
  # lowbatt = 30
[b]
  driver = x
"""
USERS = b"""\
[mon]
\tpassword = one
\tupsmon slave
[ro]
\tpassword = two
"""
TWICE = b"[mon]\npassword = one\n[ro]\npassword = two\n[mon]\nupsmon master\n"
PIECES = st.sampled_from(
    [
        b"[s]\n",
        b"[t]\n",
        b"k = v\n",
        b"k=1 # c\n",
        b"f\n",
        b"password = x\n",
        b"upsmon master\n",
        b"# k = 9\n",
        b"[s]",
        b'"',
        b"\\",
        b"#",
        b"\n",
        b" ",
        b"\r\n",
        b"\xe9",
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map(b"".join)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)


@pytest.mark.parametrize("case", params("sections.yaml"))
def test_reading(case: dict[str, Any]) -> None:
    document = SectionFile.parse(case["text"].encode(), users=case["file"] == "users")
    known = {name: {k: list(v) for k, v in document.values(name).items()} for name in document.names()}
    assert known == case["sections"]
    assert {key: list(values) for key, values in document.globals().items()} == case.get("globals", {})
    assert [problem.line for problem in document.problems()] == case.get("problems", [])


def test_effective_users_follow_the_leak() -> None:
    document = SectionFile.parse(TWICE, users=True)
    assert document.duplicates() == {"mon": (1, 5)}
    assert document.effective_users() == {
        "mon": {"password": ("one",)},
        "ro": {"password": ("two",), "upsmon": ("master",)},
    }


@pytest.mark.parametrize("name", ["mon", "ro"])
def test_users_that_NUT_mixes_up_are_not_edited(name: str) -> None:
    document = SectionFile.parse(TWICE, users=True)
    told = r"lines 1 and 5.*\[ro\]"
    with pytest.raises(AmbiguousSection, match=told):
        document.set(name, "password", "x")
    with pytest.raises(AmbiguousSection, match=told):
        document.unset(name, "password")
    with pytest.raises(AmbiguousSection, match=told):
        document.rename(name, "new")
    with pytest.raises(AmbiguousSection, match=told):
        document.comment_out(name)
    assert document.to_bytes() == TWICE


@pytest.mark.parametrize(
    ("section", "key", "value", "old", "new"),
    [
        ("apc", "port", "auto", b"", b""),
        ("apc", "port", "/dev/x", b"port = auto", b"port = /dev/x"),
        ("apc", "desc", "a#b", b'desc = "Back UPS" # cellar', b'desc = "a\\#b" # cellar'),
        ("apc", "offdelay", "60", b" # cellar\n", b" # cellar\n  offdelay = 60\n"),
        ("b", "port", "auto", b"  driver = x\n", b"  driver = x\n  port = auto\n"),
        (None, "maxretry", "1", b"maxretry = 3", b"maxretry = 1"),
        (None, "user", "nut", b"maxretry = 3\n", b"maxretry = 3\nuser = nut\n"),
    ],
)
def test_set_in_ups_conf(section: str | None, key: str, value: str, old: bytes, new: bytes) -> None:
    document = SectionFile.parse(UPS)
    document.set(section, key, value)
    assert document.to_bytes() == UPS.replace(old, new, 1)


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("password", "three", b"= one", b"= three"),
        ("upsmon", "SLAVE", b"", b""),
        ("upsmon", "secondary", b"upsmon slave", b"upsmon secondary"),
        ("actions", "SET FSD", b"upsmon slave\n", b"upsmon slave\n\tactions = SET FSD\n"),
    ],
)
def test_set_in_upsd_users(key: str, value: str, old: bytes, new: bytes) -> None:
    document = SectionFile.parse(USERS, users=True)
    document.set("mon", key, value)
    assert document.to_bytes() == USERS.replace(old, new, 1)


def test_a_lesser_right_takes_the_place_of_all_that_were_there() -> None:
    document = SectionFile.parse(b"[a]\nupsmon = master\nupsmon slave\n", users=True)
    document.set("a", "upsmon", "secondary")
    assert document.to_bytes() == b"[a]\nupsmon = secondary\n"


def test_the_last_of_merged_sections_is_edited() -> None:
    data = b"[a]\ndriver = x\n[b]\n[a]\ndriver = y\n"
    document = SectionFile.parse(data)
    document.set("a", "driver", "z")
    document.set("a", "port", "auto")
    assert document.to_bytes() == data.replace(b"driver = y\n", b"driver = z\nport = auto\n")


def test_flags() -> None:
    document = SectionFile.parse(UPS)
    document.set_flag("apc", "ignorelb")
    assert document.flag("apc", "ignorelb")
    assert b" # cellar\n  ignorelb\n" in document.to_bytes()
    document.set_flag("apc", "ignorelb", on=False)
    assert document.to_bytes() == UPS


def test_add() -> None:
    document = SectionFile.parse(USERS.removesuffix(b"\n"), users=True)
    document.add("new", [("password", "a b"), ("actions", "SET FSD"), ("upsmon", "primary")])
    assert document.to_bytes() == USERS + (
        b'\n[new]\n    password = "a b"\n    actions = SET FSD\n    upsmon primary\n'
    )
    ups = SectionFile.parse(b"")
    ups.add("x", [("driver", "y"), ("ignorelb", None)], indent="\t")
    assert ups.to_bytes() == b"[x]\n\tdriver = y\n\tignorelb\n"


@pytest.mark.parametrize("name", ["apc", "APC", "a b", "a]", "", "-a", "a@b"])
def test_names_that_cannot_be_added(name: str) -> None:
    document = SectionFile.parse(UPS)
    with pytest.raises(ValueError, match=r"already|not a name"):
        document.add(name, [])
    assert document.to_bytes() == UPS


def test_a_header_without_line_end_is_not_doubled() -> None:
    document = SectionFile.parse(b"[a]\nx = 1\n[b]")
    with pytest.raises(ValueError, match="no line end"):
        document.add("b", [])
    assert document.to_bytes() == b"[a]\nx = 1\n[b]"


def test_rename_and_comment_out() -> None:
    document = SectionFile.parse(UPS)
    document.rename("apc", "cellar")
    assert document.to_bytes() == UPS.replace(b"[apc]", b"[cellar]")
    with pytest.raises(ValueError, match="already"):
        document.rename("cellar", "b")
    document.comment_out("b")
    assert document.to_bytes().endswith(b"#[b]\n#  driver = x\n")
    with pytest.raises(UnknownSection):
        document.set("b", "driver", "y")


@given(TEXTS, st.sampled_from(["k", "password", "upsmon", "new"]), VALUES, st.booleans())
@settings(max_examples=400)
def test_set_reads_back(data: bytes, key: str, value: str, users: bool) -> None:
    document = SectionFile.parse(b"[s]\n" + data, users=users)
    before, known = document.to_bytes(), {name: document.values(name) for name in document.names()}
    try:
        document.set("s", key, value)
    except ValueError:
        assert document.to_bytes() == before
        return
    again = SectionFile.parse(document.to_bytes(), users=users)
    assert again.get("s", key) == value
    assert again.lines == document.lines
    for name in known.keys() - {"s"}:
        assert again.values(name) == known[name]
    after = document.to_bytes()
    document.set("s", key, value)
    assert document.to_bytes() == after
