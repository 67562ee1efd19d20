"""The floors of the house: who may import whom, who may touch what, and how large a room may grow."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULE_LINES = 300
FUNCTION_LINES = 40

# What may be longer: "path" or "path:function", and why.
LONGER: dict[str, str] = {}

# Of the standard library, what computes and touches nothing. pathlib counts for its Pure classes alone.
VALUES = frozenset(
    "__future__ abc base64 binascii bisect collections contextlib copy dataclasses datetime difflib enum"
    " fnmatch functools hashlib heapq hmac ipaddress itertools json keyword math operator pathlib posixpath"
    " re shlex stat string struct textwrap types typing unicodedata zlib".split()
)
STANDARD = frozenset(sys.stdlib_module_names)
MACHINE = frozenset(
    "asyncio fcntl fileinput glob http multiprocessing pty socket socketserver ssl subprocess tempfile"
    " urllib".split()
)
CONSOLE = frozenset({"print", "input"})
FILES = frozenset({"open", "exec", "eval"})


@dataclass(frozen=True)
class Floor:
    """What a part of the program may do.

    `imports`: names that may be imported, each with all below it. `never`: names taken out again.
    `calls`: builtins that may not be called. `late`: names that may be imported inside functions only.
    """

    imports: frozenset[str]
    never: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()


def ours(*names: str) -> frozenset[str]:
    return frozenset(f"nutwizard.{name}" for name in names)


EVERYTHING_OF_OURS = frozenset({"nutwizard"})
LIBRARIES = frozenset({"asyncio", "psutil", "questionary", "textual", "yaml"})
IMPURE_PATHS = frozenset({"pathlib.Path", "pathlib.PosixPath"})
FLOORS = {
    "formats": Floor(VALUES | ours("formats"), never=IMPURE_PATHS, calls=CONSOLE | FILES),
    "core": Floor(VALUES | ours("formats", "core"), never=IMPURE_PATHS, calls=CONSOLE | FILES),
    "steps": Floor(VALUES | ours("formats", "core"), never=IMPURE_PATHS, calls=CONSOLE | FILES),
    "assets": Floor(frozenset()),
    "engine": Floor(
        STANDARD
        | ours("formats", "core", "engine", "steps", "assets")
        | {"nutwizard.__version__", "psutil", "yaml"},
        never=frozenset({"asyncio"}),
        calls=CONSOLE,
    ),
    "wording": Floor(
        STANDARD | ours("core", "engine", "wording"), never=MACHINE | {"asyncio"}, calls=CONSOLE | FILES
    ),
    "prompts": Floor(
        STANDARD | ours("core", "engine", "wording", "prompts") | {"questionary", "prompt_toolkit", "rich"},
        never=MACHINE,
        calls=FILES,
    ),
    "tui": Floor(
        STANDARD | ours("core", "engine", "wording", "tui") | {"textual", "rich"},
        never=MACHINE - {"asyncio"},
        calls=CONSOLE | FILES,
    ),
    # The command line is read without loading a front end or a library; the modules beside it are loaded by
    # the branch that needs them.
    "cli": Floor(STANDARD | EVERYTHING_OF_OURS, late=LIBRARIES | ours("tui", "prompts")),
    "commands": Floor(STANDARD | EVERYTHING_OF_OURS, late=LIBRARIES),
}


def floor_of(path: Path) -> str:
    """`nutwizard/core/x.py` is on core, `steps/x.py` on steps; the package's own modules: cli, commands."""
    parts = path.parts
    if parts[0] != "nutwizard":
        return parts[0]
    if len(parts) > 2:
        return parts[1]
    return "cli" if path.stem in {"cli", "__init__", "__main__"} else "commands"


def within(name: str, allowed: frozenset[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:end]) in allowed for end in range(1, len(parts) + 1))


