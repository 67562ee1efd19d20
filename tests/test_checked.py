"""What an examination says: the chain as a picture, one line a link, what is beside it, the proof to keep."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest

from nutwizard.core.facts import PRACTICE, Door, Facts, Kind, Role
from nutwizard.core.links import Finding, Link, LinkId, Listens, Server, State
from nutwizard.core.rules.catalogue import all_rules
from nutwizard.core.rules.rule import Severity, Spot, Trouble
from nutwizard.engine.doctor import Examination
from nutwizard.engine.lastproof import LastProof
from nutwizard.wording.chain import chain_lines, chain_states, chain_strip
from nutwizard.wording.checked import examination_text, quiet_text, summary, told_apart
from nutwizard.wording.proof import chain_svg, proof_html, status_line

RULES = {rule.id: rule for rule in all_rules()}
HOSTILE = '<script>alert("1")</script>\x1b[31m&\u202e'


def finding(id: LinkId, state: State = State.PROVEN, *, awaited: bool = False, **words: str) -> Finding:
    link = Link(id, words.pop("subject", f"about {id}"), Listens(Server("127.0.0.1", 1)), "listen", awaited)
    return Finding(link, state, **words)  # type: ignore[arg-type]


def examined(*findings: Finding, troubles: tuple[Trouble, ...] = ()) -> Examination:
    facts = Facts(Door.LIVE, Kind.PVE, hostname="pve", system="Debian 12", pve="8.4.1")
    return Examination(findings, troubles, None, (), facts)


EVERY = tuple(finding(id) for id in LinkId)


def test_the_picture_joins_what_holds() -> None:
    found = [finding(LinkId.UPS), finding(LinkId.DRIVER, State.BROKEN), finding(LinkId.UPSD)]
    assert [line.text for line in chain_lines(found)] == [
        "[ups]---[driver]   [upsd]",
        "  ok     BROKEN      ok",
    ]
    assert [line.text for line in chain_strip(found, [LinkId.LOGIN])] == [
        "ups-driver upsd-login",
        " ok   !!    ok",
    ]


@pytest.mark.parametrize("width", [40, 60, 78])
def test_a_long_chain_goes_on_in_the_next_row(width: int) -> None:
    lines = [line.text for line in chain_lines(EVERY, width)]
    assert max(map(len, lines)) <= width
    assert len(lines) % 2 == 0
    words = re.findall(r"\[([a-z]+)\]", "".join(lines[::2]))
    assert words == [id.value for id in LinkId]
    assert all(line.endswith("---") for line in lines[:-2:2])
    assert not lines[-2].endswith("-")
    assert max(len(line.text) for line in chain_strip(EVERY)) <= 78


def test_a_link_is_as_good_as_its_worst_part_but_for_what_is_awaited() -> None:
    found = [
        finding(LinkId.LOGIN),
        finding(LinkId.LOGIN, State.WAITING, awaited=True),
        finding(LinkId.UPSD, State.UNKNOWN),
        finding(LinkId.UPSD, State.BROKEN),
        finding(LinkId.BOOT, State.WAITING, awaited=True),
    ]
    assert chain_states(found) == {
        LinkId.UPSD: State.BROKEN,
        LinkId.LOGIN: State.PROVEN,
        LinkId.BOOT: State.WAITING,
    }


def test_what_is_broken_comes_first_and_what_holds_is_one_line() -> None:
    broken = finding(LinkId.UPSD, State.BROKEN, evidence="refused", cause="it is down", fix="start it")
    text = examination_text(examined(finding(LinkId.UPS, evidence="status OL"), broken))
    links = text.partition("\n\n")[2]
    assert links.startswith(
        "broken    about upsd\n          refused\n          cause: it is down\n          mend: start it\n"
        "proven    about ups: status OL\n"
    )
    assert links.rstrip().endswith("1 broken, 1 proven")


def test_a_trouble_that_a_broken_link_tells_is_not_told_twice() -> None:
    again = Trouble(RULES["NW17"], Spot("192.168.1.10 is kept out"))
    warning = Trouble(
        RULES["NW28"], Spot("DEADTIME is 5 s", "/etc/nut/upsmon.conf", 9, severity=Severity.WARNING)
    )
    own = Trouble(RULES["NW12"], Spot("it belongs to root"))
    link = finding(LinkId.EVENTS, State.BROKEN, evidence=own.said)
    found = examined(finding(LinkId.FIREWALL, State.BROKEN), link, troubles=(again, own, warning))
    assert told_apart(found) == (warning,)
    assert summary(found) == "2 broken; 1 warning"
    text = examination_text(found)
    assert "warning   NW28 /etc/nut/upsmon.conf:9: DEADTIME is 5 s\n" in text
    assert "          mend: nutwizard step timing\n" in text
    alone = examined(finding(LinkId.FIREWALL), troubles=(again,))
    assert told_apart(alone) == (again,)


def test_quiet_says_nothing_where_there_is_nothing_to_say() -> None:
    note = Trouble(RULES["NW34"], Spot("CERTFILE is ignored"))
    assert note.severity is Severity.NOTE
    assert quiet_text(examined(*EVERY, finding(LinkId.BOOT, State.UNKNOWN), troubles=(note,))) == ""
    waits = finding(LinkId.LOGIN, State.WAITING, evidence="not there")
    assert "not there" in quiet_text(examined(*EVERY, waits))


def proof(**changed: object) -> LastProof:
    return replace(LastProof(1000.0, 400.0, {"proven": 12, "waiting": 1}, (), "", 0.0), **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kept", "why", "begins", "holds"),
    [
        (None, "", "nutwizard: not known: nothing was checked yet", "nutwizard check"),
        (proof(), "", "nutwizard: protected: 12 proven, 1 waiting", "nothing broken since"),
        (proof(since=0.0, broken=("upsd",)), "", "nutwizard: NOT protected: upsd broken", "nutwizard check"),
        (proof(), "files have changed", "nutwizard: not known: files have changed", "nutwizard check"),
        (
            proof(since=0.0, broken=("a", "b", "c", "d")),
            "",
            "nutwizard: NOT protected: a, b, c, ... broken",
            "",
        ),
        (proof(since=0.0, broken=("a\x1b[2J\nb",)), "", "nutwizard: NOT protected: a\\x1b[2J", ""),
    ],
)
def test_status_is_one_line(kept: LastProof | None, why: str, begins: str, holds: str) -> None:
    line = status_line(kept, why, 1600.0)
    assert line.startswith(begins)
    assert holds in line
    assert line.isprintable()


def test_practice_is_never_called_protected_without_saying_so() -> None:
    assert status_line(proof(), "", 1600.0, practice=True).startswith(PRACTICE)
    assert PRACTICE in proof_html(Role.HOST, examined(*EVERY), 0.0, version="1", practice=True)
    assert PRACTICE not in proof_html(Role.HOST, examined(*EVERY), 0.0, version="1", practice=False)


def test_the_page_holds_nothing_that_runs() -> None:
    bad = finding(LinkId.UPSD, State.BROKEN, subject=HOSTILE, evidence=HOSTILE, cause=HOSTILE, fix=HOSTILE)
    trouble = Trouble(RULES["NW28"], Spot(HOSTILE, HOSTILE, 7, HOSTILE, Severity.WARNING))
    seen = examined(finding(LinkId.UPS), bad, troubles=(trouble,))
    seen = replace(seen, facts=replace(seen.facts, hostname=HOSTILE, system=HOSTILE))
    page = proof_html(Role.HOST, seen, 0.0, version="9.9", practice=False)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert all(char.isprintable() or char == "\n" for char in page)
    assert "Something is broken" in page
    assert "9.9" in page


def test_the_page_shows_every_link_with_its_state() -> None:
    drawn = Xml.fromstring(chain_svg((*EVERY[:-1], finding(LinkId.STALE, State.BROKEN))))
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[::2] == [id.value for id in LinkId]
    assert texts[1::2] == ["ok"] * (len(EVERY) - 1) + ["BROKEN"]
