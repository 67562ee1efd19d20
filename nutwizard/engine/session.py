"""One run over one machine: facts, answers so far, plan, apply. Every front end and the replay use it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nutwizard.core import paths
from nutwizard.core.answers import AnswersSet, Given, Origin, Proposed
from nutwizard.core.clients import answers_file, folders_for
from nutwizard.core.errors import AnswersError, Exit, Problem
from nutwizard.core.facts import Door, Role
from nutwizard.core.fields import Choice, Field
from nutwizard.core.page import Page
from nutwizard.core.plan import FileChange, Plan
from nutwizard.core.secret import Secret
from nutwizard.core.site import Client
from nutwizard.core.standing import Standing, StepState, clipped
from nutwizard.core.step import View
from nutwizard.engine import carry, registry
from nutwizard.engine.budgeted import Budgets
from nutwizard.engine.detect import Sources
from nutwizard.engine.host import Host
from nutwizard.engine.planner import Planner, Walk
from nutwizard.engine.proofs import Proofs
from nutwizard.engine.rehearsals import Rehearsals
from nutwizard.engine.saved import draw, put_answers, read_saved, secrets_of
from nutwizard.engine.switching import Switches
from nutwizard.engine.telling import Telling
from nutwizard.engine.typed import Answered, Typed
from nutwizard.formats.safe import safe_text

if TYPE_CHECKING:
    from nutwizard.engine.outcome import Outcome
    from nutwizard.engine.resume import Resume


class Session(Answered, Proofs, Rehearsals, Switches, Telling, Budgets):
    """One guided run, one step or one replay.

    `named`: answers of a file on the command line; `saved`: those of an earlier run; with `save` the answers
    become part of the plan. `only`: the steps that are asked; of the others those that their answers affect
    are planned. `on_battery`: an outage stops nothing. `resume` keeps what is typed until it is written.
    """

    def __init__(
        self,
        host: Host,
        sources: Sources,
        role: Role,
        *,
        named: AnswersSet | None = None,
        saved: AnswersSet | None = None,
        save: bool = False,
        only: Collection[str] = (),
        on_battery: bool = False,
        resume: Resume | None = None,
    ) -> None:
        self.host = host
        self.role = role
        self.only = frozenset(only)
        #: What the history calls it; "": what it is.
        self.called = ""
        #: What is planned beside the steps.
        self.also: Callable[[Plan], Plan] = lambda plan: plan
        self._save = save
        self._on_battery = on_battery
        self._named_path = named.path if named is not None else ""
        self._guide = {step.name: step for step in registry.steps_of(role)}
        self.steps = tuple(self._guide)
        self._named, self._saved, self._machine = named, saved, sources
        self._typed = Typed(role, tuple(self._guide.values()), resume, named)
        self._look()

    def _look(self) -> None:
        self.facts = carry.facts_for(self.host, self._machine, self.role)
        self._given = [source for source in (self._named, self._saved) if source is not None]
        self._drawn: dict[str, dict[str, Given]] = {}
        self._planner = Planner(tuple(self._guide.values()), self.facts, self.role, registry.asset)

    def renew(self) -> None:
        """Look at the machine and the saved answers again: after an apply they are others."""
        if self._save:
            steps = {each: registry.steps_of(each) for each in Role}
            self._saved = read_saved(self.host, steps, self.role)
        self._typed.settle()
        self._look()
        self._forget()

    @property
    def practice(self) -> bool:
        """Whether nothing that happens here protects anything."""
        return self.host.door is Door.PRACTICE

    @property
    def answers_path(self) -> str:
        """The answers file that repeats this run: the saved one, else the named one; "" without any."""
        return paths.SAVED_ANSWERS if self._save else self._named_path

    @property
    def first(self) -> bool:
        """Whether this is a first run: no answers of an earlier one, and something left to set up."""
        return not self._given and any(self.state(step) == "to do" for step in self.steps)

    def narrow(self, steps: Collection[str]) -> None:
        """Plan these steps alone from now on, and those whose shared values they change."""
        self.only = frozenset(steps)
        self._forget()

    def require_nut(self) -> None:
        """Raises UsageError with the packages for this role when NUT or its user is missing."""
        carry.require_nut(self.host.label, self.facts, self.role)

    @property
    def guide(self) -> tuple[tuple[str, str], ...]:
        """Name and title of every step in order, those of the other role too."""
        return tuple((step.name, step.title) for step in registry.all_steps())

    def title(self, step: str) -> str:
        return dict(self.guide)[step]

    def page(self, step: str) -> Page:
        return registry.page_of(step, self.role)

    def found(self) -> list[tuple[str, str, str]]:
        """(what, value, how it is known) for the overview, safe to show."""
        from nutwizard.engine.found import found_here, rehearsed_here, tested_here

        rows = [*found_here(self.facts, self.role), *rehearsed_here(self.host, self.facts)]
        rows += tested_here(self.host)
        return [(what, safe_text(value), safe_text(known)) for what, value, known in rows]

    def state(self, step: str) -> str:
        """As `standing`, the state alone."""
        return self.standing(step).state

    def standing(self, step: str) -> Standing:
        """Whether the machine is as this step's answers so far say. Any step of the guide."""
        if refused := self._typed.refused((step,)):
            return Standing(StepState.TO_DO, clipped(safe_text(refused[0].text), 60))
        return self._standings[step]

    def fields(self, step: str) -> tuple[Field, ...]:
        return self._planner.fields(self._guide[step], self._view(step))

    def hints(self, step: str, given: Mapping[str, Any] | None = None) -> Mapping[str, tuple[Choice, ...]]:
        """What is suggested for fields that take any text, by field; `given` as in `proposals`."""
        return self._guide[step].choices(self._view(step), given or {})

    def proposals(self, step: str, given: Mapping[str, Any] | None = None) -> Mapping[str, Proposed]:
        """The winning value of each field; `given` are values typed in this step so far."""
        sources = [AnswersSet(self.role, "", self._typed.counting), *self._given]
        if given:
            typed = {name: Given(value, Origin.TYPED) for name, value in given.items()}
            sources.insert(0, AnswersSet(self.role, "", {step: typed}))
        return self._planner.decide(self._guide[step], self._view(step), sources)

    def preview(self, step: str, given: Mapping[str, Any]) -> Mapping[str, FileChange]:
        """What is to be seen before a field is asked, by field; `given` as in `proposals`."""
        values = {name: found.value for name, found in self.proposals(step, given).items()}
        found = self._guide[step].preview(self._view(step), values)
        return {name: replace(change, beside=self.facts.texts) for name, change in found.items()}

    def beside(self, only: Collection[str]) -> Session:
        """Another session on this machine that asks these steps alone; what was typed here does not count."""
        return Session(
            self.host, self._machine, self.role,
            saved=self._saved, save=self._save, only=only, on_battery=self._on_battery,
        )  # fmt: skip

    def answer(self, step: str, values: Mapping[str, Any]) -> tuple[Problem, ...]:
        """Take typed values for a step; a problem means that they do not count, and those before them do."""
        before = self._typed.take(step, values)
        self._forget()
        outside = bool(self.only) and step not in self.only
        walk = self._walked(self.only | {step}) if outside else self._walk
        found = tuple(p for p in walk.problems if p.field.partition(".")[0] == step)
        if found:
            self._typed.refuse(step, before, found)
            self._forget()
        self._typed.keep()
        return found

    def draw(self, step: str, field: str) -> Secret:
        """A fresh password for this field."""
        return draw({each.name: each.spec.kept_in for each in self.fields(step)}[field])

    def drop_written(self) -> None:
        """Forget resumed answers that are in place: a run wrote them and was ended before it could do so."""
        if not self._save or not self.resumed or self._walk.problems:
            return
        if not self._typed.refused(self.steps) and self.plan().empty:
            self._typed.written(step for step in self.only or self.steps if step in self._typed.counting)

    def step_changes(self, step: str) -> list[FileChange]:
        """The files that change so far in which this step has a hand."""
        return [
            change for change in self._walk.draft.plan().files if step in change.steps and not change.copy_of
        ]

    def plan(self) -> Plan:
        """Everything that would change. Raises AnswersError with every problem of the answers."""
        return self.also(self._whole().draft.plan())

    def decided(self) -> Mapping[str, Mapping[str, Proposed]]:
        """Step -> field -> value and origin, as planned."""
        return self._walk.decided

    def outage(self) -> str:
        """Why nothing can be written at this moment; "" when it can."""
        from nutwizard.engine.outage import in_the_way

        return in_the_way(self.host, self.plan(), insist=self._on_battery)

    def apply(self, report: Callable[[str], None]) -> Outcome:
        """Draw the passwords that are to be generated, plan with them, and make it so."""
        from nutwizard.engine.applying import draw_pending, write

        drawn = draw_pending(secrets_of(self._whole(), self._guide), self._drawn)
        self._forget()
        plan, command = self.plan(), self._command()
        outcome = write(
            self.host, self.facts, plan, drawn, report=report, command=command, on_battery=self._on_battery
        )
        if outcome.code in (Exit.DONE, Exit.BROKEN):
            self._typed.written(self.only or self.steps)
        return outcome

    def clients(self) -> tuple[Client, ...]:
        """The clients whose folder lies here now; a general one where none is named."""
        site = self._walk.site
        named = folders_for(site.clients) if site is not None and self.role is Role.HOST else ()
        return tuple(client for client in named if self.host.stat(answers_file(client)) is not None)

    def _command(self) -> str:
        if self.called:
            return self.called
        return f"step {' '.join(sorted(self.only))}" if self.only else "guided run" if self._save else "apply"

    def _forget(self) -> None:
        for name in ("_walk", "_standings"):
            self.__dict__.pop(name, None)

    @cached_property
    def _walk(self) -> Walk:
        asked = self.only or frozenset(self.steps)
        walk = self._walked(self.only)
        while self._typed.set_aside(asked & walk.views.keys(), asked & _wrong(walk)):
            walk = self._walked(self.only)
        return walk

    def _walked(self, only: frozenset[str]) -> Walk:
        """A walk that plans these steps and those that they affect; without any, all."""
        sources = self._sources(only)
        if not only:
            return self._planner.walk(sources)
        before = self._planner.walk(sources[1:], edited=())
        after = self._planner.walk(sources, edited=())
        return self._planner.walk(sources, edited=self._planner.affected(only, before, after))

    def _sources(self, only: frozenset[str]) -> list[AnswersSet]:
        """What is given, what was typed first: for the steps in `only`, since no other is asked."""
        typed = {step: given for step, given in self._typed.counting.items() if not only or step in only}
        return [AnswersSet(self.role, "", typed), AnswersSet(self.role, "", self._drawn), *self._given]

    @cached_property
    def _standings(self) -> Mapping[str, Standing]:
        from nutwizard.engine.standings import all_standings

        whole = self._planner.walk(self._sources(self.only)) if self.only else self._walk
        typed = [step for step, given in self._typed.counting.items() if given]
        return all_standings(self._walk, whole, self._saved, typed, self.only)

    def _view(self, step: str = "") -> View:
        """What the step sees; where the walk has not come so far, what the first step sees."""
        views = self._walk.views
        return views.get(step) or views[self.steps[0]]

    def _whole(self) -> Walk:
        walk = self._walk
        if problems := [*walk.problems, *self._typed.refused(self.only or self.steps)]:
            raise AnswersError(problems)
        put_answers(walk, self._guide, self._drawn, save=self._save)
        return walk


def _wrong(walk: Walk) -> set[str]:
    """The steps that have a problem."""
    return {problem.field.partition(".")[0] for problem in walk.problems}
