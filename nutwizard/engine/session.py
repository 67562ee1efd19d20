"""One run over one machine: facts, answers so far, plan, apply. Every front end and the replay use it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nutwizard.core import paths
from nutwizard.core.answers import AnswersSet, Given, Origin, Proposed
from nutwizard.core.clients import answers_file, folders_for
from nutwizard.core.errors import AnswersError, Problem, UsageError
from nutwizard.core.facts import Door, Role
from nutwizard.core.fields import Choice, Field, fields_of
from nutwizard.core.page import Page
from nutwizard.core.plan import FileChange, Plan
from nutwizard.core.secret import Secret
from nutwizard.core.site import Client
from nutwizard.core.step import View
from nutwizard.engine import registry
from nutwizard.engine.carry import carry_out, facts_for, prove
from nutwizard.engine.detect import Sources
from nutwizard.engine.files import PRIVATE
from nutwizard.engine.found import found_here
from nutwizard.engine.host import Host
from nutwizard.engine.planner import Planner, Walk
from nutwizard.engine.saved import PasswordFiles, answers_text
from nutwizard.formats.safe import safe_text

if TYPE_CHECKING:
    from nutwizard.core.links import Finding
    from nutwizard.engine.outcome import Outcome

#: Characters that survive NUT's files and its protocol unquoted; 24 of them are 143 bits.
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PASSWORD_LENGTH = 24
PACKAGES = {Role.HOST: ("nut-server", "nut-client"), Role.CLIENT: ("nut-client",)}


class Session:
    """One guided run, one step or one replay.

    `named`: answers of a file on the command line; `saved`: those of an earlier run; with `save` the answers
    become part of the plan. `only`: the steps that are asked; of the others those that their answers affect
    are planned. `on_battery`: an outage stops nothing.
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
    ) -> None:
        self.host = host
        self.role = role
        self.only = frozenset(only)
        self._save = save
        self._on_battery = on_battery
        self._named_path = named.path if named is not None else ""
        self._guide = {step.name: step for step in registry.steps_of(role)}
        self.steps = tuple(self._guide)
        self.facts = facts_for(host, sources, role)
        self._given = [source for source in (named, saved) if source is not None]
        self._typed: dict[str, dict[str, Given]] = {}
        self._drawn: dict[str, dict[str, Given]] = {}
        self._planner = Planner(tuple(self._guide.values()), self.facts, role, registry.asset)

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
        nut = self.facts.nut
        wanted = PACKAGES[self.role]
        missing = [name for name in wanted if nut.known_from == "dpkg" and name not in nut.packages]
        if nut.version and nut.user and nut.group and not missing:
            return
        lacks = "NUT is not installed" if not nut.version else f"{', '.join(missing)} is not installed"
        if nut.version and not missing:
            lacks = "the user and group nut are missing"
        again = "" if missing or not nut.version else "--reinstall "
        raise UsageError(
            f"{lacks} on {self.host.label}: a {self.role.value} needs {' and '.join(wanted)}.",
            f"Install it and come back: apt-get install {again}{' '.join(missing or wanted)}",
        )

    def title(self, step: str) -> str:
        return self._guide[step].title

    def page(self, step: str) -> Page:
        return registry.page_of(step, self.role)

    def found(self) -> list[tuple[str, str, str]]:
        """(what, value, how it is known) for the overview, safe to show."""
        return [
            (what, safe_text(value), safe_text(known))
            for what, value, known in found_here(self.facts, self.role)
        ]

    def state(self, step: str) -> str:
        """ "in place" when the step would change nothing with the answers so far, else "to do"."""
        walk = self._walk
        if step not in walk.answers:
            return "to do"
        return "to do" if self._touched_by(step, walk) else "in place"

    def fields(self, step: str) -> tuple[Field, ...]:
        return self._planner.fields(self._guide[step], self._view(step))

    def hints(self, step: str, given: Mapping[str, Any] | None = None) -> Mapping[str, tuple[Choice, ...]]:
        """What is suggested for fields that take any text, by field; `given` as in `proposals`."""
        return self._guide[step].choices(self._view(step), given or {})

    def proposals(self, step: str, given: Mapping[str, Any] | None = None) -> Mapping[str, Proposed]:
        """The winning value of each field; `given` are values typed in this step so far."""
        sources = [self._dialogue(), *self._given]
        if given:
            typed = {name: Given(value, Origin.TYPED) for name, value in given.items()}
            sources.insert(0, AnswersSet(self.role, "", {step: typed}))
        return self._planner.decide(self._guide[step], self._view(step), sources)

    def preview(self, step: str, given: Mapping[str, Any]) -> Mapping[str, FileChange]:
        """What is to be seen before a field is asked, by field; `given` as in `proposals`."""
        values = {name: found.value for name, found in self.proposals(step, given).items()}
        found = self._guide[step].preview(self._view(step), values)
        return {name: replace(change, beside=self.facts.texts) for name, change in found.items()}

    def answer(self, step: str, values: Mapping[str, Any]) -> tuple[Problem, ...]:
        """Take typed values for a step; a problem means that they are not kept."""
        before = self._typed.get(step)
        self._typed[step] = {
            name: Given(value, Origin.TYPED)
            for name, value in values.items()
            if not (isinstance(value, Secret) and value.pending)
        }
        self._forget()
        found = tuple(p for p in self._walk.problems if p.field.partition(".")[0] == step)
        if found:
            del self._typed[step]
            if before is not None:
                self._typed[step] = before
            self._forget()
        return found

    def step_changes(self, step: str) -> list[FileChange]:
        """The files that change so far in which this step has a hand."""
        return [
            change for change in self._walk.draft.plan().files if step in change.steps and not change.copy_of
        ]

    def plan(self) -> Plan:
        """Everything that would change. Raises AnswersError with every problem of the answers."""
        return self._whole().draft.plan()

    def decided(self) -> Mapping[str, Mapping[str, Proposed]]:
        """Step -> field -> value and origin, as planned."""
        return self._walk.decided

    def outage(self) -> str:
        """Why nothing can be written at this moment; "" when it can."""
        from nutwizard.engine.outage import in_the_way

        return in_the_way(self.host, self.plan(), insist=self._on_battery)

    def apply(self, report: Callable[[str], None]) -> Outcome:
        """Draw the passwords that are to be generated, plan with them, and make it so."""
        from nutwizard.engine.outage import refuse

        drawn = self._draw()
        if drawn:  # their files come before the transaction, which asks as well
            refuse(self.host, self.plan(), insist=self._on_battery)
        with PasswordFiles(drawn) as files:
            plan, command = self.plan(), self._command()
            outcome = carry_out(
                self.host, self.facts, plan, report=report, command=command, on_battery=self._on_battery
            )
            files.keep = outcome.code == 0
        told = [f"a generated password lies in {safe_text(secret.file)}" for secret in drawn]
        return replace(outcome, notes=(*told, *outcome.notes)) if files.keep else outcome

    def prove(self, *, quick: bool = False) -> tuple[Finding, ...]:
        """The links of every step, on the files as they are now. `quick`: only who is logged in."""
        return prove(self.host, self.facts, self.role, quick=quick)

    def clients(self) -> tuple[Client, ...]:
        """The clients whose folder lies here now; a general one where none is named."""
        site = self._walk.site
        named = folders_for(site.clients) if site is not None and self.role is Role.HOST else ()
        return tuple(client for client in named if self.host.stat(answers_file(client)) is not None)

    def _command(self) -> str:
        return f"step {' '.join(sorted(self.only))}" if self.only else "guided run" if self._save else "apply"

    def _dialogue(self) -> AnswersSet:
        return AnswersSet(self.role, "", self._typed)

    def _forget(self) -> None:
        self.__dict__.pop("_walk", None)

    @cached_property
    def _walk(self) -> Walk:
        given = [AnswersSet(self.role, "", self._drawn), *self._given]
        sources = [self._dialogue(), *given]
        if not self.only:
            return self._planner.walk(sources)
        before = self._planner.walk(given, edited=())
        after = self._planner.walk(sources, edited=())
        return self._planner.walk(sources, edited=self._planner.affected(self.only, before, after))

    def _view(self, step: str = "") -> View:
        """What the step sees; where the walk has not come so far, what the first step sees."""
        views = self._walk.views
        return views.get(step) or views[self.steps[0]]

    def _whole(self) -> Walk:
        walk = self._walk
        if walk.problems:
            raise AnswersError(walk.problems)
        self._write_answers(walk)
        return walk

    def _write_answers(self, walk: Walk) -> None:
        """The saved answers, and the secrets in files of their own, as part of the same plan."""
        walk.draft.step = "answers"
        for step, name, home, secret in self._secrets(walk):
            new = secret.pending or name in self._drawn.get(step, {})
            if self._save or (new and secret.file == home):
                walk.draft.replace(home, f"{secret.reveal()}\n".encode())
                walk.draft.own(home, PRIVATE)
        if self._save:
            text = answers_text(self.role, tuple(self._guide.values()), walk.answers, paths.OWN)
            walk.draft.replace(paths.SAVED_ANSWERS, text.encode())
            walk.draft.own(paths.SAVED_ANSWERS, PRIVATE)

    def _secrets(self, walk: Walk) -> list[tuple[str, str, str, Secret]]:
        """(step, field, the file it belongs in, value) of every secret that the plan needs.

        One that is still to be drawn is not needed where its step writes nothing.
        """
        return [
            (step, found.name, found.spec.kept_in, secret)
            for step, decided in walk.decided.items()
            for found in fields_of(self._guide[step].answers_type(self.role))
            if isinstance(secret := decided[found.name].value, Secret)
            and (step in walk.edited or not secret.pending)
        ]

    def _draw(self) -> list[Secret]:
        """Replace each pending secret by a drawn one; those kept beside a named answers file are returned."""
        from secrets import choice

        outside = []
        for step, name, home, secret in self._secrets(self._whole()):
            if secret.pending:
                drawn = Secret("".join(choice(ALPHABET) for _ in range(PASSWORD_LENGTH)), secret.file)
                self._drawn.setdefault(step, {})[name] = Given(drawn, Origin.TYPED)
                if secret.file != home:
                    outside.append(drawn)
        self._forget()
        return outside

    def _touched_by(self, step: str, walk: Walk) -> bool:
        plan = walk.draft.plan()
        return any(step in change.steps for change in plan.files) or any(
            step in act.steps for act in plan.acts
        )
