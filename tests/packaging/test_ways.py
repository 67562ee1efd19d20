"""Every way to nutwizard leads to the same steps, pages and assets as the checkout's."""

import hashlib
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.installing import Environment

FOLDERS = ("steps", "assets")

# Imports every module, and tells the bytes of every file, as a program that uses them sees them.
PROBE = """
import hashlib, importlib, importlib.resources, json, pkgutil
import nutwizard

def files(folder, below=""):
    for item in folder.iterdir():
        if item.is_dir():
            if item.name != "__pycache__":
                yield from files(item, below + item.name + "/")
        else:
            yield below + item.name, hashlib.sha256(item.read_bytes()).hexdigest()

def seen(name):
    package = importlib.import_module(name)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(name + "." + module.name)
    return dict(files(importlib.resources.files(name)))

found = {folder: seen("nutwizard." + folder) for folder in ("steps", "assets")}
found["version"] = nutwizard.__version__
"""
PRINT = f"{PROBE}\nprint(json.dumps(found))"


def expected(checkout: Path) -> dict[str, object]:
    version = (
        (checkout / "nutwizard" / "__init__.py").read_text().partition('__version__ = "')[2].partition('"')[0]
    )
    assert version
    return {"version": version} | {
        folder: {
            path.relative_to(checkout / folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (checkout / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        for folder in FOLDERS
    }


def seen_from(environment: Environment, elsewhere: Path) -> object:
    return json.loads(environment.run("-I", "-c", PRINT, cwd=elsewhere))


def test_the_checkout_has_steps_with_pages(checkout: Path) -> None:
    """Else the comparisons below would compare nothing."""
    modules = {path.stem for path in (checkout / "steps").glob("*.py")} - {"__init__"}

    assert modules
    assert {path.stem for path in (checkout / "steps").glob("*.md")} == modules


def test_pip_install(checkout: Path, environment: Environment, tmp_path: Path) -> None:
    environment.pip_install(checkout)

    assert seen_from(environment, tmp_path) == expected(checkout)
    assert not (checkout / "build").exists(), "what is left there could bring deleted steps back"


def test_pip_install_editable(checkout: Path, environment: Environment, tmp_path: Path) -> None:
    environment.pip_install("--editable", checkout)
    (checkout / "steps" / "later.py").write_text('"""Added after the installation."""\n')

    assert seen_from(environment, tmp_path) == expected(checkout)


def test_module_in_the_checkout(checkout: Path, environment: Environment) -> None:
    (checkout / "nutwizard" / "__main__.py").write_text(PRINT)

    assert json.loads(environment.run("-m", "nutwizard", cwd=checkout)) == expected(checkout)


def test_pytest_in_the_checkout(checkout: Path, environment: Environment, tmp_path: Path) -> None:
    result = tmp_path / "found.json"
    test = checkout / "tests" / "test_probe.py"
    test.write_text(f"{PROBE}\ndef test_it():\n    open({str(result)!r}, 'w').write(json.dumps(found))\n")

    environment.run("-I", "-m", "pytest", "-q", test, cwd=checkout)

    assert json.loads(result.read_text()) == expected(checkout)


def test_sdist_to_wheel(checkout: Path, environment: Environment, tmp_path: Path) -> None:
    environment.run("-I", "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=checkout)
    (sdist,) = tmp_path.glob("*.tar.gz")
    environment.pip_install(sdist)

    assert seen_from(environment, tmp_path) == expected(checkout)


def test_the_sdist_is_the_whole_checkout(checkout: Path, environment: Environment, tmp_path: Path) -> None:
    environment.run("-I", "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=checkout)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {member.name.partition("/")[2]: member.mode & 0o777 for member in archive if member.isfile()}

    files = [path for path in checkout.rglob("*") if path.is_file() and not path.is_symlink()]
    plain = {path.relative_to(checkout).as_posix() for path in files if "__pycache__" not in path.parts}
    assert plain - packed.keys() == set()
    assert packed.keys() - plain == {"PKG-INFO"}
    assert {name: packed[name] for name in ("run", "test", ".ci/run")} == {
        "run": 0o755,
        "test": 0o755,
        ".ci/run": 0o755,
    }


def test_a_deleted_step_is_gone_from_the_next_build(
    checkout: Path, environment: Environment, tmp_path: Path
) -> None:
    ghost = checkout / "steps" / "ghost.py"
    ghost.write_text('"""A step that is about to be deleted."""\n')
    environment.pip_install(checkout)
    assert "ghost.py" in environment.run("-I", "-c", PRINT, cwd=tmp_path)

    ghost.unlink()
    environment.pip_install("--force-reinstall", checkout)

    assert seen_from(environment, tmp_path) == expected(checkout)


def test_the_wheel_holds_the_program_alone(checkout: Path, environment: Environment, tmp_path: Path) -> None:
    environment.run("-I", "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=checkout)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0].partition("-")[0] for name in names} == {"nutwizard"}
    assert [name for name in names if "__pycache__" in name or "/tests/" in name] == []
    assert [name for name in names if name.endswith("/licenses/LICENSE")]


@pytest.mark.parametrize("command", ["nutwizard", "-m nutwizard"])
def test_the_command_tells_its_version(
    checkout: Path, environment: Environment, tmp_path: Path, command: str
) -> None:
    environment.pip_install(checkout)
    script = environment.python.with_name("nutwizard")
    arguments = ("-I", script) if command == "nutwizard" else ("-I", "-m", "nutwizard")

    said = environment.run(*arguments, "--version", cwd=tmp_path)

    assert said.split()[-1] == expected(checkout)["version"]
