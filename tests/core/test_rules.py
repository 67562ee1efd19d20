"""The doctor's rules, scenario by scenario: where each fires, where it must not, and what is healthy."""

from __future__ import annotations

import pytest

from nutwizard.core.rules.catalogue import all_rules
from nutwizard.core.rules.rule import Look, Trouble, troubles_of
from tests.support.rule_cases import Scenario, bases, look_at, scenarios

SCENARIOS = scenarios()
RULES = {rule.id: rule for rule in all_rules()}


def found(look: Look) -> tuple[Trouble, ...]:
    return troubles_of(all_rules(), look)


def said(trouble: Trouble) -> str:
    """As the scenarios name it: `ID severity [file[:line]]`."""
    return " ".join(filter(None, (trouble.rule.id, trouble.severity, trouble.where)))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario(scenario: Scenario) -> None:
    assert {said(trouble) for trouble in found(scenario.look)} == scenario.expect


@pytest.mark.parametrize("base", bases())
def test_a_healthy_machine_has_no_trouble(base: str) -> None:
    assert [f"{said(trouble)}: {trouble.spot.message}" for trouble in found(look_at(base, {}))] == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_seen_to_fire_and_not_to_fire(rule: str) -> None:
    own = [scenario for scenario in SCENARIOS if scenario.rule == rule]
    fires = [any(text.split()[0] == rule for text in scenario.expect) for scenario in own]
    assert any(fires)
    assert not all(fires)


def test_every_scenario_is_of_a_rule() -> None:
    assert {scenario.rule for scenario in SCENARIOS} <= RULES.keys()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_is_said_is_whole_and_shows_no_secret(scenario: Scenario) -> None:
    for trouble in found(scenario.look):
        assert trouble.spot.message
        assert trouble.rule.title
        assert trouble.fix
        for secret in ("s3c4R3", "K4n4ry"):
            assert secret not in trouble.spot.message
