"""Rehearsals with real NUT: every case is played, several at a time, since they wait most of their time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from nutwizard.engine.rehearsal import forms, run
from nutwizard.engine.rehearsal.run import Rehearsed
from tests.support.rehearsal_cases import FOLDER, Case, cases, findings, missing, told

CASES = [*cases(), *cases(FOLDER / "real")]
AT_ONCE = 4
#: Seconds for one; its own limit ends it sooner.
LONGEST = 150.0


@pytest.fixture(scope="module")
def played() -> Iterator[Mapping[str, Future[Rehearsed]]]:
    """Every case, by its name, as it is being played."""
    assert forms.lacking() == ""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {case.name: pool.submit(run.rehearse, case.caster()) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, played: Mapping[str, Future[Rehearsed]]) -> None:
    done = played[case.name].result(LONGEST)
    moments = [told(moment) for moment in done.moments]
    shown = "\n".join(f"{m.at:7.2f} {text}" for m, text in zip(done.moments, moments, strict=True))
    assert not done.cut_off, shown
    found = findings(done)
    lost = [
        pattern for pattern in case.expect["findings"] if not any(re.search(pattern, one) for one in found)
    ]
    assert not lost, f"{found}\n{shown}"
    assert len(found) == len(case.expect["findings"]), f"{found}\n{shown}"
    assert done.verdict.well is case.expect["well"], shown
    assert missing(moments, case.expect.get("moments", [])) == [], shown
    for pattern in case.expect.get("not", ()):
        assert not [text for text in moments if re.search(pattern, text)], shown
    ended = sorted(done.verdict.ended, key=lambda name: done.verdict.ended[name])
    if "order" in case.expect:
        assert ended == case.expect["order"], shown
    if "last" in case.expect:
        assert (ended[-1], len(ended)) == (case.expect["last"], len(done.cast.members)), shown


def test_twenty_clients_take_less_than_a_minute(played: Mapping[str, Future[Rehearsed]]) -> None:
    """What the sequence takes more with 20 clients is told: the report has the first and the last of them."""
    done = played["many"].result(LONGEST)
    assert done.took < 60
    assert (
        0
        < done.verdict.spans["first client"]
        <= done.verdict.spans["last client"]
        < done.verdict.spans["host"]
    )
