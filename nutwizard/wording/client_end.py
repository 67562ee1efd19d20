"""The end of a client's run: protected, or what its server still needs; and how the next VM is set up."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from nutwizard.core import paths
from nutwizard.core.facts import Facts
from nutwizard.core.links import Finding, LinkId, State
from nutwizard.core.secret import Secret
from nutwizard.core.server import PRIMARY_WORDS
from nutwizard.core.site import NUT_PORT
from nutwizard.engine.health import states
from nutwizard.wording.contract import GuidedSession
from nutwizard.wording.layout import Line, Tone

#: What has to be proven for a client to be looked after by its server.
_NEEDED = (LinkId.FIREWALL, LinkId.UPSD, LinkId.UPS, LinkId.LOGIN, LinkId.UPSMON)


def client_lines(session: GuidedSession, findings: Sequence[Finding]) -> list[Line]:
    """What comes next, on this machine, on the server's side and in the next VM."""
    found = states(findings)
    if not found:
        return _next_vm(session)
    missing = [link for link in _NEEDED if found.get(link) is not State.PROVEN]
    return [*([] if not missing else _waiting(session, missing)), *_next_vm(session)]


def _waiting(session: GuidedSession, missing: Sequence[LinkId]) -> list[Line]:
    """That the files stay and upsmon goes on asking, and everything the other side must have."""
    given = {name: found.value for name, found in session.proposals("monitor").items()}
    server, port = given["server"], given["port"] or NUT_PORT
    here = addresses_towards(session.facts, str(server))
    right = "upsmon secondary (upsmon slave before NUT {}.{}.{})".format(*PRIMARY_WORDS)
    denied = missing[0] is LinkId.LOGIN
    return [
        Line(),
        Line(
            "The server lets this machine in, but not this user."
            if denied
            else "This machine waits for its server: the files are in place, and upsmon asks again by itself."
        ),
        Line(f"On {server} there must be:"),
        Line(f"  port      {port}/tcp open for {' or '.join(here) or 'the address of this machine'}"),
        Line(f"  UPS       {given['ups']}, in ups.conf"),
        Line(f"  user      {given['user']}, in upsd.users, with the same password and {right}"),
    ]


def _next_vm(session: GuidedSession) -> list[Line]:
    """The files with which the next VM is set up the same way; [] where there are none."""
    kept = _kept(session)
    if not kept:
        return []
    replay = f"  nutwizard apply {shlex.quote(kept[0])}"
    return [
        Line(),
        Line(
            "For the next VM copy " + ("these files" if len(kept) > 1 else "this file") + ", and run there:"
        ),
        *(Line(f"  {path}", Tone.PLAIN) for path in kept),
        Line(replay, Tone.PLAIN),
        *([] if len(kept) > 1 else [Line("  with --password-stdin: the password is not in a file here")]),
    ]


def _kept(session: GuidedSession) -> tuple[str, ...]:
    """The answers file in force and the password's own file, as far as they are files."""
    if not session.answers_path:
        return ()
    password: Any = session.proposals("monitor")["password"].value
    own = session.answers_path == paths.SAVED_ANSWERS
    file = paths.CLIENT_PASSWORD if own else password.file if isinstance(password, Secret) else ""
    inside = not own and file == paths.CLIENT_PASSWORD  # where a secret without a file of its own would go
    return (session.answers_path,) if not file or inside else (session.answers_path, file)


def addresses_towards(facts: Facts, server: str) -> list[str]:
    """This machine's addresses in the server's network; where none is, all that are not loopback."""
    if not facts.runs:
        return []
    here = [a for a in facts.addresses() if not a.loopback and not a.address.startswith("fe80:")]
    near = [a.address for a in here if _shares(f"{a.address}/{a.prefix}", server)]
    return near or _of_kind((a.address for a in here), server)


def _shares(network: str, server: str) -> bool:
    try:
        return ipaddress.ip_address(server) in ipaddress.ip_interface(network).network
    except ValueError:
        return False


def _of_kind(found: Iterable[str], server: str) -> list[str]:
    return [address for address in found if (":" in address) == (":" in server)]
