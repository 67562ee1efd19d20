"""Machines for the screens' tests, all of them practice ones; and tests that may await."""

from __future__ import annotations

import asyncio
import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit
from nutwizard.core.facts import Role
from nutwizard.core.secret import Secret
from nutwizard.engine import health
from nutwizard.engine.practice import PracticeHost, daemons
from nutwizard.engine.practice.host import READY_PASSWORD
from nutwizard.engine.session import Session
from tests.tui.screens import for_nobody_else, open_session

#: Seconds for a whole test.
LIMIT = 100.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that is a coroutine runs in a loop of its own, and never for longer than `LIMIT`."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    given = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**given), LIMIT))
    return True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No real daemons, and no long look whether what is proven stays so."""
    _quicken(monkeypatch)


def _quicken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(daemons, "find_programs", lambda: None)
    patch.setattr(health, "STEADY", 0.2)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PracticeHost]:
    """A practice host as after the installation of NUT."""
    yield from _opened(tmp_path / "practice", Role.HOST)


@pytest.fixture
def vm(tmp_path: Path) -> Iterator[PracticeHost]:
    """A practice VM as after the installation of NUT; its host serves already."""
    yield from _opened(tmp_path / "practice", Role.CLIENT)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[Role, Path]:
    """Practice machines that were set up, by role; to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        _quicken(patch)
        found: dict[Role, Path] = {}
        for role in Role:
            found[role] = tmp_path_factory.mktemp("made") / "practice"
            machine = PracticeHost.open(str(found[role]), role)
            session = open_session(machine)
            if role is Role.CLIENT:
                session.answer("monitor", {"password": Secret(READY_PASSWORD), "server": "192.168.1.107"})
            assert session.apply(lambda text: None).code is Exit.DONE
            machine.close()
    return found


@pytest.fixture(scope="session")
def made_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A practice host that was set up and that nobody else follows: all of its links can be proven."""
    folder = tmp_path_factory.mktemp("made-alone") / "practice"
    with pytest.MonkeyPatch.context() as patch:
        _quicken(patch)
        machine = PracticeHost.open(str(folder), Role.HOST)
        session = open_session(machine)
        for_nobody_else(session)
        assert session.apply(lambda text: None).code is Exit.DONE
        machine.close()
    return folder


@pytest.fixture
def done_host(tmp_path: Path, made: dict[Role, Path]) -> Iterator[PracticeHost]:
    """A practice host that was set up, every step in place; the firewall's rule for its VM is off."""
    shutil.copytree(made[Role.HOST], tmp_path / "practice", symlinks=True)
    yield from _opened(tmp_path / "practice", Role.HOST)


@pytest.fixture
def alone_host(tmp_path: Path, made_alone: Path) -> Iterator[PracticeHost]:
    """A practice host that was set up for no client: no rule, and no link that waits for anybody."""
    shutil.copytree(made_alone, tmp_path / "practice", symlinks=True)
    yield from _opened(tmp_path / "practice", Role.HOST)


@pytest.fixture
def done_vm(tmp_path: Path, made: dict[Role, Path]) -> Iterator[PracticeHost]:
    """A practice VM that was set up, every step in place."""
    shutil.copytree(made[Role.CLIENT], tmp_path / "practice", symlinks=True)
    yield from _opened(tmp_path / "practice", Role.CLIENT)


def _opened(folder: Path, role: Role) -> Iterator[PracticeHost]:
    machine = PracticeHost.open(str(folder), role)
    try:
        yield machine
    finally:
        machine.close()


@pytest.fixture
def session(host: PracticeHost) -> Session:
    """A first guided run on the practice host."""
    return open_session(host)
