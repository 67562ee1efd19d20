"""Proxmox VE's firewall files: every byte stays, each line is in its section, a rule reads back."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutwizard.formats.pvelines import Edit, FirewallFile, Part, comment_of, header
from nutwizard.formats.pverules import ACTIONS, Rule, read_alias, read_entry, read_rule
from nutwizard.formats.pvewords import LOG_LEVELS

FILE = b"""\
# by hand
[OPTIONS]

enable: 1
[aliases] \t

web_net0 192.168.1.10 # the web
# above the set

[IPSET Nut_Ips] # who
web_net0
[FOO]
[group nut_port_accept_in2]
IN ACCEPT
[group nut_in]

|IN ACCEPT -source +nut_ips -p tcp -dport 3493"""
PIECES = st.sampled_from(
    [b"[OPTIONS]", b"[aliases]", b"[IPSET a_b] # c", b"[RULES]", b"[group ab]", b"[group", b"[FOO]",
     b"enable: 1", b"a_b 10.0.0.1", b"!a_b", b"IN ACCEPT -p tcp", b"|GROUP ab -i vmbr0", b"#", b" ",
     b"\t", b"\n", b"\n\n", b"\r\n", b"\r", b"\xef\xbb\xbf", b"\xe9", b"\x00", b"\x0c", b"\xc2\x85"]
)  # fmt: skip
TEXTS = st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=20).map(b"".join))
WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{1,12}", fullmatch=True)
COMMENTS = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x24F, exclude_characters="#"), max_size=20
)
PORTS = st.sampled_from(["3493", "22,3493", "3490:3495", "nut", "1,2,3:4,nut"])
SOURCES = st.sampled_from(
    ["+nut_ips", "+dc/nut_ips", "web_net0", "dc/web_net0", "fd00::/64", "10.0.0.1-10.0.0.9"]
)
INTERFACES = st.sampled_from(["", "vmbr0", "eno1", "vmbr0.10", "bond0:1"])
LINES = st.builds(
    Rule,
    enabled=st.booleans(),
    type=st.sampled_from(["IN", "OUT", "FORWARD"]),
    action=st.sampled_from(ACTIONS),
    macro=st.sampled_from(["", "", "SSH", "Ping"]),
    interface=INTERFACES,
    source=st.one_of(st.just(""), SOURCES),
    dest=st.one_of(st.just(""), SOURCES),
    proto=st.sampled_from(["tcp", "udp", "6"]),
    dport=st.one_of(st.just(""), PORTS),
    sport=st.one_of(st.just(""), PORTS),
    log=st.sampled_from(["", *LOG_LEVELS]),
    comment=COMMENTS.map(str.strip),
)
USES = st.builds(
    Rule,
    enabled=st.booleans(),
    type=st.just("GROUP"),
    action=WORDS,
    interface=INTERFACES,
    comment=COMMENTS.map(str.strip),
)


@given(TEXTS, st.booleans())
def test_any_bytes_come_back(data: bytes, host: bool) -> None:
    file = FirewallFile.parse(data, host=host)
    assert file.to_bytes() == data
    assert file.edited(Edit()).to_bytes() == data
    assert [row.number for row in file.rows] == list(range(1, len(file.rows) + 1))
    assert all(row.raw.endswith(b"\n") for row in file.rows[:-1])
    assert not any("\n" in row.text for row in file.rows)


@given(TEXTS, st.booleans())
def test_every_line_is_in_one_section_at_most(data: bytes, host: bool) -> None:
    file = FirewallFile.parse(data, host=host)
    inside = [i for head, _, _ in file.starts() for i in file.section(head)]
    assert len(inside) == len(set(inside))
    for head, part, name in file.starts():
        assert head in file.headers(part, name)
        for index, row in file.lines(head):
            assert (row.kind, row.part, row.name) == ("line", part, name)
            assert index in file.section(head)


@given(TEXTS, st.data())
def test_an_edit_leaves_every_other_byte(data: bytes, draw: st.DataObject) -> None:
    file = FirewallFile.parse(data)
    rows = range(len(file.rows))
    edit = Edit()
    edit.insert(draw.draw(st.integers(0, len(rows))), "new 10.0.0.9", "")
    if rows:
        edit.dropped.add(draw.draw(st.sampled_from(rows)))
        edit.replaced[draw.draw(st.sampled_from(rows))] = "other"
    kept = [
        row.raw.removesuffix(b"\n")
        for i, row in enumerate(file.rows)
        if i not in edit.dropped | {*edit.replaced}
    ]
    found = [row.raw.removesuffix(b"\n") for row in file.edited(edit).rows]
    at = iter(found)
    assert all(raw in at for raw in kept)
    assert len(found) == len(kept) + 2 + len(edit.replaced.keys() - edit.dropped)


@given(st.one_of(LINES, USES))
def test_a_rule_reads_back(rule: Rule) -> None:
    assert read_rule(str(rule)) == rule
    assert str(read_rule(str(rule))) == str(rule)
    assert comment_of(str(rule)) == rule.comment


@given(LINES)
def test_a_rule_may_be_written_in_other_ways(rule: Rule) -> None:
    rule = dataclasses.replace(rule, comment="", interface="")
    text = (
        str(rule)
        .replace(" -p ", " --proto ")
        .replace(" -source", " \t --source")
        .replace(rule.type, rule.type.lower(), 1)
    )
    assert read_rule(f"{text} #") == rule


def test_what_stands_where() -> None:
    file = FirewallFile.parse(FILE)
    assert list(file.starts()) == [
        (1, Part.OPTIONS, ""), (4, Part.ALIASES, ""), (9, Part.IPSET, "nut_ips"), (14, Part.GROUP, "nut_in"),
    ]  # fmt: skip
    assert [row.text for _, row in file.lines(9)] == ["web_net0", "[FOO]"]
    assert [(row.kind, row.part) for row in file.rows[12:14]] == [("header", None), ("line", None)]
    host = FirewallFile.parse(FILE, host=True)
    assert list(host.starts()) == [(1, Part.OPTIONS, "")]


def test_a_section_goes_above_the_comments_of_the_next() -> None:
    file = FirewallFile.parse(b"[ALIASES]\na 10.0.0.1\n# of the set\n[IPSET a_b]\n")
    found = file.edited(file.add_section(3, header(Part.IPSET, "a_a", "ours"), ["a"]))
    assert found.to_bytes() == (
        b"[ALIASES]\na 10.0.0.1\n\n[IPSET a_a] # ours\n\na\n\n# of the set\n[IPSET a_b]\n"
    )


def test_a_line_after_one_without_its_end() -> None:
    file = FirewallFile.parse(FILE)
    edit = Edit(replaced={len(file.rows) - 1: "IN ACCEPT"})
    assert file.edited(edit).to_bytes().endswith(b"\n\nIN ACCEPT")
    edit.insert(len(file.rows), "IN DROP")
    assert file.edited(edit).to_bytes().endswith(b"\n\nIN ACCEPT\nIN DROP\n")


@pytest.mark.parametrize(
    "text",
    ["IN", "IN  ", "| IN ACCEPT", "||IN ACCEPT", "IN accept", "IN MACRO(accept)", "BOTH ACCEPT",
     "IN ACCEPT x", "IN ACCEPT -p", "IN ACCEPT -p  tcp", "IN ACCEPT --p tcp", "IN ACCEPT --i vmbr0",
     "IN ACCEPT -dport 3493", "IN ACCEPT -p tcp -dport 3493,", "IN ACCEPT -log loud",
     "IN ACCEPT -i 192.168.1.1", "GROUP ab -p tcp", "GROUP", "[FOO]", "IN ACCEPT -source\t10.0.0.1"],
)  # fmt: skip
def test_lines_that_are_no_rule(text: str) -> None:
    with pytest.raises(ValueError, match=r"it |is no|takes|needs"):
        read_rule(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web_net0 192.168.1.10", ("web_net0", "192.168.1.10")),
        ("web_net0\t192.168.1.0/24  # the # web", ("web_net0", "192.168.1.0/24")),
        ("web_net0  192.168.1.10", None),
        ("web_net0", None),
        ("web_net0 192.168.1.10 more", None),
    ],
)
def test_aliases(text: str, found: tuple[str, str] | None) -> None:
    assert read_alias(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web_net0", (False, "web_net0")),
        ("!dc/web_net0 # not it", (True, "dc/web_net0")),
        ("! 10.0.0.0/8", (True, "10.0.0.0/8")),
        ("two words", (False, "two words")),
    ],
)
def test_entries(text: str, found: tuple[bool, str]) -> None:
    assert read_entry(text) == found
