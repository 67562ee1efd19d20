"""Records what real NUT does in every case of the rehearsal: the model of NUT is held to it.

As root, with nut-server: python -I -c "import sys; sys.path.insert(0, '.'); from tests.support import
rehearsal_recording as r; r.record()". Each case becomes `tests/cases/rehearsals/recorded/NAME.json`.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nutwizard.engine.rehearsal import run
from nutwizard.engine.rehearsal.run import Rehearsed

from .rehearsal_cases import FOLDER, Case, cases, findings

RECORDED = FOLDER / "recorded"
AT_ONCE = 3


def as_recorded(done: Rehearsed) -> dict[str, Any]:
    """What is kept of a play: its moments, what was found, and who went down when."""
    return {
        "moments": [
            [round(m.at, 2), m.machine, m.what.name, m.kind.name if m.kind else "", m.text, m.code]
            for m in done.moments
        ],
        "findings": findings(done),
        "ended": {name: round(at, 2) for name, at in done.verdict.ended.items()},
    }


def record(*names: str) -> None:
    """Play the cases of these names, or all, and keep what was seen."""
    chosen = [case for case in cases() if not names or case.name in names]
    RECORDED.mkdir(exist_ok=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for case, done in zip(chosen, pool.map(_play, chosen), strict=True):
            assert not done.cut_off, case.name
            rows = as_recorded(done)
            head = ",\n".join(f"  {json.dumps(row)}" for row in rows.pop("moments"))
            rest = json.dumps(rows, indent=1)[2:]
            (RECORDED / f"{case.name}.json").write_text(f'{{\n "moments": [\n{head}\n ],\n{rest}\n')


def _play(case: Case) -> Rehearsed:
    return run.rehearse(case.caster())
