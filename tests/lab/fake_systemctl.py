"""Stand-ins for systemctl (a thin client of PID 1, as the real one is), journalctl and systemd-run."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

SOCKET = Path("/run/fake-systemd/private")
ENDED = Path("/run/lab-boots")
LIMIT = 600.0  # seconds; longer than any job of the manager


def systemctl(words: list[str]) -> int:
    """Send a command line to PID 1, print what it answers, return its exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT)
        connection.connect(str(SOCKET))
        connection.sendall(json.dumps(words).encode() + b"\n")
        with connection.makefile("rb") as stream:
            code, out, err = json.loads(stream.readline())
    sys.stdout.write(out)
    sys.stderr.write(err)
    return int(code)


def journalctl(words: list[str]) -> int:
    """Print the journal: `-u UNIT`, `-n N`, `-t TAG`, `-b BOOT`, `-o STYLE` of render(), `--since=@SECONDS`.

    A boot ends when a test says so, by a file of its name in ENDED. Others change nothing.
    """
    from . import journal, units

    wanted: dict[str, list[str]] = {"-u": [], "-t": [], "-n": [], "-o": [], "-b": [], "--since": []}
    rest = iter(_separate(words))
    for word in rest:
        if word in wanted:
            wanted[word].append(next(rest, ""))
    names = {units.load(units.full_name(name)).name for name in wanted["-u"]}
    entries = [e for e in journal.entries() if not names or e["unit"] in names]
    entries = [e for e in entries if not wanted["-t"] or e["tag"] in wanted["-t"]]
    begin = max((float(word[1:]) for word in wanted["--since"] if word.startswith("@")), default=0.0)
    ends = [ENDED / name for name in wanted["-b"] if (ENDED / name).exists()]
    end = min((file.stat().st_mtime for file in ends), default=float("inf"))
    entries = [e for e in entries if begin <= e["at"] <= end]
    if wanted["-n"]:
        entries = entries[-int(wanted["-n"][-1]) :]
    style = wanted["-o"][-1] if wanted["-o"] else "short-iso"
    for entry in entries:
        print(journal.render(entry, style))
    if not entries and style != "cat":
        print("-- No entries --")
    return 0


def systemd_run(words: list[str]) -> int:
    """Run a command as a transient service does: a session of its own, a clean environment, from `/`.

    Standard input and output are the caller's (`--pipe`); the command lives on when the caller is killed.
    """
    from .processes import BASE_ENVIRONMENT

    takes_value = {"-p", "--property", "-E", "--setenv", "--unit", "-u", "--description", "--slice"}
    rest = list(words)
    environment = dict(BASE_ENVIRONMENT)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        value = rest.pop(0) if word in takes_value else word.partition("=")[2]
        if word == "-E" or word.startswith("--setenv"):
            environment.update([value.partition("=")[::2]])
        if word == "--":
            break
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir("/")
        os.execvpe(rest[0], rest, environment)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _separate(words: list[str]) -> list[str]:
    """`-nN` and `--unit=X` become two words."""
    long = {"--unit": "-u", "--lines": "-n", "--output": "-o", "--identifier": "-t", "--since": "--since"}
    out: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if name in long:
            out += [long[name], value] if equals else [long[name]]
        elif len(word) > 2 and word[:2] in long.values():
            out += [word[:2], word[2:]]
        else:
            out.append(word)
    return out


def main(words: list[str]) -> int:
    """Be the program that the first word names."""
    programs = {"systemctl": systemctl, "journalctl": journalctl, "systemd-run": systemd_run}
    return programs[os.path.basename(words[0])](words[1:])
