"""What a person is told of the form that plays."""

from __future__ import annotations

import json

import pytest

from nutwizard.core.rehearsal.form import Form, Staging
from nutwizard.engine.rehearsal import run
from nutwizard.engine.rehearsal.company import Company
from nutwizard.rehearsing import as_json
from nutwizard.wording.rehearsed import Timeline, head_lines, verdict_lines
from tests.support.rehearsal_cases import cases

WHY = "NUT is not installed here"


@pytest.mark.parametrize(
    ("staging", "words"),
    [
        (Staging(), ("NUT's daemons, your files", "each program as its own user")),
        (
            Staging(Form.BORROWED, "only root may copy"),
            ("Only root may copy: NUT's real daemons play as one user", "Wrong owners and modes"),
        ),
        (
            Staging(Form.MODEL, WHY),
            (
                f"{WHY}: a model of NUT 2.8.0 plays, not NUT. Your script does not run.",
                "A model of NUT, your",
            ),
        ),
    ],
    ids=lambda value: value.form if isinstance(value, Staging) else None,
)
def test_the_head_says_who_plays(staging: Staging, words: tuple[str, ...]) -> None:
    caster = next(case for case in cases() if case.name == "cut").caster()
    text = " ".join(line.text for line in head_lines(caster.wanted, Company(tuple(caster.sets), {}), staging))
    assert all(part in text for part in words), text
    assert "nothing here is shut down, written or signalled" in text


def test_a_model_does_not_say_that_a_script_ran() -> None:
    caster = next(case for case in cases() if case.name == "cut").caster()
    shown: list[str] = []
    timeline = Timeline(["pve", "vm1"], lambda line: shown.append(line.text), Form.MODEL)
    done = run.rehearse(caster, timeline.moment, Form.MODEL)
    timeline.close()
    assert any(line.endswith("would run upssched-cmd onbatt") for line in shown)
    assert not [line for line in shown if "runs upssched-cmd" in line]
    verdict = [line.text for line in verdict_lines(done)]
    assert "That is what a model of NUT 2.8.0 says, which runs no script." in verdict
    found = json.loads(as_json(done, practice=True))
    assert (found["form"], found["well"], found["practice"]) == ("model", True, True)
