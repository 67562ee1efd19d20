"""A stand-in for the driver usbhid-ups on a machine without a UPS (the lab's `/lib/nut/usbhid-ups`).

The real driver is kept beside it and asked first: `-L`, `-h`, `-V` are its own answers, and a section that it
refuses is refused in its words and with its exit code. Where it gets as far as looking for the device,
dummy-ups takes over under the driver's name, publishing the section's variables as `driver.parameter.*`.
dummy-ups skips `driver.*` in its data file; `override.` in its configuration is what sets them.

`-k`, the order to cut the power, is noted with its time and the section's delays.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

REAL = "/usr/lib/nut-lab/usbhid-ups"
DUMMY = "/lib/nut/dummy-ups"
STATE = Path("/run/lab-ups")
# What the UPS measures; it outlives a restart of the driver, as a UPS does.
VALUES = Path("/var/lib/lab-ups.values")
#: Each order to cut the power, a line of JSON.
CUTS = Path("/var/lib/lab-ups.cuts")
NO_DEVICE = b"No matching HID UPS found"
LIMIT = 10.0


def main(words: list[str]) -> int:
    """Be the driver; returns only where it ends at once."""
    if "-a" not in words:
        os.execv(REAL, ["/lib/nut/usbhid-ups", *words[1:]])
    name = words[words.index("-a") + 1]
    answer = _ask_real(words)
    if NO_DEVICE not in answer.stderr:
        sys.stdout.buffer.write(answer.stdout)
        sys.stderr.buffer.write(answer.stderr)
        return answer.returncode
    section = read_section(Path("/etc/nut/ups.conf").read_text(encoding="utf-8", errors="replace"), name)
    if "-k" in words:
        note = {"at": time.time(), "ups": name, **{key: section.get(key) for key in ("offdelay", "ondelay")}}
        with CUTS.open("a", encoding="utf-8") as notes:
            notes.write(json.dumps(note) + "\n")
        return 0
    folder = STATE / name
    folder.mkdir(parents=True, exist_ok=True)
    configuration = translate(name, section, driver_variables(), folder / "ups.dev")
    (folder / "ups.conf").write_text(configuration, encoding="utf-8")
    (folder / "lowbatt").write_text(section.get("lowbatt", "10") + "\n", encoding="ascii")
    publish(folder)
    environment = {**os.environ, "NUT_CONFPATH": str(folder)}
    return os.execve(DUMMY, ["/lib/nut/usbhid-ups", *words[1:]], environment)


def driver_variables() -> list[str]:
    """The variables of the real driver, from its `-L`."""
    listing = subprocess.run([REAL, "-L"], capture_output=True, timeout=LIMIT, check=True).stdout
    return [
        line.split()[1]
        for line in listing.decode("ascii").splitlines()
        if line.startswith(("VALUE ", "FLAG "))
    ]


def read_section(text: str, name: str) -> dict[str, str]:
    """The settings of one UPS in ups.conf, the last of each; a flag has the value ""."""
    found: dict[str, str] = {}
    inside = False
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0].startswith("["):
            inside = words[0] == f"[{name}]"
        elif words and inside:
            key, _, value = " ".join(words).partition("=")
            found[key.strip()] = value.strip()
    return found


def translate(name: str, section: dict[str, str], own: list[str], port: Path) -> str:
    """A ups.conf for dummy-ups that publishes what the real driver would have published of the section."""
    lines = [f"[{name}]"]
    for key, value in section.items():
        if key == "port":
            lines += [f'port = "{port}"', f'override.driver.parameter.port = "{value}"']
        elif key in own:
            lines.append(f'override.driver.parameter.{key} = "{value or "enabled"}"')
        else:
            lines.append(f'{key} = "{value}"' if value else key)
    return "\n".join(lines) + "\n"


def publish(folder: Path) -> None:
    """Compose the file that dummy-ups reads; its time goes on by whole seconds: dummy-ups sees no less."""
    values = {"battery.charge.low": (folder / "lowbatt").read_text(encoding="ascii").strip()}
    for line in VALUES.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        values[key.strip()] = value.strip()
    target = folder / "ups.dev"
    before = target.stat().st_mtime if target.exists() else 0.0
    fresh = folder / "ups.dev.new"
    fresh.write_text("".join(f"{key}: {value}\n" for key, value in values.items()), encoding="utf-8")
    stamp = max(int(fresh.stat().st_mtime), int(before) + 1)
    os.utime(fresh, (stamp, stamp))
    fresh.replace(target)


def set_values(changes: dict[str, str]) -> None:
    """Change what the UPS measures; a running driver shows it at its next poll."""
    lines = VALUES.read_text(encoding="utf-8").splitlines() if VALUES.exists() else []
    values = dict(line.partition(": ")[::2] for line in lines) | changes
    VALUES.write_text("".join(f"{key}: {value}\n" for key, value in values.items()), encoding="utf-8")
    for data in STATE.glob("*/ups.dev"):
        publish(data.parent)


def _ask_real(words: list[str]) -> subprocess.CompletedProcess[bytes]:
    # Its process id file and socket go elsewhere: it must not end a driver that runs.
    scratch = STATE / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "NUT_STATEPATH": str(scratch), "NUT_ALTPIDPATH": str(scratch)}
    command = ["/lib/nut/usbhid-ups", *words[1:]]
    return subprocess.run(command, executable=REAL, env=environment, capture_output=True, timeout=LIMIT)
