"""The edit of any valid cluster.fw and host.fw: our lines alone change, and the verdict is as asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from difflib import SequenceMatcher

from hypothesis import assume, given, reject
from hypothesis import strategies as st

from nutwizard.core.allowed import MARK, Allowed, Wanted
from nutwizard.core.firewallfit import Refused
from nutwizard.core.firewallours import lines_of
from nutwizard.core.firewallpolicy import network_of, read_policy
from nutwizard.core.firewallverdict import Packet, verdict
from tests.core.test_firewall_edit import HOST, NOW, edited, lets_in, read

Files = tuple[bytes, bytes]
SET, GROUP = "nut_ips", "nut_in"
NAMES = ("web", "Db", "lan", "mail_2", "mail")
ADDRESSES = ("192.168.1.10", "192.168.1.11", "10.0.0.0/8", "fd00::10", "2001:db8::/64", "10.9.9.9")
PROBES = ("192.168.1.10", "192.168.1.11", "10.1.2.3", "10.9.9.9", "fd00::10", "2001:db8::5", "172.16.0.1")
#: What a refusal may say: each is a case of its own in tests/cases/firewall_edit.
REASONS = (
    "give the client another name",
    "says the opposite",
    "has another rule already",
    "stands above",
    "above the",
)
NOTES = st.sampled_from(["", "", " # mine", " # caf\u00e9 + tea"])
COMMENTS = st.sampled_from(["# a note", "#", "  # | IN ACCEPT"])
ALIASES = st.dictionaries(
    st.sampled_from([*NAMES, "Printer", "zabbix"]), st.tuples(st.sampled_from(ADDRESSES), NOTES), max_size=4
)
RULES = st.sampled_from(
    ["IN ACCEPT -p tcp -dport 80", "|IN DROP -p tcp -dport 3493", "IN Ping(ACCEPT) -log nolog", "OUT ACCEPT",
     "IN REJECT -p udp -dport 3493", "IN ACCEPT -source +admins -p tcp -dport 22"]
)  # fmt: skip
OUR_RULES = st.sampled_from(
    [f"IN ACCEPT -source +{SET} -p tcp -dport 3493 -log nolog # NUT port", "IN ACCEPT -p tcp -dport 80",
     f"in ACCEPT -source +dc/{SET} -p tcp -dport nut",
     f"IN ACCEPT --source +{SET} --dport 3493 --proto tcp --log info # ups {MARK}"]
)  # fmt: skip


def lines(draw: st.DrawFn, found: Sequence[str]) -> list[str]:
    """The lines of a section with blank ones and comments between them, and blanks around them."""
    out = []
    for text in found:
        out += draw(st.lists(st.one_of(st.just(""), COMMENTS), max_size=1))
        out.append(f"{draw(st.sampled_from(['', '', '  ']))}{text}{draw(st.sampled_from(['', '', ' ']))}")
    return [*draw(st.sampled_from([[""], [""], []])), *out, *draw(st.sampled_from([[""], [""], []]))]


@st.composite
def clusters(draw: st.DrawFn) -> bytes:
    """A cluster.fw in which every line counts; what it names stands above it."""
    aliases = {name.lower(): (name, *rest) for name, rest in draw(ALIASES).items()}
    entries = st.lists(
        st.sampled_from([*ADDRESSES[:2], *aliases, *(f"dc/{a}" for a in aliases)]), max_size=4, unique=True
    )
    marks = st.sampled_from(["", "!"])
    sections = [
        ("[OPTIONS]", ["enable: 1", *draw(st.sampled_from([[], ["policy_in: DROP"], ["ebtables: 0"]]))])
    ]
    if draw(st.booleans()) or aliases:
        sections.append(
            ("[ALIASES]", [f"{name} {address}{note}" for name, address, note in aliases.values()])
        )
    sections.append(("[IPSET admins]", ["192.168.1.2"]))
    if draw(st.booleans()):
        held = [f"{draw(marks)}{word}{draw(NOTES)}" for word in draw(entries)]
        sections.insert(draw(st.integers(len(sections) - 1, len(sections))), (f"[IPSET {SET}]", held))
        if draw(st.booleans()):
            sections.append((f"[group {GROUP}]", [draw(st.sampled_from(["", "|"])) + draw(OUR_RULES)]))
    if draw(st.booleans()):
        sections.append(("[RULES] ", draw(st.lists(RULES, max_size=2))))
    if draw(st.booleans()):
        sections.append(("[group web_in] # web", draw(st.lists(RULES, max_size=2))))
    text = "\n".join(line for head, found in sections for line in [head, *lines(draw, found)])
    return (text + draw(st.sampled_from(["", "\n", "\n\n"]))).encode()


@st.composite
def hosts(draw: st.DrawFn) -> bytes:
    """A host.fw, maybe with the line of the group; nothing in it stops a packet to NUT's port."""
    line = draw(
        st.sampled_from(
            ["", f"GROUP {GROUP} -i vmbr0", f"|GROUP {GROUP}", f"GROUP {GROUP} -i vmbr1 # {MARK}"]
        )
    )
    found = [*draw(st.lists(RULES, max_size=2)), *([line] if line else [])]
    options = ["[OPTIONS]", *lines(draw, ["enable: 1", *draw(st.sampled_from([[], ["nftables: 1"]]))])]
    rules = ["[RULES]", *lines(draw, draw(st.permutations(found)))]
    parts = draw(st.sampled_from([[], options, rules, options + rules, rules + options]))
    return "\n".join([*parts, *draw(st.sampled_from([[], [""]]))]).encode()


