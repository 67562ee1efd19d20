"""Directive files: edits that touch their own lines only, and read back as asked."""

from difflib import SequenceMatcher

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutwizard.formats.nutfile import NutFile

FILE = b"""\
# LISTEN is explained here
# LISTEN 127.0.0.1 3493
#LISTEN ::1 3493
#
MINSUPPLIES 1
  POLLFREQ   5   # seconds
POLLFREQ 7
MONITOR apc@localhost 1 u "one" master
MONITOR apc@localhost 1 u two slave
MONITOR b@c 0 u\\
   three slave
MONITOR short
NOTIFYFLAG online SYSLOG
NOTIFYFLAG ONBATT SYSLOG+WALL
RBWARNTIME 7200 # 2 hours
"""
PIECES = st.sampled_from(
    [
        b"A",
        b"A x",
        b"A y 1 # c\n",
        b" A z\n",
        b"B ",
        b" ",
        b'"',
        b"\\",
        b"#",
        b"\n",
        b"\r\n",
        b"\xe9",
        b"# A q\n",
    ]
)
TEXTS = st.one_of(st.binary(max_size=40), st.lists(PIECES, max_size=15).map(b"".join))
VALUES = st.lists(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12), min_size=1, max_size=4
)


def changed(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """The lines that went and the lines that came."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    gone, come = b"", b""
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if tag != "equal":
            gone, come = gone + b"".join(old[old_from:old_to]), come + b"".join(new[new_from:new_to])
    return gone, come


def test_what_counts() -> None:
    document = NutFile.parse(FILE)
    assert [entry.line for entry in document.entries("POLLFREQ")] == [6, 7]
    counts = document.get("POLLFREQ")
    assert counts is not None
    assert counts.args == ("7",)
    assert [(entry.line, entry.args[3]) for entry in document.monitors()] == [(8, "one"), (10, "three")]
    online = document.get("NOTIFYFLAG", "ONLINE")
    assert online is not None
    assert online.args == ("online", "SYSLOG")
    assert document.get("minsupplies") is None
    assert document.get("MINSUPPLIES", "1") is None


@pytest.mark.parametrize(
    ("words", "key", "gone", "come"),
    [
        (("POLLFREQ", "9"), 0, b"POLLFREQ 7\n", b"POLLFREQ 9\n"),
        (("POLLFREQ", "7"), 0, b"", b""),
        (("RBWARNTIME", "43200"), 0, b"RBWARNTIME 7200 # 2 hours\n", b"RBWARNTIME 43200 # 2 hours\n"),
        (("MINSUPPLIES", "a b"), 0, b"MINSUPPLIES 1\n", b'MINSUPPLIES "a b"\n'),
        (("NOTIFYFLAG", "LOWBATT", "EXEC"), 1, b"", b"NOTIFYFLAG LOWBATT EXEC\n"),
        (
            ("NOTIFYFLAG", "ONBATT", "EXEC"),
            1,
            b"NOTIFYFLAG ONBATT SYSLOG+WALL\n",
            b"NOTIFYFLAG ONBATT EXEC\n",
        ),
        (
            ("MONITOR", "apc@localhost", "1", "u", "new", "master"),
            1,
            b'MONITOR apc@localhost 1 u "one" master\n',
            b"MONITOR apc@localhost 1 u new master\n",
        ),
        (("MONITOR", "b@c", "0", "u", "four", "slave"), 1, b"   three slave\n", b"   four slave\n"),
        (("NOTIFYCMD", "/sbin/x"), 0, b"", b"NOTIFYCMD /sbin/x\n"),
    ],
)
def test_set(words: tuple[str, ...], key: int, gone: bytes, come: bytes) -> None:
    document = NutFile.parse(FILE)
    document.set(*words, key=key)
    assert changed(FILE, document.to_bytes()) == (gone, come)


def test_new_lines_stand_beside_their_kind() -> None:
    document = NutFile.parse(FILE)
    document.insert_near("LISTEN", "10.0.0.1", "3493")
    document.insert_near("LISTEN", "10.0.0.2")
    document.insert_near("MAXCONN", "9")
    lines = document.to_bytes().decode().splitlines()
    assert lines[2:6] == ["#LISTEN ::1 3493", "LISTEN 10.0.0.1 3493", "LISTEN 10.0.0.2", "#"]
    assert lines[-1] == "MAXCONN 9"


def test_handles_last_while_other_lines_change() -> None:
    document = NutFile.parse(FILE)
    last = document.get("RBWARNTIME")
    third = document.entries("MONITOR")[2]
    assert last is not None
    document.comment_out(third)
    document.remove(document.entries("POLLFREQ")[0])
    document.append_text("\n# ours\n")
    assert last.line == 14
    document.replace(last, "RBWARNTIME", "1")
    assert b"#MONITOR b@c 0 u\\\n#   three slave\n" in document.to_bytes()
    assert document.to_bytes().endswith(b"RBWARNTIME 1 # 2 hours\n\n# ours\n")
    with pytest.raises(ValueError, match="no longer"):
        document.replace(third, "MONITOR", "x")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"A 1\r\nB 2\r\n", b"A 1\r\nB 2\r\nC 3\r\n"),
        (b"A 1\r\nB 2\r\nA 3\n", b"A 1\r\nB 2\r\nA 3\nC 3\r\n"),
        (b"A 1", b"A 1\nC 3\n"),
        (b"# a", b"# a\nC 3\n"),
        (b"A b\\", b"A b\\\n\nC 3\n"),
        (b"", b"C 3\n"),
        (b'A "b#c', b'A "b#c\nC 3\n'),
        (b'A "b#', b'A "b#\nC 3\n'),
    ],
)
def test_line_ends(before: bytes, after: bytes) -> None:
    document = NutFile.parse(before)
    document.append("C", "3")
    assert document.to_bytes() == after


def test_a_line_behind_a_dropped_one_leaves_it_its_line_end() -> None:
    document = NutFile.parse(b'A "b# C 1\nD 2\n')
    document.remove(document.entries("C")[0])
    assert document.to_bytes() == b'A "b#\nD 2\n'


def test_nothing_can_follow_an_open_quote() -> None:
    document = NutFile.parse(b'A 1\nB "c\n')
    with pytest.raises(ValueError, match="line 2"):
        document.append("C", "3")
    assert document.to_bytes() == b'A 1\nB "c\n'


def test_problems_name_lines_and_no_words() -> None:
    document = NutFile.parse(b'A "hunter2#x"\nB "c\nhunter2" \xe9\nhunter2')
    assert [problem.line for problem in document.problems()] == [1, 2, 2, 4]
    assert not any("hunter2" in problem.text for problem in document.problems())


@given(TEXTS, VALUES)
@settings(max_examples=300)
def test_set_reads_back_and_changes_its_own_line_only(data: bytes, values: list[str]) -> None:
    document = NutFile.parse(data)
    others = [entry.words for entry in document.entries()]
    target = document.get("A")
    try:
        document.set("A", *values)
    except ValueError:
        assert document.to_bytes() == data
        return
    after = document.to_bytes()
    again = NutFile.parse(after)
    entry = again.get("A")
    assert entry is not None
    assert entry.args == tuple(values)
    assert again.lines == document.lines
    if target is not None:  # a new line may revive a last line that had no line end
        kept = [words for words in others if words != ("A", *values)]
        now = [entry.words for entry in again.entries()]
        assert len(now) == len(others)
        assert sum(words not in now for words in kept) <= 1
    document.set("A", *values)
    assert document.to_bytes() == after


@given(TEXTS, st.data())
@settings(max_examples=200)
def test_commenting_out_and_removing_leave_the_rest(data: bytes, draw: st.DataObject) -> None:
    document = NutFile.parse(data)
    entries = document.entries()
    if not entries:
        return
    entry = draw.draw(st.sampled_from(entries))
    rest = [other.words for other in entries if other != entry]
    draw.draw(st.sampled_from([document.comment_out, document.remove]))(entry)
    again = NutFile.parse(document.to_bytes())
    assert [other.words for other in again.entries()] == rest
    assert again.lines == document.lines
