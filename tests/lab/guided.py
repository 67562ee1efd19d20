"""What the tests of guided runs share: where they start, how lines are given, what they are compared with."""

from __future__ import annotations

from .dress import CHECKOUT
from .lab import Lab
from .machine import Machine
from .startpoints import CLIENT_FILES, standalone_files, stock_files
from .wizard import COMMAND, quick, wizard

SAVED, CLIENT_PASSWORD, MONITOR_PASSWORD = (
    f"/etc/nutwizard/{name}" for name in ("answers.yaml", "client.password", "monitor.password")
)
CANARY = "c4n4ry-Kly3Nt!"
#: The pointer stands on the first row: the sixth is COMMBAD, the second of the addresses is 0.0.0.0.
COMMBAD = (*["Down"] * 5, "Space")
ONLY_WILDCARD = ("Space", "Down", "Space", "Down", "Space")
EVENTS = "[ONLINE, ONBATT, LOWBATT, COMMBAD]"


def start() -> Lab:
    """Two machines at the starting point of the guide."""
    stock = quick(stock_files())
    return Lab(standalone_files(stock), {name: stock[name] for name in CLIENT_FILES})


def begun(lab: Lab) -> Lab:
    assert lab.host.systemctl("start", "nut.target").returncode == 0
    return lab


def replay(source: Lab, target: Lab) -> None:
    """Apply what was saved in one lab in the other, passwords and all."""
    for old, new in ((source.host, target.host), (source.vm, target.vm)):
        new.run(["install", "-d", "-m", "700", "/etc/nutwizard"], check=True)
        for path in (SAVED, CLIENT_PASSWORD, MONITOR_PASSWORD):
            if old.exists(path):
                new.write(path, old.read(path), mode=0o600)
        wizard(new, "apply", SAVED)


def plain(machine: Machine, *words: str, lines: tuple[str, ...], code: int = 0) -> str:
    """Run a command that asks, over a pipe; what it printed."""
    text = "".join(f"{line}\n" for line in lines)
    done = machine.run([*COMMAND, *words, "--plain"], input=text, cwd=CHECKOUT, timeout=60.0)
    assert done.returncode == code, f"{words}:\n{done.stdout}{done.stderr}"
    return done.stdout
