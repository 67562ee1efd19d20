"""From a plan to an outcome: one transaction, or NUT's files first and the cluster's in one of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from nutwizard.core.answers import Given, Origin
from nutwizard.core.errors import Exit, Failed, WizardError
from nutwizard.core.facts import Facts
from nutwizard.core.paths import PVE
from nutwizard.core.plan import Plan
from nutwizard.core.secret import Secret
from nutwizard.engine import preflight, transaction
from nutwizard.engine.carry import carry_out
from nutwizard.engine.health import Prove
from nutwizard.engine.host import Host
from nutwizard.engine.outage import refuse
from nutwizard.engine.outcome import Outcome
from nutwizard.engine.saved import PasswordFiles, SecretOf, draw
from nutwizard.formats.safe import safe_text


def draw_pending(found: Iterable[SecretOf], given: dict[str, dict[str, Given]]) -> list[Secret]:
    """Draw what is pending of `found` (step, field, its usual file, the secret) and put it into `given`.

    Those that are kept elsewhere, beside a named answers file, are returned.
    """
    outside = []
    for step, name, home, secret in found:
        if secret.pending:
            drawn = draw(secret.file)
            given.setdefault(step, {})[name] = Given(drawn, Origin.TYPED)
            if secret.file != home:
                outside.append(drawn)
    return outside


def write(
    host: Host,
    facts: Facts,
    plan: Plan,
    drawn: Sequence[Secret],
    *,
    report: Callable[[str], None],
    command: str,
    on_battery: bool,
) -> Outcome:
    """Apply a session's plan; passwords that were `drawn` for it stay in their files when it stays.

    Raises as `carry_out`.
    """
    if drawn:  # their files come before the transaction, which asks as well
        refuse(host, plan, insist=on_battery)
    with PasswordFiles(drawn) as files:
        outcome = carry_out(host, facts, plan, report=report, command=command, on_battery=on_battery)
        files.keep = outcome.code == Exit.DONE or bool(outcome.in_force)
    told = [f"a generated password lies in {safe_text(secret.file)}" for secret in drawn]
    return replace(outcome, notes=(*told, *outcome.notes)) if files.keep else outcome


def apply_parts(
    host: Host,
    plan: Plan,
    *,
    prove: Prove,
    report: Callable[[str], None] = lambda text: None,
    command: str = "apply",
    undoes: int | None = None,
    on_battery: bool = False,
) -> Outcome:
    """As `transaction.apply`, in as many transactions as the plan has parts.

    What would refuse the second stops both before the first begins. When it fails all the same, the first
    stays, and the outcome says so. Raises as `transaction.apply`; then nothing stays.
    """
    run = partial(transaction.apply, host, prove=prove, report=report, command=command, on_battery=on_battery)
    if undoes is not None or len(plan.parts) == 1:
        return run(plan, undoes=undoes)
    nut, cluster = plan.parts
    _look_ahead(host, (nut, cluster))
    first = run(nut)
    if first.code is not Exit.DONE:
        return replace(first, text=f"{first.text}\nNothing below {PVE} was begun.")
    try:
        second = run(cluster)
    except WizardError as error:
        second = Outcome(error.code, "\n".join(filter(None, (error.text, error.hint))))
    return _together(first, second)


def _look_ahead(host: Host, parts: Sequence[Plan]) -> None:
    """Raises NeedsRoot, or Failed with every reason against any of the parts."""
    reasons: list[str] = []
    for part in parts:
        try:
            preflight.check(host, part)
            reasons += preflight.changed_since(host, part)
        except Failed as error:
            reasons.append(error.text)
    if reasons:
        raise Failed("\n".join(reasons), "nothing was changed; look at a new plan")


def _together(first: Outcome, second: Outcome) -> Outcome:
    """One outcome of two, of which the first is done."""
    done = second.code is Exit.DONE
    text = f"{first.text}\n{second.text}"
    if not done:
        text = f"{first.text} It stays.\nThe part below {PVE} failed: {second.text}"
    return Outcome(
        second.code,
        text,
        second.findings if done else first.findings,
        second.id,
        tuple(dict.fromkeys((*(_still_true(first, second) if done else first.notes), *second.notes))),
        (*first.signals, *second.signals),
        earlier=(first.id,),
    )


def _still_true(first: Outcome, second: Outcome) -> Iterator[str]:
    """The notes of the first but for links, of which the second tells."""
    links = [found.link for found in second.findings]
    told = tuple(f"{link.id}: {link.subject}: {transaction.STILL_DOWN}" for link in links)
    return (note for note in first.notes if not note.startswith(told))
