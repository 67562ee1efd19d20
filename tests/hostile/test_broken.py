"""Broken configurations as folders of files: refused with the reason, no byte changed; or repaired as stated.

`expected` holds one line: `ROLE refused: WORDS OF THE ERROR`, or `ROLE repaired: FILE: LINE OF THE RESULT`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nutwizard.core.answers import AnswersSet, Given, Origin
from nutwizard.core.errors import WizardError
from nutwizard.core.facts import Role
from nutwizard.core.secret import Secret
from nutwizard.engine import transaction
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.session import Session
from nutwizard.engine.sources import MachineSources
from tests.hostile.rig import CLIENT_FILES, STOCK, contents, machine
from tests.hostile.tally import count

CASES = Path(__file__).parents[1] / "cases" / "broken"
ANSWERS: dict[Role, dict[str, dict[str, Any]]] = {
    Role.HOST: {
        "driver": {"ups": "apc", "driver": "usbhid-ups", "port": "auto", "description": "APC"},
        "listen": {"addresses": ("0.0.0.0",), "port": 3493},
        "client_user": {"name": "upsmonclient", "password": Secret("client-word-1")},
        "monitor": {"user": "upsmon", "password": Secret("monitor-word-2")},
    },
    Role.CLIENT: {
        "monitor": {
            "ups": "apc", "server": "192.0.2.7", "port": 3493, "user": "upsmonclient",
            "password": Secret("client-word-1"),
        },
    },
}  # fmt: skip


def session(root: Path, role: Role) -> Session:
    host = OfflineHost(str(root))
    given = {
        step: {name: Given(value, Origin.NAMED) for name, value in each.items()}
        for step, each in ANSWERS[role].items()
    }
    return Session(host, MachineSources(host), role, named=AnswersSet(role, "answers", given))


def outcome(case: Path, place: Path) -> tuple[Role, str, str, Path]:
    """Role, how it ended (`refused` or `repaired`), the error's words, and the machine afterwards."""
    role = Role((case / "expected").read_text().partition(" ")[0])
    stock = STOCK if role is Role.HOST else {name: STOCK[name] for name in CLIENT_FILES}
    found = {path.name: path.read_bytes() for path in case.iterdir() if path.name != "expected"}
    root = machine(place / "root", role.value, {**stock, **found})
    before = contents(root)
    try:
        asked = session(root, role)
        transaction.apply(asked.host, asked.plan(), prove=lambda: ())
    except WizardError as error:
        assert contents(root) == before, "refused, and yet something changed"
        return role, "refused", f"{error.text} {error.hint}", root
    return role, "repaired", "", root


def test_there_are_fifty() -> None:
    assert len(list(CASES.iterdir())) >= 50


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir()))
def test_a_broken_configuration(tmp_path: Path, name: str) -> None:
    wanted = (CASES / name / "expected").read_text().strip().partition(" ")[2]
    role, ended, said, root = outcome(CASES / name, tmp_path)
    kind, _, words = wanted.partition(": ")
    assert kind == ended, said
    count("broken configurations", ended)
    if ended == "refused":
        assert words in said
        return
    file, _, line = words.partition(": ")
    lines = (root / "etc/nut" / file).read_text(errors="replace").splitlines()
    assert line.strip() in [each.strip() for each in lines], lines
    assert session(root, role).plan().files == (), "a second run finds nothing to do"
