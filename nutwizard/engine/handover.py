"""The commands that carry nutwizard and a client's answers over to the client, and run it there."""

from __future__ import annotations

import os
import shlex

from nutwizard.core.clients import folder_of
from nutwizard.core.site import Client

#: Where the client's address is not known.
ADDRESS = "ADDRESS"
#: In the home folder of the client's root.
_PROGRAM, _ANSWERS = "nutwizard", "nutwizard-answers"


def checkout() -> str:
    """The folder of the checkout that this program runs from; "" when it was installed another way."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return folder if os.access(f"{folder}/run", os.X_OK) and os.path.isdir(f"{folder}/.ci") else ""


def commands(client: Client, program: str) -> tuple[str, ...]:
    """One command a line, to be run on this machine as root. `program`: what `checkout` says.

    They may be repeated: what lies there already is overwritten. Without a checkout the program itself is
    not copied.
    """
    login = f"root@{next(iter(client.addresses), ADDRESS)}"
    start = f"{_PROGRAM}/run" if program else _PROGRAM
    copy = (
        f"tar -C {shlex.quote(program)} --exclude=./.venv --exclude=./.git -cz ."
        f" | ssh {login} 'mkdir -p {_PROGRAM} && tar -C {_PROGRAM} --no-same-owner -xz'"
    )
    answers = (
        f"tar -C {folder_of(client)} -c . | ssh {login} 'mkdir -pm 700 {_ANSWERS} && tar -C {_ANSWERS} -x'"
    )
    apply = f"ssh -t {login} {start} apply {_ANSWERS}/answers.yaml"
    return (*([copy] if program else []), answers, apply)
