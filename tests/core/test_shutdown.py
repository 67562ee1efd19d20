"""What a shutdown command comes to: a table of commands, and texts that would take long."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from nutwizard.core.programs import ProgramFact
from nutwizard.core.shutdown import Verdict, judge
from tests.support.programs import programs_of

TABLE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "shutdown" / "commands.yaml").read_text(encoding="utf-8")
)
#: Seconds for a script of the greatest size on a slow machine.
LIMIT = 5.0
LARGE = 64 << 10


@pytest.mark.parametrize(
    ("command", "verdict"), [(command, verdict) for verdict in Verdict for command in TABLE[verdict.value]]
)
def test_what_a_command_comes_to(command: str, verdict: Verdict) -> None:
    scripts = {path: {} if text is None else {"text": text} for path, text in TABLE["scripts"].items()}
    found = judge(command, programs_of(scripts), system=False)
    assert found.verdict is verdict
    assert (found.verdict is Verdict.UNSURE) <= bool(found.unsure or found.wrong)


@pytest.mark.parametrize(
    "part",
    ["sudo ", "A=1 ", "A=$A $A ", "\n", " ", "$(", "`", "'a", '"$(', "<<A\n", "f() {", "sh -c '", "((", "\\"],
)
@pytest.mark.parametrize("head", ["", "#!/bin/sh\n", "#!/usr/bin/perl\n"])
def test_any_text_ends_soon(head: str, part: str) -> None:
    text = head + part * ((LARGE - len(head)) // len(part))
    begin = time.monotonic()
    found = judge("/opt/x", programs_of({"/opt/x": {"text": text}}), system=True)
    assert time.monotonic() - begin < LIMIT
    assert found.verdict in (Verdict.NEVER, Verdict.UNSURE)


def test_a_machine_that_nobody_looked_at_is_unsure() -> None:
    found = judge("/opt/x; shutdown-all", ProgramFact, system=True)
    assert found.verdict is Verdict.UNSURE
    assert found.unsure == ("/opt/x cannot be looked at",)
