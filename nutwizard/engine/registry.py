"""The guide: the modules of `nutwizard.steps` in order, with their pages; two files add a step."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import get_data, iter_modules
from typing import Any

from nutwizard.core import fields
from nutwizard.core.facts import Role
from nutwizard.core.fields import Field
from nutwizard.core.page import Page, parse_page
from nutwizard.core.step import Step

#: Pages that belong to no step, in reading order; the first line of each is its title.
COMMON = ("overview", "users", "webconsole", "check", "doctor", "rehearse", "budget", "fsd", "paths")


@cache
def all_steps() -> tuple[Step[Any], ...]:
    """Every step, each after those that its `after` names.

    Raises ValueError when the names go in a circle.
    """
    package = import_module("nutwizard.steps")
    modules = sorted(found.name for found in iter_modules(package.__path__))
    waiting = {
        step.name: step for step in (import_module(f"nutwizard.steps.{name}").STEP for name in modules)
    }
    done: dict[str, Step[Any]] = {}
    while waiting:
        ready = [step for step in waiting.values() if not any(name in waiting for name in step.after)]
        if not ready:
            raise ValueError(f"steps wait for each other: {', '.join(sorted(waiting))}")
        for step in ready:
            done[step.name] = waiting.pop(step.name)
    return tuple(done.values())


def steps_of(role: Role) -> tuple[Step[Any], ...]:
    """The steps of this role, in the guide's order."""
    return tuple(step for step in all_steps() if role in step.roles)


def fields_of(name: str, role: Role) -> tuple[Field, ...]:
    """The fields of a step of this role."""
    step = next(step for step in steps_of(role) if step.name == name)
    return fields.fields_of(step.answers_type(role))


def page_of(name: str, role: Role) -> Page:
    """The page of a step, or a common one, as a machine of this role shows it."""
    if name in COMMON:
        return parse_page(_common(name).partition("\n")[2], role)
    return parse_page(_text("nutwizard.steps", f"{name}.md"), role)


def topics(role: Role) -> dict[str, str]:
    """Names and titles of all pages for this role: the common ones, then the steps."""
    common = {name: _common(name).partition("\n")[0] for name in COMMON}
    return common | {step.name: step.title for step in steps_of(role)}


def _common(name: str) -> str:
    return asset(f"pages/{name}.md")


@cache
def asset(name: str) -> str:
    """The text of an asset."""
    return _text("nutwizard.assets", name)


def _text(package: str, name: str) -> str:
    # importlib.resources would bring in zipfile and tempfile: a tenth of what a plan costs.
    data = get_data(package, name)
    if data is None:
        raise FileNotFoundError(f"{package} has no {name}")
    return data.decode("utf-8")
