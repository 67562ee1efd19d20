"""The planner, on two small steps: whose value wins, which steps follow, where a problem lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from nutwizard.core import paths
from nutwizard.core.answers import AnswersSet, Given, Origin, Proposed
from nutwizard.core.draft import Draft
from nutwizard.core.errors import Problem
from nutwizard.core.facts import Door, Facts, FileFact, Kind, Owner, Role
from nutwizard.core.fields import Choice, FieldKind, setting
from nutwizard.core.secret import Secret
from nutwizard.core.site import Site
from nutwizard.core.step import Step, View
from nutwizard.core.text import FileText
from nutwizard.engine.planner import Planner, Walk

Values = Mapping[str, Any]


@dataclass(frozen=True)
class NameAnswers:
    ups: str = setting(FieldKind.TEXT, "name")
    port: int | None = setting(FieldKind.INTEGER, "port", optional=True)


@dataclass(frozen=True)
class UserAnswers:
    user: str = setting(FieldKind.CHOICE, "user")
    password: Secret = setting(FieldKind.SECRET, "password")


class Name(Step[NameAnswers]):
    """Publishes the name of the UPS; the port is its own affair."""

    name = "first"

    def answers_type(self, role: Role) -> type[NameAnswers]:
        return NameAnswers

    def suggest(self, view: View, given: Values) -> Mapping[str, Proposed]:
        found = view.nut(paths.UPSD_CONF).get("UPS")
        named = Proposed(found.args[0], Origin.CURRENT) if found else Proposed("guide", Origin.GUIDE)
        if own := view.nut(paths.UPSD_CONF).get("OWN"):
            named = Proposed(own.args[0], Origin.YOURS, "you wrote it")
        return {"ups": named, "port": Proposed(None, Origin.GUIDE)}

    def check(self, view: View, answers: NameAnswers) -> Iterable[Problem]:
        if answers.ups == "bad":
            yield Problem("is bad", "first.ups")
        if answers.port == 0:
            yield Problem("is zero", "first.port")

    def publish(self, view: View, answers: NameAnswers) -> Site:
        return dataclasses.replace(view.site, ups=answers.ups)

    def edit(self, draft: Draft, view: View, answers: NameAnswers) -> None:
        draft.nut(paths.UPSD_CONF).set("UPS", answers.ups)
        draft.nut(paths.UPSD_CONF).set("PORT", str(answers.port))


class User(Step[UserAnswers]):
    """Its password depends on which user; it writes the name that the first step published."""

    name = "second"
    after = ("first",)

    def answers_type(self, role: Role) -> type[UserAnswers]:
        return UserAnswers

    def suggest(self, view: View, given: Values) -> Mapping[str, Proposed]:
        user = given.get("user", "a")
        secret = {"a": Secret("of-a"), "b": Secret("of-b")}.get(user)
        told = Proposed(secret, Origin.CURRENT if secret else Origin.GUIDE, "the password of that user")
        return {"user": Proposed("a", Origin.CURRENT), "password": told}

    def choices(self, view: View, given: Mapping[str, Any]) -> Mapping[str, tuple[Choice, ...]]:
        return {"user": (Choice("a"), Choice("b")), "password": (Choice("x"),)}

    def edit(self, draft: Draft, view: View, answers: UserAnswers) -> None:
        draft.nut(paths.UPSMON_CONF).set("MONITOR", view.site.ups, answers.user, answers.password.reveal())


def planner(**files: str) -> Planner:
    contents = {paths.UPSD_CONF: files.get("upsd", ""), paths.UPSMON_CONF: files.get("upsmon", "")}
    facts = {
        path: FileFact(path, "file", path, FileText(path, text.encode()), Owner("root", "nut", 0o640))
        for path, text in contents.items()
    }
    facts |= {path + ending: FileFact(path + ending) for path in contents for ending in paths.COPIES}
    return Planner((Name(), User()), Facts(Door.OFFLINE, Kind.PLAIN, files=facts), Role.HOST, lambda name: "")


def answers(origin: Origin, **sections: Values) -> AnswersSet:
    """Values from `origin`, each placed as `file:STEP.FIELD`."""
    given = {
        step: {name: Given(value, origin, f"file:{step}.{name}") for name, value in section.items()}
        for step, section in sections.items()
    }
    return AnswersSet(Role.HOST, "file", given)


def ups(walk: Walk) -> tuple[Any, Origin]:
    found = walk.decided["first"]["ups"]
    return found.value, found.origin


TYPED = answers(Origin.TYPED, first={"ups": "typed"})
NAMED = answers(Origin.NAMED, first={"ups": "named"})
PASSWORD = Given(Secret("p"), Origin.NAMED)
SAVED = answers(Origin.SAVED, first={"ups": "saved"})


@pytest.mark.parametrize(
    ("sources", "upsd", "expected"),
    [
        ([SAVED, NAMED, TYPED], "UPS current\n", ("typed", Origin.TYPED)),
        ([SAVED, NAMED], "UPS current\n", ("named", Origin.NAMED)),
        ([SAVED], "UPS current\n", ("current", Origin.CURRENT)),
        ([SAVED], "", ("saved", Origin.SAVED)),
        ([], "", ("guide", Origin.GUIDE)),
    ],
)
def test_precedence(sources: list[AnswersSet], upsd: str, expected: tuple[str, Origin]) -> None:
    assert ups(planner(upsd=upsd).walk(sources)) == expected


@pytest.mark.parametrize(
    ("sources", "expected", "notes"),
    [
        ([SAVED, NAMED, TYPED], ("typed", Origin.TYPED), ()),
        (
            [SAVED, NAMED],
            ("mine", Origin.YOURS),
            (
                "first.ups: named of the answers file is not followed: you wrote it."
                " To insist, answer named in: nutwizard step first",
            ),
        ),
        ([SAVED], ("mine", Origin.YOURS), ()),
        ([answers(Origin.NAMED, first={"ups": "mine"})], ("mine", Origin.YOURS), ()),
    ],
)
def test_only_who_is_asked_gives_up_a_file_of_the_users_own(
    sources: list[AnswersSet], expected: tuple[str, Origin], notes: tuple[str, ...]
) -> None:
    planned = planner(upsd="OWN mine\n")
    others = AnswersSet(Role.HOST, "", {"second": {"user": Given("u", Origin.NAMED), "password": PASSWORD}})
    walk = planned.walk([*sources, others])
    assert ups(walk) == expected
    assert walk.draft.plan().notes == notes
    assert planned.walk([*sources, others], edited=["second"]).draft.plan().notes == ()


def test_suggestions_follow_what_was_given_but_only_where_it_wins() -> None:
    named = planner().walk([answers(Origin.NAMED, second={"user": "b"})]).decided["second"]
    saved = planner().walk([answers(Origin.SAVED, second={"user": "b"})]).decided["second"]

    assert (named["user"].value, named["password"].value) == ("b", Secret("of-b"))
    assert (saved["user"].value, saved["password"].value) == ("a", Secret("of-a"))


def test_a_given_none_is_a_value() -> None:
    walk = planner().walk(
        [answers(Origin.NAMED, first={"port": None}), answers(Origin.SAVED, first={"port": 5})]
    )
    assert walk.answers["first"] == NameAnswers("guide", None)


def test_what_is_needed_and_unknown_ends_the_walk() -> None:
    walk = planner().walk([answers(Origin.NAMED, second={"user": "c"})])

    assert [str(problem) for problem in walk.problems] == [
        "second.password: is needed: the password of that user"
    ]
    assert list(walk.answers) == ["first"]


def test_every_problem_is_told_with_the_place_of_its_value() -> None:
    walk = planner(upsd="UPS bad\n").walk([answers(Origin.NAMED, first={"port": 0})])

    assert [(p.field, p.place) for p in walk.problems] == [
        ("first.ups", ""),
        ("first.port", "file:first.port"),
    ]
    assert walk.draft.plan().empty


def test_a_file_that_cannot_be_edited_is_a_problem() -> None:
    walk = planner(upsmon='X "open').walk([])

    (problem,) = walk.problems
    assert problem.field == "second"
    assert problem.text.startswith("/etc/nut/upsmon.conf cannot be edited: ")


@pytest.mark.parametrize(
    ("edited", "files"),
    [
        (None, [paths.UPSD_CONF, paths.UPSMON_CONF]),
        (["second"], [paths.UPSMON_CONF]),
        ([], []),
    ],
)
def test_only_edited_steps_change_the_draft(edited: Collection[str] | None, files: list[str]) -> None:
    plan = planner().walk([], edited=edited).draft.plan()
    assert sorted(change.path for change in plan.files if not change.copy_of) == files


@pytest.mark.parametrize(
    ("section", "expected"),
    [({"ups": "typed"}, {"first", "second"}), ({"port": 5}, {"first"}), ({"ups": "current"}, {"first"})],
)
def test_steps_follow_where_what_they_share_changed(section: Values, expected: set[str]) -> None:
    ours = planner(upsd="UPS current\n")
    before = ours.walk([], edited=())
    after = ours.walk([answers(Origin.TYPED, first=section)], edited=())
    assert ours.affected(["first"], before, after) == expected


def test_fields_get_the_choices_of_the_machine() -> None:
    ours = planner()
    (user, _) = ours.fields(User(), ours.walk([]).views["second"])
    assert user.read("b") == "b"
    with pytest.raises(ValueError, match="none of a, b"):
        user.read("c")
