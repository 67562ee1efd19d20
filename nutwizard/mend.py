"""`nutwizard check --fix`: plan what mends that which is broken, show it, ask, make it so, and look again."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from nutwizard import checking, commands, opening
from nutwizard.core import paths
from nutwizard.core.errors import AnswersError, Exit, UsageError
from nutwizard.core.facts import Role
from nutwizard.engine import aftermath, carry, mending, registry

if TYPE_CHECKING:
    from nutwizard.core.plan import Plan
    from nutwizard.engine.detect import Sources
    from nutwizard.engine.doctor import Examination
    from nutwizard.engine.host import Host
    from nutwizard.engine.session import Session

#: What the history calls it.
CALLED = "check --fix"
_GOES_ON = (Exit.DONE, Exit.BROKEN)


class Mender:
    """One run of `check --fix`; the person is asked before each change, but for `--yes`.

    Raises UsageError where nobody can be asked, and what a session raises.
    """

    def __init__(self, args: argparse.Namespace, host: Host, sources: Sources) -> None:
        if not (args.yes or args.plain or (sys.stdin.isatty() and sys.stdout.isatty())):
            raise UsageError(
                "--fix shows what it would change and asks: it needs a terminal.",
                "Without one: nutwizard check --fix --yes",
            )
        self._args, self._host, self._sources = args, host, sources

    def mend(self, role: Role, found: Examination) -> Exit:
        """A forced shutdown that upsd still announces comes first, then the steps, then the firewall."""
        if self._going_down():
            raise UsageError("This machine is shutting down: nothing is changed now.")
        if (first := mending.released(role, found)) is not None:
            code = self._release(found, first)
            if code not in _GOES_ON:
                return code
            role, found = self._look()
        if mending.is_fresh(found):
            raise UsageError(
                "NUT is not set up here yet, so there is nothing to mend.", "Set it up: nutwizard"
            )
        steps = mending.steps_for(found, tuple(step.name for step in registry.steps_of(role)))
        if steps:
            code = self._plan(role, found, steps)
            if code not in _GOES_ON:
                return code
        if mending.switches_rule(found) and self._agreed("Switch the firewall's rule on?"):
            from nutwizard import firewalls

            firewalls.switch(self._args, on=True)
        aftermath.told(self._host)
        opening.say("Looking again.")
        role, again = self._look()
        checking.tell(self._args, self._host, role, again)
        return Exit.BROKEN if again.broken else Exit.DONE

    def _going_down(self) -> bool:
        """Whether systemd has begun to stop everything; not where it cannot be asked."""
        words = ["/usr/bin/systemctl", "is-system-running"]
        return self._host.run(words, timeout=5.0).out.strip() == "stopping"

    def _look(self) -> tuple[Role, Examination]:
        return checking.look(self._args, self._host, self._sources)

    def _release(self, found: Examination, plan: Plan) -> Exit:
        """Restart upsd, also where a guard would wait for the end of an outage: power is back."""
        commands.show_text(f"\n{commands.plan_words(plan)}")
        if not self._agreed("Do this first?"):
            return _nothing()
        outcome = carry.carry_out(
            self._host, found.facts, plan, report=opening.say, command=CALLED, on_battery=True
        )
        aftermath.told(self._host)
        opening.say(outcome.text)
        return outcome.code

    def _plan(self, role: Role, found: Examination, steps: tuple[str, ...]) -> Exit:
        """The steps on the files as they are, with what else mends."""
        from nutwizard import replayed

        given = replayed.typed_password(role) if self._args.password_stdin else None
        session = opening.open_session(
            self._host, self._sources, role,
            named=given, save=self._saves(), only=steps, on_battery=self._args.on_battery,
        )  # fmt: skip
        session.also = lambda plan: mending.mended(plan, found)
        session.called = CALLED
        if given is None and mending.needs_password(role, found):
            return self._ask(
                "monitor", "The server denies this machine's password; only its side knows another."
            )
        return self._write(session, steps)

    def _saves(self) -> bool:
        """Answers are kept where they are kept already; a password that is drawn is kept in any case."""
        return self._host.stat(paths.SAVED_ANSWERS) is not None

    def _write(self, session: Session, steps: tuple[str, ...]) -> Exit:
        """Show the plan, ask, apply; where an answer is needed that only a person has, its screens."""
        try:
            plan = session.plan()
        except AnswersError as error:
            return self._without(session, steps, error)
        commands.show_text(f"\n{commands.plan_words(plan)}")
        if plan.empty:
            opening.say("There is nothing that nutwizard can change about it: see what is said at each link.")
            return Exit.DONE
        if outage := session.outage():
            raise UsageError(outage, "Again when it is over, or with --on-battery")
        if not self._agreed("Write this?"):
            return _nothing()
        outcome = session.apply(opening.say)
        for text in (*outcome.notes, outcome.text):
            opening.say(text)
        return outcome.code

    def _without(self, session: Session, steps: tuple[str, ...], error: AnswersError) -> Exit:
        """The other steps first, then those that need an answer of a person."""
        asking = _asking(error, steps)
        others = tuple(step for step in steps if step not in asking)
        if others and asking != list(steps):
            session.narrow(others)
            code = self._write(session, others)
            if code not in _GOES_ON:
                return code
        return self._ask(",".join(asking), error.text)

    def _ask(self, steps: str, why: str) -> Exit:
        """Have a person answer these steps. Raises UsageError with --yes."""
        if self._args.yes:
            hint = f"Answer it: nutwizard step {steps}; a client's password also with --password-stdin"
            raise UsageError(why, hint)
        from nutwizard import dialogue

        opening.say(f"{why}\nThis needs an answer of yours.")
        self._args.name = steps
        return dialogue.step(self._args)

    def _agreed(self, question: str) -> bool:
        if self._args.yes:
            return True
        from nutwizard.prompts.asker import make_asker

        return make_asker(os.environ, sys.stdin, sys.stdout).confirm(question, False)


def _asking(error: AnswersError, steps: tuple[str, ...]) -> list[str]:
    """The steps whose answers are wanted."""
    named = [problem.field.partition(".")[0] for problem in error.problems]
    return [step for step in steps if step in named] or list(steps)


def _nothing() -> Exit:
    opening.say("Nothing was changed.")
    return Exit.INTERRUPTED
