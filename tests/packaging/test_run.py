"""./run: makes its environment when it must, says one sentence when it cannot, and lets nothing else in.

The lock of these checkouts is empty and their program tells how it was started: no network is needed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.packaging.installing import TIME_LIMIT, copy_checkout

PROGRAM = """
import json, os, sys
import yaml
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), "yaml": yaml.__file__, "path": sys.path}))
"""
PREPARING = "preparing"
NOBODY = 65534

Finished = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


@pytest.fixture(scope="module")
def bare(place: Path) -> Path:
    """A checkout as cloned, but for the lock and the program."""
    checkout = copy_checkout(place / "bare")
    (checkout / ".ci" / "run-time.lock").write_text("# nothing\n")
    (checkout / "nutwizard" / "__main__.py").write_text(PROGRAM)
    (checkout / "yaml.py").write_text("# stands for the package, which the empty lock leaves out\n")
    return checkout


@pytest.fixture(scope="module")
def started(bare: Path, place: Path) -> Path:
    """The same after its first start. That copies of it work shows that an environment may be moved."""
    checkout = Path(shutil.copytree(bare, place / "started"))
    assert PREPARING in run(checkout).stderr
    return checkout


@pytest.fixture
def fresh(bare: Path, place: Path, request: pytest.FixtureRequest) -> Path:
    return Path(shutil.copytree(bare, place / f"fresh-{request.node.name}"))


@pytest.fixture
def made(started: Path, place: Path, request: pytest.FixtureRequest) -> Path:
    return Path(shutil.copytree(started, place / f"made-{request.node.name}", symlinks=True))


def run(
    checkout: Path,
    *arguments: str,
    command: Path | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    user: int | None = None,
) -> Finished:
    return subprocess.run(
        [command or checkout / "run", *arguments],
        cwd=cwd or checkout,
        env={**os.environ, **(env or {})},
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
    )


def unprivileged() -> int | None:
    """The user for what root would be spared: nobody, when the tests are run by root."""
    return NOBODY if os.geteuid() == 0 else None


def python_that(place: Path, change: str) -> dict[str, str]:
    """Variables under which `python3` is this Python after `change`."""
    folder = Path(tempfile.mkdtemp(dir=place))
    folder.chmod(0o755)
    fake = folder / "python3"
    base = os.path.realpath(sys.executable)
    preface = f"import sys; sys.executable = {str(fake)!r}; {change}; exec(sys.argv.pop(1))"
    fake.write_text(f'#!/bin/sh\nwhile [ "$1" != -c ]; do shift; done\nexec {base} -I -c "{preface}" "$2"\n')
    fake.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_the_program_gets_its_arguments_and_nothing_from_outside(made: Path, tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit('planted')\n")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('planted')\n")
    link = tmp_path / "link"
    link.symlink_to(made / "run")
    planted = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONSTARTUP": str(tmp_path / "yaml.py"),
        "PYTHONHOME": str(tmp_path),
    }

    done = run(made, "plan", "a b", "--x=*", command=link, cwd=tmp_path, env=planted)

    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["arguments"] == ["plan", "a b", "--x=*"]
    assert told["folder"] == str(tmp_path)
    assert told["yaml"] == str(made / "yaml.py")
    assert not [entry for entry in told["path"] if str(tmp_path) in entry]
    assert told["path"][-1] == str(made), "an installed package goes before a file of the checkout"


def test_the_first_start_prepares_and_the_next_leaves_all_alone(started: Path) -> None:
    def state() -> dict[str, int]:
        return {str(p): p.lstat().st_mtime_ns for p in started.rglob("*") if "__pycache__" not in str(p)}

    before = state()
    done = run(started)

    assert (done.returncode, done.stderr) == (0, "")
    assert state() == before


def test_a_new_lock_is_installed_once(made: Path) -> None:
    (made / ".ci" / "run-time.lock").write_text("# nothing, newer\n")

    assert PREPARING in run(made).stderr
    assert run(made).stderr == ""


def test_the_lock_of_the_tests_serves_as_well(made: Path) -> None:
    """What ./test made is not made again by ./run, and a new run-time lock is not overlooked after it."""
    (made / ".venv" / "development.lock").write_text("# nothing\n")
    assert run(made).stderr == ""

    (made / ".ci" / "run-time.lock").write_text("# nothing, newer\n")
    assert PREPARING in run(made).stderr
    assert not (made / ".venv" / "development.lock").exists()


@pytest.mark.parametrize("missing", ["run-time.lock", "bin/python3.*"])
def test_a_half_made_environment_is_made_anew(made: Path, missing: str) -> None:
    (made / ".venv" / "left-over").touch()
    for path in (made / ".venv").glob(missing):
        path.unlink()

    done = run(made)

    assert done.returncode == 0, done.stderr
    assert PREPARING in done.stderr
    assert not (made / ".venv" / "left-over").exists()


@pytest.mark.parametrize("reached", [".venv", ".venv/lib/python3.*/site-packages/pip"])
def test_a_start_that_is_killed_spoils_nothing(fresh: Path, reached: str) -> None:
    first = subprocess.Popen([fresh / "run"], start_new_session=True, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + TIME_LIMIT
    while not list(fresh.glob(reached)) and time.monotonic() < give_up:
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    assert first.wait(timeout=TIME_LIMIT) == -signal.SIGKILL

    assert run(fresh).returncode == 0
    assert run(fresh).stderr == ""


def test_two_first_starts_at_once(fresh: Path) -> None:
    both = [
        subprocess.Popen([fresh / "run", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=TIME_LIMIT) for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert [json.loads(out)["arguments"] for out, _ in said] == [["one"], ["two"]]
    assert sum(err.count(PREPARING) for _, err in said) == 1


def test_an_old_python_is_told_in_one_sentence(bare: Path, place: Path) -> None:
    done = run(bare, env=python_that(place, "sys.version_info = (3, 10, 13)"))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nutwizard: Python 3.11 or newer is needed, and python3 is 3.10.\n"
    assert not (bare / ".venv").exists()


def test_no_python_is_told_in_one_sentence(bare: Path, tmp_path: Path) -> None:
    done = run(bare, env={"PATH": str(tmp_path)})

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nutwizard: Python 3.11 or newer is needed, and there is no python3.\n"


def test_a_user_without_the_venv_module_is_told_the_command(bare: Path, place: Path) -> None:
    without = python_that(place, "sys.modules['ensurepip'] = None")

    done = run(bare, env=without, user=unprivileged())

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("install it with: sudo apt-get install python3-venv\n")
    assert not (bare / ".venv").exists()


class TestAnotherUser:
    """`./run` as a user after `sudo ./run`."""

    pytestmark = pytest.mark.lab

    def test_starts_what_root_prepared_under_a_closed_umask(self, fresh: Path) -> None:
        fresh.chmod(0o755)
        before = os.umask(0o077)
        try:
            assert run(fresh).returncode == 0
        finally:
            os.umask(before)

        done = run(fresh, "check", user=NOBODY)

        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["arguments"] == ["check"]

    def test_is_told_whose_it_is_when_it_must_be_renewed(self, made: Path) -> None:
        (made / ".ci" / "run-time.lock").write_text("# nothing, newer\n")

        done = run(made, user=NOBODY)

        assert (done.returncode, done.stdout) == (2, "")
        assert f"{made}/.venv is not up to date and belongs to root" in done.stderr
        assert f"sudo {made}/run --version" in done.stderr

    def test_owns_what_root_prepared_in_a_checkout_of_the_users(self, fresh: Path, place: Path) -> None:
        for path in (fresh, *fresh.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        assert run(fresh).returncode == 0

        assert {path.lstat().st_uid for path in (fresh / ".venv").rglob("*")} == {NOBODY}
        (fresh / ".ci" / "run-time.lock").write_text("# nothing, newer\n")
        assert run(fresh, user=NOBODY, env={"HOME": str(place)}).returncode == 0