def imported(tree: ast.Module, package: str) -> Iterator[tuple[ast.stmt, str]]:
    """Every import statement with the full names it asks for (`from a import b`: a.b)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            yield from ((node, f"{base}.{alias.name}") for alias in node.names)


def in_functions(tree: ast.Module) -> set[ast.AST]:
    functions = [
        n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    return {inner for function in functions for inner in ast.walk(function)}


def broken_walls(path: Path, source: str) -> list[str]:
    """What a module at `path` (relative to the checkout) does that its floor may not, as lines to read."""
    tree = ast.parse(source)
    name = floor_of(path)
    floor = FLOORS[name]
    package = ".".join((*(() if path.parts[0] == "nutwizard" else ("nutwizard",)), *path.parent.parts))
    late = in_functions(tree)
    found = []
    for node, target in imported(tree, package):
        allowed = within(target, floor.imports) or (node in late and within(target, floor.late))
        if not allowed or within(target, floor.never) or (node not in late and within(target, floor.late)):
            found.append(f"{path}:{node.lineno}: {name} may not import {target}")
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in floor.calls:
            found.append(f"{path}:{call.lineno}: {name} may not call {call.func.id}()")
    return found


def too_long(path: Path, source: str) -> dict[str, int]:
    """The lines of the module and of its functions, where there are too many."""
    sizes = {str(path): len(source.splitlines())} if len(source.splitlines()) > MODULE_LINES else {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                sizes[f"{path}:{node.name}"] = lines
    return sizes


def modules() -> list[Path]:
    found = [path for part in ("nutwizard", "steps", "assets") for path in (ROOT / part).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in found)


@pytest.mark.parametrize("path", modules(), ids=str)
def test_a_module_keeps_to_its_floor(path: Path) -> None:
    assert floor_of(path) in FLOORS, f"{path} is on no floor: the table in this file has to know it"
    assert broken_walls(path, (ROOT / path).read_text()) == []


def test_modules_and_functions_stay_short() -> None:
    sizes = {
        name: lines for path in modules() for name, lines in too_long(path, (ROOT / path).read_text()).items()
    }

    assert {name: lines for name, lines in sizes.items() if name not in LONGER} == {}
    assert [name for name in LONGER if name not in sizes] == [], "no longer needed in LONGER"


def test_nobody_goes_by_the_folders_names() -> None:
    """They are nutwizard.steps and nutwizard.assets: the bare names exist in a checkout alone."""
    paths = [
        path for part in ("nutwizard", "steps", "assets", "tests") for path in (ROOT / part).rglob("*.py")
    ]
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in paths
        for node, target in imported(ast.parse(path.read_text()), "")
        if not getattr(node, "level", 0) and target.split(".")[0] in {"steps", "assets"}
    ]

    assert bare == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nutwizard/formats/a.py", "from nutwizard.core import facts"),
        ("nutwizard/formats/a.py", "import os.path"),
        ("nutwizard/core/a.py", "from pathlib import Path"),
        ("nutwizard/core/a.py", "def f():\n    import yaml"),
        ("nutwizard/core/a.py", "from ..engine import host"),
        ("nutwizard/core/a.py", "text = open('/etc/passwd').read()"),
        ("steps/a.py", "from nutwizard.steps import driver"),
        ("steps/a.py", "from . import driver"),
        ("steps/a.py", "import subprocess"),
        ("nutwizard/engine/a.py", "def f():\n    print('done')"),
        ("nutwizard/engine/a.py", "from textual import work"),
        ("nutwizard/engine/deep/a.py", "from nutwizard import cli"),
        ("nutwizard/wording/a.py", "from nutwizard.prompts import asker"),
        ("nutwizard/wording/a.py", "print('done')"),
        ("nutwizard/prompts/a.py", "from nutwizard.tui import app"),
        ("nutwizard/prompts/a.py", "import subprocess"),
        ("nutwizard/tui/a.py", "from nutwizard.steps import driver"),
        ("nutwizard/tui/a.py", "print('done')"),
        ("nutwizard/cli.py", "import yaml"),
        ("nutwizard/cli.py", "from nutwizard.prompts import ask"),
        ("nutwizard/cli.py", "try:\n    import textual\nexcept ImportError:\n    pass"),
        ("nutwizard/cli.py", "import requests"),
        ("nutwizard/commands.py", "import psutil"),
    ],
)
def test_a_broken_wall_is_seen(path: str, source: str) -> None:
    assert len(broken_walls(Path(path), source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nutwizard/formats/a.py", "import re\nfrom pathlib import PurePosixPath\nfrom . import words"),
        ("nutwizard/core/a.py", "from nutwizard.formats.words import Word\nfrom .facts import Facts"),
        ("steps/a.py", "from nutwizard.core import paths"),
        ("nutwizard/engine/a.py", "import os, yaml, psutil\nfrom nutwizard import steps"),
        (
            "nutwizard/cli.py",
            "from nutwizard.core import errors\ndef f():\n    from nutwizard.tui import app",
        ),
    ],
)
def test_a_wall_has_doors(path: str, source: str) -> None:
    assert broken_walls(Path(path), source) == []


def test_the_measure_counts() -> None:
    body = "    pass\n" * FUNCTION_LINES
    path = Path("nutwizard/core/a.py")

    assert too_long(path, f"def f():\n{body}") == {"nutwizard/core/a.py:f": FUNCTION_LINES + 1}
    assert too_long(path, "x = 1\n" * (MODULE_LINES + 1)) == {"nutwizard/core/a.py": MODULE_LINES + 1}
    assert too_long(path, "x = 1\n" * MODULE_LINES) == {}
