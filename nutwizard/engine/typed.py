"""What a person has typed: what counts, what was refused, and what is kept for a run that comes after."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nutwizard.core.answers import AnswersSet, Given, Origin
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Role
from nutwizard.core.secret import Secret
from nutwizard.core.step import Step

if TYPE_CHECKING:
    from nutwizard.engine.resume import Resume

Section = dict[str, Given]


class Typed:
    """The typed answers of one run, with those that `resume` has kept from one before.

    Of a step the last values are known, also when they were refused; those that count may be older or none.
    A resumed value gives way to one of `named`, which was given for this run.
    """

    def __init__(
        self, role: Role, steps: Sequence[Step[Any]], resume: Resume | None, named: AnswersSet | None
    ) -> None:
        self._role, self._steps, self._resume = role, tuple(steps), resume
        self._place = ""
        found = resume.load(role) if resume is not None else {}
        if resume is not None:
            self._place = resume.place
        #: By step what was given last.
        self._last: dict[str, Section] = {}
        for step, section in found.items():
            left = {n: g for n, g in section.items() if named is None or named.get(step, n) is None}
            if left:
                self._last[step] = left
        #: By step what counts.
        self.counting = dict(self._last)
        self._not_written = set(self._last)
        self._unseen = set(self._last)
        #: By step why what was given last does not count.
        self._refused: dict[str, tuple[Problem, ...]] = {}

    def last(self, step: str) -> Mapping[str, Given]:
        """What was given for the step last, also when it was refused."""
        return dict(self._last.get(step, {}))

    @property
    def not_written(self) -> frozenset[str]:
        """The steps with answers that no apply has written."""
        return frozenset(self._not_written)

    @property
    def place(self) -> str:
        """Where the person was last, one short word; "" when that is not known."""
        return self._place

    @property
    def resumed_at(self) -> float:
        """When the resumed answers were kept, seconds since the epoch; 0.0 without any."""
        return self._resume.at if self._resume is not None else 0.0

    @property
    def trouble(self) -> str:
        """What could not be kept or read again; "" when nothing went wrong."""
        return self._resume.trouble if self._resume is not None else ""

    def resumed(self, steps: Collection[str]) -> int:
        """How many values of these steps came from a run before and are not written yet."""
        sections = [self._last[step] for step in self._not_written & set(steps)]
        return sum(given.origin is Origin.RESUMED for section in sections for given in section.values())

    def take(self, step: str, values: Mapping[str, Any]) -> Section | None:
        """Let these values count; what counted before is returned, for `refuse`.

        A password that is to be generated is no answer.
        """
        before = self.counting.get(step)
        given = {
            name: Given(value, Origin.TYPED)
            for name, value in values.items()
            if not (isinstance(value, Secret) and value.pending)
        }
        self._last[step] = self.counting[step] = given
        (self._not_written.add if given else self._not_written.discard)(step)
        self._unseen.discard(step)
        self._refused.pop(step, None)
        return before

    def refuse(self, step: str, before: Section | None, problems: tuple[Problem, ...]) -> None:
        """The values that were taken last do not count: those before them do again."""
        self._refused[step] = problems
        self.counting.pop(step, None)
        if before is not None:
            self.counting[step] = before

    def set_aside(self, seen: Collection[str], wrong: Collection[str]) -> bool:
        """After a walk over the steps `seen`: resumed answers of a step that has a problem do not count.

        Whether any did so far. They are looked at once; what becomes wrong later is told as if it was typed.
        """
        bad = self._unseen & set(wrong)
        for step in bad:
            self.counting.pop(step)
            self._refused[step] = (Problem("the answers kept from before do not fit any more", step),)
        self._unseen -= bad if bad else set(seen)
        return bool(bad)

    def refused(self, steps: Iterable[str]) -> tuple[Problem, ...]:
        """What is wrong with answers of these steps that were given last and do not count."""
        return tuple(problem for step in steps for problem in self._refused.get(step, ()))

    def settle(self) -> None:
        """What was written is in the files now, and is no answer of this dialogue any more."""
        self._last = {step: self._last[step] for step in self._not_written}
        self.counting = {step: given for step, given in self.counting.items() if step in self._not_written}

    def keep(self) -> None:
        """Keep all that is not written."""
        if self._resume is not None:
            sections = {step: self._last[step] for step in self._not_written}
            self._resume.keep(self._role, self._steps, sections)

    def stay(self, place: str) -> None:
        """Keep where the person is."""
        self._place = place
        if self._resume is not None:
            self._resume.stay(place)

    def written(self, steps: Iterable[str]) -> None:
        """The answers of these steps are in place: they are kept no longer. They count on in this run."""
        self._not_written -= set(steps)
        if self._not_written:
            self.keep()
        elif self._resume is not None:
            self._resume.clear()

    def start_over(self) -> None:
        """Forget everything that was typed or resumed, here and on the disk."""
        self._last, self.counting, self._place = {}, {}, ""
        self._not_written, self._unseen, self._refused = set(), set(), {}
        if self._resume is not None:
            self._resume.clear()


class Answered:
    """The side of a session that is about what was typed. `only`: the steps that are asked, none for all."""

    _typed: Typed
    only: frozenset[str]
    steps: tuple[str, ...]

    def typed(self, step: str) -> Mapping[str, Given]:
        """What was typed for the step last, in this run or one before, also when it was refused."""
        return self._typed.last(step)

    def open_steps(self) -> tuple[str, ...]:
        """The steps with answers that the narrowed plan leaves out."""
        left = self._typed.not_written - self.only if self.only else ()
        return tuple(step for step in self.steps if step in left)

    @property
    def place(self) -> str:
        """Where the person was last, as `stay` was told; "" when that is not known."""
        return self._typed.place

    def stay(self, place: str) -> None:
        """Keep where the person is, one short word, for a run that comes after."""
        self._typed.stay(place)

    @property
    def resumed(self) -> int:
        """How many answers come from a run before this one that did not write them."""
        return self._typed.resumed(self.only or self.steps)

    @property
    def resumed_at(self) -> float:
        """When those were kept, seconds since the epoch; 0.0 without any."""
        return self._typed.resumed_at

    @property
    def kept_trouble(self) -> str:
        """Why what is typed is not kept, or what was kept cannot be used; "" without trouble.

        It changes only when something else goes wrong: who has told it need not tell it again.
        """
        return self._typed.trouble

    def start_over(self) -> None:
        """Forget what was typed, in this run and before."""
        self._typed.start_over()
        self._forget()

    def _forget(self) -> None:
        """What was concluded from the answers so far no longer holds."""
        raise NotImplementedError
