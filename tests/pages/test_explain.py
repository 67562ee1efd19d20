"""`nutwizard explain`: the list, a page, a page of the other role, none; without root and without NUT."""

from __future__ import annotations

from pathlib import Path

import pytest

from nutwizard import cli
from nutwizard.core.errors import Exit
from nutwizard.core.facts import Role
from nutwizard.engine import machine, registry


def explain(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["explain", *words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("role", Role)
def test_the_list_names_every_page(capsys: pytest.CaptureFixture[str], role: Role) -> None:
    code, out, err = explain(capsys, "--role", role.value)
    assert (code, err) == (Exit.DONE, "")
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert listed == [*registry.COMMON, *(step.name for step in registry.steps_of(role))]


@pytest.mark.parametrize("role", Role)
def test_a_page_is_plain_text_with_every_part(capsys: pytest.CaptureFixture[str], role: Role) -> None:
    for name in registry.topics(role):
        code, out, err = explain(capsys, name, "--role", role.value)
        assert (code, err) == (Exit.DONE, "")
        assert set(registry.page_of(name, role).help) <= set(out.splitlines())
        assert "\x1b" not in out
        prose = [line for line in out.splitlines() if not line.startswith("    ") and "https://" not in line]
        assert max(map(len, prose)) <= 80


def test_what_both_roles_read_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    host, client = (explain(capsys, "monitor", "--role", role.value)[1] for role in Role)
    assert "MONITOR apc@localhost 1" in host
    assert "MONITOR apc@localhost 1" not in client
    assert "MONITOR apc@192.168.1.107 1" in client


def test_a_step_of_the_other_role(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = explain(capsys, "driver", "--role", "client")
    assert code == Exit.DONE
    assert "offdelay" in out
    assert "a host alone" in err


def test_a_page_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = explain(capsys, "colour", "--role", "host")
    assert (code, out) == (Exit.USAGE, "")
    assert "no page colour" in err
    assert "overview, users, webconsole" in err
    assert explain(capsys, "\x1b[31m", "--role", "host")[2].count("\x1b") == 0


def test_without_nut(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = explain(capsys, "mode", "--root", str(tmp_path))
    assert code == Exit.DONE
    assert out.startswith("Mode\n")


def test_without_root(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """NUT's files tell nothing to this user: the host's page is shown, and how to get the other."""

    def unreadable(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine.OfflineHost, "read", unreadable)
    code, out, err = explain(capsys, "mode", "--root", str(tmp_path))
    assert code == Exit.DONE
    assert "on the host it is netserver" in " ".join(out.split())
    assert "--role client" in err
