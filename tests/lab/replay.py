"""Scripts that a real systemd and the stand-in both play, to be compared line by line.

A line `$ COMMAND` is played and its output recorded below it: standard output, standard error after `! `,
the exit code as `= CODE`. A line `& COMMAND` prepares and is played silently. `# ` starts a comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Run = Callable[[str], tuple[int, str, str]]
_VOLATILE = (
    (re.compile(r"(?m)^(MainPID|ActiveEnterTimestampMonotonic)=[1-9]\d*$"), r"\1=N"),
    (re.compile(r"(?m)^(ActiveEnterTimestamp)=@\d+$"), r"\1=@N"),
    (re.compile(r"(?m)^\d{4}-\d\d-\d\dT[\d:]{8}\+0000 (\S+ [^\[]+)\[\d+\]:"), r"TIME \1[N]:"),
)


def replay(script: str, run: Run) -> str:
    """Play a script, with or without an older record in it; the script with the new record."""
    out = []
    for line in script.splitlines():
        if line.startswith(("# ", "& ", "$ ")):
            out.append(line)
        if line.startswith("& "):
            run(line[2:])
        if line.startswith("$ "):
            code, printed, complaint = run(line[2:])
            out += [*printed.splitlines(), *(f"! {word}" for word in complaint.splitlines()), f"= {code}"]
    text = "\n".join(out) + "\n"
    for pattern, constant in _VOLATILE:
        text = pattern.sub(constant, text)
    return text
