"""Fields of rows, and fields that depend on another: typed, read from files, saved, asked, planned."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nutwizard.core.answers import AnswersSet, Given, Origin, Proposed
from nutwizard.core.errors import AnswersError
from nutwizard.core.facts import Door, Facts, Kind, Role
from nutwizard.core.fields import Choice, Field, FieldKind, fields_of, offering, setting
from nutwizard.core.step import Step, View
from nutwizard.engine.answers_file import read_answers
from nutwizard.engine.planner import Planner
from nutwizard.engine.saved import answers_text
from nutwizard.prompts.asker import Back
from nutwizard.prompts.plain import PlainAsker


def whole(value: str) -> str | None:
    return None if value.isalnum() else "letters and digits only"


@dataclass(frozen=True)
class Timer:
    event: str = setting(FieldKind.CHOICE, "event", choices=(Choice("ONBATT"), Choice("ONLINE")))
    seconds: int = setting(FieldKind.INTEGER, "seconds", unit="s", low=1, high=600)
    cancel: str | None = setting(FieldKind.TEXT, "cancelled by", check=whole, optional=True)

    def __str__(self) -> str:
        return f"{self.event} for {self.seconds} s"


@dataclass(frozen=True)
class Machine:
    name: str = setting(FieldKind.TEXT, "name", check=whole)
    addresses: tuple[str, ...] = setting(FieldKind.TEXTS, "addresses")

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Answers:
    timers: tuple[Timer, ...] = setting(FieldKind.ROWS, "timers", row=Timer)
    machines: tuple[Machine, ...] = setting(FieldKind.ROWS, "machines", row=Machine, keyed=True)
    limit: str = setting(FieldKind.CHOICE, "limit", choices=(Choice("own"), Choice("charge")))
    charge: int | None = setting(
        FieldKind.INTEGER, "charge", low=1, high=99, optional=True, only_with=("limit", "charge")
    )


class Only(Step[Answers]):
    name = "only"

    def answers_type(self, role: Role) -> type[Answers]:
        return Answers

    def suggest(self, view: View, given: Mapping[str, Any]) -> Mapping[str, Proposed]:
        return {
            "timers": Proposed((), Origin.GUIDE),
            "machines": Proposed((), Origin.GUIDE),
            "limit": Proposed("own", Origin.GUIDE),
            "charge": Proposed(50, Origin.GUIDE),
        }


STEPS = {Role.HOST: (Only(),), Role.CLIENT: ()}
TIMERS, MACHINES, LIMIT, CHARGE = fields_of(Answers)
LONG = Timer("ONBATT", 120, None)
TEXT = """
only:
  timers: [{event: ONBATT, seconds: 120}, {event: ONLINE, seconds: 5, cancel: x1}]
  machines:
    web: 192.168.1.10
    db: [192.168.1.11, "fd00::11"]
    old: {addresses: 192.168.1.12}
  limit: charge
  charge: 40
