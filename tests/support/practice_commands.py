"""Commands on a copy of a practice host that nutwizard has set up: what tests of several commands share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard import cli
from nutwizard.core.errors import Exit
from nutwizard.core.facts import Role
from nutwizard.engine import machine
from nutwizard.engine.practice import PracticeHost
from tests.test_cli import Run, answers

_FOLDER = "nutwizard.engine.practice.host.default_folder"


def forbid_the_real_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens the live machine fails."""

    def forbidden(*_: object) -> None:
        raise AssertionError("the real root was reached")

    monkeypatch.setattr(machine.LiveHost, "__init__", forbidden)


def set_up(tmp_path_factory: pytest.TempPathFactory, text: str) -> Path:
    """The folder of a practice host to which these answers were applied."""
    folder = tmp_path_factory.mktemp("ready") / "practice"
    host = PracticeHost.open(str(folder), Role.HOST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_FOLDER, lambda: str(folder))
        assert cli.main(["--practice", "apply", answers(folder.parent, text)]) == Exit.DONE
    host.close()
    return folder


def copied(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeHost]:
    """A copy of it, which every command of the practice machine reaches."""
    folder = tmp_path / "practice"
    shutil.copytree(ready, folder, symlinks=True)
    monkeypatch.setattr(_FOLDER, lambda: str(folder))
    opened = PracticeHost.open(str(folder), Role.HOST)
    yield opened
    opened.close()


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(word, ...)`: exit code, stdout, stderr."""

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["--practice", *words])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, told.out, told.err

    return command
