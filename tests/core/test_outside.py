"""What no program can see: the file of answers, and the links that come of it."""

from __future__ import annotations

import pytest

from nutwizard.core import paths
from nutwizard.core.facts import Door, Facts, FileFact, Kind, Owner, Role
from nutwizard.core.links import LinkId, State
from nutwizard.core.outside import NO, UNKNOWN, YES, Outside, outside_text, read_outside
from nutwizard.core.site import Site
from nutwizard.core.step import View
from nutwizard.core.text import FileText
from nutwizard.engine import registry
from nutwizard.engine.fromfiles import from_the_files

STEP = next(step for step in registry.all_steps() if step.name == "outside")
PATH = paths.OUTSIDE


@pytest.mark.parametrize("answer", [YES, NO, UNKNOWN])
def test_what_is_written_is_read_again(answer: str) -> None:
    for found in (
        Outside(switch=answer),
        Outside(restart=answer),
        Outside(load=answer),
        Outside(*[answer] * 3),
    ):
        assert read_outside(outside_text(found)) == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", Outside()),
        (b"switch yes", Outside(switch=YES)),
        (b"switch\tyes\nrestart  no \r\n load yes # since May\n", Outside(YES, NO, YES)),
        (b"switch no\nswitch yes\n", Outside(switch=YES)),
        (b"other yes\n# load yes\nload Yes\nrestart=yes\nswitch yes yes\n\xff\xfe\n", Outside()),
    ],
)
def test_what_it_does_not_say_is_unknown(data: bytes, found: Outside) -> None:
    assert read_outside(data) == found


def view(data: bytes | None) -> View:
    there = None if data is None else FileText(PATH, data)
    fact = FileFact(PATH, "file" if there else "missing", PATH, there, Owner("root", "root", 0o644))
    return View(Facts(Door.OFFLINE, Kind.PVE, files={PATH: fact}), Site(Role.HOST))


def test_a_link_for_each_question() -> None:
    found = [from_the_files(link) for link in STEP.links(view(b"switch yes\nrestart no\n"))]
    assert [(each.link.id, each.state, each.evidence) for each in found if each] == [
        (LinkId.UPSMON, State.PROVEN, "answered: yes"),
        (LinkId.POWEROFF, State.WAITING, "answered: no"),
        (LinkId.POWEROFF, State.UNKNOWN, "not answered yet; no program can see it"),
    ]
    fixes = [each.fix for each in found if each]
    assert fixes[0] == ""
    assert fixes[1].startswith("In the BIOS or UEFI setup: ")
    assert fixes[1].endswith("; then nutwizard step outside")
    assert fixes[2] == "nutwizard step outside"
    assert len({each.link.subject for each in found if each}) == 3


@pytest.mark.parametrize("data", [None, b"", outside_text(Outside(NO, NO, NO))])
def test_no_verdict_on_a_change_rests_on_them(data: bytes | None) -> None:
    links = STEP.links(view(data))
    assert len(links) == 3
    assert all(link.awaited and link.step == "outside" for link in links)
