"""What a start costs, in starts of a bare interpreter measured in turn.

    python -m tests.bench.start_up [ROUNDS]

Aims: `--help` 2.5, `plan` with nothing to do 10. Machines differ; the ratios differ far less.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nutwizard.core.paths import NUT
from tests.support.debian_stock import stock_files

ANSWERS = """\
nutwizard: 1
role: host
driver: {ups: apc, driver: usbhid-ups, port: auto, offdelay: 60, ondelay: 70, lowbatt: 80}
listen: {addresses: [0.0.0.0], port: 3493}
client_user: {name: upsmonclient, password_file: client.password}
actions: {events: [ONLINE, ONBATT, LOWBATT]}
"""
STATUS = "Package: {0}\nStatus: install ok installed\nVersion: 2.8.0-7\n"
LIMIT = 60.0


def machine(folder: Path) -> None:
    """A host's files below `folder`, as they are before the first run."""
    (folder / NUT[1:]).mkdir(parents=True)
    (folder / "var/lib/dpkg").mkdir(parents=True)
    packages = "\n".join(STATUS.format(name) for name in ("nut-client", "nut-server"))
    (folder / "var/lib/dpkg/status").write_text(packages)
    (folder / "etc/passwd").write_text("root:x:0:0::/:\nnut:x:100:100::/:\n")
    (folder / "etc/group").write_text("root:x:0:\nnut:x:100:\n")
    for name, data in stock_files("2.8.0").items():
        (folder / NUT[1:] / name).write_bytes(data)


def seconds(*arguments: str) -> float:
    """How long one start takes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        timeout=LIMIT,
    )
    return time.perf_counter() - begin


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as found:
        folder = Path(found)
        machine(folder / "root")
        answers = folder / "answers.yaml"
        answers.write_text(ANSWERS)
        replay = ("-m", "nutwizard", "--root", str(folder / "root"))
        seconds(*replay, "apply", str(answers))
        cases = {"--help": ("-m", "nutwizard", "--help"), "plan": (*replay, "plan", str(answers))}
        ratios: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, arguments in cases.items():
                bare = seconds("-c", "pass")
                ratios[name].append(seconds(*arguments) / bare)
    for name, values in ratios.items():
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{name:8} {statistics.median(values):5.1f} x python -c pass   ({spread}, {rounds} rounds)")


if __name__ == "__main__":
    main()
