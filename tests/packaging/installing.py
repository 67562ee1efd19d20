"""Copies of the checkout and small environments to install them into, all without the network."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIME_LIMIT = 120.0  # seconds for one command
NOT_COPIED = shutil.ignore_patterns(
    ".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines())
)


def copy_checkout(target: Path) -> Path:
    """What a fresh clone of this checkout holds, new files included."""
    return Path(shutil.copytree(ROOT, target, symlinks=True, ignore=NOT_COPIED))


class Environment:
    """A virtual environment that sees the packages of the one that runs the tests, but not this checkout."""

    def __init__(self, folder: Path) -> None:
        make = (sys.executable, "-I", "-m", "venv", "--without-pip", str(folder))
        subprocess.run(make, check=True, timeout=TIME_LIMIT, capture_output=True)
        self.python = folder / "bin" / "python"
        site = Path(self.run("-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        # The folder that a .pth file names is searched, but .pth files in it are not read: the one that leads
        # to the real checkout has no effect.
        (site / "development.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Python's stdout. A failure of the test, with what it said, when it does not exit with 0."""
        command = [str(self.python), *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=TIME_LIMIT)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pip_install(self, *what: str | Path) -> None:
        options = (
            "--quiet",
            "--no-deps",
            "--no-index",
            "--no-build-isolation",
            "--disable-pip-version-check",
        )
        self.run("-I", "-m", "pip", "install", *options, *what)
