"""What of a link the files alone tell, before anybody is asked."""

from __future__ import annotations

from collections.abc import Sequence

from nutwizard.core.clients import same_address
from nutwizard.core.links import Finding, LetIn, Link, State, Told


def from_the_files(link: Link) -> Finding | None:
    """The finding; None where the machine has to be asked."""
    match link.target:
        case Told():
            return _told(link, link.target)
        case LetIn():
            return _kept_out(link, link.target)
    return None


def _told(link: Link, target: Told) -> Finding:
    own = f"nutwizard step {link.step}" if target.state is State.BROKEN else ""
    return Finding(link, target.state, target.evidence, target.cause, target.fix or own)


def _kept_out(link: Link, target: LetIn) -> Finding | None:
    if target.open:
        return Finding(link, State.NOT_APPLICABLE, target.open)
    if target.closed:
        return Finding(link, State.BROKEN, target.closed, fix=target.fix)
    return None


def by_who_came(link: Link, target: LetIn, there: Sequence[str]) -> Finding:
    """A client that is logged in from this address has come through."""
    if any(same_address(address, target.address) for address in there):
        return Finding(link, State.PROVEN, f"{target.address} is logged in; {target.line}")
    return Finding(link, State.WAITING, f"let in by {target.line}; nothing has come from there yet")
