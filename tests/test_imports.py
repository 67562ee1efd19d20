"""What a command may load: the quick ones stay quick, and those that change the machine know no screen."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Runs a command as a fresh interpreter would, then tells its exit code and what it loaded.
PROBE = """
import json, sys
arguments, forbidden = json.loads(sys.argv[1])
before = set(sys.modules)
from nutwizard.cli import main
try:
    code = main(arguments)
except SystemExit as end:
    code = end.code
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print("\\n" + json.dumps([code, sorted(loaded & set(forbidden))]))
"""

ANSWERS = """\
nutwizard: 1
role: client
monitor:
  ups: apc
  server: 192.0.2.7
  port: 3493
  user: upsmonclient
  password_file: client.password
actions:
  events: [ONLINE, ONBATT, LOWBATT]
"""

SCREENS = ("textual", "questionary", "prompt_toolkit", "rich", "asyncio")


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """An answers file beside a small tree that it can be applied to."""
    files = {
        "etc/os-release": "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n",
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnut:x:116:123::/var/lib/nut:/usr/sbin/nologin\n",
        "etc/group": "root:x:0:\nnut:x:123:\n",
        "etc/nut/nut.conf": "MODE=none\n",
        "etc/nut/upsmon.conf": "MINSUPPLIES 1\nSHUTDOWNCMD /sbin/shutdown\nPOLLFREQ 5\n",
        "etc/nut/upssched.conf": "CMDSCRIPT /bin/upssched-cmd\n",
        "usr/sbin/.keep": "",
        "run/nut/.keep": "",
        "var/lib/dpkg/status": "Package: nut-client\nStatus: install ok installed\nVersion: 2.8.0-7\n\n",
    }
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, text in {"answers.yaml": ANSWERS, "client.password": "correct-horse-battery-9\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return tmp_path / "answers.yaml"


def loaded_by(*arguments: str, forbidden: tuple[str, ...]) -> tuple[int | None, list[str], str]:
    """The exit code, the forbidden top-level packages that were loaded, and all that was said."""
    command = [sys.executable, "-c", PROBE, json.dumps([arguments, forbidden])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    code, loaded = json.loads(done.stdout.splitlines()[-1])
    return code, loaded, done.stdout + done.stderr


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_next_to_nothing(argument: str) -> None:
    code, loaded, said = loaded_by(argument, forbidden=(*SCREENS, "yaml", "psutil", "subprocess"))

    assert code in (0, None), said
    assert loaded == []


def test_plan_and_apply_know_no_screen(answers: Path) -> None:
    where = ("--root", str(answers.parent / "root"))

    for command, expected in (("plan", 3), ("apply", 0), ("plan", 0)):
        code, loaded, said = loaded_by(*where, command, str(answers), forbidden=SCREENS)
        assert (code, loaded) == (expected, []), said


def test_the_package_itself_loads_nothing() -> None:
    """Every command pays for it."""
    command = "import sys; before = set(sys.modules); import nutwizard; print(*(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.split() == ["nutwizard"]