"""


def read(folder: Path, text: str) -> AnswersSet:
    path = folder / "answers.yaml"
    path.write_text(f"nutwizard: 1\nrole: host\n{text}")
    return read_answers(str(path), STEPS)


def planned(*sources: AnswersSet) -> tuple[dict[str, Any], list[str]]:
    planner = Planner(STEPS[Role.HOST], Facts(Door.OFFLINE, Kind.PLAIN), Role.HOST, lambda name: "")
    walk = planner.walk(sources)
    return {name: found.value for name, found in walk.decided["only"].items()}, list(map(str, walk.problems))


def test_an_answers_file_reads_and_saves_rows(tmp_path: Path) -> None:
    given, problems = planned(read(tmp_path, TEXT))
    assert problems == []
    assert given["timers"] == (LONG, Timer("ONLINE", 5, "x1"))
    assert given["machines"] == (
        Machine("web", ("192.168.1.10",)),
        Machine("db", ("192.168.1.11", "fd00::11")),
        Machine("old", ("192.168.1.12",)),
    )

    saved = answers_text(Role.HOST, STEPS[Role.HOST], {"only": Answers(**given)}, "/etc/nutwizard")
    assert planned(read(tmp_path, saved.partition("role: host\n")[2])) == (given, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timers: ONBATT", "4:11: expected a list of `{key: value}` rows"),
        ("timers: [ONBATT]", "4:12: row 1: expected {event, seconds, cancel}"),
        ("timers: [{event: ONBATT}]", "4:12: row 1: seconds is missing"),
        ("timers: [{event: CAL, seconds: 5}]", '4:12: row 1: event: "CAL" is none of ONBATT, ONLINE'),
        ("timers: [{event: ONBATT, seconds: 0}]", "4:12: row 1: seconds: 0 is out of range: 1 to 600 s"),
        ("timers: [{event: ONBATT, wait: 5}]", "4:12: row 1: expected event, seconds, cancel"),
        ("timers: [{event: [a], seconds: 5}]", "4:12: row 1: event: expected one value, got a list"),
        ("machines: [web]", "4:13: expected `name: value` lines"),
        ("machines: {web: 1, web: 2}", "4:22: web: stands here a second time, first in line 4"),
        ("machines: {we b: 1}", "4:14: row we b: name: letters and digits only"),
        ("machines: {web: {x: 1}}", "4:14: row web: expected name, addresses"),
        ("machines: {web: [[1]]}", "4:19: expected a value or a list of values"),
    ],
)
def test_an_answers_file_refuses(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AnswersError) as caught:
        read(tmp_path, f"only:\n  {text}\n")
    place, rest = said.split(" ", 1)
    assert (
        str(caught.value.problems[0])
        == f"{tmp_path}/answers.yaml:{place} only.{text.partition(':')[0]}: {rest}"
    )


def test_no_rows_can_be_written_in_three_ways(tmp_path: Path) -> None:
    for word in ("none", "[]", ""):
        assert planned(read(tmp_path, f"only:\n  timers: {word}\n"))[0]["timers"] == ()
    assert planned(read(tmp_path, "only:\n  machines: {}\n"))[0]["machines"] == ()


def test_a_field_that_does_not_apply_has_no_value() -> None:
    assert planned()[0]["charge"] is None
    typed = AnswersSet(Role.HOST, "", {"only": {"limit": Given("charge", Origin.TYPED)}})
    assert planned(typed)[0]["charge"] == 50


def test_a_file_that_gives_a_field_that_does_not_apply_is_refused(tmp_path: Path) -> None:
    _, problems = planned(read(tmp_path, "only:\n  charge: 40\n"))
    assert problems == [
        f"{tmp_path}/answers.yaml:4:11: only.charge: is used only with limit: charge, and here limit is own"
    ]
    saved = AnswersSet(Role.HOST, "", {"only": {"charge": Given(40, Origin.SAVED)}})
    assert planned(saved)[1] == []


def test_a_machine_offers_values_for_a_column() -> None:
    offered = offering(TIMERS, {"timers.event": (Choice("FSD"),), "machines.name": (Choice("web"),)})
    assert [choice.value for choice in offered.columns[0].spec.choices] == ["FSD"]
    assert offering(MACHINES, {}).columns == fields_of(Machine)


def asked(field: Field, rows: tuple[Any, ...], *lines: str) -> tuple[Any, str]:
    out = io.StringIO()
    asker = PlainAsker(io.StringIO("".join(f"{line}\n" for line in lines)), out)
    return asker.ask(
        field, Proposed(rows, Origin.CURRENT, "from upssched.conf"), "The **help**.", ()
    ), out.getvalue()


TWO = (LONG, Timer("ONLINE", 5, None))


@pytest.mark.parametrize(
    ("rows", "lines", "result"),
    [
        (TWO, ["done"], TWO),
        (TWO, [""], TWO),
        ((), ["add", "ONLINE", "30", "x1", "done"], (Timer("ONLINE", 30, "x1"),)),
        ((), ["add", "", "700", "30", "none", "done"], (Timer("ONBATT", 30, None),)),
        (TWO, ["change", "2", "", "7", "", "done"], (LONG, Timer("ONLINE", 7, None))),
        (TWO, ["remove", "1", "done"], TWO[1:]),
        (TWO, ["remove", "back", "done"], TWO),
        (TWO[:1], ["remove", "done"], ()),
        (TWO, ["add", "<", "done"], TWO),
        (TWO[:1], ["change", "ONLINE", "<", "ONBATT", "9", "none", "done"], (Timer("ONBATT", 9, None),)),
        (TWO, ["help", "done"], TWO),
    ],
)
def test_rows_are_asked(rows: tuple[Timer, ...], lines: list[str], result: tuple[Timer, ...]) -> None:
    value, text = asked(TIMERS, rows, *lines)
    assert value == result
    assert "The help." in text or "help" not in lines
    assert not rows or "  1  ONBATT for 120 s" in text


def test_going_back_from_rows_leaves_the_field() -> None:
    with pytest.raises(Back):
        asked(TIMERS, TWO, "back")
