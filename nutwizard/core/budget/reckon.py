"""The budget of one machine: its parts, the verdict, what speaks for and against, what to change."""

from __future__ import annotations

from collections.abc import Iterator

from nutwizard.core.budget.advice import advice
from nutwizard.core.budget.battery import given
from nutwizard.core.budget.clientneeds import client_given, client_parts
from nutwizard.core.budget.inputs import Inputs
from nutwizard.core.budget.needs import host_parts
from nutwizard.core.budget.notes import notes_of
from nutwizard.core.budget.result import Basis, Budget, Given, Part, Verdict
from nutwizard.core.facts import Role


def reckon(inputs: Inputs) -> Budget:
    """What the shutdown needs against what it has."""
    host = inputs.role is Role.HOST
    parts = host_parts(inputs) if host else client_parts(inputs)
    has = given(inputs) if host else client_given(inputs, parts)
    unknown = inputs.guests is None
    before = [part for part in parts if not part.after]
    needs = None if unknown else sum(part.seconds for part in before)
    worst = None if unknown else sum(max(part.seconds, part.worst) for part in before)
    cut = None if needs is None else needs + sum(part.seconds for part in parts if part.after)
    verdict = _verdict(inputs, before, needs, has)
    return Budget(
        inputs.role,
        parts,
        has,
        needs,
        worst,
        cut,
        verdict,
        tuple(_reasons(inputs, before, needs, has)),
        tuple(notes_of(inputs, parts, has, worst, cut)),
        advice(inputs, has, needs, worst),
    )


def _verdict(inputs: Inputs, parts: list[Part], needs: float | None, has: Given) -> Verdict:
    """A stop that nobody has measured is a guess: it alone makes nothing too long."""
    if needs is None or has.seconds is None or inputs.lines is None:
        return Verdict.UNKNOWN
    if needs <= has.seconds:
        return Verdict.FITS
    sure = needs - sum(part.seconds for part in _guessed(parts))
    return Verdict.TOO_LONG if sure > has.seconds else Verdict.UNKNOWN


def _guessed(parts: list[Part]) -> list[Part]:
    """Machines that stop by themselves, which most do much sooner than they are allowed to."""
    return [part for part in parts if part.key in ("host", "away") and part.basis is Basis.ASSUMED]


def _reasons(inputs: Inputs, parts: list[Part], needs: float | None, has: Given) -> Iterator[str]:
    """Why it does not fit, or why that is not known."""
    if needs is None:
        yield f"Which guests there are is not known: {'; '.join(inputs.unseen) or 'they could not be read'}"
    if has.seconds is None:
        yield has.why
    if inputs.lines is None:
        yield "upsmon.conf holds the times that count, and only root may read it"
    if needs is None or has.seconds is None or needs <= has.seconds:
        return
    whose = "the battery" if inputs.role is Role.HOST else "this machine"
    longest = max(parts, key=lambda part: part.seconds)
    guessed = _guessed(parts)
    yield (
        f"{needs:.0f} s are needed, and {whose} has {has.seconds:.0f} s. The longest part: {longest.what},"
        f" {longest.seconds:.0f} s"
    )
    if inputs.lines is not None and _verdict(inputs, parts, needs, has) is Verdict.UNKNOWN:
        room = has.seconds - needs + sum(part.seconds for part in guessed)
        names = " and ".join(part.what for part in guessed)
        yield f'It fits if "{names}" takes {room:.0f} s or less, and that was never measured'