@st.composite
def wishes(draw: st.DrawFn) -> Wanted:
    names = draw(st.lists(st.sampled_from(NAMES[:4]), unique=True, max_size=3))
    pool = draw(st.permutations(ADDRESSES))
    several = draw(st.integers(0, max(0, len(names) - 1)))
    clients = []
    for index, name in enumerate(names):
        addresses = pool[index : index + 1] + (pool[-1:] if index == several else [])
        nomatch, comment = (
            draw(st.sampled_from([None, None, True])),
            draw(st.sampled_from([None, "a client"])),
        )
        clients.append(Allowed(name, tuple(addresses), nomatch, comment))
    interface = draw(st.sampled_from(["vmbr0", "vmbr0", ""]))
    log = draw(st.sampled_from(["nolog", "nolog", "info"]))
    return Wanted(tuple(clients), SET, GROUP, interface, 3493, "", log, "NUT port", draw(st.booleans()))


def tried(files: Files, wanted: Wanted) -> Files:
    """The files after the edit; a refusal that has its reason ends the example."""
    assume(all(warned.place.file == HOST for warned in read(files).warnings))  # a group that is not there yet
    try:
        return edited(files, wanted)
    except Refused as error:
        if any(reason in str(error) for reason in REASONS):
            reject()
        raise


@given(clusters(), hosts(), wishes())
def test_our_lines_alone_change(cluster: bytes, host: bytes, wanted: Wanted) -> None:
    after = tried((cluster, host), wanted)
    names = {name.lower() for client in wanted.clients for name, _ in client.aliases()}
    for old, new in zip((cluster, host), after, strict=True):
        gone, come = changed(old.decode(), new.decode())
        assert [line for line in gone if not (MARK in line or ours(line))] == []
        assert [
            line for line in come if not (MARK in line or ours(line) or line in ("", "[RULES]", "[ALIASES]"))
        ] == []
        words = {line.split()[0].lower() for line in come if MARK in line and not line.startswith("[")}
        assert {word.removeprefix("!").removeprefix("dc/") for word in words} <= names | {
            "in",
            "|in",
            "group",
            "|group",
        }


def ours(line: str) -> bool:
    """Whether it is the one rule, or the line that uses its group, maybe as a person wrote it."""
    code = line.strip(" |").lower()
    return code.startswith(f"group {GROUP}") or (code.startswith("in accept") and f"{SET} " in code)


def changed(old: str, new: str) -> tuple[list[str], list[str]]:
    before, after = old.removesuffix("\n").split("\n"), new.removesuffix("\n").split("\n")
    gone: list[str] = []
    come: list[str] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            gone, come = gone + before[i1:i2], come + after[j1:j2]
    return [line for line in gone if line], come


@given(clusters(), hosts(), wishes())
def test_the_second_edit_changes_nothing(cluster: bytes, host: bytes, wanted: Wanted) -> None:
    after = tried((cluster, host), wanted)
    assert edited(after, wanted) == after
    assert read(after).warnings == []


@given(clusters(), hosts(), wishes())
def test_the_verdict_is_as_asked(cluster: bytes, host: bytes, wanted: Wanted) -> None:
    before = read((cluster, host))
    after = read(tried((cluster, host), wanted))
    entries = after.sets[SET]
    for address in PROBES:
        held = [entry for entry in entries if _in(address, str(entry.network))]
        longest = max((entry.network.prefixlen for entry in held), default=-1)
        closest = {entry.nomatch for entry in held if entry.network.prefixlen == longest}
        if len(closest) < 2:
            expected = "ACCEPT" if closest == {False} and wanted.enabled else "DROP"
            assert (address, lets_in(after, address, wanted)) == (address, expected)
        for port in (22, 80, 3494):
            packet = Packet(address, port, "vmbr0")
            assert verdict(after, packet, NOW).action == verdict(before, packet, NOW).action
    for client in wanted.clients:
        for address in client.address:
            assert any(
                (str(e.network), e.nomatch) == (str(network_of(address)), bool(client.nomatch))
                for e in entries
            )


def written(data: bytes) -> list[str]:
    """The lines that are not blank: an empty section gets its blank line with the first entry."""
    return [line for line in data.decode().split("\n") if line]


def _in(address: str, network: str) -> bool:
    inner, outer = network_of(address), network_of(network)
    assert inner is not None
    assert outer is not None
    return inner.network_address in outer


@given(clusters(), hosts(), wishes())
def test_a_client_comes_and_goes(cluster: bytes, host: bytes, wanted: Wanted) -> None:
    """Beside others a further one is an alias and an entry, and both go with it."""
    assume(b"guest7" not in cluster)
    base = tried((cluster, host), wanted)
    assume(b"[ALIASES]" in base[0])
    more = dataclasses.replace(
        wanted, clients=(*wanted.clients, Allowed("guest7", ("172.16.0.1",), None, None))
    )
    with_it = tried(base, more)
    gone, come = changed(base[0].decode(), with_it[0].decode())
    assert (gone, with_it[1]) == ([], base[1])
    assert [line.split("#")[0].strip().removeprefix("dc/") for line in come if line] == [
        "guest7 172.16.0.1",
        "guest7",
    ]
    back = edited(with_it, wanted)
    assert [written(data) for data in back] == [written(data) for data in base]


@given(clusters(), hosts(), wishes())
def test_switched_on_and_off(cluster: bytes, host: bytes, wanted: Wanted) -> None:
    off, on = (dataclasses.replace(wanted, enabled=switch) for switch in (False, True))
    opened = edited(tried((cluster, host), off), on)
    closed = edited(opened, off)
    assert lines_of(read_policy(*opened, HOST), on).on
    assert not lines_of(read_policy(*closed, HOST), off).on
    assert edited(closed, on) == opened
    assert closed[1] == opened[1]
    assert len(closed[0]) == len(opened[0]) + 1
